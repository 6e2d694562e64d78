import json
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from equipoise.data import cache as pixel_cache
from equipoise.data import load_data, pictures, store
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 16), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)


def save(array: npt.NDArray[np.generic], path: Path, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **how)


def only(path: Path) -> npt.NDArray[np.uint8]:
    """The one image of a folder, [C, H, W]."""
    images = load_data(path)
    assert len(images) == 1
    return images.pixels([0])[0]


def test_files_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["b/frame1.png", "b/Frame2.PNG", "b/frame10.png", "b/frame10b.png", "b2/0.png", "b10/0.png", "c.png"]
    for value, name in reversed(list(enumerate(names))):
        save(np.full((8, 8), 40 * value, np.uint8), tmp_path / name)
    images = load_data(str(tmp_path))
    assert images.pixels(np.arange(len(images)))[:, 0, 0, 0].tolist() == list(range(0, 280, 40))


def test_other_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    save(GREY, tmp_path / ".hidden" / "a.png")
    save(GREY, tmp_path / "__MACOSX" / "a.png")
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "Thumbs.db").write_bytes(b"?")
    assert np.array_equal(only(tmp_path), GREY[None])


@pytest.mark.parametrize("kind", ["png", "bmp", "gif", "tif", "webp", "pgm"])
def test_lossless_kinds_give_their_pixels(kind: str, tmp_path: Path) -> None:
    save(COLOUR if kind == "webp" else GREY, tmp_path / f"a.{kind}", **({"lossless": True} if kind == "webp" else {}))
    pixels = only(tmp_path)
    if kind == "gif":  # a palette of greys is still a palette
        assert np.array_equal(pixels, [GREY, GREY, GREY])
        pixels = load_data(tmp_path, grey=True).pixels([0])[0]
    assert np.array_equal(pixels, COLOUR.transpose(2, 0, 1) if kind == "webp" else GREY[None])


@pytest.mark.parametrize("kind", ["jpg", "jpeg"])
def test_jpeg_gives_nearly_its_pixels(kind: str, tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    save(smooth, tmp_path / f"a.{kind}", quality=95)
    assert np.abs(only(tmp_path)[0].astype(int) - smooth).max() <= 3


def test_one_colour_image_makes_all_colour_and_grey_makes_all_grey(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    assert load_data(tmp_path).shape == (1, 12, 16)
    save(COLOUR, tmp_path / "b.png")
    images = load_data(tmp_path)
    assert images.shape == (3, 12, 16)
    assert np.array_equal(images.pixels([0, 1]), [np.stack([GREY] * 3), COLOUR.transpose(2, 0, 1)])
    grey = load_data(tmp_path, grey=True).pixels([0, 1])[:, 0]
    assert np.array_equal(grey[0], GREY)
    assert np.abs(grey[1] - COLOUR @ [0.299, 0.587, 0.114]).max() < 1  # ITU-R 601


def test_transparent_parts_lie_on_black(tmp_path: Path) -> None:
    rgba = np.dstack([COLOUR, np.full((12, 16), 255, np.uint8)])
    rgba[:3, :, 3] = 0
    rgba[3:6, :, 3] = 128
    save(rgba, tmp_path / "a.png")
    expected = COLOUR * (rgba[:, :, 3:] / 255)
    assert np.abs(only(tmp_path).transpose(1, 2, 0) - expected).max() <= 1
    (tmp_path / "a.png").unlink()
    save(np.dstack([GREY, rgba[:, :, 3]]), tmp_path / "a.png")
    assert np.abs(only(tmp_path)[0] - GREY * (rgba[:, :, 3] / 255)).max() <= 1


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    few = COLOUR // 128 * 255
    image = Image.fromarray(few.astype(np.uint8)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert image.mode == "P"
    image.save(tmp_path / "a.png")
    assert np.array_equal(only(tmp_path), few.transpose(2, 0, 1))
    image.save(tmp_path / "a.png", transparency=0)
    hole = np.asarray(image) == 0
    assert np.array_equal(only(tmp_path), np.where(hole, 0, few.transpose(2, 0, 1)))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bits_are_rounded_to_eight(kind: str, tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 192).round().astype(np.uint16).reshape(12, 16)
    save(deep, tmp_path / f"a.{kind}")
    assert np.array_equal(only(tmp_path)[0], np.rint(deep / 257))


def test_floats_from_0_to_1_are_read_and_others_refused(tmp_path: Path) -> None:
    save((GREY / 255).astype(np.float32), tmp_path / "a.tif")
    assert np.array_equal(only(tmp_path)[0], GREY)
    save(GREY.astype(np.float32), tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: pixels from .*, expected 0\.\.1; set data\.range=LOW:HIGH"):
        load_data(tmp_path)


def test_black_and_white_is_0_and_255(tmp_path: Path) -> None:
    save(GREY > 99, tmp_path / "a.png")
    assert np.array_equal(only(tmp_path)[0], (GREY > 99) * 255)


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_photograph_is_turned_as_its_tag_says(kind: str, tmp_path: Path) -> None:
    upright = np.zeros((24, 16), np.uint8)
    upright[:12] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to show
    save(np.rot90(upright), tmp_path / f"a.{kind}", exif=exif)
    image = only(tmp_path)
    assert image.shape == (1, 24, 16)
    assert np.abs(image[0].astype(int) - upright).max() <= 3


def test_size_resizes_without_aliasing(tmp_path: Path) -> None:
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255
    save(stripes, tmp_path / "a.png")
    save(stripes[:64, :32], tmp_path / "b.png")
    images = load_data(tmp_path, size=32)
    assert images.shape == (1, 32, 32)
    assert np.abs(images.pixels([0])[0, 0, :, 2:-2].astype(int) - 127).max() <= 1  # sampling would give 0 or 255


def test_size_that_is_there_already_changes_nothing(tmp_path: Path) -> None:
    square = RNG.integers(0, 256, (16, 16), dtype=np.uint8)
    save(square, tmp_path / "a.png")
    assert np.array_equal(load_data(tmp_path, size=16).pixels([0])[0, 0], square)


def test_crop_cuts_a_centred_square(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    save(GREY[:10, :14], tmp_path / "b.png")
    images = load_data(tmp_path, crop=8)
    assert np.array_equal(images.pixels([0, 1])[:, 0], [GREY[2:10, 4:12], GREY[1:9, 3:11]])
    assert load_data(tmp_path, crop=10, size=32).shape == (1, 32, 32)


def test_mixed_sizes_name_two_files_before_any_pixel_is_decoded(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    save(GREY[:, :8], tmp_path / "b.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:60])  # the pixels are gone: whoever decodes them fails on it
    with pytest.raises(InputError, match=r"different sizes, a\.png 16 x 12 and b\.png 8 x 12; .*data\.size=64"):
        load_data(tmp_path)


def test_damaged_image_is_named(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for damaged in (b"", b"hello", whole[:20], whole[:60], whole[:50] + b"\0" * 40 + whole[90:]):
        (tmp_path / "b.png").write_bytes(damaged)
        with pytest.raises(InputError, match=r"b\.png cannot be read as an image .*; repair or remove it"):
            load_data(tmp_path)


def test_image_smaller_than_crop_is_named(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png is 16 x 12, too small for data\.crop=13; lower data\.crop"):
        load_data(tmp_path, crop=13)


def test_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are no images in this folder; expected png, jpg"):
        load_data(tmp_path)


def test_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY.T.copy().reshape(12, 16))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"a\.gif holds several pictures"):
        load_data(tmp_path)


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_decompression_bomb_is_refused(side: int, tmp_path: Path) -> None:
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), b"IDAT", b"IEND"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))
    with pytest.raises(InputError, match=r"a\.png is refused as a decompression bomb"):
        load_data(tmp_path)


# --- damaged files ----------------------------------------------------------------------------------------------------


def with_damage(folder: Path) -> None:
    """Eight images, of which b, d and f are torn, empty, and no image."""
    for value, name in enumerate("abcdefgh"):
        save(np.full((12, 16), 10 * value, np.uint8) + GREY % 9, folder / f"{name}.png")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:70])
    (folder / "d.png").write_bytes(b"")
    (folder / "f.png").write_bytes(b"hello")


def test_all_damaged_files_are_said_at_once(tmp_path: Path) -> None:
    with_damage(tmp_path / "x")
    with pytest.raises(
        InputError, match=r"3 of 8 files .*: b\.png \(.*\), d\.png \(.*\), f\.png \(.*\); repair"
    ) as said:
        load_data(tmp_path / "x")
    assert str(said.value).endswith("repair or remove them, or skip them with data.skip_damaged=true")


def test_many_damaged_files_are_counted_and_listed_in_a_file(tmp_path: Path) -> None:
    save(GREY, tmp_path / "x" / "good.png")
    for i in range(20):
        (tmp_path / "x" / f"{i}.png").write_bytes(b"?")
    with pytest.raises(InputError, match=r"20 of 21 files .*: 0\.png .*, 1\.png .*, 2\.png .* and 17 more, ") as said:
        load_data(tmp_path / "x")
    listed = re.search(r"listed in (\S+);", str(said.value))
    assert listed is not None
    assert set(json.loads(Path(listed[1]).read_text())) == {f"{i}.png" for i in range(20)}
    (tmp_path / "x" / "good.png").unlink()
    with pytest.raises(InputError, match=r"20 of 20 files cannot be read .*; there is no image left"):
        load_data(tmp_path / "x", skip_damaged=True)


@pytest.mark.parametrize("limit", [1, 10**9], ids=["on the disk", "in memory"])
def test_damaged_files_are_left_out_if_asked(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "LIMIT", limit)
    with_damage(tmp_path / "x")
    rows = "".join(f"{name}.png,{value}\n" for value, name in enumerate("abcdefgh"))
    (tmp_path / "x" / "factors.csv").write_text("file,number\n" + rows)
    for _ in range(2):
        images = load_data(tmp_path / "x", skip_damaged=True)
        assert len(images) == 5
        assert images.factors is not None
        assert images.factors[:, 0].tolist() == [0, 2, 4, 6, 7]
        assert np.array_equal(images.pixels([1])[0, 0], 20 + GREY % 9)
        assert images.source is not None
        assert re.search(r"left out: .*3 of 8 files cannot be read as images: b\.png", images.source)
        with pytest.raises(InputError, match="3 of 8 files cannot be read"):
            load_data(tmp_path / "x")
    for name in "bdf":
        save(GREY, tmp_path / "x" / f"{name}.png")
    assert len(load_data(tmp_path / "x")) == 8


def test_links_to_nowhere_are_damaged(tmp_path: Path) -> None:
    save(GREY, tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(
        InputError, match=r"b\.png cannot be read as an image \(.*No such file.*\); repair or remove it"
    ):
        load_data(tmp_path)


def test_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(GREY, tmp_path / "a" / "a.png")
    scan = os.scandir

    def locked(path: str) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(InputError, match=r"a cannot be read \(Permission denied\); change its permissions"):
        load_data(tmp_path)


# --- factors ----------------------------------------------------------------------------------------------------------


def test_table_in_the_folder_is_taken_by_itself_and_another_goes_before_it(tmp_path: Path) -> None:
    for i in range(3):
        save(GREY + np.uint8(i), tmp_path / "x" / str(i) / "a.png")
    (tmp_path / "x" / "factors.csv").write_text("file,colour\n2/a.png,red\n0/a.png,blue\n1/a.png,red\n")
    (tmp_path / "other.csv").write_text("file,angle\n0/a.png,0.5\n1/a.png,1.5\n2/a.png,0.25\n")
    images = load_data(tmp_path / "x")
    assert images.factors is not None
    assert (images.factor_names, images.factor_sizes, images.factors.tolist()) == (("colour",), (2,), [[0], [1], [1]])
    images = load_data(tmp_path / "x", factors=tmp_path / "other.csv")
    assert images.factors is not None
    assert (images.factor_names, images.factor_sizes) == (("angle",), (0,))
    assert images.factors.tolist() == [[0.5], [1.5], [0.25]]
    images = load_data(tmp_path / "x", factors="folders")
    assert images.factors is not None
    assert (images.factor_names, images.factor_sizes, images.factors.tolist()) == (("folder",), (3,), [[0], [1], [2]])


def test_table_that_does_not_fit_is_refused_before_any_pixel_is_decoded(tmp_path: Path) -> None:
    with_damage(tmp_path)
    (tmp_path / "factors.csv").write_text("file,x\na.png,1\n")
    with pytest.raises(InputError, match=r"factors\.csv: 7 images \(b\.png, .* and 2 more\) without a row"):
        load_data(tmp_path)


# --- more than is held in memory --------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of ten images that is too large to be held in memory, read in blocks of three."""
    monkeypatch.setattr(pixel_cache, "LIMIT", 1000)
    monkeypatch.setattr(pixel_cache, "BLOCK", 3)
    for i in range(10):
        save(np.roll(COLOUR, i, axis=0), tmp_path / "large" / f"{i}.png")
    return tmp_path / "large"


def conversions(cache: Path) -> int:
    return len(list((cache / "folders").glob("*/about.json")))


def test_large_folder_is_converted_once(large: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [np.roll(COLOUR, i, axis=0).transpose(2, 0, 1) for i in range(10)]
    images = load_data(large)
    assert np.array_equal(images.pixels(np.arange(10)), expected)
    assert conversions(cache) == 1

    monkeypatch.chdir(large.parent)
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "read", None)  # whoever decodes again fails
        patch.setattr(pictures, "head", None)
        again = load_data("large")
    assert np.array_equal(again.pixels(np.arange(10)), expected)
    assert again.digest() == images.digest()
    (large / "factors.csv").write_text("file,x\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(10)))
    with_factors = load_data(large)
    assert with_factors.digest() != images.digest()
    assert with_factors.factor_sizes == (2,)
    assert conversions(cache) == 1
    os.utime(large / "3.png", (0, 0))
    load_data(large)
    load_data(large, size=16)
    load_data(large, grey=True)
    assert conversions(cache) == 3  # a changed folder replaces its own


def test_conversion_that_broke_off_goes_on_with_what_it_knew_of_damage(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MARK", 1)  # every block is known to be on the disk
    (large / "1.png").write_bytes(b"?")
    read, decoded = pictures.read, []

    def slow(file: Path, **how: Any) -> Any:
        decoded.append(file.name)
        if file.name == "7.png" and decoded.count("7.png") == 1:
            raise KeyboardInterrupt
        return read(file, **how)

    monkeypatch.setattr(pictures, "read", slow)
    with pytest.raises(KeyboardInterrupt):
        load_data(large)
    decoded.clear()
    decoded.append("7.png")
    images = load_data(large, skip_damaged=True)
    assert "0.png" not in decoded
    assert len(images) == 9
    expected = [np.roll(COLOUR, i, axis=0).transpose(2, 0, 1) for i in range(10) if i != 1]
    assert np.array_equal(images.pixels(np.arange(9)), expected)
