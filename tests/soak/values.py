"""Random settings, and files that no camera and no program wrote."""

import dataclasses
import io
import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from folders import attempt
from PIL import Image
from processes import prepare, require

from equipoise import codes, config, load_data, load_model, report, runs
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.methods import METHODS
from equipoise.study import plan

VALUES = (
    *("0", "-1", "1", "3", "0.5", "1e300", "-1e-300", "nan", "inf", "true", "''", "x", "[]", "[1, 2]", "[[1]]", "{}"),
    *("18446744073709551615", "18446744073709551616", "9" * 5000, "[" * 3000, '"a\\u0000b"', "{a = 1}", "1979-05-27"),
    *("16", "8", ".5", "1e9", "['mig']", "{kl = 1.0}", "'é'", "a/../b", "-", "=", "1:2", "0.1%:99.9%", "mlp_lvae"),
)
TINY = {"data": "data.npz", "net": "small", "train.steps": 2, "train.batch": 16, "evaluate.which": ["sse"]}


class Settings:
    """Random values for random settings of every method; one in fifty of those that are accepted is trained."""

    def __init__(self, folder: Path) -> None:
        os.chdir(prepare(folder))
        report.write = lambda run: write_text(run.path / "report.html", "drawn")  # type: ignore[assignment]

    def trial(self, rng: random.Random, number: int) -> int:  # noqa: ARG002
        """Resolve one set of settings. Returns 1."""
        method = rng.choice(list(METHODS))
        fields = [
            f"{name}.{field.name}" for name, kind in config.SECTIONS.items() for field in dataclasses.fields(kind)
        ]
        own = [f"method.{field.name}" for field in dataclasses.fields(METHODS[method])]
        words = [
            f"{rng.choice([*fields, *own, *own, 'out', 'net'])}={rng.choice(VALUES)}"
            for _ in range(rng.choice((1, 1, 2, 3)))
        ]
        what = f"{method} {' '.join(words)}"
        found: list[config.Config] = []

        def resolve() -> None:
            try:
                found.append(config.resolve(TINY | {"method": method, "out": "run"} | config.parse(words)))
            except InputError as error:
                require(len(str(error)) < 2000, f"{what}: a sentence of {len(str(error))} characters")
                raise

        if attempt(resolve, what) and rng.random() < 0.02 and found[0].train.steps <= 16 and "devices" not in what:
            attempt(lambda: runs.execute(found[0], progress=False), what)
            shutil.rmtree(found[0].out, ignore_errors=True)
        return 1


class Hostile:
    """Files with random bytes, false headers and false sizes, given as images, codes, settings, studies and models."""

    def __init__(self, folder: Path) -> None:
        os.chdir(prepare(folder))
        image = io.BytesIO()
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(image, "png")
        tiff = io.BytesIO()
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tiff, "tiff")
        array = io.BytesIO()
        np.save(array, np.zeros((4, 8, 8), np.uint8))
        self.sources = {
            "png": image.getvalue(),
            "tif": tiff.getvalue(),
            "npy": array.getvalue(),
            "npz": Path("data.npz").read_bytes(),
            "csv": b"file,a\n0.png,1\n1.png,2\n",
            "toml": b'method.name = "vae"\ndata.name = "data.npz"\ntrain.steps = 2\n',
            "json": b'{"format": 1}',
            "h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        }

    def trial(self, rng: random.Random, number: int) -> int:
        """Read one file by every door. Returns 1."""
        kind = rng.choice(list(self.sources))
        place = Path(f"hostile {number}")
        place.mkdir()
        path = place / f"0.{kind}"
        path.write_bytes(self._content(kind, rng))
        (place / "config.json").write_bytes(self._content("json", rng))
        doors: tuple[Callable[[], object], ...] = (
            lambda: load_data(path).floats(np.arange(1)),
            lambda: load_data(place).floats(np.arange(1)),
            lambda: load_data("data.npz", factors=str(path)),
            lambda: codes.load(path),
            lambda: config.load(path),
            lambda: plan.read_file(path),
            lambda: load_model(place),
            lambda: runs.open_run(place),
        )
        for number, door in enumerate(doors):
            attempt(door, f"{path.resolve()}, door {number}")
        shutil.rmtree(place)
        return 1

    def _content(self, kind: str, rng: random.Random) -> bytes:
        """The content of a file of this kind, changed."""
        content = bytearray(self.sources[kind])
        match rng.randrange(6):
            case 0:
                return rng.randbytes(rng.choice((0, 1, 100, 5000)))
            case 1:
                return bytes(content[: rng.randrange(len(content))])
            case 2:
                return bytes(content[: rng.randrange(1, 12)]) + rng.randbytes(200)
            case 3:
                return _announcing(rng)
            case 4:
                return b"[" * 20_000
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content)


def _announcing(rng: random.Random) -> bytes:
    """An .npy, or an .npz of it, that announces far more values than it has, or objects to be unpickled."""
    shape, kind = (
        rng.choice(((10**9, 1), (10**12, 8), (2**62, 4), (4, 8, 8), (-1, 3))),
        rng.choice(("|u1", "<f8", "|O")),
    )
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64
    if rng.random() < 0.5:
        return array
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", array)
        file.writestr("mean.npy", array)
    return archive.getvalue()
