"""Where files that can be made again are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for files that can be made again; it need not exist.

    `EQUIPOISE_CACHE`, else `XDG_CACHE_HOME`/equipoise, else ~/.cache/equipoise. A relative `XDG_CACHE_HOME` is ignored,
    as the XDG Base Directory Specification asks. RuntimeError when the user has no home folder.
    """
    if chosen := os.environ.get("EQUIPOISE_CACHE"):
        return Path(chosen).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "equipoise"
