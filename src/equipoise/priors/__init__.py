"""The prior p(z), and how far a posterior is from it: in closed form where there is one, else by its sample.

Every prior is a product of S independent parts: the dimensions of a standard normal, the subspaces of an L^p-nested
prior. `parts` gives the log-density of each, and `pool` sums what is per dimension over the dimensions of each.
"""

from equipoise.priors.kl import Estimator, sampled_kl
from equipoise.priors.lp_nested import LpNested
from equipoise.priors.standard_normal import StandardNormal
from equipoise.priors.tree import Layout

Prior = StandardNormal | LpNested

__all__ = ["Estimator", "Layout", "LpNested", "Prior", "StandardNormal", "sampled_kl"]
