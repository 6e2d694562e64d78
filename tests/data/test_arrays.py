import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from equipoise.data import Images, intensity, load_data, npz, store
from equipoise.data import cache as pixel_cache
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 10, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 3, 10, 12), dtype=np.uint8)
ALL = np.arange(6)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 2, 3, 1), COLOUR),
        (GREY > 100, (GREY > 100)[:, None] * 255),
        (GREY / np.float32(255), GREY[:, None]),
        (COLOUR.transpose(0, 2, 3, 1) / 255, COLOUR),
    ],
)
def test_axes_and_types_come_out_as_uint8_channels_first(as_tensor: bool, array: Any, expected: Any) -> None:
    images = load_data(torch.from_numpy(array.copy()) if as_tensor else array)
    assert images.pixels(ALL).dtype == np.uint8
    assert np.array_equal(images.pixels(ALL), expected)
    assert images.shape == expected.shape[1:]


def test_floats_are_rounded_to_the_nearest_of_256_levels() -> None:
    values = np.linspace(0, 1, 640).reshape(10, 8, 8)
    pixels = load_data(values).pixels(np.arange(10))[:, 0]
    assert np.abs(pixels / 255 - values).max() <= 0.5 / 255
    bfloat = torch.tensor([0.0, 0.5, 1.0], dtype=torch.bfloat16).repeat(3, 8, 1)[:, :, None, :].expand(3, 8, 8, 3)
    assert np.unique(load_data(bfloat).pixels([0])).tolist() == [0, 128, 255]


def test_uint8_array_is_not_copied() -> None:
    assert np.shares_memory(load_data(GREY)._pixels.array, GREY)


def test_npy_of_bytes_stays_on_the_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COLOUR)
    images = load_data(tmp_path / "a.npy")
    base = images._pixels.array
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert np.array_equal(images.pixels(ALL), COLOUR)
    assert str(tmp_path / "a.npy") in (images.name, images.source)


def test_npy_of_floats_in_fortran_order_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(COLOUR / 255))
    assert np.array_equal(load_data(tmp_path / "a.npy").pixels(ALL), COLOUR)


@pytest.mark.parametrize("name", ["images", "imgs", "x", "pictures"])
def test_npz_gives_images_factors_and_names(name: str, tmp_path: Path) -> None:
    factors = np.stack([ALL // 3, ALL % 3], axis=1)
    np.savez(
        tmp_path / "a.npz", **{name: GREY}, factors=factors, factor_names=["row", "column"], other=np.zeros((2, 2))
    )
    with pytest.warns(UserWarning, match=r"a\.npz: the arrays other are not read"):
        images = load_data(str(tmp_path / "a.npz"))
    assert np.array_equal(images.pixels(ALL), GREY[:, None])
    assert images.factors is not None
    assert np.array_equal(images.factors, factors)
    assert (images.factor_names, images.factor_sizes) == (("row", "column"), (2, 3))


def test_npz_with_more_than_images_is_read_by_its_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, masks=GREY > 3)
    with pytest.warns(UserWarning, match=r"a\.npz: the arrays masks are not read"):
        images = load_data(tmp_path / "a.npz")
    assert np.array_equal(images.pixels(ALL), GREY[:, None])
    assert images.factors is None


@pytest.mark.parametrize("name", ["labels", "label", "targets", "y"])
def test_labels_in_an_npz_are_factors(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GREY, **{name: ALL % 3})
    images = load_data(tmp_path / "a.npz")
    assert images.factors is not None
    assert images.factors.tolist() == [[i % 3] for i in ALL]
    assert (images.factor_names, images.factor_sizes) == ((name,), (3,))
    np.savez(tmp_path / "b.npz", x=GREY, factors=np.array(["b", "a", "c"])[ALL % 3], **{name: ALL})
    with pytest.warns(UserWarning, match=rf"the arrays {name} are not read"):
        images = load_data(tmp_path / "b.npz")
    assert images.factors is not None
    assert images.factors[:, 0].tolist() == [1, 0, 2, 1, 0, 2]  # words, in the order of the alphabet


def test_masked_pixels_are_refused() -> None:
    masked = np.ma.MaskedArray(GREY, GREY > 200)
    with pytest.raises(InputError, match=rf"array: {(GREY > 200).sum()} pixels are masked; fill them: array\.filled"):
        load_data(masked)
    assert np.array_equal(load_data(np.ma.MaskedArray(GREY, False)).pixels(ALL)[:, 0], GREY)
    assert np.array_equal(load_data(masked.filled(0)).pixels(ALL)[:, 0], np.where(GREY > 200, 0, GREY))


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((6, 2, 20, 20), 2),
        ((6, 20, 20, 16), 16),
        ((6, 4, 8, 8), 4),
        ((6, 8, 8, 4), 4),
        ((6, 1, 12, 16), 1),
        ((6, 8, 12, 3), 3),
        ((6, 5, 17, 30), 5),
    ],
)
def test_the_axis_of_up_to_16_channels_is_found(shape: tuple[int, ...], channels: int) -> None:
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    images = load_data(array)
    assert images.shape[0] == channels
    assert np.array_equal(images.pixels(ALL), array if shape[1] == channels else array.transpose(0, 3, 1, 2))


WRONG_ARRAYS: dict[str, tuple[Any, str]] = {
    "no images": (GREY[:0], r"\[0, 10, 12\].*"),
    "two axes": (GREY[0], r"images are \[N, H, W\], .*, not \[10, 12\]; reshape it"),
    "five axes": (GREY[None, None], r"not \[1, 1, 6, 10, 12\]"),
    "17 channels": (np.zeros((2, 20, 20, 17), np.uint8), "with C up to 16, not .*; leave channels out"),
    "eight at both ends": (np.zeros((2, 8, 8, 8), np.uint8), "the channels may be the second axis or the last"),
    "three at both ends": (np.zeros((2, 3, 8, 3), np.uint8), "the channels may be the second axis or the last"),
    "one colour image": (np.zeros((8, 8, 3), np.uint8), "may be one colour image or many grey ones"),
    "zeros and ones": (GREY % 2, "uint8 pixels run from 0 to 255, but these are 0 and 1; give them as bool"),
    "signed": (
        GREY.astype(np.int64),
        r"pixels of type int64 from 0 to 248, .*set data\.range=LOW:HIGH, or data\.range=0%",
    ),
    "complex": (GREY.astype(complex), "pixels of type complex128"),
    "floats to 255": (GREY.astype(np.float32), r"pixels from 0 to 248, expected 0\.\.1; .*scale them"),
    "floats below 0": (GREY / 127.5 - 1, r"pixels from -1 to 0\.945098, expected 0\.\.1; .*scale them"),
    "NaN": (np.where(GREY[3, 3, 3] == GREY, np.nan, GREY / 255), "NaN or infinity among the pixels"),
    "infinity": (np.where(GREY[3, 3, 3] == GREY, np.inf, GREY / 255), "NaN or infinity among the pixels"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_array_that_holds_no_images_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    array, sentence = WRONG_ARRAYS[case]
    with pytest.raises(InputError, match=f"array: .*{sentence}"):
        load_data(array)
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=f"a.npy: .*{sentence}"):
        load_data(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=array)
    with pytest.raises(InputError, match=f"a.npz: .*{sentence}"):
        load_data(tmp_path / "a.npz")


def test_black_images_are_images() -> None:
    assert len(load_data(np.zeros((3, 8, 8), np.uint8))) == 3


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY.astype(object))
    np.savez(tmp_path / "a.npz", images=GREY.astype(object))
    np.savez(tmp_path / "b.npz", images=GREY, factors=GREY[:, :2, 0].astype(object))
    for name, member in (("a.npy", "it"), ("a.npz", "images"), ("b.npz", "factors")):
        with pytest.raises(InputError, match=f"{name}: {member} is an array of Python objects, which are never opened"):
            load_data(tmp_path / name)


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("keep", [0, 5, 60, 500])
def test_truncated_file_is_named(kind: str, keep: int, tmp_path: Path) -> None:
    whole = tmp_path / f"whole.{kind}"
    (np.save if kind == "npy" else np.savez)(whole, GREY)
    (tmp_path / f"torn.{kind}").write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"torn.{kind} is damaged, .*copy or make it again"):
        load_data(tmp_path / f"torn.{kind}")


def test_member_that_announces_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    torn = (tmp_path / "a.npy").read_bytes()[:-1]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", torn)
    with pytest.raises(InputError, match=r"a.npz: images.npy is shorter than its shape \[6, 10, 12\]"):
        load_data(tmp_path / "a.npz")


def test_npz_without_a_clear_image_array_lists_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=GREY, second=GREY)
    np.savez(tmp_path / "b.npz", table=np.zeros(3))
    np.savez(tmp_path / "c.npz")
    for name, listed in (("a", "first, second"), ("b", "table"), ("c", "none")):
        with pytest.raises(InputError, match=f"{name}.npz: cannot tell .* among {listed}; name it images, imgs or x"):
            load_data(tmp_path / f"{name}.npz")


def test_factors_of_another_length_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, factors=np.zeros((5, 2), int))
    with pytest.raises(InputError, match=r"a.npz: factors of 6 images are .*, not int64 \[5, 2\]"):
        load_data(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=GREY, factors=np.zeros((6, 2), int), factor_names=["one"])
    with pytest.raises(InputError, match=r"a\.npz: 2 factors need as many different names"):
        load_data(tmp_path / "a.npz")


# --- brought to another form, and larger than the memory is meant to hold ---------------------------------------------


def test_arrays_are_brought_to_the_form_of_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COLOUR.transpose(0, 2, 3, 1) / 255)
    np.savez(tmp_path / "a.npz", COLOUR)
    for i, picture in enumerate(COLOUR):
        (tmp_path / "files").mkdir(exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(tmp_path / "files" / f"{i}.png")
    for settings in ({"size": 32}, {"crop": 8}, {"crop": 9, "size": 16, "grey": True}):
        expected = load_data(tmp_path / "files", **settings).pixels(ALL)
        for source in (COLOUR, torch.from_numpy(COLOUR), tmp_path / "a.npy", tmp_path / "a.npz"):
            assert np.array_equal(load_data(source, **settings).pixels(ALL), expected)


def test_array_smaller_than_crop_is_refused() -> None:
    with pytest.raises(InputError, match=r"array is 12 x 10, too small for data\.crop=11; lower data\.crop"):
        load_data(GREY, crop=11)


def test_table_gives_the_factors_of_an_array(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("shape,angle\n" + "".join(f"{'ab'[i % 2]},{i / 8}\n" for i in ALL))
    np.save(tmp_path / "a.npy", GREY)
    np.savez(tmp_path / "a.npz", x=GREY, factors=ALL[:, None])
    for source in (GREY, tmp_path / "a.npy", tmp_path / "a.npz"):
        images = load_data(source, factors=tmp_path / "t.csv")
        assert images.factors is not None
        assert images.factors.tolist() == [[i % 2, i / 8] for i in ALL]
        assert (images.factor_names, images.factor_sizes) == (("shape", "angle"), (2, 0))


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more than a few hundred bytes belongs on the disk, in blocks of two images."""
    monkeypatch.setattr(pixel_cache, "LIMIT", 500)
    monkeypatch.setattr(pixel_cache, "BLOCK", 2)


def mapped(images: Images) -> bool:
    base = images._pixels.array
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base is not None


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("array", [COLOUR / 255, GREY > 99], ids=["floats", "bools"])
def test_large_files_are_converted_once_and_memory_mapped(
    array: Any, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array, factors=ALL[:, None])
    small = load_data(array).pixels(ALL)
    digests = set()
    for name in ("a.npy", "a.npz"):
        images = load_data(tmp_path / name)
        assert mapped(images)
        assert np.array_equal(images.pixels(ALL), small)
        digests.add(images.digest())
    assert len(list((cache / "folders").iterdir())) == 2
    assert len(digests) == 2  # one has factors

    monkeypatch.setattr(intensity, "to_bytes", None)  # whoever converts again fails
    monkeypatch.chdir(tmp_path)
    assert load_data("a.npz").digest() in digests
    assert load_data("a.npy").digest() in digests


@pytest.mark.usefixtures("little_memory")
def test_large_archive_of_bytes_is_unpacked_to_the_disk(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=COLOUR.transpose(0, 2, 3, 1))
    images = load_data(tmp_path / "a.npz")
    assert mapped(images)
    assert np.array_equal(images.pixels(ALL), COLOUR)
    assert np.array_equal(load_data(tmp_path / "a.npz", size=16).pixels(ALL), load_data(COLOUR, size=16).pixels(ALL))


def test_archive_is_read_from_any_row_on(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=COLOUR)
    for begin in range(6):
        rows = list(npz.slabs(tmp_path / "a.npz", "x", 2, begin))
        assert np.array_equal(np.concatenate(rows), COLOUR[begin:])


@pytest.mark.usefixtures("little_memory")
def test_large_array_is_converted_to_a_file_without_a_name(cache: Path) -> None:
    images = load_data(COLOUR / 255)
    assert mapped(images)
    assert np.array_equal(images.pixels(ALL), COLOUR)
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("little_memory")
def test_full_disk_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))  # noqa: ARG005
    with pytest.raises(InputError, match=r"array needs .* GB and .* has .* GB left; make room, or name a folder"):
        load_data(COLOUR / 255)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_large_array_that_holds_no_images_is_refused_too(case: str, tmp_path: Path) -> None:
    array, sentence = WRONG_ARRAYS[case]
    np.savez(tmp_path / "a.npz", x=array)
    with pytest.raises(InputError, match=f"a.npz: .*{sentence}"):
        load_data(tmp_path / "a.npz")


def test_a_header_that_is_no_python_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "torn.npy"
    np.save(path, GREY)
    content = path.read_bytes()
    for wrong in (b"{'descr': '|u1', (((", b"{'descr': '''|u1' ,,"):
        path.write_bytes(content.replace(content[10 : 10 + len(wrong)], wrong))
        with pytest.raises(InputError, match=r"torn.npy is damaged, or its content .* its suffix \(.*\); copy or make"):
            load_data(path)


@pytest.mark.parametrize("suffix", ["", ".npy"])
def test_an_array_with_fields_is_refused_with_what_to_give(suffix: str, tmp_path: Path) -> None:
    source: Any = np.zeros(6, [("a", "f4"), ("b", "f4")])
    if suffix:
        np.save(tmp_path / "a.npy", source)
        source = tmp_path / "a.npy"
    with pytest.raises(InputError, match=r"with the fields a, b; give a data frame of it, pandas\.DataFrame"):
        load_data(source)
