"""The formulas of Stuehmer, Turner & Nowozin (AISTATS 2020) taken literally, and trees to try them on."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy.special import betaln, gammaln
from torch import Tensor

# Layouts with their exponents in the order in which they are written.
TREES: list[tuple[Any, float, list[float]]] = [
    ([2], 2.1, [1.4]),
    ([1, 2], 1.3, [3.0, 2.2]),
    ([4, 4, 3], 2.1, [2.2, 1.9, 1.0]),
    ([[2, 3], 4], 2.1, [1.5, 2.5, 1.2, 2.2]),
    (
        [[2, [1, 3]], [2, [1, 3]], [2], 1, 1],
        1.7,
        [1.5, 2.5, 1.2, 3.0, 1.1, 2.0, 2.5, 1.3, 1.6, 2.0, 2.7, 1.4, 1.0, 4.0],
    ),
]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def count(layout: Any) -> int:
    return layout if isinstance(layout, int) else sum(map(count, layout))


def norm(layout: Any, exponents: Iterator[float], z: np.ndarray) -> np.ndarray:
    """f, Eq. 9 and its generalisation, of z [N, n]."""
    p, sizes = next(exponents), [1] * layout if isinstance(layout, int) else [count(child) for child in layout]
    radii = np.abs(z)
    if not isinstance(layout, int):
        blocks = np.split(z, np.cumsum(sizes)[:-1], axis=1)
        radii = np.stack([norm(child, exponents, x) for child, x in zip(layout, blocks, strict=True)], 1)
    return (radii**p).sum(1) ** (1 / p)


def log_surface(layout: Any, exponents: Iterator[float], beta: bool) -> float:
    """log S_f(1), without n log 2: Eq. 8, or with products of Beta functions in place of the Gamma functions."""
    p, sizes = next(exponents), [1] * layout if isinstance(layout, int) else [count(child) for child in layout]
    n, total = np.array(sizes) / p, -(len(sizes) - 1) * math.log(p)
    if beta:
        total += sum(betaln(n[: k + 1].sum(), n[k + 1]) for k in range(len(sizes) - 1))
    else:
        total += gammaln(n).sum() - gammaln(n.sum())
    return total + (0 if isinstance(layout, int) else sum(log_surface(child, exponents, beta) for child in layout))
