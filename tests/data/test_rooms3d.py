import colorsys
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from equipoise.data import DATASETS, Images, load_data
from equipoise.data.pixels import ComputedPixels
from equipoise.data.sets import rooms3d
from equipoise.data.sets.rooms3d import (
    CAPSULE,
    CUBE,
    CYLINDER,
    FLOOR,
    HUES,
    OBJECT,
    SKY,
    SPHERE,
    WALL,
    WHOLE,
    Weights,
    render,
)

ROOT = Path(__file__).parents[2]
FRAMES = ROOT / "tests" / "golden" / "rooms3d"
FILE = "rooms3d-64x64-weights.npy"
SIZES = (10, 10, 10, 8, 4, 15)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return rooms3d.geometries()


@pytest.fixture
def at_hand(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """What would be drawn is there already, to save its second."""
    monkeypatch.setattr(rooms3d, "geometries", weights.copy)
    return weights


def number(scale: int, shape: int, orientation: int) -> int:
    return int(np.ravel_multi_index((scale, shape, orientation), SIZES[3:]))


# --- the geometries ---------------------------------------------------------------------------------------------------


def test_weights_are_the_known_bytes(weights: Weights) -> None:
    assert (weights.shape, weights.dtype) == ((480, 4, 64, 64), np.uint16)
    assert rooms3d.digest(weights) == rooms3d.DIGEST


def test_cut_cosines_and_sines_do_not_depend_on_the_last_bits_of_a_library() -> None:
    angles = np.array([rooms3d.PITCH, *rooms3d.AZIMUTHS])
    for values in (np.cos(angles), np.sin(angles)):
        from_tie = np.abs(values * 2**30 % 1 - 0.5)
        assert from_tie.min() > 1e-3  # libraries differ by 1e-16 of the value, 1e-7 of the last bit that is kept
    assert [rooms3d._turn(angle) for angle in angles] == [
        (round(np.cos(angle) * 2**30) / 2**30, round(np.sin(angle) * 2**30) / 2**30) for angle in angles
    ]


def test_geometries_differ_even_in_eight_bits(weights: Weights) -> None:
    coarse = np.rint(weights * (255 / weights.max())).astype(np.uint8)
    assert len({block.tobytes() for block in coarse}) == 480


def test_materials_have_their_shares_of_the_picture(weights: Weights) -> None:
    shares = weights.mean(axis=(0, 2, 3)) / WHOLE
    assert shares.tolist() == pytest.approx([0.270, 0.287, 0.244, 0.125], abs=0.001)


def test_each_weight_is_made_of_the_shades_there_are(weights: Weights) -> None:
    assert set(np.unique(weights[:, SKY])) == set(range(0, 9001, 1000))
    assert set(np.unique(weights[:, FLOOR])) <= {
        1000 * lit + 350 * dark for lit in range(10) for dark in range(10 - lit)
    }
    alone = (weights > 0).sum(axis=1) == 1  # pixels that see one material
    walls = weights[:, WALL][alone & (weights[:, WALL] > 0)]
    assert {9 * 600, 9 * 825, 9 * 850} < set(np.unique(walls))
    assert walls.min() == 9 * 600
    assert walls.max() == 9 * 850
    assert weights[:, OBJECT].max() <= 9 * 1100


def test_weights_of_one_geometry_are_those_among_all(weights: Weights) -> None:
    for scale, shape, orientation in ((0, CUBE, 14), (7, CAPSULE, 0), (3, SPHERE, 6)):
        one = rooms3d.geometry(rooms3d.view(orientation), scale, shape)
        assert np.array_equal(one, weights[number(scale, shape, orientation)])


def test_object_mirrors_when_the_camera_turns_the_other_way(weights: Weights) -> None:
    masks = (weights[:, OBJECT] > 0).reshape(8, 4, 15, 64, 64)
    mirrored = masks[:, :, ::-1, :, ::-1]
    assert (masks != mirrored).mean() < 0.002  # the camera stands 0.0034 beside the middle
    assert (masks != mirrored).mean(axis=(3, 4)).max() < 0.015


def test_object_mirrors_exactly_about_a_camera_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms3d, "CAMERA", (0.0, *rooms3d.CAMERA[1:]))
    for orientation, shape in ((1, CUBE), (4, CYLINDER), (0, SPHERE), (6, CAPSULE)):
        left = rooms3d.geometry(rooms3d.view(orientation), 5, shape)[OBJECT] > 0
        right = rooms3d.geometry(rooms3d.view(14 - orientation), 5, shape)[OBJECT] > 0
        assert np.array_equal(left, right[:, ::-1])


def within(shape: int, scale: int, x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether points lie in the object, by its definition."""
    x, y, z, size = np.asarray(x), np.asarray(y), np.asarray(z), rooms3d.SIZES[scale]
    if shape == CUBE:
        return (abs(x) <= size) & (abs(y) <= size) & (z >= 0) & (z <= 2 * size)
    if shape == CYLINDER:
        return (x**2 + y**2 <= (1.0293 * size) ** 2) & (z >= 0) & (z <= 2.0368 * size)
    if shape == SPHERE:
        return x**2 + y**2 + (z - size) ** 2 <= size**2
    radius, height = 0.7776 * size, 3.2166 * size
    return x**2 + y**2 + (z - np.clip(z, radius, height - radius)) ** 2 <= radius**2


@pytest.mark.parametrize("shape", [CUBE, CYLINDER, SPHERE, CAPSULE])
def test_object_and_shadow_are_where_small_steps_along_the_rays_meet_it(weights: Weights, shape: int) -> None:
    scale, orientation = 6, 11
    drawn = weights[number(scale, shape, orientation)].reshape(4, -1)
    room = rooms3d.view(orientation)
    middle = np.arange(4 * 4096, 5 * 4096)  # of the nine rays of each pixel, that through its centre
    dx, dy, dz = (axis[middle, None] for axis in room.rays)
    t = np.arange(2.4, 5.4, 0.004)  # rays are about as long as one: the object is 3.7 away
    x, y, z = room.camera[0] + t * dx, room.camera[1] + t * dy, room.camera[2] + t * dz
    met = within(shape, scale, x, y, z).any(axis=1)
    assert met.sum() > 200
    assert not met[drawn[OBJECT] == 0].any()
    assert met[(drawn[OBJECT] > 0) & (drawn[:3].sum(axis=0) == 0)].all()

    chosen = np.isin(room.floor, middle)
    pixel = room.floor[chosen] - middle[0]
    t = np.arange(0, 3.0, 0.004)
    x, y = room.x[chosen, None] + t * rooms3d.LIGHT[0], room.y[chosen, None] + t * rooms3d.LIGHT[1]
    dark = within(shape, scale, x, y, t * rooms3d.LIGHT[2]).any(axis=1)
    assert not dark[drawn[FLOOR, pixel] == WHOLE].any()
    in_shadow = (drawn[FLOOR, pixel] == 9 * 350) & (drawn[OBJECT, pixel] == 0)
    assert in_shadow.sum() > 20
    assert dark[in_shadow].all()


# --- the pictures -----------------------------------------------------------------------------------------------------


def test_hues_are_those_of_the_colour_wheel() -> None:
    assert HUES.tolist() == [[round(255 * part) for part in colorsys.hsv_to_rgb(h / 10, 1, 1)] for h in range(10)]


def test_pictures_are_weights_times_colours(weights: Weights) -> None:
    rows = np.random.default_rng(0).integers(480_000, size=100)
    floor, wall, thing, *geometry = np.unravel_index(rows, SIZES)
    colours = np.stack([np.tile(rooms3d.SKY_COLOUR, (100, 1)), HUES[floor], HUES[wall], HUES[thing]], axis=1)
    light = weights[np.ravel_multi_index(tuple(geometry), SIZES[3:])] / WHOLE
    exact = np.einsum("bmyx,bmc->bcyx", light, colours.astype(np.float64))
    drawn = render(weights, rows)
    assert np.abs(np.minimum(exact, 255) - drawn).max() <= 0.5 + 1e-9
    assert (drawn.dtype, drawn.shape, drawn.flags.c_contiguous) == (np.uint8, (100, 3, 64, 64), True)


def test_floats_are_bytes_over_255(weights: Weights) -> None:
    rows = np.random.default_rng(1).integers(480_000, size=37)
    pictures = ComputedPixels(480_000, (3, 64, 64), partial(render, weights))
    floats = Images(pictures, name="rooms").floats(rows)
    assert torch.equal(floats, torch.from_numpy(render(weights, rows)).float() / 255)


def test_a_row_is_the_same_picture_in_every_batch(weights: Weights) -> None:
    rows = np.random.default_rng(2).integers(480_000, size=130)
    together = render(weights, rows)
    assert np.array_equal(render(weights, rows[::-1]), together[::-1])
    assert np.array_equal(np.concatenate([render(weights, rows[i : i + 1]) for i in range(130)]), together)
    assert render(weights, rows[:0]).shape == (0, 3, 64, 64)


def test_mean_of_the_set_is_near_that_of_shapes3d(weights: Weights) -> None:
    turns = np.arange(10)  # each hue once for each material
    hues = np.ravel_multi_index((turns, (turns + 3) % 10, (turns + 7) % 10), SIZES[:3])
    total = np.zeros(3)
    for hue in hues:
        total += render(weights, hue * 480 + np.arange(480)).mean(axis=(0, 2, 3))
    mean = total / 10 / 255
    assert mean.tolist() == pytest.approx([0.492, 0.565, 0.592], abs=0.001)
    assert mean.tolist() == pytest.approx([0.503, 0.579, 0.603], abs=0.02)  # of the published images


@pytest.mark.usefixtures("at_hand")
def test_factors_are_those_of_shapes3d_in_their_order() -> None:
    images = load_data("rooms3d")
    assert (len(images), images.shape) == (480_000, (3, 64, 64))
    assert images.factor_names == DATASETS["shapes3d"].factor_names
    assert images.factor_sizes == DATASETS["shapes3d"].factor_sizes == SIZES
    assert images.factors is not None
    strides = [48_000, 4_800, 480, 60, 15, 1]
    assert np.array_equal(images.factors @ strides, np.arange(480_000))


def test_each_hue_colours_its_own_material(at_hand: Weights) -> None:
    images = load_data("rooms3d")
    codes = [2, 4, 8, 3, 1, 7]
    row = int(np.ravel_multi_index(tuple(codes), SIZES))
    light = at_hand[number(*codes[3:])]
    for material, stride in ((FLOOR, 48_000), (WALL, 4_800), (OBJECT, 480)):
        one, other = images.pixels([row, row + stride])
        assert np.array_equal((one != other).any(axis=0), light[material] > 4)  # less is rounded away


def script() -> ModuleType:
    """benchmarks/rooms3d.py, which compares with published frames."""
    spec = importlib.util.spec_from_file_location("compare_rooms3d", ROOT / "benchmarks" / "rooms3d.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_few_pixels_of_published_frames_have_another_label(weights: Weights) -> None:
    compare = script()
    frames = np.stack([np.asarray(Image.open(path)) for path in sorted(FRAMES.glob("*.png"))])
    assert frames.shape == (25, 64, 64, 3)
    codes = compare.fitting(frames, weights)
    assert codes[0].tolist() == [0, 1, 0, 7, 2, 4]  # a large red sphere before an orange wall, on a red floor
    assert codes[17].tolist() == [8, 7, 2, 1, 0, 12]  # a small lime cube before a blue wall, from the right
    shares = [
        (compare.labels(frame, found) != weights[number(*found[3:])].argmax(axis=0)).mean()
        for frame, found in zip(frames, codes, strict=True)
        if len(set(found[:3])) == 3  # else the labels cannot be told from the colours
    ]
    assert len(shares) == 14
    assert np.mean(shares) < 0.04
    assert max(shares) < 0.06


# --- the file in the cache folder -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_hand")
def test_weights_are_kept_in_one_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_data("rooms3d")
    before = (cache / FILE).stat()
    monkeypatch.delattr(rooms3d, "geometries")  # from here on they are read
    second = load_data("rooms3d")
    after = (cache / FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in cache.iterdir()] == [FILE]
    assert np.array_equal(first.pixels([7, 479_999]), second.pixels([7, 479_999]))
    assert first.digest() == second.digest() == f"rooms3d-{rooms3d.DIGEST}"


@pytest.mark.parametrize("how", ["truncated", "one bit", "other type", "text", "empty"])
def test_damaged_file_in_the_cache_is_drawn_again(how: str, cache: Path, at_hand: Weights) -> None:
    cache.mkdir()
    changed = at_hand.copy()
    changed[100, 2, 30, 30] ^= 1
    np.save(cache / FILE, {"one bit": changed, "other type": at_hand.astype(np.int64)}.get(how, at_hand))
    if how in ("text", "empty"):
        (cache / FILE).write_text("not an array" if how == "text" else "")
    if how == "truncated":
        with open(cache / FILE, "r+b") as file:
            file.truncate(1_000_000)
    images = load_data("rooms3d")
    assert images.digest() == f"rooms3d-{rooms3d.DIGEST}"
    assert np.array_equal(np.load(cache / FILE), at_hand)
    assert [path.name for path in cache.iterdir()] == [FILE]


def test_two_who_draw_at_once_both_get_all_pictures(cache: Path, at_hand: Weights) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load_data, ["rooms3d"] * 2)
    rows = np.arange(0, 480_000, 4_801)
    assert np.array_equal(first.pixels(rows), second.pixels(rows))
    assert [path.name for path in cache.iterdir()] == [FILE]
    assert np.array_equal(np.load(cache / FILE), at_hand)


def test_without_a_place_to_write_the_weights_live_in_memory(
    tmp_path: Path, at_hand: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("a file where a folder is needed")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "file" / "cache"))
    images = load_data("rooms3d")
    assert np.array_equal(images.pixels([123_456]), render(at_hand, np.array([123_456])))


@pytest.mark.usefixtures("at_hand")
def test_description_tells_whose_factors_they_are() -> None:
    told = load_data("rooms3d").describe()
    assert told["name"] == "rooms3d"
    assert told["images"] == 480_000
    assert "Burgess" in told["citation"]
    assert "Equipoise" in told["citation"]
