"""Models of the package and of the hub: listed, loaded by name, copied and uploaded."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise import commands, zoo
from equipoise.export import source
from equipoise.export.folder import unchanged

NAMES = sorted(zoo.models())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub on the disk, which stands in for the package huggingface_hub."""
    shelf = tmp_path / "hub"

    class Api:
        def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
            assert exist_ok
            (shelf / name).mkdir(parents=True, exist_ok=True)
            (shelf / name / ".private").write_text(str(private))

        def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> str:
            shutil.copytree(folder_path, shelf / repo_id, dirs_exist_ok=True)
            return f"hub/{repo_id}#{commit_message}"

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        if not (shelf / name).exists():
            raise ConnectionError(f"404 for {name}\nmore lines")
        cache = tmp_path / "cache" / name
        for pattern in allow_patterns:
            for file in (shelf / name).glob(pattern):
                (cache / file.relative_to(shelf / name)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, cache / file.relative_to(shelf / name))
        return str(cache)

    package = SimpleNamespace(HfApi=Api, snapshot_download=snapshot_download)
    monkeypatch.setattr("equipoise.hub.package", lambda: package)
    return shelf


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_the_package_loads_and_its_files_are_whole(name: str) -> None:
    about = zoo.models()[name]
    assert unchanged(source.find(name)) == about
    assert (source.find(name) / "model.safetensors").stat().st_size < 2e6
    model = eq.load_model(name)
    assert [*model.shape] == about["image"]
    mean, _ = model.encode(np.zeros((2, *model.shape), np.float32))
    assert mean.shape == (2, about["latent"])
    assert about["scores"]["active_units"] >= 3
    assert "equipoise train" in (source.find(name) / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in NAMES if name in ("dsprites", "rooms3d")])
def test_the_codes_of_a_model_of_the_package_give_the_scores_in_its_description(name: str) -> None:
    about = zoo.models()[name]
    images = eq.load_data(about["settings"]["data.name"], size=about["image"][1])
    index = np.random.default_rng(1).choice(len(images), 3000, replace=False)
    mean, logvar = eq.load_model(name).encode(torch.as_tensor(images.pixels(index)))
    kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum(1).mean()
    assert float(kl) == pytest.approx(about["scores"]["kl"], rel=0.02)
    mig = eq.metrics.score(mean.numpy(), images.factors[index], which="mig", convention="carbonneau", interval=False)
    assert mig["mig"].value == pytest.approx(about["scores"]["mig"], abs=0.05)


def test_the_list_has_every_model_with_its_scores() -> None:
    outcome = commands.models_list()
    assert list(outcome.values) == NAMES
    lines = outcome.text.splitlines()
    assert len(lines) == len(NAMES) + 1
    row = next(line for line in lines if line.startswith("rooms3d "))
    assert row.split()[1:3] == ["outline-vae", "rooms3d"]
    assert f"{outcome.values['rooms3d']['scores']['mig']:.2f}" in row


def test_get_copies_a_model_and_refuses_what_it_would_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "model"
    commands.models_get("rooms3d", target)
    assert unchanged(target)["name"] == "outline-vae-rooms3d"
    commands.models_get("rooms3d", target)  # replaces itself
    (target / "notes.txt").write_text("mine")
    with pytest.raises(eq.InputError, match=r"has changed since it was exported \(notes\.txt\)"):
        commands.models_get("rooms3d", target)
    assert (target / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("room3d", r"room3d: no such folder or model; .*did you mean rooms3d\?"),
        ("some/where", r"config\.json cannot be read \(No such file or directory\); expected an exported model"),
        ("", "no such folder or model|cannot be read"),
    ],
)
def test_an_unknown_model_is_refused(name: str, words: str) -> None:
    with pytest.raises(eq.InputError, match=words):
        eq.load_model(name)


def test_a_folder_comes_before_a_model_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rooms3d").mkdir()
    with pytest.raises(eq.InputError, match="cannot be read"):
        eq.load_model("rooms3d")


def test_a_model_is_uploaded_and_loaded_from_the_hub(hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rooms"
    commands.models_get("rooms3d", folder)
    (folder / "README.md").write_text("a card of my own", encoding="utf-8")
    outcome = commands.models_push(folder, "me/rooms", private=True)
    assert outcome.values == {"repository": "me/rooms", "address": "hub/me/rooms#outline-vae-rooms3d"}
    assert (hub / "me/rooms/.private").read_text() == "True"
    x = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    assert torch.equal(eq.load_model("hf:me/rooms").encode(x)[0], eq.load_model("rooms3d").encode(x)[0])
    with pytest.raises(eq.RunError, match=r"hf:me/other could not be downloaded: 404 for me/other$"):
        eq.load_model("hf:me/other")


def test_only_an_unchanged_export_is_uploaded(hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rooms"
    commands.models_get("rooms3d", folder)
    about = json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(eq.InputError, match=r"has changed since it was exported \(model\.safetensors\)"):
        commands.models_push(folder, "me/rooms")
    with pytest.raises(eq.InputError, match="is not an exported model"):
        commands.models_push(tmp_path, "me/rooms")
    (folder / "model.safetensors").unlink()
    about |= {"kind": "onnx", "files": {name: each for name, each in about["files"].items() if name == "README.md"}}
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(eq.InputError, match="holds ONNX graphs; export the run to hub-folder"):
        commands.models_push(folder, "me/rooms")
    assert not hub.exists()


@pytest.mark.parametrize("words", [["get", "hf:me/none"], ["push", "rooms", "me/none"]], ids=["get", "push"])
def test_a_hub_that_does_not_answer_is_one_sentence(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    commands.models_get("rooms3d", tmp_path / "rooms")
    command = [sys.executable, "-m", "equipoise", "models", *words]
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"equipoise: .* could not be (downloaded|uploaded to me/none): .+\n", done.stderr)


def test_without_huggingface_hub_the_hub_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(eq.InputError, match=r"pip install equipoise\[hub\]"):
        eq.load_model("hf:me/rooms")


def test_the_card_of_a_model_names_the_command() -> None:
    settings: dict[str, Any] = dict(zoo.models()["dsprites"]["settings"])
    card = (source.find("dsprites") / "README.md").read_text(encoding="utf-8")
    assert f"train.steps={settings['train.steps']}" in card
