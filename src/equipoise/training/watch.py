"""Progress of a training on the terminal, and signals that stop it."""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from equipoise.choice import duration
from equipoise.training.loop import Row, Training

FIRST = 2.0  # seconds until the first line, and FEWEST steps, so that the first steps, which are slow, count little
FEWEST = 5


@contextmanager
def signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and Ctrl-C set, so that training saves before it stops.

    A second Ctrl-C raises `KeyboardInterrupt` at once. Outside the main thread the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: object) -> None:  # noqa: ARG001
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Display(NamedTuple):
    """Displays the progress: `row` takes a row of the log, `step` the number of steps that are done, after each."""

    row: Callable[[Row], None]
    step: Callable[[int], None]


@contextmanager
def bar(console: Console, training: Training, batch: int, remark: str) -> Iterator[Display]:
    """Yield functions that display the progress of a training.

    The first line appears after a few seconds, with images per second, the time left and the remark. After it, a
    terminal displays a moving bar, and any other output gets a line for every tenth of the run.

    Args:
        console: where to print; nothing is printed if it is quiet.
        training: the training, with its step at the start.
        batch: images per step.
        remark: a phrase on the length of the run.
    """
    steps, first = training.train.steps, training.step
    items = "images" if training.model.scaling is None else "vectors"
    start, is_first = monotonic(), True

    def print_line(step: int, text: str) -> None:
        console.print(f"step {step:,} of {steps:,}: {text}", markup=False, highlight=False, soft_wrap=True)

    def first_line(step: int) -> None:
        nonlocal is_first
        seconds = monotonic() - start
        if is_first and seconds > FIRST and step >= first + FEWEST:
            is_first = False
            rate = batch * (step - first) / seconds
            print_line(step, f"{rate:,.0f} {items}/s, {left(rate, step)}; {remark}")

    def left(rate: float, step: int) -> str:
        return f"{duration((steps - step) * batch / rate)} left"

    def summary(row: Row) -> str:
        return f"{_summary(row, items)}  {left(row['images_per_second'], row['step'])}"

    if not console.is_terminal:
        tenths = {math.ceil(steps * tenth / 10) for tenth in range(1, 11)}
        printed_tenths = {step for step in tenths if step <= first}

        def line(row: Row) -> None:
            reached_tenths = {step for step in tenths if step <= row["step"]}
            if reached_tenths - printed_tenths:
                printed_tenths.update(reached_tenths)
                print_line(row["step"], summary(row))

        yield Display(line, first_line)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps, completed=first)

        def advance(step: int) -> None:
            first_line(step)
            progress.update(task, completed=step)

        yield Display(lambda row: progress.update(task, description=summary(row)), advance)


def _summary(row: Row, items: str) -> str:
    """Loss, reconstruction error, KL, beta and speed in `items` of a row, as far as it has them."""
    words = [f"loss {row['loss']:.2f}", f"rec {row['rec']:.2f}"]
    if "kl" in row:
        words.append(f"kl {row['kl']:.2f}")
    if "beta_equivalent" in row:
        words.append(f"beta {row['beta_equivalent']:.3g}")
    return "  ".join([*words, f"{row['images_per_second']:,.0f} {items}/s"])
