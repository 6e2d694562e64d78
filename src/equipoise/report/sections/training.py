"""Training: the trade-off of reconstruction and KL, and the curves of all logged values."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from equipoise.report.figures.curves import constant_weights, training_curves
from equipoise.report.figures.tradeoff import tradeoff
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block, Picture
from equipoise.report.sentences import listing
from equipoise.scoring import Run

CHANGES = {"rec": "reconstruction term", "kl": "KL term", "beta_equivalent": "β-equivalent"}


def training(run: Run, findings: Findings) -> Sequence[Block]:  # noqa: ARG001
    """Return the figures of the log, or a sentence where the log is empty."""
    if not run.logs:
        return [Markup("<p>The log is empty.</p>")]
    html = macros("report/sections/training.html")
    blocks = []
    first, last = run.logs[0], run.logs[-1]
    figure = tradeoff(run.logs)
    if figure is not None:
        changes = [f"{name} from {_value(first, key)} to {_value(last, key)}" for key, name in CHANGES.items()]
        alt = f"Changes from the first row of the log to the last: {listing(changes)}."
        has_weights = len(figure.axes) > 2  # beside the first panel and its colour bar
        caption = html.tradeoff(has_weights, run.model.likelihood.error_name)
        blocks.append(Picture("tradeoff", figure, alt, caption, format="svg"))
    values = [f"{key} is {_value(last, key)}" for key, value in last.items() if isinstance(value, float)]
    alt = f"Curves over training. In the last row of the log {listing(values)}."
    caption = html.curves(run.config.train.log_every, constant_weights(run.logs))
    blocks.append(Picture("curves", training_curves(run.logs, run.config), alt, caption, format="svg"))
    return blocks


def _value(row: Mapping[str, object], key: str) -> str:
    """Return a value of a row of the log with four digits, or "unknown"."""
    value = row.get(key)
    return f"{value:.4g}" if isinstance(value, float | int) else "unknown"
