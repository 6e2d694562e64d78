"""Arguments that several commands share."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.errors import InputError
from equipoise.files import user_path

if TYPE_CHECKING:
    from equipoise.run import Run

Beta = Annotated[
    float | None, typer.Option(help="For a run of mr-vae: the beta of the model; default: that of its settings.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of a study.", show_default=False)]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A data set, or the path of images.")]
Progress = Annotated[bool, typer.Option(hidden=True)]
Engine = Annotated[str, typer.Option(help="local, ray or slurm.")]


def open_run(folder: Path) -> "Run":
    """Open a run to use its model, with a note if its training has not reached the last step."""
    from equipoise import runs

    run = runs.open_run(folder)
    steps = run.config.train.steps
    if run.logs and (step := run.logs[-1]["step"]) < steps:
        warnings.warn(
            f"the training of {folder} has reached step {step:,.0f} of {steps:,}, and the model is that of its last "
            "checkpoint; the command that began the training resumes it",
            stacklevel=2,
        )
    return run


def keep_input(target: Path, source: str | Path | None) -> None:
    """Raise `InputError` if a command would write over the file that it reads, or pictures among its images."""
    if source is None:
        return
    try:
        path = user_path(source).resolve()
        is_same = target.resolve() == path or (target.exists() and target.samefile(path))
        folder = path.is_dir()
    except (OSError, RuntimeError, ValueError):  # there is no such file
        return
    if is_same and not folder:
        raise InputError(f"{target} is the file that is read, and would be lost; choose another name with --out")
    has_pictures = target.suffix.lower() not in (".csv", ".mp4", ".npy", ".npz", ".parquet")  # or a folder of them
    if folder and has_pictures and path in target.resolve().parents:
        raise InputError(f"{target} would be one of the images in {source}; choose another place with --out")


def settings_of(words: Sequence[str]) -> dict[str, object]:
    """Return the settings of words `key=value`. Raises `InputError` for one that is set to two different values."""
    from equipoise import config

    settings = config.parse(words)
    before: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        table = config.parse([word])[key]
        if isinstance(table, dict):  # such as of train.labels, which single settings complete
            values = {key: value} | {f"{key}.{entry}": _word(each) for entry, each in table.items()}
        else:
            values = {config.FORMS.get(key, key): value}
        for name, text in values.items():
            if before.setdefault(name, text) != text:
                raise config.set_twice(name, before[name], text)
    return settings


def _word(value: object) -> str:
    """A value in a table as a word of the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
