"""Runs that start from the weights of another run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.test_runs import same_training

import equipoise as eq
from equipoise import config
from equipoise.run_folder import load_checkpoint
from equipoise.training import checkpoint
from equipoise.training.loop import Stopped

SETTINGS: dict[str, Any] = {"train.batch": 16, "net.latent": 4, "train.threads": 1, "evaluate.which": ["sse"]}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def first(squares: Callable[[], str], **more: Any) -> eq.Run:
    """A run of three steps of a vae, as runs/first."""
    return eq.train(
        squares(), "vae", net="burgess", steps=3, out="runs/first", settings=SETTINGS | more, progress=False
    )


def second(data: str, out: str = "runs/second", method: str = "beta-vae", **more: Any) -> eq.Run:
    """A run from the weights of runs/first, without its net among the settings."""
    settings = {"train.batch": 16, "train.threads": 1, "evaluate.which": ["sse"], "init": "runs/first", **more}
    return eq.train(data, method, steps=4, out=out, settings=settings, progress=False)


def weights(run: eq.Run) -> dict[str, torch.Tensor]:
    return load_checkpoint(run.path, run.config)["model"]


def test_a_run_starts_from_the_weights_of_the_other_and_records_it(squares: Callable[[], str]) -> None:
    before = first(squares)
    tiny = second(squares(), **{"train.lr": 1e-30, "train.start_at_mean": True})
    assert (tiny.config.net.name, tiny.config.net.latent, tiny.config.data.size) == ("burgess", 4, 16)
    for name, value in weights(before).items():
        assert torch.equal(weights(tiny)[name], value), name
    assert tiny.meta["init"] == {
        "run": str(before.path.resolve()),
        "method": "vae",
        "step": 3,
        "checkpoint": checkpoint.digest(before.path / "checkpoint.pt"),
    }
    trained = second(squares(), "runs/third")
    assert not torch.equal(weights(trained)["encoder.0.weight"], weights(before)["encoder.0.weight"])


def test_it_resumes_bit_for_bit_also_without_the_other_run(squares: Callable[[], str]) -> None:
    first(squares)
    data, steps = squares(), iter(range(9))
    whole = second(data)
    settings = whole.config.flat() | {"out": "runs/broken", "train.init": "runs/first"}
    resolved = config.resolve(settings, complete=True)
    with pytest.raises(Stopped):
        eq.runs.execute(resolved, progress=False, stop=lambda: next(steps) == 2)
    shutil.rmtree("runs/first")
    eq.runs.execute(resolved, progress=False)
    assert same_training(whole.path, Path("runs/broken"))
    again = second(data)  # finished: the same call returns it
    assert again.config.flat() == whole.config.flat()


def test_a_start_that_used_another_checkpoint_is_refused(squares: Callable[[], str]) -> None:
    first(squares)
    data = squares()
    run = second(data)
    for name in ("checkpoint.pt", "log.jsonl", "codes.npz", "scores.json", "report.html"):
        (run.path / name).unlink()
    assert second(data).meta["init"]["step"] == 3
    for name in ("checkpoint.pt", "log.jsonl", "codes.npz", "scores.json", "report.html"):
        (run.path / name).unlink()
    eq.train(
        eq.open_run("runs/first").config.data.name,
        "vae",
        net="burgess",
        steps=5,
        out="runs/first",
        settings=SETTINGS,
        progress=False,
    )
    with pytest.raises(eq.InputError, match="began from another checkpoint of runs/first; choose another out"):
        second(data)


def test_gates_start_from_gates_and_plain_nets_from_the_beta_of_the_settings(squares: Callable[[], str]) -> None:
    data = squares()
    gated = eq.train(data, "mr-vae", net="burgess", steps=3, out="runs/first", settings=SETTINGS, progress=False)
    plain = second(data, **{"train.lr": 1e-30})
    for name, value in gated.model.at().encoder.state_dict().items():
        assert torch.equal(weights(plain)[f"encoder.{name}"], value)
    again = second(data, "runs/third", "mr-vae", **{"train.lr": 1e-30})
    for name, value in weights(gated).items():
        assert torch.allclose(weights(again)[name], value, rtol=0, atol=1e-20), name  # gates may be exactly 0
    shutil.rmtree("runs/first")
    first(squares)
    with pytest.raises(eq.InputError, match="trained by vae, whose nets have no gates; start mr-vae from"):
        second(data, "runs/fourth", "mr-vae")


def test_what_does_not_fit_is_one_sentence_and_writes_nothing(squares: Callable[[], str]) -> None:
    first(squares)
    data = squares()
    larger = np.zeros((20, 32, 32), np.uint8)
    larger[:, :9] = 200
    np.save("larger.npy", larger)
    cases = {
        r"has the net burgess with 4 latents, this run burgess with 5; set net=burgess net.latent=4": {"net.latent": 5},
        r"has the net burgess with 4 latents, this run mlp_lvae": {"net": "mlp_lvae"},
        r"trained on images of shape \(1, 16, 16\), this run has \(1, 32, 32\)": {"data.size": 32},
        r"train.init: nowhere is not a run": {"init": "nowhere"},
    }
    for sentence, more in cases.items():
        with pytest.raises(eq.InputError, match=sentence):
            second(data, **more)
        assert not Path("runs/second").exists()
    assert second("larger.npy").model.shape == (1, 16, 16)  # resized to the images of the other run


def test_settings_from_a_file_and_the_command_line_name_the_run(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('data = "dsprites"\ninit = "runs/1e3"\n')
    assert config.resolve(config.read(tmp_path / "my.toml")).train.init == "runs/1e3"
    assert config.resolve(config.parse(["data=dsprites", "init=2024"])).train.init == "2024"


def test_an_export_has_no_path_of_the_other_run(squares: Callable[[], str]) -> None:
    first(squares)
    init = str(Path("runs/first").resolve())
    run = second(squares(), init=init)
    about = json.loads((eq.export_run(run) / "config.json").read_text())
    assert about["settings"]["train.init"] == "first"
