from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data import DATASETS, Images, load_data
from equipoise.data.store import cache_folder
from equipoise.errors import InputError


def test_images_are_given_back_as_they_are() -> None:
    images = Images(np.zeros((2, 1, 8, 8), np.uint8), name="mine")
    assert load_data(images) is images


@pytest.mark.parametrize("name", [name for name, known in DATASETS.items() if known.draw is not None])
def test_what_is_known_of_a_drawn_set_is_what_it_loads(name: str, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(drawn))
    known, images = DATASETS[name], load_data(name)
    assert known.name == name
    assert images.name.startswith(name)  # a stand-in says that it is one
    assert (known.images, known.shape) == (len(images), images.shape)
    assert (known.factor_names, known.factor_sizes) == (images.factor_names, images.factor_sizes)
    assert known.licence == images.licence
    assert images.citation
    assert images.citation in known.citation


@pytest.mark.parametrize("name", [name for name, known in DATASETS.items() if known.draw is None])
def test_set_that_is_not_here_says_how_to_get_it(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"{name} is not available locally; add it once with `equipoise data add {name}"
    ):
        load_data(name)


@pytest.mark.parametrize("name", ["dsprite", "dSprites", "Dsprits"])
def test_unknown_name_names_the_nearest(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"no data set and no file or folder is called '{name}'; did you mean dsprites"
    ):
        load_data(name)


def test_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(InputError, match="is called 'qqq'; choose one of dsprites"):
        load_data("qqq")


@pytest.mark.parametrize("path", ["no/such/folder", "missing.npz", Path("no") / "file.npy"])
def test_path_that_does_not_exist_says_so(path: str | Path) -> None:
    with pytest.raises(InputError, match=rf"the path {path} does not exist; check it, or name a data set: dsprites"):
        load_data(path)


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"?")
    with pytest.raises(InputError, match=r"a\.mp4 is not a kind of file that is read; give a folder of images"):
        load_data(tmp_path / "a.mp4")


@pytest.mark.parametrize("source", [3, None, {1, 2}, iter([])])
def test_other_types_are_refused(source: object) -> None:
    with pytest.raises(InputError, match=f"data is a {type(source).__name__}; expected a name, a path, an array"):
        load_data(source)


SETTINGS = [{"crop": 64}, {"grey": True}, {"factors": "a.csv"}, {"skip_damaged": True}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_of_own_images_are_refused_elsewhere(settings: dict[str, Any]) -> None:
    images = Images(np.zeros((2, 1, 8, 8), np.uint8), name="mine")
    for source in ("dsprites", images):
        with pytest.raises(InputError, match=rf"data\.{next(iter(settings))}: only for images of your own; remove it"):
            load_data(source, **settings)


def test_settings_without_a_meaning_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 8, 8), np.uint8))
    for source in (tmp_path / "a.npy", np.zeros((2, 8, 8), np.uint8)):
        with pytest.raises(InputError, match=r"data\.skip_damaged: only for pictures that are read one by one"):
            load_data(source, skip_damaged=True)
        with pytest.raises(InputError, match=r"data\.factors=folders is for a folder of images"):
            load_data(source, factors="folders")


@pytest.mark.parametrize("setting", ["size", "crop"])
def test_side_below_eight_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=rf"data\.{setting}=7 is too small; give 8 pixels or more"):
        load_data(np.zeros((2, 8, 8), np.uint8), **{setting: 7})


@pytest.mark.parametrize("setting", ["size", "crop"])
@pytest.mark.parametrize("side", ["32", 32.5, (32, 32)])
def test_side_that_is_no_whole_number_is_refused(setting: str, side: object) -> None:
    with pytest.raises(InputError, match=rf"data\.{setting} is .*; expected one whole number of pixels"):
        load_data(np.zeros((2, 64, 64), np.uint8), **{setting: side})


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("EQUIPOISE_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("EQUIPOISE_CACHE")
    assert cache_folder() == Path("/xdg/equipoise")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "equipoise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "equipoise"
