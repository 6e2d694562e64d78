"""Linear algebra on one thread, for the same bits whatever number the machine offers."""

import functools
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[object]:
    """A context in which products of matrices run on one thread: several would add up in another order."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@functools.cache
def _libraries() -> Any:
    return ThreadpoolController()  # finding the loaded libraries costs milliseconds: once
