"""Files that are not as published, one kind after the other, for every set: one sentence, and no set in the folder."""

import gzip
import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from tests.data import small_sets
from tests.data.small_sets import Small, encoded, grid, matrix, norb_matrices, pictures, write

from equipoise.data import store
from equipoise.data.converters.smallnorb import PARTS
from equipoise.errors import InputError

Spoil = Callable[[Path], Small]


def array(images: Any, folder: Path, name: str = "images", version: str = "mpi3d-toy") -> Small:
    small = small_sets.mpi(folder, version)
    np.savez(small.source, **{name: images})
    return small


def cut(make: Callable[[Path], Small], folder: Path, name: str, keep: float = 0.7) -> Small:
    """The set with the end of one of its files missing."""
    small = make(folder)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * keep)])
    return small


def replaced(make: Callable[[Path], Small], folder: Path, files: dict[str, bytes | None]) -> Small:
    """The set with other contents of some files, or without them."""
    small = make(folder)
    for name, data in files.items():
        (folder / name).unlink() if data is None else write(folder, {name: data})
    return small


def npy(values: Any) -> bytes:
    held = io.BytesIO()
    np.save(held, values, allow_pickle=True)
    return held.getvalue()


def mat(**arrays: Any) -> bytes:
    held = io.BytesIO()
    savemat(held, arrays)
    return held.getvalue()


def norb(folder: Path, part: str, change: Callable[[Any], Any]) -> Small:
    small = small_sets.norb(folder)
    (folder / f"{part}.mat.gz").write_bytes(gzip.compress(matrix(change(norb_matrices()[f"{part}.mat"]))))
    return small


def tensor(held: Any, folder: Path) -> Small:
    small = small_sets.faces(folder)
    torch.save(held, small.source)
    return small


FALCOR = "Falcor3D_down128"
CAR = "unpacked/data/cars/car_007_mesh.mat"
README_ORDER = [0, 4, 3, 1, 2, 5, 6, 7, 8]  # that of the README of Isaac3D, which is not the true one
unpacked_cars = partial(small_sets.cars, archive=False)
unpacked_celeba = partial(small_sets.faces_of_celeba, archive=False)
unpacked_chairs = partial(small_sets.chairs, archive=False)
PNG, JPEG = encoded(pictures(1, 8)[0], "png"), encoded(pictures(1, 218)[0], "jpeg")
ROWS = "\n".join(f"{i + 1:06}.jpg 1" for i in range(12)).encode()

# name: how the set is spoiled, and what must be said.
WRONG: dict[str, tuple[Spoil, str]] = {
    "mpi3d other number": (
        partial(array, np.zeros((7, 64, 64, 3), np.uint8)),
        r"7 images, and mpi3d-toy has 1 = 1 x 1 x 1 x 1 x 1 x 1 x 1 or 288 = 2 x 2 x 2 x 3 x 3 x 2 x 2; get mpi3d_toy",
    ),
    "mpi3d other size": (
        partial(array, np.zeros((288, 32, 32, 3), np.uint8)),
        r"here is uint8 \[288, 32, 32, 3\]; get",
    ),
    "mpi3d floats": (partial(array, np.zeros((288, 64, 64, 3), np.float16)), "here is float16"),
    "mpi3d other array": (
        partial(array, np.zeros((288, 64, 64, 3), np.uint8), name="x"),
        "here is none; get mpi3d_toy",
    ),
    "mpi3d Fortran": (partial(array, np.zeros((288, 64, 64, 3), np.uint8, order="F")), "here is uint8 .*; get"),
    "mpi3d objects": (partial(array, np.array([{}], dtype=object)), "here is object"),
    "mpi3d torn": (lambda folder: cut(small_sets.mpi, folder, "mpi3d_toy.npz"), "damaged"),
    "falcor3d one missing": (
        lambda folder: replaced(small_sets.falcor, folder, {f"{FALCOR}/images/000003.png": None}),
        "7 pictures where 000000.png to 000007.png are expected, once each; give the whole set",
    ),
    "falcor3d numbered from 1": (
        lambda folder: replaced(
            small_sets.falcor, folder, {f"{FALCOR}/images/000000.png": None, f"{FALCOR}/images/000008.png": PNG}
        ),
        "8 pictures where 000000.png to 000007.png are expected, once each",
    ),
    "falcor3d labels in another order": (
        lambda folder: replaced(
            small_sets.falcor, folder, {f"{FALCOR}/train-rec.labels": npy(grid(small_sets.FALCOR)[::-1])}
        ),
        "labels of lighting_intensity are not its 2 values in the order of the set",
    ),
    "falcor3d labels of another length": (
        lambda folder: replaced(small_sets.falcor, folder, {f"{FALCOR}/train-rec.labels": npy(np.zeros((7, 7)))}),
        r"labels are float64 \[7, 7\] and not numbers \[8, 7\]",
    ),
    "falcor3d pickled labels": (
        lambda folder: replaced(
            small_sets.falcor, folder, {f"{FALCOR}/train-rec.labels": npy(np.array([{}], dtype=object))}
        ),
        "train-rec.labels is damaged",
    ),
    "falcor3d torn picture": (
        lambda folder: cut(small_sets.falcor, folder, f"{FALCOR}/images/000003.png"),
        "000003.png cannot be read as an image",
    ),
    "falcor3d not square": (
        lambda folder: replaced(
            small_sets.falcor, folder, {f"{FALCOR}/images/000003.png": encoded(pictures(1, 8)[0][:6], "png")}
        ),
        "000003.png is 8 x 6, and pictures of this set are square",
    ),
    "isaac3d labels in the order of the README": (
        lambda folder: replaced(
            small_sets.isaac, folder, {"Isaac3D_down128/labels.npy": npy(grid(small_sets.ISAAC)[:, README_ORDER])}
        ),
        "labels of robot_x-move are not its 2 values",
    ),
    "cars3d one missing": (
        lambda folder: replaced(
            unpacked_cars, folder, {CAR: None, "unpacked/data/cars/list.txt": b"car_020_mesh\ncar_101_mesh\n"}
        ),
        "2 cars where 3 are expected",
    ),
    "cars3d not of the list": (
        lambda folder: replaced(
            unpacked_cars, folder, {"unpacked/data/cars/list.txt": b"car_020_mesh\ncar_101_mesh\n"}
        ),
        r"list.txt and the files differ \(car_007_mesh\)",
    ),
    "cars3d listed twice": (
        lambda folder: replaced(unpacked_cars, folder, {"unpacked/data/cars/list.txt": b"car_020_mesh\n" * 3}),
        "list.txt and the files differ",
    ),
    "cars3d no im": (
        lambda folder: replaced(unpacked_cars, folder, {CAR: mat(mask=np.zeros((8, 8, 3, 2), np.uint8))}),
        r"im is absent \[\], expected uint8 \[H, H, 3, 3, 2\]",
    ),
    "cars3d floats": (
        lambda folder: replaced(unpacked_cars, folder, {CAR: mat(im=np.zeros((8, 8, 3, 3, 2)))}),
        r"im is double \[8, 8, 3, 3, 2\]",
    ),
    "cars3d other angles": (
        lambda folder: replaced(unpacked_cars, folder, {CAR: mat(im=np.zeros((8, 8, 3, 2, 3), np.uint8))}),
        r"im is uint8 \[8, 8, 3, 2, 3\]",
    ),
    "cars3d no .mat": (
        lambda folder: replaced(unpacked_cars, folder, {CAR: b"car" * 99}),
        "car_007_mesh.mat is damaged",
    ),
    "cars3d empty .mat": (lambda folder: replaced(unpacked_cars, folder, {CAR: b""}), "car_007_mesh.mat is damaged"),
    "cars3d torn .mat": (lambda folder: cut(unpacked_cars, folder, CAR), "car_007_mesh.mat is damaged"),
    "cars3d torn archive": (
        lambda folder: cut(small_sets.cars, folder, "nips2015-analogy-data.tar.gz"),
        "nips2015-analogy-data.tar.gz is damaged",
    ),
    **{
        f"smallnorb without {part}-{kind}": (
            lambda folder, file=f"{part}-{kind}.mat.gz": replaced(small_sets.norb, folder, {file: None}),
            f"{part}-{kind}.mat.gz is not there; give the folder with all six files",
        )
        for part in PARTS
        for kind in ("dat", "cat", "info")
    },
    "smallnorb other type": (
        lambda folder: norb(folder, f"{PARTS[0]}-cat", lambda a: a.astype(np.float32)),
        r"a matrix of no known kind \[\], expected int32 \[N\]",
    ),
    "smallnorb other width": (
        lambda folder: norb(folder, f"{PARTS[1]}-dat", lambda a: a[..., :4]),
        r"a matrix uint8 \[16, 2, 8, 4\], expected uint8 \[16, 2, 8, 8\]",
    ),
    "smallnorb fewer labels": (
        lambda folder: norb(folder, f"{PARTS[0]}-info", lambda a: a[1:]),
        r"a matrix int32 \[15, 4\], expected int32 \[16, 4\]",
    ),
    "smallnorb fewer of all": (
        lambda folder: replaced(
            small_sets.norb,
            folder,
            {f"{PARTS[1]}-{kind}.mat.gz": matrix(norb_matrices()[f"{PARTS[1]}-{kind}.mat"][:7]) for kind in KINDS},
        ),
        "23 images, and the factor sizes 2 x 2 x 2 x 2 x 2 make 32",
    ),
    "smallnorb odd azimuth": (
        lambda folder: norb(folder, f"{PARTS[0]}-info", lambda a: a + np.array([0, 0, 1, 0], np.int32)),
        "labels are not every combination of category, .*once",
    ),
    "smallnorb label too large": (
        lambda folder: norb(folder, f"{PARTS[0]}-cat", lambda a: a + np.int32(1)),
        "labels are not every combination",
    ),
    "smallnorb combination twice": (
        lambda folder: norb(folder, f"{PARTS[0]}-info", lambda a: np.concatenate([a[:1], a[:-1]])),
        "labels are not every combination",
    ),
    "smallnorb torn": (lambda folder: cut(small_sets.norb, folder, f"{PARTS[1]}-dat.mat.gz"), "dat.mat.gz is damaged"),
    "smallnorb torn, unpacked": (
        lambda folder: cut(partial(small_sets.norb, packed=False), folder, f"{PARTS[1]}-dat.mat"),
        "dat.mat is damaged",
    ),
    "smallnorb too long": (
        lambda folder: replaced(
            small_sets.norb, folder, {f"{PARTS[0]}-cat.mat.gz": matrix(norb_matrices()[f"{PARTS[0]}-cat.mat"]) + b"x"}
        ),
        "cat.mat.gz has more than the 16 rows of its header",
    ),
    "smallnorb empty file": (
        lambda folder: replaced(small_sets.norb, folder, {f"{PARTS[0]}-cat.mat.gz": b""}),
        "cat.mat.gz is damaged",
    ),
    "celeba one missing": (
        lambda folder: replaced(unpacked_celeba, folder, {"img_align_celeba/000007.jpg": None}),
        "11 pictures where 000001.jpg to 000012.jpg are expected, once each",
    ),
    "celeba not aligned": (
        lambda folder: replaced(unpacked_celeba, folder, {"img_align_celeba/000007.jpg": JPEG}),
        "000007.jpg is 218 x 218, and pictures of this set are 178 x 218",
    ),
    "celeba no attributes": (
        lambda folder: replaced(small_sets.faces_of_celeba, folder, {"list_attr_celeba.txt": None}),
        "list_attr_celeba.txt is neither in it nor beside it",
    ),
    "celeba no partition": (
        lambda folder: replaced(small_sets.faces_of_celeba, folder, {"list_eval_partition.txt": None}),
        "list_eval_partition.txt is neither in it nor beside it",
    ),
    "celeba row missing": (
        partial(small_sets.faces_of_celeba, **{"list_eval_partition.txt": ROWS.rpartition(b"\n")[0]}),
        "list_eval_partition has 11 rows for 12 pictures",
    ),
    "celeba rows shuffled": (
        partial(small_sets.faces_of_celeba, **{"list_eval_partition.txt": ROWS.replace(b"000003", b"000004")}),
        "list_eval_partition has 000004.jpg in row 3",
    ),
    "celeba value missing": (
        partial(
            small_sets.faces_of_celeba, **{"list_eval_partition.txt": ROWS.replace(b"000003.jpg 1", b"000003.jpg")}
        ),
        "list_eval_partition has 0 values for 000003.jpg, expected 1 as before",
    ),
    "celeba other partition": (
        partial(small_sets.faces_of_celeba, **{"list_eval_partition.txt": ROWS.replace(b"jpg 1", b"jpg 3")}),
        "list_eval_partition has '3' for 000001.jpg, expected 0, 1, 2",
    ),
    "celeba words": (
        partial(small_sets.faces_of_celeba, **{"list_eval_partition.txt": ROWS.replace(b"jpg 1", b"jpg train")}),
        "list_eval_partition has 'train' for 000001.jpg",
    ),
    "celeba other attributes": (
        partial(small_sets.faces_of_celeba, **{"list_attr_celeba.txt": b"12\nhat glasses\n" + ROWS}),
        "list_attr_celeba has 2 names for 1 columns",
    ),
    "celeba torn zip": (
        lambda folder: cut(small_sets.faces_of_celeba, folder, "img_align_celeba.zip"),
        "img_align_celeba.zip",
    ),
    "chairs3d one missing": (
        lambda folder: replaced(
            unpacked_chairs, folder, {"rendered_chairs/f0/renders/image_000_p020_t011_r096.png": None}
        ),
        "11 images, and the factor sizes 2 x 2 x 3 make 12",
    ),
    "chairs3d another angle": (
        lambda folder: replaced(
            unpacked_chairs,
            folder,
            {
                "rendered_chairs/f0/renders/image_000_p020_t011_r096.png": None,
                "rendered_chairs/f0/renders/image_000_p020_t012_r096.png": PNG,
            },
        ),
        "the names do not give every model, elevation and azimuth once",
    ),
    "chairs3d other size": (
        lambda folder: replaced(
            unpacked_chairs, folder, {"rendered_chairs/f0/renders/image_000_p020_t011_r096.png": PNG}
        ),
        "image_000_p020_t011_r096.png is 8 x 8, and pictures of this set are 600 x 600",
    ),
    "chairs3d torn tar": (lambda folder: cut(small_sets.chairs, folder, "rendered_chairs.tar"), "tar is damaged"),
    "faces3d fewer": (
        partial(tensor, torch.zeros(23, 64, 64, dtype=torch.uint8)),
        "23 images, and the factor sizes 2 x 3 x 2 x 2 make 24",
    ),
    "faces3d other size": (
        partial(tensor, torch.zeros(24, 32, 32, dtype=torch.uint8)),
        r"uint8 \[24, 32, 32\], expected uint8 \[24, 64, 64\]",
    ),
    "faces3d colour": (partial(tensor, torch.zeros(24, 3, 64, 64, dtype=torch.uint8)), r"uint8 \[24, 3, 64, 64\]"),
    "faces3d floats": (partial(tensor, torch.zeros(24, 64, 64)), "contains torch.float32, expected one tensor uint8"),
    "faces3d several": (partial(tensor, {"faces": torch.zeros(1)}), "contains dict, expected one tensor"),
    "faces3d objects": (partial(tensor, Path("x")), "not a tensor saved by torch"),
    "faces3d torn": (lambda folder: cut(small_sets.faces, folder, "basel_face_renders.pth"), "pth is damaged"),
    "faces3d pickled .npy": (
        lambda folder: replaced(
            partial(small_sets.faces, name="faces.npy"), folder, {"faces.npy": npy(np.array([{}], dtype=object))}
        ),
        "array of Python objects, which are never opened",
    ),
}
KINDS = ("dat", "cat", "info")


@pytest.mark.parametrize("case", WRONG)
def test_file_that_is_not_as_published_is_refused(case: str, tmp_path: Path) -> None:
    spoil, sentence = WRONG[case]
    (tmp_path / "files").mkdir()
    small = spoil(tmp_path / "files")
    with pytest.raises(InputError, match=sentence) as error:
        small.convert(small.source, tmp_path / "set")
    assert "\n" not in str(error.value)
    assert re.search(r"[;,] (get|give|copy|put|save|fetch|remove|repair|correct)[ a-z]*", str(error.value)), error.value
    assert store.read(tmp_path / "set") is None


SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "other number": ({"images": np.zeros((63, 64, 64, 3), np.uint8)}, "63 images, and the factor .* make 64"),
    "other size": (
        {"images": np.zeros((64, 32, 32, 3), np.uint8)},
        r"images are uint8 \[64, 32, 32, 3\], not uint8 \[N",
    ),
    "floats": ({"images": np.zeros((64, 64, 64, 3), np.float32)}, "images are float32"),
    "labels in another order": (
        {"labels": grid(small_sets.SHAPES)[:, ::-1]},
        "labels of floor_hue are not its 2 values",
    ),
    "labels of another length": (
        {"labels": np.zeros((63, 6))},
        r"labels are float64 \[63, 6\] and not numbers \[64, 6\]",
    ),
    "labels that are no numbers": ({"labels": np.full((64, 6), np.nan)}, "labels of floor_hue are not"),
}


@pytest.mark.extra
@pytest.mark.parametrize("case", SHAPES)
def test_h5_that_is_not_as_published_is_refused(case: str, tmp_path: Path) -> None:
    changed, sentence = SHAPES[case]
    small = small_sets.shapes(tmp_path, **changed)
    with pytest.raises(InputError, match=sentence):
        small.convert(small.source, tmp_path / "set")
    assert store.read(tmp_path / "set") is None


@pytest.mark.extra
def test_h5_that_is_torn_or_lacks_an_array_is_refused(tmp_path: Path) -> None:
    import h5py

    small = small_sets.shapes(tmp_path)
    with h5py.File(small.source, "a") as file:
        del file["labels"]
    with pytest.raises(InputError, match=r"images and labels are not both there; give 3dshapes.h5"):
        small.convert(small.source, tmp_path / "set")
    cut(small_sets.shapes, tmp_path, "3dshapes.h5")
    with pytest.raises(InputError, match=r"3dshapes.h5 is damaged"):
        small.convert(small.source, tmp_path / "set")
