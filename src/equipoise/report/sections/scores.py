"""The scores: the main ones with bars, all of them in a table."""

from collections.abc import Sequence

import numpy as np

from equipoise import metrics
from equipoise.metrics import Score
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block
from equipoise.report.sentences import of_rows, one_of
from equipoise.scoring import Run, read


def scores(run: Run, findings: Findings) -> Sequence[Block]:  # noqa: ARG001
    """Return the bars of the headline scores and the table of all scores; nothing where there are none."""
    if not run.scores:
        return []
    names = run.images.factor_names
    summaries = {name: metrics.METRICS[name].summary for name in run.scores if name in metrics.METRICS}
    if run.model.scaling is not None:
        summaries = {name: of_rows(summary) for name, summary in summaries.items()}
    body = macros("report/sections/scores.html").body(
        headline={name: run.scores[name] for name in metrics.headline() if name in run.scores},
        scores=run.scores,
        convention=read(run.results / "scores.json")["convention"],
        summaries=summaries,
        parts={name: _parts(score, names) for name, score in run.scores.items()},
        omissions={name: _omissions(score, names) for name, score in run.scores.items()},
        one=one_of(run),
    )
    return [body]


def _parts(score: Score, names: Sequence[str]) -> list[tuple[str, float]]:
    """Return the score of each factor, or of each latent, that has one."""
    if score.per_factor is not None:
        parts = zip(names, score.per_factor, strict=True)
    elif score.per_latent is not None:
        parts = zip((f"z{j}" for j in range(len(score.per_latent))), score.per_latent, strict=True)
    else:
        return []
    return [(name, float(value)) for name, value in parts if np.isfinite(value)]


def _omissions(score: Score, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the factors and latents that the score leaves out, by the reason."""
    reasons: dict[str, list[str]] = {}
    for part, reason in score.left_out.items():
        kind, _, number = part.partition(" ")
        reasons.setdefault(reason, []).append(names[int(number)] if kind == "factor" else f"z{number}")
    return reasons
