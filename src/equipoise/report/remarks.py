"""Notes on a run: what went wrong, what has not converged, what was not measured."""

import math
from collections.abc import Mapping

import numpy as np

from equipoise.config import outline
from equipoise.metrics import Score
from equipoise.part import Flag, Remark
from equipoise.report.findings import Findings, analyse
from equipoise.report.latents import ACTIVE, Array, Information, latent_variances
from equipoise.report.log import with_context
from equipoise.scoring import Run


def notes(run: Run) -> list[str]:
    """Sentences on collapsed latents, weights that have not converged or are at a limit, and what was not measured."""
    return [remark.sentence for remark in remarks(run, analyse(run))]


def flags(run: Run) -> list[Flag]:
    """Why a run is not fit to be compared, from its codes and log; no model is loaded."""
    found = [*_collapse(latent_variances(run.codes["mean"])), *_training(run)]
    return list(dict.fromkeys(remark.flag for remark in found if remark.flag is not None))


def remarks(run: Run, found: Findings) -> list[Remark]:
    """The notes of a run with these findings."""
    result = [*_collapse(latent_variances(found.codes)), *_training(run)]
    if found.information is not None:
        result += _missing(found.information)
    return result + _scores(run.scores, bool(found.factors))


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
    """The remarks of balance, likelihood, prior and adversary."""
    if not run.logs:
        return []
    objective = outline(run.config)
    mse = float(np.mean(run.codes["sse"], dtype=np.float64)) / math.prod(run.meta["shape"])
    rows = with_context(run.logs, run.config, objective, mse)
    return [remark for part in objective.parts for remark in part.remarks(rows)]


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
