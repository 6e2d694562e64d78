"""Rows and scores of a run for TensorBoard, Weights & Biases and MLflow, beside its own files, which stay the truth.

A tracker only watches. One that fails is left out with a warning, and training goes on as it would have; two runs that
differ in trackers alone are the same run. What a tracker calls a run, and how far it was told, is kept in
`trackers.json` in the run's folder: so a run that goes on after a kill goes on there too, and no row is told twice.
"""

import json
import math
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from equipoise.errors import InputError, choose
from equipoise.files import write_text

Settings = Mapping[str, Any]
Values = Mapping[str, float]


class Tracker(Protocol):
    """One tracker of one run: made from the run's folder, its settings by dotted key, what it was called before, and
    the last step that was told then (0: none)."""

    name: str  # what the tracker calls the run, under which it is found again

    def __init__(self, folder: Path, settings: Settings, name: str | None, step: int) -> None: ...

    def row(self, values: Values, step: int) -> None: ...

    def final(self, values: Values, settings: Settings, step: int) -> None: ...

    def close(self, whole: bool) -> None: ...


class TensorBoard:
    """Event files in the run's folder, under `tensorboard`."""

    def __init__(self, folder: Path, settings: Settings, name: str | None, step: int) -> None:
        self._board: Any = import_module("torch.utils.tensorboard")
        self.name = "tensorboard"
        # A row that a kill left without a note in trackers.json comes again: what was written after `step` is void.
        self._writer = self._board.SummaryWriter(folder / self.name, purge_step=step + 1)
        if name is None:
            self._writer.add_text("settings", "\n".join(f"    {key} = {value}" for key, value in settings.items()))

    def row(self, values: Values, step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def final(self, values: Values, settings: Settings, step: int) -> None:
        self.row(values, step)
        plain = {key: of if isinstance(of, bool | int | float | str) else str(of) for key, of in settings.items()}
        # Into the same file: `add_hparams` would begin another, and TensorBoard reads the newest alone.
        for summary in self._board.summary.hparams(plain, dict(values)):
            self._writer.file_writer.add_summary(summary)

    def close(self, whole: bool) -> None:  # noqa: ARG002 - TensorBoard knows no runs that failed
        self._writer.close()


class WandB:
    """A run of Weights & Biases in the project `equipoise`, or the one that WANDB_PROJECT names.

    WANDB_MODE and what else W&B reads from the environment hold: `offline` keeps all in the run's folder.
    """

    def __init__(self, folder: Path, settings: Settings, name: str | None, step: int) -> None:  # noqa: ARG002
        wandb: Any = import_module("wandb")
        # Not made from the settings: the same run, trained anew elsewhere, would go on in the old one.
        self.name = name or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "equipoise"),
            name=folder.resolve().name,
            id=self.name,
            resume="allow",
            config=dict(settings),
            allow_val_change=True,  # a longer run has more train.steps
            dir=str(folder),
            reinit="create_new",  # a run that the caller has open is not ours to write to
            settings=wandb.Settings(console="off"),
        )

    def row(self, values: Values, step: int) -> None:
        self._run.log(dict(values), step=step)

    def final(self, values: Values, settings: Settings, step: int) -> None:  # noqa: ARG002
        self._run.summary.update(dict(values))

    def close(self, whole: bool) -> None:
        self._run.finish(exit_code=0 if whole else 1)


class MLflow:
    """A run of MLflow in the experiment `equipoise`, or the one that MLFLOW_EXPERIMENT_NAME names.

    It lies where MLFLOW_TRACKING_URI says, or where MLflow puts it by default. Nothing is made active.
    """

    _METRICS, _PARAMS, _LETTERS = 1000, 100, 6000  # the most that a request, and a value, may hold

    def __init__(self, folder: Path, settings: Settings, name: str | None, step: int) -> None:  # noqa: ARG002
        self._entities: Any = import_module("mlflow.entities")
        self._client = import_module("mlflow").MlflowClient()
        if name is not None:
            self.name = name
            self._client.update_run(name, status="RUNNING")
            return
        run = self._client.create_run(self._experiment(), run_name=folder.resolve().name)
        self.name = run.info.run_id
        params = [self._entities.Param(key, str(value)[: self._LETTERS]) for key, value in settings.items()]
        for first in range(0, len(params), self._PARAMS):
            self._client.log_batch(self.name, params=params[first : first + self._PARAMS])

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "equipoise")
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except Exception:  # another run of the same study was a moment earlier
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def row(self, values: Values, step: int) -> None:
        now = round(time.time() * 1000)
        metrics = [self._entities.Metric(name, value, now, step) for name, value in values.items()]
        for first in range(0, len(metrics), self._METRICS):
            self._client.log_batch(self.name, metrics=metrics[first : first + self._METRICS])

    def final(self, values: Values, settings: Settings, step: int) -> None:  # noqa: ARG002
        self.row(values, step)

    def close(self, whole: bool) -> None:
        self._client.set_terminated(self.name, "FINISHED" if whole else "FAILED")


TrackerName = Literal["tensorboard", "wandb", "mlflow"]
TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
"""Every tracker by name; the name is that of its package too."""


class Track:
    """What tells the trackers of a run that are still well; see `writers`."""

    def __init__(self, names: Sequence[str], folder: Path, settings: Settings) -> None:
        self._file, self._settings = folder / "trackers.json", settings
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}  # none yet; or damaged, and then the trackers begin anew
        # By tracker: what it calls the run, and the last step of each section that it was told.
        self._kept: dict[str, dict[str, Any]] = kept if isinstance(kept, dict) else {}
        self._open: dict[str, Tracker] = {}
        for name in names:
            with self._watching(name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a tracker's packages say of each other is not for the user
                known = self._kept.setdefault(name, {"name": None, "told": {}})
                told = max(known["told"].values(), default=0)
                self._open[name] = TRACKERS[name](folder, settings, known["name"], told)
                known["name"] = self._open[name].name
        self._keep()

    def row(self, row: Mapping[str, Any], section: str = "train") -> None:
        """Tell a row of `log.jsonl` as train/<name>, or one of `scores_history.jsonl` as <section>/<name>.

        Lists are told number by number, as <name>/0, <name>/1. A row that was told before is left out.
        """
        step, values = int(row["step"]), scalars(row, section)

        def tell(name: str, tracker: Tracker) -> None:
            told = self._kept[name]["told"]
            if step > told.get(section, 0):
                tracker.row(values, step)
                told[section] = step

        self._each(tell)
        self._keep()

    def final(self, scores: Mapping[str, Any], step: int) -> None:
        """Tell the scores of the last step as final/<name>, with the settings where a tracker shows both together."""
        values = scalars(scores, "final")
        self._each(lambda _, tracker: tracker.final(values, self._settings, step))

    def close(self, whole: bool) -> None:
        """Say that the run is over for now, whole or not."""
        self._each(lambda _, tracker: tracker.close(whole))

    def _each(self, tell: Callable[[str, Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            with self._watching(name):
                tell(name, tracker)

    @contextmanager
    def _watching(self, name: str) -> Iterator[None]:
        """Leave a tracker out that fails in this block, whatever the reason: it must not end what it watches."""
        try:
            yield
        except Exception as error:
            self._open.pop(name, None)
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            warnings.warn(f"{name} is left out from here on ({reason}); training goes on without it", stacklevel=2)

    def _keep(self) -> None:
        if self._open:
            write_text(self._file, json.dumps(self._kept, indent=1))


@contextmanager
def writers(names: Sequence[str], folder: Path, settings: Settings) -> Iterator[Track]:
    """Tells the trackers called `names` of the run in `folder`: rows as they come, scores at the end.

    settings: those of the run by dotted key. Raises `InputError` for a tracker that is not there, see `check`. Without
    names nothing is written.
    """
    check(names)
    track = Track(names, folder, settings)
    try:
        yield track
    except BaseException:
        track.close(whole=False)
        raise
    track.close(whole=True)


def check(names: Sequence[str]) -> None:
    """Raises `InputError` for a name that no tracker has, and for a tracker whose package is not installed."""
    for name in names:
        found = find_spec(choose("tracker", name, TRACKERS))
        if found is None or found.origin is None:  # without an origin: a folder of that name, such as W&B leaves
            raise InputError(f"train.track={name} needs {name}; pip install equipoise[track]")


def listed(said: object) -> object:
    """Names as a setting takes them: a list as it is, words with commas between them as the list of these."""
    return tuple(word.strip() for word in said.split(",") if word.strip()) if isinstance(said, str) else said


def scalars(row: Mapping[str, Any], section: str) -> dict[str, float]:
    """The finite numbers of a row but its step, as <section>/<name>, those of lists as <section>/<name>/<index>."""
    values: dict[str, float] = {}
    for name, value in row.items():
        if name != "step":
            numbers = {f"/{j}": one for j, one in enumerate(value)} if isinstance(value, list) else {"": value}
            values |= {f"{section}/{name}{end}": float(one) for end, one in numbers.items() if one is not None}
    return {name: value for name, value in values.items() if math.isfinite(value)}
