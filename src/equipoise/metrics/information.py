"""Metrics of mutual information between latents and factors, from binned codes.

All take the same tables of bins against labels, which are counted once for those that `score` computes together.
Common parameters: `bins` of equal width, cut as `edges` says (see `discretise.binned`), hold each latent; `factor_bins`
cuts every factor into unit bins first, without it continuous factors alone are cut, into `bins`. By default 20 bins of
the raw range and labels as they are, the settings of Locatello et al. 2019; the convention "carbonneau" has 10 unit
bins for both, as the code of the 2022 review of metrics.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

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

_ROUNDING = 1e-10  # nats: less is no information, and no difference between two latents


@dataclass(frozen=True)
class _Counted:
    """What the tables of the kept factors and the binned codes say, in nats.

    Attributes:
        information: [K', L], mutual information.
        of_factors: [K'], entropy of the labels.
        of_codes: [L], entropy of the bins.
    """

    information: Floats
    of_factors: Floats
    of_codes: Floats

    @property
    def shares(self) -> Floats:
        """[K', L], share of each latent's entropy that each factor explains; 0 for a latent in one bin."""
        return _ratio(self.information, self.of_codes)


def _ratio(information: Floats, largest: Floats) -> Floats:
    """Information [K', L] over what bounds it in each latent, [L]; 0 where that is 0."""
    return np.divide(information, largest, out=np.zeros_like(information), where=largest > 0)


def _counted(
    codes: ArrayLike, factors: ArrayLike, bins: int, edges: Edges, factor_bins: int | None
) -> tuple[Pair, _Counted]:
    data = pair(codes, factors)
    if len(data.codes) < bins:
        warn(f"fewer rows than bins ({len(data.codes)} < {bins}): mutual information is then mostly bias")
    cells = binned_codes(codes, data.codes, bins, edges)
    return data, once(codes, ("counted", bins, edges, factor_bins), lambda: _count(data, cells, bins, factor_bins))


def _count(data: Pair, cells: Ints, bins: int, factor_bins: int | None) -> _Counted:
    """What `cells`, the bin of each code [N, L], say of the factors."""
    counts = [tables(labels, values, cells, bins) for labels, values in factor_labels(data, factor_bins, "unit", bins)]
    return _Counted(
        information=np.stack([mutual_information(table) for table in counts]),
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
    """Mutual information gap of binned codes, in [0, 1]: does one latent alone tell a factor?

    Mean over factors of the gap between the two latents that tell most, I(y_k; c_j) divided by `normalise`: the
    entropy of the "factor", as published, or of the "code", as the 2022 review's code has it. The second divides the
    two latents of a gap by different numbers and favours codes of low entropy; a constant latent is then left out of
    the gap unless `strict`, which returns that code's NaN.

    A factor of more values than `bins` cannot give back its entropy, so that a perfect code stays below 1 (at about
    0.90 for the factors of dSprites). `score` returns this ceiling as `attainable`.

    codes: [N, L]; factors: [N, K]; `bins`, `edges`, `factor_bins`: see the module. The matrix is I in nats.

    Source: Chen et al. 2018, Isolating sources of disentanglement, section 4.1, https://arxiv.org/abs/1802.04942
    """
    data, counted = _counted(codes, factors, bins, edges, factor_bins)
    if normalise == "factor":
        gaps = gap(counted.information / counted.of_factors[:, None])
    elif strict and not data.live.all():
        gaps = np.full(len(data.kept), np.nan)
    else:
        gaps = gap(counted.shares)
    return Score(
        value=float(gaps.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(gaps),
        matrix=data.rows_by_factor(counted.information),
        left_out=data.left_out | (data.constant if normalise == "code" else {}),
        params={
            "bins": bins,
            "edges": edges,
            "normalise": normalise,
            "factor_bins": factor_bins,
            "strict": strict,
        },
    )


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
    """Mutual information gap of each latent over the factors, in [0, 1]: does a latent tell one factor alone?

    Mean over latents of the gap between the two factors of which it tells most, I(y_k; c_j) / H(c_j). What `mig` is
    for completeness this is for disentanglement: two copies of a latent lower `mig` and not this, a latent of noise
    lowers this and not `mig` (three of noise beside seven live ones leave at most 0.7).

    codes: [N, L]; factors: [N, K]; `bins`, `edges`, `factor_bins`: see the module; `dead`: constant latents are left
    out of the mean ("omit") or count as 0 ("zero"); `strict` gives NaN if there are any, as the 2022 review's code
    does. All constant is 0. The matrix is I in nats.

    Source: Li et al. 2020, Progressive learning and disentanglement, https://arxiv.org/abs/2002.10549
    """
    data, counted = _counted(codes, factors, bins, edges, factor_bins)
    value, gaps = _over_latents(gap(counted.shares.T), data, dead, strict)
    return Score(
        value=value if data.live.any() or strict else 0.0,
        n=len(data.codes),
        per_latent=gaps,
        matrix=data.rows_by_factor(counted.information),
        left_out=data.left_out | (data.constant if dead == "omit" else {}),
        params={"bins": bins, "edges": edges, "factor_bins": factor_bins, "dead": dead, "strict": strict},
    )


def _over_latents(scores: Floats, data: Pair, dead: Dead, strict: bool) -> tuple[float, Floats]:
    """Mean of the scores [L], NaN if there are none, and the scores, of constant latents 0 or NaN as `dead` says."""
    taken = data.live | (dead == "zero")
    scores = np.where(data.live, scores, np.where(taken, 0.0, np.nan))
    if not taken.any() or (strict and not data.live.all()):
        return math.nan, scores
    return float(scores[taken].mean()), scores


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
    """Modularity, in [0, 1]: does each latent tell of one factor only, however little?

    Mean over latents of 1 - sum of I(y_k; c_j)^2 over all factors but the best, divided by K - 1 and the square of
    the best; 0 for a latent that tells nothing at all. Since the size of I cancels, a latent of noise scores what the
    bias of I makes of it: 0.55 to 0.7 with factors of unequal size, 0.05 to 0.13 with two of 40 values each. Read it
    beside the `baseline` of shuffled codes, which `score` computes.

    codes: [N, L]; factors: [N, K]; `bins`, `edges`, `factor_bins`: see the module; `dead`: constant latents are left
    out of the mean ("omit"; NaN if all are) or count as 0 ("zero", as in Locatello et al.); `strict` gives NaN if
    there are any, as the 2022 review's code does. NaN for one factor. The matrix is I in nats.

    Source: Ridgeway and Mozer 2018, https://arxiv.org/abs/1802.05312
    """
    data, counted = _counted(codes, factors, bins, edges, factor_bins)
    rest = len(data.kept) - 1
    if rest == 0:
        warn("modularity: with one factor there is nothing to tell apart")
    best = counted.information.max(axis=0)
    others = (_ratio(counted.information, best) ** 2).sum(axis=0) - 1
    scores = np.where(best > _ROUNDING, 1 - others / rest, 0.0) if rest else np.full(len(best), np.nan)
    value, scores = _over_latents(scores, data, dead, strict)
    return Score(
        value=value,
        n=len(data.codes),
        per_latent=scores,
        matrix=data.rows_by_factor(counted.information),
        left_out=data.left_out | (data.constant if dead == "omit" else {}),
        params={"bins": bins, "edges": edges, "factor_bins": factor_bins, "dead": dead, "strict": strict},
    )


def dcimig(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    factor_bins: int | None = None,
) -> Score:
    """DCIMIG, in [0, 1]: does each factor have a latent which tells it and no other factor?

    Each latent belongs to the factor of which it tells most, I(y_k; c_j), and has its gap to the next factor. A
    factor scores the largest gap among its latents, 0 without any; the sum over factors is divided by the sum of
    their entropies. As with `mig` a factor of more values than `bins` keeps a perfect code below 1, see `attainable`.

    codes: [N, L]; factors: [N, K]; `bins`, `edges`, `factor_bins`: see the module. `per_factor` is the gap divided
    by the factor's own entropy. The matrix is I in nats.

    Source: Sepliarskaia et al. 2019, How to not measure disentanglement, https://arxiv.org/abs/1910.05587
    """
    data, counted = _counted(codes, factors, bins, edges, factor_bins)
    gaps = np.zeros(len(data.kept))
    np.maximum.at(gaps, counted.information.argmax(axis=0), gap(counted.information.T))
    return Score(
        value=float(gaps.sum() / counted.of_factors.sum()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(gaps / counted.of_factors),
        matrix=data.rows_by_factor(counted.information),
        left_out=data.left_out,
        params={"bins": bins, "edges": edges, "factor_bins": factor_bins},
    )


def jemmig(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    edges: Edges = "range",
    factor_bins: int | None = None,
) -> Score:
    """JEMMIG, in [0, 1]: does one latent alone tell a factor, and nothing else?

    With c the latent that tells most of y_k, a factor scores 1 - (H(y_k, c) - I(y_k; c) + I(y_k; the second best
    latent)) / (H(y_k) + log bins): the joint entropy takes off for whatever else the latent says. Mean over factors.
    A code need not tell anything to score: random ones have 0.13 in five factors, constant ones
    log bins / (H + log bins), 0.69 with 3 to 5 values in 20 bins. Read it beside the `baseline` of shuffled codes,
    which `score` computes, and, where factors have more values than `bins`, beside what is `attainable`.

    Of latents that tell equally much that of the smallest joint entropy is taken: rounding would choose otherwise.

    codes: [N, L]; factors: [N, K]; `bins`, `edges`, `factor_bins`: see the module. The matrix is I in nats.

    Source: Do and Tran 2020, Theory and evaluation metrics for learning disentangled representations,
    https://arxiv.org/abs/1908.09961
    """
    data, counted = _counted(codes, factors, bins, edges, factor_bins)
    best = counted.information.max(axis=1, keepdims=True)
    joint = counted.of_factors[:, None] + counted.of_codes - counted.information
    least = np.where(counted.information >= best - _ROUNDING, joint, np.inf).min(axis=1)
    scores = 1 - (least - gap(counted.information)) / (counted.of_factors + math.log(bins))
    return Score(
        value=float(scores.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(scores),
        matrix=data.rows_by_factor(counted.information),
        left_out=data.left_out,
        params={"bins": bins, "edges": edges, "factor_bins": factor_bins},
    )


_CARBONNEAU = {"bins": 10, "edges": "unit", "factor_bins": 10}
_LOCATELLO = {"bins": 20, "edges": "range", "factor_bins": None}

METRICS = {
    "mig": Metric(
        mig,
        needs=("codes", "factors"),
        summary="how far one latent alone tells each factor: gap of mutual information between the two best latents",
        citation="Chen, Li, Grosse, Duvenaud. Isolating sources of disentanglement in VAEs. NeurIPS 2018",
        conventions={
            "carbonneau": {**_CARBONNEAU, "normalise": "code"},
            "locatello": {**_LOCATELLO, "normalise": "factor"},
        },
        attains=True,
    ),
    "mig_sup": Metric(
        mig_sup,
        needs=("codes", "factors"),
        summary="how far each latent tells one factor alone: gap of mutual information between its two best factors",
        citation="Li, Murkute, Gyawali, Wang. Progressive learning and disentanglement of hierarchical "
        "representations. ICLR 2020",
        conventions={"carbonneau": _CARBONNEAU},
    ),
    "dcimig": Metric(
        dcimig,
        needs=("codes", "factors"),
        summary="how far each factor has a latent which tells it and no other factor",
        citation="Sepliarskaia, Kiseleva, de Rijke. How to not measure disentanglement. 2019",
        conventions={"carbonneau": _CARBONNEAU},
        attains=True,
    ),
    "jemmig": Metric(
        jemmig,
        needs=("codes", "factors"),
        summary="how far one latent alone tells each factor and nothing else",
        citation="Do, Tran. Theory and evaluation metrics for learning disentangled representations. ICLR 2020",
        conventions={"carbonneau": _CARBONNEAU},
        shuffles=True,
        attains=True,
    ),
    "modularity": Metric(
        modularity,
        needs=("codes", "factors"),
        summary="how far the mutual information of each latent is with one factor, however small it is",
        citation="Ridgeway, Mozer. Learning deep disentangled embeddings with the F-statistic loss. NeurIPS 2018",
        conventions={"carbonneau": _CARBONNEAU, "locatello": {**_LOCATELLO, "dead": "zero"}},
        shuffles=True,
    ),
}
