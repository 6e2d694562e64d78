"""Data sets by name: their properties, which are known before any file is present."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipoise.data import store
from equipoise.data.images import Images
from equipoise.errors import InputError


@dataclass(frozen=True)
class Remote:
    """A file to download: its name here, its addresses, and its published length in bytes and hashes."""

    name: str
    addresses: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set by name: its properties, and how to get its images.

    Args:
        name: Its name in `data=NAME`.
        summary: One line for lists.
        images: The number of images N.
        shape: (C, H, W).
        factor_names: The factors; none where none are known.
        factor_sizes: The number of values of each factor, 0 for a continuous one.
        home: Its home page.
        licence: Its licence.
        citation: What to cite.
        draw: Renders the images; None for sets that are read from `store.set_folder(name)`.
        files: What `equipoise data add` downloads; empty for sets that are rendered or downloaded by hand.
        by_hand: What to do where no program may or can download the files, in one or two sentences; otherwise empty.
        convert: Called with the data set, the downloaded file (or the folder of several, or the path the user gave) and
            the folder to write; converts the files to the memory-mapped form with `store.write`. None for sets that
            are rendered.

    Example:
        >>> import numpy as np
        >>> from equipoise.data import Dataset, Images
        >>> def draw():
        ...     return Images(np.zeros((4, 1, 8, 8), np.uint8), name="black")
        >>> Dataset("black", "4 black images", 4, (1, 8, 8), (), (), "", "CC0", "", draw=draw).load()
        Images(black: 4 of (1, 8, 8), factors: none)
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
    convert: Callable[["Dataset", Path, Path], None] | None = None

    @property
    def state(self) -> Literal["rendered", "here", "not here"]:
        """Whether the images are rendered, or available locally."""
        if self.draw is not None:
            return "rendered"
        return "here" if (store.set_folder(self.name) / "about.json").exists() else "not here"

    def load(self) -> Images:
        """The images, rendered or memory-mapped from where `equipoise data add` wrote them.

        Raises:
            InputError: The set was not added yet, or its folder is damaged.
        """
        if self.draw is not None:
            return self.draw()
        images = store.read(store.set_folder(self.name))
        if images is None:
            raise self.missing()
        return images

    def missing(self) -> InputError:
        """The error for a data set that was not added yet."""
        command = f"equipoise data add {self.name}" + ("" if self.files else " --from PATH")
        return InputError(
            f"{self.name} is not available locally; add it once with `{command}` "
            f"(`equipoise data info {self.name}` describes it)"
        )
