"""HTML pages and parts of pages, from templates."""

import math
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

_FILES = resources.files("equipoise")
_ENVIRONMENT = Environment(
    loader=FunctionLoader(lambda file: _FILES.joinpath(file).read_text(encoding="utf-8")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def template(name: str) -> Template:
    """Return a template by its path in the package equipoise. It escapes values, and raises where one is missing."""
    return _ENVIRONMENT.get_template(name)


def macros(name: str) -> Any:
    """Return the macros of a template. Calling one renders a part of a page as `Markup`."""
    return template(name).module


def number(value: float | None, decimals: int | None = None, digits: int = 3) -> Markup:
    """Format a number with its exact value in the element, with `decimals` or else `digits` significant digits.

    A missing number, and NaN, is a dash.
    """
    if value is None or np.isnan(value):
        return Markup("–")
    if np.isinf(value):
        return Markup("∞" if value > 0 else "−∞")
    if decimals is None:
        decimals = 0 if value == round(value) else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), f"{value:z,.{decimals}f}".replace("-", "−"))


_ENVIRONMENT.filters["number"] = number
