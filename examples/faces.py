"""Draw 8,000 cartoon faces of 64 x 64 pixels, and a table of the six numbers that each was drawn from.

    python examples/faces.py [FOLDER]
    equipoise train data=FOLDER/faces data.factors=FOLDER/faces.csv

The factors are independent and uniform in [0, 1]: the skin and the hair from light to dark, the width of the face, the
size of the eyes, the mouth from sad to happy, and the brows from worried to angry. It takes about half a minute.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FACTORS = ("skin", "hair", "width", "eyes", "mouth", "brows")
IMAGES, SIDE = 8000, 64
SCALE = 4  # the pixels of a drawing over those of an image, which has smooth edges then
SKIN = ((250, 220, 195), (95, 60, 40))  # lightest and darkest colour
HAIR = ((240, 205, 120), (25, 20, 25))

Colour = tuple[int, int, int]


def mix(colours: tuple[Colour, Colour], share: float) -> Colour:
    """Return a colour between two."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(*colours, strict=True))
    return red, green, blue


def face(skin: float, hair: float, width: float, eyes: float, mouth: float, brows: float) -> Image.Image:
    """Return the image of a face."""
    side = SIDE * SCALE
    picture = Image.new("RGB", (side, side), (225, 235, 240))
    draw = ImageDraw.Draw(picture)

    def x(value: float) -> float:
        """Pixels of a distance to the right of the middle, in sides of the image."""
        return side * (0.5 + value)

    def ellipse(at: float, down: float, across: float, high: float, colour: Colour) -> None:
        """Draw an ellipse around a point, with these half axes."""
        draw.ellipse([x(at - across), x(down - high), x(at + across), x(down + high)], fill=colour)

    half = 0.24 + 0.14 * width
    ellipse(0, -0.06, half + 0.05, 0.40, mix(HAIR, hair))
    ellipse(0, 0.03, half, 0.37, mix(SKIN, skin))
    eye = 0.025 + 0.045 * eyes
    tilt = 0.05 * (2 * brows - 1)
    for sign in (-1, 1):
        at = sign * 0.45 * half
        ellipse(at, -0.07, 1.25 * eye, eye, (255, 255, 255))
        ellipse(at, -0.07, 0.5 * eye, 0.6 * eye, (30, 30, 60))
        inner, outer = (x(at - sign * 0.07), x(-0.165 + tilt)), (x(at + sign * 0.07), x(-0.165 - tilt))
        draw.line([inner, outer], fill=(60, 35, 25), width=side // 28)
    bend = 0.12 * (2 * mouth - 1)
    curve = [(x(0.14 * t), x(0.22 + bend * (0.5 - t * t))) for t in np.linspace(-1, 1, 21)]
    draw.line(curve, fill=(150, 30, 40), width=side // 26, joint="curve")
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main(folder: Path) -> None:
    """Write the images and the table into a folder."""
    images, table = folder / "faces", folder / "faces.csv"
    images.mkdir(parents=True, exist_ok=True)
    rows = np.random.default_rng(0).uniform(size=(IMAGES, len(FACTORS)))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *FACTORS])
        for number, row in enumerate(rows):
            name = f"{number:04}.png"
            face(*row).save(images / name)
            writer.writerow([name, *(f"{value:.4f}" for value in row)])
    print(f"wrote {images} and {table}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
