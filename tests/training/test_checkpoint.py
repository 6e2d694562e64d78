"""What a checkpoint and a log promise whoever reads them."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from equipoise.errors import RunError
from equipoise.training import checkpoint


def test_last_row_is_the_last_whole_one(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert checkpoint.last_row(log) == {}
    rows = [{"step": step, "kl_dims": [0.5] * 200} for step in range(1, 200)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 200, "kl_d', encoding="utf-8")
    assert checkpoint.last_row(log) == rows[-1]


def test_a_writer_that_is_not_sure_keeps_the_older_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"step": 1})

    def refuse() -> None:
        raise RunError("taken over")

    with pytest.raises(RunError, match="taken over"):
        checkpoint.save(path, {"step": 2}, before_save=refuse)
    assert checkpoint.load(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for state in ({"step": 1}, {"format": checkpoint.FORMAT + 1, "step": 1}, [1, 2]):
        torch.save(state, path)
        with pytest.raises(RunError, match="not a checkpoint of this version"):
            checkpoint.load(path)


def test_the_log_is_read_up_to_and_with_a_step(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": step}) + "\n" for step in (10, 20, 30)) + '{"st', encoding="utf-8")
    assert [row["step"] for row in checkpoint.read_log(log, until=20)] == [10, 20]
    assert [row["step"] for row in checkpoint.read_log(log)] == [10, 20, 30]


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_with_a_pickle_is_refused_and_executes_nothing(tmp_path: Path) -> None:
    path, evidence = tmp_path / "checkpoint.pt", tmp_path / "executed"
    torch.save({"format": checkpoint.FORMAT, "step": 1, "model": Hostile(evidence)}, path)
    with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read"):
        checkpoint.load(path)
    assert not evidence.exists()

    path.write_bytes(pickle.dumps(Hostile(evidence), protocol=2))
    with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read"):
        checkpoint.load(path)
    assert not evidence.exists()

    pickle.loads(path.read_bytes())
    assert evidence.exists(), "the pickle does harm where it is trusted"


def test_a_checkpoint_of_an_earlier_version_loads_and_its_damaged_parts_are_named(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    torch.save({"format": checkpoint.FORMAT, "step": 3, "weights": torch.ones(2000)}, file)
    assert checkpoint.load(file)["step"] == 3
    content = bytearray(file.read_bytes())
    content[content.index(torch.ones(2000).numpy().tobytes()) + 4000] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read \(its part .* has changed\)"):
        checkpoint.load(file)
