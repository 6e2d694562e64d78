"""Metrics of mutual information between latents and factors, from binned codes."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from equipoise.metrics.discretise import Edges, binned, entropy, factor_labels, gap, mutual_information, tables
from equipoise.metrics.inputs import pair, warn
from equipoise.metrics.result import Metric, Score


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

    codes: [N, L]; factors: [N, K]; `edges` cuts the codes (see `discretise.binned`); `factor_bins` cuts every factor
    into unit bins first, without it continuous factors alone are cut, into `bins`. The matrix is I in nats.

    Source: Chen et al. 2018, Isolating sources of disentanglement, section 4.1, https://arxiv.org/abs/1802.04942
    """
    data = pair(codes, factors)
    if len(data.codes) < bins:
        warn(f"fewer rows than bins ({len(data.codes)} < {bins}): mutual information is then mostly bias")
    binned_codes = binned(data.codes, bins, edges)
    counts = [
        tables(labels, values, binned_codes, bins) for labels, values in factor_labels(data, factor_bins, "unit", bins)
    ]
    information = np.stack([mutual_information(table) for table in counts])
    of_codes = entropy(counts[0].sum(axis=0))
    if normalise == "factor":
        gaps = gap(information / np.array([[entropy(table[:, 0].sum(axis=1))] for table in counts]))
    elif strict and not data.live.all():
        gaps = np.full(len(counts), np.nan)
    else:
        gaps = gap(np.divide(information, of_codes, out=np.zeros_like(information), where=of_codes > 0))
    return Score(
        value=float(gaps.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(gaps),
        matrix=data.rows_by_factor(information),
        left_out=data.left_out | (data.constant if normalise == "code" else {}),
        params={
            "bins": bins,
            "edges": edges,
            "normalise": normalise,
            "factor_bins": factor_bins,
            "strict": strict,
        },
    )


METRICS = {
    "mig": Metric(
        mig,
        needs=("codes", "factors"),
        summary="how far one latent alone tells each factor: gap of mutual information between the two best latents",
        citation="Chen, Li, Grosse, Duvenaud. Isolating sources of disentanglement in VAEs. NeurIPS 2018",
        conventions={
            "carbonneau": {"bins": 10, "edges": "unit", "normalise": "code", "factor_bins": 10},
            "locatello": {"bins": 20, "edges": "range", "normalise": "factor", "factor_bins": None},
        },
        attains=True,
    ),
}
