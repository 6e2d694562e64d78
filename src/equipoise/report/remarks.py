"""Remarks on a run: what went wrong, what has not converged, what was not measured."""

import math
from collections.abc import Sequence

import numpy as np

from equipoise.choice import default_steps, is_short
from equipoise.config import outline
from equipoise.part import Flag, Remark
from equipoise.report.findings import Findings, analyse
from equipoise.report.latents import ACTIVE, Array, Information, latent_variances
from equipoise.report.log import with_context
from equipoise.report.sentences import constant_output, listing, one_of
from equipoise.scoring import Run

FEW = 400  # steps; in fewer, latents are inactive with most methods, whatever the settings
OFTEN = 100  # passes over the images, after which the errors of other images were several times as large in trials


def notes(run: Run) -> list[str]:
    """Return notes and warnings about a run, one sentence each: inactive latents, weights at a limit, missing scores.

    Args:
        run: A run that is encoded.

    Returns:
        One string for each remark, warnings included.

    Example:
        >>> import equipoise as eq
        >>> eq.report.notes(eq.open_run("runs/first"))[0]
        'The run is too short: no latent is active after 2 steps, ...'
    """
    return [remark.sentence for remark in remarks(run, analyse(run))]


def flags(run: Run) -> list[Flag]:
    """Return the reasons why a run should not be compared with others, from its codes and log; no model is loaded.

    Args:
        run: A run that is encoded.

    Returns:
        Some of `collapsed`, `not settled`, `saturated` and `at chance`, each at most once.

    Example:
        >>> import equipoise as eq
        >>> eq.report.flags(eq.open_run("runs/first"))
        ['collapsed']
    """
    every = [*_collapse(run, latent_variances(run.codes["mean"])), *_training(run)]
    return list(dict.fromkeys(remark.flag for remark in every if remark.flag is not None))


def remarks(run: Run, findings: Findings) -> list[Remark]:
    """Return all remarks on a run with these findings."""
    collapse = _collapse(run, latent_variances(findings.codes))
    length = [] if any(remark.flag for remark in collapse) else _length(run)
    every = [*_batch(run), *_passes(run), *length, *collapse, *_training(run)]
    if findings.information is not None and findings.active:
        every += _missing_factors(findings.information, [latent.index for latent in findings.active])
    return every + _scores(run, findings)


def batch_size(run: Run) -> int:
    """Return the number of images in a batch, which is smaller than in the settings if there are fewer images."""
    return int(run.meta.get("parts", {}).get("batch", run.config.train.batch))


def _batch(run: Run) -> list[Remark]:
    size = batch_size(run)
    if size == run.config.train.batch:
        return []
    one = one_of(run)
    sentence = f"There were only {run.meta['images']} {one}s to train on, so each batch had {size} {one}s, not "
    return [Remark(f"{sentence}{run.config.train.batch}.")]


def _passes(run: Run) -> list[Remark]:
    """Return a remark on a run that used each image many times, if these images are scored."""
    images, data = run.meta["images"], run.config.data
    passes = run.config.train.steps * batch_size(run) / images
    scored = data.scored or ("test" if data.split else "all")
    if passes < OFTEN or scored not in ("all", "train"):
        return []
    items = "images" if data.scaling is None else "vectors"
    sentence = (
        f"The model was trained on each of the {images:,} {items} {passes:,.0f} times, and these are also scored. "
        f"Errors and scores of other {items} can be worse: data.split=[0.8,0.2] trains on a part and scores the rest."
    )
    return [Remark(sentence)]


def _length(run: Run) -> list[Remark]:
    """Return a remark on a run of few steps."""
    if not is_short(run.config):
        return []
    steps, name, default = run.config.train.steps, run.config.method.name, default_steps(run.config)
    sentence = (
        f"The run is short: it has {steps:,} steps, and {name} has {default:,} by default. Reconstructions and latents "
        "can improve with more steps."
    )
    return [Remark(sentence)]


def _collapse(run: Run, variances: Array) -> list[Remark]:
    inactive = [f"z{j}" for j in np.flatnonzero(variances <= ACTIVE)]
    if not inactive:
        return []
    steps, is_vector = run.config.train.steps, run.config.data.scaling is not None
    if len(inactive) == len(variances) and _are_alike(run):
        items = "vectors" if is_vector else "images"
        sentence = (
            f"The {items} are alike: all {len(run.codes['mean']):,} that are scored have the same code and the same "
            "error, so there was nothing to learn. Check the files, data.crop and data.keep."
        )
        return [Remark(sentence, "collapsed")]
    if len(inactive) == len(variances) and steps < FEW:
        sentence = (
            f"The run is too short: no latent is active after {steps:,} steps, too few to tell whether latents "
            "collapse. Train longer, such as with --budget 10m."
        )
        return [Remark(sentence, "collapsed")]
    if len(inactive) == len(variances):
        sentence = (
            f"Posterior collapse: no latent is active (variance of the posterior means above {ACTIVE}), so "
            f"{constant_output(is_vector)}. Lower the weight of the KL, raise it later in training, or train longer."
        )
        return [Remark(sentence, "collapsed")]
    verb = "is" if len(inactive) == 1 else "are"
    sentence = (
        f"{len(inactive)} of {len(variances)} latents {verb} unused ({', '.join(inactive)}). This is expected when "
        "there are more latents than factors of variation."
    )
    return [Remark(sentence)]


def _are_alike(run: Run) -> bool:
    """Whether all images have one code and one error, up to rounding; those of a collapsed model differ in error."""
    columns = [run.codes["sse"], *run.codes["mean"].T]
    return len(columns[0]) > 1 and all(np.ptp(each) <= 1e-5 * np.abs(each).max() for each in columns)


def _training(run: Run) -> list[Remark]:
    """Return the remarks of balance, likelihood, prior and adversary."""
    if not run.logs:
        return []
    objective = outline(run.config)
    rows = with_context(run.logs, run.config, objective)
    rows[-1]["mse"] = float(np.mean(run.codes["sse"], dtype=np.float64)) / math.prod(run.meta["shape"])
    return [remark for part in objective.parts for remark in part.remarks(rows)]


def _missing_factors(information: Information, active: Sequence[int]) -> list[Remark]:
    """Return a remark on the factors that none of the active latents encodes, if they encode others."""
    is_clear = information.share[:, active].max(axis=1) >= information.clear
    names = [name for name, clear in zip(information.names, is_clear, strict=True) if not clear]
    if not names or not is_clear.any():
        return []
    sentence = (
        f"No single latent encodes {listing(names, 'or')}: the mutual information exceeds its bias by less than "
        "a tenth of the factor's entropy."
    )
    return [Remark(sentence)]


def _scores(run: Run, findings: Findings) -> list[Remark]:
    if not findings.factors:
        sentence = f"The factors of variation of these {one_of(run)}s are not known, so there are no scores of "
        sentence += "disentanglement."
        return [Remark(sentence + (" The traversals show what each latent encodes." if findings.active else ""))]
    if not run.scores:
        return [Remark(f"There are no scores, because the run was not evaluated. Run equipoise evaluate {run.path}.")]
    undefined = [name for name, score in run.scores.items() if math.isnan(score.value)]
    return [Remark(f"Undefined for these codes: {', '.join(undefined)}.")] if undefined else []
