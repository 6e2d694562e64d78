"""The term of a few labelled images: its formula, its batches, every method with it, and whole runs."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import build, clock, forward, images, noise, small, toy

from equipoise import automatic
from equipoise.alignment import Alignment
from equipoise.assemble import load_images
from equipoise.config import load, resolve
from equipoise.data import Images
from equipoise.data.labels import LabelledImages
from equipoise.data.settings import LabelSettings
from equipoise.errors import InputError
from equipoise.methods import METHODS
from equipoise.report.sentences import supervision
from equipoise.runs import execute
from equipoise.sklearn import Disentangler
from equipoise.supervision import Supervision
from equipoise.training.loop import Stopped

B = 12
NAN = float("nan")


def grid() -> Images:
    """60 images, each of the color of its number, with three factors."""
    pixels = np.arange(60, dtype=np.uint8).repeat(4).reshape(60, 1, 2, 2)
    return Images(pixels, name="grid", factors="grid", factor_sizes=(3, 4, 5), factor_names=["a", "b", "c"])


def labelled(some: Images, source: int | float | str, latent: int = 5, **settings: Any) -> LabelledImages:
    return LabelledImages(some, LabelSettings(source, **settings), latent, size=8, seed=0, data_seed=0)


@pytest.mark.parametrize("loss", ["cross-entropy", "regression"])
def test_the_term_is_a_sum_over_the_latents_that_have_a_label(loss: str) -> None:
    mean = torch.tensor([[0.3, -2.0, 1.0], [4.0, 0.5, 0.0]], dtype=torch.float64)
    targets = torch.tensor([[0.25, NAN, 1.0], [NAN, NAN, NAN]])
    expected = 0.0
    for m, t in ((0.3, 0.25), (1.0, 1.0)):
        s = 1 / (1 + np.exp(-m))
        expected += -t * np.log(s) - (1 - t) * np.log(1 - s) if loss == "cross-entropy" else (m - t) ** 2 / 2
    term = Supervision(loss, 3.0, 0.0)(mean, targets)
    assert torch.allclose(term, torch.tensor([expected, 0.0], dtype=torch.float64))


@pytest.mark.parametrize(("until", "progress", "weight"), [(0.0, 0.0, 4.0), (0.5, 0.125, 1.0), (0.5, 0.9, 4.0)])
def test_the_weight_rises_from_0(until: float, progress: float, weight: float) -> None:
    assert Supervision("regression", 4.0, until).weight_at(torch.tensor(progress)) == weight


@pytest.mark.parametrize("name", METHODS)
def test_it_adds_to_the_loss_of_every_method_and_moves_its_encoder(name: str) -> None:
    objective, x = build(small(name)), images(B)
    model = toy(objective)
    p, targets = forward(model, x, noise(B)), torch.full((4, 3), NAN, dtype=torch.float64)
    targets[:, 1] = torch.tensor([0.0, 1.0, 0.5, NAN])
    means = model.means(x[:4], torch.Generator().manual_seed(0))
    alike = copy.deepcopy(objective)  # since a balance may remember what it has seen
    loss_without, logs_without = objective(p, clock())
    objective = alike
    objective.supervision = Supervision("cross-entropy", 2.0, 0.0)
    loss, logs = objective(p, clock(), (means, targets))
    logit = means[:3, 1]
    by_hand = (torch.log1p(logit.exp()) - targets[:3, 1] * logit).sum() / 4
    assert torch.allclose(loss - loss_without, 2 * by_hand)
    assert torch.allclose(logs["labels"], by_hand)
    assert logs.keys() - logs_without.keys() == {"labels", "weight.labels"}
    (loss - loss_without).backward()
    moved = [p for p in model.encoder.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved


def test_means_are_those_of_the_posterior() -> None:
    model = toy(build(small("vae")))
    assert torch.equal(model.means(images(B)), model.posterior(images(B))[0])


def test_targets_are_the_factors_from_0_to_1_or_with_mean_0_and_variance_1() -> None:
    some, rows = grid(), np.arange(60)
    factors = some.factors
    assert factors is not None
    every = labelled(some, 60)
    assert np.array_equal(every.images.rows, rows)
    assert np.allclose(every.targets[:, :3], factors / np.array([2, 3, 4]))
    assert every.targets[:, 3:].isnan().all()
    regression = labelled(some, 60, loss="regression", factors=("c", "a"), latents=(4, 1))
    assert np.allclose(regression.targets[:, 4], (factors[:, 2] - 2) / np.sqrt(2))
    assert np.allclose(regression.targets[:, 1], (factors[:, 0] - 1) / np.sqrt(2 / 3))
    assert regression.targets[:, [0, 2, 3]].isnan().all()


def test_labelled_images_are_drawn_once_and_batches_are_a_function_of_seed_and_step() -> None:
    few, again = labelled(grid(), 10), labelled(grid(), 10)
    assert np.array_equal(few.images.rows, again.images.rows)
    assert few.digest() == again.digest()
    other = LabelledImages(grid(), LabelSettings(10), 5, size=8, seed=0, data_seed=1)
    assert not np.array_equal(few.images.rows, other.images.rows)
    few(3)
    for left, right in zip(few(7), again(7), strict=True):
        assert torch.equal(left.nan_to_num(9), right.nan_to_num(9))
    pixels, targets = few(0)
    assert len(pixels) == 8
    factors = np.rint(targets[:, :3].numpy() * [2, 3, 4])
    assert np.array_equal(np.rint(pixels[:, 0, 0, 0].numpy() * 255), factors @ [20, 5, 1])
    assert len(labelled(grid(), 0.1).images) == 6


def test_a_table_may_have_empty_cells_and_images_that_are_not_trained_on(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("index,kind,size\n50,round,\n3,square,1.5\n4,,2.5\n10,round,9.5\n")
    some = labelled(grid().subset(np.arange(3, 20)), str(table))
    assert np.array_equal(some.images.pixels(np.arange(3))[:, 0, 0, 0], [3, 4, 10])
    assert np.allclose(some.targets[:, :2], [[1, 0], [NAN, 0.125], [0, 1]], equal_nan=True)


@pytest.mark.parametrize(
    ("few", "expected"), [(["1", "2", "1001"] * 3, [0, 0.001, 1]), (["0.5", "1", "5.5"] * 2, [0, 0.1, 1])]
)
def test_numbers_of_a_table_keep_their_distances(few: list[str], expected: list[float], tmp_path: Path) -> None:
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(few))
    (tmp_path / "labels.csv").write_text(f"index,area\n{rows}")
    targets = labelled(grid(), str(tmp_path / "labels.csv")).targets[:, 0]
    assert np.allclose(targets, expected * (len(few) // 3))
    (tmp_path / "labels.csv").write_text("index,size\n0,small2\n1,small10\n2,small3\n")
    assert labelled(grid(), str(tmp_path / "labels.csv")).targets[:, 0].tolist() == [0, 1, 0.5]


def test_a_table_names_files_as_a_table_of_factors_does(tmp_path: Path) -> None:
    files = [f"{i:02d}.png" for i in range(60)]
    some = Images(grid().pixels(np.arange(60)), name="files", files=files)
    (tmp_path / "labels.csv").write_text("image,size\n03.png,1\nframes/05,2\n59.PNG,3\n")
    few = labelled(some, str(tmp_path / "labels.csv"))
    assert few.images.files == ["03.png", "05.png", "59.png"]
    assert few.targets[:, 0].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("source", "settings", "sentence"),
    [
        (61, {}, "train.labels is 61, but there are only 60 images"),
        (9, {"factors": ("d",)}, "d: no such factor with labels; choose one of a, b, c"),
        (9, {"latents": (0, 1)}, r"3 factors, a, b, c, and the latents \[0, 1\]; give each factor a latent"),
        (9, {"latents": (0, 1, 1)}, "give each factor a latent of its own"),
        (9, {"factors": ("shape", "shape")}, "train.labels.factors is .*; name each factor once"),
        (9, {"latents": (0, 1, 5)}, "needs latent 5, and there are 5, from 0; raise net.latent"),
        ("index,a\n1,2\n99,3\n", {}, "1 row .99. without an image"),
        ("index,a\n1,2\n2,2\n", {}, "a has fewer than two values among the labelled images"),
        ("index,a\n1,2\n55,3\n", {}, "fewer than two of its images are among those to train on"),
        ("file,a\nx.png,2\ny.png,3\n", {}, "add a column 'index' with the numbers of the images"),
        ("index\n1\n2\n", {}, "has no column but index; add one for each factor"),
        ("index,a\n1,2\n", {}, "has 1 labelled images; give at least two that differ"),
        ("index,a,a\n1,2,3\n2,3,4\n", {}, "two columns are called a"),
        (f"index,a\n1,{10**400}\n2,{10**401}\n", {}, "line 2 has .* in the column a, which is too large for a float"),
        ("index,a\n1,1.7e308\n2,-1.7e308\n", {}, "the values of a are too far apart or too close for a float"),
        ("index,a\n1,2\n1,3\n", {}, "line 3 is a second row for 1; leave one of them"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    source: int | str, settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    some = grid()
    if isinstance(source, str):
        (tmp_path / "labels.csv").write_text(source)
        source, some = str(tmp_path / "labels.csv"), some.subset(np.arange(50))
    with pytest.raises(InputError, match=sentence):
        labelled(some, source, **settings)


@pytest.mark.parametrize("missing", ["", "NA", "nan"])
def test_what_is_no_factor_is_left_out_and_named(missing: str, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f",index,size,day,id\n0,3,1,2020-01-01,10\n1,5,{missing},2020-01-02,11\n2,7,3,2020-01-03,12\n")
    with pytest.warns(
        UserWarning, match=r"not used as factors: the first column \(row .*, day \(dates\), id \(row numbers\)"
    ):
        few = labelled(grid(), str(table))
    assert few.targets[:, 0].nan_to_num(9).tolist() == [0, 9, 1]
    assert few.targets[:, 1:].isnan().all()
    assert labelled(grid(), str(table), factors=("id",)).targets[:, 0].tolist() == [0, 0.5, 1]


def test_a_setting_beside_the_short_form_of_the_source_keeps_both() -> None:
    base = {"data": "dsprites", "method": "vae"}
    for settings in (
        {"train.labels": "labels.csv", "train.labels.weight": 3.0},
        {"train.labels.weight": 3.0, "train.labels": "labels.csv"},
        {"train.labels": {"source": 20, "weight": 3.0}, "train.labels.source": "labels.csv"},
    ):
        assert resolve(base | settings).train.labels == LabelSettings("labels.csv", weight=3.0)


def test_settings_are_a_source_or_a_table_and_survive_the_file(tmp_path: Path) -> None:
    base = {"data": "dsprites", "method": "vae"}
    assert resolve({**base, "train.labels": 100}).train.labels == LabelSettings(100)
    assert resolve({**base, "train.labels": "labels.csv"}).train.labels == LabelSettings("labels.csv")
    config = resolve({**base, "train.labels.source": 0.5, "train.labels.factors": ["shape"], "train.labels.until": 0.2})
    assert config.train.labels == LabelSettings(0.5, factors=("shape",), until=0.2)
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert load(tmp_path / "config.toml") == config
    assert "train.labels" not in resolve(base).flat()
    for one, several in (("radius", ["radius"]), (3, [3])):
        name = "train.labels.factors" if one == "radius" else "train.labels.latents"
        found = [resolve({**base, "train.labels": 100, name: value}) for value in (one, several)]
        assert found[0] == found[1]
    for value in (1, 0, 1.5, 0.0, True, ""):
        with pytest.raises(
            InputError, match=r"train\.labels.* expected 2 or more images, a share such as 0\.01, or the"
        ):
            resolve({**base, "train.labels": value})
    with pytest.raises(InputError, match=r"train\.labels needs images with factors or files"):
        Disentangler("vae", steps=1, settings={"train.labels": 4}).fit(np.zeros((8, 1, 16, 16), np.uint8))
    with pytest.raises(InputError, match="needs images with factors, and bare has none"):
        labelled(Images(np.zeros((9, 1, 2, 2), np.uint8), name="bare"), 4)


SETTINGS: dict[str, object] = {
    "method": "vae", "net": "small", "net.latent": 3, "train.batch": 16, "train.steps": 8, "train.threads": 1,
    "train.checkpoint_every": 3, "evaluate.which": "sse", "evaluate.n": 20, "train.labels.until": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("method", ["vae", "aligned-vae", "ada-gvae", "qlae", "mr-vae", "factor-vae"])
def test_a_run_that_stopped_resumes_with_the_same_labels(
    method: str, squares: Callable[[], str], tmp_path: Path
) -> None:
    settings = {**SETTINGS, "method": method, "data": squares(), "train.labels.source": 20}
    runs = []
    for name in ("whole", "broken"):
        config = resolve({**settings, "out": str(tmp_path / name)})
        if name == "broken":
            count = iter(range(100))
            with pytest.raises(Stopped):
                execute(config, progress=False, stop=lambda count=count: next(count) == 5)
        runs.append(execute(config, progress=False))
    whole, broken = (run.model.state_dict() for run in runs)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    assert [row["labels"] for row in runs[0].logs] == [row["labels"] for row in runs[1].logs]
    assert "Chosen latents learn chosen factors of a few labelled images (loss = cross-entropy" in (
        runs[0].path / "report.html"
    ).read_text(encoding="utf-8")


def test_a_changed_table_of_labels_is_refused_on_resume(squares: Callable[[], str], tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("index,size\n" + "".join(f"{i},{i // 25}\n" for i in range(75)))
    settings = {**SETTINGS, "data": squares(), "train.labels.source": str(table), "out": str(tmp_path / "run")}
    settings["train.schedule_steps"] = 8
    execute(resolve(settings), progress=False)
    table.write_text("index,size\n" + "".join(f"{i},{i // 5}\n" for i in range(75)))
    with pytest.raises(InputError, match="or with other labels"):
        execute(resolve({**settings, "train.steps": 9}), progress=False)


def test_the_labelled_latent_learns_its_factor(squares: Callable[[], str], tmp_path: Path) -> None:
    settings = {**SETTINGS, "data": squares(), "train.steps": 200, "train.lr": 3e-3, "net.latent": 4}
    labels = {"train.labels.source": 40, "train.labels.factors": ["x", "y"], "train.labels.latents": [3, 1]}
    labels["train.labels.weight"] = 100.0
    run = execute(resolve({**settings, **labels, "evaluate.n": 75, "out": str(tmp_path / "run")}), progress=False)
    correlation = np.corrcoef(run.codes["mean"].T, run.codes["factors"].T)[:4, 4:]
    assert correlation[3, 1] > 0.9
    assert correlation[1, 2] > 0.9


def test_labelled_latents_are_not_rotated() -> None:
    alignment = Alignment(3, every=1, codes=16)
    mean = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)) * 3
    assert len(alignment._partners(mean, torch.zeros(64, 3))) == 3
    alignment.fixed = (1,)
    assert {frozenset(pair) for pair in alignment._partners(mean, torch.zeros(64, 3))} == {frozenset((0, 2))}


def test_the_speed_of_a_budget_is_that_with_the_labels(
    squares: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve({**SETTINGS, "data": squares(), "train.labels.source": 20})
    steps = []
    draw = LabelledImages.__call__
    monkeypatch.setattr(LabelledImages, "__call__", lambda self, step: steps.append(step) or draw(self, step))
    automatic.measure(config, load_images(config, None)[0])
    assert steps


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"method": "vae"}, ""),
        ({"method": "vae", "train.labels": 10}, "with the labels of some of them"),
        ({"method": "ada-gvae"}, "in pairs drawn by their labels"),
        ({"method": "ada-gvae", "method.pairs": "neighbours"}, ""),
    ],
)
def test_report_and_card_do_not_call_a_training_with_labels_one_without(
    settings: dict[str, object], expected: str
) -> None:
    assert supervision(resolve({"data": "dsprites", **settings})) == expected
