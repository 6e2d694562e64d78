"""Two processes that share each batch do what one process does with the whole batch, for every method.

The laws are held in double precision, where the order of additions, all that differs, is 1e-16 of a sum: whatever were
computed on half a batch by mistake would differ by 1e-2. Nothing here needs Lightning Fabric but the runs at the end.
"""

import copy
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.conftest import SMALL, build, images, toy
from torch import Tensor, multiprocessing

import equipoise as eq
from equipoise import config as configuration
from equipoise import runs
from equipoise.data import Images
from equipoise.data.batches import Batches
from equipoise.data.labels import LabelledImages
from equipoise.data.settings import LabelSettings
from equipoise.errors import InputError, RunError
from equipoise.methods import METHODS
from equipoise.model import Pass, Shard
from equipoise.sections import Train
from equipoise.supervision import Supervision
from equipoise.training import checkpoint, devices
from equipoise.training.loop import CHECK_EVERY, Stopped, Training, fit

B, STEPS = 12, 10

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in METHODS if name != "compose"},
    "beta-tcvae, mss": ("beta-tcvae", {"weights": "mss"}),
    "beta-tcvae, mws": ("beta-tcvae", {"weights": "mws"}),
    "isa-vae, learned": ("isa-vae", {"learned": True}),
    "dip-vae-i": ("dip-vae", {"kind": "i"}),
    "sigma-vae, learned": ("sigma-vae", {"form": "learned"}),
    "factor-vae, split": ("factor-vae", {"second": "split"}),
    "factor-vae, same": ("factor-vae", {"second": "same"}),
    "dava, accumulate": ("dava", {"accumulate": True}),
    "mr-vae, range": ("mr-vae", {"beta_min": 0.5, "beta_max": 8.0}),
    "l-vae, float32": ("l-vae", {}),
    "factor-vae, float32": ("factor-vae", {}),
    "vae, labels, float32": ("vae", {}),
    "mr-vae, labels, float32": ("mr-vae", {"beta_min": 0.5, "beta_max": 8.0}),
}

RESUMED = ["l-vae", "control-vae", "sigma-vae", "progressive-rf-vae", "dava"]


def started(case: str, shard: Shard) -> Training:
    name, own = CASES[case]
    objective = build(METHODS[name](**{**SMALL.get(name, {}), **own}))
    train = Train(steps=STEPS, batch=B, lr=1e-3, clip=1.0 if name in ("dava", "vae") else None, device="cpu")
    model = toy(objective)
    if "float32" in case:
        model, objective = model.float(), objective.float()
    labelled = None
    if "labels" in case:
        pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
        few = Images(pixels, name="few", factors="grid", factor_sizes=(4, 5))
        labelled = LabelledImages(few, LabelSettings(15), 3, B, seed=0, data_seed=0)
        objective.supervision = Supervision("cross-entropy", 10.0, 0.5)
    training = Training(model, objective, train, torch.device("cpu"), shard, labelled)
    model.train()
    objective.train()
    return training


def go(training: Training, until: int) -> None:
    part, dtype = training.shard.part(B), next(training.model.parameters()).dtype
    while training.step < until:
        x, second = (images(B, seed=10 * training.step + stream, dtype=dtype)[part] for stream in (0, 1))
        training.advance(x, second if training.objective.needs_second_batch else None)


def trained(case: str, shard: Shard) -> dict[str, Any]:
    """The state half way and after STEPS steps, and what was logged."""
    training = started(case, shard)
    go(training, STEPS // 2)
    half = copy.deepcopy(training.state())
    go(training, STEPS)
    return {"half": half, "whole": training.state(), "names": training.sizes}


def resumed(case: str, shard: Shard, half: dict[str, Any]) -> dict[str, Any]:
    """The state after STEPS steps of a training that goes on from half way."""
    training = started(case, shard)
    training.load_state(copy.deepcopy(half))
    go(training, STEPS)
    return training.state()


def stopped(shard: Shard, asked: bool) -> tuple[str, int]:
    """What is said, and the step that is saved, when this process is asked to stop after its third step."""
    training, saved = started("l-vae", shard), []
    training.train = dataclasses.replace(training.train, steps=3 * CHECK_EVERY)
    part = shard.part(B)
    with pytest.raises(Stopped) as error:
        fit(
            training,
            lambda step, _: images(B, seed=step)[part],
            log=lambda _: None,
            save=lambda: saved.append(training.step),
            after=lambda _: None,
            stop=lambda: asked and training.step > 3,
        )
    return str(error.value), *saved


def one_of_two(rank: int, folder: str) -> None:
    """What each of the two processes does."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(minutes=2)
    )
    shard = Shard(rank, 2)
    done: dict[str, Any] = {case: trained(case, shard) for case in CASES}
    done["resumed"] = {case: resumed(case, shard, done[case]["half"]) for case in RESUMED}
    done["any"] = [shard.any(said, torch.device("cpu")) for said in (False, rank == 1, True)]
    done["stopped"] = stopped(shard, asked=rank == 1)
    done["from first"] = devices.from_first(shard, {"rank": rank})
    devices.agree(shard, "the same")
    try:
        devices.agree(shard, f"settings of {rank}")
    except InputError as error:
        done["disagree"] = str(error)
    dist.destroy_process_group()
    torch.save(done, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the two processes had at the end, all cases in one go."""
    folder = tmp_path_factory.mktemp("two")
    multiprocessing.start_processes(one_of_two, (str(folder),), 2, start_method="spawn")  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    """What a training has learned and remembers, by name, and its logs."""
    found = {f"{part}.{name}": value for part in ("model", "objective") for name, value in state[part].items()}
    for name, optimiser in state["optimisers"].items():
        for index, moments in optimiser["state"].items():
            found |= {f"{name}.{index}.{moment}": value for moment, value in moments.items()}
    return found | {"logs": state["pending"]}


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("case", CASES)
def test_two_processes_do_what_one_does_with_the_whole_batch(case: str, two: list[dict[str, Any]]) -> None:
    one = trained(case, Shard())
    ours, theirs = tensors(one["whole"]), tensors(two[0][case]["whole"])
    assert ours.keys() == theirs.keys()
    assert one["names"] == two[0][case]["names"]
    # Steps of Adam divide a gradient by its size, so what is nearly 0 is off by more than its rounding. Logs are
    # kept in float32. In float32 ten steps move a weight by 1e-2 at most.
    exact = "float32" not in case
    for name, value in ours.items():
        near = {"rtol": 1e-6, "atol": 1e-6} if name == "logs" else {"rtol": 1e-8, "atol": 1e-9}
        near = near if exact else {"rtol": 1e-4, "atol": 1e-5}
        assert torch.allclose(value.double(), theirs[name].double(), **near), name


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("case", CASES)
def test_both_processes_have_the_same_state_bit_for_bit(case: str, two: list[dict[str, Any]]) -> None:
    ours, theirs = (tensors(done[case]["whole"]) for done in two)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("case", RESUMED)
def test_two_processes_that_go_on_from_their_state_equal_two_that_never_stopped(
    case: str, two: list[dict[str, Any]]
) -> None:
    ours, theirs = tensors(two[0][case]["whole"]), tensors(two[0]["resumed"][case])
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("case", RESUMED)
def test_one_process_goes_on_from_the_state_of_two(case: str, two: list[dict[str, Any]]) -> None:
    theirs = tensors(two[0][case]["whole"])
    for name, value in tensors(resumed(case, Shard(), two[0][case]["half"])).items():
        assert torch.allclose(value.double(), theirs[name].double(), rtol=1e-6, atol=1e-6), name


@pytest.mark.slow
@pytest.mark.extra
def test_processes_agree_on_when_to_stop_and_on_what_they_train(two: list[dict[str, Any]]) -> None:
    for done in two:
        assert done["any"] == [False, True, True]
        assert done["stopped"] == (f"stopped after step {CHECK_EVERY} of {3 * CHECK_EVERY}", CHECK_EVERY)
        assert done["from first"] == {"rank": 0}
        assert done["disagree"].startswith("process 1 has other settings, images or another torch than process 0")


# --- shares and settings ----------------------------------------------------------------------------------------------


def test_the_shares_of_a_batch_are_its_rows_in_order(squares: Callable[[], str]) -> None:
    data = eq.load_data(squares())
    whole = Batches(data, B, seed=3)
    parts = [Batches(data, B, 3, Shard(rank, 3).part(B)) for rank in range(3)]
    for step, stream in ((0, 0), (1, 1), (7, 0)):
        assert torch.equal(whole(step, stream), torch.cat([part(step, stream) for part in parts]))


def test_on_how_many_devices_a_run_is_trained_is_no_part_of_what_it_is() -> None:
    one = configuration.resolve({"data": "dsprites", "method": "l-vae"})
    several = configuration.resolve({"data": "dsprites", "method": "l-vae", "train.devices": 2, "train.nodes": 4})
    assert one.out == several.out
    assert one.flat() == several.flat()
    assert "devices" not in one.to_toml()
    assert several.train.processes == 8
    assert "devices = 2" in several.to_toml()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"train.batch": 64, "train.devices": 3}, r"train\.batch is 64, which 3 processes .* set .* to 63 or 66"),
        ({"train.batch": 2, "train.devices": 2, "train.nodes": 2}, r"set train\.batch to 4$"),
        ({"train.devices": 0}, r"train\.devices is 0"),
    ],
)
def test_a_batch_that_has_no_equal_parts_is_refused(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        configuration.resolve({"data": "dsprites", **said})


def test_a_term_of_the_images_of_one_process_is_refused() -> None:
    objective = build(METHODS["vae"]())
    model = toy(objective)
    p = model(images(4), torch.Generator().manual_seed(0))
    half = Pass(p.x[:2], p.mean, p.logvar, p.z, p.out[:2], p.dataset_size, p.prior, p.likelihood)
    seen = {"step": torch.tensor(1), "progress": torch.tensor(0.1)}
    with pytest.raises(InputError, match=r"the term rec has 2 rows for a batch of 4; .* shard\.whole"):
        objective(half, seen)


# --- whole runs -------------------------------------------------------------------------------------------------------

SMALL_RUN: dict[str, object] = {
    "method": "l-vae",
    "method.law": "published",
    "net": "burgess",
    "net.latent": 3,
    "train.batch": 16,
    "train.steps": 200,
    "train.log_every": 20,
    "train.checkpoint_every": 20,
    "train.threads": 1,
    "train.device": "cpu",
    "evaluate.which": "sse",
}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Begins `equipoise train` with these words, and ends it with the test."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    begun = []

    def begin(said: list[str], *before: str) -> "subprocess.Popen[str]":
        command = [sys.executable, *before, "-m", "equipoise", "train", *said]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def followers(process: "subprocess.Popen[str]") -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def until(happened: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def rows(path: Path) -> list[dict[str, Any]]:
    timed = ("seconds", "images_per_second")
    return [{key: row[key] for key in row if key not in timed} for row in checkpoint.read_log(path / "log.jsonl")]


@pytest.mark.extra
@pytest.mark.slow
def test_a_run_on_two_processes_survives_the_death_of_one_and_equals_a_run_on_one(
    squares: Callable[[], str], tmp_path: Path, shell: Callable[..., "subprocess.Popen[str]"]
) -> None:
    data, path, alone = squares(), tmp_path / "two", tmp_path / "alone"
    said = {"data": data, "out": path, **SMALL_RUN, "train.devices": 2}
    process = shell([f"{key}={value}" for key, value in said.items()])
    until((path / "checkpoint.pt").exists)
    (other,) = followers(process)
    os.kill(other, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert "equipoise: process 1 of train.devices ended with signal 9" in errors
    assert checkpoint.load(path / "checkpoint.pt")["step"] % 20 == 0

    two = eq.train(data, out=path, settings={**SMALL_RUN, "train.devices": 2}, progress=False)
    assert not dist.is_initialized()
    assert not {"LOCAL_RANK", "MASTER_ADDR", "WORLD_SIZE", devices.READY} & os.environ.keys()
    one = eq.train(data, out=alone, settings=SMALL_RUN, progress=False)
    for ours, theirs in zip(rows(path), rows(alone), strict=True):
        assert ours.keys() == theirs.keys()
        for name in ("loss", "rec", "beta_equivalent"):  # rounding, and what 200 steps make of it
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4), f"{name} at step {ours['step']}"
    assert two.meta["parts"]["processes"] == 2
    assert two.scores["sse"].value == pytest.approx(one.scores["sse"].value, rel=1e-3)
    longer = eq.train(data, out=path, settings={**SMALL_RUN, "train.steps": 220}, progress=False)
    assert longer.logs[-1]["step"] == 220


@pytest.mark.extra
def test_what_several_processes_cannot_do_is_refused_before_any_is_started(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    data, settings = squares(), {**SMALL_RUN, "train.devices": 2}
    for more, sentence in (
        ({"net": "conv_bn"}, "conv_bn normalises over the images of a batch"),
        ({"train.nodes": 2}, "start the command with torchrun or srun"),
    ):
        with pytest.raises(InputError, match=sentence):
            eq.train(data, out=tmp_path / "run", settings={**settings, **more}, progress=False)
    pictures = np.zeros((40, 16, 16), np.uint8)
    with pytest.raises(InputError, match=r"in the memory of this process alone; save them as an \.npz"):
        eq.train(pictures, out=tmp_path / "run", settings=settings, progress=False)
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(InputError, match=r"need Lightning Fabric; pip install equipoise\[multi\]"):
        eq.train(data, out=tmp_path / "run", settings=settings, progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.extra
def test_a_process_that_cannot_begin_ends_the_others(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "PROGRAM", "raise SystemExit('no room here')")
    config = configuration.resolve({"data": squares(), "out": str(tmp_path / "run"), **SMALL_RUN, "train.devices": 2})
    with pytest.raises(RunError, match=r"process 1 of train\.devices ended with exit code 1 \(no room here\)"):
        runs.execute(config, progress=False)
    assert not (tmp_path / "run").exists()
