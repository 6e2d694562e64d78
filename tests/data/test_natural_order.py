"""The order of names in a folder: by the numbers in them, whole or with a decimal point."""

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from equipoise.data.readers import folder


def test_names_are_in_natural_order_however_they_are_mixed() -> None:
    rng = np.random.default_rng(0)
    letters = ["a", "B", "é", "1", "01", "10", "9", "/", ".", "-", "_", " ", "٣"]
    names = {"".join(rng.choice(letters, size=rng.integers(1, 9))).strip("/") for _ in range(3000)}

    number = r"((?<!\d)(?<!\d\.)\d+\.\d+(?!\d|\.\d)|\d+)"

    def by_words(name: str) -> Any:  # the same order, written as it is meant: lists of lists of words and numbers
        parts = [re.split(number, part.casefold()) for part in name.split("/")]
        return [[Fraction(word) if i % 2 else word for i, word in enumerate(part)] for part in parts], name

    names = {name for name in names if not re.search(r"\.\d+0(?!\d)", name)}  # else points separate numbers
    assert folder.in_order(names) == sorted(names, key=by_words)


@pytest.mark.parametrize(
    "names",
    [
        ["img1.png", "img2.png", "img10.png"],
        ["x0.25.png", "x0.5.png", "x1.png", "x1.5.png", "x10.png"],
        ["s0.5_1.csv", "s0.5_10.csv", "s1_3.csv", "s1.25_2.csv"],
        ["s1.5_2.png", "s1.5_10.png", "s1.75_1.png", "s2_1.png"],
        ["1.9.2", "1.10.2", "1.10.10"],
        ["v1.9/a.png", "v1.10/a.png"],
        ["fig1.1.png", "fig1.2.png", "fig1.9.png", "fig1.10.png", "fig1.11.png", "fig2.1.png"],
        ["01.02.2024", "01.10.2024", "02.01.2024"],
        ["t0.01.png", "t0.010a.png", "t0.02.png", "t0.1.png"],
        ["1a.png", "1.5a.png"],
    ],
)
def test_decimals_and_versions_in_names_are_in_their_order(names: list[str]) -> None:
    assert folder.in_order(names[::-1]) == names
