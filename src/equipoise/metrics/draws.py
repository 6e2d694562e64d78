"""Random draws of rows that share the value of a factor."""

from collections.abc import Sequence

import numpy as np

from equipoise.metrics.discretise import Ints, encoded, factor_labels, grouped
from equipoise.metrics.inputs import Pair, once

Groups = Sequence[Sequence[Ints]]  # for each factor and each of its values (or settings of the others): the rows


def groups_by_value(data: Pair, factor_bins: int | None) -> Groups:
    """Return the rows of each value of each used factor, without the values of one row."""
    labels = factor_labels(data, factor_bins)
    return once(data, ("groups", factor_bins), lambda: [_groups(*each, min_rows=2) for each in labels])


def _groups(labels: Ints, size: int, min_rows: int) -> list[Ints]:
    """Return the rows of each label that has at least `min_rows`."""
    order, counts = grouped(labels, size)
    return [rows for rows in np.split(order, np.cumsum(counts)[:-1]) if len(rows) >= min_rows]


def groups_by_the_others(data: Pair, factor_bins: int | None, min_rows: int) -> Groups:
    """Return, for each used factor, the rows of each combination of all others that has at least `min_rows`."""
    labels = factor_labels(data, factor_bins)
    out = []
    for k in range(len(labels)):
        key, size = np.zeros(len(data.codes), dtype=np.int64), 1
        for other, values in labels[:k] + labels[k + 1 :]:
            key, size = encoded(key * values + other)  # encoded each time, because the product of sizes could overflow
        out.append(_groups(key, size, min_rows))
    return out


def draw_pairs(rng: np.random.Generator, values: Sequence[Ints], count: int) -> tuple[Ints, Ints]:
    """Return the rows of `count` pairs that share a value, in random order; the values are drawn uniformly.

    The pairs of one value are the two halves of permutations of its rows, so no row is paired with itself.
    """
    counts = np.bincount(rng.integers(len(values), size=count), minlength=len(values))
    one, other = [], []
    for rows, size in zip(values, counts, strict=True):
        half = len(rows) // 2
        order = rows[_permutations(rng, len(rows), -(-int(size) // half))]
        one.append(order[:, :half].ravel()[:size])
        other.append(order[:, half : 2 * half].ravel()[:size])
    order = _permutations(rng, count, 1)[0]
    return np.concatenate(one)[order], np.concatenate(other)[order]


def draw_batches(rng: np.random.Generator, values: Sequence[Ints], count: int, batch: int) -> Ints:
    """Return rows [count, batch]: each batch is a slice of permutations of the rows of a uniformly drawn value."""
    value_of_batch = rng.integers(len(values), size=count)
    out = np.empty((count, batch), dtype=np.int64)
    for value, rows in enumerate(values):
        batches = np.flatnonzero(value_of_batch == value)
        size = len(batches) * batch
        stream = rows[_permutations(rng, len(rows), -(-size // len(rows)))].ravel()
        out[batches] = stream[:size].reshape(-1, batch)
    return out


def _permutations(rng: np.random.Generator, size: int, count: int) -> Ints:
    """Return random permutations of 0 to size - 1, [count, size].

    It sorts random numbers whose low bits are the position, which is ten times as fast as shuffling each row.
    """
    bits = np.uint64(max(size - 1, 1).bit_length())
    keys = rng.integers(2**64, size=(count, size), dtype=np.uint64) >> bits << bits
    keys |= np.arange(size, dtype=np.uint64)
    keys.sort(axis=1)
    keys &= (np.uint64(1) << bits) - np.uint64(1)
    return keys.view(np.int64)
