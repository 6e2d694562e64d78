"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.errors import InputError

Beta = Annotated[
    float | None, typer.Option(help="For a run of mr-vae: the beta of the model; default: that of its settings.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of a study.", show_default=False)]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A data set, or the path of images.")]
Progress = Annotated[bool, typer.Option(hidden=True)]


def keep_input(target: Path, source: str | Path | None) -> None:
    """Raise `InputError` if a command would write over the file that it reads, or a picture among its images."""
    if source is None:
        return
    try:
        path = Path(source).expanduser().resolve()
        folder, is_same = path.is_dir(), target.exists() and target.samefile(path)
    except (OSError, RuntimeError, ValueError):  # there is no such file
        return
    if is_same and not folder:
        raise InputError(f"{target} is the file that is read, and would be lost; choose another name with --out")
    if folder and target.suffix.lower() == ".png" and path in target.resolve().parents:
        raise InputError(f"{target} would be one of the images in {source}; choose another place with --out")
