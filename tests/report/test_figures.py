"""Figures of numbers."""

import numpy as np
from matplotlib.colors import to_hex

from equipoise.report.figures import BLUE, LINE, factor_sweeps, information_map, latent_bars


def test_bars_are_ordered_by_their_nats_and_inactive_latents_are_grey() -> None:
    axes = latent_bars(np.array([0.1, 2.0, 1.0]), np.array([False, True, True]), "KL").axes[0]
    assert axes.get_title(loc="left") == "KL, nats"
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
