"""What is known of a published data set before any of its files is there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from equipoise.data.images import Images


@dataclass(frozen=True)
class Remote:
    """A file that is fetched: the name it is kept under, where it lies, and what it must be."""

    name: str
    addresses: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set by name: what it holds, how it is had, and `load`, which gives its Images.

    files: what `equipoise data add` fetches; empty for sets that are drawn, or that a person has to fetch.
    by_hand: what to do where no program may or can fetch the files, one or two sentences; empty otherwise.
    convert: from the files, or a file or folder of the user's, to the memory-mapped form in a folder (`store.write`);
        None for sets that are drawn.
    factor_sizes: 0 for continuous factors; no factors where none are known.
    """

    name: str
    summary: str
    load: Callable[[], Images]
    images: int
    shape: tuple[int, int, int]
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    home: str
    licence: str
    citation: str
    files: tuple[Remote, ...] = ()
    by_hand: str = ""
    convert: Callable[[Path, Path], None] | None = None
