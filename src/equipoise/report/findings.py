"""What is known of a run before anything is drawn or said."""

from dataclasses import dataclass

import numpy as np
import torch

from equipoise.priors import StandardNormal
from equipoise.report.latents import (
    Array,
    Factor,
    Information,
    Latent,
    Measure,
    carried,
    deviation_of,
    factors_over,
    information_of,
    latents_over,
    parts_of,
)
from equipoise.scoring import Run


@dataclass(frozen=True)
class Findings:
    """Posterior means [n, D] of the encoded images, what each latent carries, and what follows for latents and factors.

    `kl` [S] is the mean KL in nats of each independent part of the prior, whose names are `parts`; `estimated` from one
    code an image where it has no closed form. `nats` [D] is what each latent carries, and `measure` what that is:
    see `carried`. `latents` are ordered by it, largest first; `factors` are those with more than one value, and none
    where factors are not known; `information` is None without the score `mig`.
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
        return [latent for latent in self.latents if latent.active]


def findings(run: Run) -> Findings:
    """What the codes and scores of a run say of its latents."""
    prior = run.model.prior
    mean, logvar, z = (torch.from_numpy(np.asarray(run.codes[name])) for name in ("mean", "logvar", "z"))
    with torch.no_grad():
        kl = prior.kl(mean, logvar, z)
    measure, nats = carried(kl, mean, logvar)
    codes = mean.double().numpy()
    factors, information = [], None
    if "factors" in run.codes:
        values, names = run.codes["factors"], run.images.factor_names
        factors = factors_over(codes, values, names)
        information = information_of(run.scores["mig"], values, names) if "mig" in run.scores else None
    return Findings(
        codes=codes,
        kl=kl.double().mean(0).numpy(),
        parts=parts_of(prior),
        estimated=not isinstance(prior, StandardNormal),
        nats=nats,
        measure=measure,
        latents=latents_over(codes, nats, deviation_of(prior), factors, information),
        factors=factors,
        information=information,
    )
