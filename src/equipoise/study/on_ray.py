"""The engine for a cluster of Ray: a task a run, placed wherever cores, and parts of a GPU, are free."""

import os
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from time import sleep
from typing import Any

from equipoise.config import Config
from equipoise.errors import InputError, RunError
from equipoise.study.work import note, work

STORE = 100 * 2**20  # bytes that Ray keeps for objects: a run is handed its settings and nothing else


class OnRay:
    """Tasks of the cluster that this machine belongs to, or of one that is started here for this study.

    A task that ends with its process or its node is begun again by the driver of the study. Ray, which could do that
    too, knows neither how far the run is, nor that another driver may have taken it.
    """

    def __init__(self, workers: int | None, threads: int, gpus: float) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self._ray: Any = import_module("ray")
        except ImportError:
            raise InputError("engine ray needs Ray; pip install equipoise[ray]") from None
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
                f"a run asks for CPU {threads} and GPU {gpus:g}; the cluster has CPU {self._has('CPU'):g} and GPU "
                f"{self._has('GPU'):g}, so ask for less"
            )

    @property
    def slots(self) -> int:
        """Runs at once: as many as the cluster has room for now, with the nodes that joined and without those lost."""
        room = self._has("CPU") // self._threads
        if self._gpus:
            room = min(room, self._has("GPU") // self._gpus)
        return int(min(room, self._workers or room))

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        task = self._ray.remote(num_cpus=self._threads, num_gpus=self._gpus, max_retries=0)(_work)
        return [Job(self._ray, task.remote(config, study, Path.cwd()), config, study) for config in configs]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:
        if jobs:
            self._ray.wait([job.task for job in jobs], timeout=seconds)
        else:
            sleep(seconds)

    def close(self) -> None:
        """Leave the cluster, unless the caller was in it before: threads of Ray print until then."""
        if self._ours:
            self._ray.shutdown()

    def _has(self, resource: str) -> float:
        return float(self._ray.cluster_resources().get(resource, 0))


class Job:
    """A run in a task of Ray."""

    def __init__(self, ray: Any, task: Any, config: Config, study: Path) -> None:
        self._ray, self.task, self._run, self._study = ray, task, Path(config.out).name, study

    def ended(self) -> bool:
        """Whether the task is over; one that died is written down as a failure of its run, unless its node died."""
        if not self._ray.wait([self.task], timeout=0)[0]:
            return False
        errors = self._ray.exceptions
        try:
            self._ray.get(self.task)
        except (errors.TaskCancelledError, errors.NodeDiedError):
            pass  # the run goes on where it was saved
        except errors.LocalRayletDiedError:
            raise RunError(
                "Ray died on the machine of the driver; start it again, and the same command goes on"
            ) from None
        except errors.RayError as error:
            note(self._study, self._run, f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
        return True

    def stop(self) -> None:
        """Ask it to save and end: Ray hands a cancelled task the signal of Ctrl-C."""
        self._ray.cancel(self.task)

    def join(self) -> None:
        """Return when it has ended."""
        self._ray.wait([self.task])


def _work(config: Config, study: Path, where: Path) -> str:
    """What the task of a run does, in the driver's folder: paths in the settings are relative to it."""
    os.chdir(where)
    return work(config, study)
