"""What a reader of a run has to know: nothing that went wrong, or is not over, stays silent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equipoise.adversary import Adversary
from equipoise.balance import Flag, Remark
from equipoise.config import outline
from equipoise.likelihoods import CalibratedGaussian
from equipoise.metrics import Score
from equipoise.report.findings import Findings, analyse
from equipoise.report.latents import ACTIVE, Array, Information, latent_variances
from equipoise.scoring import Run

CHANCE = 0.52  # accuracy below which a discriminator sees nothing: 0.005 nats, were the codes Gaussian
SURE = 0.98  # accuracy above which it says no more than that: 8 nats
FITTED = 1.25  # of sigma^2 over the error of posterior means; that of sampled codes, which it fits, is a tenth larger


def notes(run: Run) -> list[str]:
    """Sentences on collapsed latents, weights that have not settled or are at a limit, and what was not measured."""
    return [remark.sentence for remark in remarks(run, analyse(run))]


def flags(run: Run) -> list[Flag]:
    """What makes a run unfit to be compared as it stands, told from its codes and log alone: no model is loaded."""
    said = [*_collapse(latent_variances(run.codes["mean"])), *_training(run)]
    return list(dict.fromkeys(remark.flag for remark in said if remark.flag is not None))


def remarks(run: Run, found: Findings) -> list[Remark]:
    """The notes of a run of which the findings are there already."""
    said = [*_collapse(latent_variances(found.codes)), *_training(run)]
    if found.information is not None:
        said += _missing(found.information)
    return said + _scores(run.scores, bool(found.factors))


def _collapse(variances: Array) -> list[Remark]:
    idle = np.flatnonzero(variances <= ACTIVE)
    if not len(idle):
        return []
    if len(idle) == len(variances):
        sentence = (
            "Posterior collapse: no latent is active, so every image is decoded to the same picture. The KL weighs too "
            "much for these images, or too much too early, or the run was too short. (Active: variance of the means "
            f"above {ACTIVE}.)"
        )
        return [Remark(sentence, "collapsed")]
    names = ", ".join(f"z{j}" for j in idle)
    sentence = (
        f"{len(idle)} of {len(variances)} latents collapsed to the prior and carry nothing: {names}. So a model "
        "drops latents it has no use for; it is a fault only where factors of variation are missing."
    )
    return [Remark(sentence)]


def _training(run: Run) -> list[Remark]:
    if not run.logs:
        return []
    objective = outline(run.config)
    said = objective.balance.remarks(run.logs)
    if isinstance(objective.likelihood, CalibratedGaussian) and not objective.likelihood.optimal:
        error = float(np.mean(run.codes["sse"], dtype=np.float64)) / math.prod(run.meta["shape"])
        said += _noise(run.logs[-1], error)
    if isinstance(objective.adversary, Adversary):
        said += _discriminator([float(row["accuracy"]) for row in run.logs])
    return said


def _noise(row: Mapping[str, Any], error: float) -> list[Remark]:
    """Whether a learned sigma is on its way to the root of the mean squared error of a pixel, where it would stay."""
    sigma = float(row["sigma"])
    if error <= 0 or 1 / FITTED <= sigma**2 / error <= FITTED:
        return []
    sentence = (
        f"The noise of the decoder was still being learned: σ = {sigma:.3f}, where the errors of the pictures ask for "
        f"about {math.sqrt(error):.3f}. So the weight of the KL, 2σ² = {2 * sigma**2:.3g}, also depends on where the "
        f"run was stopped; it tends to {2 * error:.2g}."
    )
    lr = float(row.get("lr") or 0)
    if lr > 0:
        steps = abs(math.log(error) / 2 - math.log(sigma)) / lr
        sentence += (
            f" Adam moves log σ by about one learning rate a step at most; at {lr:.3g} it needs "
            f"{float(f'{steps:.2g}'):,.0f} more steps or longer."
        )
    return [Remark(sentence, "not settled")]


def _discriminator(accuracy: Sequence[float]) -> list[Remark]:
    """Whether the discriminator of codes learned nothing, or has nothing left to learn: its accuracy in every row."""
    fifths = [float(np.mean(fifth)) for fifth in np.array_split(accuracy, min(5, len(accuracy)))]
    if max(fifths) < CHANCE:
        sentence = (
            f"The discriminator told codes from shuffled ones in {np.mean(accuracy):.1%} of cases, which is chance, "
            "throughout the run. Either the latents were independent all along, as collapsed ones are, or it learned "
            "nothing, and tc is then no measure of the total correlation and its penalty without effect: train longer, "
            "or with a larger learning rate of the discriminator."
        )
        return [Remark(sentence, "at chance")]
    if fifths[-1] > SURE:
        sentence = (
            f"The discriminator told codes from shuffled ones in {fifths[-1]:.1%} of cases over the last fifth of the "
            "run. One so sure says that the total correlation is large, and no longer how large: a larger weight of tc "
            "would bring it down."
        )
        return [Remark(sentence, "saturated")]
    return []


def _missing(information: Information) -> list[Remark]:
    told = information.share.max(axis=1) >= information.clear
    names = [name for name, clear in zip(information.names, told, strict=True) if not clear]
    if not names or not told.any():
        return []
    listed = " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return [Remark(f"No single latent tells {listed} clearly: at most about a tenth of its entropy.")]


def _scores(scores: Mapping[str, Score], factors: bool) -> list[Remark]:
    if not factors:
        sentence = (
            "These images come without factors of variation, so there are no scores of disentanglement, and what a "
            "latent does is for you to see in its pictures. Reconstruction, KL and activity need no factors."
        )
        return [Remark(sentence)]
    if not scores:
        return [Remark("There are no scores: the run was not evaluated.")]
    undefined = [name for name, score in scores.items() if math.isnan(score.value)]
    return [Remark(f"Undefined for these codes: {', '.join(undefined)}.")] if undefined else []
