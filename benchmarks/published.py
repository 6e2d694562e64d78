"""Metrics as published programs compute them: loops, and one call of a library for each factor and latent.

Written here after their definitions, with their settings, for `metrics.py` to compare speed and values with. Those of
the 2022 review of metrics call pyitlib, as its code does.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import minmax_scale

Array = Any  # of numpy


def unit_bins(columns: Array, bins: int = 10) -> Array:
    scaled = minmax_scale(columns.astype(float))
    edges = np.linspace(0, 1, bins + 1)
    return np.stack([np.digitize(column, edges[:-1]) - 1 for column in scaled.T], axis=1)


def range_bins(columns: Array, bins: int = 20) -> Array:
    return np.stack([np.digitize(column, np.histogram(column, bins)[1][:-1]) for column in columns.T], axis=1)


def by_pair(factors: Array, codes: Array, measure: Callable[[Array, Array], float]) -> Array:
    return np.array([[measure(factor, code) for code in codes.T] for factor in factors.T])


def top_two(values: Array) -> Array:
    return np.sort(values, axis=1)[:, :-3:-1]


def review(name: str) -> Any:
    """A function of the library that the code of the 2022 review calls for each pair."""
    return getattr(import_module("pyitlib.discrete_random_variable"), name)


def shared_bits(one: Array, other: Array) -> float:
    return float(review("information_mutual")(one, other, cartesian_product=True))


def shared_part(one: Array, other: Array) -> float:
    return float(review("information_mutual_normalised")(one, other, norm_factor="Y", cartesian_product=True))


def mig_review(codes: Array, factors: Array) -> float:
    best = top_two(by_pair(unit_bins(factors), unit_bins(codes), shared_part))
    return float((best[:, 0] - best[:, 1]).mean())


def mig_sup_review(codes: Array, factors: Array) -> float:
    best = top_two(by_pair(unit_bins(factors), unit_bins(codes), shared_part).T)
    return float((best[:, 0] - best[:, 1]).mean())


def dcimig_review(codes: Array, factors: Array) -> float:
    labels = unit_bins(factors)
    bits = by_pair(labels, unit_bins(codes), shared_bits)
    best = top_two(bits.T)
    gaps = np.zeros(len(bits))
    for factor, (first, second) in zip(bits.argmax(axis=0), best, strict=True):
        gaps[factor] = max(gaps[factor], first - second)
    return float(gaps.sum() / sum(float(review("entropy")(label)) for label in labels.T))


def jemmig_review(codes: Array, factors: Array) -> float:
    labels, binned = unit_bins(factors), unit_bins(codes)
    bits = by_pair(labels, binned, shared_bits)
    scores = []
    for label, row, (first, second) in zip(labels.T, bits, top_two(bits), strict=True):
        joint = float(review("entropy_joint")(np.stack([label, binned[:, row.argmax()]])))
        scores.append(1 - (joint - first + second) / (float(review("entropy")(label)) + np.log2(10)))
    return float(np.mean(scores))


def modularity_review(codes: Array, factors: Array) -> float:
    squares = by_pair(unit_bins(factors), unit_bins(codes), shared_bits) ** 2
    largest = squares.max(axis=0)
    return float((1 - (squares.sum(axis=0) - largest) / largest / (len(squares) - 1)).mean())


def mig_locatello(codes: Array, factors: Array) -> float:
    best = top_two(by_pair(factors, range_bins(codes), mutual_info_score))
    entropies = [mutual_info_score(factor, factor) for factor in factors.T]
    return float(((best[:, 0] - best[:, 1]) / entropies).mean())


def sap_review(codes: Array, factors: Array) -> float:
    def explained(factor: Array, code: Array) -> float:
        line = LinearRegression().fit(code[:, None], factor)
        return max(0.0, 1 - float(((factor - line.predict(code[:, None])) ** 2).mean() / factor.var()))

    best = top_two(by_pair(factors, codes, explained))
    return float((best[:, 0] - best[:, 1]).mean())


def sap_locatello(codes: Array, factors: Array) -> float:
    def explained(factor: Array, code: Array) -> float:
        covariance = np.cov(code, factor, ddof=1)
        return float(covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1])

    best = top_two(by_pair(factors, codes, explained))
    return float((best[:, 0] - best[:, 1]).mean())


def irs_by_mask(codes: Array, labels: Array, quantile: float) -> float:
    deviations = []
    for label in labels.T:
        far = []
        for value in np.unique(label):
            rows = codes[label == value]
            far.append(np.percentile(np.abs(rows - rows.mean(axis=0)), 100 * quantile, axis=0))
        deviations.append(np.mean(far, axis=0))
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    return float(np.average((1 - np.array(deviations) / largest).max(axis=0), weights=largest))


def explicitness_review(codes: Array, factors: Array) -> float:
    scaled = minmax_scale(codes)
    areas = []
    for label in unit_bins(factors).T:
        model = OneVsRestClassifier(LogisticRegression(class_weight="balanced", max_iter=1000)).fit(scaled, label)
        chances = model.predict_proba(scaled)
        each = [roc_auc_score(label == value, chances[:, i]) for i, value in enumerate(model.classes_)]
        areas.append(np.mean(each))
    return float(2 * np.mean(areas) - 1)


def rows_by_value(factors: Array) -> list[list[Array]]:
    return [[np.flatnonzero(label == value) for value in np.unique(label)] for label in unit_bins(factors).T]


def factor_vae_review(codes: Array, factors: Array) -> float:
    rng = np.random.default_rng(0)
    rows, spread = rows_by_value(factors), codes.var(axis=0, ddof=1)
    votes = np.zeros((2, codes.shape[1], len(rows)))
    for point in range(1600):
        k = rng.integers(len(rows))
        batch = codes[rng.choice(rows[k][rng.integers(len(rows[k]))], 200)]
        votes[point // 800, (batch.var(axis=0, ddof=1) / spread).argmin(), k] += 1
    train, fresh = votes
    return above_chance(fresh[np.arange(len(train)), train.argmax(axis=1)].sum() / 800, len(rows))


def beta_vae_review(codes: Array, factors: Array) -> float:
    rng = np.random.default_rng(0)
    points, labels = [], []
    for k, values in enumerate(rows_by_value(factors)):
        drawn = rng.integers(len(values), size=3000 * 200)
        pairs = np.empty((len(drawn), 2), dtype=int)
        for value, rows in enumerate(values):
            pairs[drawn == value] = rng.choice(rows, size=((drawn == value).sum(), 2))
        for batch in pairs.reshape(3000, 200, 2):
            points.append(np.abs(codes[batch[:, 0]] - codes[batch[:, 1]]).mean(axis=0))
            labels.append(k)
    order = rng.permutation(len(points))
    x, y = np.array(points)[order], np.array(labels)[order]
    model = LogisticRegression(max_iter=10_000).fit(x[:10_000], y[:10_000])
    return above_chance(model.score(x[10_000:], y[10_000:]), factors.shape[1])


def above_chance(accuracy: float, factors: int) -> float:
    return float((accuracy - 1 / factors) / (1 - 1 / factors))


def five_review(codes: Array, factors: Array) -> list[float]:
    ways = (mig_review, mig_sup_review, dcimig_review, jemmig_review, modularity_review)
    return [way(codes, factors) for way in ways]
