"""Images at another size: hand values of block means, Lanczos' filter elsewhere, and what a size leaves alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from equipoise.data import DATASETS, Images, load_data, store
from equipoise.data.resize import block_means
from equipoise.errors import InputError

DRAWN = [name for name, known in DATASETS.items() if known.draw is not None]


@pytest.fixture(autouse=True)
def _without_the_painting(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(drawn))
    monkeypatch.delenv("EQUIPOISE_SCREAM", raising=False)


def images(pixels: Any, **more: Any) -> Images:
    return Images(np.asarray(pixels, np.uint8), name="mine", **more)


# --- values computed by hand ------------------------------------------------------------------------------------------


def test_means_of_blocks_of_two_by_two() -> None:
    picture = [
        [0, 0, 0, 255, 255, 255],
        [0, 0, 0, 0, 0, 0],
        [255, 255, 255, 255, 1, 2],
        [255, 0, 255, 255, 3, 4],
    ]
    # 0; 255 / 4 = 63.75; 510 / 4 = 127.5, a half, which goes up; 765 / 4 = 191.25; 255; 10 / 4 = 2.5, a half
    assert block_means(np.array([[picture]], np.uint8), 2, 2).tolist() == [[[[0, 64, 128], [191, 255, 3]]]]


def test_means_of_blocks_of_other_sizes() -> None:
    rows = np.arange(24, dtype=np.uint8).reshape(1, 1, 4, 6)
    # 0..2 and 6..8: sum 24 of 6. 3..5 and 9..11: 42. Then 12 more each.
    assert block_means(rows, 2, 3).tolist() == [[[[4, 7], [16, 19]]]]
    assert block_means(np.full((1, 3, 64, 64), 255, np.uint8), 64, 64).tolist() == [[[[255]], [[255]], [[255]]]]
    assert block_means(rows, 1, 1).tolist() == rows.tolist()


def test_block_means_are_the_rounded_means_of_all_blocks() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 64, 48), dtype=np.uint8)
    mean = pixels.reshape(5, 3, 16, 4, 16, 3).mean(axis=(3, 5))
    assert np.array_equal(block_means(pixels, 4, 3), np.floor(mean + 0.5).astype(np.uint8))


def test_a_square_of_dsprites_at_32_pixels(dsprites: Images) -> None:
    small = load_data("dsprites", size=32)
    row = np.ravel_multi_index((0, 5, 0, 10, 20), dsprites.factor_sizes)
    whole, half = dsprites.pixels([row])[0, 0], small.pixels([row])[0, 0]
    assert small.shape == (1, 32, 32)
    for y, x in np.ndindex(32, 32):
        white = int((whole[2 * y : 2 * y + 2, 2 * x : 2 * x + 2] == 255).sum())
        assert half[y, x] == (0, 64, 128, 191, 255)[white]
    assert set(np.unique(half)) > {0, 255}


# --- every set that is drawn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 16])
@pytest.mark.parametrize("name", DRAWN)
def test_every_drawn_set_has_a_size(name: str, size: int) -> None:
    whole, small = load_data(name), load_data(name, size=size)
    rows = np.random.default_rng(1).integers(len(whole), size=20)
    step = 64 // size
    blocks = whole.pixels(rows).reshape(20, whole.shape[0], size, step, size, step).astype(np.float64)
    expected = np.floor(blocks.mean(axis=(3, 5)) + 0.5)
    assert small.shape == (whole.shape[0], size, size)
    assert np.array_equal(small.pixels(rows), expected)
    assert torch.equal(small.floats(rows), torch.from_numpy(expected).float() / 255)
    assert small.factor_names == whole.factor_names
    assert len(small) == len(whole)
    assert np.array_equal(small.factor(small.factor_names[-1]), whole.factor(whole.factor_names[-1]))
    assert small.digest() == f"{whole.digest()} {size}x{size}"
    assert small.describe()["shape"] == [whole.shape[0], size, size]
    assert small.describe()["source"] == f"{whole.source}, resized to {size} x {size}"


def test_a_published_set_has_a_size(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(cache))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 64, 64), dtype=np.uint8)
    folder = store.set_folder("cars3d")
    store.write(folder, images=6, shape=(3, 64, 64), blocks=lambda n: iter([pixels[n:]]), source="", name="a")
    small = load_data("cars3d", size=32)
    assert np.array_equal(small.pixels([5]), block_means(pixels[5:], 2, 2))
    assert small.digest() == f"{load_data('cars3d').digest()} 32x32"


@pytest.mark.parametrize("size", [48, 128])
def test_other_sizes_are_resized_as_own_images_are(size: int, dsprites: Images) -> None:
    rows = [0, 400_000, 737_279]
    got = load_data("dsprites", size=size).pixels(rows)
    for picture, whole in zip(got, dsprites.pixels(rows), strict=True):
        expected = Image.fromarray(whole[0]).resize((size, size), Image.Resampling.LANCZOS)
        assert np.array_equal(picture[0], np.asarray(expected))


def test_the_size_that_images_have_changes_nothing() -> None:
    mine = images(np.zeros((2, 1, 8, 8)))
    assert load_data(mine, size=8) is mine
    assert load_data("dsprites", size=64).digest() == load_data("dsprites").digest()


def test_a_size_of_fewer_than_eight_pixels_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.size=4 is too small"):
        load_data("dsprites", size=4)


# --- parts, digests ---------------------------------------------------------------------------------------------------


def test_parts_of_resized_images_are_resized_parts() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 16, 24), dtype=np.uint8)
    mine = images(pixels, factors=np.arange(10)[:, None])
    for part in (mine.resize(8).subset([7, 2]), mine.subset([7, 2]).resize(8)):
        assert part.shape == (3, 8, 8)
        assert np.array_equal(part.pixels([0, 1]), block_means(pixels[[7, 2]], 2, 3))
        assert part.factors is not None
        assert part.factors[:, 0].tolist() == [7, 2]
    assert mine.resize(8).subset([7, 2]).digest() == mine.subset([7, 2]).resize(8).digest()
    assert mine.shape == (3, 16, 24)


def test_large_batches_are_resized_like_small_ones() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 1, 16, 16), dtype=np.uint8)
    assert np.array_equal(images(pixels).resize(8).pixels(np.arange(100)), block_means(pixels, 2, 2))


def test_digests_tell_sizes_apart() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 64, 64), dtype=np.uint8)
    for digest in (None, "known-1"):
        mine = images(pixels, digest=digest)
        parts = [mine, mine.resize(32), mine.resize(16), mine.subset([0]), mine.subset([0]).resize(32)]
        assert len({part.digest() for part in parts}) == 5
