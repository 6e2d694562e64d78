"""The finished runs of a study: what tells them apart, and which way each metric is better."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.study.made_up import Made, study

from equipoise import commands, report, runs
from equipoise.files import write_text
from equipoise.metrics import METRICS
from equipoise.study import read
from equipoise.study.compare.results import groups, read_results


def test_settings_tell_runs_of_a_method_apart_and_nothing_else(tmp_path: Path) -> None:
    text = """
    seeds = 2
    [data]
    name = ["dsprites", "a/shapes.npz", "b/shapes.npz", "c/mine.npz"]
    [[method]]
    name = "beta-vae"
    preset = ["paper_lvae", "paper_isa"]
    [[method]]
    name = "vae"
    [[net]]
    latent = [6, 8]
    """
    plan = study(tmp_path, text, lambda _: Made(20, {}))
    found, _ = read_results(plan)
    assert {result.setting for result in found if result.method == "vae"} == {"net.latent=6", "net.latent=8"}
    of_beta = {result.setting for result in found if result.method == "beta-vae"}
    assert of_beta == {
        f"preset={name} net.latent={latent}" for name in ("paper_lvae", "paper_isa") for latent in (6, 8)
    }
    assert {result.data for result in found} == {"dsprites", "a/shapes.npz", "b/shapes.npz", "mine"}
    assert all(len(group.results) == 2 for group in groups([each for each in found if each.data == "mine"]))


def test_settings_that_differ_in_the_last_digit_are_told_apart(tmp_path: Path) -> None:
    text = '[data]\nname = "dsprites"\n[method]\nname = "beta-vae"\nbeta = [1.00000001, 1.00000002, 4.0]\n'
    plan = study(tmp_path, text, lambda _: Made(20, {}))
    assert [result.setting for result in read_results(plan)[0]] == ["beta=1.00000001", "beta=1.00000002", "beta=4.0"]


def test_scores_against_factors_are_shares_of_a_perfect_score_of_which_more_is_better() -> None:
    supervised = {name for name, metric in METRICS.items() if "factors" in metric.needs}
    assert {name for name, metric in METRICS.items() if metric.is_normalised} == supervised | {"udr"}
    assert all(METRICS[name].better == 1 for name in supervised)


def test_trained_runs_are_compared_without_loading_their_models(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"""
    out = "{tmp_path}"
    seeds = 2
    [data]
    name = "{squares()}"
    [net]
    name = "burgess"
    latent = 3
    [train]
    steps = 4
    batch = 8
    [evaluate]
    which = ["mig"]
    [method]
    name = "l-vae"
    """
    write_text(tmp_path / "study.toml", text)
    plan = read(tmp_path / "study.toml")
    trained = [runs.execute(config, progress=False) for config in plan.runs.values()]
    said = [report.flags(run) for run in trained]
    monkeypatch.setattr(runs, "build", None)
    outcome = commands.compare(tmp_path)
    sse, mig = (next(row for row in outcome.values["groups"] if row["metric"] == metric) for metric in ("sse", "mig"))
    assert sse["mean"] == pytest.approx(np.mean([np.mean(run.codes["sse"]) for run in trained]))
    assert mig["mean"] == pytest.approx(np.mean([run.scores["mig"].value for run in trained]))
    assert sse["beta_equivalent"] == pytest.approx(np.mean([run.logs[-1]["beta_equivalent"] for run in trained]))
    assert [tuple(result.flags) for result in read_results(plan)[0]] == [tuple(each) for each in said]
    assert "saturated" in said[0] or "not settled" in said[0]
