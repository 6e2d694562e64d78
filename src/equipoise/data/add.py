"""Add a published set: download its files or take given ones, check them, convert them once."""

import shutil
import warnings
from pathlib import Path

from equipoise.data import download, store
from equipoise.data.dataset import Dataset, Remote
from equipoise.data.download import Download
from equipoise.data.images import Images
from equipoise.errors import InputError


def add(dataset: Dataset, path: Path | None) -> tuple[Images, list[Download]]:
    """Convert the set from the files at its addresses, or from a file or folder, and return it with these files.

    Downloaded files are deleted after the conversion; about.json lists their addresses and sha256. Warns if a file at
    `path` differs from the published one. Raises `InputError` for sets that no program can download and for files that
    are not those of the set, and `RunError` if a download fails.
    """
    folder = store.set_folder(dataset.name)
    downloads = folder / "fetched"
    if path is None:
        if not dataset.files:
            raise InputError(f"{dataset.name} cannot be downloaded by a program. {dataset.by_hand}")
        files = [download.fetch(remote, downloads) for remote in dataset.files]
        source = files[0].path if len(files) == 1 else downloads
    elif path.exists():
        files, source = _local(dataset, path), path
    else:
        raise InputError(f"{path} does not exist; give the file or folder with the images of {dataset.name}")
    assert dataset.convert is not None  # as every set has that is not rendered
    dataset.convert(dataset, source, folder)
    store.add_to_about(folder, {"files": [file._asdict() | {"path": file.path.name} for file in files]})
    shutil.rmtree(downloads, ignore_errors=True)
    return dataset.load(), files


def _local(dataset: Dataset, path: Path) -> list[Download]:
    """The files of the set at a path of the user, with their sha256."""
    pairs = [(path / remote.name if path.is_dir() else path, remote) for remote in dataset.files]
    files = []
    for file, remote in pairs or [(path, Remote(path.name, ()))]:
        if file.is_file():
            hashes = download.hashes(file)
            files.append(Download(file, f"given as {file.resolve()}", file.stat().st_size, hashes["sha256"]))
            for kind, hash_ in download.differences(remote, hashes).items():
                warnings.warn(
                    f"{file} is not the published file: its {kind} is {hashes[kind]}, not {hash_}", stacklevel=3
                )
    return files
