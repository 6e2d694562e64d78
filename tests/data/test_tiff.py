import contextlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from equipoise.data import load_data
from equipoise.data.readers import folder, tiff
from equipoise.errors import InputError

FILES = Path(__file__).parent / "files" / "tiff"
RNG = np.random.default_rng(0)
PLANES = {"photometric": "rgb", "planarconfig": "separate"}

Array = npt.NDArray[Any]


def write(path: Path, array: Array, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **options)
    return path


def only(folder: Path, **settings: Any) -> Array:
    """The pixels [C, H, W] of the one image of a folder."""
    images = load_data(folder, **settings)
    assert len(images) == 1
    return images.pixels([0])[0]


def handed(name: str, folder: Path) -> Array:
    folder.mkdir()
    shutil.copy(FILES / f"{name}.tif", folder)
    return only(folder)


def test_files_as_people_have_them_give_their_pixels(tmp_path: Path) -> None:
    # Raw samples, cut from the files without a library for TIFF.
    raw = (FILES / "planar_le.tif").read_bytes()[-3 * 64 * 64 * 2 :]
    planar = np.frombuffer(raw, "<u2").reshape(3, 64, 64)
    expected = np.rint(planar / 257)
    assert np.array_equal(handed("planar_le", tmp_path / "a"), expected)
    assert np.array_equal(handed("contig_le", tmp_path / "b"), expected)
    raw = (FILES / "planar8.tif").read_bytes()[-3 * 64 * 64 :]
    assert np.array_equal(handed("planar8", tmp_path / "c"), np.frombuffer(raw, np.uint8).reshape(3, 64, 64))
    raw = (FILES / "default_tifffile_CYX_u8.tif").read_bytes()[-3 * 64 * 64 :]
    expected = np.frombuffer(raw, np.uint8).reshape(3, 64, 64)
    assert np.array_equal(handed("default_tifffile_CYX_u8", tmp_path / "d"), expected)
    raw = (FILES / "g16_minwhite.tif").read_bytes()[-64 * 64 * 2 :]
    assert np.array_equal(
        handed("g16_minwhite", tmp_path / "e")[0], 255 - np.rint(np.frombuffer(raw, "<u2").reshape(64, 64) / 257)
    )
    raw = (FILES / "g8_minwhite.tif").read_bytes()[-64 * 64 :]
    assert np.array_equal(handed("g8_minwhite", tmp_path / "f")[0], 255 - np.frombuffer(raw, np.uint8).reshape(64, 64))
    raw = (FILES / "g_f16.tif").read_bytes()[-64 * 64 * 2 :]
    values = np.frombuffer(raw, "<f2").reshape(64, 64).astype(np.float64)
    assert np.array_equal(handed("g_f16", tmp_path / "g")[0], np.rint(values * 255))


TYPES: dict[str, float] = {"uint8": 255, "uint16": 65535, "float16": 1, "float32": 1, "float64": 1}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_layout_type_and_byte_order_gives_its_pixels(kind: str, layout: str, order: str, tmp_path: Path) -> None:
    for channels in (1, 2, 3, 4, 5, 16):
        values = RNG.random((channels, 12, 16))
        samples = (
            (values * TYPES[kind]).astype(kind) if TYPES[kind] == 1 else np.rint(values * TYPES[kind]).astype(kind)
        )
        expected = np.rint(samples.astype(np.float64) * 255 / TYPES[kind])
        array = samples if layout == "separate" else np.moveaxis(samples, 0, 2)
        options: dict[str, Any] = {"planarconfig": layout} if channels > 1 else {}
        if channels == 1:
            array = samples[0]
        elif channels > 3:
            options["extrasamples"] = [0] * (channels - 1)
        photometric = "rgb" if channels == 3 else "minisblack"
        for compression in (None, "zlib"):
            for tile in (None, (16, 16)):
                for big in (False, True):
                    folder = tmp_path / f"{channels}-{compression}-{tile}-{big}"
                    write(
                        folder / "a.tif", array, byteorder=order, photometric=photometric, compression=compression,
                        tile=tile, bigtiff=big, **options,
                    )  # fmt: skip
                    assert np.array_equal(only(folder), expected)


def test_white_is_255_where_the_file_says_that_the_least_is_white(tmp_path: Path) -> None:
    for kind, top in TYPES.items():
        samples = (np.linspace(0, 1, 192).reshape(12, 16) * top).astype(kind)
        write(tmp_path / kind / "a.tif", samples, photometric="miniswhite")
        expected = 255 - np.rint(samples.astype(np.float64) * 255 / top)
        assert np.array_equal(only(tmp_path / kind)[0], expected)


def test_a_differenced_file_is_read(tmp_path: Path) -> None:
    samples = RNG.integers(0, 65536, (12, 16, 3), dtype=np.uint16)
    for order in "<>":
        write(tmp_path / order / "a.tif", samples, compression="zlib", predictor=2, byteorder=order)
        assert np.array_equal(only(tmp_path / order), np.rint(samples / 257).transpose(2, 0, 1))


def test_alpha_lays_the_picture_on_black(tmp_path: Path) -> None:
    for kind, top in (("uint8", 255), ("uint16", 65535)):
        samples = np.zeros((12, 16, 4), kind)
        samples[..., 0], samples[:6, :, 3] = top, top
        write(tmp_path / kind / "a.tif", samples, photometric="rgb", extrasamples=["unassalpha"])
        expected = np.zeros((3, 12, 16))
        expected[0, :6] = 255
        assert np.array_equal(only(tmp_path / kind), expected)
    grey = np.full((12, 16, 2), 200, np.uint8)
    grey[:6, :, 1] = 0
    write(
        tmp_path / "grey" / "a.tif", grey, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]
    )
    pixels = only(tmp_path / "grey")
    assert pixels.shape == (1, 12, 16)
    assert not pixels[0, :6].any()
    assert abs(int(pixels[0, 6, 0]) - round(200 * 200 / 255)) <= 1


def test_a_turned_file_is_upright(tmp_path: Path) -> None:
    stored = RNG.integers(0, 256, (12, 16), dtype=np.uint8)
    upright = {
        1: stored,
        2: np.fliplr(stored),
        3: np.rot90(stored, 2),
        4: np.flipud(stored),
        5: stored.T,
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).T,
        8: np.rot90(stored),
    }
    for orientation, expected in upright.items():
        folder = tmp_path / str(orientation)
        write(folder / "a.tif", stored, extratags=[(274, 3, 1, orientation, True)])
        assert np.array_equal(only(folder)[0], expected)


def test_channels_that_the_file_names_may_be_pages(tmp_path: Path) -> None:
    samples = RNG.integers(0, 65536, (4, 12, 16), dtype=np.uint16)
    for kind in ("imagej", "ome"):
        write(tmp_path / kind / "a.tif", samples, metadata={"axes": "CYX"}, photometric="minisblack", **{kind: True})
        assert np.array_equal(only(tmp_path / kind), np.rint(samples / 257))


STACKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "tifffile": ("", {"photometric": "minisblack"}, 1),
    "times": ("TYX", {"imagej": True}, 1),
    "times and channels": ("TCYX", {"imagej": True}, 3),
    "depths and channels": ("ZCYX", {"ome": True, "photometric": "minisblack"}, 3),
    "channels first": ("CZYX", {"ome": True, "photometric": "minisblack"}, 3),
}


@pytest.mark.parametrize("case", STACKS)
def test_pages_are_images_and_those_of_an_axis_c_channels(case: str, tmp_path: Path) -> None:
    axes, options, channels = STACKS[case]
    pictures = RNG.integers(0, 65536, (5, channels, 12, 16), dtype=np.uint16)
    samples = pictures.swapaxes(0, 1) if axes == "CZYX" else pictures if channels > 1 else pictures[:, 0]
    metadata = {"metadata": {"axes": axes}} if axes else {}
    write(tmp_path / "x" / "b.tif", samples, **options, **metadata)
    planes = {"photometric": "minisblack", "planarconfig": "separate"} if channels > 1 else {}
    write(tmp_path / "x" / "c.tif", pictures[0].squeeze(), **planes)
    expected = np.rint(np.concatenate([pictures, pictures[:1]]) / 257)
    names = [*(f"b.tif[{i}]" for i in range(5)), "c.tif"]
    (tmp_path / "t.csv").write_text("file,x\n" + "".join(f"{name},{i}\n" for i, name in reversed([*enumerate(names)])))
    for _ in range(2):  # decoded, and from the cache
        images = load_data(tmp_path / "x", factors=tmp_path / "t.csv")
        assert images.files == names
        assert np.array_equal(images.pixels(np.arange(6)), expected)
        assert images.factors is not None
        assert images.factors[:, 0].tolist() == list(range(6))
    assert np.array_equal(load_data(tmp_path / "x" / "b.tif").pixels(np.arange(5)), expected[:5])


def test_a_stack_is_read_from_any_page_on(tmp_path: Path) -> None:
    samples = RNG.integers(0, 256, (7, 12, 16), dtype=np.uint8)
    write(tmp_path / "a.tif", samples[:4], photometric="minisblack")
    write(tmp_path / "b.tif", samples[4])
    write(tmp_path / "c.tif", samples[5:], photometric="minisblack")
    source = folder.read(tmp_path)
    for first in range(8):
        blocks = list(source.blocks(first, 2))
        assert all(len(block) <= 2 for block in blocks)
        assert [picture().values[0].tolist() for block in blocks for picture in block] == samples[first:].tolist()


def test_damaged_pages_are_named_and_can_be_skipped(tmp_path: Path) -> None:
    samples = RNG.integers(0, 256, (4, 12, 16), dtype=np.uint8)
    path = write(tmp_path / "a.tif", samples, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[2].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = b"?" * 40
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif\[2\] cannot be read as an image .*data\.skip_damaged=true"):
        load_data(tmp_path)
    images = load_data(tmp_path, skip_damaged=True)
    assert images.files == ["a.tif[0]", "a.tif[1]", "a.tif[3]"]
    assert np.array_equal(images.pixels([0, 1, 2])[:, 0], samples[[0, 1, 3]])


def test_a_stack_that_announces_its_pages_in_one_is_refused(tmp_path: Path) -> None:
    samples = RNG.integers(0, 256, (5, 12, 16), dtype=np.uint8)
    write(tmp_path / "a" / "a.tif", samples, photometric="minisblack", truncate=True)
    with pytest.raises(InputError, match=r"a\.tif holds several pictures \(1 pages, axes QYX\); save each to a file"):
        load_data(tmp_path / "a")


def test_a_thumbnail_is_no_image(tmp_path: Path) -> None:
    samples = RNG.integers(0, 256, (12, 16), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(samples)
        file.write(samples[::2, ::2], subfiletype=1)
    assert np.array_equal(only(tmp_path)[0], samples)
    assert load_data(tmp_path).files == ["a.tif"]


WRONG: dict[str, tuple[Array, dict[str, Any], str]] = {
    "floats": (np.full((12, 16), 3, np.float32), {}, ": pixels from 3 to 3, expected 0..1; set data.range=LOW:HIGH"),
    "negative": (np.full((12, 16), -1, np.float64), {}, ": pixels from -1 to -1, expected 0..1"),
    "nan": (np.full((12, 16), np.nan, np.float16), {}, ": there is NaN or infinity among the pixels"),
    "int32": (
        np.ones((12, 16), np.int32),
        {},
        ": pixels of type int32 from 1 to 1, .*; set data.range=LOW:HIGH",
    ),
    "complex": (
        np.ones((12, 16), np.complex64),
        {},
        ": pixels of type complex64; expected whole numbers",
    ),
    "channels": (
        np.ones((17, 12, 16), np.uint8),
        {"planarconfig": "separate", "photometric": "minisblack"},
        " has 17 channels, and at most 16 are read; leave some out",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_read_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    array, options, sentence = WRONG[case]
    write(tmp_path / "a.tif", array, **options)
    with pytest.raises(InputError, match=rf"a\.tif{sentence}"):
        load_data(tmp_path)


def test_channels_are_cropped_and_resized_one_by_one(tmp_path: Path) -> None:
    samples = RNG.integers(0, 256, (5, 24, 32), dtype=np.uint8)
    write(tmp_path / "five" / "a.tif", samples, planarconfig="separate", photometric="minisblack")
    pixels = only(tmp_path / "five", crop=16, size=8)
    for plane, result in zip(samples, pixels, strict=True):
        expected = Image.fromarray(plane[4:20, 8:24]).resize((8, 8), Image.Resampling.LANCZOS)
        assert np.array_equal(result, np.asarray(expected))
    with pytest.raises(InputError, match=r"a\.tif has 5 channels, and data\.grey is for colour pictures"):
        load_data(tmp_path / "five", grey=True)
    Image.fromarray(samples[0]).save(tmp_path / "five" / "b.png")
    with pytest.raises(InputError, match=r"images of different channels, a\.tif 5 and b\.png 1; give all the same"):
        load_data(tmp_path / "five")


def test_kinds_that_pillow_reads_are_left_to_it(tmp_path: Path) -> None:
    grey = Image.fromarray(RNG.integers(0, 256, (12, 16), dtype=np.uint8))
    colour = Image.fromarray(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    deep = Image.fromarray(RNG.integers(0, 65536, (12, 16), dtype=np.uint16))
    several = {
        "lzw": (grey, {"compression": "tiff_lzw"}, np.asarray(grey)[None]),
        "colour": (colour, {"compression": "tiff_lzw"}, np.asarray(colour).transpose(2, 0, 1)),
        "deep": (deep, {"compression": "tiff_lzw"}, np.rint(np.asarray(deep) / 257)[None]),
        "palette": (grey.convert("P"), {}, np.asarray(grey.convert("P").convert("RGB")).transpose(2, 0, 1)),
        "bits": (grey.convert("1"), {"compression": "group4"}, np.asarray(grey.convert("1"))[None] * 255),
        "cmyk": (colour.convert("CMYK"), {}, np.asarray(colour.convert("CMYK").convert("RGB")).transpose(2, 0, 1)),
    }
    for name, (image, options, expected) in several.items():
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "a.tif", **options)
        assert np.array_equal(only(tmp_path / name), expected), name


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", RNG.integers(0, 65536, (3, 12, 16), dtype=np.uint16), **PLANES)
    whole = path.read_bytes()
    for length in (0, 4, 20, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.tif cannot be read as an image"):
            load_data(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged tags
def test_any_byte_may_be_wrong(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", RNG.integers(0, 65536, (3, 12, 16), dtype=np.uint16), compression="zlib", **PLANES)
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[RNG.integers(0, 400)] = RNG.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):  # and no other error
            load_data(tmp_path)


def test_an_open_file_that_pillow_misreads_is_refused() -> None:
    for name in ("planar_le", "g16_minwhite"):
        with (
            Image.open(FILES / f"{name}.tif") as image,
            pytest.raises(InputError, match="a kind of TIFF that Pillow misreads"),
        ):
            load_data([image])


def test_a_tiff_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    shutil.copy(FILES / "planar_le.tif", tmp_path / "a.png")
    assert tiff.is_tiff(tmp_path / "a.png")
    assert only(tmp_path).shape == (3, 64, 64)
