"""The latents and factors of a run: what each latent encodes, its range, and the factor that it follows."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.metrics.discretise import binned, encoded, entropy, factor_labels, is_continuous
from equipoise.metrics.inputs import Pair
from equipoise.metrics.result import Score, ScoreWarning
from equipoise.priors import Prior

Array = NDArray[np.float64]
Measure = Literal["KL", "information"]

ACTIVE = 0.01  # variance of the posterior means (Burda et al., 2016, arXiv:1509.00519, section 5.2)
CLEAR = 0.1  # share of a factor's entropy that a latent must encode to follow it
MIXED = 0.5  # share of a second factor, relative to that of the best, from which it is named too
MONOTONE = 0.9  # correlation of mean code and value from which the code rises or falls with the factor
BINS = 20  # of a continuous factor


@dataclass(frozen=True)
class Latent:
    """A latent over the encoded images.

    `nats` is what it carries (`nats_carried`) and `variance` that of its posterior means. `low` and `high` are the 5th
    and 95th percentile of these means; for an inactive latent ±2 standard deviations of the prior.
    """

    index: int
    nats: float
    variance: float
    low: float
    high: float
    factor: str | None  # the factor that it follows, if any; none of an inactive latent
    words: str  # its relation to the factors as a phrase; empty for an inactive latent, or where no factor is known
    mutual_information: float | None = None  # with that factor, in nats; None without the score mig

    @property
    def active(self) -> bool:
        """Whether the variance of the posterior means is above 0.01."""
        return self.variance > ACTIVE


@dataclass(frozen=True)
class Factor:
    """A factor over the encoded images: the mean [V, D] of the codes at each of its V values."""

    name: str
    mean: Array
    explained: Array  # [D], share of the variance of each latent that the mean codes explain, 0 to 1


@dataclass(frozen=True)
class Information:
    """Mutual information [K, D] of factors and latents in nats, as the score `mig` uses it."""

    names: tuple[str, ...]
    matrix: Array
    entropy: Array  # [K], nats of each factor in the bins of the score, the maximum of its mutual information
    bias: Array  # [K], nats by which the estimate is too large
    factor_bins: int | None  # of every factor in the score

    @property
    def share(self) -> Array:
        """The share [K, D] of the entropy of each factor that each latent encodes."""
        return self.matrix / self.entropy[:, None]

    @property
    def clear(self) -> Array:
        """The share [K] that a latent needs to follow a factor. It is larger for few images, because of the bias."""
        return CLEAR + self.bias / self.entropy


def nats_carried(kl: Tensor, mean: Tensor, logvar: Tensor) -> tuple[Measure, Array]:
    """Return the measure by which latents are sorted, and the nats [D] that each latent carries by this measure.

    kl [n, S] is that of the independent parts of the prior over n images; mean and logvar [n, D] are of q(z|x). Where
    every part is one dimension, the measure is the mean KL. Otherwise it is the information I(x; z_j) for a Gaussian
    q(z_j) over all images, (log Var z_j - E log Var(z_j|x)) / 2. This is exact for a Gaussian and an upper bound for
    others, because a Gaussian has the largest entropy of a given variance. It is 0 for a single image.
    """
    if kl.shape[1] == mean.shape[1]:
        return "KL", kl.cpu().double().mean(0).numpy()
    mean, logvar = mean.cpu().double(), logvar.cpu().double()
    total = mean.var(0, correction=0) + logvar.exp().mean(0)
    return "information", (0.5 * (total.log() - logvar.mean(0))).numpy()


def parts_of(prior: Prior) -> list[str]:
    """Return the names of the independent parts of a prior: z0 for one latent, z0–z3 for a subspace."""
    ends = zip(prior.sizes, accumulate(prior.sizes), strict=True)
    return [f"z{end - 1}" if size == 1 else f"z{end - size}–z{end - 1}" for size, end in ends]


def deviation_of(prior: Prior) -> Array:
    """Return the standard deviation [D] of each latent under the prior."""
    return prior.deviation.detach().double().cpu().numpy()


def factors_over(codes: Array, factors: NDArray[Any], names: Sequence[str]) -> list[Factor]:
    """Return a `Factor` for each of the factors [n, K] that has two values or more, over codes [n, D].

    A continuous factor is divided into 20 bins of equal width.
    """
    columns = [levels(column) for column in factors.T]
    return [_factor(name, codes, value) for name, value in zip(names, columns, strict=True) if value.max() > 0]


def information_of(score: Score, factors: NDArray[Any], names: Sequence[str]) -> Information | None:
    """Return the mutual information of the score `mig` of codes with factors [n, K], or None if it has no matrix."""
    if score.matrix is None:
        return None
    defined = np.flatnonzero(np.isfinite(score.matrix).all(axis=1))
    bins, factor_bins = score.params["bins"], score.params["factor_bins"]
    rows = Pair(np.empty(0), np.empty(0, bool), factors[:, defined], defined, len(names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)  # `score` issued it
        labels = factor_labels(rows, factor_bins, "unit", bins)
    return Information(
        names=tuple(name for k, name in enumerate(names) if k in defined),
        matrix=score.matrix[defined],
        entropy=np.array([float(entropy(np.bincount(label))) for label, _ in labels]),
        bias=np.array([(values - 1) * (bins - 1) / (2 * score.n) for _, values in labels]),
        factor_bins=factor_bins,
    )


def latent_variances(codes: NDArray[Any]) -> Array:
    """Return the variance [D] of the posterior means `codes` [n, D]; 0 for a single image."""
    codes = codes.astype(np.float64)
    return codes.var(axis=0, ddof=1) if len(codes) > 1 else np.zeros(codes.shape[1])


def latents_over(
    codes: Array, nats: Array, deviation: Array, factors: Sequence[Factor], information: Information | None
) -> list[Latent]:
    """Return a `Latent` for each column of the posterior means `codes` [n, D], sorted by `nats` [D], largest first.

    `deviation` [D] is the standard deviation of the prior.
    """
    variance = latent_variances(codes)
    percentiles = np.percentile(codes, (5, 95), axis=0)
    extremes = np.stack([codes.min(axis=0), codes.max(axis=0)])  # of codes most of which are equal
    ends = np.where(percentiles[0] < percentiles[1], percentiles, extremes)
    ends = np.where(variance > ACTIVE, ends, [-2 * deviation, 2 * deviation])
    latents = []
    for j in np.argsort(-nats, kind="stable"):
        # Mutual information does not depend on the scale of a latent, so that of an inactive one is not shown.
        has_words = bool(factors) and variance[j] > ACTIVE
        factor, words = _follows(int(j), factors, information) if has_words else (None, "")
        low, high = ends[:, j].tolist()
        nats_of_factor = None
        if factor is not None and information is not None:
            nats_of_factor = float(information.matrix[information.names.index(factor), j])
        latents.append(Latent(int(j), float(nats[j]), float(variance[j]), low, high, factor, words, nats_of_factor))
    return latents


def typical_row(codes: Array) -> int:
    """Return the row of codes [n, D] nearest the median code. Every latent of it can vary in both directions."""
    return int(np.square(codes - np.median(codes, axis=0)).sum(axis=1).argmin())


def levels(column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the values [n] of a factor as 0..V-1. A continuous factor is divided into 20 bins of equal width."""
    labels, values = encoded(column)
    if not is_continuous(column, values):
        return labels
    return encoded(binned(column[:, None].astype(np.float64), BINS, "unit")[:, 0])[0]


def _factor(name: str, codes: Array, value: NDArray[np.int64]) -> Factor:
    count = np.bincount(value)[:, None].astype(float)
    order = np.argsort(value, kind="stable")
    starts = np.searchsorted(value[order], np.arange(len(count)))
    mean = np.add.reduceat(codes[order], starts) / count
    total = codes.var(axis=0)
    within = np.square(codes - mean[value]).mean(axis=0)
    explained = 1 - np.divide(within, total, out=np.ones_like(total), where=total > 0)
    return Factor(name, mean, explained)


def _follows(j: int, factors: Sequence[Factor], information: Information | None) -> tuple[str | None, str]:
    """Return the factor that latent j follows, if any, and a phrase on its relation to the factors."""
    means = {factor.name: factor.mean[:, j] for factor in factors}
    if information is None:
        shares = {factor.name: float(factor.explained[j]) for factor in factors}
        amounts = {name: f"explains {share:.0%} of its variance" for name, share in shares.items()}
        clear = dict.fromkeys(shares, CLEAR)
    else:
        shares = dict(zip(information.names, information.share[:, j].tolist(), strict=True))
        clear = dict(zip(information.names, information.clear.tolist(), strict=True))
        rows = zip(information.names, information.matrix[:, j], information.entropy, strict=True)
        amounts = {name: f"MI {nats:.2f} nats of {most:.2f}" for name, nats, most in rows}
    best, *others = sorted(shares, key=lambda name: -shares[name])
    if shares[best] < clear[best]:
        return None, f"follows no known factor clearly (largest: {best}, {amounts[best]})"
    words = f"follows {best} ({amounts[best]}{_motion(means[best])})"
    if others and shares[others[0]] >= max(MIXED * shares[best], clear[others[0]]):
        words += f", mixed with {others[0]} ({amounts[others[0]]})"
    return best, words


def _motion(mean: Array) -> str:
    """Return how the mean code [V] changes with the values of a factor, if it has more than three."""
    if len(mean) <= 3 or np.ptp(mean) == 0:
        return ""
    slope = float(np.corrcoef(np.arange(len(mean)), mean)[0, 1])
    if abs(slope) < MONOTONE:
        return "; not monotonic"
    return "; rises with it" if slope > 0 else "; falls as it rises"
