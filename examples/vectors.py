"""Write a table and spectra whose factors are known: `python examples/vectors.py FOLDER`.

table.csv has 1,000 rows of 20 named columns in different units, which follow four factors; table_factors.csv has these.
spectra.npy has 1,000 spectra at 200 wavelengths, each of two Gaussian peaks on a sloping line, and spectra_factors.csv
its three factors. spectra.csv has the same spectra, with the wavelengths as names of columns. The folder measured has
the first 200, each in a file of wavelengths and values, and factors.csv.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ROWS, FILES = 1000, 200
GROUPS = {
    "size": ("height", "width", "length", "weight", "area"),
    "age": ("rings", "years", "scars", "wear", "grey"),
    "light": ("lux", "hours", "red", "blue", "uv"),
    "water": ("rain", "depth", "salt", "flow", "mud"),
}
WAVELENGTHS = np.linspace(400, 798, 200)


def table(seed: int = 0) -> tuple[Array, Array]:
    """Return values [1000, 20] of the columns in `GROUPS`, and their factors [1000, 4], each one of ten values."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(10, size=(ROWS, len(GROUPS))) / 9
    columns = []
    for k in range(len(GROUPS)):
        u = 2 * factors[:, k] - 1
        for curve in (u, -u, u + 0.3 * u**2, np.tanh(2 * u), np.exp(u)):
            unit = 10.0 ** rng.integers(-2, 4)
            columns.append(unit * (curve + 5 + 0.1 * rng.normal(size=ROWS)))
    return np.stack(columns, 1), factors


def spectra(seed: int = 0) -> tuple[Array, Array]:
    """Return spectra [1000, 200] and their factors [1000, 3]: position and height of the first peak, and the slope."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(12, size=(ROWS, 3)) / 11
    position, height, slope = (factors[:, [k]] for k in range(3))
    first = (0.4 + 1.2 * height) * np.exp(-(((WAVELENGTHS - 480 - 100 * position) / 30) ** 2) / 2)
    second = 0.8 * np.exp(-(((WAVELENGTHS - 690) / 25) ** 2) / 2)
    line = (slope - 0.5) * (WAVELENGTHS - 599) / 199
    return first + second + line + 0.02 * rng.normal(size=(ROWS, len(WAVELENGTHS))), factors


def write(path: Path, header: Sequence[str], rows: Array) -> None:
    """Write a table with six digits."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{value:.6g}" for value in row] for row in rows)


def main(folder: Path) -> None:
    """Write all files to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    values, factors = table()
    write(folder / "table.csv", [name for names in GROUPS.values() for name in names], values)
    write(folder / "table_factors.csv", list(GROUPS), factors)
    values, factors = spectra()
    np.save(folder / "spectra.npy", values.astype(np.float32))
    write(folder / "spectra.csv", [f"{wavelength:g}" for wavelength in WAVELENGTHS], values)
    write(folder / "spectra_factors.csv", ["position", "height", "slope"], factors)
    (folder / "measured").mkdir(exist_ok=True)
    for number, spectrum in enumerate(values[:FILES]):
        write(folder / "measured" / f"{number:03}.csv", ["wavelength", "value"], np.stack([WAVELENGTHS, spectrum], 1))
    names = np.array([[f"{number:03}.csv"] for number in range(FILES)])
    texts = np.concatenate([names, np.char.mod("%.6g", factors[:FILES])], axis=1)
    with open(folder / "measured" / "factors.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["file", "position", "height", "slope"], *texts])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
