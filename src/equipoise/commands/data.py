"""The commands of data sets and images."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from equipoise.commands.arguments import NameOrPath, keep_input
from equipoise.errors import InputError, choose
from equipoise.files import replacing
from equipoise.outcome import Outcome, align

if TYPE_CHECKING:
    from equipoise.data import Dataset


def data_list() -> Outcome:
    """List the data sets: number of images, sizes of the factors, origin, and whether they are on this machine."""
    from equipoise.data import DATASETS

    values = {}
    cells = [["name", "images", "shape", "factors", "from", "state"]]
    for name, dataset in DATASETS.items():
        values[name] = _facts(dataset)
        factors = _by(dataset.factor_sizes) or "none"
        cells.append([name, f"{dataset.images:,}", _by(dataset.shape), factors, _origin(dataset), dataset.state])
    return Outcome(values, "\n".join(align(cells, slice(1, 2))))


def data_info(
    name: NameOrPath,
    out: Annotated[Path | None, typer.Option(help="Where to write the picture; default: NAME.png here.")] = None,
) -> Outcome:
    """Describe a data set or a path of images, and how to get it. Draws up to 48 of its images.

    Examples:

      equipoise data info dsprites

      equipoise data info path/to/images --out examples.png
    """
    import numpy as np
    from PIL import Image

    from equipoise.data import DATASETS, load_data
    from equipoise.report.figures import saving, vectors
    from equipoise.report.figures.canvas import grid

    dataset = DATASETS.get(name)
    if dataset is not None and dataset.state == "not here":
        return describe(dataset)
    target = out or Path(f"{Path(name).resolve().stem}.png")
    keep_input(target, name)
    images = load_data(name)
    description = describe(dataset) if dataset else _description(images.describe())
    sample = np.random.default_rng(0).choice(len(images), min(48, len(images)), replace=False)
    values = images.floats(sample).double().numpy()
    with replacing(target) as file:
        if images.scaling is not None:
            file.write(saving.png(vectors.samples(images.scaling, values)))
        else:
            Image.fromarray(grid(values, columns=8)).save(file, "png")
    return Outcome({**description.values, "wrote": str(target)}, f"{description.text}\nwrote {target}")


def data_add(
    name: Annotated[str, typer.Argument(help="A data set that is published as files.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="The published file, or the folder of its files; default: download them."),
    ] = None,
) -> Outcome:
    """Download a data set and convert it once for all runs.

    The same command resumes an interrupted download or conversion. A file is compared with its published checksum, if
    there is one, before it is read. Data sets are stored in the folder EQUIPOISE_CACHE; default: ~/.cache/equipoise.

    Examples:

      equipoise data add shapes3d

      equipoise data add mpi3d-real --from ~/Downloads/mpi3d_real.npz
    """
    from equipoise.data import DATASETS, store
    from equipoise.data.add import add

    dataset = DATASETS[choose("data set", name, DATASETS)]
    folder = store.set_folder(name)
    values = {"name": name, "folder": str(folder), "added": False}
    if dataset.state == "rendered":
        return Outcome(values | {"folder": None}, f"{name} is rendered as batches are read; there is nothing to add")
    if dataset.state == "here":
        return Outcome(values, f"{name} is here already: {len(dataset.load()):,} images in {folder}; nothing was done")
    images, files = add(dataset, source)
    rows = [{"name": file.path.name, "bytes": file.bytes, "sha256": file.sha256} for file in files]
    lines = [f"{row['name']}: {row['bytes']:,} bytes, sha256 {row['sha256']}" for row in rows]
    lines += [f"{name}: {len(images):,} images of {_by(images.shape)}", f"wrote {folder}"]
    return Outcome(values | {"added": True, "images": len(images), "files": rows}, "\n".join(lines))


def data_render(
    name: NameOrPath,
    out: Annotated[Path | None, typer.Option(help="An .npz, or a folder for pictures; default: NAME.npz here.")] = None,
    n: Annotated[int | None, typer.Option(help="Number of images, drawn at random; default: all.")] = None,
) -> Outcome:
    """Write the images of a data set and their factors for other programs.

    An .npz contains images [N, C, H, W], factors [N, K] and factor_names. A folder contains a .png for each image and
    factors.csv. Both can be used as data of a run.

    Examples:

      equipoise data render dsprites --n 1000 --out sprites

      equipoise data render rooms3d --out rooms3d.npz
    """
    import numpy as np

    from equipoise.data import export, load_data

    target = out or Path(f"{Path(name).resolve().stem}.npz")
    if target.suffix.lower() in (".npy", ".zip", ".h5", ".hdf5", ".png"):
        raise InputError(f"--out is {target}; give a file that ends in .npz, or a folder for pictures")
    keep_input(target, name)
    images = load_data(name)
    if n is not None:
        if not 0 < n <= len(images):
            raise InputError(f"--n is {n:,}; {name} has {len(images):,} images, so give 1 to {len(images):,}")
        images = images.subset(np.sort(np.random.default_rng(0).choice(len(images), n, replace=False)))
    export.to_path(images, target)
    text = f"{len(images):,} images of {_by(images.shape)}\nwrote {target}"
    return Outcome({"images": len(images), "shape": images.shape, "wrote": str(target)}, text)


def data_check(name: NameOrPath) -> Outcome:
    """Read every image of a data set or of a path, and check that it is complete and undamaged.

    Prints a line for each check; exits with 1 if one of them fails.

    Examples:

      equipoise data check shapes3d

      equipoise data check path/to/images
    """
    from equipoise.data import DATASETS, checks, load_data

    results = list(checks.of_dataset(DATASETS[name]) if name in DATASETS else checks.of_images(load_data(name)))
    width = max(len(check.name) for check in results)
    lines = [f"{'ok    ' if check.passed else 'FAILED'}  {check.name:<{width}}  {check.result}" for check in results]
    passed = all(check.passed for check in results)
    values = {"passed": passed, "checks": [check._asdict() for check in results]}
    return Outcome(values, "\n".join(lines), is_complete=passed)


def describe(dataset: "Dataset") -> Outcome:
    """The name, origin, factors, licence and citation of a data set, and how to get it."""
    return _description({"name": dataset.name, "summary": dataset.summary, **_facts(dataset)})


def _facts(dataset: "Dataset") -> dict[str, Any]:
    """The facts about a data set that are available without reading its images."""
    from equipoise.data import store

    get = f"equipoise data add {dataset.name}"
    if dataset.state == "rendered":
        get = "rendered as batches are read"
    elif not dataset.files:
        get = f"{dataset.by_hand} {get} --from PATH"
    about = None if dataset.draw else store.describe(store.set_folder(dataset.name))
    return {
        "images": dataset.images,
        "shape": list(dataset.shape),
        "factor_names": list(dataset.factor_names),
        "factor_sizes": list(dataset.factor_sizes),
        "from": _origin(dataset),
        "state": dataset.state,
        "get": get,
        "folder": str(store.set_folder(dataset.name)) if about else None,
        "files": [
            f"{file['path']} ({file['address']}) sha256 {file['sha256']}" for file in (about or {}).get("files", [])
        ],
        "home": dataset.home,
        "licence": dataset.licence,
        "citation": dataset.citation,
    }


def _origin(dataset: "Dataset") -> str:
    """Where the images of a data set come from, in a word or two."""
    if dataset.draw is not None:
        return "rendered"
    hosts = sorted({urlsplit(remote.addresses[0]).netloc for remote in dataset.files})
    sizes = [remote.bytes or 0 for remote in dataset.files]
    size = f", {sum(sizes) / 1e6:,.0f} MB" if all(sizes) else ""
    return f"{', '.join(hosts)}{size}" if hosts else "by hand"


def _description(facts: Mapping[str, Any]) -> Outcome:
    """The facts as an outcome, with a line for each fact and each factor."""
    from equipoise.data.tables import list_names

    factors = [
        f"{name}, {size or 'continuous'}"
        for name, size in zip(facts["factor_names"], facts["factor_sizes"], strict=True)
    ]
    what, shape = ("vectors", str(facts["shape"][-1])) if facts.get("scaling") else ("images", _by(facts["shape"]))
    labels = {"shape": "factors", "images": what}
    rows = {**facts, "images": f"{facts['images']:,} of {shape}", "shape": factors or "none known"}
    lines = []
    for key, value in rows.items():
        if value and key not in ("factor_names", "factor_sizes"):
            if key == "scaling":
                value = f"{value['kind']}, of {list_names(value['names'], 'column', 20)}"
            for number, text in enumerate(value if isinstance(value, list) else textwrap.wrap(value, 100)):
                lines.append(f"{'' if number else labels.get(key, key):<9} {text}")
    return Outcome(facts, "\n".join(lines))


def _by(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))
