"""Images written for other programs, and read back as images of one's own."""

import csv
from pathlib import Path

import numpy as np
import pytest

from equipoise.data import Images, export, load_data
from equipoise.data.factors import column_names
from equipoise.errors import InputError

SHAPE = (3, 12, 12)
SIZES = (5, 4, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (60, *SHAPE), np.uint8)

WRITE = {"x.npz": export.to_npz, "a/folder": export.to_folder}


def scribble() -> Images:
    return Images(PIXELS, name="scribble", factors="grid", factor_names=("a", "b", "c"), factor_sizes=SIZES)


@pytest.mark.parametrize("out", WRITE)
def test_what_was_written_is_read_back_with_its_factors(out: str, tmp_path: Path) -> None:
    WRITE[out](scribble(), tmp_path / out)
    back = load_data(tmp_path / out)
    assert np.array_equal(back.pixels(np.arange(60)), PIXELS)
    assert np.array_equal(back.factors, scribble().factors)
    assert (back.shape, back.factor_names, back.factor_sizes) == (SHAPE, ("a", "b", "c"), SIZES)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("out", WRITE)
def test_a_part_of_the_images_is_written_in_its_own_order(out: str, tmp_path: Path) -> None:
    some = np.random.default_rng(1).permutation(60)[:50]
    WRITE[out](scribble().subset(some), tmp_path / out)
    back = load_data(tmp_path / out)
    assert np.array_equal(back.pixels(np.arange(50)), PIXELS[some])
    assert np.array_equal(back.factors, scribble().subset(some).factors)


def test_a_folder_has_a_table_that_names_its_pictures(tmp_path: Path) -> None:
    export.to_folder(scribble(), tmp_path / "pictures")
    with open(tmp_path / "pictures" / "factors.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "a", "b", "c"]
    assert rows[59] == ["59.png", "4", "3", "2"]
    found = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert found == [*(row[0] for row in rows), "factors.csv"]


@pytest.mark.parametrize("out", WRITE)
def test_grey_images_without_factors_are_written_too(out: str, tmp_path: Path) -> None:
    WRITE[out](Images(PIXELS[:, :1], name="grey"), tmp_path / out)
    back = load_data(tmp_path / out)
    assert np.array_equal(back.pixels(np.arange(60)), PIXELS[:, :1])
    assert back.factors is None


@pytest.mark.parametrize("out", WRITE)
def test_continuous_factors_keep_every_digit(out: str, tmp_path: Path) -> None:
    turns = np.random.default_rng(1).random((60, 1))
    WRITE[out](Images(PIXELS, name="turns", factors=turns, factor_names=["turn"]), tmp_path / out)
    back = load_data(tmp_path / out)
    assert back.factor_sizes == (0,)
    assert np.array_equal(back.factors, turns)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="pictures exists already; give a new or empty folder"):
        export.to_folder(scribble(), tmp_path / "pictures")
    (tmp_path / "pictures" / "mine.txt").unlink()
    export.to_folder(scribble(), tmp_path / "pictures")
    assert len(load_data(tmp_path / "pictures")) == 60


def test_images_that_are_no_pictures_are_refused_as_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 channels cannot be written as pictures"):
        export.to_folder(Images(PIXELS[:, :2], name="odd"), tmp_path / "pictures")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", WRITE)
def test_writing_that_fails_leaves_nothing(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_BLOCK", 20)
    images = scribble()

    def failing(rows: np.ndarray) -> np.ndarray:
        if rows[0] >= 40:
            raise InputError("broke off")
        return PIXELS[rows]

    monkeypatch.setattr(images._pixels, "bytes", failing)
    with pytest.raises(InputError, match="broke off"):
        WRITE[out](images, tmp_path / out)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_factor_called_file_does_not_hide_the_names_of_the_files(tmp_path: Path) -> None:
    images = Images(np.zeros((2, 1, 8, 8), np.uint8), name="a", factors=np.array([[0], [1]]), factor_names=["file"])
    export.to_path(images, tmp_path / "a")
    assert (tmp_path / "a" / "factors.csv").read_text().splitlines() == ["file,factor_file", "0.png,0", "1.png,1"]


def test_a_factor_with_the_name_of_another_column_takes_no_name_from_a_third() -> None:
    assert column_names(["file", "factor_file"], ["file"]) == ["factor_factor_file", "factor_file"]
    assert column_names(["shape"], ["file"]) == ["shape"]


@pytest.mark.parametrize("path", [".", "/"])
def test_the_folder_of_the_user_itself_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(InputError, match=r"cannot be replaced; give a file or a new folder, such as .*images"):
        export.to_path(scribble(), Path(path))


def test_files_that_come_while_a_folder_is_written_are_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = scribble()

    def adding(rows: np.ndarray) -> np.ndarray:
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "mine.txt").write_text("mine")
        return PIXELS[rows]

    monkeypatch.setattr(images._pixels, "bytes", adding)
    with pytest.raises(InputError, match="pictures exists already; give a new or empty folder"):
        export.to_folder(images, tmp_path / "pictures")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.txt"]
