"""What is known of a published data set before any of its files is there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipoise.data import store
from equipoise.data.images import Images
from equipoise.errors import InputError


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
    """A data set by name: what it holds, and how it is had.

    draw: makes the images of sets that are drawn; None for those that are kept in `store.set_folder(name)`.
    files: what `equipoise data add` fetches; empty for sets that are drawn, or that a person has to fetch.
    by_hand: what to do where no program may or can fetch the files, one or two sentences; empty otherwise.
    convert: from the file that was fetched, the folder that holds them where there are several, or the file or folder
        a user names, to the memory-mapped form in a folder (`store.write`); None for sets that are drawn.
    factor_sizes: 0 for continuous factors; no factors where none are known.
    """

    name: str
    summary: str
    images: int
    shape: tuple[int, int, int]
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    home: str
    licence: str
    citation: str
    draw: Callable[[], Images] | None = None
    files: tuple[Remote, ...] = ()
    by_hand: str = ""
    convert: Callable[[Path, Path], None] | None = None

    @property
    def state(self) -> Literal["drawn", "here", "not here"]:
        """Whether its images can be had at once: drawn, or read from where `equipoise data add` put them."""
        if self.draw is not None:
            return "drawn"
        return "here" if (store.set_folder(self.name) / "about.json").exists() else "not here"

    def load(self) -> Images:
        """Its Images: drawn, or memory-mapped from where `equipoise data add` put them, else an InputError."""
        if self.draw is not None:
            return self.draw()
        images = store.read(store.set_folder(self.name))
        if images is None:
            raise self.missing()
        return images

    def missing(self) -> InputError:
        """What to say when it is asked for and not here."""
        way = f"equipoise data add {self.name}" + ("" if self.files else " --from PATH")
        return InputError(
            f"{self.name} is not here yet; get it once with `{way}` (`equipoise data info {self.name}` tells more)"
        )
