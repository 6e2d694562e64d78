"""What a person sees of a study: how many runs are done, which are running, how long it takes, what failed."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from equipoise.study.plan import Plan
from equipoise.study.status import Stage, State

STAGES: tuple[Stage, ...] = ("done", "running", "waiting", "failed")


def summary(states: Sequence[State]) -> str:
    """One line: runs by stage, images a second, time left."""
    counts = Counter(state.stage for state in states)
    said = [f"{counts[stage]} {stage}" for stage in STAGES if counts[stage]]
    rate = sum(state.images_per_second or 0 for state in states)
    left = seconds_left(states)
    if rate:
        said.append(f"{rate:,.0f} images/s")
    if left:
        said.append(f"about {duration(left)} of training left")
    return f"{len(states)} {'run' if len(states) == 1 else 'runs'}: {', '.join(said)}"


def duration(seconds: float) -> str:
    """Days, hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def seconds_left(states: Sequence[State]) -> float | None:
    """Seconds of training that are left at the pace of what runs now; None where nothing is known yet."""
    pace = sum(state.steps_per_second or 0 for state in states if state.stage == "running")
    steps = sum(state.steps - state.step for state in states if state.stage in ("running", "waiting"))
    return steps / pace if pace else None


def lines(states: Sequence[State]) -> list[str]:
    """The summary, and a line for each run that is running or failed."""
    said = [summary(states)]
    for state in states:
        if state.stage == "running":
            again = f"; failed before: {state.reason}" if state.reason else ""
            said.append(f"  {state.run} is at step {state.step:,} of {state.steps:,} ({state.holder}){again}")
        elif state.stage == "failed":
            said.append(f"  {state.run} failed {_times(state.tries)}: {state.reason}")
    return said


def listing(plan: Plan, states: Sequence[State]) -> list[str]:
    """A line for each run: its name, the settings in which runs differ, its stage."""
    rows = [["run", *plan.varied, "stage"]]
    for state in states:
        settings = plan.runs[state.run].flat()
        rows.append([state.run, *(str(settings.get(key, "–")) for key in plan.varied), state.stage])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


@contextmanager
def shown(console: Console, states: Callable[[], Sequence[State]]) -> Iterator[Callable[[], None]]:
    """A function that shows the states anew: a moving board on a terminal, a line for each run that ends elsewhere."""
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live:
            yield lambda: live.update(_board(states()), refresh=True)
        return
    ended = {state.run for state in states() if state.stage in ("done", "failed")}

    def show() -> None:
        now = states()
        for state in now:
            if state.stage in ("done", "failed") and state.run not in ended:
                ended.add(state.run)
                reason = f": {state.reason}" if state.stage == "failed" else ""
                said = f"{len(ended)} of {len(now)}: {state.run} {state.stage}{reason}"
                console.print(said, markup=False, highlight=False, soft_wrap=True)

    yield show


def _board(states: Sequence[State]) -> RenderableType:
    """The summary, a line with a bar for each run that is running, and the reasons of what failed."""
    total, done = sum(state.steps for state in states), sum(state.step for state in states)
    rows = Table.grid(padding=(0, 2))
    for state in states:
        if state.stage == "running":
            rate = f"{state.images_per_second:,.0f} images/s" if state.images_per_second else ""
            bar = ProgressBar(total=state.steps, completed=state.step, width=24)
            rows.add_row(Text(state.run), bar, f"{state.step:,} of {state.steps:,}", rate, Text(state.holder, "dim"))
    failed = [Text(f"{state.run} failed: {state.reason}", "red") for state in states if state.stage == "failed"]
    return Group(Text(summary(states), "bold"), ProgressBar(total=total, completed=done, width=60), rows, *failed)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
