"""Rooms3D: 480,000 rendered colour pictures of an object in a room, with the six factors of Shapes3D.

A substitute for Shapes3D (Burgess and Kim 2018, https://github.com/google-deepmind/3d-shapes) that needs no download.
Names, order, sizes and values of the factors are the same. The pictures differ: the scene was fitted to published
frames, and docs/rooms3d.md shows both side by side.

Rays are cast once for each of the 480 geometries (scale, shape, orientation). A geometry is stored as the weight of
each material in each pixel. A picture is these weights times the colours of its three hues.

The bytes are the same on every machine. Sines and cosines are rounded to 30 bits, where libraries agree. Then follow
sums, products, quotients and roots of single numbers, for which IEEE 754 prescribes the rounding; and sums of whole
thousandths below 2**24, which are exact in single precision in any order.
"""

import hashlib
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.data.pixels import Bytes, ComputedPixels, Indices
from equipoise.data.store import cache_folder
from equipoise.files import replacing

FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
N = 480_000
GEOMETRIES = 480  # combinations of the last three factors
CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
SKY, FLOOR, WALL, OBJECT = range(4)

# The scene: x to the right, y into the picture, z upwards. The object stands on the floor at x = y = 0.
CAMERA = (-0.0034, -3.6846, 1.2718)  # before orientation turns it about the z axis
PITCH, FOCAL = 0.104, 88.92  # radians downwards; pixels
AZIMUTHS = np.deg2rad(np.linspace(-30, 30, 15))
SIDE, HEIGHT = 2.7817, 1.6518  # the floor is |x|, |y| <= SIDE; walls on three sides, no ceiling
SIZES = 0.3161 + (0.5933 - 0.3161) * np.arange(8) / 7
RADII = (1.0, 1.0293, 1.0, 0.7776)  # of each shape, times its size; of the cube, half a side
HEIGHTS = (2.0, 2.0368, 2.0, 3.2166)
_X, _Y, _Z = -0.45, -0.5, 0.74
LIGHT = np.array([_X, _Y, _Z]) / np.sqrt(_X * _X + _Y * _Y + _Z * _Z)  # towards it; it does not turn with the camera

# Shades in thousandths of the colour: lit in full, and the floor where the object is before the light.
FULL, SHADOW = 1000, 350
SAMPLES = 3  # rays in a pixel, across and down
WHOLE = FULL * SAMPLES**2  # weight of a material that fills a pixel in full light

# Colours, 0..255. The hues are 0, 36 .. 324 degrees at full saturation and value; all fall on whole numbers.
SKY_COLOUR = (155, 224, 250)
HUES = 255 * np.clip(abs((6 * np.arange(10)[:, None] + (0, 40, 20)) % 60 - 30) - 10, 0, 10) // 10  # [10, RGB]

DIGEST = "3dd38cbee5de86c97f6ce5f8189c28ac2637328f60a727f4988c75daad80929e"  # SHA-256 of the weights
_FILE = "rooms3d-64x64-weights.npy"  # in the cache folder
_AT_ONCE = 16  # pictures rendered at once: they stay in the cache of a core

_Floats = npt.NDArray[np.float64]
_Number = float | _Floats
_Vector = tuple[_Number, _Number, _Number]
_Span = tuple[_Floats, _Floats]  # where lines enter a body and where they leave it
Weights = npt.NDArray[np.uint16]


class View(NamedTuple):
    """The view of the empty room from the camera at one orientation; R = 3 * 3 * 64 * 64 rays, the samples first.

    camera: where it is; rays: their directions, of any length, each [R]; material, shade: of what they meet, [R], the
    shade in thousandths; floor: the rays that meet the floor, at the places x, y.
    """

    camera: tuple[np.float64, np.float64, np.float64]
    rays: tuple[_Floats, _Floats, _Floats]
    material: Bytes
    shade: Weights
    floor: Indices
    x: _Floats
    y: _Floats


def view(orientation: int) -> View:
    """The view of the empty room from the camera at an orientation 0..14."""
    offset = (np.arange(64) + (np.arange(SAMPLES)[:, None] + 0.5) / SAMPLES - 32) / FOCAL  # [sample, pixel]
    samples = (SAMPLES, SAMPLES, 64, 64)
    across = np.broadcast_to(offset[None, :, None, :], samples).ravel()
    down = np.broadcast_to(offset[:, None, :, None], samples).ravel()
    cos, sin = _turn(PITCH)
    ahead, up = cos - down * sin, -down * cos - sin
    cos, sin = _turn(AZIMUTHS[orientation])
    camera = CAMERA[0] * cos - CAMERA[1] * sin, CAMERA[0] * sin + CAMERA[1] * cos, np.float64(CAMERA[2])
    rays = across * cos - ahead * sin, across * sin + ahead * cos, up

    # Every ray starts in front of the open side, runs towards positive y, and ends where it first meets the plane of
    # the floor or of a wall.
    to_side = (np.copysign(SIDE, rays[0]) - camera[0]) / rays[0]
    to_back = (SIDE - camera[1]) / rays[1]
    to_wall = np.minimum(to_side, to_back)
    to_floor = np.where(up < 0, -camera[2] / up, np.inf)
    wall = camera[2] + to_wall * up <= HEIGHT
    material = np.where(to_floor < to_wall, FLOOR, np.where(wall, WALL, SKY)).astype(np.uint8)
    towards_light = np.where(to_side < to_back, -np.sign(rays[0]) * LIGHT[0], -LIGHT[1])
    shade = np.where(material == WALL, _shade(600, 500, towards_light), FULL).astype(np.uint16)
    floor = np.flatnonzero(material == FLOOR)
    x, y = (camera[axis] + to_floor[floor] * rays[axis][floor] for axis in (0, 1))
    return View(camera, rays, material, shade, floor, x, y)


def geometry(room: View, scale: int, shape: int) -> Weights:
    """The weights of sky, floor, wall and object in each pixel, uint16 [4, 64, 64] in units of 1 / WHOLE.

    The weight of a material is the mean over the rays of the pixel of the shade of those that meet it, 0 to 1.1.
    """
    material, shade, size = room.material.copy(), room.shade.copy(), SIZES[scale]
    enter, leave = _span(shape, size, (room.x, room.y, np.zeros_like(room.x)), (LIGHT[0], LIGHT[1], LIGHT[2]))
    shade[room.floor[(enter <= leave) & (leave > 0)]] = SHADOW

    enter, leave = _span(shape, size, room.camera, room.rays)
    hit = np.flatnonzero(enter <= leave)  # nothing is in front of the object
    x, y, z = (origin + enter[hit] * ray[hit] for origin, ray in zip(room.camera, room.rays, strict=True))
    material[hit], shade[hit] = OBJECT, _shade(750, 350, _towards_light(shape, size, x, y, z))

    material, shade = material.reshape(-1, 64, 64), shade.reshape(-1, 64, 64)
    return np.stack([np.where(material == m, shade, 0).sum(axis=0, dtype=np.uint16) for m in range(4)])


def geometries() -> Weights:
    """The weights of all geometries, uint16 [480, 4, 64, 64], orientation running fastest; about a second of work."""
    weights = np.empty((*FACTOR_SIZES[3:], 4, 64, 64), np.uint16)
    for orientation in range(15):
        room = view(orientation)
        for scale, shape in np.ndindex(8, 4):
            weights[scale, shape, orientation] = geometry(room, scale, shape)
    return weights.reshape(GEOMETRIES, 4, 64, 64)


def render(weights: Weights, rows: Indices) -> Bytes:
    """Pixels 0..255 of the pictures at `rows`, uint8 [B, 3, 64, 64], from the weights of all geometries."""
    pictures = np.empty((len(rows), 3, 64, 64), np.uint8)
    hues, geometry = np.divmod(rows, GEOMETRIES)
    floor, wall, thing = np.unravel_index(hues, FACTOR_SIZES[:3])
    colours = np.empty((len(rows), 3, 4), np.float32)
    colours[..., SKY] = SKY_COLOUR
    colours[..., FLOOR], colours[..., WALL], colours[..., OBJECT] = HUES[floor], HUES[wall], HUES[thing]
    for first in range(0, len(rows), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        values = np.matmul(colours[part], weights[geometry[part]].reshape(-1, 4, 64 * 64).astype(np.float32))
        values /= np.float32(WHOLE)
        pictures[part] = np.rint(np.minimum(values, 255, out=values), out=values).reshape(-1, 3, 64, 64)
    return pictures


def load() -> Images:
    """Rooms3D as Images: 480,000 of (3, 64, 64) on the full grid of the factors of Shapes3D.

    The weights (16 MB) are read from a file in the cache folder, which is written if it is missing or damaged. If it
    cannot be written, they are computed each time.
    """
    weights = _read_weights()
    if weights is None:
        weights = geometries()
        with suppress(OSError, RuntimeError), replacing(cache_folder() / _FILE) as file:  # no permission, room or home
            np.lib.format.write_array(file, weights, allow_pickle=False)
    return Images(
        ComputedPixels(N, (3, 64, 64), partial(render, weights)),
        name=ROOMS3D.name,
        factors="grid",
        factor_names=FACTOR_NAMES,
        factor_sizes=FACTOR_SIZES,
        source="rendered by equipoise.data.sets.rooms3d",
        licence=ROOMS3D.licence,
        citation=ROOMS3D.citation,
        digest=f"rooms3d-{digest(weights)}",
    )


def digest(weights: Weights) -> str:
    """SHA-256 of weights, independent of the byte order of the machine."""
    return hashlib.sha256(weights.astype("<u2").tobytes()).hexdigest()


def _read_weights() -> Weights | None:
    """The weights from the file in the cache folder; None if it is missing or damaged."""
    try:
        with open(cache_folder() / _FILE, "rb") as file:
            weights: Weights = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, RuntimeError, ValueError, EOFError):
        return None
    whole = weights.shape == (GEOMETRIES, 4, 64, 64) and weights.dtype == np.uint16
    return weights if whole and digest(weights) == DIGEST else None


# --- rays and shapes --------------------------------------------------------------------------------------------------


def _turn(angle: float) -> tuple[np.float64, np.float64]:
    """Cosine and sine, rounded to 30 bits after the point."""
    return np.rint(np.cos(angle) * 2**30) / 2**30, np.rint(np.sin(angle) * 2**30) / 2**30


def _shade(dark: int, gain: int, towards_light: _Floats) -> _Floats:
    """Shade in whole thousandths of a surface, from the cosine between its normal and the light."""
    shade: _Floats = np.rint(dark + gain * np.maximum(towards_light, 0))
    return shade


def _span(shape: int, size: float, origin: _Vector, ray: _Vector) -> _Span:
    """Where lines origin + t * ray enter and leave the object, as t; for a line that misses it, enter > leave."""
    radius, height = RADII[shape] * size, HEIGHTS[shape] * size
    (x, y, z), (dx, dy, dz) = origin, ray
    if shape == CUBE:
        return _intersection(_slab(-radius, radius, x, dx), _slab(-radius, radius, y, dy), _slab(0, height, z, dz))
    if shape == CYLINDER:
        return _intersection(_round_body(radius, (x, dx), (y, dy)), _slab(0, height, z, dz))
    if shape == SPHERE:
        return _round_body(radius, (x, dx), (y, dy), (z - radius, dz))
    parts = (
        _round_body(radius, (x, dx), (y, dy), (z - radius, dz)),
        _intersection(_round_body(radius, (x, dx), (y, dy)), _slab(radius, height - radius, z, dz)),
        _round_body(radius, (x, dx), (y, dy), (z - (height - radius), dz)),
    )
    enters = [np.where(enter <= leave, enter, np.inf) for enter, leave in parts]
    leaves = [np.where(enter <= leave, leave, -np.inf) for enter, leave in parts]
    return np.minimum.reduce(enters), np.maximum.reduce(leaves)


def _slab(low: float, high: float, origin: _Number, ray: _Number) -> _Span:
    """Where lines are between two planes."""
    first, second = (low - origin) / ray, (high - origin) / ray
    return np.minimum(first, second), np.maximum(first, second)


def _round_body(radius: float, *axes: tuple[_Number, _Number]) -> _Span:
    """Where lines are within a radius of the origin, measured along two axes (a cylinder) or three (a sphere)."""
    a = sum(ray * ray for _, ray in axes)
    b = sum(origin * ray for origin, ray in axes)
    square = b * b - a * (sum(origin * origin for origin, _ in axes) - radius * radius)
    root = np.sqrt(np.maximum(square, 0))
    return np.where(square < 0, np.inf, (-b - root) / a), np.where(square < 0, -np.inf, (root - b) / a)


def _intersection(*spans: _Span) -> _Span:
    """Where lines are in all of several convex bodies."""
    return np.maximum.reduce([enter for enter, _ in spans]), np.minimum.reduce([leave for _, leave in spans])


def _towards_light(shape: int, size: float, x: _Floats, y: _Floats, z: _Floats) -> _Floats:
    """Cosine between the light and the normal of the object, at points of its surface."""
    radius, height = RADII[shape] * size, HEIGHTS[shape] * size
    cosine: _Floats
    if shape == CUBE:
        side = np.where(abs(x) > abs(y), np.sign(x) * LIGHT[0], np.sign(y) * LIGHT[1])
        cosine = np.where(z - radius > np.maximum(abs(x), abs(y)), LIGHT[2], side)
    elif shape == CYLINDER:
        cosine = np.where(z > height - 1e-9, LIGHT[2], (x * LIGHT[0] + y * LIGHT[1]) / radius)
    else:
        rise = z - np.clip(z, radius, height - radius)  # above or below the nearest point of the axis
        cosine = (x * LIGHT[0] + y * LIGHT[1] + rise * LIGHT[2]) / radius
    return cosine


ROOMS3D = Dataset(
    name="rooms3d",
    summary="480,000 rendered pictures of an object in a room with the factors of Shapes3D: 10 hues each of floor, "
    "wall and object, 8 scales, 4 shapes, 15 orientations; it needs no download",
    draw=load,
    images=N,
    shape=(3, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home="https://github.com/google-deepmind/3d-shapes",
    licence="Apache-2.0",
    citation="rendered by Equipoise with the factors of C. Burgess and H. Kim: 3D Shapes Dataset, 2018, "
    "https://github.com/google-deepmind/3d-shapes",
)
DATASETS = (ROOMS3D,)
