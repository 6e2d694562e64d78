"""Weights for latents that are learned in two groups at first: one from edge maps, one from images."""

from typing import ClassVar

import torch
from torch import Tensor

from equipoise.balance.contract import Balance, Fraction, NonNegative, Positive, Seen, Share, Weights
from equipoise.errors import InputError
from equipoise.model import first_half

RATE = 0.05  # of the running mean of the KL of the second half: about the last 20 steps


class TwoGroups(Balance):
    """Weights of the KL and of the edge maps, for latents that are learned in two groups at first.

    Until `apart`, the first half of the latents receives gradients from the edge maps alone, and the second half
    from the images alone; see `VAE.apart`. The weight of the KL of the first half falls geometrically from
    `edges_start` to `edges_end` in half of this time, and that of the edge maps is 1. The weight of the KL of the
    second half is `opening_weight` during the opening, which ends when these latents encode `opening` nats, then
    `start` for the fraction `hold` of the schedule, and then falls geometrically to `end`, which it reaches at
    `until`. After `apart` it is the weight of all latents, and that of the edge maps is this weight divided by
    `edges_end`. In evaluation all weights are the last ones.

    Args:
        latent: number of latent dimensions D, at least 2.
        start: first weight of the KL of the second half.
        end: last weight of the KL, at most `start`.
        hold: fraction of the schedule for which the weight is `start`.
        until: fraction of the schedule at which it reaches `end`.
        opening: KL of the second half in nats, a running mean, at which the opening ends.
        opening_until: fraction of the schedule at which it ends at the latest.
        opening_weight: weight of the KL of the second half during the opening.
        edges_start: first weight of the KL of the first half, relative to that of the edge maps.
        edges_end: its last weight, at most `edges_start`.
        apart: fraction of the schedule for which the groups are learned apart.
        unit: the term in whose mean the weights of the KL are expressed, such as `spread`; the mean is taken over the
            first steps and then stays. Default: nats of the KL itself.

    Raises:
        InputError: for fewer than two latents, a weight that rises, or an opening and a `hold` that end after `until`.

    Source:
        Equipoise; see `docs/methods/outline-vae.md`.

    Example:
        >>> import torch
        >>> weights = TwoGroups(latent=2)({"progress": torch.tensor(0.01), "kl": torch.zeros(2)})
        >>> weights["kl"], weights["edges"]
        (tensor([0.0908, 0.0200]), tensor(1.))
    """

    name: ClassVar[str] = "two-groups"
    is_scheduled = True
    needs_latent_kl = True
    terms = ("kl", "edges")
    kl_mean: Tensor
    opened: Tensor

    def __init__(
        self,
        latent: int,
        start: Positive = 0.18,
        end: Positive = 0.0015,
        hold: Share = 0.05,
        until: Fraction = 0.65,
        opening: NonNegative = 2.5,
        opening_until: Share = 0.1,
        opening_weight: Positive = 0.02,
        edges_start: Positive = 0.1,
        edges_end: Positive = 0.03,
        apart: Fraction = 0.25,
        unit: str | None = None,
    ) -> None:
        super().__init__()
        if latent < 2:
            raise InputError(f"two groups need two latents or more; set net.latent, which is {latent}")
        for name, first, last in (("end", start, end), ("edges_end", edges_start, edges_end)):
            if last > first:
                raise InputError(f"the weight rises from {first:g} to {last:g}; {name} has to be at most {first:g}")
        if opening_until + hold >= until:
            raise InputError(
                f"opening_until and hold of two-groups are {opening_until:g} and {hold:g}; their sum has to be below "
                f"until, which is {until:g}"
            )
        self.latent, self.start, self.end, self.hold, self.until = latent, start, end, hold, until
        self.opening, self.opening_until, self.opening_weight = opening, opening_until, opening_weight
        self.edges_start, self.edges_end, self.apart = edges_start, edges_end, apart
        self.register_buffer("kl_mean", torch.zeros(()))
        self.register_buffer("opened", torch.tensor(1.0))  # progress at which the opening ended; 1: not yet
        self.express_in(unit)

    def forward(self, seen: Seen) -> Weights:
        """The weights of the KL [D] and of the edge maps [] at `progress`."""
        progress, opened = torch.ones_like(seen["progress"]), torch.zeros_like(self.opened)
        if self.training:
            progress, opened = seen["progress"], self._end_of_opening(seen)
        begin = opened + self.hold
        fraction = ((progress - begin) / (self.until - begin).clamp(min=1e-6)).clamp(0, 1)
        of_images = _between(self.start, self.end, fraction)
        of_images = torch.where(opened == 1, torch.full_like(of_images, self.opening_weight), of_images)
        of_edges = _between(self.edges_start, self.edges_end, (2 * progress / self.apart).clamp(max=1))
        is_apart = progress < self.apart
        kl = torch.where(is_apart & first_half(self.latent, progress.device), of_edges, of_images)
        edges = torch.where(is_apart, torch.ones_like(of_images), of_images / self.edges_end)
        return {"kl": self.in_nats(kl, seen), "edges": edges}

    @torch.no_grad()
    def _end_of_opening(self, seen: Seen) -> Tensor:
        """The progress [] at which the opening ended; 1 during the opening."""
        kl, progress = seen["kl"], seen["progress"]
        of_second_half = kl[~first_half(self.latent, kl.device)].sum()
        self.kl_mean += RATE * (of_second_half - self.kl_mean)
        ends = (self.opened == 1) & ((self.kl_mean >= self.opening) | (progress >= self.opening_until))
        self.opened.copy_(torch.where(ends, progress, self.opened))
        return self.opened.clone()


def _between(first: float, last: float, fraction: Tensor) -> Tensor:
    """The value [] at a fraction [] of the way from the first to the last, by equal ratios."""
    return first * (last / first) ** fraction
