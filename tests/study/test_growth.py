"""Large studies: what is computed once, what a look reads again, and what the page of many settings has."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.study.compared import comparison, known, planned, write
from tests.study.made_up import Made, study

from equipoise import codes, commands, report
from equipoise import config as configuration
from equipoise.claim import Claims
from equipoise.config import Config
from equipoise.report import summary
from equipoise.study import open_study, read
from equipoise.study.compare.comparison import MOST
from equipoise.study.compare.results import Result, read_results
from equipoise.study.run import status
from equipoise.study.run.status import Watch
from equipoise.study.run.work import record_failure

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "studies.py"


def results(folder: Path) -> list[Result]:
    return read_results(open_study(folder))[0]


def test_a_second_comparison_reads_summaries_and_no_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = results(write(tmp_path))
    assert all((path / summary.FILE).exists() for path in planned(tmp_path))

    def refuse(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(codes, "load", refuse)
    monkeypatch.setattr(report.summary, "flags", refuse)
    assert results(tmp_path) == first


def test_a_summary_is_of_the_present_files_and_whole(tmp_path: Path) -> None:
    run = planned(write(tmp_path))[0]
    results(tmp_path)
    assert summary.read(run) is not None
    stored = json.loads((run / "scores.json").read_text())
    stored["scores"]["sap"]["value"] = 0.7
    (run / "scores.json").write_text(json.dumps(stored))
    assert summary.read(run) is None
    assert results(tmp_path)[0].scores["sap"] == 0.7
    text = (run / summary.FILE).read_text()
    for damaged in (text.replace("0.7", "0.9"), text[:-5], text.replace('"version": "', '"version": "0.')):
        (run / summary.FILE).write_text(damaged)
        assert summary.read(run) is None
        assert results(tmp_path)[0].scores["sap"] == 0.7
        assert (run / summary.FILE).read_text() == text


def test_scores_that_are_no_number_are_in_the_summary_too(tmp_path: Path) -> None:
    write(tmp_path, made=lambda _: Made(sse=20.0, scores={"mig": np.nan, "sap": np.inf}, beta=2))
    for _ in range(2):
        assert np.isnan(results(tmp_path)[0].scores["mig"])
        assert results(tmp_path)[0].scores["sap"] == np.inf
        assert results(tmp_path)[0].beta_equivalent == 2.0
    assert summary.read(planned(tmp_path)[0]) is not None


def test_seeds_are_planned_from_one_validated_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    outline = configuration.outline

    def count(config: Config) -> object:
        calls.append(config.method.name)
        return outline(config)

    monkeypatch.setattr(configuration, "outline", count)
    text = 'seeds = 20\n[data]\nname = ["dsprites", "rooms3d"]\n[method]\nname = "beta-vae"\nbeta = [1, 2]\n'
    (tmp_path / "study.toml").write_text(text)
    plan = read(tmp_path / "study.toml", out=tmp_path)
    assert len(plan.runs) == 80
    assert len(calls) <= 2 * (4 + 20), "each setting and each seed once"
    monkeypatch.undo()
    for name, config in plan.runs.items():
        alone = configuration.resolve({**config.flat(), "out": config.out})
        assert alone == config
        assert name == f"{config.data.name}-beta-vae-{configuration.identity(config)}"
    assert plan.varied == ("data.name", "train.seed", "method.beta")


def test_a_look_reads_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = iter([True, True, False, False, False, False])
    study(
        tmp_path,
        'seeds = 6\ndata = {name = "dsprites"}\nmethod = {name = "beta-vae"}\ntrain = {steps = 500}\n',
        lambda _: Made(1.0, {}) if next(begun) else None,
    )
    plan = open_study(tmp_path)
    names, paths = list(plan.runs), planned(tmp_path)
    read_again: list[str] = []
    state = status._read_state

    def count(plan: object, claims: Claims, run: str) -> status.State:
        read_again.append(run)
        return state(plan, claims, run)  # type: ignore[arg-type]

    monkeypatch.setattr(status, "_read_state", count)
    watch = Watch(plan)

    def look() -> tuple[list[str], list[str]]:
        read_again.clear()
        states = watch()
        assert [each.run for each in states] == names
        return [each.stage for each in states], list(read_again)

    stages = ["done", "done", "waiting", "waiting", "waiting", "waiting"]
    assert look() == (stages, names)
    assert look() == (stages, []), "nothing changed"
    record_failure(tmp_path, names[3], "no memory", hopeless=True)
    stages[3] = "failed"
    assert look() == (stages, [names[3]])
    claim = Claims().take(paths[4])
    assert claim is not None
    stages[4] = "running"
    assert look() == (stages, [names[4]])
    assert look() == (stages, [names[4]]), "a run that a process works on is read each time"
    claim.release()
    stages[4] = "waiting"
    assert look() == (stages, [names[4]])
    assert look() == (stages, [])
    (tmp_path / "failures" / f"{names[3]}.json").unlink()
    stages[3] = "waiting"
    assert look() == (stages, [names[3]])


def test_the_state_of_a_run_in_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned(write(tmp_path))[0]
    monkeypatch.chdir(run)
    assert commands.status(Path("."), progress=False).text.endswith("1 run: 1 done")


def test_of_many_settings_a_table_has_those_that_lead_in_a_metric(tmp_path: Path) -> None:
    betas = [float(beta) for beta in range(1, MOST + 41)]
    text = f'data = {{name = "dsprites"}}\nmethod = {{name = "beta-vae", beta = {betas}}}\n'

    def made(config: Config) -> Made:
        beta = float(str(config.flat()["method.beta"]))
        return Made(sse=500 - beta, scores={"mig": beta / 1000, "sap": 1 / beta}, beta=beta)

    study(tmp_path, text, made)
    outcome = commands.compare(tmp_path)
    (block,) = comparison(tmp_path).blocks
    listed = {group.setting for group in block.table_groups}
    assert listed == {f"beta={beta:g}" for beta in [*betas[:25], *betas[-25:]]}, "of sap, of mig and the squared error"
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    sentence = "50 of 240 settings, those with one of the best 25 means of a metric"
    assert sentence in page
    assert f"{sentence}; --to table.csv writes all" in outcome.text
    assert "50 of 240 runs" in page
    assert page.count("report.html") == 51
    assert len(outcome.values["groups"]) == 240 * 3
    assert block.best["mig"] == {"beta-vae beta=240"}


def test_a_small_study_has_all_settings_and_runs(tmp_path: Path) -> None:
    commands.compare(write(tmp_path, made=known))
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "All runs" in page
    assert "those with one of the best" not in page


def test_the_benchmark_makes_up_a_study_and_measures_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("studies", BENCHMARK)
    assert spec
    assert spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "IMAGES", 200)
    monkeypatch.setattr(benchmark, "in_new_process", benchmark.one)
    make_up: Callable[..., None] = benchmark.make_up
    make_up(tmp_path / "made", 40, True)
    assert len(results(tmp_path / "made")) == 40
    assert summary.read(planned(tmp_path / "made")[0]) is not None
    found = benchmark.growth([40], 252, True)
    assert [figures["memory_mb"] > 0 for figures in found.values()] == [True] * 3
    assert "252 runs, none begun: plan_s" in capsys.readouterr().out
