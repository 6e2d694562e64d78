"""The queue of Slurm, read from programs that print what Slurm prints; `tests/slurm/` asks a real one."""

import os
from pathlib import Path

import pytest

from equipoise.study.run import slurm_queue
from equipoise.study.run.slurm_queue import Queue, cancel, states

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Slurm's programs run on Linux")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which programs are searched first."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_states_are_read_by_job(programs: Path) -> None:
    write_program(programs / "squeue", "echo '12_0 RUNNING'; echo '12_1 PENDING'; echo; echo '7 OUT_OF_MEMORY'")
    assert states() == {"12_0": "RUNNING", "12_1": "PENDING", "7": "OUT_OF_MEMORY"}


def test_a_filter_of_the_user_hides_no_job(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    write_program(programs / "squeue", '[ -z "$SQUEUE_PARTITION" ] && echo "1 RUNNING"')
    assert states() == {"1": "RUNNING"}


def test_no_job_has_ended_while_slurm_does_not_answer(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(programs / "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    assert states() is None
    assert Queue().end("1") == ""
    monkeypatch.setenv("PATH", str(programs / "empty"))
    assert states() is None
    cancel(["1"])


def test_a_job_has_ended_in_its_last_state_or_when_slurm_has_forgotten_it(programs: Path) -> None:
    write_program(programs / "squeue", "echo '1 TIMEOUT'; echo '2 COMPLETING'; echo '3 REQUEUED'")
    queue = Queue()
    assert [queue.end(number) for number in "1234"] == ["TIMEOUT", "", "", "UNKNOWN"]


def test_the_queue_is_read_again_after_a_while_and_after_a_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"1": "RUNNING"}, {"1": "FAILED"}, {"2": "RUNNING"}])
    monkeypatch.setattr(slurm_queue, "states", lambda: next(answers))
    time = [0.0]
    monkeypatch.setattr(slurm_queue, "monotonic", lambda: time[0])
    queue = Queue()
    assert [queue.end("1"), queue.end("1")] == ["", ""]
    time[0] += slurm_queue.LOOK + 1
    assert queue.end("1") == "FAILED"
    queue.look_again()
    assert queue.end("2") == ""


def test_jobs_are_cancelled_with_one_command(programs: Path) -> None:
    write_program(programs / "scancel", f'echo "$@" >> {programs / "calls"}')
    cancel([])
    cancel(["1_0", "1_1"])
    assert (programs / "calls").read_text(encoding="utf-8") == "1_0 1_1\n"
