"""The settings of the run, its versions and its machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from equipoise.config import outline
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block
from equipoise.report.sentences import of_rows, one_of
from equipoise.scoring import Run


def settings(run: Run, findings: Findings) -> Sequence[Block]:  # noqa: ARG001
    """Return the command, all resolved settings, the parts of the objective, and the contents of `meta.json`."""
    settings = (run.path / "config.toml").read_text(encoding="utf-8")
    others = {key: value for key, value in run.meta.items() if key not in ("command", "shape", "images", "chosen")}
    meta = {key: _text(value) for key, value in others.items() if value is not None}
    if "chosen" in run.meta:
        meta["chosen"] = "; ".join(run.meta["chosen"]["lines"])  # the settings that are not chosen are in the command
    parts = [part.describe() for part in outline(run.config).parts]
    if run.model.scaling is not None:
        parts = [of_rows(part) for part in parts]
    last = run.logs[-1] if run.logs else {}
    return [macros("report/sections/settings.html").body(run, last, settings, parts, meta, one_of(run))]


def _text(value: Any) -> str:
    """Return a value of `meta.json` as text: mappings as `key value`, lists with commas; the scaling has a section.

    An entry without a value, such as the range of images that are not rescaled, is left out.
    """
    if isinstance(value, Mapping):
        items = [(key, item) for key, item in value.items() if key != "scaling" and item is not None]
        return ", ".join(f"{key} {_text(item)}" for key, item in items)
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
