# ruff: noqa: E501 - a kind a line
"""What each kind of file, array and table gives: the tables in docs/kinds.md are those of this module.

"Read" means that every pixel or value equals what was written, by the rule of its row. Everything else is refused with
one sentence; nothing is left out without a word.
"""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from equipoise.data import factor_table, load_data
from equipoise.errors import InputError

Array = npt.NDArray[Any]
PAGE = Path(__file__).parents[2] / "docs" / "kinds.md"

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 16), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
RGBA = np.dstack([COLOUR, np.where(GREY > 99, 255, 0).astype(np.uint8)])
DEEP = RNG.integers(0, 65536, (12, 16), dtype=np.uint16)
DEEP_COLOUR = RNG.integers(0, 65536, (12, 16, 3), dtype=np.uint16)
FEW = (COLOUR // 128 * 255).astype(np.uint8)
ON_BLACK = COLOUR * (RGBA[..., 3:] > 0)


def pillow(array: Array, kind: str, mode: str | None = None, **options: Any) -> bytes:
    image = Image.fromarray(array)
    image = image if mode is None else image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def tiff(array: Array, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def pnm(magic: str, array: Array, top: int) -> bytes:
    head = f"{magic}\n{array.shape[1]} {array.shape[0]}\n{top}\n".encode()
    return head + array.astype(">u2" if top > 255 else "u1").tobytes()


def first(array: Array) -> Array:
    return np.moveaxis(array, 2, 0)


def eight(array: Array) -> Array:
    return np.rint(array / 257)


SEPARATE = {"photometric": "rgb", "planarconfig": "separate"}
CHANNELS = {"photometric": "minisblack", "planarconfig": "separate"}
WHITE = {"photometric": "miniswhite"}

# The suffix, the bytes, and the pixels [C, H, W] (of each image: a list), or a pattern of the message.
IMAGES: dict[str, tuple[str, Callable[[], bytes], Any]] = {
    "png, grey, 8 bits": ("png", lambda: pillow(GREY, "png"), GREY[None]),
    "png, grey, 1 bit": ("png", lambda: pillow(GREY > 99, "png"), (GREY > 99)[None] * 255),
    "png, grey, 16 bits": ("png", lambda: pillow(DEEP, "png"), eight(DEEP)[None]),
    "png, grey and alpha": ("png", lambda: pillow(np.dstack([GREY, RGBA[..., 3]]), "png"), (GREY * (GREY > 99))[None]),
    "png, colour": ("png", lambda: pillow(COLOUR, "png"), first(COLOUR)),
    "png, colour and alpha": ("png", lambda: pillow(RGBA, "png"), first(ON_BLACK)),
    "png, palette": ("png", lambda: palette("png"), first(FEW)),
    "png, palette with transparency": ("png", lambda: palette("png", transparency=0), "no pixels are compared"),
    "jpeg, grey": ("jpg", lambda: pillow(np.full((12, 16), 77, np.uint8), "jpeg"), np.full((1, 12, 16), 77)),
    "jpeg, colour": ("jpeg", lambda: pillow(np.full((12, 16, 3), 77, np.uint8), "jpeg"), np.full((3, 12, 16), 77)),
    "jpeg, CMYK": ("jpg", lambda: pillow(np.full((12, 16, 3), 255, np.uint8), "jpeg", "CMYK"), np.full((3, 12, 16), 255)),
    "bmp, grey": ("bmp", lambda: pillow(GREY, "bmp"), GREY[None]),
    "bmp, colour": ("bmp", lambda: pillow(COLOUR, "bmp"), first(COLOUR)),
    "gif": ("gif", lambda: pillow(GREY, "gif"), np.stack([GREY] * 3)),
    "gif, several frames": ("gif", lambda: frames("gif"), "holds several pictures"),
    "webp, lossless": ("webp", lambda: pillow(COLOUR, "webp", lossless=True), first(COLOUR)),
    "webp, several frames": ("webp", lambda: frames("webp"), "holds several pictures"),
    "png, several frames": ("png", lambda: frames("png"), "holds several pictures"),
    "pgm, 8 bits": ("pgm", lambda: pnm("P5", GREY, 255), GREY[None]),
    "pgm, 16 bits": ("pgm", lambda: pnm("P5", DEEP, 65535), eight(DEEP)[None]),
    "ppm, 8 bits": ("ppm", lambda: pnm("P6", COLOUR, 255), first(COLOUR)),
    "ppm, 16 bits": ("ppm", lambda: pnm("P6", DEEP_COLOUR, 65535), first(eight(DEEP_COLOUR))),
    "pbm": ("pbm", lambda: pillow(GREY > 99, "ppm"), (GREY > 99)[None] * 255),
    "tif, grey, 8 bits": ("tif", lambda: tiff(GREY), GREY[None]),
    "tif, grey, 16 bits": ("tif", lambda: tiff(DEEP), eight(DEEP)[None]),
    "tif, grey, 16 bits, big-endian": ("tif", lambda: tiff(DEEP, byteorder=">"), eight(DEEP)[None]),
    "tif, grey, 8 bits, min is white": ("tif", lambda: tiff(GREY, **WHITE), 255 - GREY[None]),
    "tif, grey, 16 bits, min is white": ("tif", lambda: tiff(DEEP, **WHITE), 255 - eight(DEEP)[None]),
    "tif, grey, floats of 16 bits": ("tif", lambda: tiff((GREY / 255).astype("f2")), np.rint((GREY / 255).astype("f2").astype(float) * 255)[None]),
    "tif, grey, floats of 32 bits": ("tif", lambda: tiff((GREY / 255).astype("f4")), GREY[None]),
    "tif, grey, floats of 64 bits": ("tif", lambda: tiff(GREY / 255), GREY[None]),
    "tif, floats beyond 1": ("tif", lambda: tiff(GREY.astype("f4")), r"pixels from .*, expected 0\.\.1; set data\.range"),
    "tif, NaN": ("tif", lambda: tiff(np.full((12, 16), np.nan, "f4")), "NaN or infinity"),
    "tif, signed 16 bits": ("tif", lambda: tiff(DEEP.astype("i2")), r"pixels of type int16 .*set data\.range"),
    "tif, 32 bits": ("tif", lambda: tiff(DEEP.astype("u4")), r"pixels of type uint32 .*set data\.range"),
    "tif, complex": ("tif", lambda: tiff(GREY.astype("c8")), "pixels of type complex64"),
    "tif, 1 bit": ("tif", lambda: pillow(GREY > 99, "tiff", compression="group4"), (GREY > 99)[None] * 255),
    "tif, colour, 8 bits": ("tif", lambda: tiff(COLOUR, photometric="rgb"), first(COLOUR)),
    "tif, colour, 8 bits, planes": ("tif", lambda: tiff(first(COLOUR), **SEPARATE), first(COLOUR)),
    "tif, colour, 16 bits": ("tif", lambda: tiff(DEEP_COLOUR, photometric="rgb"), first(eight(DEEP_COLOUR))),
    "tif, colour, 16 bits, planes": ("tif", lambda: tiff(first(DEEP_COLOUR), **SEPARATE), first(eight(DEEP_COLOUR))),
    "tif, colour and alpha": ("tif", lambda: tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"]), first(ON_BLACK)),
    "tif, palette": ("tif", lambda: palette("tiff"), first(FEW)),
    "tif, CMYK": ("tif", lambda: pillow(FEW, "tiff", "CMYK"), first(FEW)),
    "tif, zlib": ("tif", lambda: tiff(DEEP, compression="zlib"), eight(DEEP)[None]),
    "tif, zlib and predictor": ("tif", lambda: tiff(DEEP, compression="zlib", predictor=2), eight(DEEP)[None]),
    "tif, LZW": ("tif", lambda: pillow(GREY, "tiff", compression="tiff_lzw"), GREY[None]),
    "tif, PackBits": ("tif", lambda: pillow(GREY, "tiff", compression="packbits"), GREY[None]),
    "tif, tiles": ("tif", lambda: tiff(GREY, tile=(16, 16)), GREY[None]),
    "tif, BigTIFF": ("tif", lambda: tiff(GREY, bigtiff=True), GREY[None]),
    "tif, 2 channels": ("tif", lambda: tiff(np.stack([GREY, 255 - GREY]), **CHANNELS), np.stack([GREY, 255 - GREY])),
    "tif, 5 channels": ("tif", lambda: tiff(np.stack([GREY] * 5), **CHANNELS), np.stack([GREY] * 5)),
    "tif, 17 channels": ("tif", lambda: tiff(np.stack([GREY] * 17), **CHANNELS), "has 17 channels, and at most 16"),
    "tif, 3 pages": ("tif", lambda: tiff(np.stack([GREY, 255 - GREY, GREY]), photometric="minisblack"), [GREY[None], 255 - GREY[None], GREY[None]]),
    "tif, ImageJ, 2 times of 3 channels": ("tif", lambda: tiff(np.stack([[DEEP] * 3] * 2), imagej=True, metadata={"axes": "TCYX"}), [np.stack([eight(DEEP)] * 3)] * 2),
    "tif, OME, 2 channels of 3 depths": ("tif", lambda: tiff(np.stack([[DEEP] * 3, [DEEP] * 3]), ome=True, photometric="minisblack", metadata={"axes": "CZYX"}), [np.stack([eight(DEEP)] * 2)] * 3),
    "tif, pages announced by one": ("tif", lambda: tiff(np.stack([GREY] * 3), photometric="minisblack", truncate=True), "holds several pictures"),
    "an empty file": ("png", lambda: b"", "cannot be read as an image"),
    "text named png": ("png", lambda: b"hello", "cannot be read as an image"),
    "half a png": ("png", lambda: pillow(COLOUR, "png")[:200], "cannot be read as an image"),
    "a png named jpg": ("jpg", lambda: pillow(GREY, "png"), GREY[None]),
    "a tif named png": ("png", lambda: tiff(DEEP), eight(DEEP)[None]),
    "heic": ("heic", lambda: b"?", r"here are 1 \.heic; convert them to png"),
    "avif": ("avif", lambda: b"?", r"here are 1 \.avif"),
    "jpeg 2000": ("jp2", lambda: b"?", r"here are 1 \.jp2"),
    "dicom": ("dcm", lambda: b"?", r"here are 1 \.dcm"),
    "svg": ("svg", lambda: b"<svg/>", r"here are 1 \.svg"),
    "psd": ("psd", lambda: b"?", r"here are 1 \.psd"),
    "exr": ("exr", lambda: b"?", r"here are 1 \.exr"),
    "raw (nef, cr2, dng)": ("nef", lambda: b"?", r"here are 1 \.nef"),
    "tga": ("tga", lambda: pillow(GREY, "tga"), r"here are 1 \.tga"),
    "a file without a suffix": ("", lambda: pillow(GREY, "png"), "here are 1 without a suffix"),
}  # fmt: skip


def palette(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(FEW).convert("P", palette=Image.Palette.ADAPTIVE).save(stream, kind, **options)
    return stream.getvalue()


def frames(kind: str) -> bytes:
    stream = io.BytesIO()
    second = Image.fromarray(255 - COLOUR)
    Image.fromarray(COLOUR).save(stream, kind, save_all=True, append_images=[second])
    return stream.getvalue()


@pytest.mark.parametrize("case", IMAGES)
def test_each_kind_of_image_file_is_read_right_or_refused(case: str, tmp_path: Path) -> None:
    suffix, content, expected = IMAGES[case]
    path = tmp_path / (f"a.{suffix}" if suffix else "a")
    path.write_bytes(content())
    if case == "png, palette with transparency":
        image = Image.open(path).convert("RGBA")
        expected = first(np.asarray(image)[..., :3] * (np.asarray(image)[..., 3:] > 0))
        image.close()
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            load_data(tmp_path)
        return
    images = load_data(tmp_path)
    expected = np.stack(expected) if isinstance(expected, list) else np.asarray(expected)[None]
    assert np.array_equal(images.pixels(np.arange(len(images))), expected)


# --- arrays -----------------------------------------------------------------------------------------------------------

STACK = RNG.integers(0, 256, (6, 12, 20), dtype=np.uint8)
WIDE = RNG.integers(0, 256, (6, 20, 24), dtype=np.uint8)
ARRAYS: dict[str, tuple[Any, Any]] = {
    "uint8 [N, H, W]": (STACK, STACK[:, None]),
    "uint8 [N, 1, H, W]": (STACK[:, None], STACK[:, None]),
    "uint8 [N, H, W, 1]": (STACK[..., None], STACK[:, None]),
    "bool": (STACK > 99, (STACK > 99)[:, None] * 255),
    "uint16": (STACK.astype("u2") * 257, STACK[:, None]),
    "uint16, big-endian": ((STACK.astype("u2") * 257).astype(">u2"), STACK[:, None]),
    "float16 0..1": ((STACK / 255).astype("f2"), np.rint((STACK / 255).astype("f2").astype(float) * 255)[:, None]),
    "float32 0..1": ((STACK / 255).astype("f4"), STACK[:, None]),
    "float64 0..1": (STACK / 255, STACK[:, None]),
    "float64, Fortran order": (np.asfortranarray(STACK / 255), STACK[:, None]),
    "float32 0..255": (STACK.astype("f4"), r"expected 0\.\.1; set data\.range"),
    "float32 -1..1": ((STACK / 127.5 - 1).astype("f4"), r"expected 0\.\.1; set data\.range"),
    "NaN": (np.where(STACK > 9, STACK / 255, np.nan), "NaN or infinity"),
    "infinity": (np.where(STACK > 9, STACK / 255, np.inf), "NaN or infinity"),
    "uint8 of 0 and 1": (STACK % 2, "these are 0 and 1; give them as bool"),
    "int8": ((STACK // 2).astype("i1"), r"pixels of type int8 .*set data\.range"),
    "int16": (STACK.astype("i2"), r"pixels of type int16 .*set data\.range"),
    "int32": (STACK.astype("i4"), r"pixels of type int32 .*set data\.range"),
    "int64": (STACK.astype("i8"), r"pixels of type int64 .*set data\.range"),
    "uint32": (STACK.astype("u4"), r"pixels of type uint32 .*set data\.range"),
    "uint64": (STACK.astype("u8"), r"pixels of type uint64 .*set data\.range"),
    "complex": (STACK.astype("c8"), "pixels of type complex64"),
    "text": (STACK.astype("U3"), "pixels of type <U3"),
    "objects": (STACK.astype(object), "Python objects|type object"),
    "dates": (STACK.astype("M8[s]"), "pixels of type datetime64"),
    "records": (np.zeros((6, 12, 20), "u1,u1"), "an array with the fields f0, f1"),
    "no images": (STACK[:0], "has no images|is empty"),
    "no pixels": (STACK[:, :0], "has no images|is empty"),
    "one number": (np.array(3, np.uint8), r"not \[\]; reshape"),
    "[H, W]": (STACK[0], r"not \[12, 20\]; reshape"),
    "[H, W, 3]": (COLOUR, "may be one colour image or many grey ones"),
    "five axes": (STACK[None, None], "reshape it"),
    "17 channels": (np.zeros((2, 20, 20, 17), "u1"), "leave channels out"),
    "sides that are channels": (np.zeros((2, 8, 8, 8), "u1"), "the second axis or the last"),
    "3 at both ends": (np.zeros((2, 3, 8, 3), "u1"), "the second axis or the last"),
    "all black": (np.zeros((2, 8, 8), "u1"), np.zeros((2, 1, 8, 8))),
    "a view with steps": (STACK[::2, ::-1], STACK[::2, None, ::-1]),
    **{
        f"{c} channels, {where}": (
            np.moveaxis(np.stack([WIDE] * c, 1), 1, 1 if where == "first" else 3),
            np.stack([WIDE] * c, 1),
        )
        for c in (2, 3, 4, 5, 7, 10, 16)
        for where in ("first", "last")
    },
}


@pytest.mark.parametrize("case", ARRAYS)
def test_each_kind_of_array_is_read_right_or_refused(case: str, tmp_path: Path) -> None:
    array, expected = ARRAYS[case]
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", images=array)
    for source in (array, tmp_path / "a.npy", tmp_path / "a.npz"):
        if isinstance(expected, str):
            with pytest.raises(InputError, match=expected):
                load_data(source)
        else:
            images = load_data(source)
            assert np.array_equal(images.pixels(np.arange(len(images))), expected)


# --- tables -----------------------------------------------------------------------------------------------------------

# The cells of one column, and the factor of each image, or a pattern of the message; "left out: why" where it is named.
TABLES: dict[str, tuple[list[str], Any]] = {
    "whole numbers": (["10", "9", "10", "9"], [1, 0, 1, 0]),
    "whole numbers, all different": (["3", "1", "2", "0"], [3, 1, 2, 0]),
    "negative numbers": (["-5", "5", "-5", "0"], [0, 2, 0, 1]),
    "numbers with a decimal point": (["2.5", "0.5", "10.5", "1"], [2.5, 0.5, 10.5, 1]),
    "numbers that repeat": (["2.5", "0.5", "2.5", "0.5"], [1, 0, 1, 0]),
    "numbers with a decimal comma": (['"2,5"', '"0,5"', '"10,5"', "1"], [2.5, 0.5, 10.5, 1]),
    "exponents": (["1e3", "2e-3", "5E1", "7"], [1000, 0.002, 50, 7]),
    "a typographic minus": (["−2", "10", "−30", "0"], [1, 3, 0, 2]),
    "percent": (["5%", "10%", "100%", "5%"], [0, 1, 2, 0]),
    "percent with decimals": (["5.5%", "10%", "99.5%", "1%"], [5.5, 10, 99.5, 1]),
    "a unit": (["5 cm", "10 cm", "100 cm", "7 cm"], [0, 2, 3, 1]),
    "a degree sign": (["5°", "10°", "100°", "7°"], [0, 2, 3, 1]),
    "a currency": (["$5", "$12.50", "$30", "$7"], [5, 12.5, 30, 7]),
    "words": (["star", "disc", "star", "heart"], [2, 0, 2, 1]),
    "words with numbers": (["step10", "step2", "step9", "step2"], [2, 0, 1, 0]),
    "times": (["10:05", "9:30", "10:05", "9:45"], [2, 0, 2, 1]),
    "true and false": (["True", "False", "True", "True"], [1, 0, 1, 1]),
    "yes and no": (["yes", "no", "yes", "yes"], [1, 0, 1, 1]),
    "words with umlauts": (["grün", "blau", "grün", "rot"], [1, 0, 1, 2]),
    "plus and minus": (["+", "-", "+", "-"], [0, 1, 0, 1]),
    "codes of letters and digits": (["a1", "a2", "b1", "a1"], [0, 1, 2, 0]),
    "spaces around": ([" 1 ", "2", " 1", "2 "], [0, 1, 0, 1]),
    "quoted": (['"a, b"', '"c"', '"a, b"', '"c"'], [0, 1, 0, 1]),
    **{
        f"{marker or 'an empty cell'} among numbers": (["2", "10", marker, "30"], "marks a missing value|an empty cell")
        for marker in ("NA", "N/A", "nan", "NaN", "null", "None", "none", "-", "--", "?", ".", "missing", "#N/A", "")
    },
    "NA among words": (["disc", "NA", "star", "disc"], "marks a missing value"),
    "an empty cell among words": (["disc", "", "star", "disc"], "an empty cell"),
    "inf": (["1.5", "inf", "2.5", "3"], "contains an infinite value"),
    "a word among numbers": (["2", "10", "ten", "30"], "3 of 4 cells are numbers written in another way"),
    "a bound among numbers": (["2.5", "<0.1", "3.5", "1"], "3 of 4 cells are numbers written in another way"),
    "groups of digits": (['"1,500"', '"2,000"', '"3,250"', '"1,500"'], "or several digits grouped"),
    "two units": (["5 cm", "10 mm", "100 cm", "7 cm"], "left out: a text for each image"),
    "dates": (["2024-01-05", "2024-02-05", "2024-01-06", "2024-01-07"], "left out: dates"),
    "dates with times": (["05.01.2024 10:00", "06.01.2024 10:00", "05.01.2024 11:00", "07.01.2024 9:00"], "left out: dates"),
    "one value": (["5", "5", "5", "5"], "left out: one value only"),
    "free text": (["taken at dawn", "blurry, see b", "good one", "the last"], "left out: a text for each image"),
    "other paths": (["masks/a.png", "masks/b.png", "masks/c.png", "masks/d.png"], "left out: a text for each image"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_each_kind_of_column_is_read_right_or_refused(case: str, tmp_path: Path) -> None:
    cells, expected = TABLES[case]
    cells = [f'"{cell}"' for cell in cells] if case == "free text" else cells
    text = "x,kept\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells))
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    if isinstance(expected, str) and expected.startswith("left out: "):
        with pytest.warns(UserWarning, match=rf"not used as factors: x \({expected.removeprefix('left out: ')}\)"):
            assert factor_table.read(tmp_path / "t.csv", 4).names == ("kept",)
    elif isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            factor_table.read(tmp_path / "t.csv", 4)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = factor_table.read(tmp_path / "t.csv", 4)
        assert table.values[:, 0].tolist() == expected


def test_there_are_as_many_kinds_as_the_page_lists() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for cases in (IMAGES, ARRAYS, TABLES):
        assert [case for case in cases if f"| {case} |" not in page] == []
    assert len(IMAGES) >= 60
    assert len(ARRAYS) >= 50
    assert len(TABLES) >= 40
