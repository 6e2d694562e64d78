"""Every published set in its own format, with few values for each factor: its files, and what must come of them."""

import gzip
import io
import math
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.io import savemat

from equipoise.data import DATASETS
from equipoise.data.converters import smallnorb
from equipoise.data.pixels import Bytes

Convert = Callable[[Path, Path], None]


class Small(NamedTuple):
    """A set on the disk: what it is converted from, by what, and the images and factors that must come out."""

    source: Path
    convert: Convert
    images: Bytes
    factors: npt.NDArray[np.int64] | None


def converter(name: str, sizes: tuple[int, ...] = (), **how: Any) -> Convert:
    """The conversion of a set, with few values for each factor."""
    dataset = DATASETS[name]
    if sizes:
        dataset = replace(dataset, factor_sizes=sizes, images=math.prod(sizes))
    assert dataset.convert is not None
    return partial(dataset.convert, dataset, **how)


def grid(sizes: tuple[int, ...]) -> npt.NDArray[np.int64]:
    return np.indices(sizes).reshape(len(sizes), -1).T


def pictures(n: int, side: int, channels: int = 3, seed: int = 0) -> Bytes:
    """n different pictures, [n, side, side, channels], or [n, side, side] in grey; large ones are of squares."""
    if side > 64:
        times = -(-side // 32)
        return pictures(n, 32, channels, seed).repeat(times, axis=1).repeat(times, axis=2)[:, :side, :side]
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    wave = rng.uniform(1, 9, (3, n, 1, 1, channels))
    picture = 127 + 60 * np.sin(wave[0] * x[..., None] + wave[2]) + 60 * np.sin(wave[1] * y[..., None])
    return picture.astype(np.uint8) if channels > 1 else picture[..., 0].astype(np.uint8)


def to_64(pictures: Bytes, crop: int | None = None) -> Bytes:
    """As Pillow resizes each picture, [n, H, W] or [n, H, W, 3], after a centred crop; [n, C, 64, 64]."""
    done = []
    for picture in pictures:
        image = Image.fromarray(picture)
        if crop:
            left, top = (image.width - crop) // 2, (image.height - crop) // 2
            image = image.crop((left, top, left + crop, top + crop))
        if image.size != (64, 64):
            image = image.resize((64, 64), Image.Resampling.LANCZOS)
        done.append(np.atleast_3d(np.asarray(image)).transpose(2, 0, 1))
    return np.stack(done)


def encoded(picture: Bytes, kind: str) -> bytes:
    held = io.BytesIO()
    Image.fromarray(picture).save(held, kind, compress_level=1)
    return held.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def mpi(folder: Path, version: str = "mpi3d-toy", save: Callable[..., None] = np.savez) -> Small:
    sizes = (2, 2, 2, 3, 3, 2, 2)
    n = math.prod(sizes)
    images = np.zeros((n, 64, 64, 3), np.uint8)
    images[:, 1:, :, :] = pictures(1, 64)[0][1:]
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    save(folder / "mpi3d_toy.npz", images=images)
    convert = converter(version, (1,) * 7, file="mpi3d_toy.npz", other_sizes=sizes)
    return Small(folder / "mpi3d_toy.npz", convert, images.transpose(0, 3, 1, 2), grid(sizes))


def numbered(folder: Path, name: str, sizes: tuple[int, ...], labels: str | None) -> dict[str, bytes]:
    """The files of Falcor3D or Isaac3D, pictures of 8 x 8 pixels, not in the order of their numbers."""
    found = pictures(math.prod(sizes), 8)
    files = {f"{name}/images/{i:06}.png": encoded(found[i], "png") for i in reversed(range(len(found)))}
    if labels:
        held = io.BytesIO()
        np.save(held, grid(sizes) / np.maximum(np.array(sizes) - 1, 1))
        files[f"{name}/{labels}"] = held.getvalue()
    write(folder, files)
    return files


FALCOR, ISAAC = (2, 2, 2, 1, 1, 1, 1), (2, 2, 1, 1, 2, 1, 1, 1, 2)


def falcor(folder: Path, labels: str | None = "train-rec.labels", name: str = "Falcor3D_down128") -> Small:
    numbered(folder, name, FALCOR, labels)
    return Small(folder / name, converter("falcor3d", FALCOR), to_64(pictures(8, 8)), grid(FALCOR))


def isaac(folder: Path, labels: str | None = "labels.npy") -> Small:
    numbered(folder, "Isaac3D_down128", ISAAC, labels)
    return Small(folder, converter("isaac3d", ISAAC), to_64(pictures(16, 8)), grid(ISAAC))


SHAPES = (2, 2, 2, 2, 2, 2)


def shapes(folder: Path, **changed: Any) -> Small:
    import h5py

    images = pictures(64, 64)
    low, high = np.array([0, 0, 0, 0.75, 0, -30]), np.array([0.1, 0.1, 0.1, 1.25, 3, 30])
    arrays = {"images": images, "labels": low + grid(SHAPES) * (high - low), **changed}
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip", chunks=(20, 4, 4, 1) if array.ndim == 4 else True)
    return Small(folder / "3dshapes.h5", converter("shapes3d", SHAPES), images.transpose(0, 3, 1, 2), grid(SHAPES))


CARS = (2, 3, 3)  # elevation, azimuth, object


def cars(folder: Path, listed: str = "car_101_mesh\ncar_007_mesh\ncar_020_mesh\n", archive: bool = True) -> Small:
    of_car = {name: pictures(6, 8, seed=name) for name in (7, 20, 101)}
    files = {}
    for name, found in of_car.items():  # height, width, channel, azimuth, elevation
        im = found.reshape(2, 3, 8, 8, 3).transpose(2, 3, 4, 1, 0)
        held = io.BytesIO()
        savemat(held, {"im": im, "mask": im[:, :, 0] > 0}, do_compression=True)
        files[f"data/cars/car_{name:03}_mesh.mat"] = held.getvalue()
    files["data/sprites/other.mat"] = b""
    if listed:
        files["data/cars/list.txt"] = listed.encode()
    write(folder / "unpacked", files)
    source = tarred(folder / "nips2015-analogy-data.tar.gz", files, "w:gz") if archive else folder / "unpacked"
    order = (101, 7, 20) if listed else (7, 20, 101)
    images = np.stack([to_64(of_car[name]) for name in order], axis=1).reshape(-1, 3, 64, 64)
    return Small(source, converter("cars3d", CARS), images, grid(CARS))


NORB = (2, 2, 2, 2, 2)


def matrix(array: npt.NDArray[Any]) -> bytes:
    """The binary matrix format of smallNORB."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54, "float32": 0x1E3D4C51}[array.dtype.name]
    sizes = [*array.shape, *(1,) * max(0, 3 - array.ndim)]
    return struct.pack(f"<ii{len(sizes)}i", magic, array.ndim, *sizes) + array.tobytes()


def norb_matrices() -> dict[str, npt.NDArray[Any]]:
    """The six matrices: 32 pairs of pictures of 8 x 8, shuffled, each part with an instance of its own."""
    table = np.random.default_rng(3).permutation(grid(NORB)).astype(np.int32)
    found = pictures(32, 8, channels=1)
    matrices = {}
    for instance, part in enumerate(smallnorb.PARTS):
        rows = np.flatnonzero(table[:, 1] == instance)
        info = table[rows, 1:].copy()
        info[:, 2] *= 2
        pairs = np.stack([found[rows], 255 - found[rows]], axis=1)
        matrices |= {f"{part}-dat.mat": pairs, f"{part}-cat.mat": table[rows, 0], f"{part}-info.mat": info}
    return matrices


def norb(folder: Path, packed: bool = True) -> Small:
    matrices = norb_matrices()
    for name, array in matrices.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(matrix(array)))
        else:
            (folder / name).write_bytes(matrix(array))
    parts = [[matrices[f"{part}-{kind}.mat"] for part in smallnorb.PARTS] for kind in ("dat", "cat", "info")]
    dat, cat, info = (np.concatenate(part) for part in parts)
    factors = np.column_stack([cat, info[:, 0], info[:, 1], info[:, 2] // 2, info[:, 3]])
    return Small(folder, converter("smallnorb", NORB, side=8), to_64(dat[:, 0]), factors)


def faces_of_celeba(folder: Path, archive: bool = True, table: str = "txt", **changed: bytes) -> Small:
    """Twelve JPEGs of 178 x 218 and the two tables."""
    found = pictures(12, 218)[:, :, 20:198]
    files = {f"img_align_celeba/{i + 1:06}.jpg": encoded(found[i], "jpeg") for i in reversed(range(12))}
    names = [f"attribute_{k}" for k in range(40)]
    values = np.where(np.random.default_rng(5).random((12, 40)) < 0.5, -1, 1)
    rows = [[f"{i + 1:06}.jpg", *map(str, values[i])] for i in range(12)]
    parts = [[f"{i + 1:06}.jpg", str(min(i // 5, 2))] for i in range(12)]
    if table == "txt":
        attributes = ["12", " ".join(names), *("  ".join(row) for row in rows)]
        partition = [" ".join(row) for row in parts]
    else:
        attributes = [",".join(["image_id", *names]), *(",".join(row) for row in rows)]
        partition = ["image_id,partition", *(",".join(row) for row in parts)]
    texts = {
        f"list_attr_celeba.{table}": "\n".join(attributes).encode(),
        f"list_eval_partition.{table}": "\n".join(partition).encode(),
    }
    write(folder, texts | changed)
    if archive:
        zipped(folder / "img_align_celeba.zip", files)
    else:
        write(folder, files)
    dataset = replace(DATASETS["celeba"], images=12)
    assert dataset.convert is not None
    faces_converter = partial(dataset.convert, dataset)
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(files[name]))) for name in sorted(files)])
    return Small(folder, faces_converter, to_64(decoded, 148), None)


CHAIRS = (2, 2, 3)


def chairs(folder: Path, archive: bool = True) -> Small:
    found = pictures(12, 600)
    files = {}
    for i, (model, elevation, azimuth) in enumerate(grid(CHAIRS)):
        name = f"image_{i % 6:03}_p{20 + 10 * elevation:03}_t{(11, 101, 349)[azimuth]:03}_r096.png"
        files[f"rendered_chairs/{('1a', 'f0')[model]}/renders/{name}"] = encoded(found[i], "png")
    files = dict(reversed(files.items())) | {"rendered_chairs/all_chair_names.mat": b"names"}
    if archive:
        tarred(folder / "rendered_chairs.tar", files)
    else:
        write(folder, files)
    grey = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in found])
    return Small(folder, converter("chairs3d", CHAIRS), to_64(grey, 400), grid(CHAIRS))


FACES = (2, 3, 2, 2)


def faces(folder: Path, name: str = "basel_face_renders.pth", shape: tuple[int, ...] = (24, 64, 64)) -> Small:
    found = pictures(24, 64, channels=1).reshape(shape)
    if name.endswith(".npy"):
        np.save(folder / name, found)
    else:
        torch.save(torch.from_numpy(found), folder / name)
    return Small(folder / name, converter("faces3d", FACES), found.reshape(24, 1, 64, 64), grid(FACES))


SETS: dict[str, Callable[[Path], Small]] = {
    "mpi3d-toy": mpi,
    "mpi3d-toy compressed": partial(mpi, save=np.savez_compressed),
    "mpi3d-realistic": partial(mpi, version="mpi3d-realistic"),
    "mpi3d-real": partial(mpi, version="mpi3d-real"),
    "mpi3d-complex": partial(mpi, version="mpi3d-complex"),
    "falcor3d": falcor,
    "falcor3d without labels": partial(falcor, labels=None, name="Falor3D"),
    "isaac3d": isaac,
    "isaac3d without labels": partial(isaac, labels=None),
    "shapes3d": shapes,
    "cars3d": cars,
    "cars3d unpacked": partial(cars, archive=False),
    "cars3d without list": partial(cars, listed=""),
    "smallnorb": norb,
    "smallnorb unpacked": partial(norb, packed=False),
    "celeba": faces_of_celeba,
    "celeba unpacked": partial(faces_of_celeba, archive=False, table="csv"),
    "chairs3d": chairs,
    "chairs3d unpacked": partial(chairs, archive=False),
    "faces3d": faces,
    "faces3d as factors": partial(faces, shape=(*FACES, 64, 64)),
    "faces3d .npy": partial(faces, name="faces.npy", shape=(24, 1, 64, 64)),
}
