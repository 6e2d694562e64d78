"""The engine for Slurm: a job a run, submitted in arrays through submitit."""

import shutil
import signal
import threading
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from time import sleep
from typing import Any

from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.study.work import note, work

CLUSTER = "slurm"  # submitit's name for it
HOURS = 24  # asked for each job where SBATCH_TIMELIMIT says no other; a longer run goes on in another job
AT_ONCE = 500  # jobs in the queue where the user says no other; most clusters take 1,000 in an array


class OnSlurm:
    """Jobs of the cluster that this machine submits to. They go on without the driver, each to the end of its run."""

    def __init__(self, workers: int | None, threads: int, gpus: float) -> None:
        try:
            self._submitit: Any = import_module("submitit")
        except ImportError:
            raise InputError("engine slurm needs submitit; pip install equipoise[slurm]") from None
        if CLUSTER == "slurm" and shutil.which("srun") is None:
            raise InputError("engine slurm: there is no srun on this machine; sweep from one that submits jobs")
        if gpus != int(gpus):
            raise InputError(f"gpus is {gpus:g}; Slurm hands out whole GPUs, engine ray parts of them")
        self.slots = workers or AT_ONCE
        self._asked = {
            "name": "equipoise",
            "timeout_min": HOURS * 60,
            "cpus_per_task": threads,
            "gpus_per_node": int(gpus),
            "slurm_array_parallelism": self.slots,
        }

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        executor = self._submitit.AutoExecutor(study / "slurm", cluster=CLUSTER)
        executor.update_parameters(**self._asked)
        jobs = executor.map_array(_work, configs, [study] * len(configs))
        return [Job(job, config, study) for job, config in zip(jobs, configs, strict=True)]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:  # noqa: ARG002
        sleep(seconds)

    def close(self) -> None:
        """Nothing is held."""


class Job:
    """A run in a job of Slurm."""

    def __init__(self, job: Any, config: Config, study: Path) -> None:
        self._job, self._run, self._study = job, Path(config.out).name, study

    def ended(self) -> bool:
        """Whether the job is over; one that died is written down as a failure of its run, unless its node was lost."""
        if not self._job.done():
            return False
        if self._job.exception() is not None and self._job.state not in ("NODE_FAIL", "PREEMPTED"):
            how = f"its job {self._job.job_id} ended as {self._job.state}"
            note(self._study, self._run, f"{how}; see {self._job.paths.stderr}")
        return True

    def stop(self) -> None:
        """Ask it to save and end, or not to begin."""
        self._job.cancel(check=False)

    def join(self) -> None:
        """Nothing to wait for: Slurm grants what it cancels half a minute to save, and the driver is not needed."""


def _work(config: Config, study: Path) -> str:
    """What the job of a run does."""
    over = threading.Event()
    # By which a job is told that its time is nearly up or that another has precedence.
    signal.signal(signal.SIGUSR2, lambda *_: over.set())
    return work(config, study, over.is_set)
