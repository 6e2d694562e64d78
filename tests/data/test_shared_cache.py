"""Processes that decode the same pictures at the same time, and files of the same name in two folders."""

import contextlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equipoise.data import cache as pixel_cache
from equipoise.data import load_data, store
from equipoise.errors import InputError, RunError

VALUES = (0, 80, 160, 240)


def png(value: int) -> bytes:
    file = BytesIO()
    Image.new("L", (8, 8), value).save(file, "png")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, of which 2.png is damaged."""
    for i, value in enumerate(VALUES):
        content = png(value)
        (tmp_path / f"{i}.png").write_bytes(content[:50] if i == 2 else content)
    return tmp_path


@pytest.fixture
def a_second_process(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The first lock that is waited for is held by another process, which loads what is in the list."""
    work: list[Any] = []
    lock = store.lock

    @contextlib.contextmanager
    def waiting(path: Path) -> Iterator[None]:
        if work:
            work.pop()()
        with lock(path):
            yield

    monkeypatch.setattr(store, "lock", waiting)
    return work


def test_a_process_that_waited_reports_the_damaged_pictures(folder: Path, a_second_process: list[Any]) -> None:
    a_second_process.append(lambda: load_data(folder, skip_damaged=True))
    with pytest.raises(InputError, match=r"2\.png cannot be read as an image"):
        load_data(folder)
    assert a_second_process == []


def test_a_process_that_waited_leaves_out_the_damaged_pictures(folder: Path, a_second_process: list[Any]) -> None:
    a_second_process.append(lambda: load_data(folder, skip_damaged=True))
    images = load_data(folder, skip_damaged=True)
    assert a_second_process == []
    assert images.files == ["0.png", "1.png", "3.png"]
    assert images.pixels(range(3))[:, 0, 0, 0].tolist() == [0, 80, 240]


def test_a_process_that_waited_has_the_levels_and_the_range(tmp_path: Path, a_second_process: list[Any]) -> None:
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(png(7 + i))

    def load() -> None:
        with pytest.warns(UserWarning, match="uses only the levels 7 to 10"):
            load_data(tmp_path)

    a_second_process.append(load)
    load()
    assert a_second_process == []
    a_second_process.append(lambda: load_data(tmp_path, range="0%:100%"))
    assert load_data(tmp_path, range="0%:100%").limits == (7, 10)
    assert a_second_process == []


def gather(folder: Path, key: str) -> list[int]:
    """The values of three pixels that differ by key."""
    pixels = pixel_cache.gather(
        3,
        (1, 1, 1),
        lambda first: iter([np.full((3 - first, 1, 1, 1), len(key), np.uint8)]),
        name="three",
        folder=folder,
        key=(key,),
    )
    return [int(pixel) for pixel in pixels.ravel()]


@pytest.mark.parametrize("times", [1, 2])
def test_images_that_another_process_replaces_are_written_again(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.write
    others = ["another", "one more"][:times]

    def interrupted(*arguments: Any, **settings: Any) -> None:
        write(*arguments, **settings)
        if others:
            key = others.pop()
            monkeypatch.setattr(store, "write", write)
            gather(tmp_path, key)
            monkeypatch.setattr(store, "write", interrupted)

    monkeypatch.setattr(store, "write", interrupted)
    if times == 1:
        assert gather(tmp_path, "mine") == [4, 4, 4]
    else:
        with pytest.raises(RunError, match=r"three: other processes replaced its pixels in .* twice; run the command"):
            gather(tmp_path, "mine")


def test_parquet_files_of_the_same_name_in_two_folders_are_two_sources(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for name, value in (("a", 80), ("b", 240)):
        (tmp_path / name).mkdir()
        parquet.write_table(pyarrow.table({"image": [png(0), png(value)]}), tmp_path / name / "pictures.parquet")
    for name, value in (("a", 80), ("b", 240), ("a", 80)):
        monkeypatch.chdir(tmp_path / name)
        assert load_data("pictures.parquet").pixels([1])[0, 0, 0, 0] == value
    assert len(list((cache / "folders").iterdir())) == 2
    load_data(tmp_path / "a" / "pictures.parquet")
    assert len(list((cache / "folders").iterdir())) == 2
