"""A tree of norms: radii, surface, draws and second moments of an L^p-nested function.

Source and notation: Stuehmer, Turner & Nowozin, AISTATS 2020, section 3.2 and appendix A.1, after Sinz & Bethge, JMLR
11, 2010. Node i has an exponent p_i, l_i children and n_i leaves below it. The radius of a node is the p_i-norm of the
radii of its children; the radius of a leaf is |z|.

Adjacent children of the same form are a run. A run is computed at once, in a dimension of its own. So the functions of
a node take z [..., n_i] and p [..., e_i], the exponents of the node and of all nodes below it in the order of the
layout, its own first. The leading dimensions are the batch and the runs above.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from equipoise.errors import InputError

Layout = Sequence["int | Layout"]


@dataclass(frozen=True)
class Node:
    """A node: its number of leaves and of exponents, and its runs of children as pairs of their number and their form.

    A node without runs is a subspace, whose children are its leaves.
    """

    leaves: int
    exponents: int
    runs: tuple[tuple[int, "Node"], ...] = ()

    @property
    def sizes(self) -> list[int]:
        """The number of leaves below each child."""
        return [node.leaves for count, node in self.runs for _ in range(count)] or [1] * self.leaves

    def blocks(self, t: Tensor) -> list[Tensor]:
        """t [..., n_i] split into runs, each [..., count, n]."""
        return _split(t, [(count, node.leaves) for count, node in self.runs])

    def below(self, p: Tensor) -> Iterator[tuple[int, "Node", Tensor]]:
        """Number, form and exponents [..., count, e] of each run, from the exponents below this node."""
        pieces = _split(p, [(count, node.exponents) for count, node in self.runs])
        for (count, node), piece in zip(self.runs, pieces, strict=True):
            yield count, node, piece

    def radius(self, z: Tensor, p: Tensor) -> Tensor:
        """The radius [...] of z."""
        return _norm(self.radii(z, p[..., 1:]) if self.runs else z.abs(), p[..., :1])

    def radii(self, z: Tensor, p: Tensor) -> Tensor:
        """The radii [..., l_i] of the children; p are the exponents below this node."""
        return _join([node.radius(x, q) for (_, node, q), x in zip(self.below(p), self.blocks(z), strict=True)])

    def log_surface(self, p: Tensor) -> Tensor:
        """Logarithm [...] of the factors of this node and all below it in the surface S_f(1), Eq. 8, without its 2^n.

        The product over the children goes up to l_i, where the paper prints l_1.
        """
        own = p[..., 0]
        total = -torch.lgamma(self.leaves / own) - (len(self.sizes) - 1) * own.log()
        if not self.runs:
            return total + self.leaves * torch.lgamma(1 / own)
        for count, node, q in self.below(p[..., 1:]):
            total = total + count * torch.lgamma(node.leaves / own) + node.log_surface(q).sum(-1)
        return total

    def draw(self, radius: Tensor, p: Tensor, generator: torch.Generator | None) -> Tensor:
        """Points [..., n_i] in the positive orthant, uniform on the surface where this node has the radius [...].

        This is Algorithm 1: the children's radii to the power p_i are Dirichlet(n_i1/p_i, ...), computed as gamma
        variables over their sum.
        """
        radii = gamma_radii(self.sizes, p[..., :1].expand(*radius.shape, 1), generator)
        radii = radii * (radius / _norm(radii, p[..., :1]))[..., None]
        return self.draw_below(radii, p[..., 1:], generator) if self.runs else radii

    def draw_below(self, radii: Tensor, p: Tensor, generator: torch.Generator | None) -> Tensor:
        """Points [..., n_i] where the children have the radii [..., l_i]; p are the exponents below this node."""
        pieces = zip(self.below(p), torch.split(radii, [count for count, _ in self.runs], -1), strict=True)
        return _join([node.draw(r, q, generator).flatten(-2) for (_, node, q), r in pieces])

    def log_squares(self, radius: Tensor, p: Tensor) -> Tensor:
        """log E[z_j^2] [..., n_i] of each leaf, from log E[r^2] [...] of this node's radius."""
        own = p[..., :1]
        radii = radius[..., None] + log_gamma_squares(self.sizes, own) - log_gamma_squares([self.leaves], own)
        return self.log_squares_below(radii, p[..., 1:]) if self.runs else radii

    def log_squares_below(self, radii: Tensor, p: Tensor) -> Tensor:
        """log E[z_j^2] [..., n_i] of each leaf, from log E[r^2] [..., l_i] of the children's radii."""
        pieces = zip(self.below(p), torch.split(radii, [count for count, _ in self.runs], -1), strict=True)
        return _join([node.log_squares(r, q).flatten(-2) for (_, node, q), r in pieces])


def root(layout: Layout) -> Node:
    """The root of the tree of a layout, which is a list of subspace sizes and of such lists.

    The root has an exponent too. Raises `InputError` if a list is empty or a size is not a positive whole number.
    """
    if isinstance(layout, str) or not isinstance(layout, Sequence) or len(layout) == 0:
        raise InputError(f"layout has {layout!r} where sizes of subspaces should be; give a list such as [4, 4, 4]")
    children = [root(child) if isinstance(child, Sequence) else _subspace(child) for child in layout]
    runs = tuple((len(list(alike)), node) for node, alike in groupby(children))
    return Node(sum(node.leaves for node in children), 1 + sum(node.exponents for node in children), runs)


def _subspace(size: int) -> Node:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InputError(f"layout has a subspace of size {size!r}; give whole numbers of 1 or more")
    return Node(leaves=size, exponents=1)


def gamma_radii(n: Sequence[int], p: Tensor, generator: torch.Generator | None) -> Tensor:
    """Independent draws r [..., l] with r_k^p ~ Gamma(n_k / p), for p [..., 1].

    Gamma(a) is drawn as U^(1/a) Gamma(a + 1) with uniform U, so that small values do not underflow before the root is
    taken.
    """
    size = p.new_tensor(n)
    gammas = torch._standard_gamma(1 + size / p, generator=generator)
    uniform = torch.rand(gammas.shape, generator=generator, dtype=p.dtype, device=p.device)
    return uniform ** (1 / size) * gammas ** (1 / p)


def log_gamma_squares(n: Sequence[int], p: Tensor) -> Tensor:
    """log E[r_k^2] [..., l] where r_k^p ~ Gamma(n_k / p), for p [..., 1]."""
    size = p.new_tensor(n)
    return torch.lgamma((size + 2) / p) - torch.lgamma(size / p)


def _norm(x: Tensor, p: Tensor) -> Tensor:
    """(sum_k x_k^p)^(1/p) [...] of x [..., l] >= 0, for p [..., 1] >= 1. Its gradients are finite, and 0 at x = 0.

    It is computed as m (sum_k (x_k / m)^p)^(1/p) with the largest x as m, so that nothing under- or overflows. The
    value does not depend on m, so m needs no gradient. The sum is at least 1 unless x = 0, where the clamp avoids an
    infinite slope of the root.
    """
    m = x.detach().amax(-1, keepdim=True).clamp(min=1e-30)
    return ((x / m) ** p).sum(-1).clamp(min=0.5) ** (1 / p.squeeze(-1)) * m.squeeze(-1)


def _split(t: Tensor, runs: Sequence[tuple[int, int]]) -> list[Tensor]:
    """t [..., sum of count * width] as one tensor [..., count, width] per run."""
    pieces = [t] if len(runs) == 1 else torch.split(t, [count * width for count, width in runs], -1)
    return [piece.reshape(*piece.shape[:-1], *run) for run, piece in zip(runs, pieces, strict=True)]


def _join(runs: list[Tensor]) -> Tensor:
    return runs[0] if len(runs) == 1 else torch.cat(runs, -1)
