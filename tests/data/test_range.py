"""`data.range`, values of more than eight bits, and the warning that few levels are used."""

import io
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from equipoise.config import resolve
from equipoise.data import intensity, load_data
from equipoise.data import scale as scaling
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
CAMERA = RNG.integers(0, 4096, (6, 12, 16), dtype=np.uint16)  # 12 bits in files of 16
COUNTS = RNG.integers(100, 356, (6, 12, 16), dtype=np.uint16)
COUNTS[0, 0, :2] = 100, 355
ALL = np.arange(6)


def folder(path: Path, pictures: npt.NDArray[Any], kind: str) -> Path:
    path.mkdir()
    for i, picture in enumerate(pictures):
        if kind == "tif":
            tifffile.imwrite(path / f"{i}.tif", picture)
        else:
            Image.fromarray(picture).save(path / f"{i}.{kind}")
    return path


def sources(path: Path, pictures: npt.NDArray[Any]) -> dict[str, Any]:
    """The same pictures in files and in memory."""
    np.save(path / "a.npy", pictures)
    np.savez(path / "a.npz", images=pictures)
    files = {kind: folder(path / kind, pictures, kind) for kind in ("png", "tif")}
    return files | {"npy": path / "a.npy", "npz": path / "a.npz", "array": pictures, "list": list(pictures)}


def test_sixteen_bits_are_kept_until_the_range_is_applied(tmp_path: Path) -> None:
    expected = np.rint(CAMERA / 4095 * 255)
    for name, source in sources(tmp_path, CAMERA).items():
        images = load_data(source, range="0:4095")
        assert np.array_equal(images.pixels(ALL)[:, 0], expected), name
        assert images.limits == (0, 4095), name


def test_values_outside_of_the_range_are_clipped() -> None:
    images = load_data(CAMERA, range=(1000, 2000))
    assert np.array_equal(images.pixels(ALL)[:, 0], np.rint((CAMERA.clip(1000, 2000) - 1000.0) * 255 / 1000))


def test_the_least_and_the_largest_value_are_those_of_all_images(tmp_path: Path) -> None:
    for name, source in sources(tmp_path, COUNTS).items():
        for _ in range(2):  # decoded, and from the cache
            images = load_data(source, range="0%:100%")
            assert images.limits == (100, 355), name
            assert np.array_equal(images.pixels(ALL)[:, 0], COUNTS - 100), name


def test_percentiles_are_taken_once_for_the_set() -> None:
    images = load_data(COUNTS, range="1%:99%")
    assert images.limits == tuple(np.percentile(COUNTS, [1, 99]))
    assert images.subset([0]).limits == images.limits


@pytest.mark.parametrize("kind", ["int16", "int32", "int64", "uint32", "uint64", "float16", "float32", "float64"])
def test_every_type_of_number_can_be_given_a_range(kind: str, tmp_path: Path) -> None:
    values = (COUNTS - 100).astype(kind)
    np.save(tmp_path / "a.npy", values)
    for source in (values, tmp_path / "a.npy", list(values)):
        assert np.array_equal(load_data(source, range="0:255").pixels(ALL)[:, 0], COUNTS - 100)
        with pytest.raises(InputError, match=r"set data\.range=LOW:HIGH"):
            load_data(source)


def test_negative_values_can_be_black() -> None:
    values = RNG.normal(size=(4, 8, 8))
    pixels = load_data(values, range="-3:3").pixels(range(4))[:, 0]
    assert np.array_equal(pixels, np.rint((values.clip(-3, 3) + 3) * 255 / 6))


def test_bytes_can_be_stretched() -> None:
    dark = RNG.integers(0, 51, (4, 8, 8), dtype=np.uint8)
    assert np.array_equal(load_data(dark, range="0:50").pixels(range(4))[:, 0], np.rint(dark * 255.0 / 50))
    masks = (dark > 9).astype(np.uint8)
    assert np.array_equal(load_data(masks, range="0:1").pixels(range(4))[:, 0], masks * 255)


def test_masks_of_0_and_1_in_files_are_refused_as_in_arrays(tmp_path: Path) -> None:
    masks = folder(tmp_path / "png", (CAMERA > 2000).astype(np.uint8), "png")
    for _ in range(2):
        with pytest.raises(InputError, match=r"these are 0 and 1; give them as bool, or set data\.range=0:1"):
            load_data(masks)
    assert set(np.unique(load_data(masks, range="0:1").pixels(ALL))) == {0, 255}


def test_few_levels_are_reported_with_the_range_to_set(tmp_path: Path) -> None:
    for name, source in sources(tmp_path, COUNTS).items():
        for _ in range(2):
            with pytest.warns(UserWarning, match=r"uses only the levels 0 to 1 of 0\.\.255.*set data\.range=100:355"):
                load_data(source)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load_data(source, range="100:355")
        assert name
    with pytest.warns(UserWarning, match=r"uses only the levels 0 to 16 of"):
        load_data(np.minimum(CAMERA, 4095))
    with pytest.warns(UserWarning, match=r"uses only the levels 7 to 12 of"):
        load_data(RNG.integers(7, 13, (900, 8, 8), dtype=np.uint8))


WRONG = ["", "5", "5:", ":5", "a:b", "5:5", "9:5", "0:nan", "0:inf", "0%:5", "-1%:50%", "0%:101%", "1:2:3", "0 5"]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_range_is_refused_before_any_work(text: str) -> None:
    with pytest.raises(InputError, match=r"data\.range is .*; expected LOW:HIGH"):
        load_data(CAMERA, range=text)
    with pytest.raises(InputError, match=r"data\.range is .*; expected LOW:HIGH"):
        resolve({"data": "x", "data.range": text})


def test_percentiles_that_are_equal_are_refused() -> None:
    with pytest.raises(InputError, match=r"both percentiles of data\.range are 7; set percentiles"):
        load_data(np.full((2, 8, 8), 7, np.uint8), range="1%:99%")


def test_a_range_is_for_images_of_your_own() -> None:
    with pytest.raises(InputError, match=r"data\.range: only for images of your own"):
        load_data("dsprites", range="0:1")
    assert intensity.parse("0.5 % : 99.5%") == (0.5, 99.5, True)


# --- png of 16 bits in colour, of which Pillow keeps the upper 8 ----------------------------------------------------


def png(samples: npt.NDArray[np.uint16], interlace: bool = False) -> bytes:
    """A PNG of 16 bits, [H, W, C], written without a library."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = [(0, 0, 1, 1)]
    if interlace:  # Adam7
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, across in passes:
        for row in samples[top::down, left::across].astype(">u2"):
            rows += b"\0" + row.tobytes() if row.size else b""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, int(interlace))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_16_bits_keeps_them(channels: int, interlace: bool, tmp_path: Path) -> None:
    samples = RNG.integers(0, 65536, (12, 16, channels), dtype=np.uint16)
    colours = samples if channels in (1, 3) else samples[..., :-1]
    alpha = samples[..., -1:] / 65535 if channels in (2, 4) else 1
    (tmp_path / "a.png").write_bytes(png(samples, interlace))
    expected = np.rint(np.rint(colours / 257) * alpha).transpose(2, 0, 1)
    assert np.array_equal(load_data(tmp_path).pixels([0])[0], expected)
    expected = np.rint(np.rint((colours.clip(300, 400) - 300.0) * 2.55) * alpha).transpose(2, 0, 1)
    assert np.array_equal(load_data(tmp_path, range="300:400").pixels([0])[0], expected)
    assert Image.open(io.BytesIO(png(samples))).size == (16, 12)


# --- percentiles ----------------------------------------------------------------------------------------------------


class Large:
    """Forty pictures of 2 MB, each made when it is read."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, number: int) -> npt.NDArray[np.float64]:
        if number >= 40:
            raise IndexError
        return np.linspace(0, number + 1, 512 * 512).reshape(512, 512)


def test_the_sample_of_percentiles_keeps_no_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_SAMPLE", 4000)
    tracemalloc.start()
    try:
        images = load_data(Large(), range="0%:100%", size=8)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert images.limits == (0, 40)
    assert peak < 40 << 20  # all pictures have 80 MB


def test_damaged_pictures_have_no_percentiles(tmp_path: Path) -> None:
    pictures = folder(tmp_path / "png", COUNTS, "png")
    content = (pictures / "3.png").read_bytes()
    (pictures / "3.png").write_bytes(content[: len(content) // 2])
    images = load_data(pictures, range="0%:100%", skip_damaged=True)
    assert images.limits == (100, 355)
    assert len(images) == 5


@pytest.mark.parametrize("value", [255, 0.5, ()])
def test_one_number_is_no_range(value: Any) -> None:
    with pytest.raises(InputError, match=r"data\.range is '.*'; expected LOW:HIGH"):
        load_data(CAMERA, range=value)
