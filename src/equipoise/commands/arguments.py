"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Beta = Annotated[
    float | None, typer.Option(help="For a run of mr-vae: the beta of the model; default: that of its settings.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of a study.", show_default=False)]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A data set, or the path of images.")]
Progress = Annotated[bool, typer.Option(hidden=True)]
