"""A run: training, codes, scores and report. Each stage reads and writes files in the run's folder."""

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from rich.console import Console

from equipoise import automatic, initial, report, scoring, trackers
from equipoise import config as configuration
from equipoise.assemble import ARRAY, are_alike, batches_of, build, labelled_images, load_images
from equipoise.choice import length_remark
from equipoise.claim import Claim, Claims, hold
from equipoise.config import Config
from equipoise.data import Images, load_data
from equipoise.data.batches import Batches
from equipoise.data.labels import LabelledImages
from equipoise.data.pairs import ListedPairs
from equipoise.data.readers import sequence
from equipoise.errors import InputError
from equipoise.files import naming, write_text
from equipoise.report import summary
from equipoise.run import Run
from equipoise.run_folder import (
    FORMAT,
    check_folder,
    describe,
    digest,
    fingerprint,
    identity,
    read_saved,
    restore,
    speed_of,
    write_settings,
)
from equipoise.torch_defaults import torch_defaults
from equipoise.training import checkpoint, devices, speed, watch
from equipoise.training.loop import Row, Stopped, Training, fit

# Files and folders that depend on the last step; `betas` has those of other betas of mr-vae.
RESULTS = ("codes.npz", "scores.json", "report.html", "explorer.html", "rates.npz", "betas", summary.FILE)


@torch_defaults()
def train(
    data: str | Path | npt.NDArray[Any] | torch.Tensor | sequence.Sequence | Images,
    method: str | None = None,
    *,
    net: str | None = None,
    steps: int | None = None,
    budget: str | float | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: bool = True,
    verbose: bool = False,
) -> Run:
    """Train a model, encode and score a sample of the images, and write a report.

    Without a method, the settings are chosen from the images and the machine, as `equipoise train` chooses them; those
    that are given are respected. Calling it again with the same settings resumes the run from its last checkpoint.

    Args:
        data: The name of a data set, the path of images, an array [N, H, W], [N, H, W, C] or [N, C, H, W], a list or
            torch data set of images, or `Images`.
        method: A name of `eq.METHODS`, whose defaults then apply; default: a choice from the images and the machine.
        net: A name of `eq.nets.NETS`; default: the method's choice.
        steps: Training steps; default: those of the method, or without a method about ten minutes.
        budget: Time for training in seconds, or a text such as "10m" or "1h"; sets the steps from the measured speed.
        seed: Seed of weights, batches and noise; default: 0.
        out: The run's folder; default: `runs/<data>-<method>-<digits>`.
        settings: Other settings by dotted key, such as `{"train.batch": 256, "method.beta": 2.0}`.
        progress: Whether to display the progress.
        verbose: Whether to print what was chosen and why.

    Returns:
        The finished run.

    Raises:
        InputError: Before any work, for data or settings that cannot be used.
        RunError: When training has to stop, such as for a loss that is not finite.

    Example:
        >>> import numpy as np, tempfile, equipoise as eq
        >>> images = np.random.default_rng(0).integers(0, 256, (64, 16, 16), dtype=np.uint8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     settings = {"train.batch": 8, "evaluate.which": "sse"}
        ...     run = eq.train(images, "vae", net="burgess", steps=2, out=folder, settings=settings, progress=False)
        ...     list(run.scores)
        ['sse']
    """
    options: dict[str, object] = {
        "method": method,
        "net": net,
        "train.steps": steps,
        "train.seed": seed,
        "out": None if out is None else str(out),
    }
    options = {key: value for key, value in options.items() if value is not None} | configuration.of_caller(settings)
    scaling = None if isinstance(data, Images) else str(options["data.scaling"]) if "data.scaling" in options else None
    images = None if isinstance(data, (str, Path)) else load_data(data, scaling=scaling)
    if images is not None and images.scaling is not None:
        options = {"data.scaling": images.scaling.kind} | options
    name = str(data) if images is None else ARRAY + digest([images])
    start = automatic.complete({"data": name, **options}, images, budget, print if verbose else None)
    return execute(start.config, images, start=start, progress=progress)


def open_run(path: str | Path) -> Run:
    """Open the run in a folder.

    Args:
        path: The folder that a training wrote.

    Returns:
        The run.

    Raises:
        InputError: If the folder holds no run, or a run of another format.

    Example:
        >>> import equipoise as eq
        >>> run = eq.open_run("runs/first")
        >>> run.config.method.name
        'vae'
    """
    path = Path(path)
    if not (path / "config.toml").is_file():
        why = "it has no config.toml" if path.is_dir() else "there is no such folder"
        raise InputError(f"{path} is not a run ({why}); expected the folder that a training wrote")
    run = Run(path, configuration.load(path / "config.toml"))
    if run.meta.get("format") != FORMAT:
        raise InputError(f"{path} has format {run.meta.get('format')}; this version reads format {FORMAT}")
    return run


@torch_defaults()
def execute(
    config: Config,
    images: Images | None = None,
    *,
    start: automatic.Start | None = None,
    progress: bool = True,
    stop: Callable[[], bool] = lambda: False,
    claim: Claim | None = None,
) -> Run:
    """Train, encode, score and report the run of these settings, or the rest of it.

    When there are several processes, only the first writes, scores and reports.

    Args:
        config: The settings.
        images: The images, if the data of the run is an array.
        start: The result of `automatic.complete` with these settings, if it completed them.
        progress: Whether to display the progress.
        stop: Called before each training step, in each process. When it returns True, the run is saved.
        claim: The claim on the run's folder, if the caller has it; default: taken once the settings are checked.

    Returns:
        The finished run.

    Raises:
        InputError: Before any work, for data or settings that cannot be used.
        Stopped: If `stop` returned True.
        Claimed: While another process works on the run.
        RunError: When training has to stop for another reason.
    """
    console = Console(stderr=True, quiet=not progress)
    run = Run(Path(config.out), config, images)
    if claim is None and not devices.is_worker():
        Claims().refuse(run.path)
    devices.check(config, in_memory=images is not None)
    trackers.check(config.train.track or ())
    check_folder(run.path, config)
    start = start or automatic.Start(config)
    train_images, scored_images = start.images or load_images(config, images)
    batches = batches_of(config, train_images)
    size = batches.size
    scoring.check(config, scored_images)
    labelled = labelled_images(config, train_images)
    weak: list[ListedPairs | LabelledImages] = [batches.draw] if isinstance(batches.draw, ListedPairs) else []
    if labelled is not None and isinstance(labelled.source, str):
        weak.append(labelled)
    data = fingerprint(config, [train_images, scored_images, *weak])
    is_unfinished = not is_finished(config)
    with speed.flush_subnormals(config.train.fast):  # before torch starts its threads
        model, objective = build(config, train_images.shape, len(train_images))
    model.scaling = train_images.scaling
    threads = automatic.threads(config, train_images) if is_unfinished else None
    origin: dict[str, Any] = {}  # for meta.json
    if config.train.init is not None and is_unfinished and not (run.path / "checkpoint.pt").exists():
        origin = {"init": initial.start_from(model, config)}
    smaller = {} if size == config.train.batch else {"batch": size}  # for meta.json
    show = functools.partial(console.print, markup=False, highlight=False, soft_wrap=True)
    count, name = len(train_images), train_images.name
    if is_unfinished and are_alike(train_images):
        show(
            f"The images are alike: all {count:,} of {name} have the same pixels, so there is nothing to learn. Check "
            "the files, data.crop and data.keep."
        )
    if is_unfinished and smaller:
        show(f"{name} has {count} images, so each batch has {size}, not train.batch={config.train.batch}.")
    with contextlib.ExitStack() as stack:
        with (
            devices.process_group(config.train, config.to_toml(), needed=is_unfinished) as (shard, device),
            speed.fast_parts(config.train.fast, threads, config.train.precision) as fast,
        ):
            devices.agree(shard, f"{identity(config)} {config.train.steps} {data['digest']}")
            training = Training(model, objective, config.train, device, shard, labelled)
            batches.rows = shard.part(size)
            if shard.rank == 0:
                claim = claim or stack.enter_context(hold(run.path))
                state, rows = read_saved(run.path, config, data)
                restore(training, devices.from_first(shard, state), run.path)
                meta = describe(train_images, data, fast | speed_of(training) | smaller)
                write_settings(run.path, config, meta | origin | ({"chosen": start.chosen} if start.chosen else {}))
                names = config.train.track if is_unfinished else None
                tracker = stack.enter_context(trackers.Tracking(names or (), run.path, config.flat()))
                if training.step < config.train.steps:
                    _train_first(run, training, batches, rows, claim, tracker, console, stop)
            else:
                restore(training, devices.from_first(shard, None), run.path)
                _train_other(training, batches, stop)
        if shard.rank == 0:
            _score_and_report(run, tracker, console)
    devices.finish(shard)
    return Run(run.path, config, images)


def join(settings: str) -> None:
    """Execute a run as a worker that `train.devices` started. `settings` is the path of the run's settings."""
    config = configuration.load(Path(settings))
    with contextlib.suppress(Stopped):  # rank 0 reports it
        execute(config, progress=False)


def is_finished(config: Config) -> bool:
    """Whether the run of these settings is trained, scored and reported up to its last step."""
    path = Path(config.out)
    if not all((path / name).exists() for name in ("config.toml", "scores.json", "report.html")):
        return False
    # Only the first line, `out`, differs between equal settings, unless the file is of an earlier version.
    old_text, new_text = (path / "config.toml").read_bytes(), config.to_toml().encode()
    is_same = old_text.partition(b"\n")[2] == new_text.partition(b"\n")[2]
    if not is_same and configuration.load(path / "config.toml").flat() != config.flat():
        return False
    # Scores and report of a shorter run are deleted before the log gets a new row.
    return checkpoint.last_row(path / "log.jsonl").get("step") == config.train.steps


def _train_first(
    run: Run,
    training: Training,
    batches: Batches,
    rows: Sequence[Row],
    claim: Claim,
    tracker: trackers.Tracking,
    console: Console,
    stop: Callable[[], bool],
) -> None:
    """Train to the last step as the process that writes. `rows` are those of the log up to the step of `training`."""
    log = run.path / "log.jsonl"
    for path in (run.path / name for name in RESULTS):  # of a shorter run
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    # Later rows will be written again.
    write_text(log, "".join(json.dumps(row) + "\n" for row in rows), within=run.path)
    digest = checkpoint.log_digest(rows)
    every = run.config.evaluate.every
    remark = length_remark(run.config)
    with (
        naming(log),
        log.open("a", encoding="utf-8") as file,
        watch.bar(console, training, batches.size, remark) as show,
        watch.signals() as signal,
    ):

        def record(row: Row) -> None:
            claim.check()
            file.write(json.dumps(row) + "\n")
            file.flush()
            digest.update(checkpoint.line(row))
            tracker.row(row)
            show.row(row)

        def after(step: int) -> None:
            show.step(step)
            if every and step % every == 0:
                tracker.row(scoring.score_now(run, training), "scores")

        def save() -> None:
            claim.confirm()  # before a moved folder is created again
            os.fsync(file.fileno())  # the log is never shorter than its checkpoint
            state = {"settings": identity(run.config), "log": digest.hexdigest(), **training.state()}
            if run.config.train.keep == "model" and training.step == run.config.train.steps:
                del state["optimisers"]
            checkpoint.save(run.path / "checkpoint.pt", state, before_save=claim.confirm)

        def must_stop() -> bool:
            claim.check()
            return signal.is_set() or stop()

        fit(training, batches, log=record, save=save, after=after, stop=must_stop)


def _train_other(training: Training, batches: Batches, stop: Callable[[], bool]) -> None:
    """Train to the last step without writing anything."""
    if training.step < training.train.steps:
        with watch.signals() as signal:
            # `state` raises the same error as in the first process.
            fit(training, batches, save=training.state, stop=lambda: signal.is_set() or stop())


def _score_and_report(run: Run, tracker: trackers.Tracking, console: Console) -> None:
    """Score the run and write its report, unless both are of its last step."""
    if not scoring.are_current(run):
        scores = scoring.evaluate(run, console=console)
        tracker.final({name: score.value for name, score in scores.items()}, run.config.train.steps)
    if not (run.path / "report.html").exists():
        with console.status("writing the report"):
            report.write(Run(run.path, run.config, run.array))  # a new object, without cached values of fewer steps
    if not (run.path / summary.FILE).exists():  # `compare` replaces one of other scores
        summary.write(Run(run.path, run.config, run.array))
