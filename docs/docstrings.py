"""Prepare docstrings for the reference.

Lines that begin with the name of a parameter stay separate lines in Markdown, and `Example:` becomes the section
`Examples:`, the name under which mkdocstrings renders code.
"""

import re
from typing import Any

import griffe

PARAMETER = re.compile(r"\n(?=\s*[a-z]\w*(?:, \w+)*: )")
EXAMPLE = re.compile(r"^(\s*)Example:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Edit the docstring of each object before it is rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """End lines before parameters with two spaces, which breaks them, and rename the section of examples."""
        if obj.docstring:
            text = PARAMETER.sub("  \n", obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", text)
