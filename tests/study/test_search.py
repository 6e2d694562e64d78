"""Searches: how trials end, what is pruned, what is proposed, and that the folder alone remembers all of it."""

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
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tests.study.conftest import WITHOUT_PICTURES, until
from tests.study.made_up import Made, write
from tests.study.test_search_space import CONDITIONAL, SEARCH, beta, finish, keep, looked, peak, read

from equipoise import runs
from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.metrics.ranking import udr
from equipoise.study import open_study, search_found
from equipoise.study import search as searching
from equipoise.study.drive import drive
from equipoise.study.plan import Plan, contents
from equipoise.study.search import Trials, ask, behind, curve, told
from equipoise.study.search_found import Found
from equipoise.study.search_space import METHOD, add, space, trials
from equipoise.study.select import select
from equipoise.study.status import Watch
from equipoise.study.work import note


def table(folder: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(folder, "search.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.usefixtures("here")
def test_trials_end_as_their_runs_do_and_the_study_counts_only_what_is_to_be_finished() -> None:
    found = keep(read())
    for number, value in enumerate([1.0, 2.0, 3.0, 4.0, 2.0]):
        add(found, number, {"method.beta": value})
    finish(found, lambda config: math.nan if beta(config) == 3 else beta(config) / 10 + config.train.seed / 100)
    first, second = trials(found)[3].runs
    for run in (first, second):
        Path("study/runs", run, "report.html").unlink()
    note(found.folder, first, "it fell")

    state = looked(found)
    assert [each.stage for each in state.judged] == ["finished", "finished", "failed", "failed", "finished"]
    assert state.judged[1].scores == pytest.approx((0.2, 0.21))
    assert state.judged[1].mean == pytest.approx(0.205)
    assert state.judged[2].reason == "mig is nan, nan for its seeds"
    assert state.judged[3].reason == f"{first}: it fell"
    assert second not in state.plan.runs, "seeds of what has failed are not begun"
    assert [state.run for state in Watch(open_study(found.folder))() if state.stage == "failed"] == [first]
    assert len(open_study(found.folder).runs) == 7

    result = Found(found, tuple(state.judged))
    assert [each.trial.number for each in result.best] == [1, 0], "the fifth repeats the second"
    assert (result.repeats, result.done) == (1, False)
    assert search_found.text(result).splitlines()[0] == (
        "study: 6 trials by mig, more is better: 3 finished, 2 failed, 1 with the settings of an earlier one"
    )


def test_trials_are_pruned_by_the_median_of_running_means() -> None:
    finished = [{10: level, 20: level + 0.2} for level in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert behind({10: 0.29}, finished, 1) == searching.Pruned(10, 0.29, 0.3, 5)
    assert behind({10: 0.3}, finished, 1) is None, "not worse than the median of 0.1 .. 0.5"
    assert behind({10: 0.0, 20: 0.39}, finished, 1) == searching.Pruned(20, 0.39, pytest.approx(0.4), 5)
    assert behind({10: 0.45, 20: 0.0}, finished, 1) is None, "its best counts"
    assert behind({10: 0.29}, finished, -1) is None
    assert behind({10: 0.31}, finished, -1) == searching.Pruned(10, 0.31, 0.3, 5)
    assert behind({10: 0.0}, finished[1:], 1) is None, "four finished trials are too few"
    assert behind({}, finished, 1) is None
    assert behind({5: 0.0}, finished, 1) is None, "nothing is known of others so early"


def history(config: Config, **scores: float) -> None:
    """Write scores on the way, by step."""
    rows = [json.dumps({"step": int(step.strip("s")), "mig": score}) for step, score in scores.items()]
    write_text(Path(config.out, "scores_history.jsonl"), "\n".join(rows))


@pytest.mark.usefixtures("here")
def test_a_trial_that_stays_behind_is_pruned_once_and_for_all() -> None:
    found = keep(read(SEARCH.replace("trials = 6", "trials = 8\nprune = true")))
    for number in range(5):
        add(found, number, {"method.beta": 1.0 + number})
    finish(found, lambda config: beta(config) / 10)
    for trial in trials(found):
        for config in trial.runs.values():
            history(config, s20=beta(config) / 100, s40=beta(config) / 50, s60=beta(config) / 10)
    for number, value in ((5, 6.0), (6, 7.0), (7, 6.0)):
        add(found, number, {"method.beta": value})
    state = looked(found)
    slow, quick = (list(each.trial.runs.values()) for each in state.judged[5:7])
    assert curve(state.judged[5].trial, "mig") == {}
    history(slow[0], s20=0.030)
    history(quick[0], s20=0.031, s40=0.046)
    state.look()
    assert [each.stage for each in state.judged[5:]] == ["open"] * 3
    history(slow[1], s20=0.028)  # the mean, 0.029, is below the median of 0.01 .. 0.05
    state.look()
    state.look()
    assert [each.stage for each in state.judged[5:]] == ["pruned", "open", "pruned"], "the last has the same runs"
    assert state.judged[5].reason == "mig 0.029 until step 20, behind 0.030, the median of 5 finished trials"
    assert not {Path(config.out).name for config in slow} & state.plan.runs.keys()

    history(slow[0], s20=0.5)
    history(slow[1], s20=0.5)
    again = looked(found)
    assert [each.stage for each in again.judged] == [each.stage for each in state.judged]
    assert len(open_study(found.folder).runs) == 12, "pruned runs are no part of the study"
    result = Found(found, tuple(again.judged))
    assert {each.trial.number for each in result.best} == {0, 1, 2, 3, 4}
    assert not result.done
    for config in quick:
        shutil.rmtree(config.out, ignore_errors=True)
        write(config, Made(sse=10.0, scores={"mig": 0.9}))
    again.look()
    result = Found(found, tuple(again.judged))
    assert result.done, "what was pruned is over"
    assert result.best[0].trial.number == 6
    assert search_found.longer(result) == (
        f"equipoise train {quick[0].out}/config.toml train.steps=240 train.seed=2 out=study/best"
    )


class Job:
    """A run that ends at once, or when it is stopped."""

    def __init__(self, over: bool) -> None:
        self.over = over
        self.stopped = False

    def ended(self) -> bool:
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
    for number in range(3):
        add(found, number, {"method.beta": 1.0 + number})
    everything = {run: config for trial in trials(found) for run, config in trial.runs.items()}
    names = list(everything)
    plan = Plan(found.study, {names[0]: everything[names[0]]}, ())
    engine = Engine(endless=names[1])
    asked = []

    def more() -> bool:
        asked.append(len(plan.runs))
        if len(plan.runs) == 4:
            return False
        plan.runs[names[len(plan.runs)]] = everything[names[len(plan.runs)]]  # type: ignore[index]
        return True

    def show() -> None:
        if len(engine.jobs) == 4:
            plan.runs.pop(names[1], None)  # type: ignore[attr-defined]

    drive(plan, engine, lambda: len(asked) > 20, show, more)
    assert list(engine.jobs) == names[:4], "each begun once, in the order of the plan"
    assert asked[0] == 1, "a place was free beside the first run"
    assert [run for run, job in engine.jobs.items() if job.stopped] == [names[1]]


@pytest.mark.usefixtures("here")
def test_a_finished_search_is_told_and_drawn_and_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", json)  # any module: nothing is asked of it
    found = read(CONDITIONAL)
    for number, method in enumerate(found.methods * 3):
        drawn = {"train.batch": 16, "train.lr": 10 ** -(2 + number / 3), "method.beta": number // 2 + 1}
        layout = {} if method == "beta-vae" else {"method.layout": [1, 1]}
        add(found, number, {METHOD: method, **drawn, **layout})
    finish(found, lambda config: peak(config) + config.train.seed / 10)
    outcome = searching.command(Path("search.toml"), workers=1, progress=False)
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
    before = {path: path.stat().st_mtime_ns for path in Path("study").rglob("*") if "trials" in path.parts}
    assert searching.command(Path("search.toml"), progress=False).text == outcome.text
    assert {path: path.stat().st_mtime_ns for path in before} == before

    read(CONDITIONAL.replace("{integer = [1, 4]}", "{integer = [3, 4]}"))
    with pytest.raises(InputError, match="which the search no longer draws"):
        searching.command(Path("search.toml"), progress=False)
    assert len(open_study("study").runs) == 12, "a file that was refused does not replace the one in the folder"


@pytest.mark.usefixtures("here")
def test_udr_of_a_trial_is_the_mean_over_its_seeds_that_select_tells() -> None:
    found = keep(read(SEARCH.replace('"mig"\n', '"udr"\n').replace("seeds = 2", "seeds = 3")))
    add(found, 0, {"method.beta": 2.0})
    base = np.random.default_rng(0).normal(size=(50, 2))
    means = [base, base[:, ::-1], base @ np.array([[0.8, 0.6], [-0.6, 0.8]])]
    for mean, config in zip(means, trials(found)[0].runs.values(), strict=True):
        write(config, Made(sse=1.0, scores={"mig": 0.5}, mean=mean))
    (judged,) = looked(found).judged
    logvar = np.full((50, 2), -4.0)
    alone = udr(means[0], [(means[1], logvar), (means[2], logvar)], logvar).value
    assert judged.scores[0] == pytest.approx(alone, abs=1e-6), "codes are kept in single precision"
    models = select(found.folder, progress=False).values["data"][0]["models"]
    assert sorted(judged.scores) == pytest.approx(sorted(model["udr"] for model in models))


def simulated(
    text: str, count: int, score: Callable[[float], float], fresh: bool = False, at_once: int = 1
) -> list[dict[str, Any]]:
    """The settings that a search of `count` trials proposes, up to `at_once` of them open, if a beta scores so.

    fresh: whoever proposes one has seen nothing but the folder.
    """
    optuna = import_module("optuna")
    found = read(text)
    state = Trials(found, optuna, Console(quiet=True))
    for number in range(count):
        if fresh:
            state = Trials(space(contents("search.toml")), optuna, Console(quiet=True))
        assert state.more()
        if number % at_once == at_once - 1:
            finish(found, lambda config: score(beta(config)))
        state.look()
    return [dict(trial.settings) for trial in trials(found)]


@pytest.mark.extra
@pytest.mark.usefixtures("here")
def test_proposals_are_those_of_the_folder_whoever_asks_for_them() -> None:
    text = CONDITIONAL.replace("seeds = 2", "").replace("trials = 6", "trials = 13")
    kept = simulated(text, 13, math.log)
    assert kept == simulated(text.replace('"study"', '"other"'), 13, math.log, fresh=True)
    assert len({json.dumps(settings) for settings in kept}) == 13
    assert {settings[METHOD] for settings in kept} == {"beta-vae", "isa-vae"}
    assert ("method.layout" in kept[0]) == (kept[0][METHOD] == "isa-vae")
    other = simulated(text.replace('"study"', '"third"').replace("trials = 13", "trials = 13\nseed = 1"), 2, math.log)
    assert other != kept[:2], "another seed, other proposals"
    assert not Trials(read(text), None, Console(quiet=True)).more(), "all that were asked for are there"


@pytest.mark.extra
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("at_once", [1, 4])
def test_tpe_moves_to_where_scores_are_better_and_random_draws_do_not(at_once: int) -> None:
    late = {}
    for sampler, metric in (("tpe", "mig"), ("tpe", "sse"), ("random", "mig"), ("random", "sse")):
        text = SEARCH.replace("seeds = 2", "").replace("trials = 6", f'trials = 24\nsampler = "{sampler}"')
        text = text.replace('"mig"\n', f'"{metric}"\n').replace('"study"', f'"{sampler}-{metric}"')
        drawn = [each["method.beta"] for each in simulated(text, 24, math.log, at_once=at_once)]
        assert len(set(drawn)) == 24, "what is open is not proposed again"
        late[sampler, metric] = float(np.median(drawn[12:]))
    assert late["tpe", "mig"] > 2 * late["tpe", "sse"], "more mig and less sse is better"
    assert late["random", "mig"] == late["random", "sse"]


@pytest.mark.extra
@pytest.mark.usefixtures("here")
def test_optuna_is_told_each_end_as_it_was() -> None:
    optuna = import_module("optuna")
    found = read(CONDITIONAL)
    settings = {METHOD: "isa-vae", "train.batch": 24, "train.lr": 0.001, "method.beta": 3, "method.layout": [1, 1]}
    for number in range(4):
        add(found, number, settings | {"method.beta": number + 1})
    first = trials(found)
    finish(found, lambda config: beta(config) / 10 + config.train.seed / 10)
    for run in [*first[1].runs, *first[2].runs, *first[3].runs]:
        Path("study/runs", run, "report.html").unlink()
    note(found.folder, next(iter(first[1].runs)), "it fell")
    searching.search_space.prune(found, first[2], searching.Pruned(20, 0.1, 0.2, 5))
    given = [told(optuna, found, each) for each in looked(found).judged]
    assert [trial.state.name for trial in given] == ["COMPLETE", "FAIL", "PRUNED", "RUNNING"]
    assert given[0].value == pytest.approx(0.15)
    assert given[2].intermediate_values == {20: 0.1}
    kinds = optuna.distributions
    assert given[0].params == {
        METHOD: 1,
        "train.batch": 1,
        "train.lr": 0.001,
        "isa-vae method.beta": 1,
        "isa-vae method.layout": 1,
    }
    assert given[0].distributions == {
        METHOD: kinds.CategoricalDistribution((0, 1)),
        "train.batch": kinds.CategoricalDistribution((0, 1)),
        "train.lr": kinds.FloatDistribution(1e-4, 1e-2),
        "isa-vae method.beta": kinds.IntDistribution(1, 4),
        "isa-vae method.layout": kinds.CategoricalDistribution((0, 1)),
    }
    loud = optuna.logging.get_verbosity()
    assert ask(optuna, found, looked(found).judged, 4) == ask(optuna, found, looked(found).judged, 4)
    assert optuna.logging.get_verbosity() == loud


SCRIPT = WITHOUT_PICTURES.replace(
    "from equipoise.cli import main", "import sys\nfrom pathlib import Path\nfrom equipoise.study.search import command"
).replace("    main()", "    command(Path(sys.argv[1]), workers=1)")


@pytest.mark.extra
@pytest.mark.timeout(900)
def test_a_search_that_is_killed_and_gone_on_with_is_the_one_that_never_was(here: Path) -> None:
    (here / "searched.py").write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    text = SEARCH.replace("seeds = 2", "seeds = 1").replace("trials = 6", "trials = 3")
    Path("search.toml").write_text(text, encoding="utf-8")
    Path("whole.toml").write_text(text.replace('"study"', '"whole"'), encoding="utf-8")
    found = space(contents("search.toml"))
    done: dict[Path, int] = {}

    def finished() -> list[Config]:
        return [config for trial in trials(found) for config in trial.runs.values() if runs.finished(config)]

    for wanted in (0, 1):  # finished runs, and another one begun, before a kill
        with subprocess.Popen(
            [sys.executable, "searched.py", "search.toml"], env=environment, start_new_session=True
        ) as p:
            until(lambda wanted=wanted: len(finished()) >= wanted and len(trials(found)) > wanted)
            time.sleep(random.SystemRandom().uniform(0, 1))
            os.killpg(p.pid, signal.SIGKILL)
        for config in finished():
            for path in Path(config.out).iterdir():
                assert done.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    for file in ("search.toml", "whole.toml"):
        subprocess.run([sys.executable, "searched.py", file], env=environment, check=True)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "no finished run was touched"
    for number in range(3):
        assert (
            Path(f"study/trials/000{number}.json").read_bytes() == Path(f"whole/trials/000{number}.json").read_bytes()
        )
    assert [row["mig"] for row in table("study")] == [row["mig"] for row in table("whole")]
    assert len(finished()) == 3
