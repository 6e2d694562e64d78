"""Files of searches: what is drawn, what is fixed, what is refused; trials as files."""

import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.study.made_up import Made, write

from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.study.plan import Distribution, read_file
from equipoise.study.search.search import search
from equipoise.study.search.space import METHOD, Space, parse
from equipoise.study.search.trials import JOURNAL, Trials, stored_trials

SEARCH = """
out = "study"
seeds = 2
retries = 0
[search]
metric = "mig"
trials = 6
[data]
name = "squares.npz"
[net]
name = "factor"
latent = 2
[train]
steps = 60
batch = 16
log_every = 20
checkpoint_every = 10
[evaluate]
which = ["mig", "sse"]
every = 20
[method]
name = "beta-vae"
beta = {log_uniform = [0.5, 8.0]}
"""

CONDITIONAL = (
    SEARCH.split("[method]")[0].replace("batch = 16", "batch = [16, 24]\nlr = {uniform = [1e-4, 1e-2]}")
    + """
[[method]]
name = "beta-vae"
beta = {log_uniform = [0.5, 8.0]}
[[method]]
name = "isa-vae"
beta = {integer = [1, 4]}
layout = [[2], [1, 1]]
p0 = [2.1]
"""
)


def read(text: str = SEARCH) -> Space:
    Path("search.toml").write_text(text, encoding="utf-8")
    return parse(read_file("search.toml"))


def add(found: Space, *settings: Mapping[str, Any]) -> None:
    """Store trials with these settings."""
    state = Trials(found)
    for each in settings:
        state.add(each)


def keep(found: Space) -> Space:
    """The search with its file in its folder, as the command leaves it."""
    write_text(found.folder / "study.toml", Path("search.toml").read_text(encoding="utf-8"))
    return found


def finish(found: Space, score: Callable[[Config], float]) -> None:
    """Write the runs of all trials that have none, with the MIG that `score` says."""
    for trial in stored_trials(found):
        for config in trial.runs.values():
            if not Path(config.out).exists():
                write(config, Made(sse=10.0, scores={"mig": score(config), "sse": score(config)}))


def beta(config: Config) -> float:
    return float(config.flat()["method.beta"])  # type: ignore[arg-type]


def peak(config: Config) -> float:
    """A score that is best at beta 3, whatever the seed."""
    return 1 - abs(math.log(beta(config) / 3))


@pytest.mark.usefixtures("here")
def test_file_says_what_is_drawn_for_each_method_and_what_is_fixed() -> None:
    found = read(CONDITIONAL)
    assert found.methods == ["beta-vae", "isa-vae"]
    assert found.keys == (METHOD, "train.batch", "train.lr", "method.beta", "method.layout")
    shared = {"train.batch": Distribution("choice", [16, 24]), "train.lr": Distribution("uniform", [1e-4, 1e-2])}
    shared = {METHOD: Distribution("choice", ["beta-vae", "isa-vae"]), **shared}
    assert found.distributions("beta-vae") == shared | {"method.beta": Distribution("log_uniform", [0.5, 8.0])}
    of_isa = {"method.beta": Distribution("integer", [1, 4]), "method.layout": Distribution("choice", [[2], [1, 1]])}
    assert found.distributions("isa-vae") == shared | of_isa
    assert found.fixed("isa-vae")["method.p0"] == 2.1, "a list of one value is that value"
    assert found.fixed("beta-vae")["evaluate.which"] == ["mig", "sse"], "a setting that holds a list is no choice"
    names = [found.name("method.beta", method) for method in found.methods]
    assert names == ["beta-vae method.beta", "isa-vae method.beta"], "they have distributions of their own"
    assert found.name("train.lr", "isa-vae") == "train.lr"


REFUSED = {
    ("[search]", "trials = 3\n[search]"): "trials has no effect in a search; set trials and seed in its table [search]",
    ('metric = "mig"', ""): '[search] lacks the metric or the number of trials; add metric = "mig" and trials',
    ("trials = 6", "trials = 6\nprunes = true"): "search.prunes: no such setting of a search; did you mean prune?",
    ("trials = 6", "trials = 0"): "search.trials is 0; input should be greater than or equal to 1",
    ("trials = 6", 'trials = 6\nsampler = "grid"'): "search.sampler is 'grid'; input should be 'tpe' or 'random'",
    ('metric = "mig"', 'metric = "migg"'): "search.metric is migg; did you mean mig?",
    ('metric = "mig"', 'metric = "kl"'): "search.metric is kl, for which neither more nor less is better",
    ('metric = "mig"', 'metric = "sap"'): "search.metric is sap, which evaluate.which leaves out; add it there",
    ('metric = "mig"', 'metric = "udr"'): "search.metric udr compares the seeds of a trial; set seeds = 3 or more",
    ('[search]\nmetric = "mig"', '[search]\nprune = true\nmetric = "udr"'): "set seeds = 3",
    ("trials = 6", "trials = 6\nseed = -1"): "search.seed is -1",
    (
        "steps = 60",
        "steps = [60, 90]",
    ): "train.steps has several values, but trials must have the same data, scores and steps",
    ("every = 20", "n = [20, 25]"): "evaluate.n has several values, but trials must have the same data",
    ("{log_uniform = [0.5, 8.0]}", "2.0"): "no setting has several values to search; give one a distribution",
    ("[0.5, 8.0]", "[-0.5, 8.0]"): "method.beta: log_uniform is [-0.5, 8.0]; expected the lowest first, above 0",
    ("{log_uniform = [0.5, 8.0]}", "{uniform = [-3.0, 8.0]}"): "method.beta is -3.0; input should be greater than",
    ("[train]", "[[train]]"): "[[train]]: a search has alternatives of [[method]] only; write [train] once",
    (
        "[method]",
        '[[method]]\nname = "beta-vae"\n[[method]]',
    ): "[[method]] has the names ['beta-vae', 'beta-vae']; give each",
    ("batch = 16", "batch = 16\nseed = 3"): "seeds and train.seed both set the seeds; remove one of them",
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("change", "sentence"), REFUSED.items(), ids=[text[:40] for text in REFUSED.values()])
def test_what_cannot_be_searched_is_refused_in_one_sentence(change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        read(SEARCH.replace(*change))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("here")
def test_pruning_needs_scores_on_the_way() -> None:
    pruning = SEARCH.replace("trials = 6", "trials = 6\nprune = true")
    for every in ("", "every = 60\n"):
        with pytest.raises(InputError, match=r"needs scores during training; set evaluate\.every, well below"):
            read(pruning.replace("\nevery = 20\n", f"\n{every}"))
    with pytest.raises(InputError, match="udr has none before the end; remove prune"):
        read(pruning.replace('"mig"\n', '"udr"\n').replace("seeds = 2", "seeds = 3"))
    assert read(pruning).search.prune


def test_a_search_that_cannot_run_writes_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    read()
    with pytest.raises(InputError, match=r"equipoise search needs Optuna; pip install equipoise\[search\]"):
        search("search.toml")
    Path("study.toml").write_text(SEARCH.replace('[search]\nmetric = "mig"\ntrials = 6\n', ""), encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.toml has no table \[search\]"):
        search("study.toml")
    monkeypatch.undo()
    monkeypatch.chdir(here)
    np.savez("unknown.npz", images=np.load("squares.npz")["images"])
    read(SEARCH.replace("squares", "unknown"))
    with pytest.raises(InputError, match="mig needs factors; pass that input, or choose other metrics"):
        search("search.toml")
    read(SEARCH.replace("squares", "absent"))
    with pytest.raises(InputError, match=r"data: the path absent\.npz does not exist"):
        search("search.toml")
    read()
    with pytest.raises(InputError, match="workers is 0; expected 1 or more"):
        search("search.toml", workers=0)
    assert not Path("study").exists()


@pytest.mark.usefixtures("here")
def test_a_stored_trial_has_its_settings_and_the_runs_of_a_study() -> None:
    found = read(CONDITIONAL)
    settings = {METHOD: "isa-vae", "train.batch": 24, "train.lr": 0.001, "method.beta": 3, "method.layout": [1, 1]}
    add(found, settings)
    assert os.listdir("study") == [JOURNAL]
    (trial,) = stored_trials(found)
    assert (trial.number, trial.settings, trial.stage) == (0, settings, "open")
    for seed, (name, config) in enumerate(trial.runs.items()):
        flat = config.flat()
        assert {key: flat[key] for key in settings} == settings
        assert (flat["train.seed"], flat["train.steps"], flat["method.p0"]) == (seed, 60, 2.1)
        assert config.out == f"study/runs/{name}"
    with pytest.raises(
        InputError, match=r"trial 0 in study has method\.beta = 3, which is outside the distributions of the"
    ):
        stored_trials(read(CONDITIONAL.replace("{integer = [1, 4]}", "{integer = [1, 2]}")))
    assert (
        stored_trials(read(CONDITIONAL.replace("{integer = [1, 4]}", "{uniform = [1.0, 9.0]}")))[0].settings == settings
    )
    more = read(CONDITIONAL.replace("[16, 24]", "[16, 24, 32]"))
    assert Trials(more).more(), "a list may get more values"
    assert len(stored_trials(more)) == 2


@pytest.mark.usefixtures("here")
def test_settings_that_cannot_be_together_are_a_failed_trial() -> None:
    text = SEARCH.replace('"beta-vae"', '"dynamic-vae"')
    found = read(text.replace("beta = {log_uniform = [0.5, 8.0]}", "beta_0 = [50.0, 10.0]\nbeta_min = [0.1, 20.0]"))
    add(found, {"method.beta_0": 10.0, "method.beta_min": 20.0})  # each of them is possible beside another
    state = Trials(found)
    assert state.trials[0].stage == "failed"
    assert state.trials[0].reason.endswith("beta_0 is 10 and beta_min 20; expected beta_0 at beta_min or above")
    assert not state.plan.runs
