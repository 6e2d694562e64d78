"""UDR of runs that differ only in their seed: each run is compared with all others."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from equipoise.codes import load, logvar_of
from equipoise.errors import InputError
from equipoise.files import read_json
from equipoise.metrics import ScoreWarning
from equipoise.metrics.ranking import udr
from equipoise.metrics.result import Floats
from equipoise.run_folder import Meta


def udr_of_seeds(runs: Sequence[Path]) -> list[float]:
    """Return the UDR of each run, compared with all others; folders of three or more runs of one setting.

    Raises `InputError` where their codes are not of the same images.
    """
    return [float(median) for median in np.nanmedian(agreement(runs), axis=1)]


def agreement(runs: Sequence[Path]) -> Floats:
    """Return the UDR of each pair of runs [S, S]: row i has run i compared with each other one, and NaN for itself.

    Raises `InputError` where their codes are not of the same images.
    """
    files = [load(run / "codes.npz") for run in runs]
    digests = [read_json(run / "meta.json", Meta)["data"]["digest"] for run in runs]
    for run, codes, digest in zip(runs, files, digests, strict=True):
        if digest != digests[0] or not np.array_equal(codes["index"], files[0]["index"]):
            raise InputError(
                f"the codes of {run} and {runs[0]} are not of the same images, so UDR cannot compare them; delete the "
                f"run with the outdated images, and sweep again"
            )
    pairs = [(codes["mean"], logvar_of(codes)) for codes in files]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the lasso, for a handful of images
        warnings.simplefilter("ignore", ScoreWarning)  # a collapsed model scores 0, and its flag gives the reason
        rows = [
            udr(mean, [*pairs[:i], *pairs[i + 1 :]], logvar).extra["pairs"] for i, (mean, logvar) in enumerate(pairs)
        ]
    return np.array([[*row[:i], math.nan, *row[i:]] for i, row in enumerate(rows)])
