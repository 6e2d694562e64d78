"""Progress bars on standard error."""

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

# The console of the enclosing bar, so that a nested bar takes the line below it.
_outer: ContextVar[Console | None] = ContextVar("console", default=None)


@contextmanager
def on(console: Console) -> Iterator[None]:
    """Display the bars of the block on this console, or not at all if it is quiet."""
    token = _outer.set(console)
    try:
        yield
    finally:
        _outer.reset(token)


@contextmanager
def bar(
    what: str, total: int | None, unit: str, console: Console | None = None, few: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a bar called `what` by a number of units; any thread may call it.

    total: the number of units, or None if unknown. unit: its name; "bytes" are displayed as megabytes, with the speed.
    Nothing is displayed if the console is quiet or not a terminal, or for at most `few` units. The bar disappears at
    the end.
    """
    console = console or _outer.get() or Console(stderr=True)
    counts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TextColumn(unit))
    if unit == "bytes":
        counts = (DownloadColumn(), TransferSpeedColumn())
    columns = (TextColumn(what, markup=False), BarColumn(), *counts, TimeRemainingColumn())
    is_hidden = console.quiet or not console.is_terminal or (total is not None and total <= few)
    progress = Progress(*columns, console=console, transient=True, disable=is_hidden)
    with on(console), progress:
        task = progress.add_task("", total=total)
        yield lambda n: progress.advance(task, n)
