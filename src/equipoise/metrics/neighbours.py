"""Mutual information of a continuous code and a label, from distances to neighbours."""

import numpy as np
from scipy.special import digamma

from equipoise.metrics.discretise import Ints, grouped
from equipoise.metrics.result import Floats


def with_labels(codes: Floats, labels: Ints, values: int, neighbours: int) -> Floats:
    """Return the mutual information of each latent with the label, in nats, [L]; codes [N, L], labels [N].

    The radius of a row is the distance to its k-th nearest row of equal label, where k is `neighbours`, or the number
    of other rows of its label if that is smaller. With m the number of rows closer than the radius, the row included, I
    is the mean over rows of psi(N) + psi(k) - psi(rows of its label) - psi(m), at least 0. Rows whose label no other
    row has are left out.

    Source: Ross 2014, Mutual information between discrete and continuous data sets, https://doi.org/10.1371/journal.pone.0087357
    """
    order, counts = grouped(labels, values)
    groups = [rows for rows in np.split(order, np.cumsum(counts)[:-1]) if len(rows) > 1]
    if not groups:
        return np.zeros(codes.shape[1])
    near = [min(neighbours, len(rows) - 1) for rows in groups]
    own = [np.sort(codes[rows], axis=0) for rows in groups]
    points = np.concatenate(own)
    radii = np.concatenate([_radii(column, k) for column, k in zip(own, near, strict=True)])
    everyone = np.sort(points, axis=0)
    sizes = np.array([len(rows) for rows in groups])
    constant_part = digamma(len(points)) + (sizes * (digamma(near) - digamma(sizes))).sum() / len(points)
    closer = [digamma(_closer(*columns)).mean() for columns in zip(everyone.T, points.T, radii.T, strict=True)]
    information: Floats = np.maximum(constant_part - np.array(closer), 0.0)
    return information


def _radii(points: Floats, k: int) -> Floats:
    """Return the distance of each sorted point to its k-th nearest other, [n, L]: the tightest of its k + 1 windows."""
    size = len(points)
    radii = np.full(points.shape, np.inf)
    for first in range(-k, 1):  # the window of k + 1 points from i + first
        inside = slice(max(-first, 0), size - (k + first))
        here = points[inside]
        low = points[inside.start + first : inside.stop + first]
        high = points[inside.start + first + k : inside.stop + first + k]
        np.minimum(radii[inside], np.maximum(here - low, high - here), out=radii[inside])
    return radii


def _closer(everyone: Floats, points: Floats, radii: Floats) -> Ints:
    """Return how many of all sorted points are closer to each point than its radius, [N].

    Differences are compared with the radius. Adding the radius to a point would, by rounding, count the k-th neighbour
    of some points, which makes the information about 0.1 nats too small for tied codes.
    """
    padded = np.concatenate([[-np.inf], everyone, [np.inf]])  # point i is padded[i + 1]
    low, high = np.searchsorted(everyone, points - radii), np.searchsorted(everyone, points + radii)
    while (beyond := padded[high + 1] - points < radii).any():
        high += beyond
    while (short := padded[high] - points >= radii).any():
        high -= short
    while (beyond := points - padded[low] < radii).any():
        low -= beyond
    while (short := points - padded[low + 1] >= radii).any():
        low += short
    closer: Ints = np.maximum(high - low, 1)  # the point itself, if the radius is 0
    return closer
