"""The settings of [data]."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from equipoise.data import intensity
from equipoise.errors import InputError

SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")
"""Codes in Python's notation of a slice, such as ::2 or 0:8."""


def _codes(value: object) -> object:
    """A code, several of them, or a slice; a list becomes a tuple."""
    value = tuple(value) if isinstance(value, list) else value
    values = value if isinstance(value, tuple) else (value,)
    if (values and all(type(code) is int for code in values)) or (isinstance(value, str) and SLICE.fullmatch(value)):
        return value
    raise PydanticCustomError(
        "codes", "expected a code such as 2, codes such as [0, 2], or a slice such as ::2 or 0:8 (in quotes in a file)"
    )


def _columns(value: object) -> object:
    """Names of columns as a tuple, also from the text `[shape, size]`."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        return tuple(name.strip().strip("'\"") for name in value[1:-1].split(",") if name.strip())
    return tuple(value) if isinstance(value, list) else value


def _several(value: object) -> object:
    """Names or numbers as a tuple, as `_columns`, also from a single one."""
    values = _columns(value)
    return values if values is None or isinstance(values, tuple) else (values,)


Codes = dict[str, Annotated[int | str | tuple[int, ...], BeforeValidator(_codes)]]
"""Codes by the name of their factor."""

Name = Annotated[str, Field(min_length=1)]


def _source(value: object) -> object:
    """A number of images, a share of them, or a path."""
    is_number = type(value) is int and value >= 2
    if is_number or (type(value) is float and 0 < value <= 1) or (isinstance(value, str) and value):
        return value
    raise PydanticCustomError("labels", "expected 2 or more images, a share such as 0.01, or the path of a table")


def _with_source(value: object) -> object:
    """Anything but a table of settings as the source of one."""
    return value if value is None or isinstance(value, dict | LabelSettings) else {"source": value}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class LabelSettings:
    """A few labelled images, of which chosen latents learn chosen factors."""

    source: Annotated[
        int | float | str,
        BeforeValidator(_source),
        Field(
            description="the labelled images: their number or share of the training images, drawn with data.seed from "
            "images with factors, or the path of a table with a row for each and a column for each factor; empty "
            "cells are allowed"
        ),
    ]
    factors: Annotated[
        Annotated[tuple[Name, ...], Field(min_length=1)] | None,
        BeforeValidator(_several),
        Field(description="factors to learn; unset: all"),
    ] = None
    latents: Annotated[
        Annotated[tuple[Annotated[int, Field(strict=True, ge=0)], ...], Field(min_length=1)] | None,
        BeforeValidator(_several),
        Field(description="the latent of each factor, from 0; unset: 0, 1, 2 and so on"),
    ] = None
    loss: Annotated[
        Literal["cross-entropy", "regression"],
        Field(
            description="cross-entropy: between the factor, scaled to 0..1, and the sigmoid of the mean; regression: "
            "half the squared distance between the mean and the factor, scaled to mean 0 and variance 1"
        ),
    ] = "cross-entropy"
    weight: Annotated[float, Field(strict=True, ge=0, description="weight of the term, in nats per image")] = 100.0
    until: Annotated[
        float, Field(strict=True, ge=0, le=1, description="fraction of the schedule over which the weight rises from 0")
    ] = 0.0


Labels = Annotated[LabelSettings | None, BeforeValidator(_with_source)]
"""Settings of labelled images, or their source alone."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class Data:
    """[data] the images to train on and to score."""

    name: Annotated[
        str, Field(min_length=1, description="a data set (`equipoise list data`) or the path of images of your own")
    ]
    size: Annotated[int | None, Field(ge=8, description="resize the images to this many pixels a side")] = None
    crop: Annotated[
        int | None, Field(ge=8, description="first cut out a centred square of this many pixels a side")
    ] = None
    grey: Annotated[bool, Field(description="convert images of your own to grey")] = False
    range: Annotated[
        str | None,
        Field(
            description="LOW:HIGH, the values in image files that become 0 and 255, such as 0:4095, or percentiles of "
            "all images such as 0.1%:99.9%; default: the whole range of 8 or 16 bits, 0:1 for floats"
        ),
    ] = None
    key: Annotated[
        Name | None,
        Field(
            description="the array of the images in an .npz or HDF5 file, default: images; or in an .h5ad, default: X"
        ),
    ] = None
    scaling: Annotated[
        Literal["standardize", "minmax", "none"] | None,
        Field(
            description="of each column of vectors: standardize, to mean 0 and standard deviation 1, which is their "
            "default; minmax, to 0..1; none"
        ),
    ] = None
    factors: Annotated[
        Name | Annotated[tuple[str, ...], Field(min_length=1)] | None,
        BeforeValidator(_columns),
        Field(
            description="factors of images of your own: the path of a table, `folders` to use the sub-folders, or "
            "columns such as [shape, size] of factors.csv, or of the table whose path is before them",
        ),
    ] = None
    skip_damaged: Annotated[bool, Field(description="leave out images of a folder that cannot be read")] = False
    keep: Annotated[
        Codes | None,
        Field(description="only images with these codes of these factors, such as data.keep.shape=[0,2]; default: all"),
    ] = None
    n: Annotated[int | None, Field(ge=1, description="use a random sample of this many images; default: all")] = None
    split: Annotated[
        tuple[float, ...],
        Field(
            description="fractions of a random split: train on the first part, score the last one ([0.85, 0.075, "
            "0.075] in the L-VAE paper); default: train on and score all images, as is usual without labels"
        ),
    ] = ()
    leave_out: Annotated[
        Codes | None,
        Field(
            description="do not train on images with these codes of all these factors together, such as "
            "data.leave_out.shape=0 data.leave_out.pos_x=16:"
        ),
    ] = None
    correlate: Annotated[
        tuple[str, str] | None, Field(description="two factors to correlate in the training images; default: none")
    ] = None
    sigma: Annotated[
        float | None,
        Field(
            gt=0, description="width of that correlation, as a fraction of a factor's range: 0.2 is strong, 0.7 is weak"
        ),
    ] = None
    scored: Annotated[
        Literal["train", "validation", "test", "all", "left_out"] | None,
        Field(
            description="images to score: train: the training images; validation, test: the second and last part of "
            "the split; all: all parts; left_out: those of leave_out; default: test, or all without a split"
        ),
    ] = None
    seed: Annotated[int, Field(ge=0, description="seed of n, split, correlate and the choice of labelled images")] = 0

    @property
    def reading(self) -> dict[str, Any]:
        """The keyword arguments of `load_data`."""
        names = ("size", "crop", "grey", "range", "key", "factors", "skip_damaged", "scaling")
        return {name: getattr(self, name) for name in names}


def check(data: Data) -> None:
    """Raises `InputError` for fractions that do not add up to 1, and for settings that require others."""
    intensity.parse(data.range)
    split = data.split
    if split:
        check_fractions(split)
    if (data.correlate is None) != (data.sigma is None):
        raise InputError(
            "data.correlate names two factors and data.sigma sets how strongly they are correlated; set both, such as "
            'data.correlate=["pos_x","pos_y"] data.sigma=0.2'
        )
    if data.scored == "validation" and len(split) < 3:
        raise InputError(
            f"data.scored is validation, but data.split has {len(split)} parts; give three, such as "
            f"data.split=[0.85,0.075,0.075]"
        )
    if data.scored == "test" and not split:
        raise InputError(
            "data.scored is test, but there is no split; set data.split=[0.85,0.15], or remove data.scored"
        )
    if data.scored == "left_out" and not data.leave_out:
        raise InputError("data.scored is left_out, but data.leave_out is not set; set it, or remove data.scored")


def check_fractions(split: Sequence[float]) -> None:
    """Raise `InputError` unless there are two or more positive fractions whose sum is 1, up to rounding."""
    if len(split) < 2 or not min(split) > 0 or not abs(sum(split) - 1) <= 1e-6:
        raise InputError(f"data.split is {list(split)}; expected two or more positive fractions whose sum is 1")
