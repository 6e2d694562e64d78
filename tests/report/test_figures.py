"""Figures of numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from equipoise.report.figures import BLUE, LINE, factor_sweeps, information_map, kl_bars, png, svg, training_curves

Make = Callable[..., Any]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_learned_weights_are_drawn_beside_their_stationary_trade_off(log: Make) -> None:
    figure = training_curves(log(5))
    assert titles(figure) == [
        "reconstruction term R, per image",
        "KL term K, nats per image",
        "loss",
        "trade-off",
        "weights of the terms",
        "state of the balance",
        "KL of each latent, nats",
    ]
    beta, stationary = figure.axes[3].lines
    np.testing.assert_allclose(beta.get_ydata(), 1.44)
    np.testing.assert_allclose(stationary.get_ydata(), [math.sqrt(row["rec"] / row["kl"]) for row in log(5)])
    assert [line.get_label() for line in figure.axes[5].lines] == ["sigma.rec", "sigma.kl"]


def test_another_balance_shows_its_terms_and_its_state(log: Make) -> None:
    rows = [
        {**row, "beta_equivalent": None, "tc": 0.5, "weight.tc": 6.0, "integral": -0.1 * row["step"]} for row in log(5)
    ]
    rows = [{key: value for key, value in row.items() if "sigma" not in key} for row in rows]
    figure = training_curves(rows)
    assert "trade-off" not in titles(figure)
    other, state = (
        figure.axes[titles(figure).index(t)] for t in ("other terms, nats per image", "state of the balance")
    )
    assert [line.get_label() for line in other.lines] == ["tc"]
    assert [line.get_label() for line in state.lines] == ["integral"]


@pytest.mark.parametrize(("rows", "points"), [(1, 1), (5, 5), (3000, 400)])
def test_a_log_of_any_length_is_drawn_to_its_last_row(log: Make, rows: int, points: int) -> None:
    figure = training_curves(log(rows))
    step = figure.axes[0].lines[0].get_xdata()
    assert (len(step), step[-1]) == (points, 100 * rows)
    assert len(svg(figure, "training")) < 300_000
    assert png(figure).startswith(b"\x89PNG")


def test_bars_are_ordered_by_kl_and_inactive_latents_are_grey() -> None:
    axes = kl_bars(np.array([0.1, 2.0, 1.0]), np.array([False, True, True])).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [2.0, 1.0, 0.1]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == [BLUE, BLUE, LINE]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["z1", "z2", "z0"]


def test_the_map_shows_the_matrix_in_the_given_order() -> None:
    matrix = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    axes = information_map(matrix, ["$a_b$", "x" * 99], [2, 0]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.3, 0.1], [0.6, 0.4]])
    assert [text.get_text() for text in axes.texts] == ["0.30", "0.10", "0.60", "0.40"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "$a_b$"
    assert names[1] == "x" * 23 + "…"


def test_a_sweep_has_a_line_for_each_latent_and_factor_and_colours_the_best() -> None:
    mean = np.stack([np.linspace(-1, 1, 6), np.zeros(6)], axis=1)
    curves = {"place": (mean, np.full((6, 2), 0.1)), "turn": (mean * 0.5, np.full((6, 2), 0.1))}
    axes = factor_sweeps(curves, [0, 1], {0: "place", 1: None}).axes[0]
    bands, lines = axes.collections
    assert len(lines.get_segments()) == len(bands.get_paths()) == 4
    assert [to_hex(colour) == BLUE for colour in lines.get_colors()] == [True, False, False, False]
    assert [text.get_text() for text in axes.texts] == ["z0", "z1", "place", "turn"]
    # Up on the page is up in the code, by one scale for the whole row.
    rise = [segment[0, 1] - segment[-1, 1] for segment in lines.get_segments()]
    assert rise[0] > 0
    np.testing.assert_allclose(rise[1], rise[0] / 2)
