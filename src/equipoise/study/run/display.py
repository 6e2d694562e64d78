"""The progress of a study for people: counts of runs, speed, time left, and reasons of failures."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from equipoise.outcome import align
from equipoise.study.plan import Plan
from equipoise.study.run.status import Stage, State

STAGES: tuple[Stage, ...] = ("done", "running", "waiting", "failed")


def summary(states: Sequence[State]) -> str:
    """Return one line: runs by stage, images per second, time left."""
    counts = Counter(state.stage for state in states)
    parts = [f"{counts[stage]} {stage}" for stage in STAGES if counts[stage]]
    rate = sum(state.images_per_second or 0 for state in states)
    seconds = seconds_left(states)
    if rate:
        parts.append(f"{rate:,.0f} images/s")
    if seconds:
        parts.append(f"about {duration(seconds)} of training left")
    return f"{len(states)} {'run' if len(states) == 1 else 'runs'}: {', '.join(parts)}"


def duration(seconds: float) -> str:
    """Return the time as days, hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def seconds_left(states: Sequence[State]) -> float | None:
    """Return the seconds of training left at the current speed; None where it is unknown."""
    pace = sum(state.steps_per_second or 0 for state in states if state.stage == "running")
    steps = sum(state.steps - state.step for state in states if not state.is_over)
    return steps / pace if pace else None


def lines(states: Sequence[State]) -> list[str]:
    """Return a line for each run that a process works on or that failed."""
    result = []
    for state in states:
        if state.stage == "running":
            again = f"; failed before: {state.reason}" if state.reason else ""
            result.append(f"  {state.run} is at step {state.step:,} of {state.steps:,} ({state.holder}){again}")
        elif state.stage == "failed":
            tries = f" {_times(state.tries)}" if state.tries else ""
            result.append(f"  {state.run} failed{tries}: {state.reason}")
        elif state.holder:
            result.append(f"  {state.run} is {state.stage}; {state.holder} works on it")
    return result


def listing(plan: Plan, states: Sequence[State]) -> list[str]:
    """Return a line for each run: its name, the settings that differ between runs, its stage."""
    rows = [["run", *plan.varied, "stage"]]
    for state in states:
        settings = plan.runs[state.run].flat()
        rows.append([state.run, *(str(settings.get(key, "–")) for key in plan.varied), state.stage])
    return align(rows, slice(0))


@contextmanager
def live(console: Console, states: Callable[[], Sequence[State]]) -> Iterator[Callable[[], None]]:
    """Yield a function that shows the states: a live table on a terminal, otherwise a line for each run that ends."""
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as display:
            yield lambda: display.update(_table(states()), refresh=True)
        return
    runs = {state.run for state in states() if state.is_over}  # that were printed or over before

    def show() -> None:
        new_states = states()
        for state in new_states:
            if state.is_over and state.run not in runs:
                runs.add(state.run)
                reason = f": {state.reason}" if state.stage == "failed" else ""
                line = f"{len(runs)} of {len(new_states)}: {state.run} {state.stage}{reason}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)

    yield show


def _table(states: Sequence[State]) -> RenderableType:
    """Return the summary, a line with a bar for each run that is running, and the reasons of failures."""
    steps, finished_steps = sum(state.steps for state in states), sum(state.step for state in states)
    rows = Table.grid(padding=(0, 2))
    for state in states:
        if state.stage == "running":
            rate = f"{state.images_per_second:,.0f} images/s" if state.images_per_second else ""
            bar = ProgressBar(total=state.steps, completed=state.step, width=24)
            rows.add_row(Text(state.run), bar, f"{state.step:,} of {state.steps:,}", rate, Text(state.holder, "dim"))
    failures = [Text(f"{state.run} failed: {state.reason}", "red") for state in states if state.stage == "failed"]
    bar = ProgressBar(total=steps, completed=finished_steps, width=60)
    return Group(Text(summary(states), "bold"), bar, rows, *failures)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
