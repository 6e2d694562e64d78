"""What is particular to one published set or another; and published pictures, in files of the true formats."""

import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data import small_sets
from tests.data.small_sets import converter, encoded, grid, pictures, to_64, write

from equipoise.data import DATASETS, store
from equipoise.data.converters import celeba, published
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

REAL = Path(__file__).parents[1] / "golden" / "real_samples_3d"


def real(pattern: str) -> list[Bytes]:
    """Published pictures, [H, W, 3], in the order of their names."""
    found = [np.asarray(Image.open(path)) for path in sorted(REAL.glob(pattern))]
    assert found
    return found


def loaded(convert: Callable[[Path, Path], None], source: Path, folder: Path) -> Bytes:
    convert(source, folder)
    images = store.read(folder)
    assert images is not None
    return images.pixels(np.arange(len(images)))


@pytest.mark.parametrize("name", ["falcor3d", "isaac3d"])
def test_real_strip_of_pictures_comes_out_in_the_order_of_its_factor(name: str, tmp_path: Path) -> None:
    factor, k = {"falcor3d": ("lighting_intensity", 0), "isaac3d": ("object_scale", 4)}[name]
    dataset, strip = DATASETS[name], real(f"{name}_{factor}_*.png")
    assert dataset.factor_names[k] == factor
    assert len(strip) == dataset.factor_sizes[k]
    assert strip[0].shape == (128, 128, 3)
    sizes = tuple(size if i == k else 1 for i, size in enumerate(dataset.factor_sizes))
    files = {f"images/{i:06}.png": path.read_bytes() for i, path in enumerate(sorted(REAL.glob(f"{name}_*.png")))}
    labels = io.BytesIO()
    np.save(labels, grid(sizes) / np.maximum(np.array(sizes) - 1, 1))
    write(tmp_path / "files", files | {"train-rec.labels": labels.getvalue(), "labels.npy": labels.getvalue()})
    pixels = loaded(converter(name, sizes), tmp_path / "files", tmp_path / "set")
    assert np.array_equal(pixels, to_64(np.stack(strip)))
    if name == "falcor3d":  # the light grows
        order = pixels.mean(axis=(1, 2, 3))
    else:  # the object grows, and so does what differs from the smallest
        order = np.abs(pixels.astype(int) - pixels[0].astype(int)).mean(axis=(1, 2, 3))
    assert (np.diff(order) > 0).all()


@pytest.mark.parametrize("version", ["toy", "realistic", "real", "complex"])
def test_real_pictures_of_mpi3d_come_out_as_they_are(version: str, tmp_path: Path) -> None:
    images = np.stack(real(f"mpi3d_{version}_*.png"))
    np.savez(tmp_path / "mpi3d.npz", images=images)
    convert = converter(f"mpi3d-{version}", (2, 1, 1, 1, 1, 1, 1))
    assert np.array_equal(loaded(convert, tmp_path / "mpi3d.npz", tmp_path / "set"), images.transpose(0, 3, 1, 2))


@pytest.mark.extra
@pytest.mark.parametrize("chunks", [(1, 64, 64, 3), (3, 8, 8, 1), None])
def test_real_pictures_of_shapes3d_come_out_as_they_are(
    chunks: tuple[int, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py

    monkeypatch.setattr(published, "BLOCK", 2)
    images = np.stack(real("shapes3d_*.png"))
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=chunks)
        file["labels"] = np.array(
            [[0.3, 0.1, 0.0, scale, 2.0, turn] for scale in (0.75, 1.25) for turn in (-30.0, 30.0)]
        )
    pixels = loaded(converter("shapes3d", (1, 1, 1, 2, 1, 2)), tmp_path, tmp_path / "set")
    assert np.array_equal(pixels, images.transpose(0, 3, 1, 2))


def test_shapes3d_without_h5py_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "3dshapes.h5").write_bytes(b"")
    with pytest.raises(InputError, match=r"pip install equipoise\[hdf5\]"):
        converter("shapes3d")(tmp_path, tmp_path / "set")


def test_published_values_of_shapes3d_are_its_codes() -> None:
    values = [np.arange(10) / 10] * 3 + [np.linspace(0.75, 1.25, 8), np.arange(4.0), np.linspace(-30, 30, 15)]
    small = [column[:2] for column in values]
    labels = np.stack(np.meshgrid(*small, indexing="ij"), axis=-1).reshape(-1, 6)
    names, sizes = DATASETS["shapes3d"].factor_names, DATASETS["shapes3d"].factor_sizes
    published.check_labels("labels", labels, names, (2,) * 6)
    labels = np.stack(np.meshgrid(*values[2:], indexing="ij"), axis=-1).reshape(-1, 4)
    published.check_labels("labels", labels, names[2:], sizes[2:])


def test_conversion_that_broke_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = small_sets.falcor(tmp_path / "files")
    torn = small.source / "images" / "000005.png"
    whole = torn.read_bytes()
    torn.write_bytes(whole[:60])
    monkeypatch.setattr(published, "BLOCK", 2)
    monkeypatch.setattr(store, "_MARK", 1)
    with pytest.raises(InputError, match=r"000005.png cannot be read as an image .*; repair or remove it"):
        small.convert(small.source, tmp_path / "set")
    torn.write_bytes(whole)
    read: list[str] = []
    picture = published.picture
    monkeypatch.setattr(
        published, "picture", lambda files, name, *form: read.append(name) or picture(files, name, *form)
    )
    assert np.array_equal(loaded(small.convert, small.source, tmp_path / "set"), small.images)
    assert read == [f"images/00000{i}.png" for i in (4, 5, 6, 7)]


def test_another_file_of_the_same_name_is_converted_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "BLOCK", 50)
    monkeypatch.setattr(store, "_MARK", 1)
    small = small_sets.mpi(tmp_path)
    torn = np.load(small.source)["images"] // 2
    np.savez(small.source, images=torn, more=torn[:1])
    data = bytearray(small.source.read_bytes())
    data[3_000_000] ^= 1
    small.source.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        small.convert(small.source, tmp_path / "set")
    again = small_sets.mpi(tmp_path)
    assert np.array_equal(loaded(again.convert, again.source, tmp_path / "set"), again.images)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_stays_that_of_a_few_blocks(save: Callable[..., None], tmp_path: Path) -> None:
    save(tmp_path / "mpi3d_toy.npz", images=np.zeros((4000, 64, 64, 3), np.uint8))
    convert = converter("mpi3d-toy", (10, 10, 40, 1, 1, 1, 1))
    tracemalloc.start()
    convert(tmp_path, tmp_path / "set")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * published.BLOCK * 64 * 64 * 3 < 4000 * 64 * 64 * 3 / 2


@pytest.mark.parametrize("name", ["Falcor3D", "Falor3D", "Falcor3D_down128"])
@pytest.mark.parametrize("form", ["its pictures", "above it", "zip", "tar"])
def test_numbered_pictures_are_found_wherever_they_lie(form: str, name: str, tmp_path: Path) -> None:
    small = small_sets.falcor(tmp_path / "files", name=name)
    files = {str(path.relative_to(tmp_path / "files")): path.read_bytes() for path in small.source.rglob("*.*g")}
    source = {"its pictures": small.source / "images", "above it": tmp_path / "files"}.get(form)
    if form == "zip":
        source = small_sets.zipped(tmp_path / "archive", files)
    elif form == "tar":
        source = small_sets.tarred(tmp_path / "archive", files)
    assert source is not None
    assert np.array_equal(loaded(small.convert, source, tmp_path / "set"), small.images)


def test_cars_without_a_list_are_numbered_by_name_and_this_is_said(tmp_path: Path) -> None:
    for listed, said in (
        ("", "their names, without a list.txt"),
        ("car_101_mesh.mat car_007_mesh car_020_mesh", "list.txt"),
    ):
        small = small_sets.cars(tmp_path / said[:4], listed)
        small.convert(small.source, tmp_path / "set")
        images = store.read(tmp_path / "set")
        assert images is not None
        assert f"objects in the order of {said}" in str(images.describe()["source"])


@pytest.mark.parametrize("table", ["txt", "csv"])
def test_celeba_has_its_attributes_and_parts_as_labels(table: str, tmp_path: Path) -> None:
    small = small_sets.faces_of_celeba(tmp_path, table=table)
    with pytest.raises(InputError, match="does not contain CelebA; add it with"):
        celeba.labels()
    small.convert(small.source, store.set_folder("celeba"))
    names, labels = celeba.labels()
    assert names == (*(f"attribute_{k}" for k in range(40)), "partition")
    expected = np.random.default_rng(5).random((12, 40)) >= 0.5
    assert np.array_equal(labels[:, :40], expected)
    assert labels[:, 40].tolist() == [0] * 5 + [1] * 5 + [2] * 2


@pytest.mark.parametrize(("crop", "size"), [(148, 64), (None, 64), (178, 128)])
def test_celeba_is_cut_and_resized_as_asked_and_says_so(crop: int | None, size: int, tmp_path: Path) -> None:
    small = small_sets.faces_of_celeba(tmp_path, archive=False)
    convert = partial(small.convert, crop=crop, size=size)
    pixels = loaded(convert, small.source / "img_align_celeba", tmp_path / "set")
    assert pixels.shape == (12, 3, size, size)
    said = json.loads((tmp_path / "set" / "about.json").read_text())["source"]
    assert said.endswith((f"; centred square of {crop} pixels, " if crop else "; ") + f"resized to {size} x {size}")
    image = Image.open(tmp_path / "img_align_celeba" / "000004.jpg")
    if crop:
        image = image.crop(((178 - crop) // 2, (218 - crop) // 2, (178 + crop) // 2, (218 + crop) // 2))
    assert np.array_equal(
        pixels[3].transpose(1, 2, 0), np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
    )
    # Another form of the same files is another set, not the one that is there.
    assert np.array_equal(loaded(small.convert, small.source, tmp_path / "set"), small.images)


def test_grey_chairs_are_the_middle_of_the_picture(tmp_path: Path) -> None:
    picture = np.full((600, 600, 3), 255, np.uint8)
    picture[100:500, 100:500] = (0, 100, 200)
    name = "image_000_p020_t011_r096.png"
    write(tmp_path / "files", {f"rendered_chairs/a/renders/{name}": encoded(picture, "png")})
    pixels = loaded(converter("chairs3d", (1, 1, 1)), tmp_path / "files", tmp_path / "set")
    assert np.unique(pixels).tolist() == [round(0.587 * 100 + 0.114 * 200)]  # ITU-R 601


def test_older_format_of_torch_is_read(tmp_path: Path) -> None:
    import torch

    small = small_sets.faces(tmp_path)
    found = pictures(24, 64, channels=1)
    torch.save(torch.from_numpy(found), small.source, _use_new_zipfile_serialization=False)
    assert np.array_equal(loaded(small.convert, tmp_path, tmp_path / "set")[:, 0], found)
