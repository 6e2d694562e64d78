"""Stage "variants": data for a study with fewer codes, fewer images, gaps in the grid, or correlated factors.

Each function returns a view of its images: no pixel is copied, and codes and sizes of factors do not change. Codes of a
factor are one code (2), several ([0, 2]) or a slice in Python's notation ("::2", ":16").
"""

import operator
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from equipoise.data.images import Images
from equipoise.data.settings import SLICE, Data
from equipoise.errors import InputError

Codes = int | str | Sequence[int]


def keep(images: Images, codes: Mapping[str, Codes]) -> Images:
    """The images whose factors have these codes.

    {"shape": [0, 2], "orientation": "::2"} keeps squares and hearts of dSprites in every second orientation. Raises
    `InputError` for factors and codes that do not exist, for continuous factors, and if no image is left.
    """
    matches = np.flatnonzero(_match(images, codes))
    if not matches.size:
        raise InputError(f"{images.name}: no image has the codes {_describe(codes)} together; keep more of them")
    return images.subset(matches)


def leave_out(images: Images, codes: Mapping[str, Codes]) -> Images:
    """All images except those whose factors have these codes together, which `keep` returns.

    {"shape": 0, "pos_x": "16:"} leaves a gap in the grid of dSprites: squares are never on the right, but hearts and
    ellipses are, as in the "recombination to range" of Montero et al. 2021, https://openreview.net/forum?id=qbH974jKUVy.
    Raises `InputError` as `keep` does, and if nothing or everything would be left out.
    """
    matches = _match(images, codes)
    if not matches.any() or matches.all():
        fault, remedy = ("all images have", "name fewer") if matches.all() else ("no image has", "name others")
        raise InputError(f"{images.name}: {fault} the codes {_describe(codes)} that are to be left out; {remedy}")
    return images.subset(np.flatnonzero(~matches))


def random_subset(images: Images, n: int, seed: int = 0) -> Images:
    """A random sample of n images, in their order. Raises `InputError` if there are fewer than n."""
    if not 1 <= n <= len(images):
        raise InputError(
            f"data.n is {n:,} but {images.name} has {len(images):,} images; set data.n from 1 to that many"
        )
    rng = np.random.default_rng([seed, *b"n"])  # not the numbers that `Images.split` draws from the same seed
    return images.subset(np.sort(rng.permutation(len(images))[:n]))


def correlate(images: Images, first: str, second: str, sigma: float, seed: int = 0) -> Images:
    """A sample of the same size in which two factors are correlated: p(a, b) ~ exp(-(a - b)^2 / (2 sigma^2)).

    a and b are the codes of the factors, each scaled from 0 for the smallest to 1 for the largest code of the images;
    images of equal a and b are equally probable. An image with the expected count m is in the sample m times, rounded
    up or down: no image is repeated without need, and each occurs once if sigma is large. Raises `InputError` for
    factors that do not exist, are continuous or have one code only, and for sigma that is not positive.

    Source: Träuble et al. 2021, On Disentangled Representations Learned from Correlated Data,
    https://arxiv.org/abs/2006.07886; there (a - alpha b) of codes that are not scaled, alpha the ratio of their ranges.
    """
    if first == second:
        raise InputError(f"data.correlate names {first} twice; name two factors")
    if not sigma > 0:
        raise InputError(f"data.sigma is {sigma}; give a positive width, such as 0.2 for a strong correlation")
    a, b = _scale_codes(images, first), _scale_codes(images, second)
    cell = images.factor(first) * (images.factor(second).max() + 1) + images.factor(second)
    # The smallest exponent is subtracted, so that a small sigma leaves the images nearest the line and not only zeros.
    exponent = ((a - b) / sigma) ** 2 / 2
    p = np.exp(exponent.min() - exponent) / np.bincount(cell)[cell]
    # Systematic resampling: n equidistant points on a line on which each image has an interval of length p. The images
    # are shuffled first, since the distance could coincide with a period of the grid.
    rng = np.random.default_rng([seed, *b"correlate"])
    order = rng.permutation(len(images))
    ends = np.cumsum(p[order])
    points = (np.arange(len(images)) + rng.random()) / len(images) * ends[-1]
    sample = np.minimum(np.searchsorted(ends, points, side="right"), len(images) - 1)
    return images.subset(np.sort(order[sample]))


def prepare(images: Images, data: Data) -> tuple[Images, Images]:
    """The images to train on and those to score, after these steps: keep, n, split, leave out, correlate.

    The last two change only the training images, the first part of the split, so that the scored images have the
    original factors unless `data.scored` selects others. Raises `InputError` for settings that do not fit the images.
    """
    whole = keep(images, data.keep) if data.keep else images
    whole = random_subset(whole, data.n, data.seed) if data.n else whole
    parts = whole.split(data.split, data.seed) if data.split else (whole,)
    train = leave_out(parts[0], data.leave_out) if data.leave_out else parts[0]
    if data.correlate and data.sigma:
        train = correlate(train, *data.correlate, data.sigma, data.seed)
    match data.scored:
        case "train":
            return train, train
        case "validation":
            return train, parts[1]
        case "all":
            return train, whole
        case "left_out":
            return train, keep(whole, data.leave_out or {})
        case "test" | None:
            return train, parts[-1]


def _match(images: Images, codes: Mapping[str, Codes]) -> npt.NDArray[np.bool_]:
    """Whether the factors of each image all have one of the codes, bool [N]."""
    matches = np.ones(len(images), bool)
    for factor, factor_codes in codes.items():
        column = images.factor(factor)
        size = images.factor_sizes[images.factor_names.index(factor)]
        is_allowed = np.zeros(size, bool)
        code_list = _code_list(factor_codes, factor, size, images.name)
        _note_values(factor, code_list, images.factor_values.get(factor, ()))
        is_allowed[code_list] = True
        matches &= is_allowed[column]
    return matches


def _note_values(factor: str, codes: Sequence[int], values: Sequence[str]) -> None:
    """Warn where a code is also a value of the factor, and that of another code."""
    mistakable = [code for code in codes if values and str(code) in values and values[code] != str(code)]
    if mistakable:
        meanings = ", ".join(f"code {code} is {factor} {values[code]}" for code in mistakable[:3])
        warnings.warn(f"{factor} is selected by its codes, not by its values: {meanings}", stacklevel=4)


def _code_list(codes: Codes, factor: str, size: int, name: str) -> list[int]:
    """The codes one by one, checked."""
    if isinstance(codes, str):
        if not (parts := SLICE.fullmatch(codes)) or parts[3] in ("0", "-0"):
            raise InputError(f"{name}: {codes!r} are not codes of {factor}; expected a slice such as ::2 or 0:8")
        code_list = list(range(size)[slice(*(None if part is None else int(part) for part in parts.groups()))])
    else:
        code_list = [operator.index(code) for code in ([codes] if isinstance(codes, int) else codes)]
    if not code_list or min(code_list) < 0 or max(code_list) >= size:
        raise InputError(f"{name}: the factor {factor} takes the codes 0..{size - 1}, not {codes}")
    return code_list


def _scale_codes(images: Images, factor: str) -> npt.NDArray[np.float64]:
    """The codes of a factor, scaled from 0 for the smallest to 1 for the largest code of the images, [N]."""
    codes = images.factor(factor)
    low, high = codes.min(), codes.max()
    if low == high:
        raise InputError(f"{images.name}: the factor {factor} has one code only, {low}; correlate factors that vary")
    return np.asarray((codes - low) / (high - low))


def _describe(codes: Mapping[str, Codes]) -> str:
    return ", ".join(f"{factor} {factor_codes}" for factor, factor_codes in codes.items())
