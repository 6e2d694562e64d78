"""Comparison of Rooms3D with published frames of Shapes3D: factors, differences, and the pictures of docs/rooms3d.md.

    python benchmarks/rooms3d.py [--frames FOLDER] [--out FOLDER]

The frames have no factor labels. The hues are the nearest ones at positions that always show the floor, the wall and
the object. The geometry is the one of the 480 whose regions (sky, floor, shadow, object, back, left and right wall)
leave the least variance of colour within them. Each pixel is labelled as sky, floor, wall or object: in a frame by the
nearest colour, darkened or not, which needs three different hues; in the rendering by the largest weight.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from equipoise.data import load_data
from equipoise.data.sets import rooms3d

ROOT = Path(__file__).parent.parent
REGIONS = 7
Array = Any  # of numpy


def hues(frame: Array) -> list[int]:
    """Return the hue codes of floor, wall and object in a frame, uint8 [64, 64, 3]."""
    colours = rooms3d.HUES / np.linalg.norm(rooms3d.HUES, axis=1, keepdims=True)
    places = frame[62:, :4], frame[26:32, 2:6], frame[42:48, 31:34]
    return [int(np.bincount((place.reshape(-1, 3) @ colours.T).argmax(axis=1)).argmax()) for place in places]


def regions(weights: Array) -> Array:
    """Return the region of every pixel of every geometry, one-hot float32 [480, 7, 4096]."""
    flat = weights.reshape(rooms3d.GEOMETRIES, 4, -1)
    region = flat.argmax(axis=1)
    shade = flat.max(axis=1) / rooms3d.WHOLE
    wall = region == rooms3d.WALL
    region[(region == rooms3d.FLOOR) & (shade < 0.7)] = 4
    region[wall & (shade < 0.7)] = 5  # the left wall, whose shade is 0.6
    region[wall & (shade > 0.7) & (shade < 0.84)] = 6  # the right wall, 0.825; the back wall has 0.85
    return (region[:, None] == np.arange(REGIONS)[:, None]).astype(np.float32)


def fitting(frames: Array, weights: Array) -> Array:
    """Return the factor codes, int64 [n, 6], of frames, uint8 [n, 64, 64, 3]."""
    masks = regions(weights)
    pixels = frames.transpose(1, 2, 0, 3).reshape(4096, -1).astype(np.float32)
    sums = (masks.reshape(-1, 4096) @ pixels).reshape(*masks.shape[:2], len(frames), 3)
    # The variance within regions is the total variance, the same for every geometry, minus that of the means.
    between = (sums**2 / np.maximum(masks.sum(axis=2), 1)[:, :, None, None]).sum(axis=(1, 3))
    geometry = np.stack(np.unravel_index(between.argmax(axis=0), rooms3d.ROOMS3D.factor_sizes[3:]), axis=1)
    return np.hstack([[hues(frame) for frame in frames], geometry])


def labels(frame: Array, codes: Array) -> Array:
    """Return sky 0, floor 1, wall 2 or object 3 for each pixel of a frame, int64 [64, 64]."""
    colours = np.vstack([rooms3d.SKY_COLOUR, rooms3d.HUES[codes[:3]]]).astype(np.float64)
    pixels = frame[:, :, None].astype(np.float64)
    shade = np.clip((pixels * colours).sum(axis=-1) / (colours**2).sum(axis=-1), [1, 0.3, 0.3, 0.3], [1, 1.2, 1.2, 1.2])
    return ((pixels - shade[..., None] * colours) ** 2).sum(axis=-1).argmin(axis=-1)


def pairs(frames: Array, drawn: Array) -> Image.Image:
    """Return five times five pairs, a frame on the left and its rendering on the right."""
    picture = Image.new("RGB", (5 * 268, 5 * 138), "white")
    for k, both in enumerate(zip(frames, drawn, strict=True)):
        for side, image in enumerate(both):
            place = k % 5 * 268 + side * 130, k // 5 * 138
            picture.paste(Image.fromarray(image).resize((128, 128), Image.Resampling.NEAREST), place)
    return picture


def traversals() -> Image.Image:
    """Return a row for each factor, which varies while the others are fixed."""
    images = load_data("rooms3d")
    codes = np.tile([5, 7, 1, 5, 0, 9], (6, 10, 1))
    for k, size in enumerate(images.factor_sizes):
        codes[k, :, k] = np.linspace(0, size - 1, 10).astype(np.int64)
    pixels = images.pixels(np.ravel_multi_index(tuple(codes.reshape(-1, 6).T), images.factor_sizes))
    picture = Image.new("RGB", (10 * 98, 6 * 98), "white")
    for i, image in enumerate(pixels):
        frame = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).resize(
            (96, 96), Image.Resampling.NEAREST
        )
        picture.paste(frame, (i % 10 * 98, i // 10 * 98))
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description="Rooms3D beside published frames of Shapes3D")
    parser.add_argument("--frames", type=Path, default=ROOT / "tests" / "golden" / "rooms3d", help="folder of .png")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder for the pictures")
    args = parser.parse_args()
    names = sorted(args.frames.glob("*.png"))
    frames = np.stack([np.asarray(Image.open(name)) for name in names])
    weights = rooms3d.geometries()
    codes = fitting(frames, weights)
    rows = np.ravel_multi_index(tuple(codes.T), rooms3d.ROOMS3D.factor_sizes)
    drawn = load_data("rooms3d").pixels(rows).transpose(0, 2, 3, 1)

    print(f"{'frame':<16}{'factors':<24}{'other label':>12}{'mean |difference| of 255':>26}")
    shares = []
    for k, name in enumerate(names):
        share = "-"
        if len(set(codes[k, :3])) == 3:
            seen = weights[rows[k] % rooms3d.GEOMETRIES].argmax(axis=0)
            shares.append(float((labels(frames[k], codes[k]) != seen).mean()))
            share = f"{shares[-1]:.1%}"
        difference = np.abs(frames[k].astype(np.int64) - drawn[k]).mean()
        print(f"{name.stem:<16}{' '.join(map(str, codes[k])):<24}{share:>12}{difference:>26.1f}")
    print(f"{np.mean(shares):.1%} of the pixels of {len(shares)} frames with three different hues have another label")
    pairs(frames, drawn).save(args.out / "rooms3d-published.png", optimize=True)
    traversals().save(args.out / "rooms3d.png", optimize=True)
    print(f"wrote {args.out / 'rooms3d-published.png'} and rooms3d.png")


if __name__ == "__main__":
    main()
