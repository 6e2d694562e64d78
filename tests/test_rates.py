"""A run of mr-vae at any beta: codes, scores and exports are those of the model of this beta."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise import report
from equipoise.commands import encode, evaluate, export
from equipoise.commands import report as write_reports
from equipoise.config import resolve
from equipoise.errors import InputError, RunError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 16, 16), np.uint8)
SETTINGS = {"train.batch": 8, "train.lr": 1e-2, "net.latent": 3, "evaluate.which": ["sse", "kl"]}


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[eq.Run]:
    """A run that was trained long enough for its gates to differ between betas."""
    folder = tmp_path_factory.mktemp("run")
    np.save(folder / "images.npy", IMAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", lambda run: run.path / "report.html")
        yield eq.train(
            str(folder / "images.npy"), "mr-vae", net="burgess", steps=20, out=folder / "run", settings=SETTINGS,
            progress=False,
        )  # fmt: skip


def test_codes_and_pictures_of_a_beta_are_those_of_its_model(rates: eq.Run) -> None:
    model = rates.model.at(0.05)
    x, z = torch.from_numpy(IMAGES[:, None]), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rates.model.encode(x, beta=0.05)[0], model.encode(x)[0])
    assert torch.equal(rates.model.decode(z, beta=0.05), model.decode(z))
    assert np.allclose(rates.encode(IMAGES, beta=0.05)["mean"], model.encode(x)[0], rtol=0, atol=1e-6)
    assert not torch.equal(rates.model.encode(x)[0], model.encode(x)[0])
    assert torch.equal(rates.model.encode(x)[0], rates.model.encode(x, beta=1.0)[0])


def test_evaluate_scores_the_model_of_a_beta_in_a_folder_of_its_own(rates: eq.Run) -> None:
    before = (rates.path / "scores.json").read_bytes()
    values = evaluate([rates.path], beta=5.0, progress=False).values
    at = eq.open_run(rates.path).at(5.0)
    assert at.results == rates.path / "betas" / "5"
    x = torch.from_numpy(rates.images.pixels(at.codes["index"]))
    assert np.allclose(at.codes["mean"], rates.model.at(5.0).encode(x)[0], rtol=0, atol=1e-6)
    assert at.scores["kl"].value == values[str(rates.path)]["kl"]["value"] != rates.scores["kl"].value
    assert (rates.path / "scores.json").read_bytes() == before


def test_codes_of_a_beta_that_is_not_scored_are_refused_with_the_command(rates: eq.Run) -> None:
    with pytest.raises(RunError, match=r"has no codes; run equipoise evaluate .*run --beta 0\.02"):
        _ = rates.at(0.02).codes


def test_codes_without_an_array_are_refused_with_their_file_and_the_command(rates: eq.Run) -> None:
    file = rates.path / "betas" / "0.03" / "codes.npz"
    file.parent.mkdir(parents=True)
    np.savez(file, mean=np.zeros((2, 3)), logvar=np.zeros((2, 3)))
    sentence = r"betas/0\.03/codes\.npz has no array index; run equipoise evaluate .*run --beta 0\.03$"
    with pytest.raises(RunError, match=sentence):
        _ = rates.at(0.03).codes


def test_codes_of_an_earlier_checkpoint_are_computed_again(rates: eq.Run) -> None:
    evaluate([rates.path], beta=3.0, progress=False)
    file = rates.path / "betas" / "3" / "codes.npz"
    right = dict(rates.at(3.0).codes)
    np.savez(file, **{**right, "mean": 0 * right["mean"], "checkpoint": np.array("of another")})
    evaluate([rates.path], beta=3.0, progress=False)
    assert np.array_equal(eq.open_run(rates.path).at(3.0).codes["mean"], right["mean"])


def test_a_missing_report_of_a_beta_is_written_although_the_run_has_its_own(
    rates: eq.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rates.path / "report.html").write_text("of the run")
    evaluate([rates.path], beta=4.0, progress=False)
    monkeypatch.setattr(report, "write", lambda run: run.results / "report.html")
    wrote = write_reports(rates.path.parent, beta=4.0).values["wrote"]
    assert wrote == [str(rates.path / "betas" / "4" / "report.html")]


def test_an_export_at_a_beta_is_a_plain_model(rates: eq.Run, tmp_path: Path) -> None:
    model = eq.load_model(eq.export_run(rates, out=tmp_path / "out", beta=0.5))
    x = torch.from_numpy(IMAGES[:, None])
    assert torch.equal(model.encode(x)[0], rates.model.at(0.5).encode(x)[0])
    assert model.state_dict().keys() == rates.model.at(0.5).state_dict().keys()
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert about["settings"]["method.beta"] == 0.5
    default = eq.load_model(eq.export_run(rates, out=tmp_path / "default"))
    assert torch.equal(default.encode(x)[0], rates.model.encode(x)[0])


def test_the_commands_take_beta(rates: eq.Run, tmp_path: Path) -> None:
    images = rates.path.parent / "images.npy"
    encode(rates.path, str(images), tmp_path / "codes.npy", beta=0.1)
    assert np.array_equal(np.load(tmp_path / "codes.npy"), rates.encode(IMAGES, beta=0.1)["mean"])
    wrote = export(rates.path, beta=0.1).values["wrote"]
    assert wrote == str(rates.path / "betas" / "0.1" / "export" / "safetensors")


@pytest.mark.parametrize(
    "use",
    [
        lambda run: run.at(20.0),
        lambda run: run.encode(IMAGES, beta=20.0),
        lambda run: run.model.decode(torch.zeros(1, 3), beta=20.0),
        lambda run: eq.export_run(run, beta=20.0),
        lambda run: evaluate([run.path], beta=20.0),
    ],
)
def test_a_beta_outside_the_range_is_refused(rates: eq.Run, use: Callable[[eq.Run], object]) -> None:
    with pytest.raises(InputError, match=r"beta is 20; this model was trained for 0\.01 to 10"):
        use(rates)


def test_a_run_of_another_method_has_no_range() -> None:
    run = eq.Run(Path("runs/first"), resolve({"data": "dsprites", "method": "vae"}))
    with pytest.raises(InputError, match="was trained by vae, which has no range of beta"):
        run.at(2.0)
    assert run.at(None) is run


def test_longer_training_removes_the_codes_and_scores_of_other_betas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "write", lambda run: run.path / "report.html")
    np.save(tmp_path / "images.npy", IMAGES)
    settings = SETTINGS | {"train.schedule_steps": 4}
    for steps in (2, 4):
        run = eq.train(
            str(tmp_path / "images.npy"), "mr-vae", net="burgess", steps=steps, out=tmp_path / "run",
            settings=settings, progress=False,
        )  # fmt: skip
        assert not (run.path / "betas").exists()
        evaluate([run.path], beta=5.0, progress=False)
    assert eq.open_run(run.path).at(5.0).scores
