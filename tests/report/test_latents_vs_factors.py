"""Latents against factors: which factor is shown how, and means where they belong."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from equipoise import Images, report
from equipoise.errors import InputError
from equipoise.report.figures.latents_vs_factors import CELL, arrange
from equipoise.report.figures.saving import png
from equipoise.report.figures.style import BLUE, CYCLE
from equipoise.report.latents import Factor, factors_over

RNG = np.random.default_rng(0)
DSPRITES = {"shape": 3, "scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 32}


def known(sizes: dict[str, int], moved: dict[str, float] | None = None) -> list[Factor]:
    """Factors with so many values, of which each moves one latent by a share of its variance."""
    return [Factor(name, np.zeros((size, 1)), np.array([(moved or {}).get(name, 0.1)])) for name, size in sizes.items()]


@pytest.mark.parametrize(
    ("sizes", "sides", "colours", "lines"),
    [
        (DSPRITES, ("pos_x", "pos_y"), "shape", ["scale", "orientation"]),
        ({"posY": 32, "posX": 32, "scale": 6}, ("posX", "posY"), None, ["scale"]),
        ({"object_shape": 6, "horizontal_axis": 40, "vertical_axis": 40, "camera_height": 3},
         ("horizontal_axis", "vertical_axis"), "object_shape", ["camera_height"]),
        ({"azimuth": 21, "elevation": 11, "lighting": 11}, ("azimuth", "elevation"), None, ["lighting"]),
        ({"across": 8, "mood": 4, "down": 8}, ("across", "down"), None, ["mood"]),
        ({"size": 8}, None, None, ["size"]),
        ({"size": 8, "mood": 2}, None, "mood", ["size"]),
        ({"a": 2, "b": 2, "c": 2}, None, "a", ["b", "c"]),
        ({"class": 10, "label": 9}, None, None, ["class", "label"]),
    ],
)  # fmt: skip
def test_names_and_numbers_of_values_say_what_is_shown_how(
    sizes: dict[str, int], sides: tuple[str, str] | None, colours: str | None, lines: list[str]
) -> None:
    arrangement = arrange(known(sizes), [0])
    assert (arrangement.sides, arrangement.colours, arrangement.lines) == (sides, colours, lines)


def test_without_directions_the_map_is_of_what_moves_latents_most_and_lines_are_few() -> None:
    moved = {f"hue_{k}": k / 10 for k in range(9)}
    arrangement = arrange(known(dict.fromkeys(moved, 10), moved), [0])
    assert arrangement.sides == ("hue_8", "hue_7")
    assert arrangement.lines == ["hue_3", "hue_4", "hue_5", "hue_6"]


def codes_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Three latents, of pos_x, of scale where shape is 1, and of nothing; the fourth is off."""
    factors = np.stack([RNG.integers(0, size, n) for size in DSPRITES.values()], axis=1)
    codes = 0.01 * RNG.standard_normal((n, 4))
    codes[:, 0] += factors[:, 3] / 31 * 4 - 2
    codes[:, 1] += np.where(factors[:, 0] == 1, factors[:, 1] / 5, -factors[:, 1] / 5)
    codes[:, 2] += RNG.standard_normal(n)
    return codes, factors


def images_and_lines(figure: Figure) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    maps = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images][:-1]  # the last is the key
    curves = [[line.get_ydata() for line in axes.lines[1:]] for axes in figure.axes if len(axes.lines) > 1]
    return maps, curves


def test_maps_and_lines_show_the_mean_codes() -> None:
    codes, factors = codes_of(20_000)
    figure = report.latents_vs_factors(codes, factors, list(DSPRITES))
    maps, curves = images_and_lines(figure)
    rows = [text.get_text() for text in figure.texts if text.get_text().startswith("z")]
    assert rows == ["z0", "z2", "z1"]  # active, by variance
    across = maps[0].mean(axis=0)
    np.testing.assert_allclose(maps[0], np.broadcast_to(across, maps[0].shape), atol=0.1)
    np.testing.assert_allclose(np.diff(across), np.diff(across)[0], atol=0.05)
    assert across[0] < -1.8 < 1.8 < across[-1]
    assert np.abs(maps[1]).mean() < 4 / np.sqrt(CELL)
    scale = curves[4]  # of the third row
    np.testing.assert_allclose(scale[1], np.arange(6) / 5, atol=0.02)
    np.testing.assert_allclose(scale[0], -np.arange(6) / 5, atol=0.02)
    np.testing.assert_allclose(scale[2], -np.arange(6) / 5, atol=0.02)
    colours = [line.get_color() for axes in figure.axes if len(axes.lines) == 4 for line in axes.lines[1:]]
    assert colours == list(CYCLE[:3]) * 6


@pytest.mark.parametrize("n", [12, 40, 600])
def test_few_images_give_coarser_means_and_no_warning(n: int) -> None:
    codes, factors = codes_of(n)
    figure = report.latents_vs_factors(codes, factors, list(DSPRITES))
    maps, _ = images_and_lines(figure)
    assert maps[0].size <= max(4, n / CELL)
    png(figure)


def test_continuous_factors_are_cut_and_a_single_one_is_a_line() -> None:
    values = RNG.random((4000, 1))
    figure = report.latents_vs_factors(4 * values - 2, values, ["angle"])
    maps, curves = images_and_lines(figure)
    assert maps == []
    ((curve,),) = curves
    assert len(curve) == 20
    np.testing.assert_allclose(curve, np.linspace(-1.9, 1.9, 20), atol=0.05)
    assert [axes.lines[1].get_color() for axes in figure.axes] == [BLUE]


def test_of_a_collapsed_code_the_first_latents_are_shown_flat() -> None:
    _, factors = codes_of(500)
    maps, _ = images_and_lines(report.latents_vs_factors(np.zeros((500, 5)), factors, list(DSPRITES)))
    assert len(maps) == 3
    assert not any(values.any() for values in maps)


def test_single_valued_factors_take_no_part() -> None:
    codes, factors = codes_of(2000)
    factors[:, 0] = 1
    arrangement = arrange(factors_over(codes, factors, list(DSPRITES)), [0, 1, 2])
    assert arrangement.colours is None
    assert arrangement.lines == ["scale", "orientation"]
    png(report.latents_vs_factors(codes, factors, list(DSPRITES)))


def test_the_key_of_the_colours_has_the_names_of_the_values() -> None:
    factors = np.stack(np.unravel_index(np.arange(768), (3, 4, 8, 8)), axis=1)
    names, shapes = ["shape", "scale", "pos_x", "pos_y"], ("square", "ellipse", "heart")
    codes = factors / 4 - 1.0
    plain = [text.get_text() for text in report.latents_vs_factors(codes, factors, names).texts]
    named = [text.get_text() for text in report.latents_vs_factors(codes, factors, names, {"shape": shapes}).texts]
    assert {"0", "1", "2"} <= set(plain)
    assert set(shapes) <= set(named)
    assert "0" not in named
    part = factors[factors[:, 0] != 1]
    left = {text.get_text() for text in report.latents_vs_factors(part / 4 - 1.0, part, names, {"shape": shapes}).texts}
    assert {"square", "heart"} <= left
    assert "ellipse" not in left
    with pytest.raises(InputError, match="factor_values needs one name for each value of a factor; correct 'shape'"):
        Images(np.zeros((3, 1, 4, 4), np.uint8), name="toy", factors=[[0], [1], [2]], factor_names=["shape"],
               factor_values={"shape": ("square",)})  # fmt: skip


def test_too_few_names_of_values_are_refused() -> None:
    factors = np.stack([np.arange(60) % 6, np.arange(60) % 10], axis=1)
    with pytest.raises(InputError, match="shape has the values 0 to 5, and 2 names; expected a name for each value"):
        report.latents_vs_factors(factors / 3 - 1.0, factors, ["shape", "angle"], {"shape": ["disc", "square"]})
