"""The command `auto`."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands.arguments import Engine, Progress, settings_of
from equipoise.errors import InputError, choose
from equipoise.outcome import Outcome, align


def auto(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES [KEY=VALUE]...",
            help="A data set or the path of images, then single settings of every training.",
            show_default=False,
        ),
    ],
    budget: Annotated[str, typer.Option(help="Time for all of it, such as 30m, 90s or 2h.")] = "30m",
    labels: Annotated[
        Path | None,
        typer.Option(help="A table of factors of some images, to score the pick; it does not change the choice."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; default: studies/<data>-auto-<digits>.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Trainings at once; default: one for each core, here or in the cluster.")
    ] = None,
    engine: Engine = "local",
    gpus: Annotated[float, typer.Option(help="GPUs of a training, with ray or slurm; with ray also a fraction.")] = 0,
    progress: Progress = True,
) -> Outcome:
    """Train many models within a budget, and pick one without labels.

    Methods that tune themselves are trained from several random starts, on all cores. At 60 % of the training all but a
    few are stopped. The method is chosen by how well its models agree with the others, and the model by its loss. It is
    copied to the folder best, with a report that gives the reasons. The same command resumes after a kill, and makes
    the same choice.

    Examples:

      equipoise auto path/to/images --budget 30m

      equipoise auto path/to/images data.size=64 --budget 2h --labels factors.csv

      equipoise auto dsprites data.size=32 --budget 20m --out studies/dsprites
    """
    from equipoise.study.auto.auto import auto as pick
    from equipoise.study.run.sweep import ENGINES

    name = choose("engine", engine, ENGINES)
    settings = settings_of([f"data={word}" if "=" not in word else word for word in words])
    images = settings.pop("data", settings.pop("data.name", None))
    if not images:
        raise InputError("the images are missing; give a data set or their path, such as equipoise auto path/to/images")
    with redirect_stdout(sys.stderr):  # Ray prints messages about its nodes
        result = pick(
            str(images),
            budget=budget,
            labels=labels,
            out=out,
            workers=workers,
            engine=name,
            gpus=gpus,
            settings=settings,
            progress=progress,
        )
    choice, path = result.choice, result.run.path
    cells = [["model", "seed", "training", "agreement", "loss", "latents", "mig", "dci"]]
    for row in choice["rows"]:
        figures = [row["agreement"], row["loss"], row["active"], row["mig"], row["dci"]]
        forms = [".3f", ".3g", "", ".3f", ".3f"]
        texts = ["–" if figure is None else format(figure, form) for figure, form in zip(figures, forms, strict=True)]
        cells.append([row["recipe"], str(row["seed"]), row["stage"], *texts])
    lines = [f"picked {choice['name']}", *choice["sentences"], "", *align(cells, slice(3, None)), ""]
    lines.append(
        f"training steps took {100 * choice['share']:.0f} % of the budget; all models: equipoise compare {path.parent}"
    )
    lines.append(f"wrote {path}; open {path / 'report.html'}")
    values = {**choice, "run": str(path), "source": choice["run"], "report": str(path / "report.html")}
    return Outcome(values, "\n".join(lines))
