"""The commands that list what the library offers and describe one thing of it."""

import dataclasses
import inspect
import shlex
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from equipoise.commands.data import describe
from equipoise.errors import choose
from equipoise.outcome import Outcome


def list_(
    kind: Annotated[str, typer.Argument(metavar="methods|metrics|data|nets", help="What to list.")],
) -> Outcome:
    """List all methods, metrics, data sets or nets, one a line."""
    from equipoise.data import DATASETS
    from equipoise.methods import METHODS
    from equipoise.metrics import METRICS
    from equipoise.nets import NETS

    tables: dict[str, Mapping[str, Any]] = {"methods": METHODS, "metrics": METRICS, "data": DATASETS, "nets": NETS}
    summaries = {name: each.summary for name, each in tables[choose("list", kind, tables)].items()}
    width = max(map(len, summaries), default=0)
    return Outcome(summaries, "\n".join(f"{name:<{width}}  {summary}" for name, summary in summaries.items()))


def show(
    name: Annotated[str, typer.Argument(help="A method, metric, data set, net or section of settings.")],
) -> Outcome:
    """Describe a method, metric, data set, net or section of settings: formula, settings and source."""
    from equipoise.config import SECTIONS
    from equipoise.data import DATASETS
    from equipoise.methods import METHODS
    from equipoise.metrics import METRICS
    from equipoise.nets import NETS

    known = [*METHODS, *METRICS, *DATASETS, *NETS, *SECTIONS]
    choose("method, metric, data set, net or section of settings", name, known)
    if name in METHODS:
        return _show_method(name)
    if name in SECTIONS:
        settings = _settings(SECTIONS[name])
        return Outcome({"settings": settings}, f"[{name}]\n\n{_lines(settings)}")
    if name in METRICS:
        metric = METRICS[name]
        definition = (inspect.getdoc(metric.function) or "").partition("\n\nExample:")[0]
        text = f"{name}: {metric.direction}\n\n{definition}"
        return Outcome({"name": name, "summary": metric.summary, "better": metric.direction}, text)
    if name in DATASETS:
        return describe(DATASETS[name])
    return Outcome({"name": name, "summary": NETS[name].summary}, f"{name}: {NETS[name].summary}")


def _show_method(name: str) -> Outcome:
    """Formula, settings, parts, defaults and presets of a method."""
    from equipoise.config import word
    from equipoise.methods import METHODS, compose

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
        lines += textwrap.wrap(setting["why"], 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
