"""Where images are: folders with results, links and other kinds of data in them, home folders, lists of paths."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.config import resolve
from equipoise.data import load_data
from equipoise.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three images."""
    path = tmp_path / "images"
    path.mkdir()
    for number, picture in enumerate(PIXELS):
        Image.fromarray(picture).save(path / f"{number}.png")
    return path


@pytest.mark.parametrize("marks", [("config.toml", "meta.json"), ("study.toml",)])
def test_pictures_of_a_run_among_the_images_are_no_images(marks: tuple[str, ...], folder: Path) -> None:
    (folder / "runs" / "first" / "pictures").mkdir(parents=True)
    Image.fromarray(PIXELS[0]).resize((90, 40)).save(folder / "runs" / "first" / "pictures" / "samples.png")
    for name in marks:
        (folder / "runs" / "first" / name).touch()
    assert load_data(folder).files == ["0.png", "1.png", "2.png"]
    assert load_data(folder / "runs" / "first").files == ["pictures/samples.png"]  # asked for


def test_links_to_folders_are_named(folder: Path, tmp_path: Path) -> None:
    (folder / "more").symlink_to(tmp_path, target_is_directory=True)  # a loop, too
    with pytest.warns(UserWarning, match=r"images: links to folders are not followed \(more\)\. Give a folder"):
        assert len(load_data(folder)) == 3
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a").symlink_to(folder, target_is_directory=True)
    with pytest.raises(InputError, match=r"there are no images in this folder; .* are not followed \(a\)"):
        load_data(tmp_path / "links")


@pytest.mark.parametrize("name", [".zarray", ".zgroup", "zarr.json"])
def test_a_zarr_array_is_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_text("{}")
    (tmp_path / "x" / "0.0").write_bytes(b"?")
    with pytest.raises(InputError, match=r'x is a Zarr array, which is not read; np\.save\("images\.npy", zarr\.open'):
        load_data(tmp_path / "x")


def test_a_folder_of_parquet_files_names_one(tmp_path: Path) -> None:
    (tmp_path / "train-0.parquet").touch()
    with pytest.raises(InputError, match=r"; give one of its \.parquet files as data, such as train-0\.parquet"):
        load_data(tmp_path)


def test_a_folder_of_arrays_of_pictures_says_how_to_join_them(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", PIXELS[0])
    with pytest.raises(InputError, match=r"0\.npy has uint8 \[8, 8\]; .* Save images to one \.npy file \[N, H, W\]"):
        load_data(tmp_path)


def test_home_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert len(load_data("~/images")) == 3
    assert resolve({"data": "dsprites", "out": "~/runs/a"}).out == str(folder.parent / "runs" / "a")
    with pytest.raises(InputError, match="the path ~no-such-user/images does not exist; check it"):
        load_data("~no-such-user/images")


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, lambda paths: np.array(paths, object)])
def test_paths_may_be_a_list_an_array_or_a_series(kind: Any, folder: Path) -> None:
    paths = [str(folder / f"{number}.png") for number in (2, 0)]
    assert np.array_equal(load_data(kind(paths)).pixels([0, 1])[:, 0], PIXELS[[2, 0]])


def test_a_missing_path_is_refused(folder: Path, tmp_path: Path) -> None:
    paths: list[str | None] = [str(folder / "0.png"), str(folder / "1.png"), None]
    frame = pd.DataFrame({"path": paths, "size": [1, 2, 3]})
    with pytest.raises(InputError, match="the data frame: row 3 has no path in the column path; leave that row out"):
        load_data(frame)
    frame.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(InputError, match="the column path names image files; give their folder as data"):
        load_data(tmp_path / "table.csv")


def test_floats_may_exceed_their_range_by_a_rounding() -> None:
    floats = np.full((2, 8, 8), 1 + 2e-6, np.float32)
    floats[:, 0] = -2e-6
    assert np.unique(load_data(floats).pixels([0, 1])).tolist() == [0, 255]
    with pytest.raises(InputError, match=r"pixels from 0 to 1\.0001, expected 0\.\.1"):
        load_data(np.linspace(0, 1.0001, 64).reshape(1, 8, 8))


@pytest.mark.skipif(os.name == "nt", reason="names of files are UTF-16")
def test_a_name_that_is_no_utf8_is_written_with_a_question_mark(folder: Path) -> None:
    from equipoise import codes as coding

    (folder / "2.png").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
    files = load_data(folder).files
    assert files is not None
    codes = coding.Codes(index=np.arange(3), files=np.array(files), mean=np.zeros((3, 1), np.float32))
    coding.write(folder / "a.csv", codes, "")
    names = [line.split(",")[1] for line in (folder / "a.csv").read_text(encoding="utf-8").splitlines()]
    assert names == ["file", "0.png", "1.png", "?.png"]
