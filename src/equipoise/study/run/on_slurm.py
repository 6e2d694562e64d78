"""The engine for Slurm: each run is a job, submitted in arrays through submitit."""

import io
import math
import shutil
import signal
import threading
from collections.abc import Collection, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from equipoise.config import Config
from equipoise.errors import InputError, RunError, import_package
from equipoise.study.run.slurm_queue import Queue, cancel
from equipoise.study.run.work import record_failure, work

CLUSTER = "slurm"  # the cluster's name in submitit
HOURS = 24  # time limit of a job without SBATCH_TIMELIMIT; a longer run resumes in another job
AT_ONCE = 500  # jobs in the queue without --workers; most clusters accept 1,000 in an array
LOST = ("BOOT_FAIL", "NODE_FAIL", "PREEMPTED")  # ends of a job that are not failures of its run
LAG = 60.0  # seconds until the result of a job is visible on every machine, with the caches of NFS


class OnSlurm:
    """An engine that submits jobs to Slurm. The jobs do not need the driver: each works until its run is over."""

    def __init__(self, workers: int | None, threads: int, gpus: float) -> None:
        self._submitit = import_package("submitit", "engine slurm needs submitit; pip install equipoise[slurm]")
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
        self._queue = Queue()
        self._stopped: list[str] = []

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        """Submit an array with a job for each configuration. Raises `RunError` if Slurm does not accept it."""
        executor = self._submitit.AutoExecutor(study / "slurm", cluster=CLUSTER)
        executor.update_parameters(**self._parameters)
        try:
            with redirect_stderr(io.StringIO()):  # submitit prints the message of sbatch, which the error repeats
                jobs = executor.map_array(_work, configs, [study] * len(configs))
        except RuntimeError as error:
            reason = str(error).strip().rpartition("\n")[2].removeprefix("sbatch: ").removeprefix("error: ")
            raise RunError(
                f"Slurm did not accept the jobs: {reason}; check squeue and the variables SBATCH_*, then sweep again"
            ) from None
        self._queue.look_again()
        return [Job(job, config, study, self._queue, self._stopped) for job, config in zip(jobs, configs, strict=True)]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:  # noqa: ARG002
        """Cancel the stopped jobs, and wait for `seconds`."""
        self._cancel_stopped()
        sleep(seconds)

    def close(self) -> None:
        """Cancel the stopped jobs. A running one saves and ends, for which Slurm allows half a minute by default."""
        self._cancel_stopped()

    def _cancel_stopped(self) -> None:
        cancel(self._stopped)
        self._stopped.clear()


class Job:
    """A run in a job of Slurm. A job that was not killed leaves a file with its result."""

    def __init__(self, job: Any, config: Config, study: Path, queue: Queue, stopped: list[str]) -> None:
        self._job, self._run, self._study = job, Path(config.out).name, study
        self._queue, self._stopped = queue, stopped
        self._end_seen = math.inf  # when the queue first listed the job as over

    def has_ended(self) -> bool:
        """Return whether the job is over. If it died, and its node did not, a failure of its run is recorded."""
        if self._job.paths.result_pickle.exists():
            if self._job.exception() is not None:
                self._record("FAILED")
            return True
        end = self._queue.end(self._job.job_id)
        if not end:
            return False
        self._end_seen = min(self._end_seen, monotonic())
        if monotonic() - self._end_seen < LAG:
            return False
        if end not in LOST:
            self._record(end)
        return True

    def _record(self, end: str) -> None:
        reason = f"its job {self._job.job_id} ended as {end}; see {self._job.paths.stderr}"
        record_failure(self._study, self._run, reason)

    def stop(self) -> None:
        """Mark the job for cancellation; one command cancels all marked jobs. A waiting job does not start."""
        self._stopped.append(self._job.job_id)

    def join(self) -> None:
        """Do nothing: the jobs do not need the driver."""


def _work(config: Config, study: Path) -> str:
    """Run in the job. Slurm sends SIGUSR2 before the time limit and before preemption."""
    stop = threading.Event()
    signal.signal(signal.SIGUSR2, lambda *_: stop.set())
    return work(config, study, stop.is_set)
