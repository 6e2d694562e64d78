"""What the commands do: one function each, which returns its result as values and as the text a person reads."""

import dataclasses
import inspect
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from rich.console import Console

from equipoise import codes as coding
from equipoise import config as configuration
from equipoise import nets, report, runs, scoring
from equipoise import toys as linear
from equipoise.config import SECTIONS
from equipoise.data import DATASETS, Dataset, checks, export, load_data, store
from equipoise.data import add as adding
from equipoise.errors import InputError, choose
from equipoise.files import replacing, write_text
from equipoise.methods import METHODS, compose
from equipoise.metrics import METRICS, Score, table
from equipoise.outcome import Outcome
from equipoise.study import EngineName as EngineName
from equipoise.study.commands import describe as describe
from equipoise.study.commands import status as status
from equipoise.study.commands import sweep as sweep
from equipoise.study.compare import compare as compare
from equipoise.study.select import select as select
from equipoise.training import checkpoint

Kind = Literal["methods", "metrics", "data", "nets"]


def train(config: Path | None, overrides: Sequence[str], progress: bool = True) -> Outcome:
    """Train, encode, score and report; go on where an earlier call with these settings stopped."""
    settings = (configuration.read(config) if config else {}) | configuration.parse(overrides)
    run = runs.execute(configuration.resolve(settings), progress=progress)
    last = run.logs[-1] if run.logs else {"step": run.config.train.steps, "seconds": math.nan}
    said = [
        f"{run.config.method.name} on {run.config.data.name}: {last['step']:,} steps in {last['seconds']:,.0f} s",
        *([_table(run.scores)] if run.scores else []),
        *(f"note: {note}" for note in report.notes(run)),
        f"wrote {run.path}; open {run.path / 'report.html'}",
    ]
    values = {"run": str(run.path), "report": str(run.path / "report.html"), "scores": _plain(run.scores)}
    return Outcome(values, "\n".join(said))


def evaluate(
    folders: Sequence[Path],
    codes: Path | None,
    which: Sequence[str],
    convention: str | None,
    to: Path | None = None,
    progress: bool = True,
) -> Outcome:
    """Score runs, or any codes: an `.npz` of `codes` or `mean` [N, D], and, where known, `factors` [N, K], `logvar`.

    to: a .csv or .parquet for all scores as one tidy table, a row for each run and metric.
    """
    if bool(folders) == bool(codes):
        raise InputError("evaluate takes the folders of runs, or --codes FILE.npz; give one of the two")
    if to is not None:
        table.check(to)
    names = None if not which else which[0] if len(which) == 1 else tuple(which)
    if codes is not None:
        arrays = _arrays(codes)
        scores = scoring.score_codes(arrays, names or "default", convention or "default")
        target = codes.with_suffix(".scores.json")
        write_text(target, json.dumps({name: score.to_dict() for name, score in scores.items()}, indent=1))
        wrote = _write_table(to, table.rows(scores, str(codes), convention or "default"))
        said = [_table(scores), f"wrote {target}", *wrote]
        return Outcome({"scores": _plain(scores), "wrote": str(target)}, "\n".join(said))
    values, said = {}, []
    rows: list[dict[str, Any]] = []
    for folder in folders:
        run = runs.open_run(folder)
        scores = scoring.evaluate(
            run, which=names, convention=convention, console=Console(stderr=True, quiet=not progress)
        )
        values[str(folder)] = _plain(scores)
        rows += table.rows(scores, str(folder), convention or run.config.evaluate.convention)
        said += [f"{folder}", _table(scores), f"wrote {folder / 'scores.json'}"]
    return Outcome(values, "\n".join([*said, *_write_table(to, rows)]))


def encode(folder: Path, images: str, out: Path | None) -> Outcome:
    """Encode images with a trained run into an `.npz`: index, mean, logvar, z [N, D], and the error of each picture."""
    run = runs.open_run(folder)
    data = run.config.data
    channels, side, _ = run.model.shape
    # A folder is prepared as the run's own images were; anything else has to have their shape.
    folder_of_images = Path(images).is_dir()
    found = load_data(images, size=side, crop=data.crop, grey=channels == 1) if folder_of_images else load_data(images)
    if found.shape != run.model.shape:
        raise InputError(
            f"{images} has images of shape {found.shape}, the run was trained on {run.model.shape}; give images of "
            f"that shape"
        )
    target = out or Path(f"{Path(images).stem}.codes.npz")
    codes = coding.encode(run.model, found, np.arange(len(found)))
    coding.save(target, codes, checkpoint.digest(folder / "checkpoint.pt"))
    text = f"encoded {len(found):,} images into {run.model.latent} latents\nwrote {target}"
    return Outcome({"wrote": str(target), "images": len(found), "latents": run.model.latent}, text)


def write_report(folder: Path) -> Outcome:
    """Draw the report of a run again."""
    page = report.write(runs.open_run(folder))
    return Outcome({"wrote": str(page)}, f"wrote {page}")


def toys(out: Path, seeds: int, iterations: int, progress: bool = True) -> Outcome:
    """The linear examples of the ISA-VAE paper's appendix B: their numbers, as `toys.json` and figures in `out`."""
    found = linear.run(out, seeds, iterations, Console(stderr=True, quiet=not progress))
    return Outcome({**found, "wrote": str(out)}, f"{linear.table(found)}\nwrote {out}")


def listing(kind: Kind) -> Outcome:
    """Names and one line each of the methods, metrics, data sets or nets."""
    lines = {
        "methods": {name: method.summary for name, method in METHODS.items()},
        "metrics": {name: metric.summary for name, metric in METRICS.items()},
        "data": {name: data.summary for name, data in DATASETS.items()},
        "nets": {name: net.summary for name, net in nets.NETS.items()},
    }[kind]
    width = max(map(len, lines), default=0)
    return Outcome(lines, "\n".join(f"{name:<{width}}  {line}" for name, line in lines.items()))


def show(name: str) -> Outcome:
    """What a method, metric, data set, net or section of settings is: formula, settings with reasons, source."""
    known = [*METHODS, *METRICS, *DATASETS, *nets.NETS, *SECTIONS]
    choose("method, metric, data set, net or section of settings", name, known)
    if name in METHODS:
        return _show_method(name)
    if name in SECTIONS:
        settings = _settings(SECTIONS[name])
        return Outcome({"settings": settings}, f"[{name}]\n\n{_written(settings)}")
    if name in METRICS:
        about = METRICS[name]
        text = f"{name}: {about.summary}\n\n{inspect.getdoc(about.function)}"
        return Outcome({"name": name, "summary": about.summary}, text)
    if name in DATASETS:
        return _about(DATASETS[name])
    net = nets.NETS[name]
    return Outcome({"name": name, "summary": net.summary}, f"{name}: {net.summary}")


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
        return _about(dataset)
    images = load_data(name)
    about = _about(dataset) if dataset else _written_out(images.describe())
    drawn = np.random.default_rng(0).choice(len(images), min(48, len(images)), replace=False)
    tiles = report.pictures.grid(images.floats(drawn).double().numpy(), columns=8)
    target = out or Path(f"{Path(name).resolve().stem}.png")
    with replacing(target) as file:
        Image.fromarray(tiles).save(file, "png")
    return Outcome({**about.values, "wrote": str(target)}, f"{about.text}\nwrote {target}")


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


def _about(dataset: Dataset) -> Outcome:
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


def _show_method(name: str) -> Outcome:
    method = METHODS[name]
    settings = _settings(method)
    said = [f"{name}: {method.summary}", "", inspect.getdoc(method) or "", "", "settings", _written(settings)]
    parts = compose.parts() if name == compose.Compose.name else {}
    for kind, names in parts.items():
        said += ["", f"{kind} (options = defaults)"]
        said += [f"  {part}: {options}" if options else f"  {part}" for part, options in names.items()]
    if method.defaults:
        said += ["", "defaults of other sections"]
        said += [f"  {key} = {value}" for key, value in method.defaults.items()]
    if method.presets:
        said += ["", "presets (method.preset=NAME)"]
        for key, preset in method.presets.items():
            said.append(f"  {key}: {preset.why}")
            said.append("    " + " ".join(f"{k}={_inline(v)}" for k, v in preset.settings.items()))
    presets = {key: {"why": preset.why, "settings": dict(preset.settings)} for key, preset in method.presets.items()}
    values = {"name": name, "summary": method.summary, "settings": settings, "presets": presets}
    return Outcome(values | ({"parts": parts} if parts else {}), "\n".join(said))


def _inline(value: object) -> str:
    """A setting as one writes it on the command line, in a shell's quotes where it is a list or a table."""
    return f"'{_toml(value)}'" if isinstance(value, tuple | list | dict) else str(value)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value)


def _settings(kind: type) -> dict[str, dict[str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    settings = {}
    for field in dataclasses.fields(kind):
        _, *notes = get_args(hints[field.name])
        why = next((note.description for note in notes if getattr(note, "description", None)), "")
        default = None if field.default is dataclasses.MISSING else field.default
        settings[field.name] = {"default": default, "why": why}
    return settings


def _written(settings: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, about in settings.items():
        default = "unset" if about["default"] is None else about["default"]
        lines.append(f"  {name} = {default}")
        lines += textwrap.wrap(about["why"], 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def _arrays(path: Path) -> coding.Codes:
    arrays = coding.load(path)
    if "mean" not in arrays:
        if "codes" not in arrays:
            raise InputError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected codes (or mean) [N, D]")
        arrays["mean"] = arrays.pop("codes")
    return arrays


def _plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {name: score.to_dict() for name, score in scores.items()}


def _write_table(to: Path | None, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Writes the rows to the file, if one was asked for; what to say of it."""
    if to is None:
        return []
    with replacing(to) as file:
        file.write(table.contents(to, rows))
    return [f"wrote {to}"]


def _table(scores: Mapping[str, Score]) -> str:
    """The scores for the terminal: the name on the left, figures on the right, a dash where there is none."""
    cells = [["metric", "value", "95 % interval", "baseline", "attainable"]]
    for name, score in scores.items():
        interval = "–" if score.low is None else f"[{score.low:.4f}, {score.high:.4f}]"
        cells.append([name, f"{score.value:.4f}", interval, _figure(score.baseline), _figure(score.attainable)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *figures in cells:
        right = (f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True))
        lines.append("  ".join([f"  {name:<{widths[0]}}", *right]))
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
