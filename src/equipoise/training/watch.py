"""Progress of a training on the terminal, and signals that stop it."""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from equipoise.training.loop import Row, Training


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


@contextmanager
def bar(console: Console, training: Training) -> Iterator[Callable[[Row], None]]:
    """Yield a function that displays a row of the log.

    A terminal displays a moving bar. Any other output gets a line for every tenth of the run.
    """
    steps = training.train.steps
    if not console.is_terminal:
        tenths = {math.ceil(steps * tenth / 10) for tenth in range(1, 11)}
        printed = {step for step in tenths if step <= training.step}

        def line(row: Row) -> None:
            due = {step for step in tenths if step <= row["step"]}
            if due - printed:
                printed.update(due)
                console.print(f"step {row['step']:,} of {steps:,}: {_summary(row)}", highlight=False, soft_wrap=True)

        yield line
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps, completed=training.step)
        yield lambda row: progress.update(task, completed=row["step"], description=_summary(row))


def _summary(row: Row) -> str:
    """Loss, reconstruction error, KL, beta and speed of a row, as far as it has them."""
    words = [f"loss {row['loss']:.2f}", f"rec {row['rec']:.2f}"]
    if "kl" in row:
        words.append(f"kl {row['kl']:.2f}")
    if "beta_equivalent" in row:
        words.append(f"beta {row['beta_equivalent']:.3g}")
    return "  ".join([*words, f"{row['images_per_second']:,.0f} images/s"])
