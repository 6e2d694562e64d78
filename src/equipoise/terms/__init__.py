"""Terms of the loss, in nats per image, without weights. The objective averages them over the batch.

A term is a function `Pass -> Tensor`. It returns [B] per image, [B, D] per image and dimension, or [] for a quantity of
the whole batch. Options are bound with `functools.partial`.
"""

from collections.abc import Callable

from torch import Tensor

from equipoise.terms.basic import Term, kl, kl_mc, rec, rec_min, spread, sse, sse_of_mean
from equipoise.terms.codebooks import commit, quantise
from equipoise.terms.decomposition import Weighting, dim_kl, mi, tc
from equipoise.terms.moments import Kind, cov_diag, cov_off
from equipoise.terms.support import hausdorff, mmd

TERMS: dict[str, Callable[..., Tensor]] = {
    "rec": rec,
    "kl": kl,
    "kl_mc": kl_mc,
    "mi": mi,
    "tc": tc,
    "dim_kl": dim_kl,
    "cov_off": cov_off,
    "cov_diag": cov_diag,
    "quantise": quantise,
    "commit": commit,
    "mmd": mmd,
    "hausdorff": hausdorff,
}
"""All terms by name. The first argument is a `Pass`, the others are options."""

MONITORS: dict[str, Term] = {"spread": spread, "rec_min": rec_min, "sse": sse, "sse_of_mean": sse_of_mean}
"""Quantities of the images that a balance may measure; they are logged, and not part of the loss."""

SIGNED = frozenset({"kl_mc", "mi", "tc", "dim_kl"})
"""The terms whose batch mean can be negative, because they are estimates. `rec` can be negative for a density."""

__all__ = [
    "MONITORS",
    "SIGNED",
    "TERMS",
    "Kind",
    "Term",
    "Weighting",
    "commit",
    "cov_diag",
    "cov_off",
    "dim_kl",
    "hausdorff",
    "kl",
    "kl_mc",
    "mi",
    "mmd",
    "quantise",
    "rec",
    "rec_min",
    "spread",
    "sse",
    "sse_of_mean",
    "tc",
]
