"""Similarities of single latents and the values of factors, matched one to one, as in the evaluation of DRVI."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from equipoise.errors import choose
from equipoise.metrics.discretise import Ints, binned_codes, entropy, factor_labels, gap, mutual_information, tables
from equipoise.metrics.inputs import Pair, pair, warn
from equipoise.metrics.result import Floats, Metric, Score

Of = Literal["factors", "values"]
Aggregate = Literal["matching", "best", "gap"]


def smi(
    codes: ArrayLike, factors: ArrayLike, *, bins: int = 10, of: Of = "factors", aggregate: Aggregate = "matching"
) -> Score:
    """Scaled mutual information of latents and values of factors, with a latent of its own for each factor.

    The similarity of a latent and a value of a factor is the mutual information of the latent and whether an image has
    that value, divided by the entropy of the latter.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats; continuous ones are cut into 10 bins.
        bins: number of equal bins of the range of each latent.
        of: `factors`: the similarity of a latent and a factor is the mean over the values of the factor. `values`:
            each value of each factor needs a latent of its own, as published, where values are types of cells.
        aggregate: `matching`: the mean over factors of the similarity of their latents, in the one-to-one matching
            with the largest sum; a factor without a latent has 0. `best`: the mean of the largest similarities. `gap`:
            the mean difference of the two largest. In the publication these are LMS, MSAS and MSGS.

    Returns:
        A score in [0, 1]. `matrix` has the similarities of factors and latents, and `extra` the other two aggregates.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for fewer than 2 bins.

    Source:
        Moinfar & Theis 2024, Unsupervised deep disentangled representation of single-cell omics,
        https://doi.org/10.1101/2024.11.06.622266

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(smi(factors + 0.0, factors).value, 2)
        1.0
    """
    data = pair(codes, factors)
    cells = binned_codes(codes, data.codes, bins, "range")
    return _scored(data, lambda labels, values: _information(tables(labels, values, cells, bins)), of, aggregate)


def spn(codes: ArrayLike, factors: ArrayLike, *, of: Of = "factors", aggregate: Aggregate = "matching") -> Score:
    """Share of neighbours along a latent with the same value of a factor, with a latent of its own for each factor.

    The images are sorted by a latent. Of the images with a value of a factor, it is the share whose successor has that
    value too, less the frequency p of the value, divided by 1 - p, and 0 if it is negative. Order and distances of the
    latent do not matter. Arguments and errors are those of `smi`.

    Returns:
        A score in [0, 1]. `matrix` has the similarities of factors and latents, and `extra` the other two aggregates.
        Values of a single image are left out. Images with equal codes are in the order of the rows.

    Source:
        Moinfar & Theis 2024, Unsupervised deep disentangled representation of single-cell omics,
        https://doi.org/10.1101/2024.11.06.622266

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(spn(factors + 0.0, factors).value, 2)
        1.0
    """
    data = pair(codes, factors)
    order = data.codes.argsort(axis=0, kind="stable")
    return _scored(data, lambda labels, values: _neighbours(labels[order], values, data), of, aggregate)


def _information(counts: Ints) -> Floats:
    """Return the similarity [V, L] of values and latents from counts [V, L, bins]: a share of the entropy."""
    whole = counts.sum(axis=0)
    each = [mutual_information(np.stack([of_value, whole - of_value])) for of_value in counts]
    sizes = counts[:, 0].sum(axis=1)
    entropies: Floats = entropy(np.stack([sizes, sizes.sum() - sizes], axis=1))
    return np.minimum(np.stack(each) / entropies[:, None], 1.0)


def _neighbours(ordered: Ints, values: int, data: Pair) -> Floats:
    """Return the similarity [V, L] of values and latents from labels [N, L] in the order of each latent."""
    rows, latents = ordered.shape
    sizes = np.bincount(ordered[:, 0], minlength=values)
    similarity = np.zeros((values, latents))
    for j in np.flatnonzero(data.live):
        first = ordered[:-1, j]
        alike = np.bincount(first[first == ordered[1:, j]], minlength=values)
        similarity[:, j] = alike / np.maximum(sizes - 1, 1) - sizes / rows
    similarity = similarity.clip(min=0) / (1 - sizes / rows)[:, None]
    return np.where(sizes[:, None] > 1, similarity, np.nan)


def _scored(data: Pair, similarity: Callable[[Ints, int], Floats], of: Of, aggregate: Aggregate) -> Score:
    """Return the score of similarities [V, L] of the values of each factor, from its labels [N] and V."""
    choose("of", of, ("values", "factors"))
    choose("aggregate", aggregate, ("matching", "best", "gap"))
    each = [similarity(labels, values) for labels, values in factor_labels(data, None)]
    each = [values[~np.isnan(values[:, 0])] for values in each]
    matrix = np.stack([values.mean(axis=0) if len(values) else np.zeros(values.shape[1]) for values in each])
    targets = matrix if of == "factors" else np.concatenate(each)
    if not len(targets):
        warn("spn: every value of the factors has one row, from which no similarity can be computed, so the score is 0")
        targets = np.zeros((1, data.codes.shape[1]))
    matched = np.zeros(len(targets))
    rows, latents = linear_sum_assignment(targets, maximize=True)
    matched[rows] = targets[rows, latents]
    scores = {"matching": matched, "best": targets.max(axis=1), "gap": gap(targets)}
    others = {name: float(values.mean()) for name, values in scores.items() if name != aggregate}
    per_factor = scores[aggregate] if of == "factors" else None
    return data.score(scores[aggregate].mean(), per_factor=per_factor, matrix=matrix, extra=others)


METRICS = {
    "smi": Metric(smi, range=(0.0, 1.0), has_ceiling=True),
    "spn": Metric(spn, range=(0.0, 1.0)),
}
