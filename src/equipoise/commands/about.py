"""What there is, and what each thing is: `list` and `show`."""

import dataclasses
import inspect
import shlex
import textwrap
from collections.abc import Mapping
from typing import Any, Literal

from equipoise import nets
from equipoise.commands.data import about as about_data
from equipoise.config import SECTIONS, word
from equipoise.data import DATASETS
from equipoise.errors import choose
from equipoise.methods import METHODS, compose
from equipoise.methods.method import descriptions
from equipoise.metrics import METRICS
from equipoise.outcome import Outcome

Kind = Literal["methods", "metrics", "data", "nets"]


def listing(kind: Kind) -> Outcome:
    """Names and one line each of the methods, metrics, data sets or nets."""
    lines = {
        "methods": {name: method.summary for name, method in METHODS.items()},
        "metrics": {name: metric.summary for name, metric in METRICS.items()},
        "data": {name: data.summary for name, data in DATASETS.items()},
        "nets": {name: net.summary for name, net in nets.NETS.items()},
    }[kind]
    width = max(map(len, lines), default=0)
    return Outcome(lines, "\n".join(f"{name:<{width}}  {line}" for name, line in lines.items()))


def show(name: str) -> Outcome:
    """What a method, metric, data set, net or section of settings is: formula, settings with reasons, source."""
    known = [*METHODS, *METRICS, *DATASETS, *nets.NETS, *SECTIONS]
    choose("method, metric, data set, net or section of settings", name, known)
    if name in METHODS:
        return _show_method(name)
    if name in SECTIONS:
        settings = _settings(SECTIONS[name])
        return Outcome({"settings": settings}, f"[{name}]\n\n{_written(settings)}")
    if name in METRICS:
        about = METRICS[name]
        text = f"{name}: {about.summary}; {about.direction}\n\n{inspect.getdoc(about.function)}"
        return Outcome({"name": name, "summary": about.summary, "better": about.direction}, text)
    if name in DATASETS:
        return about_data(DATASETS[name])
    net = nets.NETS[name]
    return Outcome({"name": name, "summary": net.summary}, f"{name}: {net.summary}")


def _show_method(name: str) -> Outcome:
    method = METHODS[name]
    settings = _settings(method)
    said = [
        f"{name}: {method.summary}",
        "",
        (inspect.getdoc(method) or "").partition("\n\nExample:")[0],
        "",
        "settings",
        _written(settings),
    ]
    parts = compose.parts() if name == compose.Compose.name else {}
    for kind, names in parts.items():
        said += ["", f"{kind} (options = defaults)"]
        said += [f"  {part}: {options}" if options else f"  {part}" for part, options in names.items()]
    if method.defaults:
        said += ["", "defaults of other sections"]
        said += [f"  {key} = {value}" for key, value in method.defaults.items()]
    if method.presets:
        said += ["", "presets (method.preset=NAME)"]
        for key, preset in method.presets.items():
            said.append(f"  {key}: {preset.why}")
            said.append("    " + shlex.join(word(key, value) for key, value in preset.settings.items()))
    presets = {key: {"why": preset.why, "settings": dict(preset.settings)} for key, preset in method.presets.items()}
    values = {"name": name, "summary": method.summary, "settings": settings, "presets": presets}
    return Outcome(values | ({"parts": parts} if parts else {}), "\n".join(said))


def _settings(kind: type) -> dict[str, dict[str, Any]]:
    """Return default and description of each setting, those that `kind` declares itself first."""
    reasons = descriptions(kind)
    own = inspect.get_annotations(kind)
    fields = sorted(dataclasses.fields(kind), key=lambda field: field.name not in own)
    defaults = {field.name: None if field.default is dataclasses.MISSING else field.default for field in fields}
    return {name: {"default": default, "why": reasons[name]} for name, default in defaults.items()}


def _written(settings: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, about in settings.items():
        default = "unset" if about["default"] is None else about["default"]
        lines.append(f"  {name} = {default}")
        lines += textwrap.wrap(about["why"], 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
