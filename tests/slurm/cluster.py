"""A Slurm of one node with two CPUs on the loopback interface. All of its files are in a temporary folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "sinfo", "squeue", "srun")
CPUS = 2

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=2
ReturnToService=2
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8192
PartitionName=main Nodes=one Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What this machine lacks for a Slurm of its own; empty if it lacks nothing."""
    if os.name != "posix" or os.geteuid() != 0:
        return "starting a Slurm needs root"
    absent = [program for program in PROGRAMS if _path(program) is None]
    return f"this machine lacks {', '.join(absent)}; install the packages slurm-wlm and munge" if absent else ""


def version() -> tuple[int, ...]:
    """Return the version of Slurm, such as (22, 5, 8)."""
    printed = subprocess.run([_path("slurmd") or "", "-V"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", printed)[:3]))


class Cluster:
    """A Slurm that runs. Its commands read `SLURM_CONF`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def jobs(self, state: str = "all") -> list[str]:
        """Return the numbers of the jobs that are in this state; those of an array are such as 12_0."""
        return self.run("squeue", "--noheader", "--array", f"--states={state}", "--format=%i").split()

    def stop(self) -> None:
        """End every process of the cluster, those of its jobs too."""
        # Daemons, steps and jobs have the configuration in their environment, in whatever session they are.
        mark = f"SLURM_CONF={self.folder / 'slurm.conf'}".encode()
        for number in (signal.SIGTERM, signal.SIGKILL):
            limit = time.monotonic() + 3
            while (left := _processes(mark)) and time.monotonic() < limit:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.2)
        assert not _processes(mark), f"processes {_processes(mark)} of the test's Slurm did not end"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A Slurm whose node is idle. At the end nothing of it is left, also after a failure."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # not pytest's folder: the path of a socket has to be short
    slurm = Cluster(folder)
    try:
        with ExitStack() as stack:
            stack.callback(slurm.stop)
            _configure(folder)
            daemons = {
                "munged": [
                    "--foreground",
                    f"--socket={folder / 'munge.socket'}",
                    *(f"--{kind}-file={folder / kind}" for kind in ("key", "log", "pid", "seed")),
                ],
                "slurmctld": ["-D"],
                "slurmd": ["-D", "-N", "one"],
            }
            for program, words in daemons.items():
                stack.enter_context(_daemon(slurm, program, words))
                if program == "munged":
                    _until((folder / "munge.socket").exists, folder)
            _until(lambda: _is_idle(slurm), folder)
            yield slurm
            slurm.stop()
    finally:
        shutil.rmtree(folder)


def _configure(folder: Path) -> None:
    folder.chmod(0o711)  # munged demands that every user reaches its socket
    for name in ("state", "spool"):
        (folder / name).mkdir(mode=0o700)
    (folder / "key").touch(0o600)
    (folder / "key").write_bytes(os.urandom(128))
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = {"controller_port": first.getsockname()[1], "node_port": second.getsockname()[1]}
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(folder=folder, host=host, cpus=CPUS, **ports)
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    if version() >= (24, 5):
        (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n", encoding="utf-8")


@contextmanager
def _daemon(slurm: Cluster, program: str, words: list[str]) -> Iterator[None]:
    """A daemon in the foreground; what it prints is in a file of the folder."""
    command = [_path(program) or program, *words]
    environment = {**os.environ, **slurm.environment}
    with (
        (slurm.folder / f"{program}.out").open("w") as out,
        subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True),
    ):
        try:
            yield
        except BaseException:
            slurm.stop()
            raise


def _is_idle(slurm: Cluster) -> bool:
    command = ["sinfo", "--noheader", "--format=%T"]
    environment = {**os.environ, **slurm.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == "idle"


def _until(true: Callable[[], bool], folder: Path, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not true():
        outputs = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.out"))}
        assert time.monotonic() < limit, f"Slurm did not start: {outputs}"
        time.sleep(0.1)


def _path(program: str) -> str | None:
    """Where a program is; daemons are in folders that PATH may lack."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def _processes(mark: bytes) -> list[int]:
    """The processes, other than this one, that were started with `mark` in their environment."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            with suppress(OSError):
                if mark in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
    return found
