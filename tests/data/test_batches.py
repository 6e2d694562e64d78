import numpy as np
import pytest
import torch

from equipoise.data import Images
from equipoise.data.batches import Batches, batch_index, fitting_size
from equipoise.errors import InputError

SIZES = [(8, 4), (9, 4), (10, 5), (100, 7), (1000, 64)]


def test_batch_depends_on_seed_step_and_stream_alone() -> None:
    asked = [(step, stream) for step in range(40) for stream in (0, 1)]
    forwards = {key: batch_index(100, 7, 3, *key) for key in asked}
    for key in reversed(asked):
        batch_index(100, 7, 4, *key)  # whatever else is asked in between
        assert np.array_equal(batch_index(100, 7, 3, *key), forwards[key])
    assert not np.array_equal(batch_index(100, 7, 4, 0), forwards[0, 0])


def test_order_of_the_data_has_not_moved() -> None:
    assert batch_index(100, 8, seed=0, step=0).tolist() == [9, 50, 76, 91, 62, 66, 87, 41]
    assert batch_index(100, 8, seed=1, step=100).tolist() == [23, 85, 69, 29, 72, 6, 47, 94]
    assert batch_index(100, 8, seed=1, step=100, stream=1).tolist() == [76, 65, 40, 66, 55, 31, 56, 92]


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_epoch_shows_each_image_at_most_once(n: int, size: int) -> None:
    for stream in (0, 1):
        for epoch in range(3):
            steps = range(epoch * (n // size), (epoch + 1) * (n // size))
            shown = np.concatenate([batch_index(n, size, 0, step, stream) for step in steps])
            assert len(shown) == n // size * size
            assert len(np.unique(shown)) == len(shown)
            assert shown.min() >= 0
            assert shown.max() < n


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_streams_of_a_step_share_no_image(n: int, size: int) -> None:
    for step in range(3 * (n // size)):
        assert not set(batch_index(n, size, 5, step)) & set(batch_index(n, size, 5, step, stream=1))


def test_epochs_differ_and_every_image_gets_its_turn() -> None:
    epochs = [np.concatenate([batch_index(9, 4, 0, step) for step in (2 * e, 2 * e + 1)]) for e in range(30)]
    assert len({epoch.tobytes() for epoch in epochs}) == 30
    assert len(np.unique(epochs)) == 9  # the one that an epoch drops is not always the same


def test_caller_may_write_into_a_batch_of_indices() -> None:
    expected = batch_index(50, 5, 0, 0)
    batch_index(50, 5, 0, 0)[:] = -1
    assert np.array_equal(batch_index(50, 5, 0, 0), expected)


def test_batch_is_the_pixels_at_its_index_divided_by_255() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    images = Images(pixels, name="noise")
    batch = Batches(images, 4, seed=2)(6, stream=1)
    assert batch.dtype == torch.float32
    assert torch.equal(batch, torch.from_numpy(pixels[batch_index(20, 4, 2, 6, 1)]) / 255)


def test_batch_of_a_subset_holds_only_its_images() -> None:
    pixels = np.arange(20, dtype=np.uint8).repeat(4).reshape(20, 1, 2, 2)
    part = Images(pixels, name="numbers").subset([3, 5, 8, 13])
    shown = torch.cat([Batches(part, 2, seed=0)(step) for step in (0, 1)])[:, 0, 0, 0]
    assert sorted((shown * 255).round().int().tolist()) == [3, 5, 8, 13]


def test_too_few_images_name_both_numbers_and_the_setting() -> None:
    images = Images(np.zeros((10, 1, 8, 8), np.uint8), name="few")
    with pytest.raises(InputError, match=r"train\.batch is 64 .* only 10 images; set train\.batch to 10 or less"):
        Batches(images, 64, seed=0)
    batches = Batches(images, 6, seed=0)
    assert batches(0).shape == (6, 1, 8, 8)
    with pytest.raises(InputError, match=r"train\.batch=6 needs 12 images and there are 10; set train\.batch to 5"):
        batches(0, stream=1)
    with pytest.raises(InputError, match="give more images"):
        batch_index(1, 1, 0, 0, stream=1)


def test_the_batch_shrinks_to_the_images_and_two_are_the_least() -> None:
    def few(n: int) -> Images:
        return Images(np.zeros((n, 1, 8, 8), np.uint8), name="few")

    assert fitting_size(few(64), 64, has_second=False) == 64
    assert fitting_size(few(63), 64, has_second=False) == 63
    assert fitting_size(few(2), 64, has_second=False) == 2
    assert fitting_size(few(63), 64, has_second=True) == 31
    assert fitting_size(few(63), 64, has_second=False, processes=4) == 60
    for n, options, sentence in (
        (1, {"has_second": False}, "few has 1 image, and training needs at least 2; add images"),
        (3, {"has_second": True}, "few has 3 images, and this method, .*, needs at least 4"),
        (3, {"has_second": False, "processes": 4}, "few has 3 images, and training needs at least 4 in 4 processes"),
    ):
        with pytest.raises(InputError, match=sentence):
            fitting_size(few(n), 64, **options)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"seed": -1}, {"step": -1}, {"stream": 2}])
def test_what_is_no_batch_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"a batch needs train\.batch of 1 or more"):
        batch_index(**({"n": 10, "size": 2, "seed": 0, "step": 0, "stream": 0} | wrong))
