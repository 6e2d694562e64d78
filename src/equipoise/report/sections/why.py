"""Why this model: the choice of `equipoise auto`, in the report of the model that it picked."""

from collections.abc import Sequence

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from equipoise.files import read_json
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block
from equipoise.scoring import Run

FILE = "choice.json"  # in the folder of the run


class Row(TypedDict):
    """A candidate: its run, how and how long it was trained, and its scores, None where it has none."""

    run: str
    recipe: str
    method: str
    seed: int
    steps: int
    stage: str
    agreement: float | None
    loss: float | None
    active: int | None
    mig: float | None
    dci: float | None
    seconds: float


class Choice(TypedDict):
    """The run that was picked, why, and the candidates, the best first.

    `share` is the part of the budget that was spent in training steps.
    """

    run: str
    name: str
    sentences: list[str]
    rows: list[Row]
    confidence: float
    labels_pick: str | None
    share: float


def why(run: Run, findings: Findings) -> Sequence[Block]:  # noqa: ARG001
    """Return the reasons and the table of candidates; nothing for a run that was not picked by `auto`."""
    file = run.path / FILE
    return [macros("report/sections/why.html").body(read_json(file, Choice))] if file.exists() else []
