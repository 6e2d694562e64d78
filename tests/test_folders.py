"""Places that cannot be written to, and the folder of a run that is moved during its training."""

import errno
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.test_runs import run, same_training, settings

from equipoise import files, report, runs
from equipoise.cli import main
from equipoise.config import resolve
from equipoise.errors import RunError


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOTDIR, "a file is where a folder is needed, so choose another place"),
        (errno.EACCES, "choose a place that you may write to, or change its permissions"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_named_with_the_remedy(
    number: int, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.zeros((2, 8, 8), np.uint8))
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("sys.argv", ["equipoise", "data", "render", "a.npy", "--out", "folder/a.npz"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    error = capsys.readouterr().err.strip()
    assert error == f"equipoise: folder: {os.strerror(number)}; {remedy}"


def test_a_folder_that_is_moved_while_it_is_trained_stops_the_training(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "write", lambda run: files.write_text(run.path / "report.html", "drawn"))
    path, steps = tmp_path / "run", []

    def move() -> bool:
        steps.append(0)
        if len(steps) == 5:
            shutil.move(path, tmp_path / "moved")
        return False

    chosen: dict[str, Any] = settings(squares(), path)
    with pytest.raises((RunError, OSError)):
        runs.execute(resolve(chosen), progress=False, stop=move)
    assert not path.exists()
    last = max((tmp_path / "moved" / "claims").iterdir())
    last.with_name(str(int(last.name) + 1)).write_text('{"over": true}')  # as if this process had ended
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run({**chosen, "out": str(tmp_path / "moved")})
    run({**chosen, "out": str(tmp_path / "whole")})
    assert same_training(tmp_path / "moved", tmp_path / "whole")
