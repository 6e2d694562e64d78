"""Balanced logistic regressions of every value of a factor against the rest, all at once."""

import numpy as np

from equipoise.metrics.discretise import Ints
from equipoise.metrics.result import Floats

ROWS = 2048  # a block of rows with its pairwise products stays in the cache

_PENALTY = 1.0  # 1/C of the reference's logistic regression, on the slopes alone
_STEPS = 100  # Newton needs fewer than 10
_CONVERGED = 1e-6  # Newton decrement, in nats of a loss that sums to N; the last step takes it below 1e-10


def log_sigmoid(logits: Floats) -> Floats:
    values: Floats = np.minimum(logits, 0) - np.log(1 + np.exp(-np.abs(logits)))
    return values


def one_vs_rest(design: Floats, labels: Ints, values: int) -> Floats:
    """Coefficients [V, L + 1] of balanced logistic regressions, one value against the rest each, by Newton's method."""
    theta = np.zeros((values, len(design)))
    loss, gradient, hessian = _derivatives(theta, design, labels)
    for _ in range(_STEPS):
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        if np.einsum("vl,vl->v", gradient, step).max() < _CONVERGED:
            return theta - step
        length = np.ones((values, 1))
        while True:  # a full step can overshoot where a value has few rows: halve it until the loss does not rise
            ahead = theta - length * step
            ahead_loss, gradient, hessian = _derivatives(ahead, design, labels)
            higher = ahead_loss > loss * (1 + 1e-12)
            if not higher.any():
                break
            length[higher] /= 2
        theta, loss = ahead, ahead_loss
    return theta


def _derivatives(theta: Floats, design: Floats, labels: Ints) -> tuple[Floats, Floats, Floats]:
    """Loss [V] in nats, gradient [V, L + 1] and Hessian [V, L + 1, L + 1] of all regressions of one factor at theta.

    They share the design [L + 1, N]: the Hessians are one product of its pairwise products with the weights. Both
    sides of a regression weigh N/2.
    """
    values, size = theta.shape
    rows = design.shape[1]
    hits = np.bincount(labels, minlength=values)
    outside = rows / (2 * (rows - hits))
    ratio = (rows - hits) / hits  # weight of a row in its own value's regression, over that of the rest
    ridge = np.append(np.full(size - 1, _PENALTY), 0.0)
    loss, gradient = np.zeros(values), np.zeros(theta.shape)
    upper = np.triu_indices(size)
    firsts = np.flatnonzero(upper[0] == upper[1])
    products, bends = np.empty((len(upper[0]), ROWS)), np.zeros((values, len(upper[0])))
    for start in range(0, rows, ROWS):
        part = design[:, start : start + ROWS]
        pairs = products[:, : part.shape[1]]
        for i, first in enumerate(firsts):
            np.multiply(part[i], part[i:], out=pairs[first : first + size - i])
        logits = theta @ part
        tail = np.exp(-np.abs(logits))
        sure = 1 / (1 + tail)  # probability of the likelier side
        cost = np.maximum(logits, 0) - np.log(sure)
        pull = np.copysign(sure - 0.5, logits) + 0.5
        bend = tail * sure * sure
        mine = labels[start : start + ROWS]
        own = mine, np.arange(part.shape[1])
        cost[own] = (cost[own] - logits[own]) * ratio[mine]
        pull[own] = (pull[own] - 1) * ratio[mine]
        bend[own] *= ratio[mine]
        loss += cost.sum(axis=1)
        gradient += pull @ part.T
        bends += bend @ pairs.T
    hessian = np.empty((values, size, size))
    hessian[:, upper[0], upper[1]] = hessian[:, upper[1], upper[0]] = bends
    weight = outside[:, None]
    return (
        outside * loss + 0.5 * theta**2 @ ridge,
        weight * gradient + theta * ridge,
        weight[:, None] * hessian + np.diag(ridge),
    )
