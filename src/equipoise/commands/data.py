"""The commands of data sets and images."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from equipoise import report
from equipoise.data import DATASETS, Dataset, checks, export, load_data, store
from equipoise.data import add as adding
from equipoise.errors import InputError, choose
from equipoise.files import replacing
from equipoise.outcome import Outcome


def data_list() -> Outcome:
    """The data sets: how many images, which factors, where they come from, and whether they are here."""
    values = {}
    cells = [["name", "images", "shape", "factors", "from", "state"]]
    for name, dataset in DATASETS.items():
        values[name] = _known(dataset)
        factors = _by(dataset.factor_sizes) or "none"
        cells.append([name, f"{dataset.images:,}", _by(dataset.shape), factors, _origin(dataset), dataset.state])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, number, *others in cells:
        left = (f"{cell:<{width}}" for cell, width in zip(others, widths[2:], strict=True))
        lines.append("  ".join([f"{name:<{widths[0]}}", f"{number:>{widths[1]}}", *left]).rstrip())
    return Outcome(values, "\n".join(lines))


def data_info(name: str, out: Path | None = None) -> Outcome:
    """What a data set, or a path of images, holds; with a picture of up to 48 of its images, if they are here."""
    dataset = DATASETS.get(name)
    if dataset is not None and dataset.state == "not here":
        return about(dataset)
    images = load_data(name)
    known = about(dataset) if dataset else _written_out(images.describe())
    drawn = np.random.default_rng(0).choice(len(images), min(48, len(images)), replace=False)
    tiles = report.pictures.grid(images.floats(drawn).double().numpy(), columns=8)
    target = out or Path(f"{Path(name).resolve().stem}.png")
    with replacing(target) as file:
        Image.fromarray(tiles).save(file, "png")
    return Outcome({**known.values, "wrote": str(target)}, f"{known.text}\nwrote {target}")


def data_add(name: str, given: Path | None = None) -> Outcome:
    """Fetch a published set, or take the file or folder that is given, and convert it once for all runs."""
    dataset = DATASETS[choose("data set", name, DATASETS)]
    folder = store.set_folder(name)
    values = {"name": name, "folder": str(folder), "added": False}
    if dataset.state == "drawn":
        return Outcome(values | {"folder": None}, f"{name} is drawn when it is asked for; there is nothing to add")
    if dataset.state == "here":
        return Outcome(values, f"{name} is here already: {len(dataset.load()):,} images in {folder}; nothing was done")
    images, files = adding.add(dataset, given)
    said = [f"{file.path.name}: {file.bytes:,} bytes, sha256 {file.sha256}" for file in files]
    seen = [{"name": file.path.name, "bytes": file.bytes, "sha256": file.sha256} for file in files]
    said += [f"{name}: {len(images):,} images of {_by(images.shape)}", f"wrote {folder}"]
    return Outcome(values | {"added": True, "images": len(images), "files": seen}, "\n".join(said))


def data_render(name: str, out: Path | None = None, n: int | None = None) -> Outcome:
    """Write the images of a data set, or of a path, and their factors: an .npz, or a folder of .png with factors.csv.

    n: so many drawn at random, always the same, in their order; None is all.
    """
    target = out or Path(f"{Path(name).resolve().stem}.npz")
    if target.suffix.lower() in (".npy", ".zip", ".h5", ".hdf5", ".png"):
        raise InputError(f"--out is {target}; give a file that ends in .npz, or a folder for pictures")
    images = load_data(name)
    if n is not None:
        if not 0 < n <= len(images):
            raise InputError(f"--n is {n:,}; {name} has {len(images):,} images, so give 1 to {len(images):,}")
        images = images.subset(np.sort(np.random.default_rng(0).choice(len(images), n, replace=False)))
    (export.to_npz if target.suffix.lower() == ".npz" else export.to_folder)(images, target)
    text = f"{len(images):,} images of {_by(images.shape)}\nwrote {target}"
    return Outcome({"images": len(images), "shape": images.shape, "wrote": str(target)}, text)


def data_check(name: str) -> Outcome:
    """Read a data set, or a path of images, from its first image to its last; a line for each check."""
    found = list(checks.of_dataset(DATASETS[name]) if name in DATASETS else checks.of_images(load_data(name)))
    width = max(len(check.name) for check in found)
    lines = [f"{'ok    ' if check.passed else 'FAILED'}  {check.name:<{width}}  {check.found}" for check in found]
    passed = all(check.passed for check in found)
    return Outcome({"passed": passed, "checks": [check._asdict() for check in found]}, "\n".join(lines))


def about(dataset: Dataset) -> Outcome:
    return _written_out({"name": dataset.name, "summary": dataset.summary, **_known(dataset)})


def _known(dataset: Dataset) -> dict[str, Any]:
    """What is known of a data set before its files are there, and where they are."""
    way = f"equipoise data add {dataset.name}"
    if dataset.state == "drawn":
        way = "drawn when it is asked for"
    elif not dataset.files:
        way = f"{dataset.by_hand} {way} --from PATH"
    about = None if dataset.draw else store.describe(store.set_folder(dataset.name))
    return {
        "images": dataset.images,
        "shape": list(dataset.shape),
        "factor_names": list(dataset.factor_names),
        "factor_sizes": list(dataset.factor_sizes),
        "from": _origin(dataset),
        "state": dataset.state,
        "get": way,
        "folder": str(store.set_folder(dataset.name)) if about else None,
        "files": [
            f"{file['path']} ({file['address']}) sha256 {file['sha256']}" for file in (about or {}).get("files", [])
        ],
        "home": dataset.home,
        "licence": dataset.licence,
        "citation": dataset.citation,
    }


def _origin(dataset: Dataset) -> str:
    """Where the images of a data set come from, in a word or two."""
    if dataset.draw is not None:
        return "drawn"
    hosts = sorted({urlsplit(remote.addresses[0]).netloc for remote in dataset.files})
    sizes = [remote.bytes or 0 for remote in dataset.files]
    size = f", {sum(sizes) / 1e6:,.0f} MB" if all(sizes) else ""
    return f"{', '.join(hosts)}{size}" if hosts else "by hand"


def _written_out(about: Mapping[str, Any]) -> Outcome:
    """A line for each value that is known, and for each factor."""
    factors = [
        f"{name}, {size or 'continuous'}"
        for name, size in zip(about["factor_names"], about["factor_sizes"], strict=True)
    ]
    said = {**about, "images": f"{about['images']:,} of {_by(about['shape'])}", "shape": factors or "none known"}
    lines = []
    for key, value in said.items():
        if value and key not in ("factor_names", "factor_sizes"):
            for line, text in enumerate(value if isinstance(value, list) else textwrap.wrap(value, 100)):
                lines.append(f"{'' if line else 'factors' if key == 'shape' else key:<9} {text}")
    return Outcome(about, "\n".join(lines))


def _by(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))
