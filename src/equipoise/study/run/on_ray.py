"""The engine for a Ray cluster: each run is a task, placed where cores and parts of a GPU are free."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from time import sleep
from typing import Any

from equipoise.config import Config
from equipoise.errors import InputError, RunError, import_package
from equipoise.study.run.work import record_failure, work

STORE = 100 * 2**20  # bytes of Ray's object store; a task receives only the settings of its run


class OnRay:
    """An engine that runs tasks on the cluster of this machine, or on one that is started here for this study.

    If a task is lost with its process or node, the driver of the study starts it again. Ray's own retries are off,
    because Ray has no record of the progress of a run, or of whether another driver has claimed it.
    """

    def __init__(self, workers: int | None, threads: int, gpus: float) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = import_package("ray", "engine ray needs Ray; pip install equipoise[ray]")
        self._workers, self._threads, self._gpus = workers, threads, gpus
        self._ours = not self._ray.is_initialized()
        quiet = {"log_to_driver": False, "logging_level": "error", "ignore_reinit_error": True}
        try:
            self._ray.init("auto", **quiet)
        except ConnectionError:
            cores = workers * threads if workers else None
            self._ray.init("local", num_cpus=cores, include_dashboard=False, object_store_memory=STORE, **quiet)
        if not self.slots:
            raise InputError(
                f"a run needs CPU {threads} and GPU {gpus:g}; the cluster has CPU {self._resource('CPU'):g} and GPU "
                f"{self._resource('GPU'):g}, so request less"
            )

    @property
    def slots(self) -> int:
        """The number of runs for which the cluster has resources now; nodes may join and leave."""
        room = self._resource("CPU") // self._threads
        if self._gpus:
            room = min(room, self._resource("GPU") // self._gpus)
        return int(min(room, self._workers or room))

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        """Start a task for each configuration."""
        task = self._ray.remote(num_cpus=self._threads, num_gpus=self._gpus, max_retries=0)(_work)
        return [Job(self._ray, task.remote(config, study, Path.cwd()), config, study) for config in configs]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:
        """Wait until a task has ended, or for at most `seconds`."""
        if jobs:
            self._ray.wait([job.task for job in jobs], timeout=seconds)
        else:
            sleep(seconds)

    def close(self) -> None:
        """Leave the cluster, unless the caller had joined it before. Threads of Ray print until then."""
        if self._ours:
            self._ray.shutdown()

    def _resource(self, name: str) -> float:
        return float(self._ray.cluster_resources().get(name, 0))


class Job:
    """A run in a task of Ray."""

    def __init__(self, ray: Any, task: Any, config: Config, study: Path) -> None:
        self._ray, self.task, self._run, self._study = ray, task, Path(config.out).name, study

    def has_ended(self) -> bool:
        """Return whether the task is over. If it died, and its node did not, a failure of its run is recorded."""
        if not self._ray.wait([self.task], timeout=0)[0]:
            return False
        errors = self._ray.exceptions
        try:
            self._ray.get(self.task)
        except (errors.TaskCancelledError, errors.NodeDiedError):
            pass  # the run resumes from its checkpoint
        except errors.LocalRayletDiedError:
            raise RunError("Ray died on the machine of the driver; start Ray again and repeat the command") from None
        except errors.RayError as error:
            record_failure(self._study, self._run, f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
        return True

    def stop(self) -> None:
        """Request that the run saves and ends: Ray sends a cancelled task the signal of Ctrl-C."""
        self._ray.cancel(self.task)

    def join(self) -> None:
        """Wait until the task has ended."""
        self._ray.wait([self.task])


def _work(config: Config, study: Path, folder: Path) -> str:
    """Run in the task, in the driver's folder, since paths in the settings are relative to it."""
    os.chdir(folder)
    return work(config, study)
