"""The rows of a log in the form that the parts of an objective take."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from equipoise.config import Config
from equipoise.objective import Objective
from equipoise.part import Rows


def with_context(log: Rows, config: Config, objective: Objective) -> list[dict[str, Any]]:
    """Return the rows of the log with `progress` and `unit`, as `equipoise.part.Rows` describes them."""
    unit = objective.likelihood.unit
    constant: Mapping[str, Any] = {} if isinstance(unit, Tensor) else {"unit": unit}
    length = config.train.schedule_length
    return [{**row, **constant, "progress": min(row["step"] / length, 1.0)} for row in log]
