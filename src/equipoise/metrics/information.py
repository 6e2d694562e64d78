"""Metrics of mutual information between latents and factors, from binned codes.

All use the same contingency tables, which are counted once for the metrics that `score` computes together. The defaults
are 20 bins of the raw range and labels as they are, the settings of Locatello et al. 2019; the convention "carbonneau"
has 10 unit bins for codes and factors, as the code of the 2022 review of metrics.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import choose
from equipoise.metrics.discretise import (
    Edges,
    Ints,
    binned_codes,
    entropy,
    factor_labels,
    gap,
    mutual_information,
    tables,
)
from equipoise.metrics.inputs import Pair, once, pair, warn
from equipoise.metrics.result import Floats, Metric, Score

Dead = Literal["omit", "zero"]

_ROUNDING = 1e-10  # nats: smaller values, and smaller differences between two latents, count as 0


@dataclass(frozen=True)
class _Information:
    """Information in the tables of the used factors and the binned codes, in nats.

    Attributes:
        mutual: [K', L], mutual information.
        of_factors: [K'], entropy of the labels.
        of_codes: [L], entropy of the bins.
    """

    mutual: Floats
    of_factors: Floats
    of_codes: Floats

    @property
    def explained(self) -> Floats:
        """[K', L], fraction of each latent's entropy that each factor explains; 0 for a latent in one bin."""
        return _ratio(self.mutual, self.of_codes)


def _ratio(information: Floats, largest: Floats) -> Floats:
    """Return information [K', L] divided by its largest possible value for each latent, [L]; 0 where that is 0."""
    return np.divide(information, largest, out=np.zeros_like(information), where=largest > 0)


def _informed(
    codes: ArrayLike, factors: ArrayLike, bins: int, edges: Edges, factor_bins: int | None
) -> tuple[Pair, _Information]:
    """Return the checked data and its information."""
    data = pair(codes, factors)
    if len(data.codes) < bins:
        warn(f"fewer rows than bins ({len(data.codes)} < {bins}): mutual information is then mostly bias")
    cells = binned_codes(codes, data.codes, bins, edges)
    return data, once(codes, ("information", bins, edges, factor_bins), lambda: _count(data, cells, bins, factor_bins))


def _count(data: Pair, cells: Ints, bins: int, factor_bins: int | None) -> _Information:
    """Return the information of `cells`, the bin of each code [N, L], about the factors."""
    counts = [tables(labels, values, cells, bins) for labels, values in factor_labels(data, factor_bins, "unit", bins)]
    return _Information(
        mutual=np.stack([mutual_information(table) for table in counts]),
        of_factors=np.array([entropy(table[:, 0].sum(axis=1)) for table in counts]),
        of_codes=entropy(counts[0].sum(axis=0)),
    )


def mig(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    normalise: Literal["factor", "code"] = "factor",
    factor_bins: int | None = None,
    strict: bool = False,
) -> Score:
    """Mutual information gap: information about each factor in its best latent, minus that in the second best.

    The gap I(y_k; c_j) between the two latents is divided by an entropy and averaged over factors. It measures
    completeness: a copy of a latent lowers it.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats.
        bins: number of bins of each latent.
        edges: bins over the raw "range" of a latent, or over its range scaled to [0, 1], "unit".
        normalise: divide by the entropy of the "factor", as published, or of the "code", as in the 2022 review. The
            second divides the two latents of a gap by different numbers and favours codes of low entropy.
        factor_bins: cut every factor into this number of unit bins; None cuts only continuous factors, into `bins`.
        strict: with "code", return NaN if a latent is constant, as the code of the 2022 review does; otherwise it is
            left out.

    Returns:
        A score in [0, 1]; `matrix` is I(y_k; c_j) in nats. A factor with more values than `bins` keeps perfect codes
        below 1 (at about 0.90 for dSprites); `score` computes this ceiling as `attainable`.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for fewer than 2 bins.

    Source:
        Chen et al. 2018, Isolating sources of disentanglement in VAEs, section 4.1, https://arxiv.org/abs/1802.04942

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> mig(factors + 0.0, factors).per_factor.round(1)
        array([1., 1.])
    """
    choose("normalise", normalise, ("factor", "code"))
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    if normalise == "factor":
        gaps = gap(information.mutual / information.of_factors[:, None])
    elif strict and not data.live.all():
        gaps = np.full(len(data.columns), np.nan)
    else:
        gaps = gap(information.explained)
    constant = data.constant if normalise == "code" else {}
    return data.score(gaps.mean(), per_factor=gaps, matrix=information.mutual, left_out=constant)


def mig_sup(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    factor_bins: int | None = None,
    dead: Dead = "omit",
    strict: bool = False,
) -> Score:
    """Mutual information gap of latents: information of each latent about its best factor, minus the second best.

    The gap I(y_k; c_j) / H(c_j) between the two factors is averaged over latents. It measures disentanglement where
    `mig` measures completeness: a copy of a latent does not lower it, and a latent of noise does (three of them beside
    seven perfect ones leave at most 0.7). Other arguments, and errors, are those of `mig`.

    Args:
        dead: leave constant latents out of the mean ("omit") or count them as 0 ("zero").
        strict: return NaN if a latent is constant, as the code of the 2022 review does.

    Returns:
        A score in [0, 1], 0 if all latents are constant; `matrix` is I(y_k; c_j) in nats.

    Source:
        Li et al. 2020, Progressive learning and disentanglement of hierarchical representations,
        https://arxiv.org/abs/2002.10549

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(mig_sup(factors + 0.0, factors).value, 1)
        1.0
    """
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    return _over_latents(gap(information.explained.T), data, information, dead, strict, of_none=0.0)


def _over_latents(
    scores: Floats, data: Pair, information: _Information, dead: Dead, strict: bool, of_none: float = math.nan
) -> Score:
    """Return the mean of scores [L] as a score; `of_none` if no latent is left."""
    choose("dead", dead, ("omit", "zero"))
    counts = data.live | (dead == "zero")
    scores = np.where(data.live, scores, np.where(counts, 0.0, np.nan))
    value = scores[counts].mean() if counts.any() else of_none
    value = math.nan if strict and not data.live.all() else value
    constant = data.constant if dead == "omit" else {}
    return data.score(value, per_latent=scores, matrix=information.mutual, left_out=constant)


def modularity(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    factor_bins: int | None = None,
    dead: Dead = "omit",
    strict: bool = False,
) -> Score:
    """Modularity: whether the mutual information of each latent is with one factor only, however small it is.

    A latent scores 1 minus the sum of I(y_k; c_j)^2 over all factors but its best, divided by K - 1 and by the square
    for the best; 0 if it has no information at all. The score is the mean over latents. Arguments and errors are those
    of `mig_sup`; Locatello et al. count constant latents as 0.

    Returns:
        A score in [0, 1], NaN for one factor or if no latent is left; `matrix` is I(y_k; c_j) in nats. The size of I
        cancels, so noise scores what the bias of I makes of it: 0.55 to 0.7 for factors with unequal numbers of
        values, 0.05 to 0.13 for two with 40 values each. Compare with the `baseline` that `score` computes.

    Source:
        Ridgeway and Mozer 2018, Learning deep disentangled embeddings with the F-statistic loss,
        https://arxiv.org/abs/1802.05312

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(modularity(factors + 0.0, factors).value, 2)
        1.0
    """
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    rest = len(data.columns) - 1
    if rest == 0:
        warn("modularity: with one factor there is nothing to tell apart")
    best = information.mutual.max(axis=0)
    others = (_ratio(information.mutual, best) ** 2).sum(axis=0) - 1
    scores = np.where(best > _ROUNDING, 1 - others / rest, 0.0) if rest else np.full(len(best), np.nan)
    return _over_latents(scores, data, information, dead, strict)


def dcimig(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    factor_bins: int | None = None,
) -> Score:
    """DCIMIG: whether each factor has a latent with information about it and about no other factor.

    Each latent belongs to the factor about which it has most information, and has its gap to the next factor. A factor
    scores the largest gap among its latents, 0 if it has none. The sum over factors is divided by the sum of their
    entropies. Arguments and errors are those of `mig`.

    Returns:
        A score in [0, 1]; `per_factor` is the gap divided by the entropy of the factor, `matrix` I(y_k; c_j) in nats.
        As in `mig`, perfect codes can stay below 1; see `attainable`.

    Source:
        Sepliarskaia et al. 2019, How to not measure disentanglement, https://arxiv.org/abs/1910.05587

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(dcimig(factors + 0.0, factors).value, 1)
        1.0
    """
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    gaps = np.zeros(len(data.columns))
    np.maximum.at(gaps, information.mutual.argmax(axis=0), gap(information.mutual.T))
    entropies = information.of_factors
    return data.score(gaps.sum() / entropies.sum(), per_factor=gaps / entropies, matrix=information.mutual)


def jemmig(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    factor_bins: int | None = None,
) -> Score:
    """JEMMIG: whether one latent alone has the information about each factor, and no other information.

    With c the latent that has most information about y_k, a factor scores 1 - (H(y_k, c) - I(y_k; c) + I(y_k; second
    best latent)) / (H(y_k) + log bins): the joint entropy H(y_k, c) is larger the more else the latent encodes. The
    score is the mean over factors. Among latents with equal information, the one with the smallest joint entropy is
    used, since rounding would choose arbitrarily. Arguments and errors are those of `mig`.

    Returns:
        A score in [0, 1]; `matrix` is I(y_k; c_j) in nats. Codes without information do not score 0: normal noise has
        0.11 with the factors of dSprites, constant codes log bins / (H + log bins), 0.69 for 3 to 5 values in 20 bins.
        Compare with the `baseline` that `score` computes and, for factors with more values than `bins`, with
        `attainable`.

    Source:
        Do and Tran 2020, Theory and evaluation metrics for learning disentangled representations,
        https://arxiv.org/abs/1908.09961

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(jemmig(factors + 0.0, factors).value, 1)
        1.0
    """
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    best = information.mutual.max(axis=1, keepdims=True)
    joint = information.of_factors[:, None] + information.of_codes - information.mutual
    least = np.where(information.mutual >= best - _ROUNDING, joint, np.inf).min(axis=1)
    scores = 1 - (least - gap(information.mutual)) / (information.of_factors + math.log(bins))
    return data.score(scores.mean(), per_factor=scores, matrix=information.mutual)


def minimality(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 15,
    edges: Edges = "range",
    factor_bins: int | None = None,
    dead: Dead = "omit",
    strict: bool = False,
) -> Score:
    """Minimality: whether each latent has information about one factor and no other information.

    It is the mean over latents of I(y_k; c_j) / H(c_j) for the best factor. Unlike a gap, it does not fall if the
    factors depend on each other, as long as a latent encodes nothing beyond its factor. Arguments and errors are those
    of `mig_sup`.

    Returns:
        A score in [0, 1], 0 if all latents are constant; `matrix` is I(y_k; c_j) in nats.

    Source:
        Almudevar & Ortega 2024, Rethinking disentanglement under dependent factors of variation,
        https://arxiv.org/abs/2408.07016

    Example:
        >>> first = np.random.default_rng(0).integers(4, size=(1000, 1))
        >>> dependent = np.hstack([first, first // 2])
        >>> round(minimality(dependent + 0.0, dependent).value, 2), round(mig(dependent + 0.0, dependent).value, 2)
        (1.0, 0.25)
    """
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    return _over_latents(information.explained.max(axis=0), data, information, dead, strict, of_none=0.0)


def sufficiency(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 15,
    edges: Edges = "range",
    factor_bins: int | None = None,
) -> Score:
    """Sufficiency: whether one latent has all information about each factor.

    It is the mean over factors of I(y_k; c_j) / H(y_k) for the best latent. It does not fall if the factors depend on
    each other, nor if other latents have the information too. Arguments and errors are those of `mig`.

    Returns:
        A score in [0, 1]; `matrix` is I(y_k; c_j) in nats. As in `mig`, perfect codes can stay below 1; see
        `attainable`.

    Source:
        Almudevar & Ortega 2024, Rethinking disentanglement under dependent factors of variation,
        https://arxiv.org/abs/2408.07016

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> sufficiency(factors[:, :1] + 0.0, factors).per_factor.round(1)
        array([1., 0.])
    """
    data, information = _informed(codes, factors, bins, edges, factor_bins)
    shares = information.mutual.max(axis=1) / information.of_factors
    return data.score(shares.mean(), per_factor=shares, matrix=information.mutual)


_CARBONNEAU = {"bins": 10, "edges": "unit", "factor_bins": 10}
_LOCATELLO = {"bins": 20, "edges": "range", "factor_bins": None}

METRICS = {
    "mig": Metric(
        mig,
        range=(0.0, 1.0),
        conventions={
            "carbonneau": {**_CARBONNEAU, "normalise": "code"},
            "locatello": {**_LOCATELLO, "normalise": "factor"},
        },
        has_ceiling=True,
        is_headline=True,
    ),
    "mig_sup": Metric(mig_sup, range=(0.0, 1.0), conventions={"carbonneau": _CARBONNEAU}),
    "dcimig": Metric(dcimig, range=(0.0, 1.0), conventions={"carbonneau": _CARBONNEAU}, has_ceiling=True),
    "jemmig": Metric(
        jemmig, range=(0.0, 1.0), conventions={"carbonneau": _CARBONNEAU}, has_baseline=True, has_ceiling=True
    ),
    "modularity": Metric(
        modularity,
        range=(0.0, 1.0),
        conventions={"carbonneau": _CARBONNEAU, "locatello": {**_LOCATELLO, "dead": "zero"}},
        has_baseline=True,
    ),
    "minimality": Metric(minimality, range=(0.0, 1.0)),
    "sufficiency": Metric(sufficiency, range=(0.0, 1.0), has_ceiling=True),
}
