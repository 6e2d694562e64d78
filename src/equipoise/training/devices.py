"""One run on several devices: its processes are started, find each other, and end together.

Each process is given its part of every batch; what it does with it is `model.Shard`. Where torchrun, Slurm or another
launcher started the processes, Lightning Fabric reads from their environment who is who. Otherwise the process that the
user started is the first, and starts the others: each is a Python of its own that reads the same settings and does the
same run. The first alone touches the run's folder.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from equipoise import nets
from equipoise.config import Config, Train
from equipoise.errors import InputError, RunError
from equipoise.model import Shard
from equipoise.training.loop import device

FOLLOW = "import sys; from equipoise import runs; runs.follow(sys.argv[1])"
READY = "EQUIPOISE_READY"  # in the environment of a process that another started: where it says that it is ready
GRACE = 10.0  # seconds for a process to end by itself, when the others have


class Follower:
    """A process that this one started, which ends when this one does."""

    def __init__(self, rank: int, settings: Path, environment: dict[str, str]) -> None:
        self.rank = rank
        self._said = settings.with_name(f"process-{rank}.txt")
        self._ready, theirs = os.pipe()
        path = os.pathsep.join(filter(None, sys.path))
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", FOLLOW, str(settings)],
                stdin=subprocess.PIPE,  # a line that closes when this process ends, however it ends
                stdout=said,
                stderr=said,
                env={**environment, "LOCAL_RANK": str(rank), "PYTHONPATH": path, READY: str(theirs)},
                pass_fds=(theirs,),
                start_new_session=True,  # Ctrl-C is for the first process, which tells the others
            )
        os.close(theirs)

    def wait(self) -> None:
        """Return when it has read its data and settings. Raises `RunError` when it ended instead."""
        with os.fdopen(self._ready, "rb") as ready:
            if not ready.read(1):
                raise self.lost()

    def ended(self) -> bool:
        """Whether it ended badly, or does so in a moment."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(GRACE) != 0
        return False

    def lost(self) -> RunError:
        """What a reader has to know of a process that ended badly."""
        code = self.process.wait()
        lines = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        how = f"signal {-code}" if code < 0 else f"exit code {code}" + (f" ({lines[-1]})" if lines else "")
        return RunError(
            f"process {self.rank} of train.devices ended with {how}; what was saved is in the checkpoint, and the same "
            f"command goes on from there"
        )

    def end(self, grace: float) -> None:
        """Let it end by itself for `grace` seconds, and then end it."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


def check(config: Config, given: bool) -> None:
    """Raises `InputError` for a run that the devices here, or several processes, cannot do.

    given: whether its images were handed over by the caller, and so are in this process alone.
    """
    train = config.train
    kind = device(train.device)
    if train.processes == 1:
        if dist.is_torchelastic_launched() and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise InputError(
                f"torchrun started {os.environ['WORLD_SIZE']} processes for a run of one; say how many in "
                f"train.devices, and train.nodes if there are several, or start it without torchrun"
            )
        return
    said = f"train.devices is {train.devices or 1} and train.nodes {train.nodes or 1}"
    if kind.index is not None:
        raise InputError(f"{said}, but train.device is {train.device}, which is one; use {kind.type}")
    if kind.type == "cuda" and torch.cuda.device_count() < (train.devices or 1):
        raise InputError(
            f"{said}, but this machine offers {torch.cuda.device_count()} GPU; ask for so many, or set train.device=cpu"
        )
    with torch.device("meta"):
        encoder, _ = nets.build(config.net.name, (1, 64, 64), config.net.latent)
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in encoder.modules()):
        raise InputError(
            f"{said}, but {config.net.name} normalises over the images of a batch, of which each process would see its "
            f"part alone; choose another net, or one device"
        )
    if dist.is_initialized():
        raise InputError(f"{said}, but this process already has a group of its own; leave both unset here")
    launched = _external(train)
    if not launched and (train.nodes or 1) > 1:
        raise InputError(f"{said}, but nothing says where the other nodes are; start the command with torchrun or srun")
    if not launched and given:
        raise InputError(
            f"{said}, but the images are in the memory of this process alone; save them as an .npz and pass its path, "
            f"or start your program with torchrun"
        )


@contextmanager
def joined(train: Train, settings: str, needed: bool) -> Iterator[tuple[Shard, torch.device]]:
    """This process's shard and device, all processes of the run being there; `check` has been called.

    settings: those of the run as TOML, for the processes to start. Unless they are `needed`, none is started. Raises
    `RunError` when one that was started ends before its time.
    """
    if train.processes == 1 or not (needed or _external(train)):
        yield Shard(), device(train.device)
        return
    with tempfile.TemporaryDirectory(prefix="equipoise-") as folder:
        followers: list[Follower] = []
        grace = 0.0
        try:
            with _environment():
                if not _external(train):
                    file = Path(folder, "config.toml")
                    file.write_text(settings, encoding="utf-8")
                    followers = _start(train, file)
                elif READY in os.environ:
                    _follow()
                fabric = _fabric(train)
                fabric.launch()
            yield Shard(fabric.global_rank, fabric.world_size), fabric.device
            if followers or READY in os.environ:  # those started from elsewhere wait for the report, in `part`
                dist.destroy_process_group()
            grace = GRACE
        except RunError:
            raise
        except RuntimeError:  # of the group, when a process is gone in the middle of a message
            for follower in followers:
                if follower.ended():
                    raise follower.lost() from None
            raise
        finally:
            for follower in followers:
                follower.end(grace)
            if not grace and dist.is_initialized():
                dist.destroy_process_group()


def part(shard: Shard) -> None:
    """Return when all processes are here; those that this one started, or was started by, went their own way before."""
    if shard.processes > 1 and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def from_first(shard: Shard, value: Any) -> Any:
    """What the first process has."""
    if shard.processes == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def agree(shard: Shard, about: str) -> None:
    """Raises `InputError` unless all processes have the same settings and data `about`, and the same torch."""
    if shard.processes == 1:
        return
    said: list[Any] = [None] * shard.processes
    dist.all_gather_object(said, f"{about} {torch.__version__}")
    for rank, other in enumerate(said):
        if other != said[0]:
            raise InputError(
                f"process {rank} has other settings, images or another torch than process 0; start all of them with "
                f"the same command, and give their machines the same files"
            )


def threads(train: Train) -> int | None:
    """Threads of torch for a process; unset where it has the machine for itself."""
    if train.threads is None and (train.devices or 1) > 1:
        return max(1, torch.get_num_threads() // (train.devices or 1))
    return train.threads


def _fabric(train: Train) -> Any:
    """Lightning Fabric for these devices, which has started nothing yet."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = import_module("lightning_fabric").Fabric
    except ImportError:
        raise InputError("train.devices and train.nodes need Lightning Fabric; pip install equipoise[multi]") from None
    kind = device(train.device).type
    return fabric(accelerator=kind, devices=train.devices or 1, num_nodes=train.nodes or 1, strategy="ddp")


def _external(train: Train) -> bool:
    """Whether another program started the processes. Raises `InputError` if it did not start those asked for."""
    try:
        around = _fabric(train).strategy.cluster_environment
        around.validate_settings(num_devices=train.devices or 1, num_nodes=train.nodes or 1)
    except InputError:
        raise
    except (ValueError, RuntimeError) as error:
        raise InputError(f"train.devices={train.devices or 1} train.nodes={train.nodes or 1}: {error}") from None
    return bool(around.creates_processes_externally)


def _start(train: Train, settings: Path) -> list[Follower]:
    """The other processes of this machine, all of them ready to join. This one is the first from here on."""
    port = import_module("lightning_fabric.plugins.environments.lightning").find_free_network_port()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0"}
    followers: list[Follower] = []
    try:
        for rank in range(1, train.devices or 1):
            followers.append(Follower(rank, settings, dict(os.environ)))
        for follower in followers:
            follower.wait()
    except BaseException:
        for follower in followers:
            follower.end(0)
        raise
    return followers


def _follow() -> None:
    """Say that this process is ready to join, and end it when the one that started it ends."""

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)  # nothing is ever written there
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with os.fdopen(int(os.environ[READY]), "wb") as ready:
        ready.write(b"1")


@contextmanager
def _environment() -> Iterator[None]:
    """Fabric writes into the environment and sets the number of threads; afterwards both are as they were."""
    before, number = os.environ.copy(), torch.get_num_threads()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        torch.set_num_threads(number)
