from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from equipoise.data import DATASETS, Images, load_data
from equipoise.data.sets import dsprites_variants
from equipoise.data.sets.dsprites import FACTOR_NAMES, FACTOR_SIZES
from equipoise.data.sets.dsprites_variants import painting, random_bytes, random_words, stand_in
from equipoise.errors import InputError

PAINTED = ("dsprites-color", "dsprites-noisy", "dsprites-scream")
NAMES = (*PAINTED, "dsprites-noshape")
ROWS = np.random.default_rng(0).integers(737_280, size=300)


@pytest.fixture(autouse=True)
def _without_the_painting(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(drawn))
    monkeypatch.delenv("EQUIPOISE_SCREAM", raising=False)


# --- what holds for each ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_the_same_picture_in_every_batch_and_at_every_loading(name: str) -> None:
    images = load_data(name)
    together = images.pixels(ROWS)
    assert (together.dtype, together.shape) == (np.uint8, (300, *images.shape))
    assert together.flags.c_contiguous
    assert np.array_equal(load_data(name).pixels(ROWS[::-1]), together[::-1])
    assert np.array_equal(np.concatenate([images.pixels([row]) for row in ROWS[:20]]), together[:20])
    assert images.digest() == load_data(name).digest()


@pytest.mark.parametrize("name", NAMES)
def test_floats_are_bytes_over_255(name: str) -> None:
    images = load_data(name)
    assert torch.equal(images.floats(ROWS[:50]), torch.from_numpy(images.pixels(ROWS[:50])).float() / 255)


@pytest.mark.parametrize("name", NAMES)
def test_loaded_images_are_as_their_data_set_says(name: str) -> None:
    images, dataset = load_data(name), DATASETS[name]
    assert (len(images), images.shape) == (dataset.images, dataset.shape)
    assert (images.factor_names, images.factor_sizes) == (dataset.factor_names, dataset.factor_sizes)
    assert images.licence == "Apache-2.0"
    assert images.citation is not None
    assert "Matthey" in images.citation
    assert "Matthey" in dataset.citation
    assert "Locatello" in dataset.citation


@pytest.mark.parametrize("name", PAINTED)
def test_painted_sprites_keep_the_factors_of_dsprites(name: str, dsprites: Images) -> None:
    images = load_data(name)
    assert (images.factor_names, images.factor_sizes) == (FACTOR_NAMES, FACTOR_SIZES)
    assert images.factors is not None
    assert dsprites.factors is not None
    assert np.array_equal(images.factors[ROWS], dsprites.factors[ROWS])


def test_no_two_variants_have_the_same_digest() -> None:
    assert len({load_data(name).digest() for name in NAMES}) == len(NAMES)


# --- random numbers by place ------------------------------------------------------------------------------------------


def test_numbers_are_those_of_splitmix64() -> None:
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC, 0x1B39896A51A8749B]
    assert random_words(np.array([0]), 5).tolist() == [first]  # published with seed 0
    assert random_words(np.arange(5), 1)[:, 0].tolist() == first
    assert random_bytes(np.array([0]), 3).tolist() == [[0xAF, 0xCD, 0x1D]]


def test_neighbouring_rows_have_independent_bytes() -> None:
    drawn = random_bytes(np.arange(2000), 64).astype(np.float64)
    assert drawn.mean() == pytest.approx(127.5, abs=1)
    assert drawn.var() == pytest.approx((256**2 - 1) / 12, rel=0.01)
    between = np.corrcoef(np.stack([drawn[:-1].ravel(), drawn[1:].ravel()]))[0, 1]
    assert abs(between) < 0.012  # four standard errors of 128,000 pairs
    assert np.abs(np.corrcoef(drawn.T) - np.eye(64)).max() < 0.12  # of 2,016 pairs of 2,000 rows


# --- colour, noise ----------------------------------------------------------------------------------------------------


def test_colour_is_one_for_each_sprite_and_uniform_from_half_to_full(dsprites: Images) -> None:
    pixels, white = load_data("dsprites-color").pixels(ROWS), dsprites.pixels(ROWS) == 255
    colours = pixels.max(axis=(2, 3))
    assert np.array_equal(pixels, np.where(white, colours[:, :, None, None], 0))
    assert (colours.min(), colours.max()) == (128, 255)  # 0.5 and 1 in steps of 1/255
    assert colours.mean(axis=0).tolist() == pytest.approx([191.5] * 3, abs=8)  # 3.7 standard errors
    assert len(np.unique(colours, axis=0)) > 295


def test_noise_fills_the_background_evenly_and_sprites_stay_white(dsprites: Images) -> None:
    pixels = load_data("dsprites-noisy").pixels(ROWS)
    white = np.broadcast_to(dsprites.pixels(ROWS) == 255, pixels.shape)
    assert (pixels[white] == 255).all()
    counts = np.bincount(pixels[~white], minlength=256)
    expected = counts.sum() / 256
    assert ((counts - expected) ** 2 / expected).sum() < 350  # chi squared of 255 degrees: 1 in 10,000
    channels = np.corrcoef(pixels[:, :, :2].transpose(1, 0, 2, 3).reshape(3, -1))  # no sprite reaches these rows
    assert np.abs(channels - np.eye(3)).max() < 0.02  # four standard errors of 38,400 pixels


# --- the painting -----------------------------------------------------------------------------------------------------


def test_sprites_invert_a_part_of_the_picture_mixed_with_a_colour(dsprites: Images) -> None:
    picture = np.full((3, 64, 65), 200, np.uint8)
    rows = ROWS[:50]
    drawn = dsprites_variants.on_painting(rows, sprites := dsprites.pixels(rows), picture)
    white = np.broadcast_to(sprites == 255, drawn.shape)
    background = np.where(white, 255 - drawn, drawn)
    assert (background == background[:, :, :1, :1]).all()  # of an even picture every part is one colour
    assert background.min() >= 100
    assert background.max() <= (200 + 255) // 2
    assert background.std() > 30


def test_parts_are_cut_from_the_whole_picture_and_may_touch_its_edges() -> None:
    picture = np.zeros((3, 66, 67), np.uint8)
    picture[0], picture[1] = 2 * np.arange(66)[:, None], 2 * np.arange(67)
    rows = np.arange(2000)
    drawn = dsprites_variants.on_painting(rows, np.zeros((2000, 1, 64, 64), np.uint8), picture).astype(np.int64)
    assert (np.diff(drawn[:, 0], axis=1) == 1).all()
    assert (np.diff(drawn[:, 1], axis=2) == 1).all()
    words = random_words(rows, 3)
    colour = (words[:, 2, None] >> np.array([0, 8, 16], np.uint64) & np.uint64(255)).astype(np.int64)
    top, left = drawn[:, 0, 0, 0] - colour[:, 0] // 2, drawn[:, 1, 0, 0] - colour[:, 1] // 2
    assert np.bincount(top).tolist() == pytest.approx([2000 / 3] * 3, abs=90)
    assert np.bincount(left).tolist() == pytest.approx([2000 / 4] * 4, abs=90)


def test_a_drawn_texture_stands_in_for_the_painting_and_says_so() -> None:
    images = load_data("dsprites-scream")
    assert images.name == "dsprites-scream (stand-in)"
    assert images.source is not None
    assert "in place of the painting" in images.source
    assert "without it, of a rendered texture" in DATASETS["dsprites-scream"].summary
    picture = stand_in()
    assert (picture.shape, picture.dtype) == ((3, 274, 216), np.uint8)
    assert picture.std(axis=(1, 2)).min() > 20
    assert picture.sum(dtype=np.int64) == 18_914_143  # the same on every machine


def test_the_painting_is_taken_from_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texture = load_data("dsprites-scream")
    high = np.random.default_rng(0).integers(256, size=(800, 600, 3), dtype=np.uint8)
    Image.fromarray(high).save(tmp_path / "scream.png")
    monkeypatch.setenv("EQUIPOISE_SCREAM", str(tmp_path / "scream.png"))
    images = load_data("dsprites-scream")
    assert images.name == "dsprites-scream"
    assert images.source is not None
    assert str(tmp_path / "scream.png") in images.source
    assert images.digest() != texture.digest()
    assert not np.array_equal(images.pixels(ROWS[:5]), texture.pixels(ROWS[:5]))
    assert painting(tmp_path / "scream.png").shape == (3, 274, 205)  # 600 x 800 shrunk to fit 350 x 274


def test_a_painting_that_cannot_be_had_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, match: str) -> None:
        monkeypatch.setenv("EQUIPOISE_SCREAM", str(path))
        with pytest.raises(InputError, match=match):
            load_data("dsprites-scream")

    refused(tmp_path / "none.jpg", "there is no file .*none.jpg; name a picture")
    (tmp_path / "text.jpg").write_text("not a picture")
    refused(tmp_path / "text.jpg", "cannot be read as an image")
    Image.new("RGB", (63, 200)).save(tmp_path / "narrow.png")
    refused(tmp_path / "narrow.png", "63 x 200 pixels .* too small")


# --- without shape ----------------------------------------------------------------------------------------------------


def test_without_shape_the_pictures_stay_and_shape_is_no_factor(dsprites: Images) -> None:
    images = load_data("dsprites-noshape")
    assert images.factor_names == ("scale", "orientation", "pos_x", "pos_y")
    assert images.factor_sizes == (6, 40, 32, 32)
    assert np.array_equal(images.pixels(ROWS), dsprites.pixels(ROWS))
    assert images.factors is not None
    assert dsprites.factors is not None
    assert np.array_equal(images.factors, dsprites.factors[:, 1:])


def test_shapes_vary_where_all_factors_are_held(dsprites: Images) -> None:
    images = load_data("dsprites-noshape")
    drawn = images.sample(900, np.random.default_rng(0), {"scale": 5, "orientation": 3, "pos_x": 16, "pos_y": 2})
    assert dsprites.factors is not None
    assert np.bincount(dsprites.factors[drawn, 0]).tolist() == pytest.approx([300] * 3, abs=60)
