"""Colours can be told apart by those who see little contrast: WCAG 2.2, success criteria 1.4.3 and 1.4.11."""

import re
from importlib import resources

import pytest

from equipoise.report.figures.style import CYCLE, THEME

STYLE = resources.files("equipoise.report").joinpath("style.html").read_text(encoding="utf-8")
ROOTS = [dict(re.findall(r"--(\w+): (#\w{6});", root)) for root in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)]
THEMES = dict(zip(("light", "dark", "print"), ROOTS, strict=True))


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_definition() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_the_contrast_it_needs(theme: str) -> None:
    colours = THEMES[theme]
    for text in ("ink", "muted", "accent", "warm"):
        for ground in ("bg", "card"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


@pytest.mark.parametrize("theme", THEMES)
def test_lines_of_figures_have_the_contrast_they_need(theme: str) -> None:
    colours = THEMES[theme]
    for line in CYCLE:
        drawn = colours[THEME[line][6:-1]] if line in THEME else line  # var(--name)
        for ground in ("bg", "card"):
            assert contrast(drawn, colours[ground]) >= 3, (line, ground)


def test_the_first_colours_of_figures_are_those_of_the_light_page() -> None:
    assert {THEME[colour][6:-1] for colour in THEME} == {"ink", "muted", "line", "accent"}
    for colour, variable in THEME.items():
        assert THEMES["light"][variable[6:-1]] == colour
