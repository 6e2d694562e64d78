"""Vectors: N rows of V columns as images of one row, and the scaling of their columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from equipoise.data.pixels import Indices, Shape
from equipoise.errors import InputError

Values = npt.NDArray[np.float64]
Kind = Literal["standardize", "minmax", "none"]

CURVE = 40  # a vector with more columns is drawn as a curve, whatever their names
CURVE_OF_NUMBERS = 16  # the least number of columns drawn as a curve if their names are numbers
ROUNDING = 8  # relative errors of a float, by which equal values may differ if they were computed
LARGEST = 1e6  # scaled value; larger ones are of other columns or units than the model was trained on


@dataclass(frozen=True, eq=False)
class Scaling:
    """The columns of vectors, and how their values are scaled: (value - offset) / unit, per column.

    Args:
        kind: `standardize`: mean 0 and standard deviation 1; `minmax`: from 0 to 1; `none`: as they are.
        names: V different names of columns.
        offset: [V].
        unit: [V], above 0.

    Example:
        >>> import numpy as np
        >>> scaling = Scaling.fit("standardize", ["a", "b"], np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> scaling.scale(np.array([[1.0, 40.0]])).tolist()
        [[[[-1.0, 2.0]]]]
    """

    kind: Kind
    names: tuple[str, ...]
    offset: Values
    unit: Values

    @classmethod
    def fit(cls, kind: Kind, names: Sequence[str], values: Values) -> "Scaling":
        """Return the scaling of values [N, V], of which no column is constant.

        Raises `InputError` for a column of which the unit is too large or too small for a float.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            match kind:
                case "standardize":
                    offset, unit = values.mean(0), values.std(0)
                case "minmax":
                    offset, unit = values.min(0), np.ptp(values, axis=0)
                case "none":
                    offset, unit = np.zeros(len(names)), np.ones(len(names))
        is_wrong = ~(np.isfinite(unit) & (unit >= np.finfo(np.float64).tiny))
        if is_wrong.any():
            name = names[int(np.argmax(is_wrong))]
            raise InputError(
                f"the column {name} has values that are too large or too small to be scaled; change its unit"
            )
        return cls(kind, tuple(names), offset, unit)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Scaling":
        """Return the scaling that `to_dict` described."""
        offset, unit = (np.array(description[key], np.float64) for key in ("offset", "unit"))
        return cls(description["kind"], tuple(description["names"]), offset, unit)

    def to_dict(self) -> dict[str, Any]:
        """Return the scaling, ready for JSON."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "offset": self.offset.tolist(),
            "unit": self.unit.tolist(),
        }

    def scale(self, values: Values, name: str = "the vectors") -> npt.NDArray[np.float32]:
        """Return values [N, V] as the model takes them, float32 [N, 1, 1, V].

        Raises `InputError` for a value more than a million units from the offset, which is not from the same columns.
        """
        scaled = (values - self.offset) / self.unit
        is_far = np.abs(scaled) > LARGEST
        if is_far.any():
            row, column = np.argwhere(is_far)[0]
            raise InputError(
                f"{name}: row {row + 1} has {values[row, column]:g} in the column {self.names[column]}, a million "
                f"units of data.scaling={self.kind} away; correct that value, or scale the columns"
            )
        return scaled.astype(np.float32)[:, None, None, :]

    def restore(self, scaled: npt.ArrayLike) -> Values:
        """Return values [N, V] in the units of the data, of values [N, 1, 1, V] as the model takes them."""
        array = np.asarray(scaled, np.float64)
        restored: Values = array.reshape(len(array), len(self.names)) * self.unit + self.offset
        return restored

    @cached_property
    def has_numbers(self) -> bool:
        """Whether the names are numbers that rise or fall, as the wavelengths of a spectrum or numbered columns."""
        try:
            steps = np.diff([float(name) for name in self.names])
        except ValueError:
            return False
        return bool((steps > 0).all() or (steps < 0).all())

    @property
    def axis(self) -> Values | None:
        """The positions [V] of columns that are drawn as a curve; None if they are drawn as bars."""
        if self.has_numbers and len(self.names) >= CURVE_OF_NUMBERS:
            return np.array([float(name) for name in self.names])
        return np.arange(len(self.names), dtype=np.float64) if len(self.names) > CURVE else None

    @property
    def has_one_unit(self) -> bool:
        """Whether values are drawn in the units of the data, as those of a spectrum, and not scaled."""
        return self.axis is not None and self.has_numbers


def are_constant(values: npt.NDArray[np.floating[Any]], precision: float | None = None) -> npt.NDArray[np.bool_]:
    """Whether each column of values [N, V] has one value, [V].

    Values that were computed, such as 0.1 + 0.2 and 0.3, may differ by rounding, which scaling would make as large as
    any other column. `precision` is the relative error of a value; default: that of the type.
    """
    low, high = values.min(0), values.max(0)
    precision = float(np.finfo(values.dtype).eps) if precision is None else precision
    with np.errstate(over="ignore"):
        constant: npt.NDArray[np.bool_] = high - low <= ROUNDING * precision * np.maximum(np.abs(low), np.abs(high))
    return constant


class Columns:
    """Scaled vectors float32 [N, 1, 1, V]; implements `Pixels`, with floats in place of bytes."""

    def __init__(self, values: npt.NDArray[np.float32], scaling: Scaling) -> None:
        self.values, self.scaling = values, scaling
        self.shape: Shape = (1, 1, len(scaling.names))

    def __len__(self) -> int:
        return len(self.values)

    def bytes(self, rows: Indices) -> npt.NDArray[Any]:
        """Scaled values, float32 [B, 1, 1, V]."""
        return np.ascontiguousarray(self.values[rows])
