import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise.data import intensity, pictures
from equipoise.data.pictures import Form
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 16), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)


def png(array: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "png")
    file.seek(0)
    return file


def decode(
    file: Path | io.BytesIO,
    *,
    channels: int | None = None,
    crop: int | None = None,
    size: int | None = None,
    name: str,
) -> np.ndarray:
    picture = pictures.read(file, name=name)
    return Form(size, crop).prepare(picture, channels or len(picture.values), name)


def test_stream_and_path_give_the_same_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(COLOUR).getvalue())
    from_stream = decode(png(COLOUR), name="a member of an archive")
    assert np.array_equal(from_stream, COLOUR.transpose(2, 0, 1))
    assert np.array_equal(decode(tmp_path / "a.png", name="a.png"), from_stream)


def test_channels_are_those_of_the_picture_unless_said() -> None:
    assert decode(png(GREY), name="a").shape == (1, 12, 16)
    assert decode(png(COLOUR), name="a").shape == (3, 12, 16)
    assert decode(png(GREY), channels=3, name="a").shape == (3, 12, 16)
    assert decode(png(COLOUR), channels=1, name="a").shape == (1, 12, 16)


def test_crop_comes_before_size() -> None:
    whole = decode(png(GREY), crop=8, size=32, name="a")
    assert np.array_equal(whole, pictures.resize(GREY[None, 2:10, 4:12], 32))


@pytest.mark.parametrize("size", [8, 32])
def test_resized_arrays_are_what_decoded_files_are(size: int) -> None:
    colour = COLOUR.transpose(2, 0, 1)
    assert np.array_equal(pictures.resize(colour, size), decode(png(COLOUR), size=size, name="a"))
    assert np.array_equal(pictures.resize(GREY[None], size), decode(png(GREY), size=size, name="a"))
    assert np.array_equal(pictures.resize(colour[[0, 1, 2, 0]], size)[:3], pictures.resize(colour, size))


def test_resizing_keeps_the_mean_and_does_not_alias() -> None:
    stripes = np.zeros((1, 128, 128), np.uint8)
    stripes[..., ::2] = 255
    assert np.abs(pictures.resize(stripes, 32)[..., 2:-2].astype(int) - 127).max() <= 1


def test_head_says_what_decoding_gives() -> None:
    assert pictures.head(png(GREY), name="a") == (1, 12, 16)
    assert pictures.head(png(COLOUR), name="a") == (3, 12, 16)


def test_damaged_picture_says_its_name_and_the_reason_apart() -> None:
    with pytest.raises(
        pictures.Damaged, match=r"number 7 cannot be read as an image \(.+\); repair or remove it"
    ) as said:
        decode(io.BytesIO(b"hello"), name="number 7")
    assert said.value.why == "not an image of a supported format"


def test_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", locked)
    with pytest.raises(InputError, match=r"a\.png cannot be read \(Permission denied\)") as said:
        decode(tmp_path / "a.png", name="a.png")
    assert not isinstance(said.value, pictures.Damaged)


@pytest.mark.parametrize(
    ("form", "shape", "becomes"),
    [
        (Form(), (3, 12, 16), (3, 12, 16)),
        (Form(size=32), (3, 12, 16), (3, 32, 32)),
        (Form(crop=8), (3, 12, 16), (3, 8, 8)),
        (Form(size=32, crop=8, grey=True), (3, 12, 16), (1, 32, 32)),
        (Form(size=16), (1, 16, 16), (1, 16, 16)),
        (Form(size=16, crop=8), (1, 16, 16), (1, 16, 16)),
        (Form(crop=16, grey=True), (1, 16, 16), (1, 16, 16)),
    ],
)
def test_form_says_the_shape_and_whether_anything_changes(
    form: Form, shape: tuple[int, int, int], becomes: tuple[int, int, int]
) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    applied = form.prepare(intensity.raw(pixels), 1 if form.grey else len(pixels), "a")
    assert form.output_shape(shape, "a") == becomes == applied.shape
    assert form.keeps(shape) == np.array_equal(applied, pixels)


def test_a_damaged_picture_can_be_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(pictures.Damaged("a.png", "no pixels")))
    assert (type(error), error.name, error.why) == (pictures.Damaged, "a.png", "no pixels")
    assert str(error) == "a.png cannot be read as an image (no pixels); repair or remove it"
