"""The trade-off over training: a path of reconstruction against KL, and the path of the weights."""

from collections.abc import Callable
from typing import Any

import numpy as np

from equipoise import report
from equipoise.report.figures.saving import png

Rows = Callable[..., list[dict[str, Any]]]


def learning(log: Rows) -> list[dict[str, Any]]:
    """Rows in which both weights move."""
    rows = log(6)
    for number, row in enumerate(rows):
        row |= {"weight.rec": 1 / (1 + number), "weight.kl": 2.0 + number, "kl": 9.0 - number}
        row["beta_equivalent"] = 0.5 * row["weight.kl"] / row["weight.rec"]
    return rows


def dots(figure: Any, panel: int) -> np.ndarray:
    (found,) = figure.axes[panel].collections
    return np.asarray(found.get_offsets())


def titles(figure: Any) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_learned_weights_are_a_path_in_their_plane_with_lines_of_equal_beta(log: Rows) -> None:
    rows = learning(log)
    figure = report.tradeoff(rows)
    assert titles(figure) == ["reconstruction term R against KL term K", "weights of the two terms", "step"]
    np.testing.assert_allclose(dots(figure, 0), [[row["kl"], row["rec"]] for row in rows])
    np.testing.assert_allclose(dots(figure, 1), [[row["weight.rec"], row["weight.kl"]] for row in rows])
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), [row["step"] for row in rows])
    said = {text.get_text() for text in figure.axes[1].texts} - {"start", "end"}
    assert said
    for line in figure.axes[1].lines[3:]:  # after the path, its start and its end
        ratio = 0.5 * np.asarray(line.get_ydata()) / np.asarray(line.get_xdata())
        np.testing.assert_allclose(ratio, ratio[0])
        assert f"β {ratio[0]:g}" in said | {"β 100"}  # where a line leaves too soon, it is not there


def test_a_single_weight_that_moves_is_told_over_the_steps(log: Rows) -> None:
    rows = [row | {"weight.rec": 1.0, "weight.kl": b, "beta_equivalent": b} for b, row in enumerate(log(5), 1)]
    figure = report.tradeoff(rows)
    assert titles(figure)[1].startswith("β-equivalent")
    np.testing.assert_allclose(dots(figure, 1), [[row["step"], row["beta_equivalent"]] for row in rows])
    assert figure.axes[1].get_xscale() == "linear"


def test_fixed_weights_have_no_path(log: Rows) -> None:
    assert len(report.tradeoff(log(5)).axes) == 2  # the trade-off and the key of its colours


def test_what_cannot_be_drawn_is_left_out(log: Rows) -> None:
    assert report.tradeoff([]) is None
    assert report.tradeoff(log(1)) is None
    assert report.tradeoff([{"step": k, "rec": 1.0} for k in range(3)]) is None
    assert report.tradeoff([{"step": k, "rec": float("nan"), "kl": 1.0} for k in range(3)]) is None
    without_beta = [{key: value for key, value in row.items() if key != "beta_equivalent"} for row in learning(log)]
    assert titles(report.tradeoff(without_beta)) == ["reconstruction term R against KL term K", "step"]


def test_weights_of_either_sign_and_missing_values_are_drawn(log: Rows) -> None:
    rows = learning(log)
    for row in rows:
        row |= {"weight.kl": -20.0 + row["step"] / 20, "rec": row["rec"] - 30, "beta_equivalent": None}
    png(report.tradeoff(rows))
    rows[2]["kl"] = None
    assert len(dots(report.tradeoff(rows), 0)) == 5
