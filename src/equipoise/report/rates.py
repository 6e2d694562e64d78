"""The trade-off of a run of mr-vae: rate, distortion and scores over its range of beta, from one training."""

import copy
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise import codes as coding
from equipoise import scoring
from equipoise.codes import Codes
from equipoise.config import outline
from equipoise.gates import Rates
from equipoise.metrics import ScoreWarning
from equipoise.model import VAE
from equipoise.report.latents import ACTIVE, latent_variances, nats_carried
from equipoise.scoring import Run
from equipoise.training import checkpoint

BETAS = 20  # of the curve
IMAGES = 2000  # that are encoded for each
FILE = "rates.npz"


def rates(run: Run) -> Codes | None:
    """Return the trade-off of a run, from `rates.npz` in its folder.

    The file is written first if it is missing or belongs to another checkpoint. None for a run whose model has a
    single beta. The arrays are beta [20], log-spaced over the range of the run; for each of these rec, kl and sse
    [20] in nats or squared error per image, nats and variance [20, D] of each latent, mig [20] where factors are
    known; and the codes themselves, mean and logvar [20, n, D] of the images at index [n].
    """
    scope = outline(run.config).rates
    if scope is None:
        return None
    path, digest = run.path / FILE, checkpoint.digest(run.path / "checkpoint.pt")
    if not scoring.are_of(path, digest):
        coding.save(path, _compute(run, scope), digest)
    return coding.load(path)


def points(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the squared errors, KLs and scores over the betas of a run, by name; nothing for a run of one beta."""
    path = folder / FILE
    if not path.exists() or not scoring.are_of(path, checkpoint.digest(folder / "checkpoint.pt")):
        return {}
    return {name: values for name, values in coding.load(path).items() if name in ("beta", "sse", "kl", "mig")}


@torch.no_grad()
def constant(model: VAE) -> float:
    """Return the nats by which -log p(x|z) exceeds the reconstruction term of the loss, the same for all images."""
    blank = torch.zeros(1, *model.shape, dtype=torch.float64)
    likelihood = copy.deepcopy(model.likelihood).double().cpu()
    return float(-likelihood.log_prob(blank, blank) - likelihood(blank, blank))


def last_active(curve: Codes) -> NDArray[np.int64]:
    """Return for each latent [D] the position of the highest beta at which it is active, -1 if there is none."""
    active = curve["variance"] > ACTIVE
    last: NDArray[np.int64] = np.where(active.any(0), len(active) - 1 - active[::-1].argmax(0), -1)
    return last


def _compute(run: Run, scope: Rates) -> Codes:
    """Encode the images of a run at 20 betas."""
    betas = np.geomspace(scope.low, scope.high, BETAS)
    betas[[0, -1]] = scope.low, scope.high  # without rounding
    index = run.codes["index"][:IMAGES]
    convention = run.config.evaluate.convention
    model, prior, offset = scoring.on_device(run), run.model.prior, constant(run.model)
    columns: dict[str, list[Any]] = defaultdict(list)
    for beta in betas.tolist():
        codes = coding.encode(model.at(beta), run.images, index)
        mean, logvar, z = (torch.from_numpy(codes[name]) for name in ("mean", "logvar", "z"))
        with torch.no_grad():
            nats = nats_carried(prior.kl(mean, logvar, z), mean, logvar)[1]
        values = {
            "rec": -codes["log_px_z"].mean() - offset,
            "kl": codes["kl"].mean(),
            "sse": codes["sse"].mean(),
            "nats": nats,
            "variance": latent_variances(codes["mean"]),
            "mean": codes["mean"],
            "logvar": codes["logvar"],
        }
        for name, value in values.items():
            columns[name].append(value)
        if "factors" in codes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScoreWarning)  # the scores of the run have it
                scores = scoring.score_codes(codes, "mig", convention, interval=False, progress=False)
            columns["mig"].append(scores["mig"].value)
    return Codes(beta=betas, index=index, **{name: np.array(values) for name, values in columns.items()})
