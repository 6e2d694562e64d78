"""A new part is one file and one line: a toy of each kind is added here and works everywhere."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

import equipoise as eq
from equipoise import commands, report
from equipoise.balance import Balance, Seen, Weights
from equipoise.commands import data as data_commands
from equipoise.config import outline, resolve
from equipoise.data import DATASETS, Dataset, Images, sets
from equipoise.errors import InputError
from equipoise.likelihoods import Likelihood
from equipoise.metrics import METRICS, Metric, Score
from equipoise.metrics.inputs import pair
from equipoise.part import Aims, Remark, Rows, column
from equipoise.priors import Prior


def toy_section(run: Any, findings: Any) -> Sequence[Any]:
    """A histogram of the errors: what the file of a new section holds."""
    figure = Figure(figsize=(4, 2))
    figure.add_subplot().hist(run.codes["sse"])
    alt = f"A histogram of the squared errors of {len(findings.codes)} images."
    return [report.Picture("errors", figure, alt, caption="The squared errors of the images.", format="svg")]


def test_a_report_section_is_a_function_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.page, "SECTIONS", report.SECTIONS.copy())
    report.page.SECTIONS.append(report.Section("errors", "Errors <of images>", toy_section))
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 8, 8), dtype=np.uint8)
    settings = {"net.latent": 3, "train.batch": 8, "evaluate.which": ["sse"], "train.threads": 1}
    run = eq.train(images, "vae", net="burgess", steps=2, out=tmp_path / "run", settings=settings, progress=False)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="errors">Errors &lt;of images&gt;</h2>' in page
    assert '<a href="#errors">Errors &lt;of images&gt;</a>' in page
    assert 'aria-label="A histogram of the squared errors of 32 images."' in page
    assert "</b> The squared errors of the images.</figcaption>" in page
    assert (run.path / "pictures" / "errors.svg").is_file()


class ToyBalance(Balance):
    """A weight of the KL that moves towards a target.

    target: weight that it approaches, above 0.
    """

    name = "toy-balance"
    terms = ("kl",)

    def __init__(self, target: float = 2.0) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("toy_weight", torch.zeros(()))

    def forward(self, seen: Seen) -> Weights:
        if self.training:
            self.toy_weight.lerp_(seen["kl"].new_tensor(self.target), 0.5)
        return {"kl": self.toy_weight.clone()}

    def aims(self, rows: Rows) -> Aims:
        return {"weight.kl": {"toy target": np.full(len(rows), self.target)}}

    def remarks(self, rows: Rows) -> list[Remark]:
        return [Remark(f"The toy weight is {column(rows, 'weight.kl')[-1]:.3f}.")]


class ToyLikelihood(Likelihood):
    """The absolute error of the picture."""

    name = "toy-likelihood"

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = self.unit = scale

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        return self.scale * (out.to(x.dtype).sigmoid() - x).abs().flatten(1).sum(1)

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        return super().log_prob(out, x) - x[0].numel() * np.log(2 / self.scale)


class ToyPrior(Prior):
    """Independent Laplace distributions."""

    name = "toy-prior"

    def __init__(self, latent: int, scale: float = 1.0) -> None:
        super().__init__()
        self.latent, self.scale = latent, scale

    def parts(self, z: Tensor) -> Tensor:
        return -z.abs() / self.scale - np.log(2 * self.scale)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        uniform = 2 * torch.rand(n, self.latent, generator=generator) - 1
        return -self.scale * uniform.sign() * torch.log1p(-uniform.abs())


def test_a_balance_a_likelihood_and_a_prior_are_a_class_and_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The toys go through compose, training, report, export and loading."""
    monkeypatch.setitem(eq.BALANCES, ToyBalance.name, ToyBalance)
    monkeypatch.setitem(eq.LIKELIHOODS, ToyLikelihood.name, ToyLikelihood)
    monkeypatch.setitem(eq.PRIORS, ToyPrior.name, ToyPrior)
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 8, 8), dtype=np.uint8)
    settings = {
        "method.balance": [{"name": "toy-balance", "target": 4.0}],
        "method.likelihood": {"name": "toy-likelihood", "scale": 0.5},
        "method.prior": {"name": "toy-prior", "scale": 2.0},
        "net.latent": 3,
        "train.batch": 8,
        "train.log_every": 1,
        "train.threads": 1,
        "evaluate.which": ["log_px_z", "elbo"],
    }
    run = eq.train(images, "compose", net="burgess", steps=3, out=tmp_path / "run", settings=settings, progress=False)

    assert [row["weight.kl"] for row in run.logs] == [2.0, 3.0, 3.5]
    assert [row["toy_weight"] for row in run.logs] == [2.0, 3.0, 3.5]
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "The toy weight is 3.500." in page
    assert "toy target" in page

    model = eq.load_model(eq.export_run(run))
    assert model.likelihood.settings() == {"scale": 0.5}
    assert model.prior.settings() == {"latent": 3, "scale": 2.0}
    assert torch.equal(model.encode(images)[0], run.model.encode(images)[0])
    assert np.isfinite([score.value for score in run.scores.values()]).all()
    assert "toy-balance" in eq.methods.compose.parts()["balances"]


def test_every_method_with_a_choice_of_likelihood_reads_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(eq.LIKELIHOODS, ToyLikelihood.name, ToyLikelihood)
    spec = {"name": "toy-likelihood", "scale": 0.5}
    for name, method in eq.METHODS.items():
        if "likelihood" in {field.name for field in dataclasses.fields(method)}:
            config = resolve({"data": "dsprites", "method": name, "method.likelihood": spec})
            assert outline(config).likelihood.settings() == {"scale": 0.5}
    with pytest.raises(InputError, match="toy-likelihod: no such likelihood; did you mean toy-likelihood"):
        resolve({"data": "dsprites", "method": "beta-vae", "method.likelihood": "toy-likelihod"})
    monkeypatch.setattr(ToyLikelihood, "can_be_negative", True)
    with pytest.raises(InputError, match="toy-likelihood, which can be negative, so the loss has no minimum"):
        resolve({"data": "dsprites", "method": "l-vae", "method.likelihood": spec})


TOY_SET = """
# What the file of a new published set holds: its properties, and the converter of its files.
[sets.toy-set]
summary = "24 toy pictures"
images = 24
shape = [1, 16, 16]
home = "https://example.org"
licence = "CC0"
citation = "nobody, 2026"
by_hand = "Make it yourself."

[sets.toy-set.factors]
row = 4
column = 6

[sets.toy-set.convert]
by = "faces3d"
"""


def draw_toy() -> Images:
    """Squares at 4 x 6 places: what the file of a new rendered set holds, with the `Dataset` below."""
    pixels = np.zeros((24, 1, 16, 16), np.uint8)
    for i, (y, x) in enumerate(np.ndindex(4, 6)):
        pixels[i, :, 3 * y : 3 * y + 4, 2 * x : 2 * x + 4] = 255
    return Images(pixels, name="toy", factors="grid", factor_names=("row", "column"), factor_sizes=(4, 6))


def test_a_data_set_is_a_file_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Dataset("toy", "24 toy pictures", 24, (1, 16, 16), ("row", "column"), (4, 6), "", "CC0", "", draw=draw_toy)
    monkeypatch.setitem(DATASETS, "toy", toy)
    settings = {
        "net.latent": 3,
        "train.batch": 8,
        "evaluate.which": ["mig"],
        "train.threads": 1,
        "data.keep": {"row": "::2"},
        "data.size": 8,
    }
    run = eq.train("toy", "vae", net="burgess", steps=2, out=tmp_path / "run", settings=settings, progress=False)
    assert run.meta["data"]["shape"] == [1, 8, 8]
    assert run.meta["images"] == 12
    assert set(run.scores) == {"mig"}
    assert "24 toy pictures" in data_commands.data_info("toy", tmp_path / "toy.png").text
    assert eq.open_run(tmp_path / "run").images.factor_names == ("row", "column")


def test_a_published_set_is_a_toml_and_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.toml").write_text(TOY_SET)
    (toy,) = sets.read(str(tmp_path / "toy.toml"))
    monkeypatch.setitem(DATASETS, "toy-set", toy)
    assert (toy.factor_names, toy.factor_sizes) == (("row", "column"), (4, 6))
    assert toy.by_hand == "Make it yourself."
    assert toy.state == "not here"
    assert toy.convert is not None


def toy_metric(codes: np.ndarray, factors: np.ndarray, *, power: float = 2.0) -> Score:
    """Toy metric: the largest correlation of any latent with any factor."""
    data = pair(codes, factors)
    r = abs(np.corrcoef(data.codes[:, data.live].T, data.factors.T)[data.live.sum() :, : data.live.sum()])
    return data.score(r.max() ** power, per_factor=r.max(axis=1))


def test_a_metric_is_a_function_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy is scored after training and stands in the report and in the lists of metrics."""
    monkeypatch.setitem(METRICS, "toy_metric", Metric(toy_metric, range=(0.0, 1.0), has_baseline=True))
    rng = np.random.default_rng(0)
    images = eq.Images(
        rng.integers(0, 256, (64, 1, 8, 8), dtype=np.uint8),
        name="toys",
        factors=rng.integers((2, 3), size=(64, 2)),
        factor_names=["shape", "size"],
    )
    settings = {"net.latent": 3, "train.batch": 8, "evaluate.which": ["toy_metric"], "train.threads": 1}
    run = eq.train(images, "vae", net="burgess", steps=2, out=tmp_path / "run", settings=settings, progress=False)
    score = run.scores["toy_metric"]
    assert 0 <= score.low <= score.value <= score.high <= 1
    assert score.params == {"power": 2.0}
    assert score.baseline is not None
    assert score.per_factor.shape == (2,)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Toy metric: the largest correlation of any latent with any factor" in page
    assert METRICS["toy_metric"].needs == ("codes", "factors")
    assert METRICS["toy_metric"].is_normalised
    assert commands.list_("metrics").values["toy_metric"].startswith("Toy metric")
    assert "higher is better" in commands.show("toy_metric").text
    assert eq.metrics.toy_metric(run.codes["mean"], run.codes["factors"], power=1.0).params == {"power": 1.0}
