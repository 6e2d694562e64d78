"""The Hugging Face hub: the package that accesses it, and its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from equipoise.errors import RunError, import_package

HUB = "hf:"  # begins the name of a repository of the hub


def package() -> Any:
    """Return the package huggingface_hub. Raises `InputError` where it is not installed."""
    remedy = "the Hugging Face hub needs the package huggingface_hub; pip install equipoise[hub]"
    return import_package("huggingface_hub", remedy)


@contextmanager
def connecting(failure: str) -> Iterator[None]:
    """Raise `RunError` with this text and the reason for any error: those of the network have no common base class."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RunError(f"{failure}: {reason}") from None
