"""The engine slurm and the batch script of the documentation, on a Slurm that the tests start."""

import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm import cluster as slurm
from tests.slurm.cluster import Cluster
from tests.study.conftest import STUDY, equipoise, holders, same_as_alone, stages, started, until, write_study

from equipoise import study
from equipoise.errors import RunError
from equipoise.study import Plan
from equipoise.study.run import on_slurm, slurm_queue
from equipoise.study.run.status import Watch
from equipoise.study.run.work import failures

PAGE = Path(__file__).parent.parent.parent / "docs" / "cluster.md"
ACTIVE = "pending,running,completing"
LONG = 600  # steps; long enough to be interrupted

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing()),
    pytest.mark.usefixtures("drawn"),
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A Slurm with an idle node, for the commands of this process and its children."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with slurm.cluster() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def one_run(steps: int = LONG) -> tuple[Plan, str]:
    """A study of one run, without retries, and the name of the run."""
    text = STUDY.replace("seeds = 2", "seeds = 1").replace("retries = 5", "retries = 0")
    plan = study.read(write_study(text.partition('[[method]]\nname = "l-vae"')[0], steps=steps))
    (run,) = plan.runs
    return plan, run


def is_training(plan: Plan) -> bool:
    """Whether the run of the study is claimed and has a checkpoint of its first steps."""
    return bool(holders(plan)) and all((Path(config.out) / "checkpoint.pt").exists() for config in plan.runs.values())


def results(plan: Plan) -> list[tuple[str, str]]:
    """What the jobs of the engine returned, in their order."""
    paths = sorted((plan.folder / "slurm").glob("*_result.pkl"))
    return [pickle.loads(path.read_bytes()) for path in paths]


def claims(plan: Plan) -> dict[str, int]:
    """The number of processes that worked on a run, one after the other."""
    return {run: len(list((Path(config.out) / "claims").iterdir())) for run, config in plan.runs.items()}


def assert_same_as_alone(plan: Plan) -> None:
    for config in plan.runs.values():
        assert same_as_alone(config, Path("alone"))


@pytest.mark.usefixtures("cluster")
def test_a_study_ends_with_the_runs_that_are_trained_alone(here: Path) -> None:
    text = STUDY.replace("seeds = 2", "seeds = 1").replace("retries = 5", "retries = 0")
    text = text.replace("batch = 16", "batch = 16\nlr = [1e-4, 1e10]")
    plan = study.read(write_study(text))
    code, out, err = equipoise("sweep", "study.toml", "--engine", "slurm", "--json")
    assert code == 1, err
    assert "Traceback" not in err
    assert "sacct" not in err, "Slurm works without accounting"
    by_rate = {run: config.train.lr for run, config in plan.runs.items()}
    assert stages(out) == {run: "done" if rate < 1 else "failed" for run, rate in by_rate.items()}
    for run, config in plan.runs.items():
        if by_rate[run] < 1:
            assert same_as_alone(config, here / "alone")
        else:
            assert "is not finite" in failures(plan.folder, run)[-1].reason


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("how", "end"), [([], "CANCELLED"), (["--signal=USR2"], "COMPLETED")], ids=["cancelled", "out of time"]
)
def test_a_job_that_slurm_interrupts_saves_and_another_job_finishes_its_run(
    cluster: Cluster, how: list[str], end: str
) -> None:
    plan, run = one_run()
    with started("sweep", "study.toml", "--engine", "slurm", "--json") as sweep:
        until(lambda: is_training(plan))
        (job,) = cluster.jobs("running")
        cluster.run("scancel", *how, job)
        out, err = sweep.communicate(timeout=600)
    assert sweep.returncode == 0, err
    assert stages(out) == {run: "done"}
    assert results(plan) == [("success", "stopped"), ("success", "done")]
    assert cluster.run("squeue", f"--jobs={job}", "--states=all", "--noheader", "--format=%T").strip() == end
    assert claims(plan) == {run: 2}
    assert not failures(plan.folder, run), "an interruption is no failure"
    assert_same_as_alone(plan)


@pytest.mark.usefixtures("here")
def test_ctrl_c_cancels_the_jobs_which_save_and_the_study_continues_without_slurm(cluster: Cluster) -> None:
    plan, run = one_run()
    with started("sweep", "study.toml", "--engine", "slurm") as sweep:
        until(lambda: is_training(plan))
        sweep.send_signal(signal.SIGINT)
        _, err = sweep.communicate(timeout=120)
    assert "Traceback" not in err
    until(lambda: not cluster.jobs(ACTIVE))
    assert results(plan) == [("success", "stopped")]
    code, out, err = equipoise("sweep", "study.toml", "--workers", "1", "--json")
    assert (code, stages(out)) == (0, {run: "done"}), err
    assert claims(plan) == {run: 2}
    assert_same_as_alone(plan)


@pytest.mark.usefixtures("cluster", "here")
def test_a_job_that_dies_is_noticed_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_queue, "LOOK", 1.0)
    monkeypatch.setattr(on_slurm, "LAG", 1.0)
    plan, run = one_run()
    engine = on_slurm.OnSlurm(None, 1, 0)
    (job,) = engine.start([plan.runs[run]], plan.folder)
    until(lambda: holders(plan))
    assert not job.has_ended()
    os.kill(holders(plan)[run], signal.SIGKILL)
    until(job.has_ended)
    (failure,) = failures(plan.folder, run)
    assert re.match(r"its job \d+ ended as FAILED; see \S+_log\.err$", failure.reason)


@pytest.mark.usefixtures("cluster", "here")
def test_jobs_that_slurm_rejects_end_the_sweep_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    one_run()
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    with pytest.raises(RunError, match=r"^Slurm did not accept the jobs: .*[Ii]nvalid partition .*; check squeue and"):
        study.sweep("study.toml", engine="slurm", progress=False)


@pytest.mark.usefixtures("here")
def test_without_a_running_slurm_a_sweep_ends_with_a_sentence_and_status_needs_none(cluster: Cluster) -> None:
    _, run = one_run()
    cluster.stop()
    code, out, err = equipoise("sweep", "study.toml", "--engine", "slurm")
    assert (code, out) == (1, "")
    refused = r"equipoise: Slurm did not accept the jobs: .*Unable to contact slurm controller.*, then sweep again\n"
    assert re.fullmatch(refused, err)
    code, out, err = equipoise("status", "study", "--json")
    assert (code, stages(out), err) == (1, {run: "waiting"}, "")  # 1: not all runs are done


def batch_script() -> str:
    """The script of the page, for two jobs with a core each, with the paths of this machine."""
    (script,) = re.findall(r"^```bash\n(#!.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    adapted = {
        "--array=1-10": "--array=1-2",
        "--cpus-per-task=8": "--cpus-per-task=1",
        "/shared/venv": sys.prefix,
        "/shared/cache": str(Path("cache").absolute()),
        "examples/study.toml": "study.toml",
    }
    for old, new in adapted.items():
        assert script.count(old) == 1, old
        script = script.replace(old, new)
    Path("script.sh").write_text(script, encoding="utf-8")
    return "script.sh"


@pytest.mark.usefixtures("here")
def test_the_batch_script_of_the_page_trains_each_run_once(cluster: Cluster) -> None:
    plan = study.read(write_study())
    cluster.run("sbatch", batch_script())
    until(lambda: not cluster.jobs(ACTIVE), 500)
    outputs = [path.read_text(encoding="utf-8") for path in Path().glob("slurm-*.out")]
    assert len(outputs) == 2
    assert {state.run: state.stage for state in Watch(plan)()} == dict.fromkeys(plan.runs, "done"), outputs
    assert claims(plan) == dict.fromkeys(plan.runs, 1)
    assert_same_as_alone(plan)


@pytest.mark.usefixtures("here")
def test_the_batch_script_saves_before_its_time_limit_and_continues_when_submitted_again(cluster: Cluster) -> None:
    plan, run = one_run()
    script = batch_script()
    assert "--signal=B:TERM@120" in Path(script).read_text(encoding="utf-8")
    cluster.run("sbatch", script)
    until(lambda: is_training(plan))
    cluster.run("scancel", "--batch", "--signal=TERM", *cluster.jobs("running"))  # what Slurm sends to the script
    until(lambda: not cluster.jobs(ACTIVE))
    (state,) = Watch(plan)()
    assert (state.run, state.stage) == (run, "waiting")
    assert 0 < state.step < LONG
    cluster.run("sbatch", script)
    until(lambda: not cluster.jobs(ACTIVE), 500)
    assert claims(plan) == {run: 2}
    assert_same_as_alone(plan)


def test_nothing_of_a_slurm_is_left_after_a_failure() -> None:
    def fail() -> None:
        with slurm.cluster() as running:
            folders.append(running.folder)
            running.run("sbatch", "--output=/dev/null", f"--wrap=setsid {command} & wait")
            until(lambda: running.jobs("running"))
            raise RuntimeError("the test failed")

    folders: list[Path] = []
    command = f"sleep 600.{os.getpid()}"
    with pytest.raises(RuntimeError, match="the test failed"):
        fail()
    assert not folders[0].exists()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert command not in left
    assert str(folders[0]) not in left
