"""The engines of clusters: Ray on two nodes of which one is lost, and Slurm's jobs as processes of this machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.study.conftest import STUDY, same_as_alone, stages, write_study

from equipoise import study
from equipoise.study.run import on_slurm, slurm_queue
from equipoise.study.run.work import failures

pytestmark = [pytest.mark.extra, pytest.mark.timeout(900)]

# Ray takes the machine's own address, whatever it is told, unless there is none but the loopback's; and when the first
# process of a namespace is gone, so are all others.
ALONE = ["unshare", "--net", "--pid", "--mount-proc", "--fork", "--map-root-user", "--kill-child"]

# Two nodes of one core each; the second is killed while it is at a run.
CLUSTER = """
import contextlib, json, os, pathlib, signal, subprocess, sys, time

def ray(*words):
    subprocess.run([sys.executable, "-m", "ray.scripts.scripts", "start", *words, "--num-cpus", "1",
                    "--object-store-memory", "100000000"], check=True, stdout=sys.stderr)

def raylets():
    return [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()
            and (path / "cmdline").read_bytes().split(b"\\0")[0].endswith(b"raylet/raylet")]

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
ray("--head", "--include-dashboard", "false")
first = raylets()
ray("--address", "127.0.0.1:6379")
(second,) = set(raylets()) - set(first)

def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0

def at_work_there():
    for path in pathlib.Path("study/runs").glob("*/claims/*"):
        try:
            about = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            continue
        if not about["over"] and parent(about["pid"]) == second:
            if (path.parent.parent / "checkpoint.pt").exists():
                return about["pid"]

sweep = subprocess.Popen([sys.executable, "-m", "equipoise", "sweep", "study.toml", "--engine", "ray", "--json"])
worker = None
while sweep.poll() is None and not worker:
    worker = at_work_there()
    time.sleep(0.01)
os.kill(second, signal.SIGKILL)  # a node that is lost takes its processes along
with contextlib.suppress(ProcessLookupError):
    os.kill(worker, signal.SIGKILL)
sys.exit(sweep.wait())
"""


@pytest.mark.usefixtures("drawn")
def test_a_study_on_ray_that_loses_a_node_ends_with_the_runs_that_are_made_alone(here: Path) -> None:
    file = write_study(STUDY.replace("retries = 5", "retries = 0"), steps=300)
    plan = study.read(file)
    (here / "cluster.py").write_text(CLUSTER, encoding="utf-8")
    scratch = tempfile.mkdtemp(prefix="ray")  # the paths of Ray's sockets have to be short
    environment = {**os.environ, "RAY_TMPDIR": scratch, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    try:
        command = [*ALONE, sys.executable, "cluster.py"]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800)
    finally:
        shutil.rmtree(scratch)
    assert said.returncode == 0, said.stderr
    assert stages(said.stdout) == dict.fromkeys(plan.runs, "done")
    assert not any(failures(plan.folder, run) for run in plan.runs), "a node that is lost is no failure of its run"
    assert any(len(list(path.iterdir())) > 1 for path in (plan.folder / "runs").glob("*/claims")), "one was taken over"
    for config in plan.runs.values():
        assert same_as_alone(config, here / "alone")


@pytest.mark.usefixtures("drawn")
def test_a_study_of_slurm_jobs_ends_with_the_runs_that_are_made_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_slurm, "CLUSTER", "local")
    monkeypatch.setattr(slurm_queue, "states", lambda: None)  # Slurm does not answer: the results of the jobs suffice
    text = STUDY.replace("seeds = 2", "seeds = 1").replace("retries = 5", "retries = 0")
    text = text.replace("batch = 16", "batch = 16\nlr = [1e-4, 1e10]")
    plan = study.read(write_study(text))
    states = study.sweep("study.toml", engine="slurm", workers=2, progress=False)
    by_rate = {run: config.train.lr for run, config in plan.runs.items()}
    assert {state.run: state.stage for state in states} == {
        run: "done" if rate < 1 else "failed" for run, rate in by_rate.items()
    }
    for run, config in plan.runs.items():
        if by_rate[run] < 1:
            assert same_as_alone(config, here / "alone")
        else:
            assert "is not finite" in failures(plan.folder, run)[-1].reason
    assert list((plan.folder / "slurm").glob("*.out"))


def test_a_job_that_dies_is_written_down_with_where_to_look(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(on_slurm, "CLUSTER", "local")
    monkeypatch.setattr(on_slurm, "LAG", 0.1)
    monkeypatch.setattr(slurm_queue, "states", dict)
    plan = study.read(write_study())
    engine = on_slurm.OnSlurm(None, 1, 0)
    config = next(iter(plan.runs.values()))
    (job,) = engine.start([config], plan.folder)
    job._job._process.kill()
    job._job._process.wait()
    assert not job.has_ended(), "its result may only be late"
    while not job.has_ended():
        engine.wait([job], 0.1)
    (failure,) = failures(plan.folder, Path(config.out).name)
    assert "ended as UNKNOWN; see " in failure.reason
    assert json.loads((plan.folder / "failures" / f"{Path(config.out).name}.json").read_text())["tries"]
