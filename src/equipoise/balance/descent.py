"""A weight that pauses its fall when the first latents are encoded."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from equipoise.balance.contract import Balance, Fraction, NonNegative, Positive, Seen, Share, Weights
from equipoise.errors import InputError

RATE = 0.02  # of the running mean of the term: about the last 50 steps
SHORTEST = 0.05  # fraction of the schedule that the fall after the pause takes at least


class Descent(Balance):
    """A weight of one term that falls slowly until the term exceeds a value, pauses, and then falls to its end.

    The weight is halved every `halving` of the schedule until the running mean of the term exceeds `entry`. It then
    stays for `hold`, and falls geometrically to `end`, which it reaches at `until`. With the KL, the pause begins when
    the first latents are encoded, so these settle before weaker ones enter. If the term never exceeds `entry`,
    the weight falls to `end`. In evaluation it is `end`.

    Args:
        start: first weight, above 0.
        end: last weight, above 0 and at most `start`.
        entry: mean of the term, in nats, at which the pause begins; 0: it begins at the first step.
        halving: fraction of the schedule in which the weight is halved before the pause.
        hold: fraction of the schedule for which it stays; with more than 0.95, it does not reach `end`.
        until: fraction of the schedule at which it reaches `end`; later if the pause ends less than 5 % before.
        term: the term that is weighted and watched.
        unit: the term in whose mean `start` and `end` are expressed, such as `spread`; the mean is taken over the first
            steps and then stays. Default: nats of the term itself.

    Raises:
        InputError: if `end` is above `start`.

    Source:
        Equipoise; see `docs/methods/aligned-vae.md`.

    Example:
        >>> import torch
        >>> from equipoise.balance import Descent
        >>> descent = Descent(8.0, 1.0, entry=0.1, halving=0.1)
        >>> clock = {"step": torch.tensor(20), "progress": torch.tensor(0.2)}
        >>> descent({**clock, "kl": torch.tensor(0.0)})
        {'kl': tensor(2.)}
    """

    name: ClassVar[str] = "descent"
    is_scheduled = True
    term_mean: Tensor
    entered: Tensor

    def __init__(
        self,
        start: Positive,
        end: Positive,
        entry: NonNegative = 0.1,
        halving: Fraction = 0.1,
        hold: Share = 0.1,
        until: Fraction = 0.5,
        term: str = "kl",
        unit: str | None = None,
    ) -> None:
        super().__init__()
        if end > start:
            raise InputError(f"descent goes from {start:g} to {end:g}; end has to be at most start")
        self.start, self.end, self.entry, self.halving = start, end, entry, halving
        self.hold, self.until, self.term = hold, until, term
        self.terms = (term,)
        self.register_buffer("term_mean", torch.zeros(()))
        self.register_buffer("entered", torch.tensor(1.0 if entry > 0 else 0.0))  # progress at which it pauses; 1: none
        self.express_in(unit)

    def check_new(self) -> None:
        """Raise `InputError` for a `hold` after which the weight does not reach `end`."""
        if self.hold > 1 - SHORTEST:
            raise InputError(
                f"hold is {self.hold:g}, after which the weight does not reach its end within the schedule; set it to "
                f"{1 - SHORTEST:g} or less"
            )

    def forward(self, seen: Seen) -> Weights:
        """The weight of the term at `progress`."""
        weight = torch.full_like(seen["progress"], self.end)
        if self.training:
            weight = self._weight(seen["progress"], self._pause(seen))
        return {self.term: self.in_nats(weight, seen)}

    @torch.no_grad()
    def _pause(self, seen: Seen) -> Tensor:
        """The progress [] at which the pause begins.

        It is the present progress while the mean of the term is still at most `entry`.
        """
        progress = seen["progress"]
        self.term_mean += RATE * (seen[self.term].sum() - self.term_mean)
        begins = (self.entered == 1) & (self.term_mean > self.entry)
        self.entered.copy_(torch.where(begins, progress, self.entered))
        return torch.minimum(self.entered, progress)

    def _weight(self, progress: Tensor, pause: Tensor) -> Tensor:
        """The weight [] at this progress [] if the pause begins at `pause` []."""
        top = (self.start * (-math.log(2) / self.halving * pause).exp()).clamp(min=self.end)
        length = (self.until - self.hold - pause).clamp(min=SHORTEST)
        fraction = ((progress - pause - self.hold) / length).clamp(0, 1)
        return top * (fraction * (self.end / top).log()).exp()
