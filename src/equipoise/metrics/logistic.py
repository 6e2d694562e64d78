"""Balanced logistic regressions of each label against all others, fitted together."""

import numpy as np

from equipoise.metrics.discretise import Ints
from equipoise.metrics.result import Floats

_TOLERANCE = 1e-3  # of the last step of a coefficient; its error is then about the square
_MOST = 100  # steps; 5 are usual
_ROWS = 1024  # whose chances are computed at once, so that they stay in the cache: 1.6 times as fast


def one_against_rest(latents: Floats, labels: Ints, values: int) -> Floats:
    """Return the log odds of each label, [V, N]; latents [N, L] of a range about 1, labels [N] from 0 to V - 1.

    Each label has its own L2-penalised logistic regression with C = 1 and equal total weights of its rows and of all
    others: `LogisticRegression(class_weight="balanced")` of scikit-learn for each. All share the products of latents
    from which Newton's method computes their second derivatives, which makes them ten times as fast.
    """
    design = np.column_stack([latents, np.ones(len(latents))])
    size = design.shape[1]
    upper = np.triu_indices(size)
    products = design[:, upper[0]] * design[:, upper[1]]
    penalty = np.append(np.ones(size - 1), 0.0)  # of all but the intercept
    counts = np.bincount(labels, minlength=values)
    others = len(labels) - counts
    weight, ratio = len(labels) / 2 / others, others / counts  # of a row of another label; of its own to that
    coefficients = np.zeros((values, size))
    last, decrease = np.zeros((values, size)), np.full(values, np.inf)
    left = np.arange(values)  # labels whose regression has not converged
    for _ in range(_MOST):
        place = np.full(values, -1)
        place[left] = np.arange(len(left))
        slopes, curves = _derivatives(coefficients[left], ratio[left], design, products, place[labels])
        gradient = weight[left, None] * slopes + penalty * coefficients[left]
        curvature = np.empty((len(left), size, size))
        curvature[:, upper[0], upper[1]] = weight[left, None] * curves
        curvature[:, upper[1], upper[0]] = curvature[:, upper[0], upper[1]]
        step = np.linalg.solve(curvature + np.diag(penalty), gradient[..., None])[..., 0]
        # Where the slope along the last step is now steeper uphill than it was downhill, half of that step is undone.
        is_too_far = (gradient * last[left]).sum(axis=1) < -decrease[left]
        step[is_too_far] = -last[left][is_too_far] / 2
        last[left], decrease[left] = step, (gradient * step).sum(axis=1)
        coefficients[left] -= step
        left = left[np.abs(step).max(axis=1) > _TOLERANCE]
        if not len(left):
            break
    return coefficients @ design.T


def _derivatives(
    coefficients: Floats, ratio: Floats, design: Floats, products: Floats, place: Ints
) -> tuple[Floats, Floats]:
    """Return the sums over rows of the first derivatives [R, S] and of the second ones [R, P] of R regressions.

    coefficients: [R, S]; ratio: [R], the weight of a row of the own label, that of any other row is 1; design: [N, S];
    products: [N, P], of pairs of its columns; place: [N], the regression of the row's own label, or -1.
    """
    slopes, curves = np.zeros(coefficients.shape), np.zeros((len(coefficients), products.shape[1]))
    for start in range(0, len(design), _ROWS):
        rows = slice(start, start + _ROWS)
        with np.errstate(over="ignore"):  # the chance is then 0
            chance = np.exp(-coefficients @ design[rows].T)
        chance += 1
        np.reciprocal(chance, out=chance)
        curve = chance - np.square(chance)
        column = np.flatnonzero(place[rows] >= 0)
        own = place[rows][column], column
        chance[own] = ratio[own[0]] * (chance[own] - 1)
        curve[own] *= ratio[own[0]]
        slopes += chance @ design[rows]
        curves += curve @ products[rows]
    return slopes, curves
