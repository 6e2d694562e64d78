"""Tests of whether codes are related to factors at all, one for each pair of latent and factor."""

import numpy as np
from scipy.stats import chi2, rankdata

from equipoise.errors import InputError
from equipoise.metrics.discretise import factor_labels, tables
from equipoise.metrics.inputs import Pair, once
from equipoise.metrics.result import Floats

LEVEL = 1e-4  # of significance: noise gets a defined score in about one of several thousand cases
_RANKS = 5  # groups of rows of equal size, in the order of a latent


def chance_of_pairs(data: Pair) -> Floats:
    """Return the p-value for each factor and latent, [K', L]: the probability of so strong a relation by chance.

    It is that of Pearson's chi-squared test of the label against the fifth of the rows, in the order of the latent.
    """

    def compute() -> Floats:
        rows = len(data.codes)
        fifths = (rankdata(data.codes, axis=0, method="min").astype(np.int64) - 1) * _RANKS // rows
        out = []
        for labels, values in factor_labels(data, None):
            counts = tables(labels, values, fifths, _RANKS)  # [V, L, fifths]
            expected = np.bincount(labels)[:, None, None] * counts.sum(axis=0) / rows
            distance = np.divide((counts - expected) ** 2, expected, out=np.zeros(counts.shape), where=expected > 0)
            occupied = (expected[0] > 0).sum(axis=1)  # fifths that have rows: fewer where many codes are equal
            freedom = np.maximum((values - 1) * (occupied - 1), 1)
            out.append(np.where(data.live, chi2.sf(distance.sum(axis=(0, 2)), freedom), 1.0))
        return np.stack(out)

    return once(data, "chance", compute)


def chance_of_codes(data: Pair) -> Floats:
    """Return the p-value for each factor and all latents together (Bonferroni), [K']."""
    chance: Floats = np.minimum(chance_of_pairs(data).min(axis=1) * data.codes.shape[1], 1.0)
    return chance


def check_level(level: float) -> None:
    """Raise `InputError` for a level of significance out of range."""
    if not 0 < level <= 1:
        raise InputError(f"level = {level}: expected a number above 0 and at most 1")
