"""A folder of spectra: a text or .npy file for each vector."""

import os
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise.data import npz
from equipoise.data.columns import Values
from equipoise.data.tables import KINDS
from equipoise.errors import InputError
from equipoise.natural import natural_key
from equipoise.text_column import floats, may_be_grouped

TEXTS = (".csv", ".tsv", ".txt", ".dat")
FILES = (*TEXTS, ".npy")


def are_in(folder: Path) -> bool:
    """Whether a folder has spectra: files of one kind of `FILES`, beside a table of factors, and nothing else."""
    kinds = set()
    if not os.access(folder, os.R_OK | os.X_OK):
        return False
    with os.scandir(folder) as entries:
        for entry in entries:
            kind = Path(entry.name).suffix.lower()
            if not _is_visible(entry.name):
                continue
            if kind not in FILES or not entry.is_file():
                return False
            kinds.add(kind)
    return len(kinds) == 1


def read(folder: Path) -> tuple[list[str], list[str] | None, Values]:
    """Return the names of the files in natural order, the positions as text if there are any, and the values [N, V].

    A text file has a line for each value: the value alone, or a position and the value, which may follow a header and
    lines that begin with #. With tabs or semicolons between the cells, a comma is decimal. Raises `InputError` for
    other lines, for positions that are not in order, and for files of other lengths or positions.
    """
    files = sorted(filter(_is_visible, os.listdir(folder)))
    files.sort(key=natural_key(files))
    first: npt.NDArray[np.float64] | None = None
    rows = []
    for name in files:
        spectrum = _spectrum(folder / name)
        first = spectrum if first is None else first
        if spectrum.shape != first.shape:
            raise InputError(
                f"{folder}: {name} has {len(spectrum)} lines of {spectrum.shape[1]} numbers, and {files[0]} "
                f"{len(first)} of {first.shape[1]}; bring all to the same positions"
            )
        if first.shape[1] == 2 and not _are_equal(spectrum[:, 0], first[:, 0]):
            raise InputError(f"{folder}: {name} has other positions than {files[0]}; interpolate all to the same ones")
        rows.append(spectrum[:, -1])
    assert first is not None  # as `are_in` found a file
    return files, [f"{place:.10g}" for place in first[:, 0]] if first.shape[1] == 2 else None, np.stack(rows)


def _are_equal(positions: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> bool:
    """Whether positions differ by at most a hundredth of the smallest step between them."""
    step = np.abs(np.diff(others)).min() if len(others) > 1 else abs(others[0])
    return bool((np.abs(positions - others) <= step / 100).all())


def _is_visible(name: str) -> bool:
    """Whether a file is neither hidden nor a table of factors."""
    return not name.startswith(".") and name not in {f"factors{kind}" for kind in KINDS}


def _spectrum(path: Path) -> npt.NDArray[np.float64]:
    """The numbers of a file, [V, 1] or [V, 2]."""
    if path.suffix.lower() == ".npy":
        array = npz.memory_map(path)
        if array.dtype.kind not in "biuf" or array.size != max(array.shape, default=0):
            raise InputError(
                f"{path} has {array.dtype} {list(array.shape)}; expected the numbers of one spectrum, [V]. Save images "
                "to one .npy file [N, H, W], with np.stack"
            )
        return array.astype(np.float64).reshape(-1, 1)
    with npz.naming(path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    places = [number for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    rows: list[list[float]] = []
    decimals: list[str] = []  # cells with a decimal comma
    for number in places:
        cells = _cells(lines[number - 1].strip())
        numbers = floats([cell.replace(",", ".") for cell in cells])
        if numbers is None and number == places[0]:
            continue  # the header
        decimals += [cell.strip() for cell in cells if "," in cell]
        rows.append([] if numbers is None else numbers.tolist())
        if len(rows[-1]) not in (1, 2) or len(rows[-1]) != len(rows[0]):
            raise InputError(f"{path}: line {number} is neither a number nor a position and a number, like the others")
    if not rows:
        raise InputError(f"{path} has no numbers; give a line for each value, or remove the file")
    if decimals and may_be_grouped(decimals):
        raise InputError(
            f"{path} has {decimals[0]!r}, which may be one number or several digits grouped; write numbers with a "
            "decimal point and no groups"
        )
    values = np.array(rows)
    steps = np.diff(values[:, 0])
    if values.shape[1] == 2 and not ((steps > 0).all() or (steps < 0).all()):
        raise InputError(
            f"{path}: the first numbers of its lines neither rise nor fall throughout, so they are no positions; sort "
            "the lines, or write a decimal point where the comma is one"
        )
    return values


def _cells(line: str) -> list[str]:
    """The cells of a line, separated by tabs or semicolons, and else by commas, or else by spaces."""
    if re.search(r"[;\t]", line):
        return re.split(r"[;\t]", line)
    return line.split(",") if "," in line else line.split()
