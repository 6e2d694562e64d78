"""Searches: how trials end, what is pruned, and that the folder of a search resumes it."""

import csv
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.study.conftest import WITHOUT_PICTURES, until
from tests.study.made_up import Made, write
from tests.study.test_search_space import CONDITIONAL, SEARCH, add, beta, finish, keep, peak, read

from equipoise import commands, runs
from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.metrics.ranking import udr
from equipoise.study import open_study
from equipoise.study.plan import Plan, read_file
from equipoise.study.run.drive import drive
from equipoise.study.run.status import Watch
from equipoise.study.run.work import record_failure
from equipoise.study.search import summary
from equipoise.study.search.space import METHOD, parse
from equipoise.study.search.summary import SearchResult
from equipoise.study.search.trials import JOURNAL, Trials, score_curve, stored_trials


def table(folder: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(folder, "search.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.usefixtures("here")
def test_two_processes_do_not_propose_the_same_trial() -> None:
    space = keep(read())
    first, second = Trials(space), Trials(space)
    assert first.more()
    assert second.more()
    one, other = stored_trials(space)
    assert one.settings != other.settings


@pytest.mark.usefixtures("here")
def test_trials_end_as_their_runs_do_and_the_study_counts_only_what_is_to_be_finished() -> None:
    found = keep(read())
    add(found, *({"method.beta": value} for value in [1.0, 2.0, 3.0, 4.0, 2.0]))
    finish(found, lambda config: math.nan if beta(config) == 3 else beta(config) / 10 + config.train.seed / 100)
    first, second = stored_trials(found)[3].runs
    for run in (first, second):
        Path("study/runs", run, "report.html").unlink()
    record_failure(found.folder, first, "it fell")

    state = Trials(found)
    assert [each.stage for each in state.trials] == ["finished", "finished", "failed", "failed", "finished"]
    assert state.trials[1].scores == pytest.approx((0.2, 0.21))
    assert state.trials[1].mean == pytest.approx(0.205)
    assert state.trials[2].reason == "mig is nan, nan for its seeds"
    assert state.trials[3].reason == f"{first}: it fell"
    assert second not in state.plan.runs, "seeds of what has failed are not begun"
    assert [state.run for state in Watch(open_study(found.folder))() if state.stage == "failed"] == [first]
    assert len(open_study(found.folder).runs) == 7

    result = SearchResult(found, tuple(state.trials))
    assert [each.number for each in result.best] == [1, 0], "the fifth repeats the second"
    assert (result.repeats, result.is_done) == (1, False)
    assert summary.text(result).splitlines()[0] == (
        "study: 6 trials by mig, more is better: 3 finished, 2 failed, 1 with the settings of an earlier one"
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("metric", ["mig", "sse"])
def test_trials_are_pruned_by_the_median_of_finished_ones_at_the_same_step(metric: str) -> None:
    text = SEARCH.replace("trials = 6", "trials = 20\nprune = true").replace('"mig"\n', f'"{metric}"\n')
    found = keep(read(text))
    sign = 1 if metric == "mig" else -1

    def stages(*curves: dict[str, float]) -> list[str]:
        """How trials end that have scored so far as the curves tell."""
        before = len(stored_trials(found))
        add(found, *({"method.beta": 6.0 + (before + i) / 10} for i in range(len(curves))))
        for trial, curve in zip(stored_trials(found)[before:], curves, strict=True):
            for config in trial.runs.values():
                history(config, metric, **{step: sign * score for step, score in curve.items()})
        return [trial.stage for trial in Trials(found).trials[before:]]

    def more(level: float) -> None:
        add(found, {"method.beta": 1.0 + level})
        for config in stored_trials(found)[-1].runs.values():
            write(config, Made(sse=10.0, scores={metric: sign * level}))
            history(config, metric, s10=sign * level, s20=sign * (level + 0.2))
        assert Trials(found).trials[-1].stage == "finished"

    for level in (0.1, 0.2, 0.3, 0.4):
        more(level)
    assert stages({"s10": 0.0}) == ["open"], "four finished trials are too few"
    shutil.rmtree("study")
    keep(found)
    for level in (0.1, 0.2, 0.3, 0.4, 0.5):
        more(level)
    assert stages({"s10": 0.29}, {"s10": 0.3}) == ["pruned", "open"], "not worse than the median of 0.1 .. 0.5"
    assert stages({"s10": 0.0, "s20": 0.49}, {"s10": 0.55, "s20": 0.0}) == ["pruned", "open"], "its best counts"
    assert stages({}, {"s5": 0.0}) == ["open", "open"], "no other trial was scored so early"


def history(config: Config, metric: str = "mig", **scores: float) -> None:
    """Write scores during training, by step."""
    rows = [json.dumps({"step": int(step.strip("s")), metric: score}) for step, score in scores.items()]
    write_text(Path(config.out, "scores_history.jsonl"), "\n".join(rows))


@pytest.mark.usefixtures("here")
def test_a_trial_that_stays_behind_is_pruned_once_and_for_all() -> None:
    found = keep(read(SEARCH.replace("trials = 6", "trials = 8\nprune = true")))
    add(found, *({"method.beta": 1.0 + number} for number in range(5)))
    finish(found, lambda config: beta(config) / 10)
    for trial in stored_trials(found):
        for config in trial.runs.values():
            history(config, s20=beta(config) / 100, s40=beta(config) / 50, s60=beta(config) / 10)
    add(found, *({"method.beta": value} for value in (6.0, 7.0, 6.0)))
    state = Trials(found)
    slow, quick = (list(each.runs.values()) for each in state.trials[5:7])
    assert score_curve(state.trials[5], "mig") == {}
    history(slow[0], s20=0.030)
    history(quick[0], s20=0.031, s40=0.061)
    state.look()
    assert [each.stage for each in state.trials[5:]] == ["open"] * 3
    history(slow[1], s20=0.028)  # the mean, 0.029, is below the median of 0.01 .. 0.05
    state.look()
    state.look()
    assert [each.stage for each in state.trials[5:]] == ["pruned", "open", "pruned"], "the last has the same runs"
    assert state.trials[5].reason == "mig 0.029 at step 20, below the median of the finished trials"
    assert not {Path(config.out).name for config in slow} & state.plan.runs.keys()

    history(slow[0], s20=0.5)
    history(slow[1], s20=0.5)
    again = Trials(found)
    assert [each.stage for each in again.trials] == [each.stage for each in state.trials]
    assert len(open_study(found.folder).runs) == 12, "pruned runs are no part of the study"
    result = SearchResult(found, tuple(again.trials))
    assert {each.number for each in result.best} == {0, 1, 2, 3, 4}
    assert not result.is_done
    for config in quick:
        shutil.rmtree(config.out, ignore_errors=True)
        write(config, Made(sse=10.0, scores={"mig": 0.9}))
    again.look()
    result = SearchResult(found, tuple(again.trials))
    assert result.is_done, "what was pruned is over"
    assert result.best[0].number == 6
    assert summary.longer(result) == (
        f"equipoise train {quick[0].out}/config.toml train.steps=240 train.seed=2 out=study/best"
    )


class Job:
    """A run that ends at once, or when it is stopped."""

    def __init__(self, over: bool) -> None:
        self.over = over
        self.stopped = False

    def has_ended(self) -> bool:
        return self.over

    def stop(self) -> None:
        self.over = self.stopped = True

    def join(self) -> None:
        assert self.over


class Engine:
    """Two places, on one of which a run never ends by itself."""

    slots = 2

    def __init__(self, endless: str) -> None:
        self.endless = endless
        self.jobs: dict[str, Job] = {}

    def start(self, configs: Sequence[Config], study: Path) -> list[Job]:  # noqa: ARG002
        begun = {Path(config.out).name: Job(Path(config.out).name != self.endless) for config in configs}
        for config in configs:
            if Path(config.out).name != self.endless:
                write(config, Made(sse=1.0, scores={"mig": 0.5}))
        self.jobs |= begun
        return list(begun.values())

    def wait(self, jobs: Collection[Job], seconds: float) -> None:
        """Nothing is waited for."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.usefixtures("here")
def test_driver_asks_for_more_while_a_place_is_free_and_stops_what_leaves_the_plan() -> None:
    found = read()
    add(found, *({"method.beta": 1.0 + number} for number in range(3)))
    everything = {run: config for trial in stored_trials(found) for run, config in trial.runs.items()}
    names = list(everything)
    plan = Plan(found.study, {names[0]: everything[names[0]]})
    engine = Engine(endless=names[1])
    asked = []
    waiting = names[1:4]

    def more() -> bool:
        asked.append(len(plan.runs))
        if not waiting:
            return False
        run = waiting.pop(0)
        plan.runs[run] = everything[run]  # type: ignore[index]
        return True

    def look() -> None:
        if len(engine.jobs) == 4:
            plan.runs.pop(names[1], None)  # type: ignore[attr-defined]

    drive(plan, engine, Console(quiet=True), look, more)
    assert list(engine.jobs) == names[:4], "each begun once, in the order of the plan"
    assert asked[0] == 1, "a place was free beside the first run"
    assert [run for run, job in engine.jobs.items() if job.stopped] == [names[1]]


@pytest.mark.usefixtures("here")
def test_a_finished_search_is_described_and_drawn_and_nothing_is_started() -> None:
    found = read(CONDITIONAL)
    for number, method in enumerate(found.methods * 3):
        drawn = {"train.batch": 16, "train.lr": 10 ** -(2 + number / 3), "method.beta": number // 2 + 1}
        layout = {} if method == "beta-vae" else {"method.layout": [1, 1]}
        add(found, {METHOD: method, **drawn, **layout})
    finish(found, lambda config: peak(config) + config.train.seed / 10)
    outcome = commands.search(Path("search.toml"), workers=1, progress=False)
    assert outcome.values["done"]
    assert outcome.values["best"] == [4, 5, 2, 3, 0, 1]
    assert outcome.values["trials"][4]["score"] == pytest.approx(1.05)
    lines = outcome.text.splitlines()
    assert lines[0] == "study: 6 trials by mig, more is better: 6 finished"
    assert re.fullmatch(r"  trial 4 +1\.050 +1\.000\.\.1\.100 +2 +beta-vae +16 +0\.0004642 +3 +–", lines[3])
    assert lines[-1] == "wrote study/search.csv, study/pictures/search.svg, study/pictures/search.png"
    assert Path("study/pictures/search.png").read_bytes().startswith(b"\x89PNG")
    drawing = Path("study/pictures/search.svg").read_text()
    assert all(f">{key}<" in drawing for key in ("method.name", "train.lr", "method.beta", "method.layout", "mig"))
    rows = table("study")
    assert [float(row["mig"]) for row in rows] == [trial["score"] for trial in outcome.values["trials"]]
    assert (rows[4]["stage"], rows[4]["method.layout"], rows[5]["method.layout"]) == ("finished", "", "[1, 1]")
    assert {state.stage for state in Watch(open_study("study"))()} == {"done"}
    before = Path("study", JOURNAL).read_bytes()
    assert commands.search(Path("search.toml"), progress=False).text == outcome.text
    assert Path("study", JOURNAL).read_bytes() == before

    read(CONDITIONAL.replace("{integer = [1, 4]}", "{integer = [3, 4]}"))
    with pytest.raises(InputError, match="which is outside the distributions of the file"):
        commands.search(Path("search.toml"), progress=False)
    assert len(open_study("study").runs) == 12, "a file that was refused does not replace the one in the folder"


@pytest.mark.usefixtures("here")
def test_a_damaged_file_of_a_run_fails_its_trial_alone() -> None:
    space = keep(read(SEARCH))
    for value in (1.0, 2.0):
        add(space, {"method.beta": value})
    finish(space, peak)
    damaged = next(iter(stored_trials(space)[0].runs.values()))
    Path(damaged.out, "scores.json").write_text("{")
    first, second = Trials(space).trials
    assert (first.stage, second.stage) == ("failed", "finished")
    assert "scores.json" in first.reason


@pytest.mark.usefixtures("here")
def test_udr_of_a_trial_is_the_mean_over_its_seeds_that_select_tells() -> None:
    found = keep(read(SEARCH.replace('"mig"\n', '"udr"\n').replace("seeds = 2", "seeds = 3")))
    add(found, {"method.beta": 2.0})
    base = np.random.default_rng(0).normal(size=(50, 2))
    means = [base, base[:, ::-1], base @ np.array([[0.8, 0.6], [-0.6, 0.8]])]
    for mean, config in zip(means, stored_trials(found)[0].runs.values(), strict=True):
        write(config, Made(sse=1.0, scores={"mig": 0.5}, mean=mean))
    (trial,) = Trials(found).trials
    logvar = np.full((50, 2), -4.0)
    alone = udr(means[0], [(means[1], logvar), (means[2], logvar)], logvar).value
    assert trial.scores[0] == pytest.approx(alone, abs=1e-6), "codes are kept in single precision"
    models = commands.select(found.folder, progress=False).values["data"][0]["models"]
    assert sorted(trial.scores) == pytest.approx(sorted(model["udr"] for model in models))


SCRIPT = WITHOUT_PICTURES.replace(
    "from equipoise.cli import main",
    "import sys\nfrom pathlib import Path\nfrom equipoise.commands import search",
).replace("    main()", "    search(Path(sys.argv[1]), workers=1)")


@pytest.mark.timeout(900)
def test_a_search_that_is_killed_and_gone_on_with_is_the_one_that_never_was(here: Path) -> None:
    (here / "searched.py").write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    text = SEARCH.replace("seeds = 2", "seeds = 1").replace("trials = 6", "trials = 3")
    Path("search.toml").write_text(text, encoding="utf-8")
    Path("whole.toml").write_text(text.replace('"study"', '"whole"'), encoding="utf-8")
    found = parse(read_file("search.toml"))
    done: dict[Path, int] = {}

    def finished() -> list[Config]:
        return [config for trial in stored_trials(found) for config in trial.runs.values() if runs.is_finished(config)]

    for wanted in (0, 1):  # finished runs, and another one begun, before a kill
        with subprocess.Popen(
            [sys.executable, "searched.py", "search.toml"], env=environment, start_new_session=True
        ) as p:
            until(lambda wanted=wanted: len(finished()) >= wanted and len(stored_trials(found)) > wanted)
            time.sleep(random.SystemRandom().uniform(0, 1))
            os.killpg(p.pid, signal.SIGKILL)
        for config in finished():
            for path in Path(config.out).iterdir():
                assert done.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    for file in ("search.toml", "whole.toml"):
        subprocess.run([sys.executable, "searched.py", file], env=environment, check=True)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "no finished run was touched"
    whole = stored_trials(parse(read_file("whole.toml")))
    assert [trial.settings for trial in stored_trials(found)] == [trial.settings for trial in whole]
    assert [row["mig"] for row in table("study")] == [row["mig"] for row in table("whole")]
    assert len(finished()) == 3
