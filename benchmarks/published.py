"""Metrics with the algorithms of published programs: loops, and one call of a library for each factor and latent.

`metrics.py` compares speed and values with them. They are written from the definitions, with the published settings.
Those of the 2022 review of metrics call pyitlib, as its code does.
"""

from collections.abc import Callable
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import sqrtm
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import Lasso, LassoCV, LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score, roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler, minmax_scale
from sklearn.svm import LinearSVC

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
    """Return the function of pyitlib that the code of the 2022 review calls for each pair."""
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


def irs_review(codes: Array, factors: Array) -> float:
    return irs_by_mask(codes, unit_bins(factors))


def irs_99_review(codes: Array, factors: Array) -> float:
    return irs_by_mask(codes, unit_bins(factors), 0.99)


def irs_by_mask(codes: Array, labels: Array, quantile: float = 1.0) -> float:
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


def z_max_review(codes: Array, factors: Array) -> float:
    rng = np.random.default_rng(0)
    labels, spread = unit_bins(factors, 3), codes.var(axis=0, ddof=1)
    having = [{value: set(np.flatnonzero(label == value)) for value in np.unique(label)} for label in labels.T]
    groups = []
    for k in range(labels.shape[1]):
        others = [having[j] for j in range(labels.shape[1]) if j != k]
        shared = [set.intersection(*(sets[value] for sets, value in zip(others, values, strict=True)))
                  for values in product(*others)]  # fmt: skip
        groups.append([np.array(sorted(rows)) for rows in shared if len(rows) > 1])
    votes = np.zeros((2, codes.shape[1], len(groups)))
    for point in range(1600):
        k = int(rng.integers(len(groups)))
        rows = groups[k][rng.integers(len(groups[k]))]
        batch = codes[np.concatenate([rng.permutation(rows) for _ in range(200 // len(rows) + 1)])[:200]]
        votes[point // 800, (batch.var(axis=0, ddof=1) / spread).argmax(), k] += 1
    train, fresh = votes
    return above_chance(fresh[np.arange(len(train)), train.argmax(axis=1)].sum() / 800, len(groups))


def sap_svm_locatello(codes: Array, factors: Array) -> float:
    train = 2 * len(codes) // 3

    def right(factor: Array, code: Array) -> float:
        model = LinearSVC(C=0.01, class_weight="balanced").fit(code[:train, None], factor[:train])
        return float((model.predict(code[train:, None]) == factor[train:]).mean())

    best = top_two(by_pair(factors, codes, right))
    return float((best[:, 0] - best[:, 1]).mean())


def explicitness_locatello(codes: Array, factors: Array) -> float:
    train = 2 * len(codes) // 3
    scaled = StandardScaler().fit(codes[:train]).transform(codes)
    areas = []
    for label in factors.T:
        model = LogisticRegression(max_iter=10_000).fit(scaled[:train], label[:train])
        chances = model.predict_proba(scaled[train:])
        each = [roc_auc_score(label[train:] == value, chances[:, i]) for i, value in enumerate(model.classes_)]
        areas.append(np.mean(each))
    return float(np.mean(areas))


def dci_lasso_review(codes: Array, factors: Array) -> list[float]:
    z, y = minmax_scale(codes), minmax_scale(factors.astype(float))
    alphas = [1e-4, 1e-3, 0.01, 0.1, 0.2, 0.4, 0.8, 1.0]
    fits = [LassoCV(alphas=alphas, cv=10).fit(z, target) for target in y.T]
    weights = np.abs(np.stack([fit.coef_ for fit in fits]))
    errors = [((fit.predict(z) - target) ** 2).mean() for fit, target in zip(fits, y.T, strict=True)]
    share = weights.sum(axis=0) / weights.sum()
    return [
        float(np.nan_to_num(1 - scipy_entropy(weights, base=len(weights), axis=0)) @ share),  # 0 / 0: no weight
        float((1 - scipy_entropy(weights.T, base=weights.shape[1], axis=0)).mean()),
        float(np.mean([max(0.0, 1 - 12 * error) for error in errors])),
    ]


def infomec_neighbours(codes: Array, factors: Array) -> list[float]:
    scaled = StandardScaler().fit_transform(codes)
    nmi = np.stack(
        [
            mutual_info_classif(scaled, label, discrete_features=False, n_neighbors=10, random_state=0)
            / scipy_entropy(np.bincount(label))
            for label in factors.T
        ]
    )
    factors_of_each, latents_of_each = nmi.max(axis=0) / nmi.sum(axis=0), nmi.max(axis=1) / nmi.sum(axis=1)
    return [above_chance(float(part.mean()), size) for part, size in
            ((factors_of_each, len(nmi)), (latents_of_each, nmi.shape[1]))]  # fmt: skip


def infoe_published(codes: Array, factors: Array) -> float:
    scaled = StandardScaler().fit_transform(codes)
    skills = []
    for label in factors.T:
        model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=100).fit(scaled, label)
        skills.append(1 - log_loss(label, model.predict_proba(scaled)) / np.log(len(model.classes_)))
    return float(np.mean(skills))


def udr_lasso(codes: Array, group: list[tuple[Array, Array]]) -> float:
    target = StandardScaler().fit_transform(codes)
    pairs = []
    for other, _ in group:
        weights = np.abs(Lasso(alpha=0.1).fit(StandardScaler().fit_transform(other), target).coef_)
        peaks = [(weights.max(axis=axis) ** 2 / weights.sum(axis=axis)).mean() for axis in (0, 1)]
        pairs.append(np.mean(peaks))
    return float(np.median(pairs))


def of_codes_locatello(codes: Array) -> list[float]:
    """Return the mean mutual information of two codes, Gaussian TC and Wasserstein dependence."""
    bits = by_pair(range_bins(codes), range_bins(codes), mutual_info_score)
    latents, covariance = len(bits), np.cov(codes.T)
    variances = np.diag(covariance)
    root = sqrtm(covariance @ np.diag(variances))
    return [
        float((bits.sum() - np.trace(bits)) / (latents * (latents - 1))),
        float((np.log(variances).sum() - np.log(np.linalg.det(covariance))) / 2),
        float(2 * variances.sum() - 2 * np.trace(root).real),
    ]


def kl_parts_chen(mean: Array, logvar: Array, sample: Array) -> list[float]:
    """Return index-code information, total correlation and dimension-wise KL, with ten draws at a time."""
    joint, marginal = [], []
    for start in range(0, len(sample), 10):
        z = sample[start : start + 10, None]
        density = -0.5 * (np.log(2 * np.pi) + logvar + (z - mean) ** 2 * np.exp(-logvar))
        joint.append(logsumexp(density.sum(axis=2), axis=1) - np.log(len(mean)))
        marginal.append(logsumexp(density, axis=1) - np.log(len(mean)))
    of_joint, of_marginal = np.concatenate(joint).mean(), np.concatenate(marginal).mean(axis=0).sum()
    known = -0.5 * (1 + np.log(2 * np.pi) + logvar).sum(axis=1).mean()
    prior = -0.5 * (np.log(2 * np.pi) + mean**2 + np.exp(logvar)).sum(axis=1).mean()
    return [float(known - of_joint), float(of_joint - of_marginal), float(of_marginal - prior)]


def mig_aggregate_chen(codes: Array, factors: Array, logvar: Array, sample: Array) -> float:
    def entropies(rows: Array) -> Array:
        nats = np.zeros(codes.shape[1])
        for start in range(0, len(rows), 10):
            z = sample[rows[start : start + 10], None]
            density = -0.5 * (np.log(2 * np.pi) + logvar[rows] + (z - codes[rows]) ** 2 * np.exp(-logvar[rows]))
            nats -= (logsumexp(density, axis=1) - np.log(len(rows))).sum(axis=0)
        return nats / len(rows)

    whole = entropies(np.arange(len(codes)))
    gaps = []
    for label in factors.T:
        counts = np.bincount(label)
        within = sum(entropies(np.flatnonzero(label == value)) * count for value, count in enumerate(counts)) / len(
            codes
        )
        first, second = top_two(np.maximum(whole - within, 0)[None])[0]
        gaps.append((first - second) / scipy_entropy(counts))
    return float(np.mean(gaps))
