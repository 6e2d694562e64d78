"""Prepare docstrings for the reference, in which mkdocstrings reads them in Google style."""

import re
from typing import Any

import griffe

LINE = re.compile(r"\n(?=[a-z]\w*(?:, \w+)*: )")
SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): (.+(?:\n\1 +.+)*)", re.MULTILINE)
EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


def parameters(match: re.Match[str]) -> str:
    """Return an entry for each of several parameters that share a description."""
    indent, names, description = match.groups()
    return "\n".join(f"{indent}{name}: {description}" for name in names.split(", "))


class Docstrings(griffe.Extension):
    """Edit the docstring of each object before it is rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Separate parameters that share a description, rename `Example:`, and keep lines `name: description`."""
        if obj.docstring:
            text = EXAMPLE.sub(r"\1Examples:", SHARED.sub(parameters, obj.docstring.value))
            obj.docstring.value = LINE.sub("  \n", text)
