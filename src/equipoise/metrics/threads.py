"""Linear algebra on one thread, so that results do not depend on the number of threads."""

import functools
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which matrix products use one thread; several would add in another order."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@functools.cache
def _libraries() -> Any:
    """Return the controller of the loaded libraries, which takes milliseconds to find them."""
    return ThreadpoolController()
