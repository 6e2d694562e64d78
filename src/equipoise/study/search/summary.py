"""The result of a search as text, as rows and as JSON values."""

import dataclasses
import math
import shlex
from collections import Counter
from typing import Any

from equipoise.metrics import METRICS
from equipoise.study.compare import tables
from equipoise.study.compare.results import groups, read_results
from equipoise.study.compare.statistics import Estimate
from equipoise.study.plan import Plan
from equipoise.study.search.space import Space
from equipoise.study.search.trials import Trial

MOST = 10  # trials in the terminal
LONGER = 4  # times the steps of the search, for the command that trains its best


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The trials of a search, finished or not."""

    space: Space
    trials: tuple[Trial, ...]

    @property
    def is_done(self) -> bool:
        """Whether all trials of the file were proposed, and each is finished or pruned."""
        is_over = all(trial.stage in ("finished", "pruned") for trial in self.trials)
        return is_over and len(self.trials) >= self.space.search.trials

    @property
    def best(self) -> list[Trial]:
        """The finished trials, the best mean first. Of trials with the same settings it has the first."""
        sign = METRICS[self.space.search.metric].better
        trials = [trial for i, trial in enumerate(self.trials) if not self._is_repeat(i) and trial.stage == "finished"]
        return sorted(trials, key=lambda trial: -sign * trial.mean)

    @property
    def repeats(self) -> int:
        """Number of trials with the settings, and so the runs, of an earlier one."""
        return sum(map(self._is_repeat, range(len(self.trials))))

    def _is_repeat(self, i: int) -> bool:
        return any(trial.settings == self.trials[i].settings for trial in self.trials[:i])


def line(space: Space, trial: Trial) -> str:
    """Return a line on a trial that is over."""
    settings = ", ".join(f"{key} = {short(value)}" for key, value in trial.settings.items())
    metric = space.search.metric
    result = f"{metric} {tables.figure(metric, trial.mean)}" if trial.scores else f"{trial.stage}: {trial.reason}"
    return f"trial {trial.number} ({settings}): {result}"


def text(result: SearchResult) -> str:
    """Return the best trials, those that were pruned or failed, and the command that trains the best for longer."""
    space, metric = result.space, result.space.search.metric
    counts = Counter(trial.stage for trial in result.trials)
    parts = [f"{counts[stage]} {stage}" for stage in ("finished", "pruned", "failed") if counts[stage]]
    stages = ", ".join(parts) or "none is over yet"
    again = f", {result.repeats} with the settings of an earlier one" if result.repeats else ""
    better = "more" if METRICS[metric].better > 0 else "less"
    total = max(space.search.trials, len(result.trials))
    lines = [f"{space.folder}: {total} trials by {metric}, {better} is better: {stages}{again}"]
    best = result.best
    if best:
        rows = [["", metric, "95 % interval", "seeds", *space.keys, "flags"]]
        for trial in best[:MOST]:
            figure, ends = tables.figure(metric, trial.mean), tables.interval(metric, trial.estimate)
            settings = [short(trial.settings.get(key, "–")) for key in space.keys]
            name = f"trial {trial.number}"
            rows.append([name, figure, ends, str(len(trial.scores)), *settings, _flags(space, trial)])
        more = f"; the best {MOST}, all are in search.csv" if len(best) > MOST else ""
        lines += ["", *tables.lines(rows), "", f"means over seeds{more}"]
        lines += ["the best of many trials owes part of its lead to chance: train it again with other seeds"]
        lines += ["this command trains it for longer with another seed:", f"  {longer(result)}"]
    lines += [f"{trial.stage}: trial {trial.number}: {trial.reason}" for trial in result.trials if trial.reason]
    if counts["failed"]:
        lines.append("the same command with --again retries failed runs")
    if len(result.trials) < space.search.trials or counts["open"]:
        lines.append("stopped; the same command resumes")
    return "\n".join(lines)


def longer(result: SearchResult) -> str:
    """Return the command that trains the best settings for longer, with a seed that the search has not used."""
    configs = list(result.best[0].runs.values())
    config = configs[0]
    seed = max(run.train.seed for run in configs) + 1
    steps = LONGER * config.train.steps
    out = result.space.folder / "best"
    words = (f"{config.out}/config.toml", f"train.steps={steps}", f"train.seed={seed}", f"out={out}")
    return shlex.join(["equipoise", "train", *words])


def short(value: object) -> str:
    """Format a setting, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def csv(result: SearchResult) -> bytes:
    """Return a CSV file with a row for each trial: stage, score with its interval, settings and reason."""
    metric = result.space.search.metric
    rows = []
    for trial in result.trials:
        estimate = trial.estimate if trial.scores else Estimate(math.nan)
        rows.append(
            {
                "trial": trial.number,
                "stage": trial.stage,
                metric: estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "seeds": len(trial.scores),
                **{key: trial.settings.get(key, "") for key in result.space.keys},
                "runs": " ".join(trial.runs),
                "reason": trial.reason,
            }
        )
    return tables.csv_of(rows)


def values(result: SearchResult) -> dict[str, Any]:
    """Return the result as JSON values."""
    return {
        "study": str(result.space.folder),
        "done": result.is_done,
        "metric": result.space.search.metric,
        "trials": [
            {
                "trial": trial.number,
                "stage": trial.stage,
                "score": trial.mean if trial.scores else None,
                "scores": trial.scores,
                "settings": dict(trial.settings),
                "runs": list(trial.runs),
                "reason": trial.reason,
            }
            for trial in result.trials
        ],
        "best": [trial.number for trial in result.best],
        "longer": longer(result) if result.best else None,
    }


def _flags(space: Space, trial: Trial) -> str:
    results, _ = read_results(Plan(space.study, trial.runs))
    (group,) = groups(results)
    return ", ".join(group.flags)
