"""Images and their factors of variation: the one form in which data is used."""

import copy
import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import escape

from equipoise.data import sheet
from equipoise.data.columns import Columns, Scaling, Values
from equipoise.data.factors import Factors, check_factors, check_grid, check_names
from equipoise.data.pixels import Bytes, Indices, Pixels, blocks, from_array
from equipoise.data.resize import resized
from equipoise.data.settings import check_fractions
from equipoise.errors import InputError

FIRST = 16  # images in a notebook


class Images:
    """N images of C channels and H x W pixels, with the K factors of variation they were made from if these are known.

    `name`, `shape`, `factors`, `factor_names`, `factor_sizes`, `factor_values`, `files` and `limits` may be read, but
    not changed.

    Args:
        pixels: uint8 [N, C, H, W], 0..255; or black and white pictures packed to bits, uint8 [N, C*H*W/8] in the order
            of `numpy.packbits` with `shape`; in memory or memory-mapped, not copied. Or `equipoise.data.pixels.Pixels`,
            which compute them for each batch.
        name: The name in messages and reports.
        shape: (C, H, W); only needed for packed pixels.
        factors: A table [N, K] with a column for each factor, codes 0..V-1 or floats; "grid" for every combination of
            `factor_sizes` once, the last factor varying fastest; None if no factors are known.
        factor_names: K different names; default: factor_0, factor_1 and so on.
        factor_sizes: The number of values V of each factor, 0 for a continuous one. Default: V is the largest code + 1
            for a table of whole numbers, and 0 for a table of floats.
        factor_values: For some factors the names of their V values, as {"shape": ("square", "ellipse", "heart")}; for
            the legends of figures.
        source: Where the images come from, for `describe`.
        licence: Their licence, for `describe`.
        citation: What to cite, for `describe`.
        digest: The value of `digest()`, if it is known without reading all pixels.
        files: The name of the file of each image, if each has one.
        limits: The values in the files that became 0 and 255, if they are not those of the type.

    Raises:
        InputError: The arguments do not fit each other.

    Example:
        >>> import numpy as np
        >>> from equipoise import Images
        >>> pixels = np.zeros((6, 1, 8, 8), np.uint8)
        >>> images = Images(pixels, name="toy", factors="grid", factor_names=["row", "column"], factor_sizes=[2, 3])
        >>> images
        Images(toy: 6 of (1, 8, 8), factors: row 2, column 3)
        >>> images.subset([1, 4]).factors.tolist()
        [[0, 1], [1, 1]]
    """

    def __init__(
        self,
        pixels: Bytes | Pixels,
        *,
        name: str,
        shape: tuple[int, int, int] | None = None,
        factors: npt.ArrayLike | Literal["grid"] | None = None,
        factor_names: Sequence[str] | None = None,
        factor_sizes: Sequence[int] = (),
        factor_values: Mapping[str, Sequence[str]] | None = None,
        source: str | None = None,
        licence: str | None = None,
        citation: str | None = None,
        digest: str | None = None,
        files: Sequence[str] | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.limits, self._files = limits, files
        self.name, self.source, self.licence, self.citation = name, source, licence, citation
        self._pixels = from_array(pixels, shape, name) if isinstance(pixels, np.ndarray) else pixels
        self.shape = self._pixels.shape
        self._rows: Indices | None = None  # of the pixels, for a subset
        self._whole: Images | None = None  # of which this is a subset
        self._digest = digest
        self._table: Factors | None = None  # a row for each picture in `_pixels`; a grid needs none
        if isinstance(factors, str):
            self.factor_sizes = tuple(factor_sizes)
            check_grid(self.factor_sizes, len(self._pixels), name)
        elif factors is not None:
            self._table, self.factor_sizes = check_factors(
                np.asarray(factors), tuple(factor_sizes), len(self._pixels), name
            )
        else:
            self.factor_sizes = ()
        self.factor_names, self.factor_values = check_names(factor_names, self.factor_sizes, factor_values or {}, name)
        self._sorted: dict[int, tuple[Indices, Indices]] = {}

    def __len__(self) -> int:
        """The number of images N."""
        return len(self._pixels) if self._rows is None else len(self._rows)

    def __repr__(self) -> str:
        """Name, number, shape and factors."""
        factors = ", ".join(f"{name} {size}" for name, size in zip(self.factor_names, self.factor_sizes, strict=True))
        return f"Images({self.name}: {len(self):,} of {self.shape}, factors: {factors or 'none'})"

    def _repr_html_(self) -> str:
        """Name, number, shape, factors and the first images, for notebooks."""
        text, first = f"<p>{escape(repr(self))}</p>", np.arange(min(len(self), FIRST))
        return text if self.scaling is not None else text + sheet.element(sheet.png(self.pixels(first)))

    @cached_property
    def factors(self) -> Factors | None:
        """The factors, int64 codes [N, K] in 0..V-1, or float64 if some are continuous; None if they are not known."""
        if self._table is not None:
            return self._table if self._rows is None else self._table[self._rows]
        if not self.factor_sizes:
            return None
        return np.stack([self._codes(k) for k in range(len(self.factor_sizes))], axis=1)

    @property
    def scaling(self) -> Scaling | None:
        """The columns of vectors and their scaling; None for pictures."""
        return self._pixels.scaling if isinstance(self._pixels, Columns) else None

    @property
    def files(self) -> list[str] | None:
        """The name of the file of each image, [N]; None if the images are not from files."""
        return None if self._files is None else [self._files[row] for row in self.rows]

    @property
    def whole(self) -> "Images":
        """The images of which these are a subset, or these."""
        return self if self._whole is None else self._whole

    @property
    def rows(self) -> Indices:
        """The number [N] of each image among those of `whole`."""
        return np.arange(len(self._pixels)) if self._rows is None else self._rows

    def factor(self, name: str) -> Indices:
        """Codes of one factor.

        Args:
            name: One of `factor_names`.

        Returns:
            int64 [N] in 0..V-1.

        Raises:
            InputError: There is no such factor, or it is continuous.
        """
        return self._codes(self._number(name))

    def pixels(self, index: npt.ArrayLike) -> Bytes:
        """Pixels of some images as bytes.

        Args:
            index: Numbers of images, [B] in 0..N-1.

        Returns:
            A new array, uint8 [B, C, H, W] in 0..255; of vectors the scaled values, float32 [B, 1, 1, V].

        Raises:
            InputError: A number is not in 0..N-1.
        """
        return self._pixels.bytes(self._pixel_rows(index))

    def floats(self, index: npt.ArrayLike) -> torch.Tensor:
        """Pixels of some images as floats, as they are used in training.

        Args:
            index: Numbers of images, [B] in 0..N-1.

        Returns:
            The bytes divided by 255, float32 [B, C, H, W] in [0, 1], on the CPU; of vectors the scaled values.

        Raises:
            InputError: A number is not in 0..N-1.
        """
        values = torch.from_numpy(self._pixels.bytes(self._pixel_rows(index)))
        return values if self.scaling is not None else values.to(torch.float32).div_(255)

    def vectors(self) -> Values:
        """Values of vectors in the units of the data, float64 [N, V]. Raises `InputError` for pictures."""
        if self.scaling is None:
            raise InputError(f"{self.name} has images, not vectors; read their pixels")
        return self.scaling.restore(self.pixels(np.arange(len(self))))

    def subset(self, index: npt.ArrayLike) -> "Images":
        """Some of the images, without a copy of the pixels.

        Args:
            index: Numbers of images, [n] in 0..N-1.

        Returns:
            The images at `index`, in that order.

        Raises:
            InputError: The index is empty, or a number is not in 0..N-1.
        """
        part = copy.copy(self)
        part._rows, part._whole, part._digest = self._pixel_rows(index), self.whole, None
        part._sorted = {}
        part.__dict__.pop("factors", None)  # the cached table of all images
        if not len(part):
            raise InputError(f"{self.name}: a subset needs at least one image")
        return part

    def resize(self, size: int) -> "Images":
        """The same images at another size, resized batch by batch.

        If their sides are multiples of `size`, each block of pixels is replaced by its rounded mean. Otherwise they are
        resized with Lanczos' filter.

        Args:
            size: The new side in pixels.

        Returns:
            The images at `size` x `size` pixels, whose source and digest include the size; these images if they have
            that size already.

        Example:
            >>> import numpy as np
            >>> from equipoise import Images
            >>> picture = np.array([[0, 255], [255, 255]], np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            >>> Images(picture[None, None], name="toy").resize(1).pixels([0]).tolist()
            [[[[191]]]]
        """
        if self.shape[1:] == (size, size):
            return self
        part = copy.copy(self)
        part._pixels = resized(self._pixels, size)
        part.shape = part._pixels.shape
        part._whole = None if self._whole is None else self._whole.resize(size)
        part._digest = None if self._digest is None else f"{self._digest} {size}x{size}"
        part.source = f"{self.source or self.name}, resized to {size} x {size}"
        return part

    def split(self, fractions: Sequence[float], seed: int = 0) -> tuple["Images", ...]:
        """Split the images at random into disjoint parts.

        Args:
            fractions: The fraction of each part, two or more, positive, with the sum 1.
            seed: The same seed gives the same parts.

        Returns:
            One part for each fraction, in the order of the images.

        Raises:
            InputError: There are not two or more positive fractions whose sum is 1, or a part is empty.

        Example:
            >>> import numpy as np
            >>> from equipoise import Images
            >>> images = Images(np.zeros((10, 1, 8, 8), np.uint8), name="toy")
            >>> [len(part) for part in images.split([0.8, 0.2])]
            [8, 2]
        """
        check_fractions(fractions)
        ends = np.rint(np.cumsum(fractions) * len(self)).astype(np.int64)
        # Not the seed alone: a run encodes the first images of the permutation of seed 0, all of one part.
        parts = np.split(np.random.default_rng([seed, *b"split"]).permutation(len(self)), ends[:-1])
        if any(part.size == 0 for part in parts):
            raise InputError(
                f"data.split: {list(fractions)} of {len(self)} images leaves a part empty; give larger fractions"
            )
        return tuple(self.subset(np.sort(part)) for part in parts)

    def sample(self, n: int, rng: np.random.Generator, fixed: Mapping[str, int] | None = None) -> Indices:
        """Draw images independently and uniformly, with replacement, from those with some codes.

        Args:
            n: How many.
            rng: The generator.
            fixed: The code of each factor that is fixed; {"shape": 2} draws hearts of dSprites.

        Returns:
            Numbers of images, int64 [n].

        Raises:
            InputError: A factor or a code does not exist, a factor is continuous, or no image has these codes.
        """
        codes = dict(self._code(factor, value) for factor, value in (fixed or {}).items())
        if not codes:
            return rng.integers(len(self), size=n)
        if self._table is None and self._rows is None:  # the whole grid: draw the other factors, without a table
            columns = [
                np.full(n, codes[k]) if k in codes else rng.integers(size, size=n)
                for k, size in enumerate(self.factor_sizes)
            ]
            return np.ravel_multi_index(columns, self.factor_sizes)
        matches = min((self._images_with(k, code) for k, code in codes.items()), key=len)
        if len(codes) > 1:
            assert self.factors is not None
            matches = matches[(self.factors[matches][:, list(codes)] == list(codes.values())).all(axis=1)]
        if not matches.size:
            raise InputError(f"{self.name}: no image has {dict(fixed or {})}; fix fewer factors")
        return matches[rng.integers(matches.size, size=n)]

    def digest(self) -> str:
        """A text that identifies these images and factors.

        It is the argument of the constructor or, by default, computed once from all pixels and factors. The digest of a
        subset is computed from that of the whole and the rows.

        Returns:
            A text without line breaks, the same each time the images are loaded.
        """
        if self._digest is None:
            state = hashlib.sha256()
            if self._whole is not None and self._rows is not None:
                state.update(self._whole.digest().encode())
                state.update(self._rows.tobytes())
            else:
                state.update(repr((len(self), self.shape, self.factor_names, self.factor_sizes)).encode())
                for _, pixels in blocks(self.pixels, len(self)):
                    state.update(pixels.tobytes())
                if self.scaling is not None:
                    state.update(repr(self.scaling.to_dict()).encode())
                if self.factors is not None:
                    state.update(np.ascontiguousarray(self.factors).tobytes())
            self._digest = state.hexdigest()
        return self._digest

    def describe(self) -> dict[str, Any]:
        """Properties of the images, ready for JSON.

        Returns:
            Name, number, shape, factors, source, licence, citation and range, None for what is not known; the scaling
            of vectors.
        """
        return {
            "name": self.name,
            "images": len(self),
            "shape": list(self.shape),
            "factor_names": list(self.factor_names),
            "factor_sizes": list(self.factor_sizes),
            "source": self.source,
            "licence": self.licence,
            "citation": self.citation,
            "range": None if self.limits is None else list(self.limits),
        } | ({} if self.scaling is None else {"scaling": self.scaling.to_dict()})

    def _pixel_rows(self, index: npt.ArrayLike) -> Indices:
        """Rows of `_pixels` of the images at `index`."""
        index = np.asarray(index)
        if index.ndim != 1 or (index.dtype.kind not in "iu" and index.size):
            raise InputError(f"an index of images is whole numbers in one row, not {index.dtype} {list(index.shape)}")
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise InputError(
                f"{self.name} has {len(self):,} images, numbered from 0: the index runs from {index.min():,} "
                f"to {index.max():,}"
            )
        index = index.astype(np.int64, copy=False)
        return index if self._rows is None else self._rows[index]

    def _number(self, factor: str) -> int:
        """Number of the factor of this name. Raises `InputError` if it does not exist or is continuous."""
        if factor not in self.factor_names:
            raise InputError(
                f"{self.name} has no factor {factor!r}; it has {', '.join(self.factor_names) or 'no known factors'}"
            )
        k = self.factor_names.index(factor)
        if not self.factor_sizes[k]:
            raise InputError(
                f"{self.name}: the factor {factor} is continuous and has no codes to choose from; choose by another"
            )
        return k

    def _code(self, factor: str, value: int) -> tuple[int, int]:
        """Number of the factor of this name, and the code, both checked."""
        k = self._number(factor)
        size = self.factor_sizes[k]
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < size:
            raise InputError(f"{self.name}: the factor {factor} takes the codes 0..{size - 1}, not {value!r}")
        return k, int(value)

    def _codes(self, k: int) -> Indices:
        """Codes of factor k, int64 [N]."""
        if self._table is None:
            return self.rows // math.prod(self.factor_sizes[k + 1 :]) % self.factor_sizes[k]
        column = self._table[:, k] if self._rows is None else self._table[self._rows, k]
        return column.astype(np.int64, copy=False)

    def _images_with(self, k: int, code: int) -> Indices:
        """The images whose factor k has this code, in order. The first call sorts the factor."""
        if k not in self._sorted:
            codes = self._codes(k)
            order = np.argsort(codes, kind="stable")
            self._sorted[k] = order, codes[order]
        order, codes = self._sorted[k]
        first, end = np.searchsorted(codes, [code, code + 1])
        return order[first:end]
