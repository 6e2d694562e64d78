import csv
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from equipoise.data import Images, load_data
from equipoise.data.sets.dsprites import FACTOR_NAMES, FACTOR_SIZES, block

GOLDEN = Path(__file__).parents[1] / "golden" / "dsprites"
FILE = "dsprites-64x64-bits.npy"


def rows(name: str) -> list[dict[str, str]]:
    with open(GOLDEN / name, newline="") as file:
        return list(csv.DictReader(file))


def index(codes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.ravel_multi_index(tuple(np.asarray(codes).T), FACTOR_SIZES)


def white(images: Images) -> npt.NDArray[np.int64]:
    """White pixels of every image, [3, 6, 40 * 32 * 32]."""
    counts = [
        np.bitwise_count(images._pixels.array[first : first + 40_960].view(np.uint64)).sum(axis=1, dtype=np.int64)
        for first in range(0, len(images), 40_960)
    ]
    return np.stack(counts).reshape(3, 6, -1)


def test_all_published_samples_equal_the_drawing_bit_for_bit(dsprites: Images) -> None:
    with np.load(GOLDEN / "samples.npz") as samples:
        published, factors = samples["imgs"], samples["factors"]
    assert published.shape == (461, 64, 64)
    at = index(factors)
    assert np.array_equal(dsprites.pixels(at)[:, 0], published * 255)
    assert dsprites.factors is not None
    assert np.array_equal(dsprites.factors[at], factors)


def test_published_images_have_their_index_place_count_and_checksum(dsprites: Images) -> None:
    for row in rows("images.csv"):
        at = int(row["index"])
        assert at == index([int(row[name]) for name in FACTOR_NAMES])
        image = dsprites.pixels([at])[0, 0]
        y, x = np.nonzero(image)
        assert len(x) == int(row["white"]), row
        assert (f"{x.mean():.3f}", f"{y.mean():.3f}") == (row["x_mean"], row["y_mean"])
        assert [x.min(), x.max()] == [int(row["first_column"]), int(row["last_column"])]
        assert [y.min(), y.max()] == [int(row["first_row"]), int(row["last_row"])]
        assert not row["crc32"] or f"{zlib.crc32(np.packbits(image > 0)):08x}" == row["crc32"], row


def test_the_set_has_the_known_number_of_white_pixels(dsprites: Images) -> None:
    counts = white(dsprites)
    assert counts.sum() == 128_328_864  # the mean pixel published by others says 128,328,862
    assert counts.sum(axis=(1, 2)).tolist() == [53_612_886, 42_070_950, 32_645_028]
    for row in rows("white_pixels.csv"):
        of = counts[int(row["shape"]), int(row["scale"])]
        assert [of.min(), of.max(), of.sum()] == [int(row["least"]), int(row["most"]), int(row["sum"])], row


def test_upright_heart_looks_like_a_heart(dsprites: Images) -> None:
    image = dsprites.pixels([696_320])[0, 0]
    picture = ["".join(".#"[pixel // 255] for pixel in line) for line in image[7:24, 6:26]]
    assert picture == (GOLDEN / "heart.txt").read_text().split()
    assert np.count_nonzero(image) == 222


def test_first_and_last_orientation_are_the_same_angle() -> None:
    for shape, scale in np.ndindex(FACTOR_SIZES[:2]):
        assert np.array_equal(block(shape, scale, 0), block(shape, scale, 39))
        assert not np.array_equal(block(shape, scale, 0), block(shape, scale, 1))


def test_factors_are_the_full_grid_with_pos_y_fastest(dsprites: Images) -> None:
    assert (len(dsprites), dsprites.shape) == (737_280, (1, 64, 64))
    assert dsprites.factor_names == FACTOR_NAMES
    assert dsprites.factor_sizes == FACTOR_SIZES
    assert dsprites.factors is not None
    assert dsprites.factors.dtype == np.int64
    assert np.array_equal(index(dsprites.factors), np.arange(737_280))
    assert dsprites.factors[33].tolist() == [0, 0, 0, 1, 1]


def test_images_are_mapped_from_one_file_that_nobody_can_write_through(
    drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(drawn))
    before = (drawn / FILE).stat()
    first, second = load_data("dsprites"), load_data("dsprites")
    after = (drawn / FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in drawn.glob("dsprites*")] == [FILE]
    for images in (first, second):
        assert isinstance(images._pixels.array.base, np.memmap)
        assert not images._pixels.array.flags.writeable


def damage(path: Path, how: str) -> None:
    header = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(737_280, 512))  # sparse: black images
    del header
    if how == "truncated":
        with open(path, "r+b") as file:
            file.truncate(1_000_000)
    elif how == "text":
        path.write_text("not an array")


@pytest.mark.parametrize("how", ["truncated", "black", "text"])
def test_damaged_file_in_the_cache_is_drawn_again(how: str, cache: Path, dsprites: Images) -> None:
    cache.mkdir()
    damage(cache / FILE, how)
    images = load_data("dsprites")
    assert np.array_equal(white(images), white(dsprites))
    assert [path.name for path in cache.iterdir()] == [FILE]
    (cache / FILE).unlink()


def test_two_who_draw_at_once_both_get_whole_images(cache: Path, dsprites: Images) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load_data, ["dsprites"] * 2)
    for images in (first, second):
        assert np.array_equal(white(images), white(dsprites))
    assert [path.name for path in cache.iterdir()] == [FILE]
    (cache / FILE).unlink()


def test_without_a_place_to_write_the_images_live_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsprites: Images
) -> None:
    (tmp_path / "file").write_text("a file where a folder is needed")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "file" / "cache"))
    images = load_data("dsprites")
    assert images._pixels.array.base is None
    assert np.array_equal(white(images), white(dsprites))


def test_description_tells_licence_and_citation(dsprites: Images) -> None:
    told = dsprites.describe()
    assert told["name"] == "dsprites"
    assert told["images"] == 737_280
    assert told["licence"] == "Apache-2.0"
    assert "Matthey" in told["citation"]
    assert "2017" in told["citation"]
