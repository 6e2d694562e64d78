from pathlib import Path

import numpy as np
import pytest

from equipoise.data import DATASETS, Images, load_data
from equipoise.data.store import cache_folder
from equipoise.errors import InputError


def test_images_are_given_back_as_they_are() -> None:
    images = Images(np.zeros((2, 1, 8, 8), np.uint8), name="mine")
    assert load_data(images) is images


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_known_of_a_data_set_is_what_it_loads(name: str, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(drawn))
    known, images = DATASETS[name], load_data(name)
    assert known.name == images.name == name
    assert (known.images, known.shape) == (len(images), images.shape)
    assert (known.factor_names, known.factor_sizes) == (images.factor_names, images.factor_sizes)
    assert (known.licence, known.citation) == (images.licence, images.citation)
    assert known.home.startswith("https://")
    assert known.summary


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


def test_other_types_are_refused() -> None:
    with pytest.raises(InputError, match="data is a list; expected a name, a path, a NumPy array"):
        load_data([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"size": 64}, {"crop": 64}, {"grey": True}])
def test_settings_of_folders_are_refused_elsewhere(settings: dict[str, int]) -> None:
    for source in ("dsprites", np.zeros((2, 8, 8), np.uint8)):
        with pytest.raises(InputError, match=r"data\.size, data\.crop and data\.grey are for folders of images"):
            load_data(source, **settings)


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
