"""The trained models that the package contains. Nothing here loads torch."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any


def models() -> dict[str, Mapping[str, Any]]:
    """Return the models of the package: by name, the content of config.json.

    Example:
        >>> models()["dsprites"]["latent"]
        10
    """
    files = sorted(folder().glob("*/config.json"))
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def folder() -> Path:
    """Return the folder that has a folder for each model."""
    return Path(str(resources.files("equipoise") / "export" / "models"))
