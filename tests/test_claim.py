"""Claims: one holder at a time, whoever races, dies, sleeps or lives on another machine."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from equipoise import claim
from equipoise.claim import Claim, Claimed, Claims

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["equipoise.study.run.local"])
RUNS = [f"run-{number}" for number in range(60)]


def until(true: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)


def process(target: Callable[..., None], *args: object) -> tuple[Any, Connection]:
    """A process at work on `target(line, *args)`, and the line to it."""
    here, there = CONTEXT.Pipe()
    child = CONTEXT.Process(target=target, args=(there, *args), daemon=True)
    child.start()
    there.close()
    return child, here


def take_all(line: Connection, folder: Path) -> None:
    line.send("ready")
    line.recv()
    claims = Claims()
    held = [(run, taken) for run in RUNS if (taken := claims.take(folder / run))]
    line.send([run for run, _ in held])
    line.recv()  # a process that ends gives up all that it holds


def race(folder: Path) -> list[str]:
    """What two processes hold, that wanted all at once."""
    racers = [process(take_all, folder) for _ in range(2)]
    for word in ("ready", None):
        for _, line in racers:
            assert word is None or line.recv() == word
            if word is None:
                line.send("go")
    held = [line.recv() for _, line in racers]
    assert all(held), "both of them ran"
    for child, _ in racers:
        child.kill()
        child.join()
    return [run for runs in held for run in runs]


def test_of_two_processes_that_race_for_a_run_exactly_one_holds_it(tmp_path: Path) -> None:
    assert sorted(race(tmp_path)) == sorted(RUNS)
    assert sorted(race(tmp_path)) == sorted(RUNS), "also for what the dead have left"
    assert all(len(list((tmp_path / run / "claims").iterdir())) == 2 for run in RUNS)


def test_a_run_is_held_by_one_claim_until_that_is_released(tmp_path: Path) -> None:
    claims = Claims()
    assert not claims.is_claimed(tmp_path / "run")
    assert claims.holder(tmp_path / "run") == ""
    first = claims.take(tmp_path / "run")
    assert first is not None
    assert claims.is_claimed(tmp_path / "run")
    assert claims.take(tmp_path / "run") is None
    assert Claims().take(tmp_path / "run") is None
    assert not Claims().clear(tmp_path / "run")
    assert claims.holder(tmp_path / "run").endswith(f", process {os.getpid()}")
    first.check()
    first.release()
    assert not claims.is_claimed(tmp_path / "run")
    second = claims.take(tmp_path / "run")
    assert second is not None
    second.check()
    first.beat()
    with pytest.raises(Claimed, match="run was claimed by another process"):
        first.check()
    first.release()
    second.check()
    assert claims.is_claimed(tmp_path / "run"), "who lost a run cannot release it"
    second.release()


def hold(line: Connection, folder: Path) -> None:
    assert Claims().take(folder / "run")
    line.send("holds")
    line.recv()


def test_the_claim_of_a_dead_process_is_free_at_once(tmp_path: Path) -> None:
    child, line = process(hold, tmp_path)
    assert line.recv() == "holds"
    claims = Claims()
    assert claims.take(tmp_path / "run") is None
    child.kill()
    child.join()
    assert not claims.is_claimed(tmp_path / "run")
    taken = claims.take(tmp_path / "run")
    assert taken is not None
    taken.release()


def test_a_process_that_got_the_number_of_a_dead_one_does_not_hold_its_claims(tmp_path: Path) -> None:
    path = tmp_path / "run" / "claims" / "0"
    path.parent.mkdir(parents=True)
    about = {"host": "h", "machine": claim.machine(), "pid": os.getpid(), "born": "1", "beat": 1, "over": False}
    about["folder"] = str(path.parent.stat().st_ino)
    path.write_text(json.dumps(about))
    assert not Claims().is_claimed(tmp_path / "run")
    taken = Claims().take(tmp_path / "run")
    assert taken is not None
    assert taken.path.name == "1"
    taken.release()


class Elsewhere:
    """A claim as a process of another machine holds it, which beats only when it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as there:
            there.setattr(claim, "machine", lambda: "another machine")
            there.setattr(claim, "BEAT", 1e6)
            taken = Claims().take(folder / "run")
        assert taken is not None
        self.claim = taken


def test_a_claim_of_another_machine_holds_as_long_as_it_beats_within_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "LEASE", 0.5)
    other = Elsewhere(tmp_path, monkeypatch)
    claims = Claims()
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        assert claims.is_claimed(tmp_path / "run")
        assert claims.take(tmp_path / "run") is None
        other.claim.beat()
        time.sleep(0.01)
    silent = time.monotonic()
    until(lambda: not claims.is_claimed(tmp_path / "run"))
    assert time.monotonic() - silent >= 0.4
    assert Claims().take(tmp_path / "run") is None, "who has just come cannot know how long it has been silent"
    taken = claims.take(tmp_path / "run")
    assert taken is not None
    _check_lost(other, taken)


def _check_lost(other: "Elsewhere", taken: Claim) -> None:
    """The claim of a process elsewhere is lost: it stops, and does not disturb the claim that was taken."""
    other.claim.beat()
    with pytest.raises(Claimed):
        other.claim.check()
    other.claim.release()
    taken.check()
    taken.release()


def test_what_one_process_found_dead_another_can_take_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "LEASE", 0.2)
    other = Elsewhere(tmp_path, monkeypatch)
    claims = Claims()
    assert not claims.clear(tmp_path / "run")
    until(lambda: claims.clear(tmp_path / "run"))
    taken = Claims().take(tmp_path / "run")
    assert taken is not None
    _check_lost(other, taken)


def test_a_claim_that_was_made_and_never_written_is_dead_after_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "LEASE", 0.2)
    (tmp_path / "run" / "claims").mkdir(parents=True)
    (tmp_path / "run" / "claims" / "0").touch()
    claims = Claims()
    assert claims.take(tmp_path / "run") is None
    assert claims.holder(tmp_path / "run") == ""
    until(lambda: claims.clear(tmp_path / "run"))
    taken = claims.take(tmp_path / "run")
    assert taken is not None
    taken.release()


def test_a_process_that_ends_while_it_claims_leaves_a_whole_claim_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            Claims().take(tmp_path / "run")
    assert not [name for name in os.listdir(tmp_path / "run" / "claims") if name.isdigit()]

    def link_and_look(source: Path, target: Path) -> None:
        link(source, target)
        assert json.loads(Path(target).read_text())["pid"] == os.getpid(), "it is whole from its first moment"

    monkeypatch.setattr(os, "link", link_and_look)
    taken = Claims().take(tmp_path / "run")
    assert taken is not None
    taken.release()
    assert sorted(os.listdir(tmp_path / "run" / "claims")) == ["0"]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links_has_claims(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(error, "no links")))
    first = Claims().take(tmp_path / "run")
    assert first is not None
    assert Claims().take(tmp_path / "run") is None
    assert claim._create(tmp_path / "run", None, {}) is None, "an old listing"
    first.release()
    second = Claims().take(tmp_path / "run")
    assert second is not None
    second.release()


def test_a_claim_is_released_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Claims().take(tmp_path / "run")
    assert taken is not None
    with monkeypatch.context() as patch:
        patch.setattr(claim, "_write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        taken.release()
    again = Claims().take(tmp_path / "run")
    assert again is not None
    again.release()
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match=r"full: .*run/claims/2"):
        Claims().take(tmp_path / "run")


def test_a_holder_whose_claim_was_removed_stops(tmp_path: Path) -> None:
    taken = Claims().take(tmp_path / "run")
    assert taken is not None
    taken.path.unlink()
    taken.beat()
    with pytest.raises(Claimed):
        taken.check()
    taken.release()
    assert not Claims().is_claimed(tmp_path / "run")


def write_on(line: Connection, folder: Path) -> None:
    """A process of another machine that writes a line as long as it holds the run."""
    claim.machine = lambda: "another machine"
    claim.BEAT = 0.05
    taken = Claims().take(folder / "run")
    assert taken is not None
    line.send("holds")
    try:
        while True:
            taken.check()
            with (folder / "written").open("a") as file:
                file.write("theirs\n")
            time.sleep(0.001)
    except Claimed:
        line.send("lost")
    finally:
        taken.release()


def test_a_suspended_holder_that_wakes_finds_its_claim_lost_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "LEASE", 2.0)
    child, line = process(write_on, tmp_path)
    assert line.recv() == "holds"
    claims = Claims()
    until(lambda: (tmp_path / "written").exists())
    assert claims.is_claimed(tmp_path / "run")
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: claims.clear(tmp_path / "run"))
    taken = claims.take(tmp_path / "run")
    assert taken is not None
    (tmp_path / "written").write_text("ours\n")
    os.kill(child.pid, signal.SIGCONT)
    assert line.recv() == "lost"
    child.join()
    # The line that was being written when the process was stopped is beyond the reach of any claim.
    assert (tmp_path / "written").read_text() in ("ours\n", "ours\ntheirs\n")
    taken.check()
    assert claims.is_claimed(tmp_path / "run")
    taken.release()


def test_a_claim_beats_while_its_holder_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT", 0.02)
    taken = Claims().take(tmp_path / "run")
    assert taken is not None

    def beats() -> int:
        return int(json.loads(taken.path.read_text())["beat"])

    first = beats()
    until(lambda: beats() > first + 2)
    taken.release()
    last = beats()
    time.sleep(0.1)
    assert beats() == last
    assert json.loads(taken.path.read_text())["over"]


def test_a_file_server_that_is_away_for_a_moment_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT", 0.02)
    taken = Claims().take(tmp_path / "run")
    assert isinstance(taken, Claim)
    write, failed = claim._write, threading.Event()

    def away(*_: object) -> None:
        failed.set()
        raise OSError("the server does not answer")

    monkeypatch.setattr(claim, "_write", away)
    assert failed.wait(10)
    monkeypatch.setattr(claim, "_write", write)
    before = json.loads(taken.path.read_text())["beat"]
    until(lambda: json.loads(taken.path.read_text())["beat"] > before)
    taken.check()
    taken.release()


def test_a_copy_of_a_claimed_folder_is_free_and_a_moved_one_stays_claimed(tmp_path: Path) -> None:
    taken = Claims().take(tmp_path / "run")
    assert taken is not None
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert not Claims().is_claimed(tmp_path / "copy")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert Claims().is_claimed(tmp_path / "moved")
    taken.beat()
    with pytest.raises(Claimed, match="moved or removed"):
        taken.check()
    taken.release()


def test_holding_a_claimed_run_names_machine_and_process_and_takes_a_dead_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with claim.hold(run) as taken:
        with pytest.raises(Claimed, match=rf"run is in use \({socket.gethostname()}, process {os.getpid()}\)"):
            claim.hold(run).__enter__()
        taken.check()
    assert not Claims().is_claimed(run)

    other = Elsewhere(tmp_path, monkeypatch)
    threading.Timer(0.2, other.claim.beat).start()
    with pytest.raises(Claimed, match="run is in use"):  # the beat shows that it lives
        claim.hold(run).__enter__()
    monkeypatch.setattr(claim, "LEASE", 0.2)
    with claim.hold(run) as taken:  # after the lease without a beat
        taken.check()


def test_who_takes_a_run_removes_unfinished_files_of_the_one_before(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "pictures").mkdir(parents=True)
    (run / ".export.0a1b2c3d.part" / "deep").mkdir(parents=True)
    for name in (".codes.npz.0a1b2c3d.part", "pictures/.a.svg.ffffffff.part", "notes.part", ".export.0a1b2c3d.part/b"):
        (run / name).write_text("x")
    with claim.hold(run):
        assert {path.name for path in run.iterdir()} == {"claims", "pictures", "notes.part"}
    assert not list((run / "pictures").iterdir())


def test_a_system_without_these_clocks_has_claims(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; del time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC; "
        "del time.clock_gettime; from equipoise.claim import Claims; taken = Claims().take(Path(sys.argv[1])); "
        "taken.check(); taken.release()"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "run")], check=True)  # as on Windows
    assert json.loads((tmp_path / "run" / "claims" / "0").read_text())["over"]
