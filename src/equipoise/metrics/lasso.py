"""Lasso of many targets at once."""

import numpy as np

from equipoise.metrics.result import Floats

_SWEEPS = 10_000


def lasso(products: Floats, towards: Floats, squares: Floats, alpha: Floats, tolerance: float) -> Floats:
    """Coefficients [L, T] that minimise |y - x b|^2 / 2N + alpha |b|_1 for each of T targets y.

    products: [L, L], x^T x / N; towards: [L, T], x^T y / N; squares: [T], y^T y / N, of centred x and y; alpha: [T].
    Coordinate descent from 0 on the products, which all targets share, so that N counts once. A target is done by
    scikit-learn's rule, after a sweep that changed no coefficient by more than `tolerance` times the largest and left a
    duality gap of at most `tolerance` times its square; near copies of a latent share their weight by where one stops.
    """
    live = np.flatnonzero(products.diagonal() > 0)
    coefficients = np.zeros_like(towards)
    undone = np.arange(len(alpha))
    for _ in range(_SWEEPS):
        b, y, penalty = coefficients[:, undone], towards[:, undone], alpha[undone]
        change = np.zeros(len(undone))
        for i in live:
            alone = y[i] - products[i] @ b + products[i, i] * b[i]
            new = np.sign(alone) * np.maximum(np.abs(alone) - penalty, 0) / products[i, i]
            change = np.maximum(change, np.abs(new - b[i]))
            b[i] = new
        coefficients[:, undone] = b
        still = change > tolerance * np.abs(b).max(axis=0)
        if not still.all():
            undone = undone[still | (_gap(products, y, squares[undone], b, penalty) > tolerance * squares[undone])]
            if not len(undone):
                break
    return coefficients


def _gap(products: Floats, towards: Floats, squares: Floats, b: Floats, alpha: Floats) -> Floats:
    """Duality gap of the coefficients b, over N, [T]: how far above the least loss they are at most."""
    pull = products @ b
    residual = squares - 2 * (b * towards).sum(axis=0) + (b * pull).sum(axis=0)
    steepest = np.abs(towards - pull).max(axis=0)
    feasible = np.minimum(1.0, alpha / np.maximum(steepest, 1e-300))
    gap: Floats = (
        0.5 * residual * (1 + feasible**2)
        + alpha * np.abs(b).sum(axis=0)
        - feasible * (squares - (b * towards).sum(axis=0))
    )
    return gap
