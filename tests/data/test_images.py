import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from equipoise import metrics
from equipoise.data import Images
from equipoise.data.settings import Data, check, check_fractions
from equipoise.errors import InputError

SIZES = (3, 4, 5)
NAMES = ("shape", "x", "y")


def grid(**more: Any) -> Images:
    """60 images, each of one value: its number."""
    pixels = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 1, 4, 4))
    return Images(pixels, name="grid", factors="grid", factor_sizes=SIZES, factor_names=NAMES, **more)


def table() -> Images:
    """The same with its factors in a table, of which the sizes are known by looking."""
    return Images(grid().pixels(np.arange(60)), name="table", factors=grid().factors, factor_names=NAMES)


def partial() -> Images:
    """Thirty of them, some twice, in no order: not every combination is there."""
    return table().subset(np.random.default_rng(1).integers(60, size=30))


def binary(n: int = 50) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 2, (n, 1, 16, 16), dtype=np.uint8)


def test_bits_and_bytes_give_the_same_images() -> None:
    pixels = binary() * np.uint8(255)
    as_bytes = Images(pixels, name="bytes")
    as_bits = Images(np.packbits(pixels.reshape(50, -1), axis=1), name="bits", shape=(1, 16, 16))
    for index in ([0, 49, 3, 3], np.arange(50), [], np.array([7], np.int16)):
        assert np.array_equal(as_bits.pixels(index), pixels[np.asarray(index, int)])
        assert np.array_equal(as_bytes.pixels(index), pixels[np.asarray(index, int)])
        assert torch.equal(as_bits.floats(index), as_bytes.floats(index))
    assert as_bits.pixels([1]).dtype == np.uint8
    assert as_bits.floats([1]).dtype == torch.float32


def test_floats_are_the_pixels_divided_by_255() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    assert torch.equal(Images(pixels, name="ramp").floats([0, 1, 2, 3]), torch.from_numpy(pixels) / 255)


def test_channels_on_the_last_axis_come_out_first_and_contiguous() -> None:
    last = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    images = Images(np.moveaxis(last, 3, 1), name="view")
    assert images.shape == (3, 6, 7)
    assert images.floats([4, 2]).is_contiguous()
    assert np.array_equal(images.pixels([4, 2]), last[[4, 2]].transpose(0, 3, 1, 2))


def test_what_is_handed_out_may_be_written_into() -> None:
    images = grid()
    images.pixels([5])[:] = 77
    images.floats([5])[:] = 77
    assert images.pixels([5]).max() == 5


def test_subset_is_a_view_and_keeps_factors_and_order() -> None:
    for images in (grid(), table()):
        whole = images.factors
        assert whole is not None
        part = images.subset([59, 2, 40]).subset([2, 0])
        assert part.factors is not None
        assert len(part) == 2
        assert part.pixels([0, 1])[:, 0, 0, 0].tolist() == [40, 59]
        assert np.array_equal(part.factors, whole[[40, 59]])
        assert part._pixels is images._pixels
        assert (part.factor_sizes, part.factor_names, part.shape) == (SIZES, NAMES, images.shape)


def test_split_is_disjoint_exhaustive_and_the_same_for_a_seed() -> None:
    images = grid()
    fractions = [0.85, 0.075, 0.075]
    parts = images.split(fractions, seed=3)
    shown = [part.pixels(np.arange(len(part)))[:, 0, 0, 0] for part in parts]
    assert [len(part) for part in shown] == [51, 4, 5]
    assert sorted(np.concatenate(shown)) == list(range(60))
    again = images.split(fractions, seed=3)
    assert all(np.array_equal(a.factors, b.factors) for a, b in zip(parts, again, strict=True))
    assert not np.array_equal(parts[0].factors, images.split(fractions, seed=4)[0].factors)


@pytest.mark.parametrize("fractions", [[], [0.5], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0]])
def test_fractions_that_do_not_add_up_are_refused(fractions: list[float]) -> None:
    with pytest.raises(
        InputError, match=r"data\.split is \[.*\]; expected two or more positive fractions whose sum is 1"
    ):
        grid().split(fractions)


def test_split_that_leaves_a_part_empty_is_refused() -> None:
    with pytest.raises(InputError, match="60 images leaves a part empty"):
        grid().split([0.999, 0.001])


@pytest.mark.parametrize("images", [grid(), table(), partial()], ids=["grid", "table", "partial"])
@pytest.mark.parametrize("fixed", [{}, {"x": 2}, {"y": 0, "shape": 1}, {"shape": 2, "x": 3, "y": 4}])
def test_sampling_is_uniform_over_the_images_that_fit(images: Images, fixed: dict[str, int]) -> None:
    assert images.factors is not None
    fits = np.all([images.factors[:, NAMES.index(name)] == code for name, code in fixed.items()], axis=0)
    fits = np.flatnonzero(np.broadcast_to(fits, len(images)))
    if not fits.size:
        with pytest.raises(InputError, match=r"no image has .*; fix fewer factors"):
            images.sample(1, np.random.default_rng(0), fixed)
        return
    n = 20_000
    drawn = images.sample(n, np.random.default_rng(0), fixed)
    counts = np.bincount(drawn, minlength=len(images))
    assert drawn.dtype == np.int64
    assert counts.sum() == counts[fits].sum() == n
    expected = n / len(fits)
    assert np.abs(counts[fits] - expected).max() <= 5 * np.sqrt(expected)


def test_partial_table_has_combinations_without_an_image() -> None:
    images = partial()
    with pytest.raises(InputError, match=r"table: no image has \{'shape': 0, 'x': 0, 'y': 0\}; fix fewer factors"):
        images.sample(5, np.random.default_rng(0), {"shape": 0, "x": 0, "y": 0})


def test_sampling_uses_the_generator_it_is_given() -> None:
    first = grid().sample(9, np.random.default_rng(4), {"x": 1})
    assert np.array_equal(first, grid().sample(9, np.random.default_rng(4), {"x": 1}))


def test_sampling_dsprites_costs_microseconds(dsprites: Images) -> None:
    part = dsprites.split([0.85, 0.15])[0]
    rng = np.random.default_rng(0)
    for images in (dsprites, part):
        for fixed in ({"shape": 2}, {"orientation": 7, "pos_x": 3}):
            images.sample(64, rng, fixed)  # the first call on a part sorts its factor
            start = time.process_time()
            for _ in range(20):
                drawn = images.sample(64, rng, fixed)
            assert (time.process_time() - start) / 20 < 1e-3  # about 0.05 ms
            assert images.factors is not None
            for name, code in fixed.items():
                assert (images.factors[drawn, images.factor_names.index(name)] == code).all()


@pytest.mark.parametrize(
    ("fixed", "sentence"),
    [
        ({"colour": 1}, "grid has no factor 'colour'; it has shape, x, y"),
        ({"x": 4}, r"the factor x takes the codes 0\.\.3, not 4"),
        ({"x": -1}, r"the factor x takes the codes 0\.\.3, not -1"),
        ({"x": 1.0}, r"the factor x takes the codes 0\.\.3, not 1\.0"),
    ],
)
def test_factor_that_cannot_be_fixed_is_named(fixed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        grid().sample(1, np.random.default_rng(0), fixed)


def test_continuous_factors_are_kept_but_cannot_be_fixed() -> None:
    images = Images(binary(3), name="c", factors=np.array([[0.5], [1.5], [2.0]], np.float32))
    assert images.factors is not None
    assert images.factors.dtype == np.float64
    assert (images.factor_names, images.factor_sizes) == (("factor_0",), (0,))
    with pytest.raises(InputError, match="factor_0 is continuous"):
        images.sample(1, np.random.default_rng(0), {"factor_0": 1})


def mixed() -> Images:
    """Sixty images whose shape has codes and whose angle is continuous."""
    codes = grid().factor("shape")
    angle = np.random.default_rng(2).uniform(-30, 30, 60)
    return Images(
        grid().pixels(np.arange(60)),
        name="mixed",
        factors=np.stack([codes, angle], axis=1),
        factor_names=("shape", "angle"),
        factor_sizes=(3, 0),
    )


def test_codes_and_continuous_factors_share_a_table() -> None:
    for images in (mixed(), mixed().subset(np.arange(59, 10, -1))):
        assert images.factors is not None
        assert images.factors.dtype == np.float64
        assert images.factor_sizes == (3, 0)
        assert images.factor("shape").dtype == np.int64
        assert np.array_equal(images.factor("shape"), images.factors[:, 0])
        drawn = images.sample(50, np.random.default_rng(0), {"shape": 2})
        assert (images.factors[drawn, 0] == 2).all()
        assert len(set(images.factors[drawn, 1])) > 5
        with pytest.raises(InputError, match="mixed: the factor angle is continuous"):
            images.sample(1, np.random.default_rng(0), {"angle": 0})
        with pytest.raises(InputError, match="mixed: the factor angle is continuous"):
            images.factor("angle")


def test_a_table_of_whole_numbers_may_hold_a_continuous_factor() -> None:
    images = Images(binary(3), name="whole", factors=np.array([[0, 90], [1, -7], [0, 4]]), factor_sizes=(2, 0))
    assert images.factors is not None
    assert images.factors.tolist() == [[0.0, 90.0], [1.0, -7.0], [0.0, 4.0]]


@pytest.mark.parametrize("metric", ["mig", "jemmig", "sap", "explicitness", "dci_lasso_informativeness"])
def test_codes_beside_continuous_factors_score_as_they_do_alone(metric: str) -> None:
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, 3, 1500), rng.integers(0, 40, 1500)], axis=1)
    angles = rng.uniform(-30, 30, (1500, 2))
    pixels = np.zeros((1500, 1, 1, 1), np.uint8)
    alone = Images(pixels, name="alone", factors=codes)
    beside = Images(pixels, name="beside", factors=np.hstack([codes, angles]), factor_sizes=(3, 40, 0, 0))
    z = np.hstack([codes, angles]) + rng.normal(scale=0.3, size=(1500, 4))
    found, expected = (
        metrics.score(z, images.factors, which=metric, interval=False)[metric].per_factor for images in (beside, alone)
    )
    assert found is not None
    assert expected is not None
    assert np.array_equal(found[:2], expected)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("images", [grid(), table(), partial()], ids=["grid", "table", "partial"])
def test_one_factor_is_the_column_of_its_name(images: Images) -> None:
    assert images.factors is not None
    for k, name in enumerate(NAMES):
        assert np.array_equal(images.factor(name), images.factors[:, k])
    with pytest.raises(InputError, match="has no factor 'colour'; it has shape, x, y"):
        images.factor("colour")


def test_digest_is_that_of_the_pixels_and_factors() -> None:
    whole = table().digest()
    assert table().digest() == whole
    darker = Images(grid().pixels(np.arange(60)) // 2, name="table", factors=grid().factors, factor_names=NAMES)
    turned = Images(grid().pixels(np.arange(60)), name="table", factors=grid().factors[::-1], factor_names=NAMES)  # type: ignore[index]
    unlabelled = Images(grid().pixels(np.arange(60)), name="table")
    assert len({whole, darker.digest(), turned.digest(), unlabelled.digest()}) == 4


def test_digest_of_a_view_tells_its_rows_and_their_order() -> None:
    first, second = table().split([0.5, 0.5])
    again = table().split([0.5, 0.5])[0]
    backwards = first.subset(np.arange(len(first))[::-1])
    assert first.digest() == again.digest()
    assert len({table().digest(), first.digest(), second.digest(), backwards.digest()}) == 4
    assert backwards.subset(np.arange(len(first))[::-1]).digest() == first.digest(), "the same rows by another way"


def test_known_digest_is_not_computed_and_no_pixel_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    images, other = grid(digest="grid-1"), grid(digest="grid-2")
    read: list[int] = []
    monkeypatch.setattr(images._pixels, "bytes", lambda rows: read.append(len(rows)))
    assert images.digest() == "grid-1"
    assert images.subset([3, 4]).digest() == grid(digest="grid-1").subset([3, 4]).digest()
    assert images.subset([3, 4]).digest() != other.subset([3, 4]).digest()
    assert read == []


def test_dsprites_knows_its_digest(dsprites: Images) -> None:
    assert dsprites.digest() == "dsprites-1"


def test_unknown_digest_reads_the_pixels_once_for_all_views(monkeypatch: pytest.MonkeyPatch) -> None:
    images, read, bytes_of = grid(), [], grid()._pixels.bytes

    def counted(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        read.append(len(rows))
        return bytes_of(rows)

    monkeypatch.setattr(images._pixels, "bytes", counted)
    parts = images.split([0.6, 0.2, 0.2])
    assert len({part.digest() for part in (images, *parts, *parts[0].split([0.5, 0.5]))}) == 6
    assert read == [60]


def test_split_is_independent_of_which_images_are_encoded() -> None:
    images = Images(np.zeros((1000, 1, 1, 1), np.uint8), name="plain", factors=np.arange(1000)[:, None])
    train = images.split([0.5, 0.5])[0].factor("factor_0")
    encoded = np.random.default_rng(0).permutation(1000)[:500]  # as `codes.index` draws them
    assert abs(np.isin(encoded, train).mean() - 0.5) < 0.1


def test_images_without_factors_say_so() -> None:
    images = Images(binary(), name="plain")
    assert images.factors is None
    assert images.subset([1]).factors is None
    assert (images.factor_names, images.factor_sizes) == ((), ())
    with pytest.raises(InputError, match="plain has no factor 'x'; it has no known factors"):
        images.sample(1, np.random.default_rng(0), {"x": 0})


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ([60], "grid has 60 images, numbered from 0: the index runs from 60 to 60"),
        ([-1, 3], "the index runs from -1 to 3"),
        ([0.5], r"whole numbers in one row, not float64 \[1\]"),
        (np.ones(60, bool), r"not bool \[60\]"),
        (3, r"not int64 \[\]"),
    ],
)
def test_index_that_is_none_is_refused(index: npt.ArrayLike, sentence: str) -> None:
    for method in (grid().pixels, grid().floats, grid().subset):
        with pytest.raises(InputError, match=sentence):
            method(index)


@pytest.mark.parametrize(
    ("store", "more", "sentence"),
    [
        (binary().astype(np.float32), {}, r"images are uint8 .*, not float32 \[50, 1, 16, 16\]"),
        (binary()[:, 0], {}, r"not uint8 \[50, 16, 16\]"),
        (binary().reshape(50, -1), {"shape": (1, 16, 16)}, r"not uint8 \[50, 256\]"),
        (binary(0), {}, "has no images"),
        (binary(), {"factors": "grid", "factor_sizes": (7, 7)}, "50 images do not fill the grid .* 49 cells"),
        (binary(), {"factors": np.zeros((49, 2), int)}, r"factors of 50 images are .*, not int64 \[49, 2\]"),
        (binary(), {"factors": np.zeros(50, int)}, r"not int64 \[50\]"),
        (binary(), {"factors": np.full((50, 1), "a")}, "not <U1"),
        (binary(), {"factors": np.full((50, 1), np.nan)}, "NaN or infinity"),
        (binary(), {"factors": np.full((50, 1), -1)}, "from 0 to V-1, but factor 0, whose V is 1, has -1"),
        (binary(), {"factors": np.full((50, 1), 3), "factor_sizes": (3,)}, "factor 0, whose V is 3, has 3"),
        (binary(), {"factors": np.full((50, 2), 0.5), "factor_sizes": (0, 2)}, r"factor 1, whose V is 2, has 0\.5"),
        (
            binary(),
            {"factors": np.full((50, 1), 0), "factor_sizes": (3, 3)},
            r"1 factors need as many sizes.* \[3, 3\]",
        ),
        (binary(), {"factors": np.full((50, 1), 0), "factor_sizes": (-1,)}, r"need as many sizes.*, not \[-1\]"),
        (binary(), {"factors": np.zeros((50, 2), int), "factor_names": ("a",)}, "2 factors need as many .* names"),
        (binary(), {"factors": np.zeros((50, 2), int), "factor_names": ("a", "a")}, "different names"),
    ],
)
def test_parts_that_do_not_fit_are_refused(store: Any, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"odd: .*{sentence}"):
        Images(store, name="odd", **more)


def test_description_is_ready_for_json() -> None:
    told = json.loads(json.dumps(grid(source="made here", licence="CC0", citation="none").describe()))
    assert told == {
        "name": "grid",
        "images": 60,
        "shape": [1, 4, 4],
        "factor_names": ["shape", "x", "y"],
        "factor_sizes": [3, 4, 5],
        "source": "made here",
        "licence": "CC0",
        "citation": "none",
        "range": None,
    }


def test_fractions_are_checked_alike_in_settings_and_splits() -> None:
    rounded = (0.85, 0.075, 0.0749999)  # as a file may have them
    check(Data(name="x", split=rounded))
    assert [len(part) for part in grid().split(rounded)] == [51, 4, 5]
    for wrong in ((0.85, 0.07), (1.0,), (0.5, float("nan"))):
        for refuse in (grid().split, check_fractions):
            with pytest.raises(InputError, match="expected two or more positive fractions whose sum is 1"):
                refuse(wrong)
