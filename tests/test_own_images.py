"""Images of one's own from the command line to the report: with factors and without, of any size, damaged."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import equipoise as eq
from equipoise.cli import main

Train = Callable[..., str]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Train:
    """`equipoise train` with a small net in an empty folder: what it prints; it fails with what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    small = ["net=burgess", "net.latent=3", "train.batch=16", "train.threads=1", "out=run", "evaluate.n=50"]

    def run(*words: str) -> str:
        keys = tuple(word.partition("=")[0] + "=" for word in words)
        others = [word for word in small if not word.startswith(keys)] if keys else small
        monkeypatch.setattr(sys, "argv", ["equipoise", "train", "data=pictures", *others, *words])
        capfd.readouterr()
        try:
            main()
        except SystemExit as exit:
            if exit.code:
                raise ValueError(exit.code, capfd.readouterr().err) from None
        return capfd.readouterr().out

    return run


def draw(folder: Path, n: int = 60, side: int = 16, colour: bool = False) -> None:
    """Squares of three sizes at random places; a sub-folder for each size; a table in the order of the files."""
    rng = np.random.default_rng(0)
    rows = ["file,size,x,tint"]
    for i in range(n):
        size, x, tint = i % 3, int(rng.integers(8)), float(rng.uniform(0.5, 1))
        picture = np.zeros((side, side, 3), np.uint8)
        picture[4 : 8 + size, x : x + 5 + size] = np.array([255, 255 if not colour else 60, 255]) * tint
        name = f"{['small', 'medium', 'large'][size]}/{i}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture if colour else picture[..., 0]).save(folder / name)
        rows.append(f"{name},{size},{x},{tint}")
    (folder.parent / "table.csv").write_text("\n".join(rows) + "\n")


def report() -> str:
    """The words of the report, without its markup."""
    page = Path("run/report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(style|svg|title)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_folder_without_labels_gets_a_report_of_what_can_be_known(train: Train, tmp_path: Path) -> None:
    draw(tmp_path / "pictures")
    said = train("method=beta-vae", "method.beta=0.1", "train.steps=100", "train.lr=0.003")
    assert "open run/report.html" in said
    words = report()
    assert "60 images of 16 × 16 pixels in grey, without known factors." in words
    assert re.search(r"reconstruction [\d.,]+ squared error per image", words)
    assert re.search(r"latents [123] used", words)
    assert "their reconstructions from the posterior mean" in words  # the reconstructions
    assert "Each row varies one latent from the 5th to the 95th percentile of its codes" in words  # the traversals
    assert "no scores of disentanglement" in words
    assert "Latents and factors" not in words
    scores = json.loads(Path("run/scores.json").read_text())["scores"]
    assert {"sse", "active_units", "kl"} <= scores.keys()
    assert not {"mig", "sap", "dci_disentanglement"} & scores.keys()
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<tr id="z\d+">', page)) == scores["active_units"]["value"]
    for name in (
        "reconstructions.png",
        "traversals.png",
        "traversals.gif",
        "samples.png",
        "curves.svg",
    ):
        assert (tmp_path / "run" / "pictures" / name).exists()


def test_a_table_beside_the_images_makes_the_metrics_available(train: Train, tmp_path: Path) -> None:
    draw(tmp_path / "pictures")
    (tmp_path / "table.csv").rename(tmp_path / "pictures" / "factors.csv")
    train("train.steps=5", 'evaluate.which=["mig","irs","sse"]')
    assert "with 3 known factors (number of values): size 3, x 8, tint." in report()
    run = eq.open_run("run")
    assert run.images.factor_sizes == (3, 8, 0)
    assert {"mig", "irs", "sse"} == run.scores.keys()


def test_a_table_elsewhere_and_the_names_of_folders_are_factors_too(train: Train, tmp_path: Path) -> None:
    draw(tmp_path / "pictures")
    train("train.steps=2", 'evaluate.which=["mig"]', "data.factors=table.csv")
    assert eq.open_run("run").images.factor_names == ("size", "x", "tint")
    train("train.steps=2", 'evaluate.which=["mig"]', "data.factors=folders", "out=other")
    images = eq.open_run("other").images
    assert (images.factor_names, images.factor_sizes) == (("folder",), (3,))


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("size", [32, 128])
def test_images_of_any_size_are_trained_on(size: int, colour: bool, train: Train, tmp_path: Path) -> None:
    draw(tmp_path / "pictures", n=20, side=40, colour=colour)
    train(f"data.size={size}", "train.steps=2", "train.batch=4", 'evaluate.which=["sse"]')
    run = eq.open_run("run")
    assert run.model.shape == run.images.shape == (3 if colour else 1, size, size)
    assert np.isfinite(run.scores["sse"].value)
    assert f"20 images of {size} × {size} pixels in {'colour' if colour else 'grey'}" in report()


def test_a_size_that_no_net_takes_says_what_to_set(train: Train, tmp_path: Path) -> None:
    draw(tmp_path / "pictures", n=20, side=6)
    with pytest.raises(
        ValueError, match=r"burgess needs images of 8 x 8 pixels or more, these are 6 x 6; set data\.size"
    ):
        train("train.steps=2")
    assert not (tmp_path / "run").exists()


def test_damaged_files_stop_a_run_before_it_begins_unless_they_are_to_be_left_out(train: Train, tmp_path: Path) -> None:
    draw(tmp_path / "pictures")
    for name in ("small/0.png", "medium/1.png"):
        (tmp_path / "pictures" / name).write_bytes(b"?")
    with pytest.raises(
        ValueError, match=r"2 of 60 files cannot be read as images: medium/1\.png .*, small/0\.png"
    ) as said:
        train("train.steps=2")
    code, sentence = said.value.args
    assert (code, len(sentence.splitlines())) == (2, 1)
    assert not (tmp_path / "run").exists()
    train("train.steps=2", "data.skip_damaged=true", 'evaluate.which=["sse"]')
    run = eq.open_run("run")
    assert run.meta["images"] == len(run.images) == 58
    assert "left out: pictures: 2 of 60 files" in report()


class Squares(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = torch.zeros(1, 16, 16)
        picture[:, index % 8 :, : 4 + index // 2] = 0.8
        return picture, index % 2


def test_a_torch_data_set_is_trained_on(tmp_path: Path) -> None:
    run = eq.train(
        Squares(),
        net="burgess",
        steps=2,
        out=tmp_path / "run",
        settings={"train.batch": 8, "train.threads": 1, "evaluate.which": ("sse",)},
        progress=False,
    )
    assert run.images.shape == (1, 16, 16)
    assert run.images.pixels([3]).max() == 204
