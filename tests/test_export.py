"""Models written for others: what is loaded back is the model of the run, bit for bit, and nothing else gets in."""

import json
import math
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from tests.conftest import SHAPE, SMALL, images
from tests.parts import cases, label, made
from tests.test_runs import SMALL as QUICK
from tests.test_runs import run as trained

import equipoise as eq
from equipoise import assemble, commands, report
from equipoise import config as configuration
from equipoise.errors import InputError, RunError
from equipoise.export import export_run, folder, graphs, hub, load_model, saved
from equipoise.export.hub import text
from equipoise.methods import METHODS
from equipoise.model import VAE
from equipoise.part import rebuild, spec_of
from equipoise.run_folder import identity
from equipoise.training import checkpoint
from equipoise.training.loop import Training

# Priors and likelihoods that no method has by default.
OTHERS: list[tuple[str, dict[str, object]]] = [
    ("isa-vae", {"method.layout": [2, 1], "method.learned": True}),
    ("sigma-vae", {"method.form": "learned"}),
    ("beta-vae", {"method.likelihood": "gaussian", "method.sigma": 0.3}),
    ("beta-vae", {"method.likelihood": "half_mse"}),
    ("vae", {"net": "conv_bn"}),
    ("vae", {"net": "mlp_lvae"}),
]
HOSTILE = '<script>alert("1")</script>|`_*\n---\n# $x'


def a_run(folder: Path, method: str, said: dict[str, object]) -> eq.Run:
    """A run of three steps on random images: its settings, what is known of its data, its checkpoint."""
    own = {f"method.{key}": value for key, value in SMALL.get(method, {}).items()}
    size = {"net": "burgess", "net.latent": SHAPE.latent, "train.batch": 8, "train.steps": 3, "train.lr": 1e-3}
    config = configuration.resolve({"data": "array", "method": method, "out": str(folder), **size, **own, **said})
    model, objective = assemble.build(config, SHAPE.image, SHAPE.images)
    training = Training(model, objective, config.train, torch.device("cpu"))
    model.train()
    objective.train()
    for step in range(3):
        x, second = (images(8, seed=10 * step + stream, dtype=torch.float32) for stream in (0, 1))
        training.advance(x, second if objective.needs_second_batch else None)
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config.to_toml())
    about = {"format": 1, "versions": {"torch": "2"}, "shape": SHAPE.image, "images": SHAPE.images}
    about["data"] = {"digest": "0", "factor_names": []}
    (folder / "meta.json").write_text(json.dumps(about))
    checkpoint.save(folder / "checkpoint.pt", {"settings": identity(config), **training.state()})
    return eq.open_run(folder)


def same_model(left: VAE, right: VAE) -> bool:
    """Whether codes, pictures, densities and likelihoods are the same, bit for bit."""
    x = images(5, dtype=torch.float32)
    z = torch.randn(5, left.latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = [
            (*model.encode(x), model.decode(z), model.prior.log_prob(z), model.likelihood(model.out(z), x))
            for model in (left, right)
        ]
    return all(map(torch.equal, *answers)) and all(bool(answer.isfinite().all()) for answer in answers[0])


def drawn(run: eq.Run) -> Path:
    """A report whose pictures are empty: to draw them takes longer than all else here."""
    (run.path / "pictures").mkdir()
    for name in ("traversals", "samples", "reconstructions"):
        (run.path / "pictures" / f"{name}.png").write_bytes(name.encode())
    page = run.path / "report.html"
    page.write_text("drawn")
    return page


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[eq.Run]:
    """A short run, scored and reported, on images whose file and factors have names made to do harm."""
    data = tmp_path_factory.mktemp("secret") / "sq|ua`re_s $x.npz"
    pictures, factors = [], []
    for size, x, y in np.ndindex(3, 4, 4):
        picture = np.zeros((16, 16), np.uint8)
        picture[2 * y : 2 * y + 4 + size, 2 * x : 2 * x + 4 + size] = 255
        pictures.append(picture)
        factors.append((size, x, y))
    np.savez(data, images=np.stack(pictures), factors=np.array(factors), factor_names=[HOSTILE, "x", "y"])
    out = tmp_path_factory.mktemp("runs") / "run"
    said = {"data": str(data), "out": str(out), "method": "l-vae", "train.steps": 5, **QUICK}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", drawn)
        yield trained(said | {"train.clip": 1.0, "evaluate.which": ["mig", "sse"], "train.device": "cpu"})
    shutil.rmtree(out)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_loaded_back_is_that_of_the_run_bit_for_bit(method: str, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", method, {})
    assert same_model(load_model(export_run(run)), run.model)


@pytest.mark.parametrize(("method", "said"), OTHERS, ids=[f"{name}-{list(said)[-1]}" for name, said in OTHERS])
def test_so_it_is_for_other_priors_likelihoods_and_nets(method: str, said: dict[str, object], tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", method, said)
    loaded = load_model(export_run(tmp_path / "run"))
    assert same_model(loaded, run.model)
    assert {p: q.requires_grad for p, q in loaded.named_parameters()} == {
        p: q.requires_grad for p, q in run.model.named_parameters()
    }


@pytest.mark.parametrize("case", [*cases("likelihood"), *cases("prior")], ids=label)
def test_every_likelihood_and_prior_is_saved_and_loaded(case: Any, tmp_path: Path) -> None:
    kind, name, _ = case
    part = made(case)
    spec = {key: value for key, value in part.settings().items() if key != "latent" and value is not None}
    run = a_run(tmp_path / "run", "compose", {f"method.{kind}": {"name": name, **spec}})
    loaded = load_model(export_run(run))
    assert same_model(loaded, run.model)
    assert getattr(loaded, kind).settings() == getattr(run.model, kind).settings()


def test_a_nested_layout_comes_back_as_it_was() -> None:
    nested = eq.priors.LpNested([[2, [1, 1]], 3, 3, 1], p0=2.1, p=[2.2, 1.7, 2, 3, 1.1, 2.5, 2.6, 2], scale=0.7)
    again = rebuild(eq.PRIORS, json.loads(json.dumps(spec_of(nested))))
    z = torch.randn(20, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(again.log_prob(z), nested.log_prob(z))


def test_an_export_of_every_kind_of_text_names_no_folder_of_this_machine(home: eq.Run, tmp_path: Path) -> None:
    for kind in ("safetensors", "hub-folder"):
        wrote = export_run(home, kind, tmp_path / kind)
        for file in wrote.rglob("*"):
            if file.is_file():
                assert str(home.path.parent).encode() not in file.read_bytes(), file
                assert b"secret" not in file.read_bytes(), file
    known = json.loads((wrote / "config.json").read_text())
    assert known["checkpoint"] == checkpoint.digest(home.path / "checkpoint.pt")
    assert (known["step"], known["factors"]) == (5, [HOSTILE, "x", "y"])
    assert sorted(latent["index"] for latent in known["latents"]) == [0, 1, 2]
    nats = [latent["nats"] for latent in known["latents"]]
    assert nats == sorted(nats, reverse=True)


def test_the_command_of_a_card_gives_the_settings_of_its_run(home: eq.Run, tmp_path: Path) -> None:
    card = (export_run(home, "hub-folder", tmp_path / "hub") / "README.md").read_text(encoding="utf-8")
    line = next(line for line in card.splitlines() if line.startswith("equipoise train "))
    again = configuration.resolve(configuration.parse(shlex.split(line)[2:]))
    assert again.flat() == home.config.flat() | {"data.name": f"path/to/{Path(home.config.data.name).name}"}


def test_a_card_shows_names_as_they_are_and_lets_none_of_them_act(home: eq.Run, tmp_path: Path) -> None:
    wrote = export_run(home, "hub-folder", tmp_path / "hub")
    card = (wrote / "README.md").read_text(encoding="utf-8")
    body = card[card.index("# l-vae on") :]
    assert "<script>" not in body
    assert "\n# $x" not in card
    assert text(HOSTILE) in body
    assert text("a_b<c>|http://d") == r"a\_b\<c\>\|http:\//d"
    for name, score in home.scores.items():
        row = next(line for line in body.splitlines() if line.startswith(f"| {text(name)} |"))
        assert f"{score.value:.4f}" in row
        assert f"{score.low:.4f} to {score.high:.4f}" in row
    # None that shows images of the data set.
    assert {file.name: file.read_text() for file in (wrote / "pictures").iterdir()} == {
        "traversals.png": "traversals",
        "samples.png": "samples",
    }
    assert all(f"(pictures/{name}.png)" in body for name in ("traversals", "samples"))
    assert torch.equal(*(m.encode(home.images.pixels([0, 1]))[0] for m in (load_model(wrote), home.model)))


@pytest.mark.extra
def test_a_hub_reads_the_front_matter_of_a_card(home: eq.Run, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    data = ModelCard.load(export_run(home, "hub-folder", tmp_path / "hub") / "README.md").data
    assert (data.library_name, data.license) == ("equipoise", "unknown")
    assert "l-vae" in data.tags
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    assert found == {name: score.value for name, score in home.scores.items()}
    assert {result.dataset_name for result in data.eval_results} == {Path(home.config.data.name).name}


def test_without_huggingface_hub_the_card_has_no_front_matter_and_the_command_says_so(
    home: eq.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda _: None)
    outcome = commands.export(home.path, "hub-folder", tmp_path / "hub")
    assert "no front matter for hubs; pip install equipoise[hub]" in outcome.text
    assert (tmp_path / "hub" / "README.md").read_text(encoding="utf-8").startswith("# l-vae on")


def test_only_an_earlier_export_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "vae", {})
    wrote = export_run(run)
    assert wrote == tmp_path / "run" / "export" / "safetensors"
    before = {file: file.read_bytes() for file in wrote.iterdir()}
    assert export_run(run) == wrote
    assert {file: file.read_bytes() for file in wrote.iterdir()} == before
    with pytest.raises(InputError, match="no earlier export to onnx"):
        folder.check(wrote, "onnx")
    (wrote / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"has changed since it was exported \(notes.txt\)"):
        export_run(run)
    (wrote / "notes.txt").unlink()
    (wrote / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"has changed since it was exported \(model.safetensors\)"):
        export_run(run)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("precious")
    for taken in ("thesis", "thesis/thesis.tex"):
        with pytest.raises(InputError, match="is there already"):
            export_run(run, out=tmp_path / taken)
    with pytest.raises(InputError, match="did you mean onnx"):
        export_run(run, "onx")  # type: ignore[arg-type]


def test_a_write_that_fails_leaves_the_earlier_export_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path / "run", "vae", {})
    wrote = export_run(run, out=tmp_path / "out" / "model")
    before = {file: file.read_bytes() for file in wrote.iterdir()}

    def full(_: VAE, part: Path) -> None:
        (part / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "write", full)
    with pytest.raises(OSError, match="No space"):
        export_run(run, out=wrote)
    assert {file: file.read_bytes() for file in wrote.iterdir()} == before
    assert [path.name for path in wrote.parent.iterdir()] == ["model"]


def test_what_is_torn_foreign_or_too_large_is_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = export_run(a_run(tmp_path / "run", "isa-vae", {"method.learned": True}))
    known = json.loads((whole / "config.json").read_text())
    weights = safetensors.torch.load_file(whole / "model.safetensors")

    def refused(said: str, about: Any = None, tensors: dict[str, torch.Tensor] | None = None) -> None:
        broken = tmp_path / "broken"
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(whole, broken)
        if tensors is not None:
            safetensors.torch.save_file(tensors, broken / "model.safetensors")
        files = {"model.safetensors": folder.digest(broken / "model.safetensors")}
        about = {**known, "files": files, **(about or {})} if about is None or isinstance(about, dict) else about
        (broken / "config.json").write_text(about if isinstance(about, str) else json.dumps(about))
        began = time.monotonic()
        with pytest.raises(InputError, match=said) as caught:
            load_model(broken)
        assert "\n" not in str(caught.value)
        assert time.monotonic() - began < 5

    refused("is damaged", "{")
    refused("is damaged", "[" * 100_000)
    refused("not exported by Equipoise", "[]")
    refused("not exported by Equipoise", {"library": "transformers"})
    refused("holds ONNX graphs", {"kind": "onnx"})
    refused("format 99; this version reads format 1", {"format": 99})
    refused("incomplete or changed", {"files": {}})
    refused("incomplete or changed", {"files": None})
    refused("did you mean mlp_lvae", {"net": "mlp_lva"})
    refused("expected torch.float32", {"latent": 10**9, "prior": {"name": "standard-normal", "latent": 10**9}})
    refused("encoder.10.bias is missing", {"image": [1, 2**30, 2**30]})
    refused("does not hold a model", {"image": [1, -8, 8]})
    refused("does not hold a model", {"image": "1x8x8"})
    refused("prior has 1000000000 latents", {"prior": {"name": "standard-normal", "latent": 10**9}})
    refused("does not hold a model", {"prior": {**known["prior"], "layout": [[], 3]}})
    refused("does not hold a model", {"prior": {**known["prior"], "os": "system"}})
    refused("does not hold a model", {"likelihood": {"name": "gaussian", "sigma": "much"}})
    refused("does not hold a model", {"likelihood": {"name": "gaussian", "sigma": 0}})
    refused("raw is no weight", {"prior": {**known["prior"], "learned": False}})
    refused("is missing", tensors={name: tensor for name, tensor in weights.items() if name != "prior.raw"})
    refused("is no weight", tensors=weights | {"encoder.9.weight": torch.zeros(1)})
    refused("torch.float64", tensors=weights | {"encoder.0.bias": weights["encoder.0.bias"].double()})

    (whole / "model.safetensors").write_bytes((whole / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(InputError, match="incomplete or changed"):
        load_model(whole)
    (whole / "model.safetensors").unlink()
    with pytest.raises(InputError, match="is missing"):
        load_model(whole)
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "nowhere")


def test_a_hub_folder_waits_for_scores_and_report(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "vae", {})
    with pytest.raises(RunError, match="no scores of its checkpoint"):
        export_run(run, "hub-folder")
    scored = {"checkpoint": checkpoint.digest(run.path / "checkpoint.pt"), "convention": "c", "n": 9, "scores": {}}
    (run.path / "scores.json").write_text(json.dumps(scored))
    with pytest.raises(RunError, match="no report"):
        export_run(run, "hub-folder")
    assert not (run.path / "export").exists()


def test_onnx_is_refused_before_any_work_where_a_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path / "run", "vae", {})
    monkeypatch.setattr(graphs, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(InputError, match=r"needs onnxruntime; pip install equipoise\[onnx\]"):
        export_run(run, "onnx")
    assert not (run.path / "export").exists()


@pytest.mark.extra
@pytest.mark.parametrize("net", ["mlp_tc", "burgess", "conv_bn"])
def test_onnx_graphs_of_every_kind_of_net_take_any_batch_and_agree_with_the_model(net: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    run = a_run(tmp_path / "run", "sigma-vae", {"net": net})
    outcome = commands.export(run.path, "onnx", tmp_path / "graphs")
    assert outcome.values["largest_difference"] <= 1e-4
    x, z = images(7, dtype=torch.float32), torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    for name, given, ours in (
        ("encoder", {"x": x}, dict(zip(("mean", "logvar"), run.model.encode(x), strict=True))),
        ("decoder", {"z": z}, {"pixels": run.model.decode(z)}),
    ):
        path = tmp_path / "graphs" / f"{name}.onnx"
        graph = onnx.load(path)
        assert graph.opset_import[0].version == 20
        said = {entry.key: entry.value for entry in graph.metadata_props}
        assert said["images"] == "float32 [batch, 1, 8, 8] in [0, 1]"
        assert b"site-packages" not in path.read_bytes()
        session = onnxruntime.InferenceSession(path)
        for n in (1, 7):
            theirs = session.run(list(ours), {key: value[:n].numpy() for key, value in given.items()})
            for key, found in zip(ours, theirs, strict=True):
                assert np.abs(found - ours[key][:n].numpy()).max() <= 1e-4, key


@pytest.mark.extra
def test_graphs_that_differ_from_the_model_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(tmp_path / "run", "vae", {})
    monkeypatch.setattr(graphs, "_write", lambda *_: None)
    differences = iter((1e-7, math.nan))
    monkeypatch.setattr(graphs, "_difference", lambda *_: next(differences))
    with pytest.raises(RunError, match="nothing was written"):
        export_run(run, "onnx", tmp_path / "out" / "graphs")
    assert list((tmp_path / "out").iterdir()) == []
