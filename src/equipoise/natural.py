"""The order of names with numbers in them."""

import re
from collections.abc import Callable, Iterable

_NUMBERS = re.compile(r"(?P<version>(?<![^\W\d_])v)?(?P<numbers>\d+(?:\.\d+)*)", re.IGNORECASE)
_POINT = re.compile(r"\d\.\d")
_ZEROS = re.compile(r"(\.\d+?)0+(?!\d)")  # after the last digit of a decimal


def natural_key(texts: Iterable[str]) -> Callable[[str], str]:
    """The function `natural` for these texts, with decimal points unless the points separate two numbers.

    They do if two texts are equal but for zeros at the end of a decimal: 1.1, 1.2 up to 1.10 are the parts of chapter
    1, and 1.10 is the last.
    """
    pointed = {text for text in texts if _POINT.search(text)}
    are_decimal = all(shorter == text or shorter not in pointed for text, shorter in map(_without_zeros, pointed))
    return natural if are_decimal else lambda text: natural(text, has_decimals=False)


def natural(text: str, *, has_decimals: bool = True) -> str:
    """Sort key: numbers by their value, so that step 2 precedes step 10, and x0.25 precedes x0.5.

    A point between two runs of digits is decimal. Three runs or more, such as 1.10.2 or a date, and numbers after a v
    alone, such as v1.10, are versions: each run is a number of its own, and v1.9 precedes v1.10. Without has_decimals,
    every run is a number of its own. s1.5_2 has the numbers 1.5 and 2.

    The key is a text, since lists of words and numbers take ten times the memory: a number becomes the count of its
    digits, followed by them, the digits after the point, and an end that sorts before any digit. The beginning of a
    number sorts before any letter.
    """

    def key(match: re.Match[str]) -> str:
        runs = match["numbers"].split(".")
        if not match["numbers"].isascii():  # digits of any script
            runs = ["".join(str(int(digit)) for digit in run) for run in runs]
        numbers = [run.lstrip("0") or "0" for run in runs]
        keys = [f"\1{chr(len(number))}{number}" for number in numbers]
        if has_decimals and len(runs) == 2 and not match["version"]:
            return f"{keys[0]}\1{runs[1].rstrip('0')}\0"
        return (match["version"] or "") + ".".join(f"{each}\0" for each in keys)

    return _NUMBERS.sub(key, text)


def _without_zeros(text: str) -> tuple[str, str]:
    """A text, and the same without zeros at the end of its decimals."""
    return text, _ZEROS.sub(r"\1", text)
