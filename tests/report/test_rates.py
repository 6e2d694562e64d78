"""The trade-off over beta: its numbers are those of the model of each beta, in the report and beside other runs."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.study.compared import write

import equipoise as eq
from equipoise import report
from equipoise.codes import Codes
from equipoise.gates import Rates
from equipoise.model import VAE
from equipoise.report import rates as curves
from equipoise.report.figures.rates import rates_figure
from equipoise.report.findings import analyse
from equipoise.report.sections.rates import trade_off
from equipoise.study import open_study
from equipoise.study.compare.comparison import compare_results
from equipoise.study.compare.page import pareto
from equipoise.study.compare.results import read_results

SETTINGS = {"train.batch": 25, "train.lr": 3e-3, "net.latent": 3, "evaluate.which": ["sse", "mig"]}


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[eq.Run]:
    """A run on squares at 5 x 5 places in 3 sizes, with their factors."""
    folder = tmp_path_factory.mktemp("run")
    pictures, factors = np.zeros((75, 16, 16), np.uint8), []
    for i, (size, x, y) in enumerate(np.ndindex(3, 5, 5)):
        pictures[i, 2 * y : 2 * y + 4 + size, 2 * x : 2 * x + 4 + size] = 255
        factors.append((size, x, y))
    np.savez(folder / "squares.npz", images=pictures, factors=np.array(factors), factor_names=["size", "x", "y"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", lambda run: run.path / "report.html")
        data = str(folder / "squares.npz")
        yield eq.train(data, "mr-vae", net="small", steps=60, out=folder / "run", settings=SETTINGS, progress=False)


def test_the_curve_has_rate_and_distortion_of_the_model_of_each_beta(rates: eq.Run) -> None:
    curve = curves.rates(rates)
    assert curve is not None
    assert np.allclose(curve["beta"], np.geomspace(0.01, 10.0, 20))
    assert (curve["beta"][0], curve["beta"][-1]) == (0.01, 10.0)
    x = torch.from_numpy(rates.images.pixels(curve["index"]))
    noise = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(0))
    for row in (0, 7, 19):
        model = rates.model.at(float(curve["beta"][row]))
        mean, logvar = model.encode(x)
        kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1)
        out = model.out(mean + (0.5 * logvar).exp() * noise)
        rec = torch.nn.functional.binary_cross_entropy_with_logits(out, x / 255, reduction="none").flatten(1).sum(1)
        assert np.allclose(curve["mean"][row], mean, atol=1e-5)
        assert np.allclose(curve["nats"][row], kl.mean(0).detach(), atol=1e-4)
        assert np.isclose(curve["kl"][row], float(kl.detach().sum(1).mean()), atol=1e-4)
        assert np.isclose(curve["rec"][row], float(rec.detach().mean()), atol=1e-2)
        assert np.allclose(curve["variance"][row], mean.var(0), atol=1e-5)
    assert curve["mig"].shape == (20,)


@pytest.mark.parametrize("name", ["bernoulli", "mse", "half_mse", "gaussian", "calibrated"])
def test_the_distortion_is_the_reconstruction_term_of_the_loss(name: str) -> None:
    likelihood = eq.likelihoods.from_name(name, 3, sigma=0.2).double().eval()
    model = VAE(torch.nn.Identity(), torch.nn.Identity(), likelihood, eq.priors.StandardNormal(2), (3, 4, 5), 10)
    generator = torch.Generator().manual_seed(0)
    out, x = (torch.rand(6, 3, 4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    rec = -likelihood.log_prob(out, x) - curves.constant(model)
    assert torch.allclose(rec, likelihood(out, x))


def test_the_curve_is_computed_once_for_a_checkpoint(rates: eq.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    curves.rates(rates)
    made: list[eq.Run] = []

    def compute(run: eq.Run, scope: Rates) -> Codes:
        made.append(run)
        assert (scope.low, scope.high) == (0.01, 10.0)
        return Codes(beta=np.ones(1))

    monkeypatch.setattr(curves, "_compute", compute)
    assert len(curves.rates(rates)["beta"]) == 20
    assert set(curves.points(rates.path)) == {"beta", "sse", "kl", "mig"}
    before = (rates.path / curves.FILE).read_bytes()
    np.savez(rates.path / curves.FILE, checkpoint=np.array("of another"), beta=np.ones(1))
    assert curves.points(rates.path) == {}
    curves.rates(rates)
    assert made == [rates]
    (rates.path / curves.FILE).write_bytes(before)


def test_a_latent_goes_out_after_the_last_beta_at_which_it_is_active() -> None:
    variance = np.array([[0.5, 0.5, 0.001, 0.5], [0.5, 0.001, 0.001, 0.001], [0.5, 0.001, 0.001, 0.02]])
    assert curves.last_active(Codes(variance=variance)).tolist() == [2, 0, -1, 2]


def test_the_section_names_the_betas_between_which_each_latent_goes_out(rates: eq.Run) -> None:
    curve = {name: values.copy() for name, values in curves.rates(rates).items()}
    curve["variance"][:] = 0.5
    curve["variance"][12:, 1] = 0.001
    curve["variance"][:, 2] = 0.001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise.report.sections.rates.rates", lambda _: Codes(curve))
        picture, body = trade_off(rates, analyse(rates))
    row = re.search(r'<tr><th scope="row">z1</th>.*?</tr>', str(body))
    assert row
    up_to, off = (float(value) for value in re.findall(r'value="([^"]+)"', row[0]))
    assert (up_to, off) == (curve["beta"][11], curve["beta"][12])
    assert "Inactive at every β: z2." in str(body)
    always = re.search(r'<tr><th scope="row">z0</th>.*?</tr>', str(body))
    assert always
    assert always[0].endswith('<td class="figure">–</td></tr>')
    assert "At β 0.01 the KL is" in picture.alt
    assert [axes.get_title("left") for axes in picture.figure.axes][1:] == ["nats of each latent", "MIG"]


def test_without_factors_the_figure_has_no_scores() -> None:
    curve = {"beta": np.geomspace(0.1, 1, 5), "rec": np.arange(5.0), "kl": np.arange(5.0), "nats": np.ones((5, 2))}
    assert len(rates_figure(curve, [0, 1]).axes) == 2


def test_a_run_of_one_beta_has_no_such_section(make: Callable[..., Any]) -> None:
    run = make()
    assert curves.rates(run) is None
    assert trade_off(run, analyse(run)) == []
    assert curves.points(run.path) == {}


def test_a_comparison_draws_the_curve_beside_the_points_of_other_runs(rates: eq.Run, tmp_path: Path) -> None:
    curves.rates(rates)
    points = curves.points(rates.path)
    results, *rest = read_results(open_study(write(tmp_path)))
    with_curve = [replace(results[0], curve=points), *results[1:]]
    (block,) = compare_results(tmp_path, with_curve, *rest, ()).blocks
    figure = pareto(block)
    panels = {axes.get_title("left"): axes for axes in figure.axes}
    assert any(
        np.array_equal(line.get_xydata(), np.stack([points["sse"], points["mig"]], 1)) for line in panels["mig"].lines
    )
    assert not any(len(line.get_xdata()) == 20 for line in panels["sap"].lines)
