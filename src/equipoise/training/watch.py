"""What a person sees of a training, and how they stop it."""

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
    """An event that SIGTERM and Ctrl-C set, so that training saves before it stops; a second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread alone
        return

    def ask(number: int, frame: object) -> None:  # noqa: ARG001
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def bar(console: Console, training: Training) -> Iterator[Callable[[Row], None]]:
    """A function that shows a row of the log: a moving bar on a terminal, a line every tenth of the run elsewhere."""
    steps = training.train.steps
    if not console.is_terminal:
        tenth = {math.ceil(steps * share / 10) for share in range(1, 11)}
        passed = {step for step in tenth if step <= training.step}

        def line(row: Row) -> None:
            due = {step for step in tenth if step <= row["step"]}
            if due - passed:
                passed.update(due)
                console.print(f"step {row['step']:,} of {steps:,}: {_said(row)}", highlight=False, soft_wrap=True)

        yield line
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps, completed=training.step)
        yield lambda row: progress.update(task, completed=row["step"], description=_said(row))


def _said(row: Row) -> str:
    words = [f"loss {row['loss']:.2f}", f"rec {row['rec']:.2f}"]
    if "kl" in row:
        words.append(f"kl {row['kl']:.2f}")
    if "beta_equivalent" in row:
        words.append(f"beta {row['beta_equivalent']:.3g}")
    return "  ".join([*words, f"{row['images_per_second']:,.0f} images/s"])
