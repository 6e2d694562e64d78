"""What a reader of a run has to know: nothing that went wrong, or is not over, stays silent."""

import math
from collections.abc import Mapping
from typing import Any

from equipoise.methods.l_vae import LVAE
from equipoise.metrics import Score
from equipoise.report.findings import Findings, Run, findings
from equipoise.report.latents import ACTIVE, Information

SETTLED = 0.05  # distance of the learned trade-off from its stationary value that is not worth a sentence


def notes(run: Run) -> list[str]:
    """Sentences on collapsed latents, learned weights that are not settled or at their limit, and missing scores."""
    return remarks(run, findings(run))


def remarks(run: Run, found: Findings) -> list[str]:
    """The notes of a run of which the findings are there already."""
    said = _collapse(found)
    if isinstance(run.config.method, LVAE) and run.logs:
        said += _learned_weights(run.logs[-1], run.config.method)
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


def _learned_weights(row: Mapping[str, Any], method: LVAE) -> list[str]:
    """Where learned weights stand at a row of the log: the trade-off, its stationary value, what is left of the way."""
    said = []
    sigma = {term: _sigma(row, term) for term in ("rec", "kl")}
    for term, value in sigma.items():
        if value**2 <= 1.01 * method.lowest:
            said.append(
                f"The weight of {term} is at its limit 1/σ_{term}² = {1 / value**2:,.0f}, where σ_{term}² is at its "
                "floor: the term went to 0 and took its σ along. From here the weight is a constant."
            )
    rec, kl, beta = float(row["rec"]), float(row["kl"]), sigma["rec"] ** 2 / sigma["kl"] ** 2
    if rec <= 0 or kl <= 0:
        return said
    squares = method.regulariser == "squares"
    stationary, formula = (math.sqrt(rec / kl), "√(R/K)") if squares else (rec / kl, "R/K")
    ratio = beta / stationary
    sentence = (
        f"Learned trade-off: β̂ = σ_rec²/σ_kl² = {sigma['rec']:.3f}²/{sigma['kl']:.3f}² = {beta:.3f}, and β̂ / {formula} "
        f"= {ratio:.3f}, with R = {rec:.2f} and K = {kl:.2f} nats an image in the last row of the log. "
    )
    if abs(ratio - 1) <= SETTLED:
        return [*said, sentence + "The second is 1 at the stationary point: the trade-off has settled."]
    sentence += (
        "The second is 1 at the stationary point: σ is still moving, so the trade-off also depends on where the run "
        "was stopped."
    )
    lr = float(row.get("lr") or 0)
    if squares and method.parametrisation == "raw" and lr > 0:
        # Each sigma tends to the fourth root of its term.
        steps = max(abs(rec**0.25 - sigma["rec"]), abs(kl**0.25 - sigma["kl"])) / lr
        sentence += (
            f" Adam moves σ by about one learning rate a step at most; at {lr:.3g} it needs "
            f"{float(f'{steps:.2g}'):,.0f} more steps or longer for these R and K."
        )
    return [*said, sentence]


def _sigma(row: Mapping[str, Any], term: str) -> float:
    """|sigma| of a term: its sign is free, and the log parametrisation logs its logarithm."""
    key = f"sigma.{term}"
    return abs(float(row[key])) if key in row else math.exp(float(row[f"log_{key}"]))


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
