"""How far a piece of work is, shown while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

# Of the bar around this one, which then takes the line below it.
_outer: ContextVar[Console | None] = ContextVar("console", default=None)


@contextmanager
def on(console: Console) -> Iterator[None]:
    """Bars within are shown on this console, and not at all where it is quiet."""
    token = _outer.set(console)
    try:
        yield
    finally:
        _outer.reset(token)


@contextmanager
def bar(what: str, total: int | None, unit: str, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more units are done, and moves a bar named `what` on standard error.

    total: how many there are, None where that is not known. unit: "bytes" are shown as megabytes and their speed, any
    other name after the count. Nothing is shown where standard error, or the console, is no terminal or is quiet; the
    bar vanishes at the end. The function may be called from any thread.
    """
    console = console or _outer.get() or Console(stderr=True)
    done: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TextColumn(unit))
    if unit == "bytes":
        done = (DownloadColumn(), TransferSpeedColumn())
    columns = (TextColumn(what, markup=False), BarColumn(), *done, TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True, disable=console.quiet or not console.is_terminal)
    with on(console), shown:
        task = shown.add_task("", total=total)
        yield lambda n: shown.advance(task, n)
