"""The prior of ISA-VAE: independent subspaces with norms other than the Euclidean."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise.errors import InputError
from equipoise.priors.contract import Prior
from equipoise.priors.tree import Layout, Node, gamma_radii, log_gamma_squares, root


class LpNested(Prior):
    """The L^p-nested prior of ISA-VAE: independent subspaces, each with a norm of its own.

    p(z) is proportional to exp(-f(z)^p0 / s), with f^p0 = sum_k r_k^p0 and r_k^p_k = sum_j |z_j|^p_k, where j runs over
    the dimensions of subspace k. Within a subspace the dimensions are uncorrelated, and dependent unless p_k = p0. They
    can be rotated freely only if p_k = 2. p0 = p_k = 2 and s = 2 give N(0, I).

    Args:
        layout: sizes of the subspaces in the order of the dimensions; their sum is D. A list in place of a size is a
            subspace that is divided further: `[[2, 3], 4]` has independent parts of 5 and 4 dimensions, and the radius
            of the first is the norm of the radii of a pair and a triple.
        p0: exponent at the root, above 0. It is never learned. 2.1 is the paper's value for dSprites.
        p: the other exponents, 1 or more: one number for all, or one each in the order in which the layout is written,
            a list before its entries. `[[2, 3], 4]` takes four, for [2, 3], 2, 3 and 4. The exponent of a subspace of
            one dimension has no effect. 2.2 is the paper's value for dSprites.
        scale: s, above 0 (the published code has 1); or "unit_variance", the s that gives each dimension variance 1
            with the exponents p.
        learned: make the exponents below the root parameters, p_min + softplus(raw), which start at p.
        p_min: lower limit of learned exponents, from 1 to below p.

    Raises:
        InputError: if an argument is outside these ranges.

    Source:
        Stuehmer, Turner & Nowozin, Independent Subspace Analysis for Unsupervised Learning of Disentangled
        Representations, AISTATS 2020, section 3.2, https://arxiv.org/abs/1909.05063

    Example:
        >>> prior = LpNested([4, 4, 2], scale="unit_variance", p=2.1)
        >>> prior.latent, prior.sizes
        (10, (4, 4, 2))
        >>> prior.variance[:3]
        tensor([1.0000, 1.0000, 1.0000], dtype=torch.float64)
    """

    name: ClassVar[str] = "lp-nested"
    fixed: Tensor
    constants: Tensor

    def __init__(
        self,
        layout: Layout,
        p0: float = 2.1,
        p: float | Sequence[float] = 2.2,
        scale: float | Literal["unit_variance"] = 1.0,
        learned: bool = False,
        p_min: float = 1.0,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.root = root(layout)
        self.latent = self.root.leaves
        self.p0, self.p_min, self.learned = p0, p_min, learned
        self.p = _exponents(self.root, p0, p, learned, p_min)
        # A chosen exponent is in float64: 2.2 rounded to float32 would be off in a model of double precision.
        # It is on the CPU first, so that a model built on the meta device is checked like any other.
        fixed = torch.tensor(self.p, dtype=torch.float64, device="cpu")
        self.scale = _scale(scale, p0, _log_squares(self.root, p0, fixed))
        if learned:
            # The inverse of softplus, log(e^x - 1), in a form that does not overflow for a large x.
            raw = [x + math.log(-math.expm1(-x)) for x in (one - p_min for one in self.p)]
            self.raw = nn.Parameter(torch.tensor(raw))
        else:
            fixed = fixed.to(torch.get_default_device())
            self.register_buffer("fixed", fixed, persistent=False)
            self.register_buffer("constants", self._constants(fixed), persistent=False)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Dimensions of each subspace."""
        return tuple(self.root.sizes)

    @property
    def exponents(self) -> Tensor:
        """The present exponents below the root, in the order of `p`; [S] where no subspace is divided."""
        return self.p_min + F.softplus(self.raw) if self.learned else self.fixed

    @property
    def variance(self) -> Tensor:
        """Variance [D] of each dimension with the present exponents; all means are 0."""
        return (_log_squares(self.root, self.p0, self.exponents) + 2 / self.p0 * math.log(self.scale)).exp()

    @property
    def deviation(self) -> Tensor:
        """Standard deviation [D] of each dimension with the present exponents."""
        return self.variance.sqrt()

    def parts(self, z: Tensor) -> Tensor:
        """log p(z_k) [B, S] in nats of each subspace, from z [B, D]; in float64 where z is, otherwise in float32.

        These are Eqs. 7, 8 and 11 of the paper with f^(n-1) and Gamma(n/p0) cancelled, so that value and gradient are
        finite at z = 0. Raises `InputError` if z does not have D columns.
        """
        if z.shape[-1] != self.latent:
            raise InputError(f"z has {z.shape[-1]} dimensions; expected {self.latent}, the sum of the prior's layout")
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        p = self.exponents
        constants = self._constants(p) if self.learned else self.constants
        return constants.to(z.dtype) - self.root.radii(z, p.to(z.dtype)) ** self.p0 / self.scale

    def _constants(self, p: Tensor) -> Tensor:
        """log p(z_k) [S] at z_k = 0."""
        parts = []
        for _, node, q in self.root.below(p):
            a = node.leaves / self.p0
            radial = math.log(self.p0) - a * math.log(self.scale) - math.lgamma(a)
            parts.append(radial - node.leaves * math.log(2) - node.log_surface(q))
        return torch.cat(parts)

    def pool(self, t: Tensor) -> Tensor:
        """t [B, D] summed over the dimensions of each subspace, [B, S]."""
        return torch.cat([block.sum(-1) for block in self.root.blocks(t)], -1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent, exact draws [n, D], on the device of the exponents, where the generator must be too.

        This is Algorithm 1 (appendix A.1), but each subspace is given its radius at once: s^(1/p0) r with
        r^p0 ~ Gamma(n_k/p0).
        """
        p = self.exponents.double()  # single precision would lose small radii
        radii = gamma_radii(self.sizes, p.new_full((n, 1), self.p0), generator)
        z = self.root.draw_below(self.scale ** (1 / self.p0) * radii, p, generator)
        signs = 2 * torch.randint(2, z.shape, generator=generator, device=z.device) - 1
        return (signs * z).to(torch.get_default_dtype())

    def logs(self) -> dict[str, Tensor]:
        """The exponents if they are learned, for a row of the log."""
        return {"exponents": self.exponents.detach()} if self.learned else {}


def _exponents(tree: Node, p0: float, p: float | Sequence[float], learned: bool, p_min: float) -> list[float]:
    """p as one number for each node below the root. Raises `InputError` for a value out of range."""
    nodes = tree.exponents - 1
    p = [float(p)] * nodes if isinstance(p, int | float) else [float(one) for one in p]
    if not 0 < p0 < math.inf:
        raise InputError(f"p0 is {p0:g}; expected a positive number, such as 2.1")
    if len(p) != nodes:
        raise InputError(f"p has {len(p)} exponents, but the layout takes {nodes}; give one for all, or {nodes}")
    if not all(1 <= one < math.inf for one in p):
        raise InputError(f"p is {', '.join(f'{one:g}' for one in p)}; expected exponents of 1 or more")
    if not learned:
        return p
    if not 1 <= p_min < min(p):
        raise InputError(f"p_min is {p_min:g} and p starts from {min(p):g}; expected 1 <= p_min < p")
    if max(tree.sizes) == 1:
        raise InputError("all subspaces have one dimension, so their exponents have no effect; set learned=False")
    return p


def _log_squares(tree: Node, p0: float, p: Tensor) -> Tensor:
    """log E[z_j^2] [D] for s = 1 and the exponents p below the root."""
    return tree.log_squares_below(log_gamma_squares(tree.sizes, p.new_tensor([p0])), p)


def _scale(scale: float | Literal["unit_variance"], p0: float, log_squares: Tensor) -> float:
    """s, given log Var z_j at s = 1: the variance goes with s^(2/p0)."""
    if isinstance(scale, int | float) and 0 < scale < math.inf:
        return float(scale)
    if scale != "unit_variance":
        raise InputError(f'scale is {scale!r}; expected a positive number, or "unit_variance"')
    low, high = (math.exp(-0.5 * p0 * value) for value in (float(log_squares.max()), float(log_squares.min())))
    if high / low - 1 > 1e-9:
        raise InputError(
            f"for unit variance some subspaces of this layout need scale={low:.4f} and others {high:.4f}; give a number"
        )
    return low
