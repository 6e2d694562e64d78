"""Values that no tensor, file, memory or terminal can hold end in one sentence, and flat images in a trained model."""

import dataclasses
import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise import cli
from equipoise.cli import main
from equipoise.config import parse, resolve
from equipoise.errors import InputError
from equipoise.methods import METHODS
from equipoise.training import devices


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train.seed=18446744073709551616", "of at most 64 bits"),
        ("train.seed=" + "9" * 5000, "valid integer"),
        ("train.steps=" + "1" * 30, "of at most 64 bits"),
        ("net.latent=1000000000", "less than or equal to 65536"),
        ("net.latent=99999999999999999999", "of at most 64 bits"),
        ("method.beta=1e300", "single precision can hold"),
        ("method.beta=" + "[" * 3000, "valid number"),
        ("net=" + "[" * 3000, "no such net"),
        ("net.name=" + "9" * 5000, "no such net"),
        ("method.likelihood=" + "[" * 3000, "likelihood"),
        ("data.range=" + "[" * 3000, "expected LOW:HIGH"),
        ("train.lr=1e300", "single precision can hold"),
        ("train.betas=[0.9, 1e300]", "single precision can hold"),
        ("method.warmup=nan", "finite number"),
        ("train.threads=1000000000", "less than or equal to 4096"),
    ],
)
def test_a_value_that_no_tensor_can_hold_is_refused_in_one_short_sentence(words: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        resolve({"data": "dsprites", "method": "beta-vae"} | parse([words]))
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["out", "data.name", "data.factors"])
@pytest.mark.parametrize("value", ["a\0b", "a\udcffb"])
def test_text_that_no_file_can_hold_is_refused(key: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} is 'a\\(x00|udcff)b'; expected text in UTF-8"):
        resolve({"data": "dsprites", key: value})


def test_settings_of_every_method_are_accepted_or_refused_in_one_sentence() -> None:
    for name, method in METHODS.items():
        for field in dataclasses.fields(method):
            for value in ("1e300", "-1", "0", "18446744073709551615", "nan", "[1e30]", "'x'", "{a=1}"):
                with suppress(InputError):
                    resolve({"data": "dsprites", "method": name} | parse([f"method.{field.name}={value}"]))


def test_nets_that_do_not_fit_the_memory_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GiB of memory in training, and this machine has"):
        eq.train(
            np.zeros((40, 16, 16), np.uint8),
            "factor-vae",
            net="burgess",
            out=tmp_path / "run",
            settings={"method.width": 10**7, "evaluate.which": "sse"},
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_without_the_size_of_the_memory_nets_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        large = torch.nn.Linear(10**6, 10**6)
    with pytest.raises(InputError, match="GiB of memory in training"):
        devices.check_memory(lambda: [large])
    monkeypatch.delattr(os, "sysconf")  # as on Windows
    devices.check_memory(lambda: [large])


def test_a_terminal_without_unicode_and_a_full_memory_cause_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", latin)
    monkeypatch.setattr("sys.argv", ["equipoise", "list", "metrics"])
    monkeypatch.setattr(cli, "app", lambda: print("a – b σ"))
    main()
    latin.flush()
    assert latin.buffer.getvalue() == "a ? b ?\n".encode("latin-1")  # type: ignore[attr-defined]

    def fill() -> None:
        raise MemoryError("Unable to allocate 4.00 GiB")

    monkeypatch.setattr(cli, "app", fill)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == (
        "equipoise: the memory of this machine is full (Unable to allocate 4.00 GiB); use smaller data, nets or "
        "batches\n"
    )
    monkeypatch.setattr(cli, "app", lambda: torch.empty(2**50))
    with pytest.raises(SystemExit):
        main()
    assert "(unable to allocate 4503599627370496 bytes); use smaller" in capsys.readouterr().err


@pytest.mark.parametrize("pixel", [0, 255])
def test_sigma_vae_trains_on_at_its_floor_on_images_without_contrast(pixel: int, tmp_path: Path) -> None:
    done = eq.train(
        np.full((40, 8, 8), pixel, np.uint8),
        "sigma-vae",
        net="mlp_tc",
        steps=60,
        out=tmp_path / "run",
        settings={"net.latent": 2, "train.batch": 16, "train.lr": 1e-2, "train.log_every": 1, "evaluate.which": "sse"},
        progress=False,
    )
    sigmas = [row["sigma"] for row in done.logs]
    assert all(np.isfinite(value) for row in done.logs for value in row.values() if isinstance(value, float))
    assert min(sigmas) >= np.exp(-6) * 0.999
    assert len(sigmas) == 60
