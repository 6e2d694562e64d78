"""Balanced logistic regressions of each label against all others, fitted together."""

import numpy as np

from equipoise.metrics.discretise import Ints
from equipoise.metrics.result import Floats

_TOLERANCE = 1e-3  # of the last step of a coefficient; its error is then about the square
_MOST = 100  # steps; 5 are usual
_ROWS = 1024  # of which the probabilities of all labels fit in the cache of a processor


def one_against_rest(latents: Floats, labels: Ints, values: int) -> Floats:
    """Return the log odds of each label, [V, N]; latents [N, L] of a range about 1, labels [N] from 0 to V - 1.

    Each label has its own L2-penalised logistic regression with C = 1 and equal total weights of its rows and of all
    others: `LogisticRegression(class_weight="balanced")` of scikit-learn for each. All share the products of latents
    from which Newton's method computes their second derivatives. Derivatives are computed in float32 for some rows at a
    time and added in float64.
    """
    design = np.column_stack([latents, np.ones(len(latents))])
    size = design.shape[1]
    upper = np.triu_indices(size)
    inputs = design.astype(np.float32)
    products = inputs[:, upper[0]] * inputs[:, upper[1]]
    penalty = np.append(np.ones(size - 1), 0.0)  # of all but the intercept
    counts = np.bincount(labels, minlength=values)[:, None]
    own = labels == np.arange(values)[:, None]
    weights = (len(labels) / 2 / np.where(own, counts, len(labels) - counts)).astype(np.float32)
    coefficients, last = np.zeros((values, size)), np.zeros((values, size))
    decrease = np.full(values, np.inf)
    unconverged = np.arange(values)  # labels whose regression has not converged
    for _ in range(_MOST):
        gradient = penalty * coefficients[unconverged]
        triangle = np.zeros((len(unconverged), len(upper[0])))
        for start in range(0, len(labels), _ROWS):
            rows = slice(start, start + _ROWS)
            with np.errstate(over="ignore"):  # the probability is then 0
                chance = 1 / (1 + np.exp(-coefficients[unconverged].astype(np.float32) @ inputs[rows].T))
            weighted = weights[unconverged, rows]
            gradient += (weighted * (chance - own[unconverged, rows])) @ inputs[rows]
            triangle += (weighted * chance * (1 - chance)) @ products[rows]
        curvature = np.empty((len(unconverged), size, size))
        curvature[:, upper[0], upper[1]] = curvature[:, upper[1], upper[0]] = triangle
        step = np.linalg.solve(curvature + np.diag(penalty), gradient[..., None])[..., 0]
        # Where the slope along the last step is now steeper uphill than it was downhill, half of that step is undone.
        is_too_far = (gradient * last[unconverged]).sum(axis=1) < -decrease[unconverged]
        step[is_too_far] = -last[unconverged][is_too_far] / 2
        last[unconverged], decrease[unconverged] = step, (gradient * step).sum(axis=1)
        coefficients[unconverged] -= step
        unconverged = unconverged[np.abs(step).max(axis=1) > _TOLERANCE]
        if not len(unconverged):
            break
    log_odds: Floats = coefficients @ design.T
    return log_odds
