"""The curves of training: what each method logs has its place, beside what it is held against."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tests.conftest import SHAPE, images, small, toy

from equipoise.config import Config, resolve
from equipoise.methods import METHODS
from equipoise.report.figures.curves import _widths, constant_weights, training_curves
from equipoise.report.figures.saving import png, svg
from equipoise.sections import Net, Train
from equipoise.training.loop import Training

Make = Callable[..., Any]
Rows = list[dict[str, Any]]
KL = "KL term K, nats per image"


def settings(method: str, **of_method: Any) -> Config:
    named = {f"method.{key}": value for key, value in of_method.items()}
    return resolve({"data": "dsprites", "method": method, "net.latent": 4, "train.steps": 1000, "out": "run", **named})


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def panel(figure: Figure, title: str) -> Axes:
    (found,) = (axes for axes in figure.axes if axes.get_title(loc="left") == title)
    return found


def curves(figure: Figure, title: str) -> dict[str, list[float]]:
    """The curves of a panel by name, without the line that marks 0."""
    lines = {str(line.get_label()): line.get_ydata() for line in panel(figure, title).lines}
    return {name: np.asarray(values).tolist() for name, values in lines.items() if not name.startswith("_")}


def plain(rows: Rows, **more: Any) -> Rows:
    """The rows without learned weights, with values that grow with the step: `more` is of the first row."""
    kept = [{key: value for key, value in row.items() if "sigma" not in key} for row in rows]
    fixed = {"weight.rec": 1.0, "weight.kl": 1.0, "beta_equivalent": 1.0}
    return [{**row, **fixed, **{key: (n + 1) * np.array(v) for key, v in more.items()}} for n, row in enumerate(kept)]


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_logs_has_its_place(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        objective = small(name).build(SHAPE)
    train = Train(steps=4, batch=12, fast=False)
    training = Training(toy(objective, dtype=torch.float32), objective, train, torch.device("cpu"))
    rows = []
    for step in range(4):
        x, second = (images(12, seed=2 * step + n, dtype=torch.float32) for n in range(2))
        training.advance(x, second if objective.needs_second_batch else None)
        rows.append(training.row() | {"lr": 1e-4, "images_per_second": 10.0, "seconds": 1.0})
    config = dataclasses.replace(settings("vae"), method=small(name), net=Net(latent=SHAPE.latent), train=train)
    figure = training_curves(rows, config)
    assert {"reconstruction term R, nats per image", KL, "loss, nats per image"} <= set(titles(figure))
    assert not [title for title in titles(figure) if title.endswith("as logged")]
    assert "<svg" in svg(figure, name)


def test_learned_weights_are_drawn_beside_their_stationary_trade_off(log: Make) -> None:
    rows = log(5)
    figure = training_curves(rows, settings("l-vae", law="published", likelihood="mse"))
    assert titles(figure) == [
        "reconstruction term R, nats per image",
        KL,
        "loss, nats per image",
        "β-equivalent, weight per unit of error",
        "σ of the terms",
        "KL of each latent, nats",
    ]
    drawn = curves(figure, "β-equivalent, weight per unit of error")
    np.testing.assert_allclose(drawn["β-equivalent"], 1.44)
    np.testing.assert_allclose(drawn["√(R / K)"], [math.sqrt(row["rec"] / row["kl"]) for row in rows])
    assert list(curves(figure, "σ of the terms")) == ["rec", "kl"]
    assert constant_weights(rows) == {"rec": 1.5**-2, "kl": 1.25**-2}


@pytest.mark.parametrize(
    ("chosen", "name", "value"),
    [
        ({"regulariser": "log"}, "R / K", 4.0),
        ({"parametrisation": "log"}, "√(R / K)", 2.0),
        ({"likelihood": "half_mse"}, "√(R / K) / 0.5", 4.0),
    ],
)
def test_the_stationary_trade_off_is_that_of_the_settings(
    log: Make, chosen: dict[str, str], name: str, value: float
) -> None:
    figure = training_curves(log(5), settings("l-vae", **{"law": "published", "likelihood": "mse", **chosen}))
    drawn = curves(figure, "β-equivalent, weight per unit of error")
    assert drawn[name][-1] == pytest.approx(value)


def test_a_controlled_term_is_drawn_beside_its_set_point(log: Make) -> None:
    rows = plain(log(5), set_point=2.0, error=0.1, integral=-1.0)
    rows = [row | {"weight.kl": 1.0 + number, "beta_equivalent": 1.0 + number} for number, row in enumerate(rows)]
    figure = training_curves(rows, settings("control-vae"))
    assert curves(figure, KL) == {"KL term K": [4.0] * 5, "set point": [2.0, 4.0, 6.0, 8.0, 10.0]}
    assert panel(figure, KL).get_yscale() == "linear"
    assert titles(figure)[2:] == ["loss, nats per image", "weight of kl", "KL of each latent, nats"]
    assert constant_weights(rows) == {"rec": 1.0}


def test_a_controller_of_the_sum_of_the_parts_has_its_set_point_beside_the_kl(log: Make) -> None:
    control = {"name": "pi", "target": 6.0, "term": "tc"}
    parts = ["mi", "tc", "dim_kl"]
    rows = plain(log(5), mi=1.0, tc=0.1, dim_kl=2.0, set_point=6.0)
    config = settings("compose", terms=parts, balance=[{**control, "measures": parts}])
    figure = training_curves(rows, config)
    assert list(curves(figure, KL)) == ["KL term K", "set point"]
    names = ["mutual information", "total correlation", "marginal KLs"]
    assert list(curves(figure, "parts of the KL, nats per image")) == names
    config = settings("compose", terms=parts, balance=[{**control, "measures": ["mi", "tc"]}])
    other = training_curves(rows, config)
    assert list(curves(other, KL)) == ["KL term K"]
    assert "set_point, as logged" in titles(other)


def test_a_capacity_is_drawn_beside_the_kl_and_a_negative_weight_to_scale(log: Make) -> None:
    rows = [row | {"weight.kl": (-1) ** n * 1000.0} for n, row in enumerate(plain(log(10)))]
    figure = training_curves(rows, settings("annealed-vae"))
    # 25 nats at six tenths of 1,000 steps.
    np.testing.assert_allclose(curves(figure, KL)["capacity"], [min(25, 25 * n / 6) for n in range(1, 11)])
    assert panel(figure, "weight of kl").get_yscale() == "linear"
    figure = training_curves(plain(log(5), capacity=0.5), settings("dava"))
    assert curves(figure, KL)["capacity of all latents"] == [2.0, 4.0, 6.0, 8.0, 10.0]  # of four latents


def test_an_adversary_has_its_accuracy_beside_chance_and_its_target(log: Make) -> None:
    rows = plain(log(4), tc=0.2, smoothed=0.1, beta=6.0, adversary_loss=0.6, accuracy=0.2)
    rows = [row | {"weight.tc": 6.0 + n, "tc_equivalent": 6.0 + n} for n, row in enumerate(rows)]
    figure = training_curves(rows, settings("progressive-factor-vae", target=0.85, target_end=0.65))
    drawn = curves(figure, "accuracy of the discriminator")
    assert list(drawn) == ["accuracy", "running mean", "chance", "target"]
    assert drawn["chance"] == [0.5] * 4
    np.testing.assert_allclose(drawn["target"], [0.83, 0.81, 0.79, 0.77])
    assert titles(figure)[2:5] == ["total correlation, nats per image", "loss, nats per image", "weight of tc"]
    # A weight that stays is no curve.
    rows = [row | {"weight.tc": 35.0, "tc_equivalent": 35.0} for row in rows]
    assert not [title for title in titles(training_curves(rows, settings("factor-vae"))) if "weight" in title]
    assert constant_weights(rows) == {"rec": 1.0, "kl": 1.0, "tc": 35.0}


def test_relevance_has_a_row_for_each_latent(log: Make) -> None:
    rows = plain(log(5), tc=0.1, accuracy=0.1)
    rows = [row | {"relevance_dims": [0.5, 1, 0.2, 0], "weight.kl_dims": [4, 0.1, 6, 10]} for row in rows]
    rows = [row | {"weight.kl": 5.0 + n} for n, row in enumerate(rows)]
    figure = training_curves(rows, settings("rf-vae"))
    axes = panel(figure, "relevance of each latent, 0 to 1")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z1", "z0", "z2", "z3"]
    assert "weight of kl, mean over latents" in titles(figure)


def test_covariances_sigma_and_exponents_have_panels(log: Make) -> None:
    figure = training_curves(plain(log(5), cov_off=0.1, cov_diag=0.2), settings("compose", terms=["kl", "cov_off"]))
    assert list(curves(figure, "covariance minus identity, squared")) == ["off the diagonal", "on the diagonal"]
    rows = [row | {"beta_equivalent": 0.1 * row["sigma"]} for row in plain(log(5), sigma=0.1)]
    figure = training_curves(rows, settings("sigma-vae"))
    assert titles(figure)[3:5] == ["β-equivalent, weight per unit of error", "σ of the decoder, pixels from 0 to 1"]
    rows = [row | {"kl_dims": [1.0, 3.0], "exponents": [2.0 + n, 2.1]} for n, row in enumerate(plain(log(5)))]
    figure = training_curves(rows, settings("isa-vae", layout=[3, 1], learned=True))
    assert list(curves(figure, "subspaces, exponent of the prior")) == ["z0–z2", "z3"]
    axes = panel(figure, "KL of each subspace, nats")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z3", "z0–z2"]


def test_what_is_not_known_is_drawn_too(log: Make) -> None:
    rows = [row | {"beta_equivalent": None} for row in plain(log(5), temperature=0.5)]
    figure = training_curves(rows, settings("vae"))
    assert not [title for title in titles(figure) if "equivalent" in title]
    assert list(curves(figure, "temperature, as logged")) == ["temperature"]


@pytest.mark.parametrize("maps", [0, 1, 2])
@pytest.mark.parametrize("panels", range(2, 12))
def test_every_row_of_panels_is_full(panels: int, maps: int) -> None:
    widths = _widths(panels, maps)
    assert all(sum(row) == 6 for row in widths)
    assert sum(len(row) for row in widths) == panels + maps
    assert len(widths) <= -(-panels // 3) + 1


@pytest.mark.parametrize(("rows", "points"), [(1, 1), (5, 5), (3000, 400)])
def test_a_log_of_any_length_is_drawn_to_its_last_row(log: Make, rows: int, points: int) -> None:
    figure = training_curves(log(rows), settings("l-vae"))
    step = figure.axes[0].lines[0].get_xdata()
    assert (len(step), step[-1]) == (points, 100 * rows)
    assert len(svg(figure, "training")) < 300_000
    assert png(figure).startswith(b"\x89PNG")
