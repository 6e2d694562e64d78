"""What the tests of studies share: tiny images, a study of four short runs, the command as a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.test_runs import same_training

from equipoise import report, runs
from equipoise.claim import Claims
from equipoise.config import Config
from equipoise.files import write_text
from equipoise.study import Plan

# Pictures take most of the time of so short a run, and are not what is tested. The processes of the runs load this file
# too, as every file that is run and starts processes.
WITHOUT_PICTURES = """
import os
from equipoise import report
from equipoise.cli import main
from equipoise.files import write_text

report.write = lambda run: write_text(run.path / "report.html", "drawn")
if __name__ == "__main__":
    main()
"""

STUDY = """
out = "study"
seeds = 2
retries = 5
[data]
name = "squares.npz"
[net]
name = "factor"
latent = 2
[train]
steps = {steps}
batch = 16
log_every = 20
checkpoint_every = 10
[evaluate]
which = ["mig", "sse"]
[[method]]
name = "beta-vae"
beta = 1.0
[[method]]
name = "l-vae"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with 25 images of 8 x 8 pixels: a square at 5 x 5 places."""
    monkeypatch.chdir(tmp_path)
    pictures, factors = [], []
    for x in range(5):
        for y in range(5):
            picture = np.zeros((8, 8), np.uint8)
            picture[x : x + 4, y : y + 4] = 255
            pictures.append(picture)
            factors.append((x, y))
    np.savez("squares.npz", images=np.stack(pictures), factors=np.array(factors), factor_names=["x", "y"])
    (tmp_path / "without_pictures.py").write_text(WITHOUT_PICTURES, encoding="utf-8")
    return tmp_path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures in this process either."""
    monkeypatch.setattr(report, "write", lambda run: write_text(run.path / "report.html", "drawn"))


def write_study(text: str = STUDY, steps: int = 60) -> str:
    Path("study.toml").write_text(text.format(steps=steps), encoding="utf-8")
    return "study.toml"


@contextmanager
def started(*words: str, pictures: bool = False) -> Iterator[subprocess.Popen[str]]:
    """`equipoise` in a process and a group of its own; nothing of it is left at the end."""
    program = ["-m", "equipoise"] if pictures else ["without_pictures.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, *program, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)


def equipoise(*words: str, pictures: bool = False) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with started(*words, pictures=pictures) as process:
        out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def until(true: Callable[[], object], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)


def holders(plan: Plan) -> dict[str, int]:
    """The number of the process that holds a run, by run."""
    claims = Claims()
    paths = {run: Path(config.out) for run, config in plan.runs.items()}
    return {
        run: int(claims.holder(path).split()[-1])
        for run, path in paths.items()
        if claims.is_claimed(path) and claims.holder(path)
    }


def same_as_alone(config: Config, folder: Path) -> bool:
    """Whether a run of a study equals the run that is made alone with the same settings, in `folder`."""
    alone = runs.execute(replace(config, out=str(folder / Path(config.out).name)), progress=False)
    swept = runs.open_run(config.out)
    codes = alone.codes.keys() == swept.codes.keys() and all(
        np.array_equal(alone.codes[name], swept.codes[name]) for name in alone.codes if name != "checkpoint"
    )
    return same_training(alone.path, swept.path) and codes and values(alone) == values(swept)


def values(run: runs.Run) -> dict[str, Any]:
    """Scores without the time they took."""
    return {name: {**score.to_dict(), "seconds": 0} for name, score in run.scores.items()}


def stages(text: str) -> dict[str, str]:
    """Stage by run, from what a command prints as JSON."""
    return {state["run"]: state["stage"] for state in json.loads(text)["runs"]}
