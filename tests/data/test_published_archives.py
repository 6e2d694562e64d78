"""Archives of published sets: what they may hold, and what is noticed of damage."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.data import small_sets
from tests.data.small_sets import encoded, pictures, zipped

from equipoise.data import DATASETS, store
from equipoise.data.converters import archives
from equipoise.errors import InputError

PNG = encoded(pictures(1, 8)[0], "png")


@pytest.mark.parametrize("name", ["../000000.png", "/images/000000.png", "a/../../000000.png", "..\\000000.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archive_whose_names_lead_out_of_it_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    make = zipped if kind == "zip" else small_sets.tarred
    source = make(tmp_path / f"falcor.{kind}", {name: PNG})
    if kind == "zip":  # Python's own writer mends some names
        source.write_bytes(source.read_bytes().replace(name.replace("\\", "/").encode(), name.encode()))
    with (
        pytest.raises(InputError, match="a name that leads out of its folder; download the archive"),
        archives.open_files(source),
    ):
        pass


def test_links_hidden_files_and_folders_of_an_archive_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in {"link.png": tarfile.SYMTYPE, "hard.png": tarfile.LNKTYPE, "folder": tarfile.DIRTYPE}.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in ("._a.png", "__MACOSX/a.png", "./b/a.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            archive.addfile(info, io.BytesIO(PNG))
    with archives.open_files(tmp_path / "a.tar") as files:
        assert files.names == ["b/a.png"]
        assert files.read("b/a.png") == PNG


def test_file_of_an_archive_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("000000.png", bytes(100_000))
    small_sets.tarred(tmp_path / "a.tar", {"000000.png": bytes(100_000)})
    monkeypatch.setattr(archives, "LARGEST", 99_999)
    for kind in ("zip", "tar"):
        with (
            archives.open_files(tmp_path / f"a.{kind}") as files,
            pytest.raises(InputError, match="unpack to 100,000 bytes"),
        ):
            files.read("000000.png")


def test_pictures_in_a_compressed_tar_must_be_unpacked(tmp_path: Path) -> None:
    source = small_sets.tarred(tmp_path / "a.tar.gz", {"images/000000.png": PNG}, "w:gz")
    with pytest.raises(InputError, match="cannot be read one by one; unpack it"), archives.open_files(source):
        pass


@pytest.mark.parametrize("at", [100, 2000])
def test_damage_in_the_middle_of_a_zip_is_named(at: int, tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "a.zip", {"a": bytes(3000)}).read_bytes())
    data[at] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    with archives.open_files(tmp_path / "a.zip") as files, pytest.raises(InputError, match=r"a.zip is damaged, .*CRC"):
        files.read("a")


# MPI3D, of whose files no digest is known.


def test_number_of_images_says_which_grid_of_mpi3d_it_is() -> None:
    six, four = 6 * 6 * 2 * 3 * 3 * 40 * 40, 4 * 4 * 2 * 3 * 3 * 40 * 40
    assert (six, four) == (1_036_800, 460_800)
    grids = {
        name: [
            dataset.factor_sizes,
            *([dataset.convert.keywords["other_sizes"]] if "other_sizes" in dataset.convert.keywords else []),
        ]  # type: ignore[union-attr]
        for name, dataset in DATASETS.items()
        if name.startswith("mpi3d")
    }
    assert {name: [int(np.prod(sizes)) for sizes in of_set] for name, of_set in grids.items()} == {
        "mpi3d-toy": [six, four],
        "mpi3d-realistic": [six, four],
        "mpi3d-real": [six],
        "mpi3d-complex": [four],
    }


def test_one_wrong_bit_in_mpi3d_is_found_now_and_when_it_is_tried_again(tmp_path: Path) -> None:
    small = small_sets.mpi(tmp_path)
    data = bytearray(small.source.read_bytes())
    data[3_000_000] ^= 1
    small.source.write_bytes(data)
    for _ in range(2):
        with pytest.raises(InputError, match=r"mpi3d_toy.npz is damaged, .*CRC"):
            small.convert(small.source, tmp_path / "set")
    assert store.read(tmp_path / "set") is None
