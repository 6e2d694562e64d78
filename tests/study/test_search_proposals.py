"""What a search proposes, and that its journal stores every trial."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from tests.study.test_search import history
from tests.study.test_search_space import CONDITIONAL, SEARCH, add, beta, finish, keep, read

from equipoise.errors import RunError
from equipoise.study.plan import read_file
from equipoise.study.run.work import record_failure
from equipoise.study.search.space import METHOD, parse
from equipoise.study.search.trials import JOURNAL, NAME, Trials, propose, stored_trials


def simulated(
    text: str, count: int, score: Callable[[float], float], fresh: bool = False, at_once: int = 1
) -> list[dict[str, Any]]:
    """The settings that a search of `count` trials proposes, up to `at_once` of them open, if a beta scores so.

    fresh: whoever proposes one has seen nothing but the folder.
    """
    found = read(text)
    state = Trials(found)
    for number in range(count):
        if fresh:
            state = Trials(parse(read_file("search.toml")))
        assert state.more()
        if number % at_once == at_once - 1:
            finish(found, lambda config: score(beta(config)))
        state.look()
    return [dict(trial.settings) for trial in stored_trials(found)]


@pytest.mark.usefixtures("here")
def test_proposals_are_those_of_the_folder_whoever_asks_for_them() -> None:
    text = CONDITIONAL.replace("seeds = 2", "").replace("trials = 6", "trials = 13")
    settings = simulated(text, 13, math.log)
    assert settings == simulated(text.replace('"study"', '"other"'), 13, math.log, fresh=True)
    assert len({json.dumps(each) for each in settings}) == 13
    assert {each[METHOD] for each in settings} == {"beta-vae", "isa-vae"}
    assert ("method.layout" in settings[0]) == (settings[0][METHOD] == "isa-vae")
    other = simulated(text.replace('"study"', '"third"').replace("trials = 13", "trials = 13\nseed = 1"), 2, math.log)
    assert other != settings[:2], "another seed, other proposals"
    assert not Trials(read(text)).more(), "all trials of the file are there"


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


@pytest.mark.usefixtures("here")
def test_the_journal_has_each_trial_as_optuna_reads_it() -> None:
    found = read(CONDITIONAL)
    settings = {METHOD: "isa-vae", "train.batch": 24, "train.lr": 0.001, "method.beta": 3, "method.layout": [1, 1]}
    add(found, *(settings | {"method.beta": number + 1} for number in range(4)))
    first = stored_trials(found)
    finish(found, lambda config: beta(config) / 10 + config.train.seed / 10)
    for run in [*first[1].runs, *first[2].runs, *first[3].runs]:
        Path("study/runs", run, "report.html").unlink()
    record_failure(found.folder, next(iter(first[1].runs)), "it fell")
    for config in first[0].runs.values():
        history(config, s20=0.05, s60=0.15)
    state = Trials(found)
    state._store(2, {20: 0.1}, "PRUNED")
    state.look()
    assert [trial.stage for trial in state.trials] == ["finished", "failed", "pruned", "open"]
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(f"study/{JOURNAL}"))
    given = optuna.load_study(study_name=NAME, storage=journal).trials
    assert [trial.state.name for trial in given] == ["COMPLETE", "RUNNING", "PRUNED", "RUNNING"], (
        "a failed one may go on"
    )
    assert given[0].intermediate_values == {20: 0.05, 60: 0.15}
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
    assert propose(found, Trials(found).trials, 4) == propose(found, Trials(found).trials, 4)
    assert optuna.logging.get_verbosity() == loud


@pytest.mark.usefixtures("here")
def test_a_journal_with_an_incomplete_last_line_loses_no_trial() -> None:
    found = keep(read())
    add(found, {"method.beta": 1.0}, {"method.beta": 2.0})
    whole = Path("study", JOURNAL).read_bytes()
    Path("study", JOURNAL).write_bytes(whole + b'{"op_code": 4, "wor')  # as a power cut may leave it
    assert len(stored_trials(found)) == 2
    state = Trials(found)
    assert state.more()
    assert state.more()
    assert Path("study", JOURNAL).read_bytes().startswith(whole)
    assert [trial.number for trial in stored_trials(found)] == [0, 1, 2, 3]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("line", [b"[[[", b"3", b"\xff{}", b'{"op": 4}'])
def test_a_journal_with_a_damaged_line_is_refused_and_stays_as_it_is(line: bytes) -> None:
    found = keep(read())
    add(found, {"method.beta": 1.0})
    first, *others = Path("study", JOURNAL).read_bytes().splitlines()
    text = b"\n".join([first, line, *others]) + b"\n"
    Path("study", JOURNAL).write_bytes(text)
    with pytest.raises(RunError, match=r"trials\.journal is damaged in line 2; restore it from a copy"):
        Trials(found)
    with pytest.raises(RunError, match=r"trials\.journal is damaged in line 2"):
        stored_trials(found)
    assert Path("study", JOURNAL).read_bytes() == text


@pytest.mark.usefixtures("here")
def test_two_searches_on_one_folder_read_each_other() -> None:
    found = keep(read())
    one, two = Trials(found), Trials(found)
    assert one.more()
    assert two.more()
    assert [trial.settings for trial in two.trials] == [trial.settings for trial in stored_trials(found)]
    finish(found, beta)
    one.look()
    two.look()
    assert [trial.stage for trial in two.trials] == ["finished", "finished"]
