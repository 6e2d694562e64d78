"""Docstrings as Markdown: a line that begins with the name of a parameter stays a line of its own."""

import re
from typing import Any

import griffe

NAMED = re.compile(r"\n(?=\s*[a-z]\w*(?:, \w+)*: )")


class Lines(griffe.Extension):
    """Ends the line before such a line with the two spaces that break it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = NAMED.sub("  \n", obj.docstring.value)
