"""The candidates of `auto`: their recipes, seeds and steps, and the study file that lists them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from equipoise import choice
from equipoise.choice import duration
from equipoise.config import Config, Settings
from equipoise.errors import InputError, fault
from equipoise.files import read_json
from equipoise.study.plan import Plan, Study, run_settings

RECIPES: Mapping[str, Settings] = {
    "aligned-vae": {"method.name": "aligned-vae"},
    "aligned-vae, entry 0.1": {"method.name": "aligned-vae", "method.entry": 0.1},
    "outline-vae": {"method.name": "outline-vae"},
    "l-vae": {"method.name": "l-vae", "net.name": "small"},
    "dynamic-vae": {"method.name": "dynamic-vae", "net.name": "small"},
}
"""Settings of methods that tune themselves, by the name that tables show."""

ALIGNED = ("aligned-vae", "aligned-vae", "aligned-vae, entry 0.1")
OTHERS = ("l-vae", "dynamic-vae")
MIX = (*ALIGNED, *ALIGNED, *OTHERS)  # of eight candidates; later ones repeat it
COLOUR_MIX = (*["outline-vae"] * 6, *OTHERS)  # the same for colour images
CANDIDATES = 6  # the least number, unless the budget is short
FEWEST = 3  # models, of which agreement can be computed
MOST = 24  # candidates, unless there are more workers
FIRST = 0.6  # share of the training after which all but the finalists stop; earlier losses do not distinguish models
SHARE = 0.93  # of the budget is for training steps at most; the rest for the start, codes, scores and reports
FIXED_SECONDS = 20.0  # before the first and after the last training: the measurement, all scores, the last report
SECONDS_PER_TRAINING = 8.0  # besides its steps: the start of its process, codes, scores and report
LEAST_SHARE = 0.1  # of the budget is for training steps, even if all of it then takes longer
FILE = "first.json"  # of a study: the result of the first stage


class _Candidate(TypedDict):
    recipe: str
    first: int
    settings: dict[str, Any]


class _About(TypedDict):
    request: dict[str, Any]
    budget: float
    workers: int
    finalists: int
    lines: list[str]


class Contents(TypedDict):
    """The content of the study file of `auto`: its folder, what the user asked for, and the candidates."""

    out: str
    auto: _About
    candidates: list[_Candidate]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A candidate: the name of its recipe, the steps of the first stage, and its complete settings."""

    recipe: str
    first: int
    config: Config

    @property
    def run(self) -> str:
        """The name of its run."""
        return Path(self.config.out).name

    @property
    def short(self) -> Config:
        """Its settings with the steps of the first stage."""
        return dataclasses.replace(self.config, train=dataclasses.replace(self.config.train, steps=self.first))


def numbers(budget: float, workers: int, full: float) -> tuple[int, int, float]:
    """Return the number of candidates, that of finalists, and the seconds of training of each finalist.

    There are as many finalists as workers, at least two, and as many candidates as the budget allows if finalists train
    for `full` seconds, at least six. From 24 candidates on the training is longer instead. If six candidates would
    leave less than half of the budget for training, there are three, rounded up to a multiple of the workers.

    Args:
        budget: seconds.
        workers: trainings at once.
        full: seconds of a training of the default length.
    """
    finalists = max(2, workers)
    rest = (budget - FIXED_SECONDS) * workers - finalists * ((1 - FIRST) * full + SECONDS_PER_TRAINING)
    rounds = min(int(rest / ((FIRST * full + SECONDS_PER_TRAINING) * workers)), MOST // workers)
    candidates = max(math.ceil(CANDIDATES / workers), rounds) * workers
    if _training(budget, workers, candidates, finalists) < budget * workers / 2:
        candidates = math.ceil(FEWEST / workers) * workers
    total = _training(budget, workers, candidates, finalists)
    return candidates, finalists, total / (FIRST * candidates + (1 - FIRST) * finalists)


def expected(candidates: int, finalists: int, seconds: float, workers: int) -> float:
    """Return the seconds that all of it takes, for the result of `numbers`."""
    steps = seconds * (FIRST * candidates + (1 - FIRST) * finalists)
    return FIXED_SECONDS + (steps + SECONDS_PER_TRAINING * (candidates + finalists)) / workers


def least_budget(workers: int) -> float:
    """Return the seconds of the smallest budget of which half is for training steps."""
    trainings = math.ceil(FEWEST / workers) * workers + max(2, workers)
    return 2 * (FIXED_SECONDS + SECONDS_PER_TRAINING * trainings / workers)


def _training(budget: float, workers: int, candidates: int, finalists: int) -> float:
    """The seconds of training steps, over all workers, that a budget leaves; a finalist is started twice."""
    rest = (budget - FIXED_SECONDS) * workers - SECONDS_PER_TRAINING * (candidates + finalists)
    return max(min(SHARE * budget * workers, rest), LEAST_SHARE * budget * workers)


def recipes(request: Settings, method: str) -> list[str]:
    """Return the recipes that a request allows: those beside the method for its images, or none but its own method."""
    is_open = not {"method.name", "method.preset"} & request.keys()
    return list(dict.fromkeys(COLOUR_MIX if method == choice.COLOUR else MIX)) if is_open else [""]


def compose(
    count: int, seconds: float, common: Mapping[str, Settings], rates: Mapping[str, float], seed: int
) -> list[_Candidate]:
    """Return the candidates in the order in which they start.

    Args:
        count: number of candidates.
        seconds: time of training of each.
        common: complete settings of each recipe but steps and seed.
        rates: steps per second of each recipe. Recipes of one method get the steps of the slower one, because their
            losses are compared.
        seed: the first seed.
    """
    mix = tuple(common)
    if len(common) > 1:
        mix = COLOUR_MIX if choice.COLOUR in common else MIX
    candidates: list[_Candidate] = []
    for number in range(count):
        recipe = mix[number % len(mix)]
        method = common[recipe].get("method.name")
        rate = min(rates[name] for name, each in common.items() if each.get("method.name") == method)
        steps = max(2, int(seconds * rate))
        settings = dict(common[recipe]) | {"train.steps": steps, "train.schedule_steps": steps}
        settings["train.seed"] = seed + sum(each["settings"].get("method.name") == method for each in candidates)
        candidates.append({"recipe": recipe, "first": max(1, int(FIRST * steps)), "settings": settings})
    return candidates


def parse(contents: Mapping[str, Any]) -> Contents:
    """Return the content of a study file of `auto`. Raises `InputError` for a damaged one."""
    try:
        return TypeAdapter(Contents).validate_python(contents)
    except ValidationError as error:
        raise InputError(
            f"the study file of auto is damaged ({fault(error)}); restore it, or choose another out"
        ) from None


def read(contents: Contents) -> list[Candidate]:
    """Return the candidates with their complete settings."""
    return [
        Candidate(each["recipe"], each["first"], run_settings(each["settings"], contents["out"]))
        for each in contents["candidates"]
    ]


def first_stage(candidates: Sequence[Candidate], out: str) -> Plan:
    """Return the plan of the first stage: all candidates, with a part of their steps."""
    return Plan(Study(out=out), {candidate.run: candidate.short for candidate in candidates})


def second_stage(candidates: Sequence[Candidate], finalists: Sequence[str], out: str) -> Plan:
    """Return the plan of the second stage: the finalists, with all their steps."""
    runs = {candidate.run: candidate.config for candidate in candidates if candidate.run in finalists}
    return Plan(Study(out=out), runs)


def plan(contents: Mapping[str, Any]) -> Plan:
    """Return all runs of the study, the finalists with all their steps once they are chosen."""
    study = parse(contents)
    candidates, out = read(study), study["out"]
    finalists = second_stage(candidates, finalists_in(out), out)
    return Plan(Study(out=out), {**first_stage(candidates, out).runs, **finalists.runs})


class First(TypedDict):
    """The result of the first stage: the finalists, and agreement and loss of every run that was compared."""

    finalists: list[str]
    agreement: dict[str, float]
    loss: dict[str, float]


def finalists_in(out: str) -> list[str]:
    """Return the finalists of the study in this folder; none before the end of the first stage."""
    file = Path(out) / FILE
    return read_json(file, First)["finalists"] if file.exists() else []


def line(contents: Contents) -> str:
    """Return one line on the number, the recipes and the length of the trainings."""
    candidates, about = contents["candidates"], contents["auto"]
    names = dict.fromkeys(candidate["recipe"] for candidate in candidates)
    workers = about["workers"]
    stop = "all of them train to the end"
    if about["finalists"] < len(candidates):
        stop = f"{about['finalists']} of them train to the end, the others to {100 * FIRST:.0f} %"
    return (
        f"trainings: {len(candidates)} ({', '.join(filter(None, names)) or 'seeds'}), {workers} at once; {stop}; "
        f"the budget is {duration(about['budget'])}"
    )
