"""Trackers are told every row once, through kills, and can neither end nor change what they watch."""

import importlib.machinery
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.conftest import SHAPE, images
from tests.test_runs import SMALL

from equipoise import assemble, runs, trackers
from equipoise.config import Config, identity, resolve
from equipoise.errors import InputError
from equipoise.trackers import Tracking, check, split_names
from equipoise.training.loop import Row, Training, fit

SETTINGS: dict[str, Any] = {"method.name": "l-vae", "train.lr": 1e-4, "train.betas": [0.9, 0.999], "train.fast": True}
ROWS: list[Row] = [
    {"step": step, "loss": 1.0 / step, "kl_dims": [0.5, step / 10], "gap": None, "beta": float("inf")}
    for step in (3, 6, 9)
]


class Told:
    """What the fakes of W&B and MLflow were told, by run, and what they are to do wrong."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.starts: list[dict[str, Any]] = []
        self.broken = False

    def rows(self, run: str) -> list[tuple[int, str, float]]:
        if self.broken:
            raise ConnectionError("the server is gone\nand more")
        rows: list[tuple[int, str, float]] = self.runs[run]["rows"]
        return rows


def installed(name: str, monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    """A module of this name that `import` finds."""
    module = types.ModuleType(name)
    module.__dict__.update(parts)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin="a fake")
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()

    def init(**said: Any) -> SimpleNamespace:
        if said["id"] in told.runs and said["resume"] != "allow":
            raise ValueError("there is such a run")
        run = told.runs.setdefault(said["id"], {"rows": [], "summary": {}, "ends": []})
        told.starts.append(said)
        return SimpleNamespace(
            log=lambda values, step: told.rows(said["id"]).extend((step, *item) for item in values.items()),
            summary=run["summary"],
            finish=lambda exit_code: run["ends"].append(exit_code),
        )

    installed("wandb", monkeypatch, init=init, Settings=lambda **said: said)
    return told


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    experiments: dict[str, SimpleNamespace] = {}

    class Client:
        def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
            return experiments.get(name)

        def create_experiment(self, name: str) -> str:
            experiments[name] = SimpleNamespace(experiment_id=f"of {name}")
            if name == "raced":
                raise RuntimeError("RESOURCE_ALREADY_EXISTS")
            return f"of {name}"

        def create_run(self, experiment: str, run_name: str) -> SimpleNamespace:
            name = f"run {len(told.runs)}"
            told.runs[name] = {"experiment": experiment, "name": run_name, "rows": [], "params": {}, "ends": []}
            told.starts.append(told.runs[name])
            return SimpleNamespace(info=SimpleNamespace(run_id=name))

        def update_run(self, run: str, status: str) -> None:
            told.starts.append({"run": run, "status": status})

        def log_batch(self, run: str, metrics: list[Any] | None = None, params: list[Any] | None = None) -> None:
            assert len(metrics or []) <= 1000
            assert len(params or []) <= 100
            told.rows(run).extend((metric.step, metric.key, metric.value) for metric in metrics or [])
            for param in params or []:
                assert told.runs[run]["params"].setdefault(param.key, param.value) == param.value
                assert len(param.value) <= 6000

        def set_terminated(self, run: str, status: str) -> None:
            told.runs[run]["ends"].append(status)

    def metric(key: str, value: float, timestamp: int, step: int) -> SimpleNamespace:
        return SimpleNamespace(key=key, value=value, timestamp=timestamp, step=step)

    installed("mlflow", monkeypatch, MlflowClient=Client)
    installed(
        "mlflow.entities", monkeypatch, Metric=metric, Param=lambda key, value: SimpleNamespace(key=key, value=value)
    )
    return told


def expected(rows: list[Row]) -> list[tuple[int, str, float]]:
    return [
        (row["step"], name, value)
        for row in rows
        for name, value in (
            ("train/loss", row["loss"]),
            ("train/kl_dims/0", row["kl_dims"][0]),
            ("train/kl_dims/1", row["kl_dims"][1]),
        )
    ]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_that_was_killed_goes_on_in_the_same_run_and_no_row_comes_twice(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    told: Told = request.getfixturevalue(name)

    def until_the_kill() -> None:
        with Tracking([name], tmp_path, SETTINGS) as track:
            track.row(ROWS[0])
            track.row({"step": 5, "mig": 0.25}, "scores")
            track.row(ROWS[1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until_the_kill()
    with Tracking([name], tmp_path, SETTINGS | {"train.steps": 90}) as track:  # from a checkpoint of step 3
        track.row({"step": 5, "mig": 0.25}, "scores")
        track.row(ROWS[1])
        track.row({"step": 9, "mig": 0.5}, "scores")
        track.row(ROWS[2])
        track.final({"mig": 0.5, "sap": float("nan")}, 9)
    (run,) = told.runs.values()
    scores = [(5, "scores/mig", 0.25), (9, "scores/mig", 0.5)]
    final = [(9, "final/mig", 0.5)] if name == "mlflow" else []
    assert sorted(run["rows"]) == sorted(expected(ROWS) + scores + final)
    assert run["ends"] == ([1, 0] if name == "wandb" else ["FAILED", "FINISHED"])


def test_wandb_is_told_settings_and_final_scores_and_left_its_environment(
    wandb: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tracking(["wandb"], tmp_path / "first", SETTINGS) as track:
        track.final({"mig": 0.5}, 9)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    with Tracking(["wandb"], tmp_path / "second", SETTINGS):
        pass
    first, second = wandb.starts
    assert first["config"] == SETTINGS
    assert (first["name"], first["project"], second["project"]) == ("first", "equipoise", "mine")
    assert first["dir"] == str(tmp_path / "first")
    assert first["id"] != second["id"]
    assert "mode" not in first
    assert wandb.runs[first["id"]]["summary"] == {"final/mig": 0.5}


def test_mlflow_is_told_settings_once_and_in_parts(
    mlflow: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "raced")  # by another run of the same study
    many = {**SETTINGS, **{f"method.s{j}": j for j in range(150)}, "data.name": "x" * 9000}
    for _ in range(2):
        with Tracking(["mlflow"], tmp_path, many) as track:
            track.row({"step": 4, "loss": 1.0, "wide": [0.0] * 1500})
    (run,) = mlflow.runs.values()
    assert (run["experiment"], run["name"]) == ("of raced", tmp_path.name)
    assert run["params"].keys() == many.keys()
    assert run["params"]["train.betas"] == "[0.9, 0.999]"
    assert len(run["rows"]) == 1501
    assert mlflow.starts[1] == {"run": "run 0", "status": "RUNNING"}


def a_training() -> tuple[Training, Config]:
    config = resolve(
        {"data": "array", "method": "l-vae", "net": "burgess", "net.latent": 3, "train.batch": 8, "train.steps": 6}
        | {"train.log_every": 2, "train.checkpoint_every": 6}
    )
    model, objective = assemble.build(config, SHAPE.image, SHAPE.images)
    return Training(model, objective, config.train, torch.device("cpu")), config


def trained(log: Callable[[Row], None]) -> list[torch.Tensor]:
    """The weights after six steps whose rows go to `log`."""
    training, _ = a_training()

    def batch(step: int, stream: int) -> torch.Tensor:
        return images(8, seed=2 * step + stream, dtype=torch.float32)

    fit(training, batch, log=log, save=lambda: None, after=lambda _: None, stop=lambda: False)
    return list(training.model.state_dict().values())


@pytest.mark.parametrize("fails", ["at the start", "in a row", "at the end", "never"])
def test_a_tracker_neither_ends_nor_changes_a_training_and_is_complained_of_once(
    fails: str, wandb: Told, mlflow: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: Any
) -> None:
    def wrong(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the server is gone\nand more")

    if fails in ("at the start", "at the end"):
        method = {"at the start": "create_run", "at the end": "set_terminated"}[fails]
        monkeypatch.setattr(sys.modules["mlflow"].MlflowClient, method, wrong)  # type: ignore[attr-defined]
    plain = trained(lambda _: None)
    with Tracking(["mlflow", "wandb"], tmp_path, SETTINGS) as track:
        mlflow.broken = fails == "in a row"
        tracked = trained(track.row)
    assert all(map(torch.equal, plain, tracked))
    (run,) = wandb.runs.values()
    assert {step for step, *_ in run["rows"]} == {2, 4, 6}
    said = [str(warning.message) for warning in recwarn]
    assert said == ([] if fails == "never" else ["mlflow failed (the server is gone); training continues without it"])


def test_damaged_notes_begin_anew(wandb: Told, tmp_path: Path) -> None:
    for notes in ("{", "[]", '{"wandb": 3}'):
        (tmp_path / "trackers.json").write_text(notes)
        if notes.startswith('{"'):
            with pytest.warns(UserWarning, match="wandb failed"), Tracking(["wandb"], tmp_path, SETTINGS):
                pass
            continue
        with Tracking(["wandb"], tmp_path, SETTINGS) as track:
            track.row(ROWS[0])
    assert [len(run["rows"]) for run in wandb.runs.values()] == [3, 3]


def test_a_tracker_that_is_unknown_or_not_installed_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in (None, importlib.machinery.ModuleSpec("mlflow", None)):  # the second as a folder called mlflow is
        monkeypatch.setattr(trackers, "find_spec", lambda _, spec=missing: spec)
        with (
            pytest.raises(InputError, match=r"needs mlflow; pip install equipoise\[track\]"),
            Tracking(["mlflow"], tmp_path, SETTINGS),
        ):
            pass
    with pytest.raises(InputError, match="did you mean wandb"):
        check(["wandbb"])
    assert list(tmp_path.iterdir()) == []


def test_without_trackers_nothing_is_written(tmp_path: Path) -> None:
    with Tracking([], tmp_path, SETTINGS) as track:
        track.row(ROWS[0])
        track.final({"mig": 1.0}, 3)
    assert list(tmp_path.iterdir()) == []


def test_names_are_taken_with_commas_between_them_or_as_a_list() -> None:
    assert split_names("tensorboard, wandb") == ("tensorboard", "wandb")
    assert split_names(["mlflow"]) == ["mlflow"]


@pytest.fixture
def board(tmp_path: Path) -> Callable[[], Any]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read() -> Any:
        found = EventAccumulator(str(tmp_path / "tensorboard"))
        found.Reload()
        return found

    return read


@pytest.mark.extra
def test_tensorboard_reads_back_every_row_once_though_a_kill_left_some_without_a_note(
    board: Callable[[], Any], tmp_path: Path
) -> None:
    with Tracking(["tensorboard"], tmp_path, SETTINGS) as track:
        track.row(ROWS[0])
        noted = (tmp_path / "trackers.json").read_text()
        track.row(ROWS[1])
    (tmp_path / "trackers.json").write_text(noted)  # as if killed between the row and its note
    with Tracking(["tensorboard"], tmp_path, SETTINGS) as track:
        for row in ROWS:
            track.row(row)
        track.row({"step": 9, "mig": 0.5}, "scores")
        track.final({"mig": 0.5}, 9)
    found = board()
    names = {"train/loss", "train/kl_dims/0", "train/kl_dims/1", "scores/mig", "final/mig"}
    assert set(found.Tags()["scalars"]) == names
    assert [(one.step, one.value) for one in found.Scalars("train/loss")] == [
        (row["step"], pytest.approx(row["loss"])) for row in ROWS
    ]
    assert [one.value for one in found.Scalars("final/mig")] == [0.5]
    text = found.Tensors("settings/text_summary")
    assert len(text) == 1
    assert b"method.name = l-vae" in text[0].tensor_proto.string_val[0]
    assert any("session_start_info" in tag for tag in found.summary_metadata)
    assert json.loads((tmp_path / "trackers.json").read_text())["tensorboard"]["steps"] == {"train": 9, "scores": 9}


def test_runs_that_differ_in_trackers_alone_are_the_same_run(
    wandb: Told, squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs.report, "write", lambda run: (run.path / "report.html").write_text("drawn"))
    said = {"data": squares(), "out": str(tmp_path / "run"), "method": "l-vae", "train.steps": 10, **SMALL}
    tracked = resolve({**said, "train.track": "wandb", "evaluate.every": 5})
    plain = resolve({**said, "evaluate.every": 5})
    assert identity(tracked) == identity(plain)
    done = runs.execute(tracked, progress=False)
    (run,) = wandb.runs.values()
    assert {step for step, name, _ in run["rows"] if name == "train/loss"} == {row["step"] for row in done.logs}
    assert {step for step, name, _ in run["rows"] if name == "scores/mig"} == {5, 10}
    assert run["summary"]["final/mig"] == done.scores["mig"].value
    assert run["ends"] == [0]
    for same in (tracked, plain):  # there is nothing left to do, so nobody is told
        runs.execute(same, progress=False)
    assert len(wandb.starts) == 1
