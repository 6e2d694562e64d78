"""Findings on the latents and factors of a run, from its codes and scores, for all pictures and sentences."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from equipoise.report.latents import (
    Array,
    Factor,
    Information,
    Latent,
    Measure,
    deviation_of,
    factors_over,
    information_of,
    latents_over,
    nats_carried,
    parts_of,
    typical_row,
)
from equipoise.scoring import Run

MOST = 16  # latents in a picture
MINOR = 0.1  # share of the nats of the first latent below which an active latent is weak


@dataclass(frozen=True)
class Findings:
    """The latents and factors of a run over its n encoded images.

    `codes` [n, D] are the posterior means. `kl` [S] is the mean KL in nats of each independent part of the prior, and
    `parts` are the names of these; `estimated` is true where the KL has no closed form and is estimated from one sample
    per image. `nats` [D] is what each latent carries, and `measure` how that is computed, as `nats_carried` describes.
    `latents` are sorted by it, largest first. `factors` are those with two values or more, none where factors are not
    known. `information` is None without the score `mig`.
    """

    codes: Array
    kl: Array
    parts: list[str]
    estimated: bool
    nats: Array
    measure: Measure
    latents: list[Latent]
    factors: list[Factor]
    information: Information | None

    @property
    def active(self) -> list[Latent]:
        """The active latents, largest `nats` first."""
        return [latent for latent in self.latents if latent.active]

    @property
    def main(self) -> list[Latent]:
        """The latents that are used: the active ones with at least a tenth of the nats of the first."""
        return [latent for latent in self.active if latent.nats >= MINOR * self.active[0].nats]

    @property
    def counts(self) -> dict[str, int]:
        """How many latents are used, weak (the other active ones) and unused (the inactive ones)."""
        used, active = len(self.main), len(self.active)
        return {"used": used, "weak": active - used, "unused": len(self.latents) - active}

    @property
    def usage(self) -> str:
        """The `counts` that are not 0, as a phrase."""
        return ", ".join(f"{count} {kind}" for kind, count in self.counts.items() if count)

    @property
    def selection(self) -> list[Latent]:
        """The latents for pictures: up to 16 active ones, or three without their factors where none is active."""
        if self.active:
            return self.active[:MOST]
        return [replace(latent, factor=None, mutual_information=None) for latent in self.latents[:3]]

    @property
    def reference(self) -> Array:
        """The code [D] of a typical image, the one nearest the median code. Traversals start from it."""
        reference: Array = self.codes[typical_row(self.codes)]
        return reference

    def examples(self, count: int) -> list[int]:
        """Return up to `count` rows of the codes: that of a typical image, then the first others, in random order."""
        first = typical_row(self.codes)
        return [first, *(row for row in range(min(len(self.codes), count)) if row != first)][:count]


def analyse(run: Run) -> Findings:
    """Compute the findings of a run that is encoded. Without scores or factors the parts that need them are empty.

    The images are not read, because they may no longer be there.
    """
    prior, codes = run.model.prior, run.codes
    mean, logvar, z = (torch.from_numpy(np.asarray(codes[name])) for name in ("mean", "logvar", "z"))
    with torch.no_grad():
        kl = prior.kl(mean, logvar, z)
    measure, nats = nats_carried(kl, mean, logvar)
    means = mean.double().numpy()
    factors, information = [], None
    if "factors" in codes:
        names = list(map(str, codes.get("factor_names", run.meta["data"]["factor_names"])))
        factors = factors_over(means, codes["factors"], names)
        if "mig" in run.scores:
            information = information_of(run.scores["mig"], codes["factors"], names)
    return Findings(
        codes=means,
        kl=kl.double().mean(0).numpy(),
        parts=parts_of(prior),
        estimated=prior.is_estimated,
        nats=nats,
        measure=measure,
        latents=latents_over(means, nats, deviation_of(prior), factors, information),
        factors=factors,
        information=information,
    )
