"""Published sets brought to where they are read from: fetched or given, checked, converted once."""

import shutil
import warnings
from pathlib import Path

from equipoise.data import download, store
from equipoise.data.dataset import Dataset
from equipoise.data.download import Fetched
from equipoise.data.images import Images
from equipoise.errors import InputError


def add(dataset: Dataset, given: Path | None) -> tuple[Images, list[Fetched]]:
    """The set, converted from the files at its addresses or from a file or folder that is given; and these files.

    Files that were fetched are deleted once they are converted; their addresses and sha256 are kept in about.json.
    InputError for sets that no program can fetch and for files that are not those of the set; RunError when fetching
    fails. Warns of a given file that is not the published one, bit by bit, though it holds the same kind of arrays.
    """
    folder = store.set_folder(dataset.name)
    fetched = folder / "fetched"
    if given is None:
        if not dataset.files:
            raise InputError(f"{dataset.name} cannot be fetched by a program. {dataset.by_hand}")
        files = [download.fetch(remote, fetched) for remote in dataset.files]
        source = files[0].path if len(files) == 1 else fetched
    elif given.exists():
        files, source = _given(dataset, given), given
    else:
        raise InputError(f"{given} does not exist; give the file or folder with the images of {dataset.name}")
    assert dataset.convert is not None  # as all have that are not drawn
    dataset.convert(source, folder)
    store.remember(folder, {"files": [file._asdict() | {"path": file.path.name} for file in files]})
    shutil.rmtree(fetched, ignore_errors=True)
    return dataset.load(), files


def _given(dataset: Dataset, given: Path) -> list[Fetched]:
    """The files of the set that are given, with the sha256 they have."""
    files = []
    for remote in dataset.files:
        path = given / remote.name if given.is_dir() else given
        if path.is_file():
            seen = download.digests(path)
            files.append(Fetched(path, f"given as {path.resolve()}", path.stat().st_size, seen[0]))
            for kind, found, published in zip(("sha256", "md5"), seen, (remote.sha256, remote.md5), strict=True):
                if published and found != published.lower():
                    warnings.warn(
                        f"{path} is not the published file: its {kind} is {found}, not {published}", stacklevel=3
                    )
    if not dataset.files and given.is_file():
        files.append(Fetched(given, f"given as {given.resolve()}", given.stat().st_size, download.digests(given)[0]))
    return files
