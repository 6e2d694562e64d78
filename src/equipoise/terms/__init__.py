"""Terms: what is measured on a forward pass. Each is in nats per image, unweighted; the objective reduces.

A term is a plain function `Pass -> Tensor`: [B] per image, [B, D] per image and dimension, [] for a quantity that only
a batch has. Options are bound with `functools.partial`.
"""

from collections.abc import Callable

from torch import Tensor

from equipoise.terms.basic import Term, kl, kl_mc, rec
from equipoise.terms.decomposition import Weighting, dim_kl, mi, tc
from equipoise.terms.moments import Kind, cov_diag, cov_off

TERMS: dict[str, Callable[..., Tensor]] = {
    "rec": rec,
    "kl": kl,
    "kl_mc": kl_mc,
    "mi": mi,
    "tc": tc,
    "dim_kl": dim_kl,
    "cov_off": cov_off,
    "cov_diag": cov_diag,
}
"""Every term by name: a function of a `Pass`, whose other arguments are the term's options."""

SIGNED = frozenset({"kl_mc", "mi", "tc", "dim_kl"})
"""The terms whose batch mean can be negative, being estimates; of the others only `rec`, where it is a density's."""

__all__ = [
    "SIGNED",
    "TERMS",
    "Kind",
    "Term",
    "Weighting",
    "cov_diag",
    "cov_off",
    "dim_kl",
    "kl",
    "kl_mc",
    "mi",
    "rec",
    "tc",
]
