"""What a run promises about its files: one process at a time, no change goes unnoticed, nothing is lost on the way."""

import errno
import itertools
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.test_runs import run, same_training, settings

import equipoise as eq
from equipoise import claim, commands, export, files, report, runs, scoring
from equipoise.audit import audit
from equipoise.claim import Claimed
from equipoise.cli import main
from equipoise.config import resolve
from equipoise.errors import InputError, RunError
from equipoise.shell import word
from equipoise.training import checkpoint


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of a finished run of 6 steps on random images."""
    folder = tmp_path_factory.mktemp("original")
    np.savez(folder / "data.npz", images=np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8))
    chosen = settings(str(folder / "data.npz"), folder / "run", train__steps=6, method="beta-vae")
    chosen |= {"evaluate.which": ["sse"], "train.log_every": 2}
    run(chosen)
    return chosen


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "write", lambda run: files.write_text(run.path / "report.html", "drawn"))


@pytest.fixture
def finished(original: dict[str, object], tmp_path: Path) -> dict[str, object]:
    """The settings of a copy of that run in `tmp_path / "run"`."""
    shutil.copytree(str(original["out"]), tmp_path / "run")
    file = tmp_path / "run" / "config.toml"
    file.write_text(file.read_text().replace(str(original["out"]), str(tmp_path / "run")))
    return {**original, "out": str(tmp_path / "run")}


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a run by path, without its claims."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "claims" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_claimed_run_is_refused_by_every_command_that_writes_to_it(
    finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    before = contents(path)
    with claim.hold(path):
        sentence = rf"run is in use \(.+, process {os.getpid()}\); wait until that process ends, or stop it$"
        for command in (
            lambda: run(finished),
            lambda: run({**finished, "train.steps": 8}),
            lambda: commands.evaluate([path], progress=False),
            lambda: commands.report(path),
            lambda: commands.explore(path, browser=False),
            lambda: export.write(path, "safetensors", None),
        ):
            with pytest.raises(Claimed, match=sentence):
                command()
        outcome = commands.status(path, progress=False)
        assert f"run is done; {claim.Claims().holder(path)} works on it" in outcome.text
    assert contents(path) == before
    assert commands.status(path, progress=False).text == f"{path}: 1 run: 1 done"


@pytest.mark.usefixtures("finished")
def test_the_status_of_a_run_names_who_trains_it(tmp_path: Path) -> None:
    path = tmp_path / "run"
    (path / "scores.json").unlink()
    with claim.hold(path):
        outcome = commands.status(path, progress=False)
    assert not outcome.is_complete
    assert outcome.text.splitlines()[1].startswith("  run is at step 6 of 6 (")
    assert f"process {os.getpid()})" in outcome.text


def test_a_run_that_is_taken_over_writes_nothing_more(finished: dict[str, object], tmp_path: Path) -> None:
    path, before = tmp_path / "run", {}

    def take_over() -> bool:
        number = max(int(file.name) for file in (path / "claims").iterdir() if file.name.isdigit())
        (path / "claims" / str(number + 1)).write_text("{}")
        before.update(contents(path))
        next(iter(current)).beat()
        return False

    current: list[claim.Claim] = []
    taken = claim.Claims().take(path)
    assert taken is not None
    current.append(taken)
    with pytest.raises(Claimed, match="was claimed by another process"):
        runs.execute(resolve({**finished, "train.steps": 8}), progress=False, stop=take_over, claim=taken)
    taken.release()
    assert contents(path) == before


def test_every_flipped_bit_of_a_checkpoint_is_named_and_nothing_is_removed(
    finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    file = path / "checkpoint.pt"
    whole, rng = file.read_bytes(), random.Random(0)
    assert checkpoint.load(file)["step"] == 6
    ends = [8 * len(whole) - 1 - bit for bit in range(8 * 100)]  # the directory, the lengths and the digest
    for number, bit in enumerate([*rng.sample(range(8 * len(whole)), 100), *rng.sample(ends, 30)]):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read .*; restore it from a copy, or delete it"):
            checkpoint.load(file)
        if number % 20 == 0:
            before = contents(path)
            for more in ({}, {"train.steps": 8}):
                with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read"):
                    run({**finished, **more})
            assert contents(path) == before
    file.write_bytes(whole)
    run(finished)  # the settings were not rewritten by the refused extension


ROWS = '{"step": 2, "loss": 1.0}\n{"step": 4, "loss": 1.0}\n{"step": 6, "loss": 1.0}\n'


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (ROWS.replace('4, "loss"', '4, "lo\0s'), 2),
        (ROWS.replace('{"step": 4', '["step", 4'), 2),
        (ROWS.replace('"step": 4', '"step": 2'), 2),
        (ROWS.replace('"loss": 1.0}\n{"step": 6', '"loss": {}}\n{"step": 6'), 2),
        (ROWS.replace("2, ", "2, " * 2000), 1),
        ("[" * 100_000 + "\n" + ROWS, 1),
        (ROWS + ROWS, 4),
        (ROWS + "torn\n", 4),
    ],
)
def test_a_damaged_row_of_the_log_is_named_and_nothing_is_removed(
    log: str, line: int, finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    (path / "log.jsonl").write_text(log)
    before = contents(path)
    for more in ({}, {"train.steps": 8}):
        with pytest.raises(RunError, match=rf"log\.jsonl, line {line} is damaged \("):
            run({**finished, **more})
    assert contents(path) == before


def test_a_log_that_is_shorter_than_its_checkpoint_is_reported_and_the_rest_is_kept(
    finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    rows = (path / "log.jsonl").read_text().splitlines(keepends=True)
    (path / "log.jsonl").write_text(rows[0] + rows[1][:-1])  # a row whose line end is missing is whole
    for more in ({}, {"train.steps": 8}):
        with pytest.warns(UserWarning, match="shorter than its checkpoint: it lacks the rows of steps 6"):
            run({**finished, **more})
    assert [row["step"] for row in eq.open_run(path).logs] == [2, 4, 8]
    (path / "log.jsonl").write_text("")
    with pytest.warns(UserWarning, match=r"lacks the rows of steps 2, 4, 6 and 1 more"):
        run({**finished, "train.steps": 8})


def test_a_changed_number_in_the_log_is_named_and_nothing_is_removed(
    finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    rows = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    loss = rows[1]["loss"]
    rows[1]["loss"] += 1e-9
    (path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = contents(path)
    for more in ({}, {"train.steps": 8}):
        with pytest.raises(RunError, match=r"log\.jsonl has changed since its checkpoint was saved; restore it"):
            run({**finished, **more})
    assert contents(path) == before
    assert [fault for fault in audit(path).faults if "log.jsonl has changed" in fault]
    rows[1]["loss"] = loss
    rows[1]["seconds"] += 1  # times are not compared
    (path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run({**finished, "train.steps": 8})
    assert not audit(path).faults


def test_a_changed_number_in_the_scores_is_named_and_made_again(finished: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "run" / "scores.json"
    before = file.read_text()
    stored = json.loads(before)
    stored["scores"]["sse"]["value"] *= 1.01
    file.write_text(json.dumps(stored))
    with pytest.raises(RunError, match=r"scores\.json is damaged \(its content has changed\)"):
        _ = eq.open_run(tmp_path / "run").scores
    assert len(audit(tmp_path / "run").faults) == 1
    with pytest.warns(UserWarning, match=r"its content has changed.* It is written again"):
        run(finished)
    assert {**json.loads(before), "scores": 0, "digest": 0} == {
        **json.loads(file.read_text()),
        "scores": 0,
        "digest": 0,
    }
    assert eq.open_run(tmp_path / "run").scores["sse"].value == json.loads(before)["scores"]["sse"]["value"]
    del stored["digest"]  # as an earlier version wrote them
    file.write_text(json.dumps(stored))
    assert eq.open_run(tmp_path / "run").scores["sse"].value == stored["scores"]["sse"]["value"]


DAMAGE = ("", "{", "[]", "{}", "3", '"text"', "[" * 100_000, "9" * 5000, '{"a": ' + "9" * 5000 + "}", "\0\0")


@pytest.mark.parametrize("text", [*DAMAGE, '{"checkpoint": "x", "convention": "y", "n": 1, "scores": {"sse": {}}}'])
def test_damaged_scores_are_named_and_made_again_by_training(
    text: str, finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    before = eq.open_run(path).scores["sse"].value
    (path / "scores.json").write_text(text)
    with pytest.raises(RunError, match=r"scores\.json is damaged \("):
        _ = eq.open_run(path).scores
    with pytest.warns(UserWarning, match=r"scores\.json is damaged .* It is written again"):
        run(finished)
    assert eq.open_run(path).scores["sse"].value == before


@pytest.mark.parametrize("key", ["value", "low", "per_factor", "matrix", "left_out", "params"])
def test_a_score_of_another_shape_is_named(key: str, finished: dict[str, object], tmp_path: Path) -> None:  # noqa: ARG001
    file = tmp_path / "run" / "scores.json"
    stored = json.loads(file.read_text())
    del stored["digest"]  # as in a file of an earlier version, where only the shape shows a change
    for value in ({"a": {}}, [[1], [2, 3]], "text"):
        stored["scores"]["sse"][key] = value
        if key not in ("left_out", "params") or not isinstance(value, dict):
            file.write_text(json.dumps(stored))
            with pytest.raises(RunError, match=r"scores\.json is damaged \(sse: "):
                scoring.read(file)


@pytest.mark.parametrize("name", ["digest", "factor_names", "shape", "images", "versions", *DAMAGE])
def test_a_damaged_meta_file_is_named(name: str, finished: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "run"
    meta = json.loads((path / "meta.json").read_text())
    if name in DAMAGE:
        text = name
    else:
        (meta["data"] if name in meta["data"] and name not in meta else meta)[name] = {"a": 0}
        text = json.dumps(meta)
    (path / "meta.json").write_text(text)
    before = contents(path)
    for attempt in (lambda: run({**finished, "train.steps": 8}), lambda: eq.open_run(path)):
        with pytest.raises(RunError, match=r"meta\.json is damaged \(.*\); delete it and run the same command again"):
            attempt()
    assert contents(path) == before


WRONG = ("", "x", "[train]\nsteps = 6\n", "train = 3\n", "[[train]]\nsteps = 6\n", "\0", "a=" + "9" * 5000)


@pytest.mark.parametrize("text", [*WRONG, "out = " + "[" * 5000])
def test_a_damaged_config_file_is_named_and_made_again_once_deleted(
    text: str, finished: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "run"
    whole = (path / "config.toml").read_text()
    for damage in (text, whole.replace("steps = 6", "steps = 'six'"), whole.replace("batch = 16\n", "")):
        (path / "config.toml").write_text(damage)
        for attempt in (
            lambda: run(finished),
            lambda: eq.open_run(path),
            lambda: commands.status(path, progress=False),
        ):
            with pytest.raises(InputError, match=r"config\.toml is (damaged: |not valid TOML \()"):
                attempt()
    (path / "config.toml").unlink()
    with pytest.raises(RunError, match="other settings"):
        run({**finished, "method.beta": 9.0})
    run(finished)
    assert (path / "config.toml").read_text() == whole


def test_what_a_killed_process_left_half_written_is_removed(finished: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "run"
    before = contents(path)
    for name in (".checkpoint.pt.0123abcd.part", "pictures/.curves.svg.0123abcd.part", "export/.onnx.0123abcd.part/x"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("half")
    run(finished)
    assert contents(path) == before


def test_a_full_disk_is_named_with_the_file_and_the_run_goes_on_later(
    finished: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, fsync = tmp_path / "run", os.fsync
    (path.parent / "whole").mkdir()
    run({**finished, "out": str(tmp_path / "whole" / "run"), "train.steps": 12})
    left = 3

    def full(number: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)
    words = [word(key, value) for key, value in {**finished, "train.steps": 12}.items()]
    monkeypatch.setattr("sys.argv", ["equipoise", "train", *words, "--no-progress"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"equipoise: {path}")
    assert error.endswith(": No space left on device; free some space and repeat the command, which resumes")
    assert "\n" not in error
    monkeypatch.setattr(os, "fsync", fsync)
    run({**finished, "train.steps": 12})
    assert same_training(path, tmp_path / "whole" / "run")
    assert not list(path.rglob("*.part"))


def test_an_audit_finds_every_fault_and_changes_nothing(finished: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "run"
    outcome = commands.check(path)
    assert (outcome.is_complete, outcome.text) == (True, f"{path}: whole, step 6 of 6")
    for name, damage, fault in (
        ("config.toml", b"steps = 'x'", "config.toml is damaged: "),
        ("meta.json", b"[]", "meta.json is damaged ("),
        ("checkpoint.pt", b"PK", "checkpoint.pt cannot be read ("),
        ("log.jsonl", b'{"step": 2}\n', "log.jsonl is shorter than its checkpoint: it lacks the rows of steps 4, 6"),
        ("log.jsonl", b'{"step": 2}\n{\n', "log.jsonl, line 2 is damaged ("),
        ("codes.npz", b"PK", "codes.npz is damaged"),
        ("scores.json", b"{}", "scores.json is damaged ("),
    ):
        whole = (path / name).read_bytes()
        (path / name).write_bytes(damage)
        before = contents(path)
        outcome = commands.check(tmp_path)
        assert not outcome.is_complete
        assert fault in outcome.text
        assert contents(path) == before
        if name == "codes.npz":
            with pytest.raises(RunError, match=rf"is damaged.*: run equipoise evaluate {path}$"):
                _ = runs.open_run(path).codes
        (path / name).write_bytes(whole)
    shutil.copytree(path, tmp_path / "other")
    run({**finished, "out": str(tmp_path / "other"), "train.steps": 8})
    (path / "betas" / "3").mkdir(parents=True)
    for name, to in itertools.product(("codes.npz", "scores.json"), (path, path / "betas" / "3")):
        shutil.copy(tmp_path / "other" / name, to / name)
    (path / ".codes.npz.0123abcd.part").touch()
    outcome = commands.check(tmp_path)
    assert outcome.text.count("is of another checkpoint; the train command of the run makes it again") == 2
    assert outcome.text.count(f"is of another checkpoint; equipoise evaluate {path} --beta 3 makes it again") == 2
    assert ".codes.npz.0123abcd.part is unfinished" in outcome.text
    assert outcome.text.endswith("2 runs, 1 with faults")
    with claim.hold(tmp_path / "other"):
        holder = claim.Claims().holder(tmp_path / "other")
        assert f"other: whole, step 8 of 8, in use ({holder})" in commands.check(tmp_path).text
    with pytest.raises(InputError, match="has no run in it"):
        commands.check(tmp_path / "run" / "pictures")
