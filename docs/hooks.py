"""Hooks of the site: notebooks become pages, and formulas become MathML, which a browser shows without a script."""

import json
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FUNCTION = re.compile(r"<mi>(?:log|ln|min)</mi>(?=<m[infrsu])")  # a function before its argument without brackets
LINK = re.compile(r"(\]\([\w/.]+)\.ipynb\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Render the code blocks whose language is math as formulas, as GitHub does."""
    fence = {"name": "math", "class": "math", "format": formula}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def formula(source: str, *_: Any, **__: Any) -> str:
    """Return the MathML of a formula in LaTeX, with a space between a function and its argument."""
    mathml = FUNCTION.sub(r'\g<0><mspace width="0.17em"/>', convert(source, display="block"))
    return f'<div class="formula" tabindex="0">{mathml}</div>'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, beside the notebook itself."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        path = file.src_uri.removesuffix("ipynb")
        files.append(File.generated(config, f"{path}md", content=page_of(file.content_string, file.name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to a notebook, which are right in the repository, lead to its page."""
    return LINK.sub(r"\1.md)", markdown)


def page_of(notebook: str, name: str) -> str:
    """Return a notebook as Markdown, with a link to its file below the title."""
    first, *others = json.loads(notebook)["cells"]
    parts = [
        "".join(first["source"]),
        f'<a href="{name}.ipynb" download>Download this notebook</a>, and open it in Jupyter or on Colab.',
    ]
    for cell in others:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return "\n\n".join(parts) + "\n"
