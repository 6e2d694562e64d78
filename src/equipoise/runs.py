"""A run: training, codes, scores and report, joined. Each stage reads files and writes files in the run's folder."""

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import platform
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from equipoise import codes as coding
from equipoise import config as configuration
from equipoise import metrics, nets, report
from equipoise.config import Config
from equipoise.data import Images, load_data
from equipoise.data.batches import Batches
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.methods import Shape
from equipoise.metrics import Score
from equipoise.model import VAE
from equipoise.objective import Objective
from equipoise.training import checkpoint, speed
from equipoise.training.loop import Row, Training, device, fit

FORMAT = 1  # of the run folder
OWN = "array-"  # how the data of a run is called that was given as an array


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run on disk. What is read is read when it is first asked for."""

    path: Path
    config: Config
    given: Images | None = dataclasses.field(default=None, repr=False, compare=False)

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Versions, processor, which fast parts were on, the command."""
        meta: dict[str, Any] = json.loads((self.path / "meta.json").read_text(encoding="utf-8"))
        return meta

    @cached_property
    def model(self) -> VAE:
        """The trained model, in evaluation mode, on the CPU."""
        model, _ = build(self.config, tuple(self.meta["shape"]), self.meta["images"])
        model.load_state_dict(checkpoint.load(self.path / "checkpoint.pt")["model"])
        return model.eval()

    @cached_property
    def logs(self) -> list[Row]:
        """The rows of `log.jsonl`: means over `train.log_every` steps each."""
        return checkpoint.read_log(self.path / "log.jsonl")

    @cached_property
    def codes(self) -> coding.Codes:
        """index, factors, mean, logvar, z, sse, bce of the images that were encoded."""
        return coding.load(self.path / "codes.npz")

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Scores by metric; empty where none was taken."""
        path = self.path / "scores.json"
        if not path.exists():
            return {}
        return {name: Score.from_dict(score) for name, score in json.loads(path.read_text())["scores"].items()}

    @cached_property
    def images(self) -> Images:
        """The images that `codes["index"]` numbers: all, or the last part of `data.split`.

        Raises `InputError` after reopening a run whose data was an array, which no folder can bring back.
        """
        return _parts(self.config, self.given)[-1]


def train(
    data: str | Path | npt.NDArray[Any] | torch.Tensor | Images,
    method: str = "l-vae",
    *,
    net: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: bool = True,
) -> Run:
    """A trained, encoded, scored and reported run; the same call goes on where an earlier one stopped.

    `data` is the name of a data set, the path of images, an array or `Images`; `settings` holds any other setting by
    its dotted key, such as {"train.batch": 256, "method.beta": 2.0}. Raises `InputError` before any work for input
    that cannot be used, and `RunError` when training has to stop.
    """
    said: dict[str, object] = {
        "method": method,
        "net": net,
        "train.steps": steps,
        "train.seed": seed,
        "out": None if out is None else str(out),
    }
    said = {key: value for key, value in said.items() if value is not None} | dict(settings or {})
    if isinstance(data, (str, Path)):
        return execute(configuration.resolve({"data": str(data), **said}), progress=progress)
    images = load_data(data)
    return execute(configuration.resolve({"data": OWN + _digest(images), **said}), images, progress=progress)


def open_run(path: str | Path) -> Run:
    """The run in the folder `path`. Raises `InputError` when there is none."""
    path = Path(path)
    if not (path / "config.toml").is_file():
        raise InputError(f"{path} is not a run (it has no config.toml); expected the folder that a training wrote")
    run = Run(path, configuration.resolve(configuration.read(path / "config.toml")))
    if run.meta.get("format") != FORMAT:
        raise InputError(f"{path} has format {run.meta.get('format')}; this version reads format {FORMAT}")
    return run


def execute(config: Config, images: Images | None = None, *, progress: bool = True) -> Run:
    """Train, encode, score and report the run that `config` says, or what of it is still to do."""
    console = Console(stderr=True, quiet=not progress)
    place = device(config.train.device)
    path = Path(config.out)
    begun = _claimed(path, config)
    parts = _parts(config, images)
    batches = Batches(parts[0], config.train.batch, config.train.seed)
    run = Run(path, config, images)
    inputs = {"codes", "logvar", "recon"} | ({"factors"} if parts[0].factors is not None else set())
    metrics.select(config.evaluate.which, inputs, _convention(config.evaluate.convention))

    with speed.fast_parts(config.train.fast, config.train.threads, config.train.precision) as fast:
        model, objective = build(config, parts[0].shape, len(parts[0]))
        training = Training(model, objective, config.train, place)
        batches(0, int(objective.second_batch))  # what the data cannot give is said before anything is written
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / "config.toml", config.to_toml())
        if not (path / "meta.json").exists():
            fast |= {"fused_adam": config.train.fast, "channels_last": training.layout is torch.channels_last}
            write_text(path / "meta.json", json.dumps(_meta(parts[0], fast), indent=1))
        trained = _train(run, training, batches, console)

    if trained or not (path / "scores.json").exists() or not (path / "codes.npz").exists():
        evaluate(run, console=console)
    if trained or not (path / "report.html").exists():
        with console.status("drawing the report"):
            report.write(Run(path, config, images))
    return Run(path, config, images)


def build(config: Config, image: tuple[int, int, int], images: int) -> tuple[VAE, Objective]:
    """The untrained model and objective of `config` for N `images` of shape `image` (C, H, W)."""
    objective = config.method.build(Shape(image, config.net.latent, images))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        encoder, decoder = nets.build(config.net.name, image, config.net.latent)
    return VAE(encoder, decoder, objective.likelihood, objective.prior, image, images), objective


def _parts(config: Config, images: Images | None) -> tuple[Images, ...]:
    """The parts of `data.split`, or all as one: the first is trained on, the last encoded and scored."""
    data = config.data
    if images is None:
        if data.name.startswith(OWN):
            raise InputError(f"{data.name} is an array that only its owner has; pass the images themselves")
        images = load_data(data.name, size=data.size, crop=data.crop, grey=data.grey)
    return images.split(data.split) if data.split else (images,)


def evaluate(
    run: Run,
    *,
    which: str | tuple[str, ...] | None = None,
    convention: str | None = None,
    console: Console | None = None,
) -> dict[str, Score]:
    """Scores of a run, written to `scores.json`; its images are encoded first if `codes.npz` is not of its checkpoint.

    `which` and `convention` replace those of the run's settings for this call.
    """
    console = console or Console(stderr=True, quiet=True)
    settings = run.config.evaluate
    digest = checkpoint.digest(run.path / "checkpoint.pt")
    path = run.path / "codes.npz"
    if not path.exists() or str(coding.load(path)["checkpoint"]) != digest:
        with console.status(f"encoding {min(settings.n, len(run.images)):,} images"):
            coding.save(path, coding.encode(run.model, run.images, coding.index(run.images, settings.n)), digest)
    which = settings.which if which is None else which
    convention = settings.convention if convention is None else convention
    with console.status("scoring"):
        scores = score_codes(coding.load(path), which, convention)
    written = {
        "checkpoint": digest,
        "convention": convention,
        "scores": {name: score.to_dict() for name, score in scores.items()},
    }
    write_text(run.path / "scores.json", json.dumps(written, indent=1))
    return scores


def score_codes(
    codes: coding.Codes, which: str | tuple[str, ...] = "default", convention: str = "default", interval: bool = True
) -> dict[str, Score]:
    """Scores of what `codes.npz` holds: all of its arrays that a metric can use."""
    recon: dict[str, Any] = {name: codes[name] for name in ("sse", "bce", "pixels") if name in codes}
    return metrics.score(
        codes["mean"],
        codes.get("factors"),
        logvar=codes.get("logvar"),
        sample=codes.get("z"),
        recon=recon or None,
        which=which,
        convention=_convention(convention),
        interval=interval,
    )


def _convention(name: str) -> str | None:
    return None if name == "default" else name


def _claimed(path: Path, config: Config) -> bool:
    """Whether `path` holds this very run, begun earlier; raises `InputError` when it holds anything else."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return False
    if not (path / "config.toml").is_file():
        raise InputError(f"{path} is there already and is not a run; choose another out")
    before = configuration.resolve(configuration.read(path / "config.toml"))
    old, new = before.flat(), config.flat()
    steps = (before.train.steps, config.train.steps)
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key != "train.steps")
    if differing:
        key = differing[0]
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise InputError(
            f"{path} holds another run ({key} is {old.get(key)} there, {new.get(key)} here{more}); choose another out"
        )
    if steps[1] < steps[0]:
        raise InputError(
            f"{path} holds a run of {steps[0]} steps, more than the {steps[1]} asked for; choose another out"
        )
    if steps[1] > steps[0] and before.train.schedule_steps is None and _scheduled(before):
        raise InputError(
            f"{path} was trained on a schedule as long as the run, {steps[0]} steps, so a longer run differs from its "
            f"first step; choose another out, or set train.schedule_steps from the start"
        )
    return True


def _scheduled(config: Config) -> bool:
    shape = Shape((1, 64, 64), config.net.latent, config.train.batch)
    return config.train.schedule != "constant" or config.method.build(shape).balance.scheduled


def _train(run: Run, training: Training, batches: Batches, console: Console) -> bool:
    """Train up to the last step from where the checkpoint is; whether there was anything to do."""
    saved, log = run.path / "checkpoint.pt", run.path / "log.jsonl"
    if saved.exists():
        training.load_state(checkpoint.load(saved))
    if training.step == run.config.train.steps:
        return False
    # Rows of steps that the checkpoint does not have will be written again.
    rows = checkpoint.read_log(log, until=training.step)
    write_text(log, "".join(json.dumps(row) + "\n" for row in rows))
    every = run.config.evaluate.every
    with log.open("a", encoding="utf-8") as file, _bar(console, training) as show, _signals() as stop:

        def record(row: Row) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()
            show(row)

        def score(step: int) -> None:
            if every and step % every == 0:
                _score_now(run, training)

        def save() -> None:
            checkpoint.save(saved, training.state())

        fit(training, batches, log=record, save=save, after=score, stop=stop.is_set)
    return True


def _score_now(run: Run, training: Training) -> None:
    """Add a row to `scores_history.jsonl`; the training goes on as if it had not been looked at."""
    settings = run.config.evaluate
    codes = coding.encode(training.model, run.images, coding.index(run.images, settings.n))
    training.model.train()
    history = run.path / "scores_history.jsonl"
    rows = [row for row in checkpoint.read_log(history) if row["step"] < training.step]
    scores = score_codes(codes, settings.which, settings.convention, interval=False)
    rows.append({"step": training.step, **{name: score.to_dict()["value"] for name, score in scores.items()}})
    write_text(history, "".join(json.dumps(row) + "\n" for row in rows))


def _meta(images: Images, fast: Mapping[str, Any]) -> dict[str, Any]:
    names = ("equipoise", "torch", "numpy", "scipy", "scikit-learn")
    # A run started from Python says so; what reproduces either is config.toml, which holds every setting.
    shell = Path(sys.argv[0]).stem in ("equipoise", "__main__")
    return {
        "format": FORMAT,
        "command": shlex.join(["equipoise", *sys.argv[1:]]) if shell else "equipoise.train(...)",
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: importlib.metadata.version(name) for name in names} | {"python": platform.python_version()},
        "platform": platform.platform(),
        "parts": dict(fast),
        "data": images.describe(),
        "shape": list(images.shape),
        "images": len(images),
    }


def _digest(images: Images) -> str:
    """Ten hexadecimal digits of the number, the shape and a thousand of the images."""
    some = np.linspace(0, len(images) - 1, min(1000, len(images))).astype(np.int64)
    state = hashlib.sha256(repr((len(images), images.shape)).encode())
    state.update(images.pixels(some).tobytes())
    return state.hexdigest()[:10]


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that training saves before it stops; a second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread alone
        return

    def ask(number: int, frame: object) -> None:  # noqa: ARG001
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(console: Console, training: Training) -> Iterator[Callable[[Row], None]]:
    """A function that shows a row of the log: a moving bar on a terminal, a line every tenth of the run elsewhere."""
    steps = training.train.steps
    if not console.is_terminal:
        tenth = {math.ceil(steps * share / 10) for share in range(1, 11)}
        passed = {step for step in tenth if step <= training.step}

        def line(row: Row) -> None:
            due = {step for step in tenth if step <= row["step"]}
            if due - passed:
                passed.update(due)
                console.print(f"step {row['step']:,} of {steps:,}: {_said(row)}", highlight=False, soft_wrap=True)

        yield line
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps, completed=training.step)
        yield lambda row: progress.update(task, completed=row["step"], description=_said(row))


def _said(row: Row) -> str:
    words = [f"loss {row['loss']:.2f}", f"rec {row['rec']:.2f}"]
    if "kl" in row:
        words.append(f"kl {row['kl']:.2f}")
    if "beta_equivalent" in row:
        words.append(f"beta {row['beta_equivalent']:.3g}")
    return "  ".join([*words, f"{row['images_per_second']:,.0f} images/s"])
