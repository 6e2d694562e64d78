"""Training: the trade-off of reconstruction and KL, and the curves of all logged values."""

from collections.abc import Sequence

from markupsafe import Markup

from equipoise.report.curves import constant_weights, training_curves
from equipoise.report.figures.tradeoff import tradeoff
from equipoise.report.findings import Findings
from equipoise.report.sections.learned import unit
from equipoise.report.sections.section import Block, Picture
from equipoise.report.sentences import listing, logged
from equipoise.scoring import Run

CHANGES = {"rec": "reconstruction term", "kl": "KL term", "beta_equivalent": "β-equivalent"}


def training(run: Run, findings: Findings) -> Sequence[Block]:  # noqa: ARG001
    """Return the figures of the log, or a sentence where the log is empty."""
    if not run.logs:
        return [Markup("<p>The log is empty.</p>")]
    blocks: list[Block] = []
    first, last = run.logs[0], run.logs[-1]
    figure = tradeoff(run.logs)
    if figure is not None:
        changes = [f"{name} from {logged(first, key)} to {logged(last, key)}" for key, name in CHANGES.items()]
        has_second = len(figure.axes) > 2  # the first panel and its colour bar are always there
        blocks.append(
            Picture(
                "tradeoff",
                figure,
                alt=f"Changes from the first row of the log to the last: {listing(changes)}.",
                caption="Left: the reconstruction term R against the KL term K, both without their weights. A dot is a "
                "row of the log. Lower is a better reconstruction, further left a shorter code."
                f"{' Right: the weights of the two terms over the same rows.' if has_second else ''} "
                f"The β-equivalent is the weight of K per unit of {unit(run)}.",
                format="svg",
            )
        )
    values = [f"{key} is {logged(last, key)}" for key, value in last.items() if isinstance(value, float)]
    blocks.append(
        Picture(
            "curves",
            training_curves(run.logs, run.config),
            alt=f"Curves over training. In the last row of the log {listing(values)}.",
            caption=_caption(run),
            format="svg",
        )
    )
    return blocks


def _caption(run: Run) -> str:
    weights = [f"{term} {weight:.3g}" for term, weight in constant_weights(run.logs).items()]
    constant = f" Constant weights: {', '.join(weights)}." if weights else ""
    return f"Means over {run.config.train.log_every} steps. Dashed lines are targets and reference values.{constant}"
