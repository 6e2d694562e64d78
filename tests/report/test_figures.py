"""Figures of numbers."""

from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from matplotlib.font_manager import fontManager, get_font
from PIL import Image

from equipoise.report.figures.information import information_map
from equipoise.report.figures.saving import png, svg
from equipoise.report.figures.style import short


def test_the_map_shows_the_matrix_in_the_given_order() -> None:
    matrix = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    axes = information_map(matrix, ["$a_b$", "x" * 99], [2, 0]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.3, 0.1], [0.6, 0.4]])
    assert [text.get_text() for text in axes.texts] == ["0.30", "0.10", "0.60", "0.40"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "$a_b$"
    assert names[1] == "x" * 23 + "…"


NAMES = ("\u4f4d\u7f6e", "\U0001f600", "\u0645\u0648\u0642\u0639", "$x_1$", "<b>&")


def test_names_of_any_script_are_text_in_an_svg_and_raise_no_warning_anywhere() -> None:
    figure = information_map(np.eye(5), NAMES, range(5))  # warnings are errors here
    element = ElementTree.fromstring(svg(figure, "name"))
    texts = [text.text for text in element.iter("{http://www.w3.org/2000/svg}text")]
    assert set(NAMES) <= set(texts)
    with Image.open(BytesIO(png(figure))) as picture:
        picture.load()


def test_information_by_chance_is_drawn_pale() -> None:
    assert information_map(np.full((2, 3), 0.02), ["a", "b"], range(3)).axes[0].images[0].get_clim() == (0, 0.2)
    assert information_map(np.eye(2), ["a", "b"], range(2)).axes[0].images[0].get_clim() == (0, 1)


def test_a_letter_is_drawn_with_a_font_that_has_it() -> None:
    figure = information_map(np.eye(1), [NAMES[0]], [0])
    png(figure)
    label = figure.axes[0].get_yticklabels()[0]
    missing = {ord(letter) for letter in NAMES[0]}
    fonts = {font.name: font.fname for font in fontManager.ttflist if "Last Resort" not in font.name}
    able = [name for name, file in fonts.items() if missing & get_font(file).get_charmap().keys()]
    assert (set(label.get_fontfamily()) & set(able) != set()) == bool(able)


def test_names_are_cut_to_their_width_and_wide_letters_count_twice() -> None:
    assert short("orientation", 77) == "orientation"
    assert short("orientation", 76) == "orientati\u2026"
    assert short("\u4f4d\u7f6e" * 5, 140) == "\u4f4d\u7f6e" * 5
    assert short("\u4f4d\u7f6e" * 5, 139) == "\u4f4d\u7f6e" * 4 + "\u2026"


def test_an_svg_for_the_page_is_named_in_words_and_as_large_as_its_pixels() -> None:
    element = svg(information_map(np.eye(2), ["a", "b"], [0, 1]), "name", alt='<z0> & "z1"')
    root = ElementTree.fromstring(element)
    assert (root.get("role"), root.get("aria-label")) == ("img", '<z0> & "z1"')
    width, height = (float(root.get(side)) for side in ("width", "height"))
    assert root.get("viewBox").split()[2:] == [f"{width * 0.72:g}", f"{height * 0.72:g}"]
    assert "pt" not in root.get("width")
