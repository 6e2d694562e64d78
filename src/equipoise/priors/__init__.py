"""Priors p(z), with the KL of a posterior: in closed form where there is one, else estimated from a sample.

Every prior is a product of S independent parts: the dimensions of a standard normal, the subspaces of an L^p-nested
prior.
"""

from equipoise.priors.codebooks import Codebooks
from equipoise.priors.contract import Estimator, Prior, sampled_kl
from equipoise.priors.lp_nested import LpNested
from equipoise.priors.standard_normal import StandardNormal
from equipoise.priors.tree import Layout

PRIORS: dict[str, type[Prior]] = {part.name: part for part in (StandardNormal, LpNested, Codebooks)}
"""Every prior by name."""

__all__ = ["PRIORS", "Codebooks", "Estimator", "Layout", "LpNested", "Prior", "StandardNormal", "sampled_kl"]
