"""A run: training, codes, scores and report, joined. Each stage reads files and writes files in the run's folder."""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from rich.console import Console

from equipoise import codes as coding
from equipoise import config as configuration
from equipoise import nets, report, scoring, trackers
from equipoise.config import Config
from equipoise.data import DATASETS, Images, load_data, variants
from equipoise.data.batches import Batches
from equipoise.data.readers.sequence import Sequence
from equipoise.errors import InputError, RunError
from equipoise.files import read_json, write_text
from equipoise.methods import Shape
from equipoise.metrics import Score
from equipoise.model import VAE
from equipoise.objective import Objective
from equipoise.training import checkpoint, devices, speed, watch
from equipoise.training.loop import Row, Stopped, Training, fit

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
        return read_json(self.path / "meta.json")

    @cached_property
    def model(self) -> VAE:
        """The trained model, in evaluation mode, on the CPU."""
        model, _ = build(self.config, tuple(self.meta["shape"]), self.meta["images"])
        model.load_state_dict(_state(self.path, self.config)["model"])
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
        return {name: Score.from_dict(score) for name, score in read_json(path)["scores"].items()}

    @cached_property
    def images(self) -> Images:
        """The images that `codes["index"]` numbers: those that `data.scored` says.

        Raises `InputError` after reopening a run whose data was an array, which no folder can bring back.
        """
        if self.given is None and not Path(self.config.data.name).exists() and "paths" in self.meta["data"]:
            # A relative path, seen from another folder than the one it was trained from.
            moved = dataclasses.replace(self.config.data, **self.meta["data"]["paths"])
            return _parts(dataclasses.replace(self.config, data=moved), None)[-1]
        return _parts(self.config, self.given)[-1]


def train(
    data: str | Path | npt.NDArray[Any] | torch.Tensor | Sequence | Images,
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

    `data` is the name of a data set, the path of images, an array, a list or torch data set of them, or `Images`;
    `settings` holds any other setting by its dotted key, such as {"train.batch": 256, "method.beta": 2.0}. Raises
    `InputError` before any work for input that cannot be used, and `RunError` when training has to stop.
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
    run = Run(path, configuration.resolve(configuration.read(path / "config.toml"), complete=True))
    if run.meta.get("format") != FORMAT:
        raise InputError(f"{path} has format {run.meta.get('format')}; this version reads format {FORMAT}")
    return run


def execute(
    config: Config,
    images: Images | None = None,
    *,
    progress: bool = True,
    stop: Callable[[], bool] = lambda: False,
    sure: Callable[[], object] = lambda: None,
) -> Run:
    """Train, encode, score and report the run that `config` says, or what of it is still to do.

    `stop` is asked before each training step; when it says so the run is saved and `Stopped` raised. `sure` is called
    before a checkpoint takes the place of an older one, and may raise to keep that. Of the processes of several devices
    the first writes, scores and reports, and is asked; `stop` is asked of the others too.
    """
    console = Console(stderr=True, quiet=not progress)
    devices.check(config, given=images is not None)
    trackers.check(config.train.track or ())
    path = Path(config.out)
    _refuse_others(path, config)
    parts = _parts(config, images)
    batches = Batches(parts[0], config.train.batch, config.train.seed)
    run = Run(path, config, images)
    scoring.check(config, parts[-1])
    data = _fingerprint(config, parts)
    meta = path / "meta.json"
    if meta.exists() and read_json(meta)["data"]["digest"] != data["digest"]:
        raise InputError(
            f"{path} was trained on other images or factors than {config.data.name} has now; choose another out"
        )

    model, objective = build(config, parts[0].shape, len(parts[0]))
    batches(0, int(objective.needs_second_batch))  # what the data cannot give is said before anything is written

    threads = devices.threads(config.train)
    done = finished(config)
    with contextlib.ExitStack() as closing:
        with (
            devices.joined(config.train, config.to_toml(), needed=not done) as (shard, place),
            speed.fast_parts(config.train.fast, threads, config.train.precision) as fast,
        ):
            devices.agree(shard, f"{_settings(config)} {config.train.steps} {data['digest']}")
            training = Training(model, objective, config.train, place, shard)
            batches = Batches(parts[0], config.train.batch, config.train.seed, shard.part(config.train.batch))
            if shard.rank == 0:
                fast |= {"fused_adam": config.train.fast, "channels_last": training.layout is torch.channels_last}
                fast |= {"processes": shard.processes} if shard.processes > 1 else {}
                _begin(run, _meta(parts[0], data, fast))
            names = config.train.track if shard.rank == 0 and not done else None
            track = closing.enter_context(trackers.writers(names or (), path, config.flat()))
            trained = _train(run, training, batches, console, stop, sure, track)

        if shard.rank == 0:
            _end(run, trained, track, console)
    devices.part(shard)
    return Run(path, config, images)


def follow(settings: str) -> None:
    """What a process does that `train.devices` started: its part of the run whose settings are in this file."""
    config = configuration.resolve(configuration.read(Path(settings)), complete=True)
    with contextlib.suppress(Stopped):  # which the process that started this one says
        execute(config, progress=False)


def finished(config: Config) -> bool:
    """Whether the run that `config` says is trained, scored and reported, each to its last step."""
    path = Path(config.out)
    if not all((path / name).exists() for name in ("config.toml", "scores.json", "report.html")):
        return False
    written = configuration.resolve(configuration.read(path / "config.toml"), complete=True)
    # Scores and report of fewer steps are deleted before the first row of more is written.
    last = checkpoint.last_row(path / "log.jsonl")
    return written.flat() == config.flat() and last.get("step") == config.train.steps


def build(config: Config, image: tuple[int, int, int], images: int) -> tuple[VAE, Objective]:
    """The untrained model and objective of `config` for N `images` of shape `image` (C, H, W)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        encoder, decoder = nets.build(config.net.name, image, config.net.latent)
        objective = config.method.build(Shape(image, config.net.latent, images))
    return VAE(encoder, decoder, objective.likelihood, objective.prior, image, images), objective


def _parts(config: Config, images: Images | None) -> tuple[Images, Images]:
    """The images to train on and those to encode and score, as [data] says."""
    data = config.data
    if images is None and data.name.startswith(OWN):
        raise InputError(f"{data.name} is an array that only its owner has; pass the images themselves")
    if images is not None and any(data.reading.values()):
        said = ", ".join(f"data.{key}" for key, value in data.reading.items() if value)
        raise InputError(f"{said}: for images that are read from files; leave it out, an array is taken as it is")
    return variants.prepare(load_data(data.name, **data.reading) if images is None else images, data)


def _refuse_others(path: Path, config: Config) -> None:
    """Raises `InputError` when `path` holds anything but this very run, begun earlier or to be extended."""
    # What a kill left half-written under another name is no reason to refuse.
    if not path.exists() or (path.is_dir() and all(file.suffix == ".part" for file in path.iterdir())):
        return
    if not (path / "config.toml").is_file():
        raise InputError(f"{path} is there already and is not a run; choose another out")
    before = configuration.resolve(configuration.read(path / "config.toml"), complete=True)
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
    if steps[1] > steps[0] and not configuration.extendable(before):
        raise InputError(
            f"{path} was trained on a schedule as long as the run, {steps[0]} steps, so a longer run differs from its "
            f"first step; choose another out, or set train.schedule_steps from the start"
        )


def _begin(run: Run, meta: Mapping[str, Any]) -> None:
    """Write down what the run is, and, unless it was begun before, what it is made by."""
    run.path.mkdir(parents=True, exist_ok=True)
    write_text(run.path / "config.toml", run.config.to_toml())
    if not (run.path / "meta.json").exists():
        write_text(run.path / "meta.json", json.dumps(meta, indent=1))


def _train(
    run: Run,
    training: Training,
    batches: Batches,
    console: Console,
    stop: Callable[[], bool],
    sure: Callable[[], object],
    track: trackers.Track,
) -> bool:
    """Train up to the last step from where the checkpoint is; whether there was anything to do."""
    saved, log = run.path / "checkpoint.pt", run.path / "log.jsonl"
    first = training.shard.rank == 0
    state = devices.from_first(training.shard, _state(run.path, run.config) if first and saved.exists() else None)
    if state is not None:
        training.load_state(state)
    if training.step == run.config.train.steps:
        return False
    if not first:
        with watch.signals() as asked:
            fit(
                training,
                batches,
                log=_nothing,
                save=training.state,
                after=_nothing,
                stop=lambda: asked.is_set() or stop(),
            )
        return True
    for stale in ("codes.npz", "scores.json", "report.html", "explorer.html"):  # those of a shorter run
        (run.path / stale).unlink(missing_ok=True)
    # Rows of steps that the checkpoint does not have will be written again.
    rows = checkpoint.read_log(log, until=training.step)
    write_text(log, "".join(json.dumps(row) + "\n" for row in rows))
    every = run.config.evaluate.every
    with log.open("a", encoding="utf-8") as file, watch.bar(console, training) as show, watch.signals() as asked:

        def record(row: Row) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()
            track.row(row)
            show(row)

        def score(step: int) -> None:
            if every and step % every == 0:
                track.row(scoring.score_now(run, training), "scores")

        def save() -> None:
            checkpoint.save(saved, {"settings": _settings(run.config), **training.state()}, sure)

        fit(training, batches, log=record, save=save, after=score, stop=lambda: asked.is_set() or stop())
    return True


def _nothing(_: object) -> None:
    """What the other processes do where the first writes."""


def _end(run: Run, trained: bool, track: trackers.Track, console: Console) -> None:
    """Score and report a run, as far as that was not done after its last step."""
    if trained or not (run.path / "scores.json").exists() or not (run.path / "codes.npz").exists():
        scores = scoring.evaluate(run, console=console)
        track.final({name: score.value for name, score in scores.items()}, run.config.train.steps)
    if trained or not (run.path / "report.html").exists():
        with console.status("drawing the report"):
            report.write(Run(run.path, run.config, run.given))  # what was read before is of fewer steps


def _settings(config: Config) -> str:
    """What a checkpoint is held against: all settings but where it lies and how long it trains."""
    return json.dumps({key: value for key, value in config.flat().items() if key != "train.steps"}, sort_keys=True)


def _state(path: Path, config: Config) -> dict[str, Any]:
    """What the checkpoint in `path` holds; raises `RunError` if that is none, or of other settings."""
    file = path / "checkpoint.pt"
    state = checkpoint.load(file)
    if state["settings"] != _settings(config):
        raise RunError(f"{file} was trained with other settings than {path / 'config.toml'} says; put those back")
    return state


def _fingerprint(config: Config, parts: Iterable[Images]) -> dict[str, Any]:
    """What tells the data of a run from other data of the same name: its digest, and the paths it came from."""
    data, digest = config.data, {"digest": _digest(*parts)}
    if data.name in DATASETS or data.name.startswith(OWN):
        return digest
    paths = {"name": data.name} | ({} if data.factors in (None, "folders") else {"factors": data.factors})
    return digest | {"paths": {key: str(Path(path).resolve()) for key, path in paths.items()}}


def _meta(images: Images, data: Mapping[str, Any], fast: Mapping[str, Any]) -> dict[str, Any]:
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
        "data": {**images.describe(), **data},
        "shape": list(images.shape),
        "images": len(images),
    }


def _digest(*parts: Images) -> str:
    """Ten hexadecimal digits of the digests of images."""
    return hashlib.sha256(" ".join(part.digest() for part in parts).encode()).hexdigest()[:10]
