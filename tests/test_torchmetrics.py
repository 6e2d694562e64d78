"""The metric of torchmetrics has the scores of all batches together, whatever the batches and the processes."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.metrics.inputs import toy
from torchmetrics import MetricCollection

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.torchmetrics import Disentanglement

NAMES = ["mig", "dci_lasso_disentanglement", "sap", "factor_vae"]


def given() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = toy(300)
    return torch.tensor(inputs["codes"], dtype=torch.float32), torch.tensor(inputs["factors"])


@pytest.mark.parametrize("name", NAMES)
def test_batches_have_the_score_of_the_whole(name: str) -> None:
    codes, factors = given()
    metric = Disentanglement(name, seed=3)
    for rows in torch.arange(300).split(77):
        metric.update(codes[rows].requires_grad_(), factors[rows])
    expected = metrics.score(codes, factors, which=name, seed=3, interval=False)[name].value
    value = metric.compute()
    assert value.ndim == 0
    assert value.item() == pytest.approx(expected, abs=1e-7)
    assert not value.requires_grad


def test_several_metrics_and_a_convention_are_those_of_score() -> None:
    codes, factors = given()
    metric = Disentanglement(["mig", "sap"], convention="carbonneau")
    metric.update(codes, factors)
    expected = metrics.score(codes, factors, which=["mig", "sap"], convention="carbonneau", interval=False)
    assert {name: value.item() for name, value in metric.compute().items()} == pytest.approx(
        {name: each.value for name, each in expected.items()}, abs=1e-7
    )


def test_forward_scores_the_batch_and_adds_it_and_reset_forgets() -> None:
    codes, factors = given()
    metric = Disentanglement("sap")
    first = metric(codes[:150], factors[:150])
    assert first.item() == pytest.approx(metrics.sap(codes[:150], factors[:150]).value, abs=1e-7)
    metric(codes[150:], factors[150:])
    assert metric.compute().item() == pytest.approx(metrics.sap(codes, factors).value, abs=1e-7)
    metric.reset()
    metric.update(codes[:100], factors[:100])
    assert metric.compute().item() == pytest.approx(metrics.sap(codes[:100], factors[:100]).value, abs=1e-7)


def test_the_states_of_processes_are_joined() -> None:
    codes, factors = given()
    one, other = Disentanglement("mig"), Disentanglement("mig")
    one.update(codes[:200], factors[:200])
    other.update(codes[200:], factors[200:])
    one.merge_state(pickle.loads(pickle.dumps(other)))
    assert one.compute().item() == pytest.approx(metrics.mig(codes, factors).value, abs=1e-7)


def test_it_works_in_a_collection() -> None:
    codes, factors = given()
    collection = MetricCollection({name: Disentanglement(name) for name in ("mig", "sap")})
    collection.update(codes, factors)
    assert set(collection.compute()) == {"mig", "sap"}


def test_what_cannot_be_scored_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no metric named 'migs'; did you mean mig"):
        Disentanglement("migs")
    with pytest.raises(InputError, match="kl needs"):
        Disentanglement("kl")
    with pytest.raises(InputError, match=r"codes have shape \[3\], factors \[3, 2\]; expected \[B, L\] and \[B, K\]"):
        Disentanglement("mig").update(torch.zeros(3), torch.zeros(3, 2))
    with pytest.raises(InputError, match=r"factors \[2, 2\]"):
        Disentanglement("mig").update(torch.zeros(3, 2), torch.from_numpy(np.zeros((2, 2))))


def test_without_the_package_the_sentence_says_what_to_install() -> None:
    program = "import sys; sys.modules['torchmetrics'] = None; import equipoise.torchmetrics"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install equipoise[torchmetrics]" in done.stderr


def test_wrong_batches_and_no_batch_are_refused() -> None:
    codes, factors = given()
    metric = Disentanglement("mig")
    with (
        pytest.raises(InputError, match="there are no codes to score; call update"),
        pytest.warns(UserWarning, match="before"),
    ):
        metric.compute()
    with pytest.raises(InputError, match="codes and factors of update are tensors"):
        metric.update(codes.numpy(), factors.numpy())
    metric.update(codes, factors)
    with pytest.raises(InputError, match="codes have 1 columns; expected 5, as in the first batch"):
        metric.update(codes[:, :1], factors)
