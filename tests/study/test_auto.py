"""`equipoise auto`: how many models a budget allows, which one is picked, and that a kill does not change it."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tomli_w
from tests.study.conftest import equipoise, started, until
from tests.study.made_up import Made
from tests.study.made_up import write as write_run

import equipoise as eq
from equipoise import commands, config, report, runs
from equipoise.errors import InputError, RunError
from equipoise.files import write_text
from equipoise.study import open_study
from equipoise.study.auto import auto as module
from equipoise.study.auto import candidates as listing
from equipoise.study.auto import reasons
from equipoise.study.auto.ranking import Ranking, confidence, rank

SETTINGS = {
    "method.name": "vae",
    "net.name": "factor",
    "net.latent": 2,
    "train.batch": 16,
    "train.lr": 3e-3,
    "train.log_every": 20,
    "train.checkpoint_every": 10,
}
WORDS = [f"{key}={value}" for key, value in SETTINGS.items()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds that are not measured: 45 steps for each of six models within two minutes, two at once."""
    monkeypatch.setattr(module, "speeds", lambda configs, _: dict.fromkeys(configs, 1.457))


def in_this_process(plan: Any, *_: Any) -> None:
    """Run a stage without processes and without the pictures of its reports."""
    with mock.patch.object(report, "write", lambda run: write_text(run.path / "report.html", "drawn")):
        for each in plan.runs.values():
            runs.execute(each, progress=False)


@pytest.mark.parametrize(
    ("budget", "workers", "full", "count", "finalists", "seconds"),
    [
        (1200, 2, 290, 10, 2, 328.2),  # 20 minutes on two cores
        (360, 2, 290, 6, 2, 140.0),  # six, though they train for less than the default length
        (360, 1, 290, 6, 2, 62.73),
        (1200, 16, 290, 16, 16, 1116.0),
        (120, 4, 290, 8, 4, 47.5),  # all workers are busy
        (10**6, 2, 290, 24, 2, 122_368.0),  # a longer training instead of hundreds of models
    ],
)
def test_candidates_fill_the_workers_and_the_budget(
    budget: float, workers: int, full: float, count: int, finalists: int, seconds: float
) -> None:
    candidates, last, each = listing.numbers(budget, workers, full)
    assert (candidates, last) == (count, finalists)
    assert each == pytest.approx(seconds, rel=1e-3)
    spent = candidates * each * listing.FIRST + last * each * (1 - listing.FIRST)
    # 20 s around the trainings and 8 s for each, the finalists twice, or 7 % of a long budget.
    assert spent == pytest.approx(min(0.93 * budget * workers, (budget - 20) * workers - 8 * (candidates + last)), 1e-3)
    assert candidates % workers == last % workers == 0
    assert listing.expected(candidates, last, each, workers) <= budget * (1 + 1e-9)


@pytest.mark.parametrize(
    ("budget", "workers", "count", "seconds", "total"),
    [
        (100, 2, 4, 35.0, 100),  # 100 s = 20 + (4 * 35 * .6 + 2 * 35 * .4 + 6 * 8) / 2
        (60, 2, 4, 10.0, 60),
        (60, 4, 4, 24.0, 60),
        (120, 1, 3, 23.08, 120),  # 120 s = 20 + 3 * 23.08 * .6 + 2 * 23.08 * .4 + 5 * 8
        (10, 2, 4, 0.625, 45),  # a tenth of the budget for training, and 44 s of all else
    ],
)
def test_a_short_budget_trains_fewer_models(
    budget: float, workers: int, count: int, seconds: float, total: float
) -> None:
    candidates, finalists, each = listing.numbers(budget, workers, 290)
    assert (candidates, finalists) == (count, max(2, workers))
    assert each == pytest.approx(seconds, rel=1e-3)
    assert listing.expected(candidates, finalists, each, workers) == pytest.approx(total)


def test_the_least_sensible_budget_leaves_half_of_it_to_training() -> None:
    assert listing.least_budget(2) == 88  # twice 20 + 6 * 8 / 2
    assert listing.least_budget(1) == 120
    for workers in (1, 2, 4, 16):
        budget = listing.least_budget(workers)
        count, finalists, each = listing.numbers(budget, workers, 290)
        assert (0.6 * count + 0.4 * finalists) * each == pytest.approx(budget * workers / 2)
        assert listing.expected(count, finalists, each, workers) == pytest.approx(budget)


@pytest.mark.usefixtures("here", "quick")
def test_a_budget_that_is_too_small_names_the_least_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_drive", lambda *_: None)
    with pytest.raises(RunError, match="no training could be finished"):
        eq.auto("squares.npz", budget="10s", workers=2, out="study", settings=SETTINGS)
    assert "so this takes about 45 s; the smallest sensible budget here is 88 s" in capsys.readouterr().err


def test_candidates_are_recipes_with_seeds_of_their_own_and_equal_times() -> None:
    recipes = listing.recipes({}, "aligned-vae")
    common = {name: config.expand({"data": "dsprites", **listing.RECIPES[name]}) for name in recipes}
    rates = dict.fromkeys(common, 50.0) | {"l-vae": 25.0, "aligned-vae, entry 0.1": 52.0}
    every = listing.compose(16, 100.0, common, rates, seed=3)
    names = [each["recipe"] for each in every]
    assert [names.count(name) for name in recipes] == [8, 4, 2, 2]
    assert {each["settings"]["train.steps"] for each in every} == {5000, 2500}
    assert all(each["settings"]["train.schedule_steps"] == each["settings"]["train.steps"] for each in every)
    assert all(each["first"] == each["settings"]["train.steps"] * 6 // 10 for each in every)
    pairs = [(each["settings"]["method.name"], each["settings"]["train.seed"]) for each in every]
    assert len(set(pairs)) == 16, "the seeds of a method differ, whatever its settings"
    assert min(seed for _, seed in pairs) == 3
    contents = listing.Contents(
        out="study", auto={"request": {}, "budget": 9.0, "workers": 2, "finalists": 2, "lines": []}, candidates=every
    )
    plan = listing.plan(json.loads(json.dumps(contents)))
    assert len(plan.runs) == 16, "no two recipes are the same run"
    assert {each.train.steps for each in plan.runs.values()} == {3000, 1500}


def test_colour_images_have_candidates_that_learn_from_edges() -> None:
    recipes = listing.recipes({}, "outline-vae")
    common = {name: config.expand({"data": "rooms3d", **listing.RECIPES[name]}) for name in recipes}
    names = [each["recipe"] for each in listing.compose(8, 100.0, common, dict.fromkeys(common, 50.0), seed=0)]
    assert names == ["outline-vae"] * 6 + ["l-vae", "dynamic-vae"]
    assert listing.recipes({"method.name": "l-vae"}, "outline-vae") == [""]


def test_the_choice_is_sure_where_redraws_agree() -> None:
    nan = np.nan
    everyone = np.ones(3, bool)
    clear = np.array([[nan, 0.9, 0.8], [0.3, nan, 0.2], [0.3, 0.1, nan]])
    assert confidence(clear, 0, everyone) > 0.95
    # Row 0 is better beside model 2 only: where it is not drawn, row 2 is the best.
    close = np.array([[nan, 0.1, 0.9], [0.1, nan, 0.1], [0.3, 0.4, nan]])
    assert 0.2 < confidence(close, 0, everyone) < 0.8
    assert confidence(clear, 0, np.array([True, False, False])) == 1


def test_reasons_are_about_the_models_that_could_be_picked() -> None:
    def row(run: str, method: str, agreement: float) -> dict[str, Any]:
        return {"run": run, "method": method, "agreement": agreement, "loss": 9.0, "steps": 100}

    rows: Any = [row("a", "aligned-vae", 0.6), row("b", "l-vae", 0.3), row("c", "l-vae", 0.8)]
    agreement, sizes = {"a": 0.6, "b": 0.3, "c": 0.8}, {"a": 5, "b": 5, "c": 1}
    ranking = Ranking(("a", "b", "c"), agreement, dict.fromkeys("abc", 9.0), sizes, ("c",), 0.9)
    (sentence,) = reasons._method(rows, ranking, rows[0])
    assert "is 0.60 for aligned-vae (l-vae 0.30)" in sentence
    assert "In 90 % of 2,000" in reasons._confidence(ranking)[0]
    only = Ranking(("a", "b", "c"), agreement, dict.fromkeys("abc", 9.0), sizes, ("b", "c"), 1.0)
    assert reasons._confidence(only) == []
    names = {run: f"seed {run}" for run in "abc"}
    assert "Not eligible, " in reasons._dropped(only, names)[0]
    none = Ranking(("a", "b"), agreement, dict.fromkeys("abc", 9.0), sizes, ("a", "b"), 1.0)
    assert "so the pick means little. Give a longer budget." in reasons._dropped(none, names)[0]


def test_agreement_picks_the_recipe_and_the_loss_the_model(tmp_path: Path) -> None:
    sources = np.random.default_rng(9).normal(size=(400, 6))
    rng = np.random.default_rng(0)

    def made(name: str, mean: np.ndarray, loss: float = 9.0) -> Path:
        each = config.resolve({"data": "dsprites", "method": "vae", "out": str(tmp_path / name)})
        write_run(each, Made(20.0, {}, mean=mean, logvar=np.where(mean.std(axis=0) > 0.05, -3.0, 0.0) + 0 * mean))
        rows = [{"step": step, "loss": loss if step > 950 else 100.0} for step in range(10, 1001, 10)]
        (tmp_path / name / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return tmp_path / name

    paths = {
        f"m{i}": made(f"m{i}", sources[:, rng.permutation(6)] + 0.1 * i * rng.normal(size=(400, 6)), 9.0 - i)
        for i in range(3)
    }
    paths["noise"] = made("noise", rng.normal(size=(400, 6)), 1.0)
    # Two latents, which all others have too, without any noise.
    few = sources * (np.arange(6) < 2)
    paths["a-few"] = made("a-few", few)
    paths["b-few"] = made("b-few", few)
    recipes = {name: "one" if name.startswith("m") else "other" for name in paths}
    ranking = rank(paths, recipes, paths)
    # The first recipe agrees best; within it the loss decides, not the agreement.
    assert ranking.runs == ("m2", "m1", "m0", "noise", "a-few", "b-few")
    assert ranking.dropped == ("a-few", "b-few"), "a model that learned little is never the first"
    assert ranking.active["a-few"] == 2
    assert ranking.agreement["m0"] > ranking.agreement["m2"] > ranking.agreement["noise"]
    assert ranking.loss == {"m0": 9.0, "m1": 8.0, "m2": 7.0, "noise": 1.0, "a-few": 9.0, "b-few": 9.0}
    last = rank(paths, recipes, ["m0", "noise"])
    assert last.runs == ("m0", "noise")
    assert last.agreement == ranking.agreement, "finalists are compared with all models"
    diverged = {"m0": paths["m0"], "m1": paths["m1"], "m2": made("diverged", sources, float("nan"))}
    assert rank(diverged, recipes, diverged).runs == ("m1", "m0", "m2")
    alone = rank({"m0": paths["m0"]}, recipes, ["m0"])
    assert (alone.runs, alone.confidence) == (("m0",), 1.0)


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")  # of 25 images and 40 steps
@pytest.mark.usefixtures("here", "quick")
def test_one_run_is_handed_over_with_its_reasons(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(module, "_drive", in_this_process)
    outcome = commands.auto(["squares.npz", *WORDS], budget="120s", workers=2, out=Path("study"), progress=False)
    values = outcome.values
    assert values["run"] == "study/best"
    assert len(values["rows"]) == 6
    assert [row["stage"] for row in values["rows"]].count("trained to the end") == 2
    assert {row["steps"] for row in values["rows"]} == {27, 45}
    best = values["rows"][0]
    finalists = values["rows"][:2]
    assert best["run"] == values["source"]
    assert best["loss"] == min(row["loss"] for row in finalists)
    assert {row["run"] for row in finalists} == {*listing.finalists_in("study")}
    assert values["labels_pick"] == max(finalists, key=lambda row: row["mig"])["run"]
    assert "The labels would have picked" in outcome.text
    assert "labels of the data set" in outcome.text

    run = eq.open_run("study/best")
    assert run.config.train.steps == 45
    assert run.scores["mig"].value == pytest.approx(best["mig"])
    assert "sap" in run.scores, "the model that is handed over has all scores"
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Why this model" in page
    assert f'href="../runs/{best["run"]}/report.html"' in page
    assert "Models can also agree on the same mistake" in page
    assert run.encode("squares.npz")["mean"].shape == (25, 2)
    assert len(open_study("study").runs) == 6
    assert "mig" in commands.compare(Path("study"), metric=["mig"]).text
    same = commands.auto(["data=squares.npz", *WORDS], budget="120s", workers=2, out=Path("study"), progress=False)
    assert same.values == values, "nothing is trained again"
    with pytest.raises(InputError, match="study holds another study, or one of other settings or budget"):
        eq.auto("squares.npz", budget="20s", out="study", settings=SETTINGS, progress=False)
    capsys.readouterr()


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.usefixtures("here", "quick", "drawn")
def test_a_few_labels_are_compared_with_the_choice_and_do_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_drive", in_this_process)
    with np.load("squares.npz") as file:
        images, factors = file["images"], file["factors"]
    without = eq.auto(images, budget="120s", workers=2, out="a", settings=SETTINGS, progress=False)
    assert without.choice["labels_pick"] is None
    assert "labels would" not in " ".join(without.choice["sentences"])
    Path("some.csv").write_text(
        "index,x\n" + "".join(f"{i},{factors[i, 0]}\n" for i in range(0, 25, 2)), encoding="utf-8"
    )
    with_labels = eq.auto(
        images, budget="120s", workers=2, out="a", labels="some.csv", settings=SETTINGS, progress=False
    )
    assert with_labels.choice["run"] == without.choice["run"]
    text = " ".join(with_labels.choice["sentences"])
    assert "your labels of 13 images" in text
    rows = [row for row in with_labels.choice["rows"] if row["mig"] is not None]
    assert len(rows) == 2
    assert with_labels.choice["labels_pick"] == max(rows, key=lambda row: row["mig"])["run"]
    Path("some.csv").write_text("index,x\n3,1\n99,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"some\.csv: 1 row \(99\) without an image"):
        eq.auto(images, budget="120s", out="b", labels="some.csv", settings=SETTINGS, progress=False)
    assert not list(Path("b").glob("runs/*")), "refused before any training"


@pytest.mark.usefixtures("here", "quick", "drawn")
def test_without_a_method_the_recipes_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_drive", lambda *_: None)
    settings = {key: value for key, value in SETTINGS.items() if key != "method.name"}
    with pytest.raises(RunError, match="no training could be finished"):
        eq.auto("squares.npz", budget="370m", workers=2, out="study", settings=settings, progress=False)
    methods = [each.method.name for each in open_study("study").runs.values()]
    assert sorted(methods) == ["aligned-vae"] * 6 + ["dynamic-vae", "l-vae"]
    assert all(each.train.threads == 1 for each in open_study("study").runs.values())


@pytest.mark.usefixtures("here", "quick")
def test_what_cannot_be_used_is_refused_before_any_work() -> None:
    def refused(message: str, *words: str, **options: Any) -> None:
        with pytest.raises(InputError, match=re.escape(message)):
            commands.auto([*words], progress=False, **options)
        assert not Path("studies").exists()

    refused("train.steps cannot be set here: auto takes it from the budget", "squares.npz", "train.steps=9")
    refused("out cannot be set here: auto takes it from --out", "squares.npz", "out=x")
    refused("--budget is soon", "squares.npz", budget="soon")
    refused("the path squars.npz does not exist", "squars.npz")
    refused("the images are missing", "train.batch=16")
    refused("--labels: there is no file none.csv", "squares.npz", labels=Path("none.csv"))
    Path("other").mkdir()
    Path("other/notes.txt").touch()
    refused("other is there already and is not a study of auto", "squares.npz", out=Path("other"))
    Path("other/study.toml").write_text('out = "other"\n[data]\nname = "dsprites"\n', encoding="utf-8")
    refused("other holds another study", "squares.npz", out=Path("other"))


@pytest.mark.slow
@pytest.mark.usefixtures("here", "quick")
def test_killed_twice_it_ends_with_the_same_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills of all processes at once, in the first and in the second stage."""
    monkeypatch.setattr(module, "_drive", lambda *_: None)
    for folder in ("whole", "killed"):
        with pytest.raises(RunError):
            eq.auto("squares.npz", budget="120s", workers=2, out=folder, settings=SETTINGS, progress=False)
    command = ("auto", "squares.npz", *WORDS, "--budget", "120s", "--out")
    code, _, error = equipoise(*command, "whole")
    assert code == 0, error
    for sign in ("runs/*/report.html", "first.json"):
        with started(*command, "killed") as process:
            until(lambda sign=sign: any(Path("killed").glob(sign)))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert not Path("killed/best").exists()
    code, _, error = equipoise(*command, "killed")
    assert code == 0, error

    def choice(folder: str) -> Any:
        stored = json.loads(Path(folder, "best/choice.json").read_text(encoding="utf-8"))
        stored["rows"] = [{key: value for key, value in row.items() if key != "seconds"} for row in stored["rows"]]
        return {key: value for key, value in stored.items() if key not in ("share", "sentences")}

    assert choice("killed") == choice("whole")
    weights = [eq.open_run(f"{folder}/best").codes["mean"] for folder in ("whole", "killed")]
    assert np.array_equal(*weights)


def test_a_damaged_study_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(tomli_w.dumps({"auto": {"budget": "x"}}), encoding="utf-8")
    with pytest.raises(InputError, match="the study file of auto is damaged"):
        open_study(tmp_path)
