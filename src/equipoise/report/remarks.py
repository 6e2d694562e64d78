"""What a reader of a run has to know: nothing that went wrong, or is not over, stays silent."""

import math
from collections.abc import Mapping

from equipoise.config import outline
from equipoise.metrics import Score
from equipoise.report.findings import Findings, Run, findings
from equipoise.report.latents import ACTIVE, Information


def notes(run: Run) -> list[str]:
    """Sentences on collapsed latents, learned weights that are not settled or at their limit, and missing scores."""
    return remarks(run, findings(run))


def remarks(run: Run, found: Findings) -> list[str]:
    """The notes of a run of which the findings are there already."""
    said = _collapse(found)
    if run.logs:
        said += outline(run.config).balance.remarks(run.logs)
    if found.information is not None:
        said += _missing(found.information)
    return said + _scores(run.scores, bool(found.factors))


def _collapse(found: Findings) -> list[str]:
    idle = sorted(latent.index for latent in found.latents if not latent.active)
    if not idle:
        return []
    if not found.active:
        return [
            "Posterior collapse: no latent is active, so every image is decoded to the same picture. The KL weighs too "
            f"much for these images, or too much too early. (Active: variance of the means above {ACTIVE}.)"
        ]
    names = ", ".join(f"z{j}" for j in idle)
    return [
        f"{len(idle)} of {len(found.latents)} latents collapsed to the prior and carry nothing: {names}. So a model "
        "drops latents it has no use for; it is a fault only where factors of variation are missing."
    ]


def _missing(information: Information) -> list[str]:
    told = information.share.max(axis=1) >= information.clear
    names = [name for name, clear in zip(information.names, told, strict=True) if not clear]
    if not names or not told.any():
        return []
    listed = " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return [f"No single latent tells {listed} clearly: at most about a tenth of its entropy."]


def _scores(scores: Mapping[str, Score], factors: bool) -> list[str]:
    if not factors:
        return [
            "These images come without factors of variation, so there are no scores of disentanglement, and what a "
            "latent does is for you to see in its pictures. Reconstruction, KL and activity need no factors."
        ]
    if not scores:
        return ["There are no scores: the run was not evaluated."]
    undefined = [name for name, score in scores.items() if math.isnan(score.value)]
    return [f"Undefined for these codes: {', '.join(undefined)}."] if undefined else []
