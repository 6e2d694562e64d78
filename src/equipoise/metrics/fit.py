"""Metrics of the model's fit: reconstruction, KL, ELBO, active units."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import InputError
from equipoise.metrics.inputs import floats, matching, numbers
from equipoise.metrics.result import Floats, Metric, Score

Recon = Mapping[str, Any] | tuple[ArrayLike, ArrayLike]
Likelihood = Literal["model", "bernoulli", "gaussian"]

_LOG_FLOOR = -100.0  # of the Bernoulli log-likelihood of a pixel, as in torch, so that no single error is infinite
_PIXELS = 4_000_000  # pixels in float64 at once
_SAMPLED, _MODEL = ("sampled_sse", "sampled_bce"), ("log_px_z", "kl")


def reconstruction(recon: Recon) -> dict[str, Any]:
    """Return the errors per image, {"sse": [N], "bce": [N], "pixels": number of values in an image}.

    recon: such a mapping, or (x, xhat), images [N, ...] in [0, 1] and their mean reconstructions. A mapping can also
    have "sampled_sse" and "sampled_bce" [N], the errors of images decoded from one draw of each posterior, and in nats
    by the model itself "log_px_z" [N], for the same draw and the model's likelihood, and "kl" [N], of the posterior and
    the model's prior. Raises `InputError` for anything else.
    """
    if isinstance(recon, Mapping):
        return _errors(recon)
    parts = len(recon) if hasattr(recon, "__len__") else 0
    if parts != 2:
        raise InputError(f"recon has {parts} parts: expected (x, xhat)")
    x, xhat = numbers(recon[0], "x"), numbers(recon[1], "xhat")
    if x.shape != xhat.shape or x.ndim < 2 or len(x) < 2:
        raise InputError(f"x has shape {x.shape}, xhat {xhat.shape}: expected [N, ...] for both, with N of at least 2")
    for name, images in (("x", x), ("xhat", xhat)):
        if not (images.min() >= 0 and images.max() <= 1):
            raise InputError(f"{name} leaves [0, 1]: divide uint8 images by 255 and pass means, not logits")
    x, xhat = x.reshape(len(x), -1), xhat.reshape(len(x), -1)
    sse, bce = np.empty(len(x)), np.empty(len(x))
    step = max(1, _PIXELS // x.shape[1])
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        truth, mean = x[rows], xhat[rows]
        sse[rows] = ((truth - mean) ** 2).sum(axis=1)
        with np.errstate(divide="ignore"):
            white, black = np.maximum(np.log(mean), _LOG_FLOOR), np.maximum(np.log1p(-mean), _LOG_FLOOR)
        bce[rows] = -(truth * white + (1 - truth) * black).sum(axis=1)
    return {"sse": sse, "bce": bce, "pixels": x.shape[1]}


def _errors(recon: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked mapping of errors."""
    missing = [name for name in ("sse", "pixels") if name not in recon]
    if missing:
        raise InputError(
            f"recon lacks {missing[0]}: expected sse [N], pixels and, for images, bce [N]; or images (x, xhat)"
        )
    errors: dict[str, Any] = {}
    for name in ("sse", "bce", *_SAMPLED, *_MODEL):
        if name in recon:
            array = numbers(recon[name], f"recon {name}")
            if array.ndim != 1:
                raise InputError(f"recon {name} has shape {array.shape}: expected one value for each image")
            errors[name] = floats(array[:, None], f"recon {name}")[:, 0]
    if len({len(values) for values in errors.values()}) > 1 or int(recon["pixels"]) < 1:
        raise InputError(f"recon: expected {', '.join(errors)} of the same images, and pixels of at least 1")
    return {**errors, "pixels": int(recon["pixels"])}


def of_samples(errors: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the errors of images decoded from draws of the posterior, in the same form; None if they are missing."""
    if any(f"sampled_{name}" not in errors for name in ("sse", "bce") if name in errors):
        return None
    sampled = {name.removeprefix("sampled_"): errors[name] for name in _SAMPLED if name in errors}
    return {**sampled, "pixels": errors["pixels"]} | {name: errors[name] for name in _MODEL if name in errors}


def sse(recon: Recon) -> Score:
    """Squared error per image: the sum of (x - xhat)^2 over pixels and channels, averaged over images.

    Args:
        recon: images and reconstructions (x, xhat), each [N, ...] in [0, 1], or a mapping of errors, see
            `reconstruction`. The images are decoded from the posterior mean unless the caller does otherwise.

    Returns:
        A score of at least 0.

    Raises:
        InputError: for images out of range or of different shapes, and for a mapping without errors.

    Source:
        The sum of squares over an image.

    Example:
        >>> sse((np.zeros((2, 3)), np.ones((2, 3)))).value
        3.0
    """
    errors = reconstruction(recon)
    return Score(float(errors["sse"].mean()), n=len(errors["sse"]), params={"pixels": errors["pixels"]})


def mse(recon: Recon) -> Score:
    """Squared error per pixel and channel: `sse` divided by the number of pixels times channels.

    Argument and errors are those of `sse`.

    Returns:
        A score in [0, 1].

    Source:
        The mean of squares over an image.

    Example:
        >>> mse((np.zeros((2, 3)), np.ones((2, 3)))).value
        1.0
    """
    errors = reconstruction(recon)
    value = float(errors["sse"].mean()) / errors["pixels"]
    return Score(value, n=len(errors["sse"]), params={"pixels": errors["pixels"]})


def bce(recon: Recon) -> Score:
    """Bernoulli cross-entropy per image, in nats: the sum of -x log xhat - (1 - x) log(1 - xhat) over pixels.

    Argument and errors are those of `sse`.

    Returns:
        A score of at least 0 nats, averaged over images. Grey pixels keep perfect reconstructions above 0. A logarithm
        below -100 counts as -100.

    Source:
        Kingma and Welling 2014, Auto-encoding variational Bayes, appendix C.1, https://arxiv.org/abs/1312.6114

    Example:
        >>> round(bce((np.ones((2, 3)), np.full((2, 3), 0.5))).value, 2)  # 3 log 2
        2.08
    """
    errors = reconstruction(recon)
    if "bce" not in errors:
        raise InputError("recon has no bce [N], the cross-entropy of each image")
    return Score(float(errors["bce"].mean()), n=len(errors["bce"]), params={"pixels": errors["pixels"]})


def psnr(recon: Recon) -> Score:
    """Peak signal-to-noise ratio of the reconstructions, in dB: -10 log10 of `mse`.

    It uses the mean error over all images, because the mean of the ratios would be infinite if a single image were
    perfect. Argument and errors are those of `sse`.

    Returns:
        A score of at least 0 dB; infinite if all reconstructions are perfect.

    Source:
        -10 log10 of the mean square, for pixels in [0, 1].

    Example:
        >>> psnr((np.zeros((2, 3)), np.full((2, 3), 0.1))).value
        20.0
    """
    error = mse(recon)
    value = -10 * math.log10(error.value) if error.value > 0 else math.inf
    return Score(value, n=error.n, params=error.params)


def log_px_z(sampled: Recon, *, likelihood: Likelihood | None = None, sigma: float = 1.0) -> Score:
    """Log-likelihood of an image under a draw of its posterior, E_q log p(x|z), in nats, averaged over images.

    Args:
        sampled: as `recon` in `sse`, but for images decoded from one draw z ~ q(z|x) each. Those decoded from the
            posterior mean would make it too high.
        likelihood: "bernoulli" is -bce. "gaussian" is -sse / (2 sigma^2) - d / 2 log(2 pi sigma^2), with d pixels times
            channels, and can be above 0. "model" is the "log_px_z" of a mapping, by the model's own likelihood. None is
            "model" if that is known, as for a run, and "bernoulli" otherwise. Do not compare different likelihoods.
        sigma: standard deviation of the Gaussian, above 0.

    Returns:
        A score in nats.

    Raises:
        InputError: as in `sse`, for an unknown likelihood, and for "model" without "log_px_z".

    Source:
        Kingma and Welling 2014, Auto-encoding variational Bayes, section 2.3, https://arxiv.org/abs/1312.6114

    Example:
        >>> round(log_px_z((np.ones((2, 3)), np.full((2, 3), 0.5))).value, 2)
        -2.08
    """
    errors = reconstruction(sampled)
    likelihood = likelihood or ("model" if "log_px_z" in errors else "bernoulli")
    if sigma <= 0:
        raise InputError(f"sigma = {sigma}: expected above 0")
    if likelihood == "model":
        if "log_px_z" not in errors:
            raise InputError("likelihood model: recon lacks log_px_z; add the model's values, or choose another one")
        each = errors["log_px_z"]
    elif likelihood == "bernoulli":
        if "bce" not in errors:
            raise InputError("likelihood bernoulli: recon lacks bce, which images have; choose another likelihood")
        each = -errors["bce"]
    else:
        each = -errors["sse"] / (2 * sigma**2) - errors["pixels"] / 2 * math.log(2 * math.pi * sigma**2)
    return Score(float(each.mean()), n=len(each), params={"likelihood": likelihood})


def elbo(
    codes: ArrayLike,
    logvar: ArrayLike,
    sampled: Recon,
    *,
    likelihood: Likelihood | None = None,
    sigma: float = 1.0,
) -> Score:
    """Evidence lower bound per image, in nats: `log_px_z` minus the KL, averaged over images.

    Args:
        codes: [N, L], posterior means.
        logvar: [N, L], logarithm of the posterior variance.
        sampled: as in `log_px_z`. Its "kl", if present as for a run, is that of the model's own prior; without it the
            KL to N(0, I) is subtracted.
        likelihood: as in `log_px_z`.
        sigma: as in `log_px_z`.

    Returns:
        A score in nats; `extra` has "log_px_z" and "kl".

    Raises:
        InputError: as in `log_px_z`, and for different numbers of images.

    Source:
        Kingma and Welling 2014, Auto-encoding variational Bayes, section 2.2, https://arxiv.org/abs/1312.6114

    Example:
        >>> images = np.ones((2, 3)), np.full((2, 3), 0.5)
        >>> round(elbo(np.ones((2, 1)), np.zeros((2, 1)), images).value, 2)  # -2.08 - 0.5
        -2.58
    """
    likely, divergence = log_px_z(sampled, likelihood=likelihood, sigma=sigma), kl(codes, logvar)
    if likely.n != divergence.n:
        raise InputError(f"sampled has {likely.n} images, codes {divergence.n} rows: pass those of the same images")
    own = reconstruction(sampled).get("kl")
    nats = divergence.value if own is None else float(own.mean())
    return replace(likely, value=likely.value - nats, extra={"log_px_z": likely.value, "kl": nats})


def kl(codes: ArrayLike, logvar: ArrayLike) -> Score:
    """KL of posterior and standard normal prior, KL(q(z|x) || N(0, I)), in nats per image.

    It is against N(0, I) whatever prior the model was trained with, so that models can be compared.

    Args:
        codes: [N, L], means of the diagonal Gaussian q(z|x).
        logvar: [N, L], logarithm of the variance, not of the standard deviation.

    Returns:
        A score of at least 0 nats, averaged over images; `per_latent` has the terms of the sum over latents.

    Raises:
        InputError: for arrays that are not finite matrices of the same shape.

    Source:
        Kingma and Welling 2014, Auto-encoding variational Bayes, appendix B, https://arxiv.org/abs/1312.6114

    Example:
        >>> kl([[1.0], [-1.0]], [[0.0], [0.0]]).value
        0.5
    """
    means, each = _kl(codes, logvar)
    return Score(float(each.sum()), n=len(means), per_latent=each)


def _kl(codes: ArrayLike, logvar: ArrayLike) -> tuple[Floats, Floats]:
    """Return the means [N, L] and the KL of each latent in nats, [L]."""
    means = floats(codes, "codes")
    logvars = matching(logvar, means, "logvar")
    each: Floats = 0.5 * (means**2 + np.expm1(logvars) - logvars).mean(axis=0)
    return means, each


def active_units(codes: ArrayLike, logvar: ArrayLike, *, threshold: float = 0.01) -> Score:
    """Number of active latents: those whose posterior mean has a variance over the images above a threshold.

    Args:
        codes: [N, L], posterior means.
        logvar: [N, L], logarithm of the posterior variance.
        threshold: of the variance, divided by N - 1.

    Returns:
        A number from 0 to L; `per_latent` has the variances. `extra` has a second count, "by_kl", of the latents whose
        KL in nats is above the threshold, and these KLs as "kl".

    Raises:
        InputError: for arrays that are not finite matrices of the same shape.

    Source:
        Burda et al. 2016, Importance weighted autoencoders, section 5.2, https://arxiv.org/abs/1509.00519

    Example:
        >>> active_units([[1.0, 0.0], [-1.0, 0.0]], np.zeros((2, 2))).value
        1.0
    """
    means, each = _kl(codes, logvar)
    variance = means.var(axis=0, ddof=1)
    return Score(
        float((variance > threshold).sum()),
        n=len(means),
        per_latent=variance,
        extra={"by_kl": int((each > threshold).sum()), "kl": each},
    )


METRICS = {
    "sse": Metric(sse, range=(0.0, math.inf), better=-1),
    "mse": Metric(mse, range=(0.0, math.inf), better=-1),
    "psnr": Metric(psnr, range=(0.0, math.inf), also_needs=("pixels",)),
    "bce": Metric(bce, range=(0.0, math.inf), better=-1, also_needs=("pixels",)),
    "log_px_z": Metric(log_px_z, range=(-math.inf, math.inf)),
    "elbo": Metric(elbo, range=(-math.inf, math.inf)),
    "kl": Metric(kl, range=(0.0, math.inf), better=0),
    "active_units": Metric(active_units, range=(0.0, math.inf), better=0, counts_latents=True),
}
