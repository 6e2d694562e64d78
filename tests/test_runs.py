"""Runs through the Python functions: stages, resume, extension, refusals."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise import assemble, runs, scoring
from equipoise import config as configuration
from equipoise.errors import InputError, RunError
from equipoise.training import checkpoint, speed
from equipoise.training.loop import Stopped

SMALL: dict[str, object] = {
    "net": "burgess",
    "net.latent": 3,
    "train.batch": 16,
    "train.log_every": 3,
    "train.checkpoint_every": 4,
    "train.threads": 1,
    "evaluate.which": ["mig", "sap", "sse", "kl"],
}


def settings(data: str, out: Path, **more: object) -> dict[str, object]:
    dotted = {key.replace("__", "."): value for key, value in more.items()}
    chosen = {"data": data, "out": str(out), "method": "l-vae", "train.steps": 10, **SMALL, **dotted}
    # The published law does not depend on the number of steps, so these runs can be extended.
    return {"method.law": "published", **chosen} if chosen["method"] == "l-vae" else chosen


def run(overrides: dict[str, object]) -> eq.Run:
    return runs.execute(configuration.resolve(overrides), progress=False)


def weights(path: Path) -> dict[str, Any]:
    return checkpoint.load(path / "checkpoint.pt")


def equal(left: Any, right: Any) -> bool:
    """Equality of nested states, tensors bit for bit."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def same_training(left: Path, right: Path) -> bool:
    """Whether two runs did the same: states bit for bit, logs but for the time they took."""
    states = [
        {key: value for key, value in weights(path).items() if key not in ("seconds", "settings")}
        for path in (left, right)
    ]
    timed = ("seconds", "images_per_second")
    logs = [
        [{k: v for k, v in row.items() if k not in timed} for row in checkpoint.read_log(path / "log.jsonl")]
        for path in (left, right)
    ]
    return equal(*states) and logs[0] == logs[1]


def test_a_run_folder_holds_what_the_contract_names(squares: Callable[[], str], tmp_path: Path) -> None:
    done = run(settings(squares(), tmp_path / "run"))
    names = {path.name for path in done.path.iterdir()}
    assert names == {
        "config.toml",
        "meta.json",
        "claims",
        "log.jsonl",
        "checkpoint.pt",
        "codes.npz",
        "scores.json",
        "summary.json",
        "pictures",
        "report.html",
    }
    assert [row["step"] for row in done.logs] == [3, 6, 9, 10]
    assert done.codes["mean"].shape == (75, 3)
    assert set(done.scores) == {"mig", "sap", "sse", "kl"}
    assert done.scores["sse"].value == pytest.approx(float(done.codes["sse"].mean()))
    written = json.loads((done.path / "scores.json").read_text())
    assert written["checkpoint"] == checkpoint.digest(done.path / "checkpoint.pt") == str(done.codes["checkpoint"])


def test_a_reopened_run_encodes_as_the_trained_one_did(squares: Callable[[], str], tmp_path: Path) -> None:
    data = squares()
    run(settings(data, tmp_path / "run"))
    again = eq.open_run(tmp_path / "run")
    mean, logvar = again.model.encode(torch.from_numpy(again.images.pixels(again.codes["index"])))
    assert np.allclose(mean, again.codes["mean"], atol=1e-6)
    assert np.allclose(logvar, again.codes["logvar"], atol=1e-6)
    pixels = again.model.decode(mean[:2])
    assert pixels.shape == (2, 1, 16, 16)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


@pytest.mark.parametrize("method", ["l-vae", "factor-vae"])  # training/test_resume.py has the state of every method
def test_an_interrupted_run_that_goes_on_equals_the_uninterrupted_one(
    method: str, squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = squares()
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = {"method": method, "train__schedule": "one-cycle"}
    more |= {"method__width": 16} if method == "factor-vae" else {}
    run(settings(data, whole, **more))

    class Killed(BaseException):
        """Stands for SIGKILL: nothing is cleaned up, and the log is ahead of the checkpoint."""

    advance = runs.Training.advance

    def until_seven(self: runs.Training, x: torch.Tensor, second: torch.Tensor | None = None) -> None:
        if self.step == 7:
            raise Killed
        advance(self, x, second)

    monkeypatch.setattr(runs.Training, "advance", until_seven)
    with pytest.raises(Killed):
        run(settings(data, broken, **more))
    assert weights(broken)["step"] == 4
    assert [row["step"] for row in checkpoint.read_log(broken / "log.jsonl")] == [3, 6]
    with (broken / "log.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')  # a row torn while it was written

    monkeypatch.setattr(runs.Training, "advance", advance)
    run(settings(data, broken, **more))
    assert same_training(whole, broken)
    assert np.array_equal(runs.open_run(whole).codes["mean"], runs.open_run(broken).codes["mean"])


def test_the_same_call_on_a_finished_run_does_nothing(squares: Callable[[], str], tmp_path: Path) -> None:
    overrides = settings(squares(), tmp_path / "run")
    run(overrides)
    files = [path for path in (tmp_path / "run").iterdir() if path.name != "claims"]
    before = {path: path.stat().st_mtime_ns for path in files}
    run(overrides)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_more_steps_extend_a_run_as_if_they_had_been_asked_for_at_once(
    squares: Callable[[], str], tmp_path: Path
) -> None:
    data = squares()
    run(settings(data, tmp_path / "once", train__steps=12))
    run(settings(data, tmp_path / "twice", train__steps=6))
    run(settings(data, tmp_path / "twice", train__steps=12))
    assert same_training(tmp_path / "once", tmp_path / "twice")
    assert runs.open_run(tmp_path / "twice").config.train.steps == 12
    assert str(runs.open_run(tmp_path / "twice").codes["checkpoint"]) == checkpoint.digest(
        tmp_path / "twice" / "checkpoint.pt"
    )


def test_a_run_that_keeps_its_model_alone_is_smaller_and_equal_but_cannot_be_extended(
    squares: Callable[[], str], tmp_path: Path
) -> None:
    data = squares()
    every, model = tmp_path / "every", tmp_path / "model"
    run(settings(data, every))
    overrides = settings(data, model, train__keep="model")
    steps = iter(range(20))
    with pytest.raises(Stopped):
        runs.execute(configuration.resolve(overrides), progress=False, stop=lambda: next(steps) == 5)
    assert "optimisers" in weights(model), "a run that is not finished resumes"
    done = run(overrides)
    states = [weights(path) for path in (every, model)]
    assert equal(states[0]["model"], states[1]["model"])
    assert "optimisers" not in states[1]
    assert (model / "checkpoint.pt").stat().st_size < 0.5 * (every / "checkpoint.pt").stat().st_size
    files = [path for path in model.iterdir() if path.name != "claims"]
    before = {path: path.stat().st_mtime_ns for path in files}
    with pytest.raises(InputError, match=r"only its model after 10 steps \(train.keep=model\).*choose another out"):
        run({**overrides, "train.steps": 12})
    assert repr(run(overrides).scores) == repr(done.scores)
    assert before == {path: path.stat().st_mtime_ns for path in files}
    assert repr(run({**overrides, "train.keep": "all"}).scores) == repr(done.scores), "it is the same run"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({}, {"train__lr": 0.5}, "holds another run"),
        ({}, {"train__steps": 5}, "10 steps, more than 5"),
        (
            {"train__schedule": "one-cycle"},
            {"train__schedule": "one-cycle", "train__steps": 20},
            "train.schedule_steps",
        ),
        ({"method": "annealed-vae"}, {"method": "annealed-vae", "train__steps": 20}, "train.schedule_steps"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused_and_nothing_is_touched(
    before: dict[str, Any], after: dict[str, Any], sentence: str, squares: Callable[[], str], tmp_path: Path
) -> None:
    data, path = squares(), tmp_path / "run"
    run(settings(data, path, **before))
    held = {file: file.read_bytes() for file in path.iterdir() if file.is_file()}
    with pytest.raises(InputError, match=sentence):
        run(settings(data, path, **after))
    assert held == {file: file.read_bytes() for file in path.iterdir() if file.is_file()}


def test_a_folder_that_is_not_a_run_is_left_alone(squares: Callable[[], str], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="is not a run"):
        run(settings(squares(), tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_does_not_exist_is_distinguished_from_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run \(it has no config.toml\); expected the folder"):
        eq.open_run(tmp_path)
    with pytest.raises(InputError, match=r"is not a run \(there is no such folder\); expected the folder"):
        eq.open_run(tmp_path / "none")


def test_a_run_on_an_array_is_scored_and_reported(tmp_path: Path) -> None:
    x = (np.random.default_rng(0).uniform(size=(40, 16, 16)) > 0.5).astype(np.float32)
    done = eq.train(
        x, "beta-vae", net="burgess", steps=3, out=tmp_path / "run", settings={"train.batch": 8}, progress=False
    )
    assert (done.path / "report.html").exists()
    of_codes = {"mutual_information", "gaussian_tc", "wasserstein", "kl", "active_units"}
    assert set(done.scores) == {"sse", "mse", "psnr", "bce", "log_px_z", "elbo", *of_codes}
    assert done.config.data.name.startswith("array-")
    with pytest.raises(InputError, match="an array, which the run does not store"):
        _ = eq.open_run(done.path).images
    again = eq.train(
        x, "beta-vae", net="burgess", steps=3, out=tmp_path / "run", settings={"train.batch": 8}, progress=False
    )
    assert again.logs == done.logs


def test_the_last_part_of_a_split_is_scored_and_the_first_trained_on(
    squares: Callable[[], str], tmp_path: Path
) -> None:
    done = run(settings(squares(), tmp_path / "run", data__split=[0.6, 0.2, 0.2]))
    assert done.meta["images"] == 45
    assert len(done.codes["index"]) == 15
    assert np.array_equal(done.images.factors[done.codes["index"]], done.codes["factors"])


def test_scores_taken_on_the_way_do_not_change_the_training(squares: Callable[[], str], tmp_path: Path) -> None:
    data = squares()
    run(settings(data, tmp_path / "plain"))
    done = run(settings(data, tmp_path / "watched", evaluate__every=4))
    assert same_training(tmp_path / "plain", tmp_path / "watched")
    history = checkpoint.read_log(done.path / "scores_history.jsonl")
    assert [row["step"] for row in history] == [4, 8]
    assert all(np.isfinite(row["mig"]) for row in history)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise import terms

    calls = 0

    def breaks(p: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return p.prior.kl(p.mean, p.logvar, p.z) * (float("nan") if calls == 6 else 1.0)

    monkeypatch.setattr(terms, "kl", breaks)
    with pytest.raises(RunError, match=r"step 6: kl is not finite.*train\.lr"):
        run(settings(squares(), tmp_path / "run"))
    assert weights(tmp_path / "run")["step"] == 4
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "run")["model"].values())
    assert not (tmp_path / "run" / "scores.json").exists()


def test_a_damaged_checkpoint_is_named_and_not_half_read(squares: Callable[[], str], tmp_path: Path) -> None:
    overrides = settings(squares(), tmp_path / "run")
    run(overrides)
    file = tmp_path / "run" / "checkpoint.pt"
    whole = file.read_bytes()
    for wrong in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        file.write_bytes(wrong)
        with pytest.raises(RunError, match=r"checkpoint\.pt"):
            _ = eq.open_run(tmp_path / "run").model
        with pytest.raises(RunError, match=r"checkpoint\.pt"):
            run({**overrides, "train.steps": 12})
        assert file.read_bytes() == wrong


def test_fast_parts_change_the_loss_by_rounding_alone(squares: Callable[[], str], tmp_path: Path) -> None:
    data = squares()
    fast = run(settings(data, tmp_path / "fast", net="mlp_lvae", train__steps=30))
    plain = run(settings(data, tmp_path / "plain", net="mlp_lvae", train__steps=30, train__fast=False))
    for ours, theirs in zip(fast.logs, plain.logs, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)


def test_bf16_is_close_to_fp32(squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "has_bf16", lambda: True)  # no warning: a processor without bf16 emulates it
    data = squares()
    half = run(settings(data, tmp_path / "bf16", train__precision="bf16", train__steps=30))
    full = run(settings(data, tmp_path / "fp32", train__steps=30))
    assert half.logs[-1]["loss"] == pytest.approx(full.logs[-1]["loss"], rel=0.05)


def test_a_copied_run_folder_is_a_run(squares: Callable[[], str], tmp_path: Path) -> None:
    done = run(settings(squares(), tmp_path / "run"))
    shutil.copytree(done.path, tmp_path / "elsewhere")
    assert eq.open_run(tmp_path / "elsewhere").scores.keys() == done.scores.keys()


def test_scores_of_a_shorter_run_never_pass_for_those_of_a_longer_one(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, path = squares(), tmp_path / "run"
    run(settings(data, path))

    class Killed(BaseException):
        """Between the last checkpoint and the scores."""

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    evaluate = scoring.evaluate
    monkeypatch.setattr(scoring, "evaluate", killed)
    with pytest.raises(Killed):
        run(settings(data, path, train__steps=12))
    assert not (path / "scores.json").exists()
    assert not (path / "report.html").exists()
    monkeypatch.setattr(scoring, "evaluate", evaluate)
    run(settings(data, path, train__steps=12))
    assert json.loads((path / "scores.json").read_text())["checkpoint"] == checkpoint.digest(path / "checkpoint.pt")


def test_data_that_changed_under_a_run_is_refused(squares: Callable[[], str], tmp_path: Path) -> None:
    data = squares()
    run(settings(data, tmp_path / "run"))
    with np.load(data) as file:
        arrays = dict(file)
    arrays["factors"] = arrays["factors"][:, ::-1]
    np.savez(data, **arrays)
    with pytest.raises(InputError, match="trained on other images or factors"):
        run(settings(data, tmp_path / "run", train__steps=12))


def test_settings_edited_under_a_checkpoint_are_refused(squares: Callable[[], str], tmp_path: Path) -> None:
    done = run(settings(squares(), tmp_path / "run", method="beta-vae"))
    file = done.path / "config.toml"
    file.write_text(file.read_text().replace("beta = 4.0", "beta = 9.0"))
    with pytest.raises(RunError, match="other settings"):
        _ = eq.open_run(done.path).model


def test_weights_that_are_not_finite_are_never_saved(squares: Callable[[], str], tmp_path: Path) -> None:
    config = configuration.resolve(settings(squares(), tmp_path / "run"))
    model, objective = assemble.build(config, (1, 16, 16), 75)
    training = runs.Training(model, objective, config.train, torch.device("cpu"))
    training.state()
    with torch.no_grad():
        next(model.decoder.parameters()).fill_(torch.inf)
    with pytest.raises(RunError, match="a weight is not finite"):
        training.state()


def test_damaged_codes_are_encoded_anew_and_damaged_scores_named(squares: Callable[[], str], tmp_path: Path) -> None:
    done = run(settings(squares(), tmp_path / "run"))
    file = done.path / "codes.npz"
    file.write_bytes(file.read_bytes()[:300])
    assert scoring.evaluate(eq.open_run(done.path))["mig"].value == done.scores["mig"].value
    (done.path / "scores.json").write_text('{"checkpoint": ')
    with pytest.raises(RunError, match=r"scores\.json is damaged"):
        _ = eq.open_run(done.path).scores


def test_scores_asked_for_later_join_those_of_the_same_codes(squares: Callable[[], str], tmp_path: Path) -> None:
    done = run(settings(squares(), tmp_path / "run"))
    scoring.evaluate(eq.open_run(done.path), which=("bce",))
    assert set(eq.open_run(done.path).scores) == {"mig", "sap", "sse", "kl", "bce"}
    lost = r"in convention carbonneau \(.*sap.*bce\) are replaced by those in locatello, .* with --to table\.csv"
    with pytest.warns(UserWarning, match=lost):
        scoring.evaluate(eq.open_run(done.path), which=("mig",), convention="locatello")
    assert set(eq.open_run(done.path).scores) == {"mig"}, "another convention is another score of the same name"


def test_a_run_on_a_relative_path_opens_from_anywhere(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(squares(), tmp_path / "own.npz")
    monkeypatch.chdir(tmp_path)
    run(settings("own.npz", Path("run")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(eq.open_run("../run").images) == 75
