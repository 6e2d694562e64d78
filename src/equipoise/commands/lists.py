"""The commands that list what the library offers and describe one thing of it."""

import dataclasses
import inspect
import shlex
import sys
import textwrap
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any

import typer

from equipoise.commands.data import describe
from equipoise.errors import choose
from equipoise.outcome import Outcome

TABLES = {
    "methods": ("equipoise.methods", "METHODS"),
    "metrics": ("equipoise.metrics", "METRICS"),
    "data": ("equipoise.data", "DATASETS"),
    "nets": ("equipoise.nets", "NETS"),
}
"""What can be listed: the module and the name of the table of each kind."""

SECTIONS = ("data", "net", "train", "evaluate")
"""The names of `config.SECTIONS`, which would import torch."""


def list_(
    kind: Annotated[str, typer.Argument(metavar="methods|metrics|data|nets", help="What to list.")],
) -> Outcome:
    """List all methods, metrics, data sets or nets, one per line.

    Examples:

      equipoise list methods

      equipoise list metrics
    """
    summaries = _summaries(choose("list", kind, TABLES))
    width = max(map(len, summaries), default=0)
    return Outcome(summaries, "\n".join(f"{name:<{width}}  {summary}" for name, summary in summaries.items()))


def show(
    name: Annotated[str, typer.Argument(help="A method, metric, data set, net or section of settings.")],
) -> Outcome:
    """Describe a method, metric, data set, net or section of settings: formula, settings and source.

    Examples:

      equipoise show beta-vae

      equipoise show train
    """
    kinds = {each: kind for kind in TABLES for each in _summaries(kind)}
    choose("method, metric, data set, net or section of settings", name, [*kinds, *SECTIONS])
    if name in SECTIONS:
        from equipoise import config
        from equipoise.data.settings import LabelSettings

        settings = _settings(config.SECTIONS[name])
        if name == "train":
            settings |= {f"labels.{key}": setting for key, setting in _settings(LabelSettings).items()}
        return Outcome({"settings": settings}, f"[{name}]\n\n{_lines(settings)}")
    kind = kinds[name]
    if kind == "methods":
        return _show_method(name)
    if kind == "metrics":
        from equipoise.metrics import METRICS

        metric = METRICS[name]
        definition = (inspect.getdoc(metric.function) or "").partition("\n\nExample:")[0]
        text = f"{name}: {metric.direction}\n\n{definition}"
        return Outcome({"name": name, "summary": metric.summary, "better": metric.direction}, text)
    if kind == "data":
        from equipoise.data import DATASETS

        return describe(DATASETS[name])
    summary = _summaries(kind)[name]
    return Outcome({"name": name, "summary": summary}, f"{name}: {summary}")


def _summaries(kind: str) -> dict[str, str]:
    """Return the summary of each method, metric, data set or net by name, without importing torch or scikit-learn.

    `summaries.toml` has those of the library. A program that has imported the table may have added parts of its own.
    """
    module, table = TABLES[kind]
    if module in sys.modules:
        return {name: each.summary for name, each in getattr(sys.modules[module], table).items()}
    text = resources.files(__package__).joinpath("summaries.toml").read_text(encoding="utf-8")
    summaries: dict[str, str] = tomllib.loads(text)[kind]
    return summaries


def _show_method(name: str) -> Outcome:
    """Formula, settings, parts, defaults and presets of a method."""
    from equipoise.methods import METHODS, compose
    from equipoise.shell import word

    method = METHODS[name]
    settings = _settings(method)
    formula = (inspect.getdoc(method) or "").partition("\n\nExample:")[0]
    lines = [f"{name}: {method.summary}", "", formula, "", "settings", _lines(settings)]
    parts = compose.parts() if name == compose.Compose.name else {}
    for kind, names in parts.items():
        lines += ["", f"{kind} (options = defaults)"]
        lines += [f"  {part}: {options}" if options else f"  {part}" for part, options in names.items()]
    if method.defaults:
        lines += ["", "defaults of other sections"]
        lines += [f"  {key} = {value}" for key, value in method.defaults.items()]
    if method.presets:
        lines += ["", "presets (method.preset=NAME)"]
        for key, preset in method.presets.items():
            lines.append(f"  {key}: {preset.why}")
            lines.append("    " + shlex.join(word(key, value) for key, value in preset.settings.items()))
    presets = {key: {"why": preset.why, "settings": dict(preset.settings)} for key, preset in method.presets.items()}
    values = {"name": name, "summary": method.summary, "settings": settings, "presets": presets}
    return Outcome(values | ({"parts": parts} if parts else {}), "\n".join(lines))


def _settings(kind: type) -> dict[str, dict[str, Any]]:
    """Default and description of each setting, first of those that `kind` declares itself."""
    from equipoise.methods.method import descriptions

    reasons = descriptions(kind)
    own = inspect.get_annotations(kind)
    fields = sorted(dataclasses.fields(kind), key=lambda field: field.name not in own)
    defaults = {field.name: None if field.default is dataclasses.MISSING else field.default for field in fields}
    return {name: {"default": default, "why": reasons[name]} for name, default in defaults.items()}


def _lines(settings: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, setting in settings.items():
        default = "unset" if setting["default"] is None else setting["default"]
        lines.append(f"  {name} = {default}")
        lines += textwrap.wrap(
            setting["why"], 100, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False
        )
    return "\n".join(lines)
