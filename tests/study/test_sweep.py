"""Sweeps with real processes: killed anywhere, gone on with, equal to what is run alone; failures told and survived."""

import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.study.conftest import STUDY, equipoise, holders, same_as_alone, stages, started, until, write_study

from equipoise import claim, study
from equipoise.claim import Claims
from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.study.run.work import delete_failures, failures, is_given_up, record_failure, work

RANDOM = random.SystemRandom()


def pause(seconds: float) -> None:
    time.sleep(RANDOM.uniform(0, seconds))


def any_checkpoint(plan: study.Plan) -> bool:
    return any(Path(config.out, "checkpoint.pt").exists() for config in plan.runs.values())


@pytest.mark.usefixtures("drawn")
def test_a_study_that_is_killed_and_swept_again_ends_with_the_runs_that_are_made_alone(here: Path) -> None:
    file = write_study(steps=120)
    plan = study.read(file)
    words = ("sweep", file, "--workers", "2")

    with started(*words) as driver:
        until(lambda: holders(plan) and any_checkpoint(plan))
        pause(0.3)
        worker = next(iter(holders(plan).values()), None)
        if worker:
            os.kill(worker, signal.SIGKILL)
        pause(1)
        driver.kill()  # alone
    until(lambda: not holders(plan), 60)  # its processes save and end by themselves

    with started(*words) as driver:
        until(lambda: driver.poll() is not None or holders(plan))
        pause(0.5)
        os.killpg(driver.pid, signal.SIGKILL)  # with its processes

    code, out, err = equipoise(*words, "--json")
    assert code == 0, err
    assert set(stages(out).values()) == {"done"}
    assert not holders(plan)
    assert {path.name for path in Path("study", "runs").iterdir()} == set(plan.runs)
    for config in plan.runs.values():
        assert same_as_alone(config, here / "alone")

    before = {path: path.stat().st_mtime_ns for path in Path("study", "runs").rglob("*")}
    assert {state.stage for state in study.sweep(file, progress=False)} == {"done"}
    assert {path: path.stat().st_mtime_ns for path in Path("study", "runs").rglob("*")} == before


FAILING = """
out = "study"
retries = 1
[[data]]
name = "squares.npz"
[[data]]
name = "torn.npz"
[net]
name = "factor"
latent = 2
[train]
steps = 40
batch = 16
lr = [1e-4, 1e10]
log_every = 10
[evaluate]
which = ["mig", "sse"]
[method]
name = "beta-vae"
"""


@pytest.mark.usefixtures("drawn")
def test_failing_runs_are_retried_listed_with_their_reasons_and_hold_up_no_other(here: Path) -> None:
    Path("torn.npz").write_bytes(Path("squares.npz").read_bytes()[:500])
    file = write_study(FAILING)
    plan = study.read(file)
    by = {(config.data.name, config.train.lr): run for run, config in plan.runs.items()}
    good, wild = by["squares.npz", 1e-4], by["squares.npz", 1e10]
    torn = [by["torn.npz", 1e-4], by["torn.npz", 1e10]]

    code, out, err = equipoise("sweep", file, "--workers", "2")
    assert code == 1, err
    first, *lines = out.splitlines()
    assert first == "study: 4 runs: 1 done, 3 failed"
    assert any(line.startswith(f"  {wild} failed once: step ") and "is not finite" in line for line in lines)
    for run in torn:
        assert any(line.startswith(f"  {run} failed once: torn.npz") for line in lines), "no other try can read it"
    assert lines[-2] == "wrote study"
    assert "errors are in study/failures; the same command with --again repeats failed runs" in lines[-1]
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"{n} of 4" for n in range(1, 5)]
    assert "Diverged" in failures(plan.folder, wild)[0].traceback
    assert same_as_alone(plan.runs[good], here / "alone")

    states = {state.run: state for state in study.sweep(file, progress=False)}
    assert {run: state.stage for run, state in states.items()} == {
        good: "done",
        wild: "failed",
        **dict.fromkeys(torn, "failed"),
    }
    assert states[wild].tries == 1, "the same settings would diverge again, and are tried only when that is asked for"
    assert states[good].reason == ""

    Path("torn.npz").write_bytes(Path("squares.npz").read_bytes())
    states = {state.run: state for state in study.sweep(file, workers=2, again=True, progress=False)}
    stages_now = {good: "done", wild: "failed", torn[0]: "done", torn[1]: "failed"}
    assert {run: state.stage for run, state in states.items()} == stages_now
    assert [failure.reason for failure in failures(plan.folder, torn[0])] == []
    assert "is not finite" in states[torn[1]].reason
    assert not list(Path("study", "notes").iterdir()), "processes that said nothing leave no file"


@pytest.mark.usefixtures("here")
def test_a_study_that_cannot_run_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_study()
    with pytest.raises(InputError, match="workers is 0; expected 1 or more"):
        study.sweep(file, workers=0)
    with pytest.raises(InputError, match=r"workers is 1\.5; expected a whole number"):
        study.sweep(file, workers=1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"gpus is 0\.5; expected 0 or more, with engine ray or slurm"):
        study.sweep(file, gpus=0.5)
    with pytest.raises(InputError, match=r"dask: no such engine; choose one of local, ray, slurm"):
        study.sweep(file, engine="dask")  # type: ignore[arg-type]
    for engine, package in (("ray", "ray"), ("slurm", "submitit")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=rf"engine {engine} needs \w+; pip install equipoise\[{engine}\]"):
            study.sweep(file, engine=engine)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"data: the path sqares\.npz does not exist"):
        study.sweep(write_study(STUDY.replace("squares", "sqares")))
    with pytest.raises(
        InputError, match="mpi3d-toy is not available locally; add it once with `equipoise data add mpi3d-toy`"
    ):
        study.sweep(write_study(STUDY.replace("squares.npz", "mpi3d-toy")))
    assert not Path("study").exists()


def sleeper(line: Connection, config: Config, folder: Path) -> None:
    """A process of another machine that is suspended before its 26th step."""
    claim.machine = lambda: "another machine"
    claim.BEAT = 0.1
    asked = []

    def stop() -> bool:
        asked.append(True)
        if len(asked) == 26:
            line.send("asleep")
            os.kill(os.getpid(), signal.SIGSTOP)
        return False

    line.send(work(config, folder, stop))


@pytest.mark.usefixtures("drawn")
def test_a_machine_that_slept_while_another_made_its_run_leaves_that_run_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "LEASE", 1.0)
    plan = study.read(write_study())
    config = next(iter(plan.runs.values()))
    run = Path(config.out).name
    context = multiprocessing.get_context("forkserver")
    line, theirs = context.Pipe()
    other = context.Process(target=sleeper, args=(theirs, config, plan.folder), daemon=True)
    other.start()
    assert line.recv() == "asleep"
    claims = Claims()
    until(lambda: claims.clear(Path(config.out)))
    assert work(config, plan.folder) == "done"
    files = {path: path.read_bytes() for path in Path(config.out).rglob("*") if path.is_file()}
    os.kill(other.pid or 0, signal.SIGCONT)
    assert line.recv() == "claimed"
    other.join()
    assert {path: path.read_bytes() for path in Path(config.out).rglob("*") if path.is_file()} == files
    assert not failures(plan.folder, run)
    assert same_as_alone(config, here / "alone")


@pytest.mark.usefixtures("drawn")
def test_a_run_is_worked_on_once_and_saved_when_it_is_stopped(here: Path) -> None:
    plan = study.read(write_study())
    config = next(iter(plan.runs.values()))
    run = Path(config.out).name
    asked = iter([False] * 15 + [True])
    assert work(config, plan.folder, lambda: next(asked)) == "stopped"
    taken = Claims().take(Path(config.out))
    assert taken is not None
    assert work(config, plan.folder) == "claimed"
    taken.release()
    assert work(config, plan.folder) == "done"
    assert work(config, plan.folder) == "done"
    assert same_as_alone(config, here / "alone")
    assert not failures(plan.folder, run)

    log = Path(config.out, "log.jsonl")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))  # as after a power cut
    with pytest.warns(UserWarning, match="shorter than its checkpoint"):
        assert work(config, plan.folder) == "failed", "it is said, and not tried for ever"
    assert failures(plan.folder, run)[0].reason.startswith(f"{config.out} lacks rows of its log; delete that folder")


def test_a_run_is_given_up_after_its_retries_or_at_once_if_no_try_can_help(tmp_path: Path) -> None:
    assert not is_given_up(tmp_path, "run", 0)
    record_failure(tmp_path, "run", "it fell")
    assert is_given_up(tmp_path, "run", 0)
    assert not is_given_up(tmp_path, "run", 1)
    record_failure(tmp_path, "run", "it fell again")
    assert is_given_up(tmp_path, "run", 1)
    assert [failure.reason for failure in failures(tmp_path, "run")] == ["it fell", "it fell again"]
    delete_failures(tmp_path, "run")
    assert not is_given_up(tmp_path, "run", 0)
    record_failure(tmp_path, "run", "it cannot be", hopeless=True)
    assert is_given_up(tmp_path, "run", 5)


def test_ctrl_c_saves_all_that_runs_and_fails_nothing(here: Path) -> None:  # noqa: ARG001
    file = write_study(steps=100_000)
    plan = study.read(file)
    with started("sweep", file, "--workers", "2") as driver:
        until(lambda: len(holders(plan)) == 2 and any_checkpoint(plan))
        os.killpg(driver.pid, signal.SIGINT)  # a terminal sends it to all
        out, err = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert err == ""
    assert "4 runs: 4 waiting" in out
    assert out.splitlines()[-1] == "stopped; the same command resumes"
    assert not holders(plan)
    assert not any(failures(plan.folder, run) for run in plan.runs)


LARGE = """
out = "study"
seeds = 3
[data]
name = "squares.npz"
[net]
name = "factor"
latent = 2
[train]
steps = 300
batch = 16
checkpoint_every = 50
[evaluate]
which = ["mig", "sse"]
[[method]]
name = "beta-vae"
beta = [1.0, 4.0]
[[method]]
name = "beta-tcvae"
beta = [1.0, 4.0]
[[method]]
name = "isa-vae"
layout = [1, 1]
beta = [1.0, 4.0]
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("drawn")
def test_eighteen_runs_killed_five_times_are_all_done_and_equal_to_those_made_alone(here: Path) -> None:
    file = write_study(LARGE)
    plan = study.read(file)
    assert len(plan.runs) == 18
    words = ("sweep", file, "--workers", "2")
    for whom in ("driver", "worker", "group", "worker", "group"):
        with started(*words, pictures=True) as driver:
            until(lambda driver=driver: driver.poll() is not None or holders(plan))
            pause(6)
            if whom == "driver":
                driver.kill()
            elif whom == "group":
                os.killpg(driver.pid, signal.SIGKILL)
            else:
                for worker in list(holders(plan).values())[:1]:
                    os.kill(worker, signal.SIGKILL)
                pause(6)
    code, out, err = equipoise(*words, "--json", pictures=True)
    assert code == 0, err
    assert stages(out) == dict.fromkeys(plan.runs, "done")
    for config in plan.runs.values():
        assert same_as_alone(config, here / "alone")
