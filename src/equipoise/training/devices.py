"""A run on several devices: start its processes, connect them, and end them together.

Each process computes its `model.Shard` of every batch. When torchrun, Slurm or another launcher started the processes,
Lightning Fabric reads their ranks from the environment. Otherwise the user's process has rank 0 and starts the workers:
each is a new Python that reads the same settings and executes the same run. Only rank 0 writes to the run's folder.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from equipoise import nets
from equipoise.config import Config
from equipoise.errors import InputError, RunError, import_package
from equipoise.model import Shard
from equipoise.sections import Train
from equipoise.torch_defaults import torch_threads
from equipoise.training.loop import device

PROGRAM = "import sys; from equipoise import runs; runs.join(sys.argv[1])"  # of a worker
READY = "EQUIPOISE_READY"  # environment variable of a worker: the pipe to which it writes when it is ready
GRACE = 10.0  # seconds to wait for a process to end by itself


class Worker:
    """A process that rank 0 started, and that ends when rank 0 ends."""

    def __init__(self, rank: int, settings: Path, environment: dict[str, str]) -> None:
        self.rank = rank
        self._output = settings.with_name(f"process-{rank}.txt")
        self._ready, write_end = os.pipe()
        path = os.pathsep.join(filter(None, sys.path))
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(settings)],
                stdin=subprocess.PIPE,  # closes when rank 0 ends, even if it is killed
                stdout=output,
                stderr=output,
                env={**environment, "LOCAL_RANK": str(rank), "PYTHONPATH": path, READY: str(write_end)},
                pass_fds=(write_end,),
                start_new_session=True,  # Ctrl-C reaches rank 0 alone, which stops the others
            )
        os.close(write_end)

    def wait_until_ready(self) -> None:
        """Return when the worker has read its data and settings. Raises `RunError` when it ended instead."""
        with os.fdopen(self._ready, "rb") as ready:
            if not ready.read(1):
                raise self.error()

    def has_failed(self) -> bool:
        """Whether the worker ends with an error within a few seconds."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(GRACE) != 0
        return False

    def error(self) -> RunError:
        """The error to raise for a worker that ended too early, with the last line of its output."""
        code = self.process.wait()
        lines = self._output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = f"signal {-code}" if code < 0 else f"exit code {code}" + (f" ({lines[-1]})" if lines else "")
        return RunError(
            f"process {self.rank} of train.devices ended with {reason}; the same command resumes from the last "
            f"checkpoint"
        )

    def end(self, grace: float) -> None:
        """Wait `grace` seconds for the worker to end, then kill it."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


def is_worker() -> bool:
    """Whether this process was started by the first process of a run on several devices."""
    return READY in os.environ


def check(config: Config, in_memory: bool) -> None:
    """Raise `InputError` for a run that is impossible on the devices of this machine, or in several processes.

    in_memory: whether the images exist in the memory of this process only.
    """
    train = config.train
    kind = device(train.device)
    if train.processes == 1:
        if dist.is_torchelastic_launched() and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise InputError(
                f"torchrun started {os.environ['WORLD_SIZE']} processes for a run of one; set train.devices, and "
                f"train.nodes if there are several, or start the run without torchrun"
            )
        return
    setting = f"train.devices is {train.devices or 1} and train.nodes {train.nodes or 1}"
    if kind.index is not None:
        raise InputError(f"{setting}, but train.device is {train.device}, which is one; use {kind.type}")
    if kind.type == "cuda" and torch.cuda.device_count() < (train.devices or 1):
        raise InputError(
            f"{setting}, but this machine has {torch.cuda.device_count()} GPU; set train.devices to that, or "
            f"train.device=cpu"
        )
    with torch.device("meta"):
        encoder, _ = nets.build(config.net.name, (1, 64, 64), config.net.latent)
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in encoder.modules()):
        raise InputError(
            f"{setting}, but {config.net.name} normalises over the images of a batch, of which each process has a "
            f"part; choose another net, or one device"
        )
    if dist.is_initialized():
        raise InputError(f"{setting}, but this process already has a process group; leave both unset here")
    launched = _is_launched(train)
    if not launched and (train.nodes or 1) > 1:
        raise InputError(f"{setting}, but the other nodes are unknown; start the command with torchrun or srun")
    if not launched and in_memory:
        raise InputError(
            f"{setting}, but the images are in the memory of this process alone; save them as an .npz and pass its "
            f"path, or start your program with torchrun"
        )


def check_memory(modules: Callable[[], Iterable[nn.Module]]) -> None:
    """Raise `InputError` when training what `modules` builds needs more memory than this machine has."""
    remedy = "lower net.latent, the width of the method or the size of the images"
    try:
        with torch.device("meta"):
            parameters = sum(parameter.numel() for module in modules() for parameter in module.parameters())
    except (RuntimeError, OverflowError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"the nets of these settings cannot be built ({reason}); {remedy}") from None
    if not hasattr(os, "sysconf"):  # Windows
        return
    needed = 16 * parameters  # bytes of weights, gradients and two moments
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"the nets have {parameters:,} parameters and need {needed / 2**30:,.0f} GiB of memory in training, and "
            f"this machine has {memory / 2**30:,.0f}; {remedy}"
        )


@contextmanager
def process_group(train: Train, settings: str, needed: bool) -> Iterator[tuple[Shard, torch.device]]:
    """Connect the processes of a run that `check` accepted. Yields this process's shard and device.

    settings: those of the run in TOML, for the workers. Workers start only if they are `needed`. Raises `RunError` when
    a worker ends too early.
    """
    if train.processes == 1 or not (needed or _is_launched(train)):
        yield Shard(), device(train.device)
        return
    with tempfile.TemporaryDirectory(prefix="equipoise-") as folder:
        workers: list[Worker] = []
        grace = 0.0
        try:
            with _restored_environment():
                if not _is_launched(train):
                    file = Path(folder, "config.toml")
                    file.write_text(settings, encoding="utf-8")
                    workers = _start_workers(train, file)
                elif is_worker():
                    _report_ready()
                fabric = _fabric(train)
                fabric.launch()
            yield Shard(fabric.global_rank, fabric.world_size), fabric.device
            if workers or is_worker():  # processes of a launcher wait for the report in `finish` instead
                dist.destroy_process_group()
            grace = GRACE
        except RunError:
            raise
        except RuntimeError:  # raised by the process group when a process disappears
            for worker in workers:
                if worker.has_failed():
                    raise worker.error() from None
            raise
        finally:
            for worker in workers:
                worker.end(grace)
            if not grace and dist.is_initialized():
                dist.destroy_process_group()


def finish(shard: Shard) -> None:
    """Wait for all processes of a launcher, then destroy the process group. Workers have ended before."""
    if shard.processes > 1 and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def from_first(shard: Shard, value: Any) -> Any:
    """The value that rank 0 has."""
    if shard.processes == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def agree(shard: Shard, description: str) -> None:
    """Raise `InputError` unless all processes have the same description of settings and data, and the same torch."""
    if shard.processes == 1:
        return
    descriptions: list[Any] = [None] * shard.processes
    dist.all_gather_object(descriptions, f"{description} {torch.__version__}")
    for rank, other in enumerate(descriptions):
        if other != descriptions[0]:
            raise InputError(
                f"process {rank} has other settings, images or another torch than process 0; start all of them with "
                f"the same command, and give their machines the same files"
            )


def threads(train: Train) -> int | None:
    """Threads of torch for each process; None leaves them as they are."""
    if train.threads is None and (train.devices or 1) > 1:
        return max(1, torch.get_num_threads() // (train.devices or 1))
    return train.threads


def _fabric(train: Train) -> Any:
    """Lightning Fabric for these devices, not launched yet. Raises `InputError` when it is not installed."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    remedy = "train.devices and train.nodes need Lightning Fabric; pip install equipoise[multi]"
    fabric = import_package("lightning_fabric", remedy).Fabric
    kind = device(train.device).type
    with warnings.catch_warnings():
        # Where Slurm is installed, Fabric recommends srun, also if all processes are on this machine.
        warnings.filterwarnings("ignore", "The `srun` command is available")
        return fabric(accelerator=kind, devices=train.devices or 1, num_nodes=train.nodes or 1, strategy="ddp")


def _is_launched(train: Train) -> bool:
    """Whether a launcher started the processes. Raises `InputError` if their number is not that of the settings."""
    try:
        cluster = _fabric(train).strategy.cluster_environment
        cluster.validate_settings(num_devices=train.devices or 1, num_nodes=train.nodes or 1)
    except InputError:
        raise
    except (ValueError, RuntimeError) as error:
        raise InputError(f"train.devices={train.devices or 1} train.nodes={train.nodes or 1}: {error}") from None
    return bool(cluster.creates_processes_externally)


def _start_workers(train: Train, settings: Path) -> list[Worker]:
    """Start the other processes of this machine and wait until they are ready. This process gets rank 0."""
    port = import_module("lightning_fabric.plugins.environments.lightning").find_free_network_port()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0"}
    workers: list[Worker] = []
    try:
        for rank in range(1, train.devices or 1):
            workers.append(Worker(rank, settings, dict(os.environ)))
        for worker in workers:
            worker.wait_until_ready()
    except BaseException:
        for worker in workers:
            worker.end(0)
        raise
    return workers


def _report_ready() -> None:
    """Signal to rank 0 that this worker is ready to join, and end this worker when rank 0 ends."""

    def end_with_rank_0() -> None:
        os.read(sys.stdin.fileno(), 1)  # returns when the pipe closes, since nothing is written to it
        os._exit(1)

    threading.Thread(target=end_with_rank_0, daemon=True).start()
    with os.fdopen(int(os.environ[READY]), "wb") as ready:
        ready.write(b"1")


@contextmanager
def _restored_environment() -> Iterator[None]:
    """Restore the environment and the number of threads at the end, which Fabric changes."""
    before = os.environ.copy()
    try:
        with torch_threads():
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
