"""The engine for Slurm: each run is a job, submitted in arrays through submitit."""

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
from equipoise.study.run.work import record_failure, work

CLUSTER = "slurm"  # the cluster's name in submitit
HOURS = 24  # time limit of a job without SBATCH_TIMELIMIT; a longer run resumes in another job
AT_ONCE = 500  # jobs in the queue without --workers; most clusters accept 1,000 in an array


class OnSlurm:
    """An engine that submits jobs to Slurm. The jobs do not need the driver: each works until its run is over."""

    def __init__(self, workers: int | None, threads: int, gpus: float) -> None:
        try:
            self._submitit: Any = import_module("submitit")
        except ImportError:
            raise InputError("engine slurm needs submitit; pip install equipoise[slurm]") from None
        if CLUSTER == "slurm" and shutil.which("srun") is None:
            raise InputError("engine slurm: this machine has no srun; sweep from a machine that submits jobs")
        if gpus != int(gpus):
            raise InputError(f"gpus is {gpus:g}; Slurm assigns whole GPUs, engine ray also parts of one")
        self.slots = workers or AT_ONCE
        self._parameters = {
            "name": "equipoise",
            "timeout_min": HOURS * 60,
            "cpus_per_task": threads,
            "gpus_per_node": int(gpus),
            "slurm_array_parallelism": self.slots,
        }

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        """Submit an array with a job for each configuration."""
        executor = self._submitit.AutoExecutor(study / "slurm", cluster=CLUSTER)
        executor.update_parameters(**self._parameters)
        jobs = executor.map_array(_work, configs, [study] * len(configs))
        return [Job(job, config, study) for job, config in zip(jobs, configs, strict=True)]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:  # noqa: ARG002
        """Wait for `seconds`."""
        sleep(seconds)

    def close(self) -> None:
        """Do nothing: no resource is open."""


class Job:
    """A run in a job of Slurm."""

    def __init__(self, job: Any, config: Config, study: Path) -> None:
        self._job, self._run, self._study = job, Path(config.out).name, study

    def has_ended(self) -> bool:
        """Return whether the job is over. If it died, and its node did not, a failure of its run is recorded."""
        if not self._job.done():
            return False
        if self._job.exception() is not None and self._job.state not in ("NODE_FAIL", "PREEMPTED"):
            how = f"its job {self._job.job_id} ended as {self._job.state}"
            record_failure(self._study, self._run, f"{how}; see {self._job.paths.stderr}")
        return True

    def stop(self) -> None:
        """Cancel the job: a running one saves and ends, a waiting one does not start."""
        self._job.cancel(check=False)

    def join(self) -> None:
        """Do nothing: Slurm allows cancelled jobs half a minute to save, and they do not need the driver."""


def _work(config: Config, study: Path) -> str:
    """Run in the job. Slurm sends SIGUSR2 before the time limit and before preemption."""
    over = threading.Event()
    signal.signal(signal.SIGUSR2, lambda *_: over.set())
    return work(config, study, over.is_set)
