"""What a search found: its trials as a table, as rows, and as a picture."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from equipoise.config import Config
from equipoise.metrics import METRICS
from equipoise.report import figures
from equipoise.report.figures import BLUE, INK, MUTED, ORANGE, plain
from equipoise.study import statistics, tables
from equipoise.study.plan import Distribution, Plan
from equipoise.study.results import Group, results
from equipoise.study.search_space import Pruned, Space, Trial
from equipoise.study.statistics import Estimate

Stage = Literal["finished", "pruned", "failed", "open"]

SHOWN = 10  # trials in the terminal
LONGER = 4  # times the steps of the search, for the command that trains its best
COLUMNS = 3  # of panels


@dataclasses.dataclass(frozen=True)
class Judged:
    """A trial and what came of it; `open` is one that is not over."""

    trial: Trial
    stage: Stage
    scores: tuple[float, ...] = ()
    """Of a finished one, a seed each."""
    reason: str = ""
    """Why it was pruned, or failed."""

    @property
    def mean(self) -> float:
        """The score that a finished trial is judged by; NaN for any other."""
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def estimate(self) -> Estimate:
        """The mean of a finished trial with its 95 % interval over seeds."""
        return statistics.estimate([np.array(self.scores)], statistics.mean)


@dataclasses.dataclass(frozen=True)
class Found:
    """A search as far as it is done."""

    space: Space
    trials: tuple[Judged, ...]

    @property
    def done(self) -> bool:
        """Whether all trials that were asked for are made, and each finished or pruned."""
        over = all(each.stage in ("finished", "pruned") for each in self.trials)
        return over and len(self.trials) >= self.space.search.trials

    @property
    def best(self) -> list[Judged]:
        """The finished trials, the best mean first; of trials with the same settings the first."""
        way = METRICS[self.space.search.metric].better
        first = [each for i, each in enumerate(self.trials) if not self._repeats(i) and each.stage == "finished"]
        return sorted(first, key=lambda each: -way * each.mean)

    @property
    def repeats(self) -> int:
        """How many trials have the settings of an earlier one, and so its runs."""
        return sum(map(self._repeats, range(len(self.trials))))

    def _repeats(self, i: int) -> bool:
        return any(each.trial.settings == self.trials[i].trial.settings for each in self.trials[:i])


def pruned(space: Space, why: Pruned) -> str:
    """One sentence on why a trial was stopped."""
    metric = space.search.metric
    score, median = (tables.figure(metric, value) for value in (why.score, why.median))
    return f"{metric} {score} until step {why.step:,}, behind {median}, the median of {why.trials} finished trials"


def line(space: Space, judged: Judged) -> str:
    """A trial that is over, in a line."""
    settings = ", ".join(f"{key} = {typed(value)}" for key, value in judged.trial.settings.items())
    metric = space.search.metric
    what = f"{metric} {tables.figure(metric, judged.mean)}" if judged.scores else f"{judged.stage}: {judged.reason}"
    return f"trial {judged.trial.number} ({settings}): {what}"


def text(found: Found) -> str:
    """The best trials, what was pruned and failed, and the command that trains the best for longer."""
    space, metric = found.space, found.space.search.metric
    counts = {stage: [each.stage for each in found.trials].count(stage) for stage in ("finished", "pruned", "failed")}
    stages = ", ".join(f"{count} {stage}" for stage, count in counts.items() if count) or "none is over yet"
    again = f", {found.repeats} with the settings of an earlier one" if found.repeats else ""
    better = "more" if METRICS[metric].better > 0 else "less"
    total = max(space.search.trials, len(found.trials))
    said = [f"{space.folder}: {total} trials by {metric}, {better} is better: {stages}{again}"]
    best = found.best
    if best:
        rows = [["", metric, "95 % interval", "seeds", *space.keys, "flags"]]
        for each in best[:SHOWN]:
            estimate = each.estimate
            settings = [typed(each.trial.settings.get(key, "–")) for key in space.keys]
            figure, ends = tables.figure(metric, estimate.value), tables.interval(metric, estimate)
            name = f"trial {each.trial.number}"
            rows.append([name, figure, ends, str(len(each.scores)), *settings, _flags(found, each.trial)])
        more = f"; the best {SHOWN}, all are in search.csv" if len(best) > SHOWN else ""
        said += ["", *tables.lines(rows), "", f"means over seeds{more}"]
        said += ["the best of many is better by luck too: score it anew, on seeds that the search has not seen"]
        said += ["trained for longer, with such a seed:", f"  {longer(found)}"]
    said += [f"{each.stage}: trial {each.trial.number}: {each.reason}" for each in found.trials if each.reason]
    if any(each.stage == "failed" for each in found.trials):
        said.append("the same command with --again tries failed runs once more")
    if len(found.trials) < space.search.trials or any(each.stage == "open" for each in found.trials):
        said.append("stopped; the same command goes on")
    return "\n".join(said)


def longer(found: Found) -> str:
    """The command that trains the best settings for longer, from a seed that the search has not seen."""
    configs = list(found.best[0].trial.runs.values())
    config = configs[0]
    seed = max(each.train.seed for each in configs) + 1
    folder = found.space.folder
    steps = LONGER * config.train.steps
    return f"equipoise train {config.out}/config.toml train.steps={steps} train.seed={seed} out={folder / 'best'}"


def typed(value: object) -> str:
    """A setting for reading: numbers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rows(found: Found) -> list[dict[str, Any]]:
    """A row for each trial: stage, score with its interval, settings, and why it was pruned or failed."""
    listed = []
    for each in found.trials:
        estimate = each.estimate if each.scores else Estimate(math.nan, math.nan, math.nan)
        listed.append(
            {
                "trial": each.trial.number,
                "stage": each.stage,
                found.space.search.metric: estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "seeds": len(each.scores),
                **{key: each.trial.settings.get(key, "") for key in found.space.keys},
                "runs": " ".join(each.trial.runs),
                "reason": each.reason,
            }
        )
    return listed


def values(found: Found) -> dict[str, Any]:
    """All that is told, for programs."""
    return {
        "study": str(found.space.folder),
        "done": found.done,
        "metric": found.space.search.metric,
        "trials": [
            {
                "trial": each.trial.number,
                "stage": each.stage,
                "score": each.mean if each.scores else None,
                "scores": each.scores,
                "settings": dict(each.trial.settings),
                "runs": list(each.trial.runs),
                "reason": each.reason,
            }
            for each in found.trials
        ],
        "best": [each.trial.number for each in found.best],
        "longer": longer(found) if found.best else None,
    }


def files(found: Found) -> dict[Path, bytes]:
    """`search.csv`, and once a trial is finished `pictures/search.svg` and `.png`, by path; none without trials."""
    folder = found.space.folder
    if not found.trials:
        return {}
    written = {folder / "search.csv": tables.csv_of(rows(found))}
    if found.best:
        drawn = history(found)
        written[folder / "pictures" / "search.svg"] = figures.svg_file(drawn, "search")
        written[folder / "pictures" / "search.png"] = figures.png(drawn)
    return written


def history(found: Found) -> Figure:
    """Figure of the scores of finished trials: in their order with the best so far, and over each searched setting.

    Pruned trials are crosses at the score with which they were stopped.
    """
    keys = found.space.keys
    panels = 1 + len(keys)
    columns = min(COLUMNS, panels)
    lines = -(-panels // columns)
    size = (max(3.2 * columns, 4.2), 2.5 * lines)
    drawn = Figure(figsize=size, facecolor="white", layout="constrained")
    grid = drawn.subplots(lines, columns, squeeze=False, sharey=True)
    every = grid.ravel()
    metric, way = found.space.search.metric, METRICS[found.space.search.metric].better
    first = every[0]
    _points(first, found, {each.trial.number: each.trial.number for each in found.trials})
    finished = [each for each in found.trials if each.stage == "finished"]
    reached = way * np.maximum.accumulate([way * each.mean for each in finished])
    numbers = [each.trial.number for each in finished]
    first.step([*numbers, len(found.trials) - 1], [*reached, reached[-1]], where="post", color=ORANGE, linewidth=1.2)
    crosses = "; × was pruned" if any(each.trial.pruned for each in found.trials) else ""
    first.set_title(f"trial; the line is the best so far{crosses}", size=9, color=INK, loc="left")
    for axes, key in zip(every[1:], keys, strict=False):
        _setting(axes, found, key)
    for row in grid:
        row[0].set_ylabel(metric if way > 0 else f"{metric}, less is better", size=8, color=MUTED)
    for axes in every[:panels]:
        plain(axes)
    for axes in every[panels:]:
        axes.set_visible(False)
    return drawn


def _setting(axes: Axes, found: Found, key: str) -> None:
    at = {each.trial.number: each.trial.settings[key] for each in found.trials if key in each.trial.settings}
    axes.set_title(key, size=9, color=INK, loc="left", parse_math=False)
    if not at:  # of a method that was not tried yet
        return
    drawn = [table[key] for table in found.space.tables if isinstance(table.get(key), Distribution)]
    if all(of.kind == "choice" for of in drawn):
        chosen = [value for i, value in enumerate(at.values()) if value not in list(at.values())[:i]]
        if all(isinstance(value, int | float) for value in chosen):
            chosen.sort()
        axes.set_xticks(range(len(chosen)), [typed(value) for value in chosen], parse_math=False)
        axes.set_xlim(-0.5, len(chosen) - 0.5)
        at = {number: chosen.index(value) for number, value in at.items()}
    elif all(of.kind == "log_uniform" for of in drawn):
        axes.set_xscale("log")
        wide = max(at.values()) > 50 * min(at.values())
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    _points(axes, found, at)


def _points(axes: Axes, found: Found, at: Mapping[int, Any]) -> None:
    """The trials at the given places: their scores and, of those that were pruned, the last."""
    here = [each for each in found.trials if each.trial.number in at]
    finished = [(at[each.trial.number], each.mean) for each in here if each.scores]
    stopped = [(at[each.trial.number], each.trial.pruned.score) for each in here if each.trial.pruned]
    axes.scatter([x for x, _ in finished], [y for _, y in finished], s=16, color=BLUE, linewidths=0, zorder=3)
    axes.scatter([x for x, _ in stopped], [y for _, y in stopped], s=14, color=MUTED, marker="x", linewidths=0.8)


def _flags(found: Found, trial: Trial) -> str:
    runs: dict[str, Config] = dict(trial.runs)
    return ", ".join(Group("", "", "", tuple(results(Plan(found.space.study, runs, ())))).flags)
