"""Settings as words of a shell command."""

import json
import shlex

from equipoise.config import ADDED, Settings, parse, resolve


def command(settings: Settings) -> str:
    """The shortest shell command that trains a run with these complete settings."""
    named = {key: settings[key] for key in ("data.name", "method.name", "method.preset") if key in settings}
    defaults = resolve(named).flat()
    settings = {**settings, **{key: ADDED[key] for key in ADDED if key in defaults and key not in settings}}
    words = [word(key.removesuffix(".name"), value) for key, value in named.items()]
    words += [word(key, value) for key, value in settings.items() if key not in named and defaults.get(key) != value]
    return shlex.join(["equipoise", "train", *words])


def word(key: str, value: object) -> str:
    """A setting as a word that `parse` reads. Text is quoted if it would be read as another type."""
    if isinstance(value, str) and parse([f"{key}={value}"])[key] == value:
        return f"{key}={value}"
    return f"{key}={_toml(value)}"


def _toml(value: object) -> str:
    """A value in TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
