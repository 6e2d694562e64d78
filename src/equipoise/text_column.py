"""One column of a factor table: its cells as text become numbers or words."""

import re
import sys
import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InputError, short
from equipoise.natural import natural_key

# The spellings that pandas reads as missing, in any case, except for the word none.
_MISSING = frozenset(
    "na n/a #na #n/a <na> null nan -nan +nan 1.#ind -1.#ind 1.#qnan -1.#qnan".split()  # noqa: SIM905
)
# These mark a missing value only among numbers. Among words they may be a value, as in "none, partial, full".
_MISSING_AMONG_NUMBERS = frozenset(("none", "missing", "-", "--", "---", "–", "—", "?", ".", "..", "*"))

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?(\d*,\d+|\d+,)(e[+-]?\d+)?", re.IGNORECASE)  # 2,5
# 1,500 or 1 500, and 1,50,000 as in India
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(([ ',.\u00a0\u2009\u202f\u2019]\d{3})+|(,\d{2})+,\d{3})([.,]\d+)?")
_UNIT = re.compile(r"(?P<number>.*[\d.,])\s*(?P<unit>[^\d\s.,+-][^\d.,]*?([ms]\^?-?[23])?|[ms]\^?-?[23])")  # 5% or 2 m2
_CURRENCIES = "[$€£¥₩₹₺₽]|(AUD|CAD|CHF|CNY|DKK|EUR|GBP|INR|JPY|NOK|SEK|USD)(?![A-Za-z])"
_PRICE = re.compile(rf"(?P<sign>[+-]?)(?P<currency>{_CURRENCIES})\s*(?P<number>.*\d.*)")  # $5, -$5 or USD 5
_SHARES = ("%", "‰")  # whose numbers are below 1,000
_UNITS = frozenset(  # among which words are looked for that are numbers with different units
    "nm µm μm um mm cm dm m km in ft yd mi ng µg μg ug mg g kg lb oz ml mL cl dl l L "  # noqa: SIM905
    "ns µs μs us ms s sec min h hr d day days week weeks month months year years Hz kHz MHz GHz "
    "mV V kV mA mW W kW MW J kJ MJ mK K °C °F Pa kPa MPa mbar bar kB KB MB GB TB deg ° rad % ‰ ppm ppb".split()
)
_QUANTITY = re.compile(r"[+-]?\d[\d.,]*\s*([^\d\s.,+-]*)\s*")
_LETTER = re.compile(r"[^\W\d_]")
_FRACTION = re.compile(r"\d{1,3}\s*/\s*(\d{1,3})")

# Headers of a column that numbers the rows, as `plain_header` returns them; data frames write the first two.
_UNNAMED = ("", "unnamed:0")
_ROW_NUMBERS = (*_UNNAMED, "index", "id", "row")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\d{1,2}([-/.])\d{1,2}\1\d{4}\b")
_SHOWN = 10  # words in a warning
_FEW = 20  # images, up to which words that differ for most of them may be a factor


class Column:
    """The distinct cells of a column, each stored once, with the row in which it first occurs.

    `noun` is what messages call a row: image or row. `order`: all values in their order, if the column has one.
    """

    def __init__(self, name: str, noun: str = "image", order: Sequence[str] = ()) -> None:
        self.name, self.noun, self.order = name, noun, [_composed(text) for text in order]
        self.numbers: dict[str, int] = {}
        self.places: list[str] = []

    def number(self, text: str, place: str) -> int:
        """The number of a text, in the order in which the texts occur; `place` is the row, for messages."""
        number = self.numbers.setdefault(_composed(text), len(self.numbers))
        if number == len(self.places):
            self.places.append(place)
        return number

    def take_words(self, title: str) -> None:
        """Take the texts for words, also markers of a missing value, unless all are finite numbers in some form."""
        words = list(self.numbers)
        texts = _bare(words) or words
        if not all(_form(text) for text in texts) or any("inf" in text.lower() for text in texts):
            self.order = _in_order(words, f"{title}: the column {self.name}")

    def unfit_reason(self, ids: npt.NDArray[np.int64]) -> str:
        """The reason why this column is no factor of images with these cells, by number; empty if it may be one."""
        texts = [text for text in self.numbers if text.lower() not in _MISSING]
        if len(self.numbers) == 1:
            return "one value only"
        if is_row_name(self.name) and len(texts) == len(ids):
            return "row numbers"
        if are_dates(texts):
            return "dates"
        is_text = len(ids) > _FEW or any(sign in text for text in texts for sign in " /\\")
        if is_text and 2 * len(texts) > len(ids) and not _has_numbers(texts):
            return "a text for each image"
        return ""

    def factor(
        self, ids: npt.NDArray[np.int64], title: str
    ) -> tuple[npt.NDArray[np.int64] | npt.NDArray[np.float64], Sequence[str]]:
        """The factor [N] of images with these cells, by number, and its V values as text, none if it is continuous.

        A column of numbers may have a decimal comma in place of the point, one unit behind every number, such as %, or
        one currency before it. Words are in the order of `natural`, and all values in that of the column, if it has
        one. Raises `InputError` for an infinite value, for a marker of a missing value, for numbers whose digits may be
        grouped, and for a column in which at least half of the cells are numbers and others are not.
        """
        texts = list(self.numbers)
        if self.order:
            if "" in texts:
                raise self._empty_error("", title)
            words = sorted(texts, key=self.order.index)
            return np.array([words.index(text) for text in texts], np.int64)[ids], words
        values = self._values(texts, np.bincount(ids, minlength=len(texts)), title)
        if any(value in (float("inf"), float("-inf")) for value in values):
            raise InputError(f"{title}: the column {self.name} contains an infinite value; leave that {self.noun} out")
        distinct = sorted(set(values))  # type: ignore[type-var]
        if isinstance(values[0], float) and len(distinct) > len(ids) / 2:
            return np.array(values, np.float64)[ids], ()
        if isinstance(values[0], str):
            distinct[:] = _in_order([str(value) for value in distinct], f"{title}: the column {self.name}")
        code = {value: code for code, value in enumerate(distinct)}
        return np.array([code[value] for value in values], np.int64)[ids], [f"{value}" for value in distinct]

    def values_of(self, ids: npt.NDArray[np.int64], title: str) -> npt.NDArray[np.float64] | None:
        """The values [N] of a column of numbers, by the rules of `factor`; None for a column of text.

        Raises `InputError` as `factor`, and for a number that is too large for a float.
        """
        texts = [text for text in self.numbers if not is_missing(text)]
        if not _has_numbers(texts):
            return None
        values = self._values(list(self.numbers), np.bincount(ids), title)
        if isinstance(values[0], str):
            return None
        for text, value in zip(self.numbers, values, strict=True):
            if isinstance(value, int) and abs(value) > sys.float_info.max:
                place = self.places[self.numbers[text]]
                raise InputError(
                    f"{title}: {place} has {short(text)} in the column {self.name}, which is too large for a float; "
                    "correct it"
                )
        return np.array(values, np.float64)[ids]

    def _values(
        self, texts: Sequence[str], counts: npt.NDArray[np.int64], title: str
    ) -> Sequence[float] | Sequence[str]:
        """The texts as numbers if all are numbers, else as they are. Raises `InputError` for a mixture of both."""
        for text in texts:
            if not text or text.lower() == "nan":
                raise self._empty_error(text, title)
            if text.lower() in _MISSING or text == "None":
                raise self._missing_error(text, title)
        markers = [text for text in texts if text.lower() in _MISSING_AMONG_NUMBERS]
        others = [text for text in texts if text not in markers]
        values = _parse_numbers(others)
        if values and markers:
            raise self._missing_error(markers[0], title)
        if values:
            return values
        rows = dict(zip(texts, counts.tolist(), strict=True))
        bare = dict(zip(others, _bare(others) or others, strict=True))
        forms = {text: _form(bare[text]) for text in others}
        may_group = [text for text in others if _GROUPED.fullmatch(bare[text])]
        if "comma" in forms.values():
            forms |= dict.fromkeys(may_group, "grouped")  # such as 1.500 beside 900,5
        form_counts = {form: sum(rows[text] for text in others if forms[text] == form) for form in _FORMS}
        numeric = sum(form_counts.values())
        if not numeric or 2 * numeric < sum(rows[text] for text in others):
            return texts
        if markers:
            raise self._missing_error(markers[0], title)
        usual_form = max(_FORMS, key=lambda form: form_counts[form])
        if may_group and form_counts[usual_form] in (form_counts["grouped"], counts.sum()):
            raise self._grouped_error(may_group[0], bare[may_group[0]], title)
        strays = [text for text in others if forms[text] != usual_form]
        strays = [text for text in strays if not forms[text]] or strays or others  # first, what is no number at all
        place = self.places[self.numbers[strays[0]]]
        raise InputError(
            f"{title}: {place} has {strays[0]!r} in the column {self.name}, where {form_counts[usual_form]:,} of "
            f"{int(counts.sum()):,} cells are numbers written in another way; write that cell like them, or give all "
            "cells a word"
        )

    def _empty_error(self, text: str, title: str) -> InputError:
        place = self.places[self.numbers[text]]
        return InputError(f"{title}: {place} has an empty cell in the column {self.name}; fill it in")

    def _missing_error(self, text: str, title: str) -> InputError:
        place = self.places[self.numbers[text]]
        return InputError(
            f"{title}: {place} has {text!r} in the column {self.name}, which marks a missing value; fill it in, or "
            f"leave that {self.noun} out"
        )

    def _grouped_error(self, text: str, number: str, title: str) -> InputError:
        remedy = "write numbers with a decimal point and no groups"
        if _PLAIN.fullmatch(number):
            remedy = "write whole numbers without a point, and others with more or fewer than three decimals"
        return InputError(
            f"{title}: {self.places[self.numbers[text]]} has {text!r} in the column {self.name}, which may be one "
            f"number or several digits grouped; {remedy}"
        )


def _in_order(words: Sequence[str], what: str) -> list[str]:
    """The words in the order of `natural`. Warns if they are numbers with different units, which have another order."""
    words = sorted(words, key=natural_key(words))
    units = {_units(word) for word in words}
    if len(units) > 1 and None not in units:
        text = ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN:,} more" if len(words) > _SHOWN else "")
        warnings.warn(
            f"{what} has numbers with different units or denominators, which are ordered as words: {text}; write all "
            "with the same unit",
            stacklevel=5,
        )
    return words


def _units(text: str) -> tuple[str, ...] | None:
    """What is counted in a text such as 5 mm, 1h30m, $5 or 1/4; None for other words."""
    if match := _FRACTION.fullmatch(text):
        return "/", match[1]
    if match := _PRICE.fullmatch(text):
        return (match["currency"],)
    units = tuple(_QUANTITY.findall(text))
    return units if units and not _QUANTITY.sub("", text) and _UNITS.issuperset({*units} - {""}) else None


def floats(texts: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Texts as floats; None if one is no number, such as 2020_01, which Python reads as 202001."""
    if any("_" in text for text in texts):
        return None
    try:
        return np.array(texts, np.float64)
    except ValueError:
        return None


def may_be_grouped(texts: Sequence[str]) -> bool:
    """Whether each comma in these texts may be one between groups of digits, as in 1,500."""
    return all(_GROUPED.fullmatch(text) for text in texts if "," in text)


def are_numbers(texts: Sequence[str]) -> bool:
    """Whether all texts are numbers that are written in the same way."""
    return bool(_parse_numbers(texts))


def is_missing(text: str) -> bool:
    """Whether a cell is empty, or marks a missing value among words as well as among numbers."""
    return text.lower() in _MISSING | {""}


def plain_header(name: str) -> str:
    """The header of a column in lower case, without spaces and underscores."""
    return name.casefold().replace("_", "").replace(" ", "")


def _composed(text: str) -> str:
    """The text with composed accents: the same word may be written with an accent that is a character of its own."""
    return unicodedata.normalize("NFC", text)


def is_row_name(name: str, *, is_unnamed: bool = False) -> bool:
    """Whether the header of a column is one of row numbers; is_unnamed: one that data frames write for an index."""
    return plain_header(name) in (_UNNAMED if is_unnamed else _ROW_NUMBERS)


def are_dates(texts: Sequence[str]) -> bool:
    """Whether all texts are dates."""
    return bool(texts) and all(_DATE.match(text) for text in texts)


_FORMS = ("plain", "comma", "percent", "grouped")


def _form(text: str) -> str:
    """How a number is written, one of `_FORMS`; empty for a text that is no number."""
    text = _replace_minus(text)
    if _PLAIN.fullmatch(text):
        return "plain"
    if _GROUPED.fullmatch(text):
        return "grouped"
    if _COMMA.fullmatch(text):
        return "comma"
    return "percent" if text.endswith("%") and _form(text[:-1].strip()) else ""


def _has_numbers(texts: Sequence[str]) -> bool:
    """Whether one of the texts is a number, alone or with the unit or the currency that all have."""
    return any(_form(text) for text in [*texts, *_bare(texts)])


def _parse_numbers(texts: Sequence[str]) -> list[float]:
    """The texts as numbers, all written in the same way; empty otherwise."""
    numbers = _parse_plain(texts) or _parse_decimal_commas(texts)
    if numbers or not (bare := _bare(texts)) or _may_have_grouping_points(texts, bare):
        return numbers
    return _parse_plain(bare) or _parse_decimal_commas(bare)


def _bare(texts: Sequence[str]) -> list[str]:
    """The texts without the currency before each, such as $, and the unit behind it; empty if there is not one."""
    texts = [_replace_minus(text) for text in texts]
    prices = [match for match in map(_PRICE.fullmatch, texts) if match]
    are_prices = bool(texts) and len(prices) == len(texts) and len({match["currency"] for match in prices}) == 1
    if are_prices:
        texts = [match["sign"] + match["number"] for match in prices]
    cells = [match for match in map(_UNIT.fullmatch, texts) if match]
    if texts and len(cells) == len(texts) and len({match["unit"] for match in cells}) == 1:
        numbers = [match["number"] for match in cells]
        if all(_form(number) or not _LETTER.search(number) for number in numbers):  # not 1h30m
            return numbers
    return texts if are_prices else []


def _may_have_grouping_points(texts: Sequence[str], bare: Sequence[str]) -> bool:
    """Whether each point in numbers with a unit or a currency may be one between groups of digits, as in 1.500 €.

    So it may be in prices, which rarely have three decimals, and with other units beside a number without a point: 900
    m and 1.500 m. Where all have three decimals, both readings have the same order, and 1.500 is the usual one.
    """
    with_point = [number for number in bare if "." in number]
    if not with_point or not all(map(_GROUPED.fullmatch, with_point)) or texts[0].endswith(_SHARES):
        return False
    return len(with_point) < len(bare) or re.search(_CURRENCIES, texts[0]) is not None


def _parse_plain(texts: Sequence[str]) -> list[float]:
    """Whole numbers as int, else all as float."""
    texts = [_replace_minus(text) for text in texts]
    if not all(_PLAIN.fullmatch(text) for text in texts):
        return []
    try:
        return [int(text) for text in texts]
    except ValueError:
        return [float(text) for text in texts]


def _parse_decimal_commas(texts: Sequence[str]) -> list[float]:
    """Numbers with a decimal comma, beside whole ones; not 1,500, which may have a comma between groups of digits."""
    if any("." in text for text in texts) or may_be_grouped(texts):
        return []
    return _parse_plain([text.replace(",", ".") if text.count(",") == 1 else text for text in texts])


def _replace_minus(text: str) -> str:
    return text.replace("\u2212", "-")
