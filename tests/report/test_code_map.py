"""The map of the codes: its plane, its clusters, its figure, and its place in the report."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray

from equipoise import report
from equipoise.data import Images
from equipoise.errors import InputError
from equipoise.report.code_map import arrange, clusters
from equipoise.report.figures.canvas import tiles
from equipoise.report.figures.code_map import Colours, code_map_figure, spread_out
from equipoise.report.findings import analyse
from equipoise.report.sections.code_map import code_map, picture

Make = Callable[..., Any]
SCALES = (3.0, 0.02, 1.0, 2.0)  # the second latent is inactive


def codes(count: int = 1200) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(count, 4)) * SCALES


def blobs(places: list[tuple[float, float]], counts: list[int]) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(place, 0.1, (n, 2)) for place, n in zip(places, counts, strict=True)])


def legend(axes: Axes) -> list[str]:
    key = axes.get_legend()
    assert key is not None
    return [text.get_text() for text in key.get_texts()]


def test_the_plane_is_that_of_the_singular_vectors_of_the_active_latents() -> None:
    plane = arrange(codes())
    rows = codes()[:1000][:, [0, 2, 3]]
    centred = rows - rows.mean(axis=0)
    u, values, _ = np.linalg.svd(centred, full_matrices=False)
    share = values**2 / np.sum(values**2)
    assert len(plane.points) == 1000
    np.testing.assert_allclose(np.abs(plane.points), np.abs(u * values)[:, :2], atol=1e-8)
    assert plane.axes == (f"first component, {share[0]:.0%}".replace("%", " %"), "second component, 30 %")
    assert plane.summary.startswith("The axes are the first two principal components of the active latents, with ")


def test_two_latents_can_be_the_axes_and_few_active_ones_are_no_obstacle() -> None:
    plane = arrange(codes(), latents=[3, 1])
    np.testing.assert_array_equal(plane.points, codes()[:1000, [3, 1]])
    assert plane.axes == ("z3", "z1")
    few = arrange(codes()[:50, :2])
    assert "of which fewer than two are active" in few.summary
    assert few.points.shape == (50, 2)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "tsne"}, "tsne: no such kind of map; choose one of pca, umap"),
        ({"latents": [1]}, r"latents are \[1\]; give two different ones as the axes of the map"),
        ({"latents": [1, 1]}, r"latents are \[1, 1\]; give two different ones"),
        (
            {"latents": [1, 2], "kind": "umap"},
            "the axes of a map are two latents or those of umap; give one of the two",
        ),
        ({"latents": [1, 4]}, r"there is no latent 4; choose latents from 0 to 3"),
        ({"codes": codes(2)}, "a map needs 3 encoded images or more; the run has 2"),
        ({"codes": codes() * (1, 0, 0, 0)}, "a map needs two latents that vary; the run has 1"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        arrange(given.pop("codes", codes()), **given)


def test_umap_gets_the_active_latents_and_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, **settings: Any) -> None:
            assert settings == {"n_neighbors": 15, "random_state": 0, "n_jobs": 1}

        def fit_transform(self, codes: NDArray[np.float64]) -> NDArray[np.float32]:
            return codes[:, 1:].astype(np.float32)

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Fake))
    plane = arrange(codes(), "umap")
    np.testing.assert_allclose(plane.points, codes()[:1000, 2:], rtol=1e-6)
    assert plane.axes == ("UMAP 1", "UMAP 2")
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r"pip install equipoise\[umap\], or take the kind pca"):
        arrange(codes(), "umap")


@pytest.mark.extra
@pytest.mark.filterwarnings("default")
def test_umap_keeps_the_images_of_a_cluster_together_and_is_the_same_each_time() -> None:
    points = np.tile(blobs([(0, 0), (4, 0), (0, 4)], [40, 40, 40]), 2)
    plane = arrange(points, "umap")
    middles = plane.points.reshape(3, 40, 2).mean(axis=1)
    nearest = np.square(plane.points[:, None] - middles).sum(axis=2).argmin(axis=1)
    assert nearest.tolist() == np.repeat(range(3), 40).tolist()
    np.testing.assert_array_equal(plane.points, arrange(points, "umap").points)


def test_clusters_are_found_where_there_are_some_and_the_largest_is_the_first() -> None:
    found = clusters(blobs([(0, 0), (4, 0), (0, 4)], [20, 60, 40]))
    assert found.labels.tolist() == [2] * 20 + [0] * 60 + [1] * 40
    assert found.silhouette > 0.9
    line = np.random.default_rng(2).normal(size=(500, 6))
    without = clusters(line)
    assert set(without.labels) == {0}
    assert without.silhouette < 0.25


def test_a_panel_has_a_point_for_each_image_in_the_colour_of_its_value() -> None:
    points = codes(30)[:, :2]
    shape = np.arange(30) % 3
    panels = [
        Colours("shape $x", shape, ("square", "ellipse", "heart")),
        Colours("scale", np.arange(30)),
        Colours("clusters", np.arange(30) % 7, "1234567", scale="dark: largest, light: smallest"),
    ]
    figure = code_map_figure(points, ("a", "b"), None, panels)
    first, second, third = figure.axes
    assert first.get_title(loc="left") == "shape $x"
    for number, dots in enumerate(first.collections):
        np.testing.assert_array_equal(dots.get_offsets(), points[shape == number])
    assert legend(first) == ["square", "ellipse", "heart"]
    np.testing.assert_array_equal(second.collections[0].get_offsets(), points)
    np.testing.assert_array_equal(second.collections[0].get_array(), np.arange(30))
    assert [text.get_text() for text in second.texts] == ["dark: low, light: high"]
    assert [text.get_text() for text in third.texts] == ["dark: largest, light: smallest"]
    assert (first.get_xlabel(), first.get_ylabel(), second.get_ylabel()) == ("a", "b", "")


def test_images_do_not_cover_each_other_and_lie_at_their_codes() -> None:
    points = codes(300)[:, [0, 3]]
    places = spread_out(points)
    assert places[0] == 0
    assert 20 < len(places) < 100
    pictures = np.random.default_rng(0).random((len(places), 1, 8, 12))
    axes = code_map_figure(points, ("", ""), pictures, []).axes[0]
    boxes = [image.get_extent() for image in axes.images]
    middles = np.array([[(left + right) / 2, (low + high) / 2] for left, right, low, high in boxes])
    np.testing.assert_allclose(middles, points[places])
    for i, (left, right, low, high) in enumerate(boxes):
        for other in boxes[:i]:
            assert right <= other[0] or other[1] <= left or high <= other[2] or other[3] <= low


def test_the_report_has_the_map_where_two_latents_are_active(make: Make) -> None:
    run = make()
    (block,) = code_map(run, analyse(run))
    titles = [axes.get_title(loc="left") for axes in block.figure.axes]
    assert titles == ["images", "across", "down", "mood"]
    assert block.alt == "A map of 256 codes, coloured by across, down and mood."
    places = spread_out(arrange(analyse(run).codes).points)
    pictures = tiles(run.images.pixels(run.codes["index"][places]) / 255)
    drawn = [np.asarray(image.get_array()) for image in block.figure.axes[0].images]
    np.testing.assert_array_equal(np.stack(drawn), pictures)
    column = list(run.codes["factors"][:, 0])
    assert np.asarray(block.figure.axes[1].collections[0].get_array()).tolist() == column
    assert 'id="map"' in report.write(run).read_text(encoding="utf-8")
    assert (run.path / "pictures" / "code-map.png").exists()
    dead = make(dead=True)
    assert code_map(dead, analyse(dead)) == []


def test_without_factors_the_colours_are_clusters_and_without_these_there_are_images_alone(make: Make) -> None:
    run = make(factors=False)
    (block,) = code_map(run, analyse(run))
    assert "no clusters" in block.caption or "clusters of k-means" in block.caption
    far = {**run.codes, "mean": run.codes["mean"] + 40 * (run.codes["mean"][:, :1] > 0)}
    apart = run.but(codes=far)
    findings = analyse(apart)
    block = picture(apart, findings, arrange(findings.codes))
    assert [axes.get_title(loc="left") for axes in block.figure.axes] == ["images", "clusters"]
    sizes = np.bincount(run.codes["mean"][:, 0] > 0)
    names = [f"{number + 1} ({size})" for number, size in enumerate(sorted(sizes, reverse=True))]
    assert legend(block.figure.axes[1]) == names
    assert "2 clusters of k-means (silhouette 0.9" in block.caption
    noise = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    even = run.but(codes={**run.codes, "mean": noise})
    (block,) = code_map(even, analyse(even))
    assert [axes.get_title(loc="left") for axes in block.figure.axes] == ["images"]
    assert "The codes have no clusters" in block.caption


def test_of_many_factors_those_that_latents_explain_have_a_panel(make: Make) -> None:
    run = make()
    across, down, _ = run.codes["factors"].T
    noise = np.random.default_rng(0).integers(0, 4, (2, len(across)))
    table = np.stack([noise[0], across, down, across // 2, noise[1], down // 2, across // 4], axis=1)
    names = ["a", "across", "down", "half across", "b", "half down", "side"]
    images = Images(run.images.pixels(range(256)), name="many", factors=table, factor_names=names)
    codes, meta = {**run.codes, "factors": table}, {**run.meta, "data": {"factor_names": names}}
    many = run.but(codes=codes, meta=meta, images=images, scores={})
    (block,) = code_map(many, analyse(many))
    titles = [axes.get_title(loc="left") for axes in block.figure.axes]
    assert titles == ["images", "across", "down", "half across", "half down", "side"]


def test_names_of_values_are_those_of_the_values_that_occur(make: Make) -> None:
    run = make()
    table = run.codes["factors"].copy()
    table[:, 2] = np.where(table[:, 2] == 1, 3, table[:, 2])
    moods = ("calm", "glad", "sad", "tired")
    images = Images(
        run.images.pixels(range(256)),
        name="moods",
        factors=table,
        factor_names=("across", "down", "mood"),
        factor_sizes=(8, 8, 4),
        factor_values={"mood": moods},
    )
    few = run.but(codes={**run.codes, "factors": table}, images=images, scores={})
    (block,) = code_map(few, analyse(few))
    panel = block.figure.axes[3]
    assert legend(panel) == ["calm", "sad", "tired"]
    sizes = [len(dots.get_offsets()) for dots in panel.collections]
    assert sizes == [(table[:, 2] == mood).sum() for mood in (0, 2, 3)]


def test_a_constant_factor_has_no_panel(make: Make) -> None:
    run = make()
    table = run.codes["factors"].copy()
    table[:, 2] = 1
    names = ["across", "down", "mood"]
    images = Images(run.images.pixels(range(256)), name="still", factors=table, factor_names=names)
    still = run.but(codes={**run.codes, "factors": table}, images=images, scores={})
    (block,) = code_map(still, analyse(still))
    assert [axes.get_title(loc="left") for axes in block.figure.axes] == ["images", "across", "down"]
