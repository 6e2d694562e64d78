"""The folder of a study: its file `study.toml` and the runs that the file describes."""

import dataclasses
import os
from pathlib import Path

from equipoise import config as configuration
from equipoise.errors import InputError
from equipoise.study.auto import candidates
from equipoise.study.plan import Plan, Study, plan, read_file
from equipoise.study.search import space, trials

FILE = "study.toml"


def open_study(folder: str | Path) -> Plan:
    """Return the plan of the study in a folder. Raises `InputError` when there is none.

    Args:
        folder: the folder that `sweep` or `search` wrote, such as "studies/first".

    Returns:
        The plan with `runs`, the settings of each run by name.

    Raises:
        InputError: the folder has no `study.toml`, or the file describes runs that are not possible.
    """
    path = Path(folder)
    if not (path / FILE).is_file():
        why = f"it has no {FILE}" if path.is_dir() else "there is no such folder"
        raise InputError(f"{path} is not a study ({why}); expected the folder that a sweep wrote")
    return read(path / FILE, out=path)


def one_run(folder: Path) -> Plan:
    """Return a plan of the one run in a folder."""
    config = dataclasses.replace(configuration.load(folder / "config.toml"), out=os.path.abspath(folder))
    return Plan(Study(out=str(folder)), {folder.resolve().name: config})


def read(file: str | Path, out: str | Path | None = None) -> Plan:
    """Return the plan of a study file: all its runs, for a search the runs proposed so far, for `auto` its candidates.

    `out` replaces the folder in the file. Raises `InputError` for a file that cannot be read, or for runs that are not
    possible.
    """
    contents = read_file(file, out)
    if "auto" in contents:
        return candidates.plan(contents)
    return trials.plan(space.parse(contents)) if "search" in contents else plan(contents)
