"""Data made from data: what is kept, left out and correlated, in which order, and what is refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from equipoise.data import Images
from equipoise.data.settings import Data
from equipoise.data.variants import Codes, correlate, keep, leave_out, prepare, random_subset
from equipoise.errors import InputError

NAMES = ("shape", "x", "y")


def grid(sizes: tuple[int, ...] = (3, 4, 5), names: tuple[str, ...] = NAMES) -> Images:
    """Every combination once; the first two pixels of an image are its number."""
    n = int(np.prod(sizes))
    pixels = np.zeros((n, 1, 1, 2), np.uint8)
    pixels[:, 0, 0] = np.stack(np.divmod(np.arange(n), 256), axis=1)
    return Images(pixels, name="grid", factors="grid", factor_sizes=sizes, factor_names=names)


def numbers(images: Images) -> npt.NDArray[np.int64]:
    """Which images of the grid these are, read from their pixels."""
    high, low = images.pixels(np.arange(len(images)))[:, 0, 0].T.astype(np.int64)
    return 256 * high + low


def rows(images: Images) -> set[tuple[int, ...]]:
    assert images.factors is not None
    return {tuple(int(code) for code in row) for row in images.factors}


REGIONS: list[Mapping[str, Codes]] = [
    {"shape": 1},
    {"shape": [0, 2], "x": "::2"},
    {"y": "3:", "x": [1], "shape": "-1:"},
    {"x": np.array([0, 3]).tolist()},
]


@pytest.mark.parametrize("codes", REGIONS)
def test_keep_and_leave_out_are_the_two_halves_of_the_images(codes: Mapping[str, Codes]) -> None:
    for images in (grid(), grid().subset(np.random.default_rng(0).permutation(60)[:50])):
        kept, rest = keep(images, codes), leave_out(images, codes)
        assert sorted([*numbers(kept), *numbers(rest)]) == sorted(numbers(images))
        for part in (kept, rest):
            assert part._pixels is images._pixels, "a view"
            assert (part.factor_names, part.factor_sizes) == (NAMES, (3, 4, 5)), "codes keep their meaning"
            assert list(numbers(part)) == [i for i in numbers(images) if i in set(numbers(part))], "and their order"


def test_kept_images_have_the_codes_that_were_said() -> None:
    assert rows(keep(grid(), {"shape": [0, 2], "x": "::2", "y": 4})) == {(s, x, 4) for s in (0, 2) for x in (0, 2)}
    assert rows(keep(grid(), {"y": "1:3"})) == {(s, x, y) for s in range(3) for x in range(4) for y in (1, 2)}


def test_what_is_left_out_is_missing_together_alone() -> None:
    rest = rows(leave_out(grid(), {"shape": 0, "x": "2:"}))
    assert rest == {(s, x, y) for s in range(3) for x in range(4) for y in range(5) if not (s == 0 and x >= 2)}


def test_random_subset_is_that_many_images_once_each_and_the_same_for_a_seed() -> None:
    some = numbers(random_subset(grid(), 20, seed=3))
    assert len(set(some)) == 20
    assert list(some) == sorted(some)
    assert np.array_equal(some, numbers(random_subset(grid(), 20, seed=3)))
    assert not np.array_equal(some, numbers(random_subset(grid(), 20, seed=4)))
    assert np.array_equal(numbers(random_subset(grid(), 60)), np.arange(60))


@pytest.mark.parametrize("sigma", [0.2, 0.4, 0.7])
def test_correlated_factors_have_the_joint_distribution_of_the_formula(sigma: float) -> None:
    images = grid((2, 9, 6, 40), ("shape", "a", "b", "other"))
    drawn = correlate(images, "a", "b", sigma)
    a, b = np.arange(9)[:, None] / 8, np.arange(6) / 5
    p = np.exp(-((a - b) ** 2) / (2 * sigma**2))
    joint = np.zeros((9, 6))
    np.add.at(joint, (drawn.factor("a"), drawn.factor("b")), 1 / len(drawn))
    assert len(drawn) == len(images)
    # 80 images a cell, each drawn as often as expected to within one: far nearer than independent draws would be.
    assert np.abs(joint - p / p.sum()).max() < 12 / len(images)
    expected = len(images) * (p / p.sum() / 80)[images.factor("a"), images.factor("b")]
    times = np.bincount(numbers(drawn), minlength=len(images))
    assert (np.abs(times - expected) < 1).all()


def test_other_factors_stay_independent_and_uniform() -> None:
    images = grid((4, 8, 8, 25), ("shape", "a", "b", "other"))
    drawn = correlate(images, "a", "b", 0.2)
    for name, size in (("shape", 4), ("other", 25)):
        share = np.bincount(drawn.factor(name), minlength=size) / len(drawn)
        assert np.abs(share - 1 / size).max() < 0.1 / size
        assert abs(np.corrcoef(drawn.factor(name), drawn.factor("a"))[0, 1]) < 0.05
    assert np.corrcoef(drawn.factor("a"), drawn.factor("b"))[0, 1] > 0.7


def test_a_smaller_sigma_correlates_more_and_a_large_one_changes_nothing() -> None:
    images = grid((10, 10, 30))
    found = [correlate(images, "shape", "x", sigma) for sigma in (0.05, 0.2, 0.4, 0.7, 1e6)]
    r = [np.corrcoef(part.factor("shape"), part.factor("x"))[0, 1] for part in found]
    assert r[0] > 0.95
    assert all(np.diff(r) < 0)
    assert np.array_equal(numbers(found[-1]), np.arange(3000))


def test_images_that_are_there_more_often_do_not_pull_the_correlation() -> None:
    images = grid((6, 6, 40))
    lopsided = images.subset(np.sort(np.concatenate([np.arange(len(images)), np.arange(480)])))
    drawn = correlate(lopsided, "shape", "x", 0.4)
    a = np.arange(6) / 5
    p = np.exp(-((a[:, None] - a) ** 2) / (2 * 0.4**2))
    joint = np.zeros((6, 6))
    np.add.at(joint, (drawn.factor("shape"), drawn.factor("x")), 1 / len(drawn))
    assert np.abs(joint - p / p.sum()).max() < 0.01


def test_correlation_runs_over_the_codes_that_are_there() -> None:
    part = keep(grid((8, 8, 40)), {"shape": "2:5", "x": "::3"})  # codes 2, 3, 4 and 0, 3, 6
    drawn = correlate(part, "shape", "x", 0.05)
    assert {(s, x) for s, x, _ in rows(drawn)} == {(2, 0), (3, 3), (4, 6)}


def test_correlation_is_the_same_for_a_seed() -> None:
    images = grid((8, 8, 8))
    first, same, other = (numbers(correlate(images, "x", "y", 0.3, seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def settings(**said: Any) -> Data:
    return Data(name="grid", **said)


def test_nothing_said_is_all_images_trained_on_and_scored() -> None:
    images = grid()
    assert prepare(images, settings()) == (images, images)


def test_a_code_that_is_also_a_value_of_another_code_is_noted() -> None:
    radius = {"factor_names": ["radius"], "factor_values": {"radius": ["3", "4", "5", "6"]}}
    images = Images(np.zeros((4, 1, 1, 1), np.uint8), name="radii", factors=np.arange(4)[:, None], **radius)
    with pytest.warns(UserWarning, match="radius is selected by its codes, not by its values: code 3 is radius 6"):
        assert rows(keep(images, {"radius": 3})) == {(3,)}
    assert rows(keep(images, {"radius": [0, 1]})) == {(0,), (1,)}


def test_the_order_is_keep_n_split_leave_out_correlate() -> None:
    images = grid((6, 6, 6))
    region: dict[str, Codes] = {"shape": "3:", "x": "3:"}
    said = settings(
        keep={"y": "::2"}, n=80, split=(0.8, 0.2), leave_out=region, correlate=("x", "y"), sigma=0.3, seed=5
    )
    kept = random_subset(keep(images, {"y": "::2"}), 80, 5)
    first, last = kept.split((0.8, 0.2), 5)
    train, scored = prepare(images, said)
    assert np.array_equal(numbers(train), numbers(correlate(leave_out(first, region), "x", "y", 0.3, 5)))
    assert np.array_equal(numbers(scored), numbers(last)), "neither correlated nor with a gap"
    assert len(train) < len(first) == 64


def test_what_is_scored_is_named() -> None:
    images = grid((6, 6, 6))
    region: dict[str, Codes] = {"shape": 0, "x": "3:"}
    for split in ((0.6, 0.2, 0.2), ()):
        said = {"split": split, "leave_out": region, "correlate": ("x", "y"), "sigma": 0.3, "seed": 1}
        parts = images.split(split, 1) if split else (images,)
        names = ["train", "all", "left_out", None, *(["validation", "test"] if split else [])]
        found = {name: prepare(images, settings(**said, scored=name)) for name in names}
        trained = {tuple(numbers(train)) for train, _ in found.values()}
        assert len(trained) == 1, "what is scored does not change what is trained on"
        assert found["train"][0] is found["train"][1]
        assert len(found["all"][1]) == 216
        assert rows(found["left_out"][1]) == rows(keep(images, region))
        assert not rows(found["left_out"][1]) & rows(found["train"][0]), "none of it was trained on"
        assert np.array_equal(numbers(found[None][1]), numbers(parts[-1]))
        if split:
            assert np.array_equal(numbers(found["validation"][1]), numbers(parts[1]))
            assert np.array_equal(numbers(found["test"][1]), numbers(parts[2]))


def test_variants_of_the_same_data_have_digests_of_their_own() -> None:
    images = grid()
    found = [
        keep(images, {"x": "::2"}),
        leave_out(images, {"x": "::2"}),
        random_subset(images, 30),
        random_subset(images, 30, seed=1),
        correlate(images, "x", "y", 0.3),
        correlate(images, "x", "y", 0.3, seed=1),
        correlate(images, "x", "y", 0.5),
    ]
    assert len({part.digest() for part in (images, *found)}) == 8


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ({"colour": 1}, "grid has no factor 'colour'; it has shape, x, y"),
        ({"x": 4}, r"the factor x takes the codes 0\.\.3, not 4"),
        ({"x": [0, -1]}, r"the factor x takes the codes 0\.\.3, not \[0, -1\]"),
        ({"x": []}, r"the factor x takes the codes 0\.\.3, not \[\]"),
        ({"x": "4:"}, r"the factor x takes the codes 0\.\.3, not 4:"),
        ({"x": "::0"}, "'::0' are not codes of x; expected a slice such as ::2"),
        ({"x": "a:b"}, "'a:b' are not codes of x; expected a slice such as ::2"),
    ],
)
def test_codes_that_do_not_exist_are_refused(codes: Mapping[str, Codes], sentence: str) -> None:
    for variant in (keep, leave_out):
        with pytest.raises(InputError, match=sentence):
            variant(grid(), codes)


def test_what_leaves_nothing_or_changes_nothing_is_refused() -> None:
    some = keep(grid(), {"shape": 0})
    with pytest.raises(InputError, match="no image has the codes shape 1, x 2 together; keep more of them"):
        keep(some, {"shape": 1, "x": 2})
    with pytest.raises(InputError, match="no image has the codes shape 1 that are to be left out; name others"):
        leave_out(some, {"shape": 1})
    with pytest.raises(InputError, match="all images have the codes shape 0 that are to be left out; name fewer"):
        leave_out(some, {"shape": 0})
    with pytest.raises(InputError, match=r"data\.n is 61 but grid has 60 images"):
        random_subset(grid(), 61)
    with pytest.raises(InputError, match="the factor shape has one code only, 0; correlate factors that vary"):
        correlate(some, "shape", "x", 0.2)
    with pytest.raises(InputError, match=r"data\.correlate names x twice"):
        correlate(some, "x", "x", 0.2)
    with pytest.raises(InputError, match=r"data\.sigma is 0; give a positive width"):
        correlate(some, "x", "y", 0)


def test_factors_that_are_continuous_or_unknown_are_refused() -> None:
    pixels = grid().pixels(np.arange(60))
    smooth = Images(pixels, name="smooth", factors=np.random.default_rng(0).random((60, 2)), factor_names=("a", "b"))
    plain = Images(pixels, name="plain")
    with pytest.raises(InputError, match="smooth: the factor a is continuous"):
        correlate(smooth, "a", "b", 0.2)
    with pytest.raises(InputError, match="smooth: the factor b is continuous"):
        keep(smooth, {"b": 0})
    with pytest.raises(InputError, match="plain has no factor 'shape'; it has no known factors"):
        keep(plain, {"shape": 0})
