"""The bar that shows how far a piece of work is."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from equipoise import progress


def terminal(quiet: bool = False) -> Console:
    """A console that draws as a terminal does, into its `file`."""
    return Console(file=io.StringIO(), force_terminal=True, width=120, quiet=quiet)


def drawn(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_bar_names_the_work_and_says_how_much_of_it_is_done() -> None:
    console = terminal()
    with progress.bar("little", 60, "images", console) as advance:
        for _ in range(3):
            advance(20)
    said = drawn(console)
    assert "little" in said
    assert "60/60" in said
    assert "images" in said


def test_bytes_are_shown_as_megabytes() -> None:
    console = terminal()
    with progress.bar("file.npz", 300_000_000, "bytes", console) as advance:
        advance(300_000_000)
    assert "300.0/300.0 MB" in drawn(console)


def test_an_unknown_total_is_no_reason_to_fail() -> None:
    console = terminal()
    with progress.bar("file.npz", None, "bytes", console) as advance:
        advance(2_000_000)
    assert "2.0/? MB" in drawn(console)


def test_threads_share_one_bar() -> None:
    console = terminal()
    with progress.bar("trees", 400, "steps", console) as advance, ThreadPoolExecutor(4) as pool:
        for _ in range(400):
            pool.submit(advance, 1)
    assert "400/400" in drawn(console)


@pytest.mark.parametrize("console", [terminal(quiet=True), Console(file=io.StringIO())])
def test_nothing_is_shown_where_nobody_looks(console: Console) -> None:
    with progress.bar("little", 60, "images", console) as advance:
        advance(60)
    assert drawn(console) == ""


def test_the_bar_is_on_standard_error_and_only_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.bar("little", 60, "images") as advance:
        advance(60)
    assert capfd.readouterr() == ("", "")


def test_a_name_is_not_read_as_markup() -> None:
    console = terminal()
    with progress.bar("a[red]b", 1, "files", console) as advance:
        advance(1)
    assert "a[red]b" in drawn(console)
