"""The explorer page: the model, some images and the code that runs them, in one HTML file."""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from equipoise.data.columns import Scaling
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.gates import Gated
from equipoise.likelihoods import Likelihood, as_float
from equipoise.model import VAE
from equipoise.report.explorer.layers import Layer, integers, layers_of, rounded
from equipoise.report.figures import vectors
from equipoise.report.findings import analyse
from equipoise.report.html import template
from equipoise.report.page import write as write_report
from equipoise.report.sentences import counted, form
from equipoise.scoring import Run
from equipoise.torch_defaults import torch_defaults

SAMPLES = 24  # images to choose from
CALIBRATION = 128  # codes and images over which the error of rounded weights is taken

LINK = 'href="explorer.html"'  # in a report
WORKER = ("weights.js", "net.js", "worker.js")
PAGE = (
    "elements.js",
    "requests.js",
    "pictures.js",
    "vectors.js",
    "slots.js",
    "sliders.js",
    "beta.js",
    "traversal.js",
    "main.js",
)


@torch_defaults()
def write(run: Run) -> Path:
    """Write `explorer.html` to the folder of a run: a page with sliders that runs the model in the browser.

    The file contains decoder and encoder with weights of 14 bits, and 24 images. It loads nothing. Returns its path.
    Raises `InputError` where the page cannot run a layer of the nets.
    """
    model = run.model
    if type(model.likelihood).mean is not Likelihood.mean:
        name = type(model.likelihood).__name__
        raise InputError(f"the explorer cannot decode with the likelihood {name}; it supports sigmoid means alone")
    decoder, encoder = layers_of(model.decoder, (model.latent,)), _means_only(layers_of(model.encoder, model.shape))
    rates = model.encoder.rates if isinstance(model.encoder, Gated) else None
    findings = analyse(run)
    index = run.codes["index"]
    rows = findings.examples(SAMPLES)
    x = as_float(run.images.pixels(index[:CALIBRATION]), model.likelihood.link)
    errors = _errors(model.at(), torch.from_numpy(run.codes["z"][:CALIBRATION]), x)
    noun = "image" if model.scaling is None else "row"
    weights = _pack([*decoder, *encoder], run.images.pixels(index[rows]).transpose(0, 2, 3, 1))
    code, worker = _join(PAGE), _join(WORKER)
    latent_keys = ("index", "factor", "words", "nats", "low", "high", "active")
    about = {
        "name": run.path.resolve().name,
        "shape": list(model.shape),
        "crop": run.config.data.crop,
        "measure": findings.measure,
        "latents": [{key: getattr(latent, key) for key in latent_keys} for latent in findings.latents],
        "samples": [f"{noun} {number}" for number in index[rows].tolist()],
        "link": model.likelihood.link,
        "columns": None if model.scaling is None else _columns(model.scaling, run.images.pixels(index)),
        "decoder": [layer.describe() for layer in decoder],
        "encoder": [layer.describe() for layer in encoder],
        "rates": None if rates is None else {**vars(rates), "middle": rates.middle},
    }
    report = run.results / "report.html"
    page = template("report/explorer/page.html").render(
        title=about["name"],
        rates=rates,
        noun=noun,
        form=form(run.images),
        counted=counted,
        has_report=report.exists(),
        run=run,
        findings=findings,
        data_name=Path(run.images.name).name,  # without the rest of a path, because the page is made to be shared
        weights=sum(layer.rows.numel() for layer in (*decoder, *encoder)),
        megabytes=sum(map(len, (weights, code, worker))) / 1e6,
        calibration=min(len(index), CALIBRATION),
        errors=errors,
        style=Markup(_join(["style.css"])),
        policy=Markup(script_hash(code)),
        about=Markup(as_json(about)),
        parcel=Markup(weights),  # base64
        worker=Markup(worker),
        code=Markup(code),
    )
    path = run.results / "explorer.html"
    write_text(path, page, within=run.path)
    if report.exists() and LINK not in report.read_text(encoding="utf-8"):
        write_report(run)  # with the link
    return path


def _columns(scaling: Scaling, values: NDArray[Any]) -> dict[str, Any]:
    """Return what the page needs to draw vectors, whose scaled values over the run are [n, 1, 1, V]."""
    drawing = vectors.to_draw(scaling, values.astype(np.float64))
    low, high = vectors.axis_range(drawing)
    return {
        **scaling.to_dict(),
        "axis": None if scaling.axis is None else scaling.axis.tolist(),
        "inUnits": scaling.has_one_unit,
        "label": vectors.value_label(scaling),
        "low": low,
        "high": high,
    }


def as_json(value: Any) -> str:
    """Return JSON that is safe inside a page: none of its characters can end the element around it."""
    text = json.dumps(value)  # ASCII alone
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def script_hash(code: str) -> str:
    """Return the hash by which a content security policy allows this script alone."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() + "'"


def _means_only(encoder: list[Layer]) -> list[Layer]:
    """Return the encoder without the outputs that are log-variances, which the page does not use."""
    *others, last = encoder
    half = last.output[2] // 2
    if last.output[:2] != (1, 1):
        raise InputError("the explorer cannot run an encoder whose output is an image; end it with a linear layer")
    gate = None if last.gate is None else last.gate[:, :half]
    means = replace(last, rows=last.rows[:half], bias=last.bias[:half], gate=gate, output=(1, 1, half))
    return [*others, means]


@torch.no_grad()
def _errors(model: VAE, z: Tensor, x: Tensor) -> dict[str, float]:
    """Return the largest change of a pixel and of a code that comes from rounding the weights."""
    pictures = model.likelihood.mean(rounded(model.decoder)(z))
    codes = rounded(model.encoder)(x).chunk(2, dim=1)[0]
    return {
        "decoder": float((pictures - model.decode(z)).abs().max()),
        "encoder": float((codes - model.encode(x)[0]).abs().max()),
    }


def _pack(layers: Sequence[Layer], images: NDArray[Any]) -> str:
    """Return weights, biases and images [n, H, W, C], compressed, in base64; `weights.js` unpacks them.

    Images are bytes, vectors float32. The weights are integers, first all low bytes and then all high bytes, which
    compress better apart. The scale of each row, the biases and the numbers of the gates follow as float32, layer by
    layer, then the images.
    """
    weights, floats = [], []
    for layer in layers:
        numbers, scale = integers(layer.rows, 1)
        weights.append(numbers.numpy().astype("<i2").ravel())
        parts = [scale, layer.bias] if layer.gate is None else [scale, layer.bias, layer.gate]
        floats += [part.numpy().astype("<f4") for part in parts]
    low_and_high = np.concatenate(weights).view(np.uint8).reshape(-1, 2).T
    content = b"".join(part.tobytes() for part in (low_and_high, *floats, images))
    return base64.b64encode(zlib.compress(content)).decode()


def _join(names: Sequence[str]) -> str:
    folder = resources.files(__package__)
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
