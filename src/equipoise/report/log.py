"""The rows of a log in the form that the parts of an objective take."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from equipoise.config import Config
from equipoise.objective import Objective
from equipoise.part import Rows


def with_context(log: Rows, config: Config, objective: Objective, mse: float | None = None) -> Sequence[dict[str, Any]]:
    """Return the rows of the log with `progress`, `unit` and `mse`, as `equipoise.part.Rows` describes them.

    `log` has at least one row; `mse` is the mean squared error of a pixel over the encoded images.
    """
    unit = objective.likelihood.unit
    constant: Mapping[str, Any] = {} if isinstance(unit, Tensor) else {"unit": unit}
    length = config.train.schedule_length
    rows = [{**row, **constant, "progress": min(row["step"] / length, 1.0)} for row in log]
    if mse is not None:
        rows[-1]["mse"] = mse
    return rows
