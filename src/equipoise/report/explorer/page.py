"""The page itself: what is known of the latents, some images, the net and the code that runs it, in one file."""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.likelihoods import Likelihood, as_float
from equipoise.model import VAE
from equipoise.report.explorer.layers import Layer, fewest_bits, layers_of, rounded
from equipoise.report.findings import Findings, analyse
from equipoise.report.html import template
from equipoise.report.latents import typical
from equipoise.scoring import Run

SAMPLES = 24  # images to choose from
CALIBRATION = 128  # codes, or images, over which the error of rounded weights is taken

# What rounding the weights may change. Of a picture half a grey level, so that what a screen shows is at most one off;
# of a code what two decimals do not show.
PICTURE, CODE = 0.5 / 255, 0.005

WORKER = ("weights.js", "net.js", "worker.js")
PAGE = ("elements.js", "worker_queue.js", "pictures.js", "gif.js", "slots.js", "sliders.js", "traversal.js", "main.js")


def write(run: Run) -> Path:
    """The path of `explorer.html` in the run's folder: one file that needs nothing else and loads nothing.

    It holds decoder and encoder, with weights rounded to as few bits as change no pixel of a picture by more than
    0.5/255 and no code by more than 0.005, and 24 images. The run must be encoded. Raises `InputError` for a net whose
    layers the page cannot run.
    """
    model = run.model
    if type(model.likelihood).mean is not Likelihood.mean:
        raise InputError(f"the explorer cannot show pictures of a {type(model.likelihood).__name__}; it takes sigmoids")
    decoder, encoder = layers_of(model.decoder, (model.latent,)), _means_only(layers_of(model.encoder, model.shape))
    found = analyse(run)
    index = run.codes["index"]
    rows = _shown(found.codes)
    bits, errors = _bits(model, torch.from_numpy(run.codes["z"]), as_float(run.images.pixels(index[:CALIBRATION])))
    pixels = run.images.pixels(index[rows]).transpose(0, 2, 3, 1)

    weights = _packed([(decoder, bits["decoder"]), (encoder, bits["encoder"])], pixels)
    code, worker = _joined(PAGE), _joined(WORKER)
    about = {
        "name": run.path.resolve().name,
        "shape": list(model.shape),
        "crop": run.config.data.crop,
        "measure": found.measure,
        "latents": _latents(found),
        "samples": [f"image {number}" for number in index[rows].tolist()],
        "decoder": [layer.described() for layer in decoder],
        "encoder": [layer.described() for layer in encoder],
    }
    page = template("explorer/page.html").render(
        title=about["name"],
        run=run,
        found=found,
        data_name=Path(run.images.name).name,  # of a folder not its whole path: the page is made to be passed on
        weights=sum(layer.rows.numel() for layer in (*decoder, *encoder)),
        megabytes=sum(map(len, (weights, code, worker))) / 1e6,
        calibrated=min(len(index), CALIBRATION),
        bits=bits,
        errors=errors,
        style=Markup(_joined(["style.css"])),
        policy=Markup(hashed(code)),
        about=Markup(as_json(about)),
        parcel=Markup(weights),  # letters, digits, + / =
        worker=Markup(worker),
        code=Markup(code),
    )
    path = run.path / "explorer.html"
    write_text(path, page)
    return path


def as_json(value: Any) -> str:
    """JSON that is safe inside a page: no character of it can end the element it stands in, or a line of code."""
    text = json.dumps(value)  # all but ASCII is escaped, U+2028 too
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def hashed(code: str) -> str:
    """The name by which a content security policy allows just this script."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() + "'"


def _means_only(encoder: list[Layer]) -> list[Layer]:
    """The encoder without its second half, the log-variances, which the page does not show."""
    *others, last = encoder
    half = last.output[2] // 2
    if last.output[:2] != (1, 1):
        raise InputError("the explorer cannot run an encoder that ends with an image")
    rows, bias = last.rows[:half], last.bias[:half]
    return [*others, Layer(**{**vars(last), "rows": rows, "bias": bias, "output": (1, 1, half)})]


def _shown(codes: NDArray[np.float64]) -> list[int]:
    """Rows of codes [n, D] of the images to choose from: the typical one, and the first others, which are random."""
    first = typical(codes)
    return [first, *(row for row in range(min(len(codes), SAMPLES)) if row != first)][:SAMPLES]


@torch.no_grad()
def _bits(model: VAE, z: Tensor, x: Tensor) -> tuple[dict[str, int], dict[str, float]]:
    """Bits of the weights of decoder and encoder, and the largest change of pixel or code that comes of them."""
    z = z[:CALIBRATION]
    pictures, codes = model.decode(z), model.encode(x)[0]

    def picture_error(bits: int) -> float:
        decoded = model.likelihood.mean(rounded(model.decoder, bits)(z))
        return float((decoded - pictures).abs().max())

    def code_error(bits: int) -> float:
        mean = rounded(model.encoder, bits)(x).chunk(2, dim=1)[0]
        return float((mean - codes).abs().max())

    chosen = {"decoder": fewest_bits(picture_error, PICTURE), "encoder": fewest_bits(code_error, CODE)}
    return {name: bits for name, (bits, _) in chosen.items()}, {name: error for name, (_, error) in chosen.items()}


def _packed(nets: Sequence[tuple[list[Layer], int]], samples: NDArray[np.uint8]) -> str:
    """Weights and images, compressed, in base64; `weights.js` takes them out again.

    First the weights as whole numbers, the sign in the lowest bit, all low bytes before all high bytes: the high ones
    are mostly 0 and compress well. Then the scale of each row and the biases as float32, layer by layer; last the
    images, uint8 [n, H, W, C].
    """
    whole, floats = [], []
    for layers, bits in nets:
        for layer in layers:
            numbers, scale = layer.whole(bits)
            whole.append(np.where(numbers < 0, -2 * numbers - 1, 2 * numbers).astype("<u2").ravel())
            floats += [scale.astype("<f4"), layer.bias.numpy().astype("<f4")]
    numbers = np.concatenate(whole)
    planes = [(numbers & 255).astype(np.uint8), (numbers >> 8).astype(np.uint8)]
    parts = [*planes, *floats, np.ascontiguousarray(samples)]
    return base64.b64encode(zlib.compress(b"".join(part.tobytes() for part in parts))).decode()


def _latents(found: Findings) -> list[dict[str, Any]]:
    """The latents for the sliders, the one that carries most first."""
    return [
        {
            "index": latent.index,
            "factor": latent.factor,
            "words": latent.words,
            "nats": latent.nats,
            "low": latent.low,
            "high": latent.high,
            "active": latent.active,
        }
        for latent in found.latents
    ]


def _joined(names: Sequence[str]) -> str:
    folder = resources.files(__package__)
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
