"""Traversals of one image of a run: chosen latents over a range."""

import dataclasses
import math
from collections.abc import Sequence

from equipoise.codes import latent_columns
from equipoise.errors import InputError, check_whole, short
from equipoise.report.findings import analyse
from equipoise.report.latents import Array, Latent, Measure
from equipoise.scoring import Run

MOST = 101  # pictures of a latent


@dataclasses.dataclass(frozen=True)
class Traverse:
    """What is drawn: the code [D] to start from, the latents in order with their ranges, and the measure of nats."""

    reference: Array
    latents: list[Latent]
    measure: Measure


def choose(
    run: Run, reference: Array | None, latents: Sequence[int] | None, limits: tuple[float, float] | None, steps: int
) -> Traverse:
    """Return what to draw for a run that is encoded.

    reference: the code [D] to start from; None: that of a typical image. latents: default: the active ones, sorted by
    information. limits: the ends of every latent; default: the 5th and 95th percentile of each over the run. Raises
    `InputError` for a latent that does not exist, ends that are not in order, and fewer than 2 steps or more than 101.
    """
    check_whole("steps", steps)
    if not 2 <= steps <= MOST:
        raise InputError(f"steps is {steps}; give 2 to {MOST} pictures for each latent")
    findings = analyse(run)
    chosen = findings.selection
    if latents is not None:
        by_index = {latent.index: latent for latent in findings.latents}
        chosen = [by_index[index] for index in latent_columns(latents, len(by_index))]
    if limits is not None:
        try:
            low, high = map(float, limits)
        except (TypeError, ValueError):
            raise InputError(f"the range is {short(limits)}; give two numbers, the smaller first") from None
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"the range is {low:g}:{high:g}; give two numbers, the smaller first, such as -2:2")
        chosen = [dataclasses.replace(latent, low=low, high=high) for latent in chosen]
    return Traverse(findings.reference if reference is None else reference, chosen, findings.measure)
