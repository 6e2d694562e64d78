"""Logs rows and scores of a run to TensorBoard, Weights & Biases and MLflow, in addition to the run's own files.

A tracker that fails is dropped with a warning, and training continues. Trackers do not identify a run. `trackers.json`
in the run's folder holds the name that the tracker gave the run and the last step of each section that was logged, so a
resumed run continues in the same tracker run, and no row is logged twice.
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
from typing import Any, Literal, Self

from equipoise.errors import InputError, choose
from equipoise.files import write_text

Settings = Mapping[str, Any]
Values = Mapping[str, float]


class TensorBoard:
    """Event files in the folder `tensorboard` of the run."""

    def __init__(self, folder: Path, settings: Settings, name: str | None, step: int) -> None:
        self._board: Any = import_module("torch.utils.tensorboard")
        self.name = "tensorboard"
        # A row that was logged before a kill, but not noted in trackers.json, comes again: remove it.
        self._writer = self._board.SummaryWriter(folder / self.name, purge_step=step + 1)
        if name is None:
            self._writer.add_text("settings", "\n".join(f"    {key} = {value}" for key, value in settings.items()))

    def row(self, values: Values, step: int) -> None:
        """Log the values of a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def final(self, values: Values, settings: Settings, step: int) -> None:
        """Log the scores of the last step."""
        self.row(values, step)
        plain = {
            key: each if isinstance(each, bool | int | float | str) else str(each) for key, each in settings.items()
        }
        # In the same file: `add_hparams` would start another, and TensorBoard reads only the newest.
        for summary in self._board.summary.hparams(plain, dict(values)):
            self._writer.file_writer.add_summary(summary)

    def close(self, is_finished: bool) -> None:  # noqa: ARG002 - TensorBoard has no failed runs
        """End the run of the tracker, as finished or as failed."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases in the project `equipoise`, or in that of WANDB_PROJECT.

    W&B reads its other settings from the environment. WANDB_MODE=offline writes to the run's folder only.
    """

    def __init__(self, folder: Path, settings: Settings, name: str | None, step: int) -> None:  # noqa: ARG002
        wandb: Any = import_module("wandb")
        # Random, so that the same settings trained in another folder are another run.
        self.name = name or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "equipoise"),
            name=folder.resolve().name,
            id=self.name,
            resume="allow",
            config=dict(settings),
            allow_val_change=True,  # a longer run has more train.steps
            dir=str(folder),
            reinit="create_new",  # does not write to a run that the caller has open
            settings=wandb.Settings(console="off"),
        )

    def row(self, values: Values, step: int) -> None:
        """Log the values of a step."""
        self._run.log(dict(values), step=step)

    def final(self, values: Values, settings: Settings, step: int) -> None:  # noqa: ARG002
        """Log the scores of the last step."""
        self._run.summary.update(dict(values))

    def close(self, is_finished: bool) -> None:
        """End the run of the tracker, as finished or as failed."""
        self._run.finish(exit_code=0 if is_finished else 1)


class MLflow:
    """A run of MLflow in the experiment `equipoise`, or in that of MLFLOW_EXPERIMENT_NAME.

    MLFLOW_TRACKING_URI names the server or folder. No run is made active.
    """

    _METRICS, _PARAMS, _LETTERS = 1000, 100, 6000  # limits of a request and of a value

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
        """The identifier of the experiment, which is created if it does not exist."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "equipoise")
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name))
            except Exception:  # another run of the same study created it at the same time
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        return str(experiment.experiment_id)

    def row(self, values: Values, step: int) -> None:
        """Log the values of a step."""
        now = round(time.time() * 1000)
        metrics = [self._entities.Metric(name, value, now, step) for name, value in values.items()]
        for first in range(0, len(metrics), self._METRICS):
            self._client.log_batch(self.name, metrics=metrics[first : first + self._METRICS])

    def final(self, values: Values, settings: Settings, step: int) -> None:  # noqa: ARG002
        """Log the scores of the last step."""
        self.row(values, step)

    def close(self, is_finished: bool) -> None:
        """End the run of the tracker, as finished or as failed."""
        self._client.set_terminated(self.name, "FINISHED" if is_finished else "FAILED")


TrackerName = Literal["tensorboard", "wandb", "mlflow"]
Tracker = TensorBoard | WandB | MLflow
TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
"""The trackers by name, which is also the name of the package.

Arguments: the run's folder; the settings of the run by dotted key; the name that the tracker gave the run, if it was
logged before; the last step that was logged, 0 if none.
"""


class Tracking:
    """The working trackers of the run in `folder`; the end of a `with` block closes them.

    `settings` are those of the run by dotted key. Raises `InputError` as `check` does. Without names nothing is
    written.
    """

    def __init__(self, names: Sequence[str], folder: Path, settings: Settings) -> None:
        check(names)
        self._file, self._settings = folder / "trackers.json", settings
        self._state = _read_state(self._file)  # by tracker: its name of the run, and the last step of each section
        self._open: dict[str, Tracker] = {}
        for name in names:
            with self._dropping(name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # those of the tracker's packages about each other
                state = self._state.setdefault(name, {"name": None})
                last = max(state.setdefault("steps", {}).values(), default=0)
                self._open[name] = TRACKERS[name](folder, settings, state["name"], last)
                state["name"] = self._open[name].name
        self._write_state()

    def row(self, row: Mapping[str, Any], section: str = "train") -> None:
        """Log a row of `log.jsonl` as train/<name>, or a row of `scores_history.jsonl` as <section>/<name>.

        The numbers of a list are logged as <name>/0, <name>/1. A row that was logged before is skipped.
        """
        step, values = int(row["step"]), scalars(row, section)

        def log(name: str, tracker: Tracker) -> None:
            steps = self._state[name]["steps"]
            if step > steps.get(section, 0):
                tracker.row(values, step)
                steps[section] = step

        self._each(log)
        self._write_state()

    def final(self, scores: Mapping[str, Any], step: int) -> None:
        """Log the scores of the last step as final/<name>, with the settings if the tracker displays them together."""
        values = scalars(scores, "final")
        self._each(lambda _, tracker: tracker.final(values, self._settings, step))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._each(lambda _, tracker: tracker.close(is_finished=error is None))

    def _each(self, action: Callable[[str, Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            with self._dropping(name):
                action(name, tracker)

    @contextmanager
    def _dropping(self, name: str) -> Iterator[None]:
        """Drop the tracker with a warning if the block fails, for any reason: a tracker must not end a training."""
        try:
            yield
        except Exception as error:
            self._open.pop(name, None)
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            warnings.warn(f"{name} failed ({reason}); training continues without it", stacklevel=2)

    def _write_state(self) -> None:
        if self._open:
            write_text(self._file, json.dumps(self._state, indent=1))


def check(names: Sequence[str]) -> None:
    """Raise `InputError` for an unknown tracker, and for a tracker whose package is not installed."""
    for name in names:
        spec = find_spec(choose("tracker", name, TRACKERS))
        if spec is None or spec.origin is None:  # no origin: a folder of that name, such as W&B's
            raise InputError(f"train.track={name} needs {name}; pip install equipoise[track]")


def split_names(value: object) -> object:
    """The names in a comma-separated string, perhaps in brackets, as a tuple. Other values are returned unchanged."""
    if not isinstance(value, str):
        return value
    text = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return tuple(name for word in text.split(",") if (name := word.strip().strip("'\"")))


def scalars(row: Mapping[str, Any], section: str) -> dict[str, float]:
    """The finite numbers of a row except its step, as <section>/<name>, and of lists as <section>/<name>/<index>."""
    values: dict[str, float] = {}
    for name, value in row.items():
        if name == "step":
            continue
        numbers = {f"/{index}": each for index, each in enumerate(value)} if isinstance(value, list) else {"": value}
        values |= {f"{section}/{name}{end}": float(each) for end, each in numbers.items() if each is not None}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _read_state(path: Path) -> dict[str, dict[str, Any]]:
    """The content of `trackers.json`; empty if it is missing or damaged, so that the trackers start anew."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
