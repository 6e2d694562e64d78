"""`auto`: train candidates in two stages within a budget, pick one without labels, and write why."""

import dataclasses
import json
import math
import multiprocessing
import shutil
from collections.abc import Container, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import tomli_w
from rich.console import Console

from equipoise import automatic, choice, report, runs, scoring
from equipoise import config as configuration
from equipoise.assemble import load_images
from equipoise.claim import FOLDER, hold
from equipoise.config import Config, Settings
from equipoise.data import load_data
from equipoise.data.export import to_npz
from equipoise.data.labels import read_labels
from equipoise.errors import InputError, RunError
from equipoise.files import read_json, read_toml, replacing_folder, write_text
from equipoise.report.sections.why import FILE, Choice
from equipoise.run import Run
from equipoise.run_folder import digest
from equipoise.study.auto import candidates as listing
from equipoise.study.auto.candidates import Contents
from equipoise.study.auto.ranking import label_scores, rank
from equipoise.study.auto.reasons import describe
from equipoise.study.folder import FILE as STUDY
from equipoise.study.plan import Plan, Study
from equipoise.study.run.drive import drive
from equipoise.study.run.local import end_if_loaded_again
from equipoise.study.run.sweep import EngineName, engine_for
from equipoise.study.run.work import failures
from equipoise.training.loop import Stopped, device

BEST = "best"  # the folder of the model that is picked, in that of the study
CLAIM = "auto"  # the folder of the claim of the process that trains
SAMPLE = 5000  # images whose codes are compared
WHICH = ("active_units", "sse", "kl")  # cheap scores of every candidate


@dataclasses.dataclass(frozen=True)
class Pick:
    """The result of `auto`.

    Args:
        run: The model that is picked, in the folder `best` of the study.
        choice: Why: the sentences of the report, and a row for each candidate.

    Example:
        >>> import dataclasses
        >>> from equipoise.study.auto.auto import Pick
        >>> [field.name for field in dataclasses.fields(Pick)]
        ['run', 'choice']
    """

    run: Run
    choice: Choice


def auto(
    images: Any,
    *,
    budget: str | float = "30m",
    labels: Any = None,
    out: str | Path | None = None,
    workers: int | None = None,
    engine: EngineName = "local",
    gpus: float = 0,
    settings: Settings | None = None,
    progress: bool = True,
) -> Pick:
    """Train many models within a budget, and pick one without labels.

    Methods that tune themselves are trained from several seeds, as many at once as there are cores. After 60 % of the
    training all but a few are stopped. The method is chosen by the agreement of its models with the others, and among
    its models the one with the smallest loss. The same call resumes after an interruption. Each training is a process
    that loads this program again, so a script calls `auto` under `if __name__ == "__main__":`.

    Args:
        images: The name of a data set, the path of images, or images as `eq.load_data` reads them, which are stored in
            the folder.
        budget: Time for all of it, such as "30m" or "2h", or seconds.
        labels: A table of factors for some of the images, .csv, .tsv or .parquet, or a data frame. It changes neither
            training nor choice: the result also has what the labels would have picked.
        out: The folder; default: `studies/<data>-auto-<digits>`.
        workers: Trainings at once; default: one for each core, here or in the cluster, and one on a GPU.
        engine: "local", "ray" or "slurm", as for `eq.sweep`.
        gpus: GPUs of each training, with Ray or Slurm.
        settings: Settings of every training by dotted key, such as `{"data.size": 32}`. With a method among them, only
            its seeds differ.
        progress: Whether to display the progress.

    Returns:
        The model, and why it was picked.

    Raises:
        InputError: Before any work, for images, labels or settings that cannot be used.
        RunError: If it was interrupted, or if no training could be finished.

    Example:
        >>> import equipoise as eq
        >>> try:
        ...     eq.auto("dsprites", settings={"train.steps": 2000})
        ... except eq.InputError as error:
        ...     print(error)
        train.steps cannot be set here: auto takes it from the budget
    """
    end_if_loaded_again("auto")
    seconds = choice.seconds_of(budget)
    array = None if isinstance(images, (str, Path)) else load_data(images)
    name = str(images) if array is None else f"array-{digest([array])}"
    request = configuration.expand({"data": name, **configuration.of_caller(settings)})
    for key, source in (("train.steps", "the budget"), ("train.schedule_steps", "the budget"), ("out", "--out")):
        if key in request:
            raise InputError(f"{key} cannot be set here: auto takes it from {source}")
    record = json.loads(json.dumps(request, default=str))
    default = f"studies/{Path(name).stem or 'data'}-auto-{configuration.ten_digits([record, seconds])}"
    folder = Path(default if out is None else out)
    if array is not None:
        request["data.name"] = str(folder / "images.npz")
    console = Console(stderr=True, quiet=not progress)
    contents = _stored_contents(folder, record, seconds)
    if contents is None:
        if array is not None and not (folder / "images.npz").exists():
            to_npz(array, folder / "images.npz")
        base = configuration.resolve(request)
        if labels is not None:
            read_labels(labels, load_images(base, None)[-1])  # refused before any work
        slots = _slots(base, engine, workers, gpus)
        contents = _begin(folder, base, request, record, seconds, slots)
        write_text(folder / STUDY, tomli_w.dumps(contents))
    for line in contents["auto"]["lines"]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    candidates = listing.read(contents)
    methods = {candidate.run: candidate.config.method.name for candidate in candidates}
    table = None if labels is None else read_labels(labels, load_images(candidates[0].config, None)[-1])
    out, about = contents["out"], contents["auto"]
    workers = about["workers"] if workers is None else workers  # another number on resume changes no result

    with hold(folder / CLAIM):
        first_stage = listing.first_stage(candidates, out)
        if not listing.finalists_in(out):
            _drive(first_stage, engine, workers, gpus, console)
            paths = _finished_runs(first_stage)
            ranking = rank(paths, methods, paths)
            result = listing.First(
                finalists=list(ranking.runs[: about["finalists"]]),
                agreement=dict(ranking.agreement),
                loss=dict(ranking.loss),
            )
            write_text(folder / listing.FILE, json.dumps(result, indent=1))
        second_stage = listing.second_stage(candidates, listing.finalists_in(out), out)
        _drive(second_stage, engine, workers, gpus, console)
        with console.status("comparing the models"):
            paths = _finished_runs(second_stage)
            ranking = rank(_finished_runs(first_stage, but=second_stage.runs) | paths, methods, paths)
            scores = {run: label_scores(paths[run], table) for run in ranking.runs}
    reasons = describe(contents, candidates, ranking, scores, None if table is None else len(table.images))
    return Pick(_hand_over(folder / BEST, paths[ranking.runs[0]], reasons, console), reasons)


def _stored_contents(folder: Path, record: Mapping[str, Any], seconds: float) -> Contents | None:
    """The content of the study in this folder, if the same request began it; None for a new folder."""
    file = folder / STUDY
    if not file.is_file():
        if folder.exists() and any(path.name != "images.npz" and path.suffix != ".part" for path in folder.iterdir()):
            raise InputError(f"{folder} is there already and is not a study of auto; choose another out")
        return None
    contents = read_toml(file, "a study")
    study = listing.parse(contents) if "auto" in contents else None
    if study is None or study["auto"]["request"] != record or study["auto"]["budget"] != seconds:
        raise InputError(f"{folder} holds another study, or one of other settings or budget; choose another out")
    return Contents(**{**study, "out": str(folder)})


def _slots(base: Config, engine: EngineName, workers: int | None, gpus: float) -> int:
    """The number of trainings at once."""
    if engine == "local" and workers is None and device(base.train.device).type == "cuda":
        return 1
    alone = dataclasses.replace(base, train=dataclasses.replace(base.train, threads=1))
    place = engine_for(Plan(Study(out="-"), {"-": alone}), engine, workers, gpus)
    try:
        return int(place.slots)
    finally:
        place.close()


def _begin(
    folder: Path, base: Config, request: dict[str, object], record: dict[str, Any], seconds: float, workers: int
) -> Contents:
    """Choose the settings from images and machine, measure the speed of each recipe, and list the candidates."""
    facts, (_, images_to_score) = automatic.gather(base, request, None)
    which = [*WHICH, "mig"] if images_to_score.factors is not None else [*WHICH]
    common: dict[str, dict[str, object]] = {}
    method = str(choice.choose(facts, request).settings.get("method.name", ""))
    for recipe in listing.recipes(request, method):
        fixed = {
            "evaluate.n": SAMPLE,
            "evaluate.which": which,
            **listing.RECIPES.get(recipe, {}),
            **({"net.name": "mlp"} if facts.is_vector else {}),
            **request,
            "train.threads": 1,
        }
        common[recipe] = choice.choose(facts, fixed).settings | fixed
    lines = [choice.choose(facts, request).lines[0]]
    configs = {recipe: configuration.resolve({**settings, "out": "-"}) for recipe, settings in common.items()}
    rates = speeds(configs, workers)
    recipe = next(iter(configs))
    full_seconds = configs[recipe].train.steps / rates[recipe]
    count, finalists, training_seconds = listing.numbers(seconds, workers, full_seconds)
    seed = int(str(request.get("train.seed", 0)))
    contents = Contents(
        out=str(folder),
        auto={"request": record, "budget": seconds, "workers": workers, "finalists": finalists, "lines": lines},
        candidates=listing.compose(count, training_seconds, common, rates, seed),
    )
    lines.append(listing.line(contents))
    if training_seconds < full_seconds / 2:
        lines.append(
            f"the budget is short: each model trains for {100 * training_seconds / full_seconds:.0f} % of the usual "
            f"length; with the usual length the command would take about "
            f"{choice.duration(listing.expected(count, finalists, full_seconds, workers))}"
        )
    if seconds < listing.least_budget(workers):
        lines.append(
            "most of the budget is for starting, scoring and drawing the models, so this takes about "
            f"{choice.duration(listing.expected(count, finalists, training_seconds, workers))}; the smallest sensible "
            f"budget here is {choice.duration(listing.least_budget(workers))}"
        )
    return contents


def speeds(configs: Mapping[str, Config], workers: int) -> dict[str, float]:
    """Return the steps per second of each recipe, measured for a few seconds while all cores train."""
    processes = min(workers, int(joblib.cpu_count()))
    names = [*configs] * math.ceil(processes / len(configs))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            rates = list(pool.map(_speed, [configs[name] for name in names]))
        except BrokenProcessPool:
            raise RunError(
                "a process that measures the speed ended early: a script calls auto under if __name__ == "
                '"__main__":, and the memory must suffice for the models that train at once'
            ) from None
    return {name: float(np.mean(rates[list(configs).index(name) :: len(configs)])) for name in configs}


def _speed(config: Config) -> float:
    _, rate = automatic.measure(config, load_images(config, None)[0])
    assert rate is not None
    return rate * (1 - choice.OVERHEAD) / config.train.batch


def _drive(plan: Plan, engine: EngineName, workers: int, gpus: float, console: Console) -> None:
    """Run a stage. Raises `Stopped` if it was interrupted."""
    states = drive(plan, engine_for(plan, engine, workers, gpus), console)
    if not all(state.is_over for state in states):
        raise Stopped("stopped before the end; the same command resumes")


def _finished_runs(plan: Plan, but: Container[str] = ()) -> dict[str, Path]:
    """The folders of the finished runs of a stage, without those of `but`. Raises `RunError` if none is finished."""
    paths = {run: Path(config.out) for run, config in plan.runs.items() if run not in but and runs.is_finished(config)}
    if not paths and not but:
        reason = next((tries[-1].reason for run in plan.runs if (tries := failures(plan.folder, run))), "")
        raise RunError(f"no training could be finished ({reason}); change the settings, with another out")
    return paths


def _hand_over(best: Path, source: Path, reasons: Choice, console: Console) -> Run:
    """Copy the run that is picked to the folder `best`, with all scores and a report that has the reasons."""
    file = best / FILE
    if not (file.exists() and read_json(file, Choice) == reasons and (best / "report.html").exists()):
        with replacing_folder(best) as part:
            ignore = shutil.ignore_patterns(FOLDER, "report.html", "explorer.html", "pictures")
            shutil.copytree(source, part, ignore=ignore, dirs_exist_ok=True)
            write_text(part / FILE, json.dumps(reasons, indent=1))
        with hold(best):
            scoring.evaluate(runs.open_run(best), which="default", console=console)
            with console.status("writing the report"):
                report.write(runs.open_run(best))
    return runs.open_run(best)
