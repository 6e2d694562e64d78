"""dSprites drawn once for all tests of the data, in a cache folder of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipoise.data import Images, load_data


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder outside of the images; no test may touch that of the user."""
    folder = tmp_path_factory.mktemp("of_a_test") / "cache"
    monkeypatch.setenv("EQUIPOISE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder that holds dSprites."""
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUIPOISE_CACHE", str(folder))
        load_data("dsprites")
    yield folder
    shutil.rmtree(folder)  # 377 MB, which pytest would keep


@pytest.fixture(scope="session")
def dsprites(drawn: Path) -> Images:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUIPOISE_CACHE", str(drawn))
        return load_data("dsprites")
