"""The progress that a terminal and other outputs see."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from equipoise.training import watch


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch, "monotonic", clock)
    return clock


def training(steps: int, first: int = 0, scaling: object = None) -> Any:
    return SimpleNamespace(train=SimpleNamespace(steps=steps), step=first, model=SimpleNamespace(scaling=scaling))


def row(step: int) -> dict[str, Any]:
    return {"step": step, "loss": 1.0, "rec": 0.5, "images_per_second": 100.0}


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_first_line_comes_within_seconds_with_speed_and_time_left(clock: Clock, is_terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=200)
    with watch.bar(console, training(50_000), batch=64, remark="long enough") as show:
        for step in range(1, 11):
            clock.now += 0.3
            show.step(step)
    assert out.getvalue().count("images/s") == 1
    assert "step 7 of 50,000: 213 images/s, 4.2 h left; long enough" in out.getvalue()


def test_a_resumed_run_counts_its_own_steps(clock: Clock) -> None:
    out = io.StringIO()
    with watch.bar(Console(file=out), training(1000, first=900), batch=10, remark="fine") as show:
        clock.now = 10.0
        show.step(910)
    assert "step 910 of 1,000: 10 images/s, 90 s left" in " ".join(out.getvalue().split())


def test_later_lines_come_for_each_tenth_with_the_time_left(clock: Clock) -> None:
    out = io.StringIO()
    with watch.bar(Console(file=out, width=200), training(100), batch=10, remark="fine") as show:
        for step in range(1, 101):
            clock.now += 0.001
            show.step(step)
            if step % 5 == 0:
                show.row(row(step))
    lines = out.getvalue().splitlines()
    assert len(lines) == 10  # the run was over before the first line was due
    assert lines[1] == "step 20 of 100: loss 1.00  rec 0.50  100 images/s  8 s left"


def test_vectors_are_not_called_images(clock: Clock) -> None:
    out = io.StringIO()
    with watch.bar(Console(file=out, width=200), training(100, scaling="standardize"), batch=10, remark="fine") as show:
        clock.now = 10.0
        show.step(10)
        show.row(row(10))
    assert out.getvalue().count(" vectors/s") == 2
    assert "images" not in out.getvalue()


def test_a_quiet_console_gets_nothing(clock: Clock) -> None:
    out = io.StringIO()
    with watch.bar(Console(file=out, quiet=True), training(100), batch=10, remark="fine") as show:
        clock.now = 9.0
        show.step(50)
        show.row(row(50))
    assert not out.getvalue()
