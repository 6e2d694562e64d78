"""Measures of the model's fit: reconstruction, KL, ELBO, active units."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import InputError
from equipoise.metrics.inputs import matching, matrix, numbers
from equipoise.metrics.result import Floats, Metric, Score

Recon = Mapping[str, Any] | tuple[ArrayLike, ArrayLike]
Likelihood = Literal["model", "bernoulli", "gaussian"]

_LOG_FLOOR = -100.0  # of the Bernoulli log-likelihood of a pixel, as in torch: one certain mistake is not infinite
_PIXELS = 4_000_000  # pixels in float64 at once
_SAMPLED, _OWN = ("sampled_sse", "sampled_bce"), ("log_px_z", "kl")


def reconstruction(recon: Recon) -> dict[str, Any]:
    """Errors per image, {"sse": [N], "bce": [N], "pixels": number of values in an image}.

    recon: such a mapping, or (x, xhat), images [N, ...] in [0, 1] and their mean reconstructions. A mapping may also
    have, of pictures decoded from one draw of each posterior, "sampled_sse" and "sampled_bce" [N], and what the model
    itself says of the images, in nats: "log_px_z" [N], of the same draw by its likelihood, and "kl" [N], of the
    posterior and its prior.
    """
    if isinstance(recon, Mapping):
        missing = [name for name in ("sse", "bce", "pixels") if name not in recon]
        if missing:
            raise InputError(f"recon lacks {missing[0]}: expected sse [N], bce [N] and pixels, or images (x, xhat)")
        given = [name for name in ("sse", "bce", *_SAMPLED, *_OWN) if name in recon]
        errors = {name: _per_image(recon[name], name) for name in given}
        if len({len(values) for values in errors.values()}) > 1 or int(recon["pixels"]) < 1:
            raise InputError(f"recon: expected {', '.join(given)} of the same images, and pixels of at least 1")
        return {**errors, "pixels": int(recon["pixels"])}
    if len(recon) != 2:
        raise InputError(f"recon has {len(recon)} parts: expected (x, xhat)")
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


def of_samples(errors: Mapping[str, Any]) -> dict[str, Any] | None:
    """The errors of pictures decoded from draws of the posterior, as `reconstruction` has them; None if not known."""
    if any(name not in errors for name in _SAMPLED):
        return None
    sampled = {"sse": errors["sampled_sse"], "bce": errors["sampled_bce"], "pixels": errors["pixels"]}
    return sampled | {name: errors[name] for name in _OWN if name in errors}


def _per_image(values: ArrayLike, name: str) -> Floats:
    array = numbers(values, f"recon {name}")
    if array.ndim != 1:
        raise InputError(f"recon {name} has shape {array.shape}: expected one value for each image")
    return matrix(array[:, None], f"recon {name}")[:, 0].astype(np.float64)


def sse(recon: Recon) -> Score:
    """Squared error of the reconstruction: sum over pixels of (x - xhat)^2, mean over images.

    recon: see `reconstruction`; xhat decoded from the posterior mean unless the caller says otherwise.
    """
    errors = reconstruction(recon)
    return Score(float(errors["sse"].mean()), n=len(errors["sse"]), params={"pixels": errors["pixels"]})


def mse(recon: Recon) -> Score:
    """Squared error per pixel and channel: `sse` divided by the number of pixels times channels."""
    errors = reconstruction(recon)
    value = float(errors["sse"].mean()) / errors["pixels"]
    return Score(value, n=len(errors["sse"]), params={"pixels": errors["pixels"]})


def bce(recon: Recon) -> Score:
    """Bernoulli cross-entropy in nats: sum over pixels of -x log xhat - (1 - x) log(1 - xhat), mean over images.

    Grey pixels keep it above 0 at perfect reconstruction. A logarithm below -100 counts as -100.
    recon: see `reconstruction`.
    """
    errors = reconstruction(recon)
    return Score(float(errors["bce"].mean()), n=len(errors["bce"]), params={"pixels": errors["pixels"]})


def psnr(recon: Recon) -> Score:
    """Peak signal-to-noise ratio of the reconstruction in dB: -10 log10 of `mse`, for pixels in [0, 1].

    Of the mean error over all images, not the mean of ratios, which one perfect image would make infinite; infinite
    when all are perfect. recon: see `reconstruction`.
    """
    error = mse(recon)
    value = -10 * math.log10(error.value) if error.value > 0 else math.inf
    return Score(value, n=error.n, params=error.params)


def log_px_z(sampled: Recon, *, likelihood: Likelihood | None = None, sigma: float = 1.0) -> Score:
    """Log-likelihood of the images under one draw of their posterior, E_q log p(x|z), in nats, mean over images.

    likelihood: "bernoulli" is -bce; "gaussian" has the standard deviation `sigma` around xhat, -sse / (2 sigma^2) -
    d / 2 log(2 pi sigma^2) with d pixels times channels, which may be above 0; "model" is what the model itself says,
    the "log_px_z" of a mapping. None is "model" where that is known, as it is of a run, and else "bernoulli". Values of
    different likelihoods cannot be compared.

    sampled: see `reconstruction`, but of pictures decoded from one draw z ~ q(z|x) each; those decoded from the
    posterior mean would make it too high.
    """
    errors = reconstruction(sampled)
    likelihood = likelihood or ("model" if "log_px_z" in errors else "bernoulli")
    if likelihood not in ("model", "bernoulli", "gaussian") or not sigma > 0:
        raise InputError(
            f"likelihood {likelihood!r}, sigma {sigma}: expected model, bernoulli or gaussian, and above 0"
        )
    if likelihood == "model" and "log_px_z" not in errors:
        raise InputError(
            "likelihood model: recon lacks log_px_z; pass what the model says, or choose another likelihood"
        )
    if likelihood == "model":
        each = errors["log_px_z"]
    elif likelihood == "bernoulli":
        each = -errors["bce"]
    else:
        each = -errors["sse"] / (2 * sigma**2) - errors["pixels"] / 2 * math.log(2 * math.pi * sigma**2)
    return Score(float(each.mean()), n=len(each), params={"likelihood": likelihood, "sigma": sigma})


def elbo(
    mean: ArrayLike,
    logvar: ArrayLike,
    sampled: Recon,
    *,
    likelihood: Likelihood | None = None,
    sigma: float = 1.0,
) -> Score:
    """Evidence lower bound of the images in nats, `log_px_z` less the KL, mean over images; both are in `extra`.

    The KL is that of the model's own prior where `sampled` has it, as it has of a run, and else of N(0, I), as `kl`.
    mean, logvar: [N, L]; sampled, likelihood, sigma: see `log_px_z`.
    """
    told = log_px_z(sampled, likelihood=likelihood, sigma=sigma)
    own = reconstruction(sampled).get("kl")
    divergence = kl(mean, logvar)
    if told.n != divergence.n:
        raise InputError(f"sampled has {told.n} images, codes {divergence.n} rows: pass those of the same images")
    nats = divergence.value if own is None else float(own.mean())
    return replace(told, value=told.value - nats, extra={"log_px_z": told.value, "kl": nats})


def kl(mean: ArrayLike, logvar: ArrayLike) -> Score:
    """KL(q(z|x) || N(0, I)) in nats: sum over latents, mean over images; `per_latent` has the terms of the sum.

    It is against N(0, I) whatever prior the model was trained with, so that models can be compared.
    mean, logvar: [N, L] of the diagonal Gaussian q(z|x); logvar is the logarithm of the variance, not of sigma.
    """
    means, each = _kl(mean, logvar)
    return Score(float(each.sum()), n=len(means), per_latent=each)


def _kl(mean: ArrayLike, logvar: ArrayLike) -> tuple[Floats, Floats]:
    """Means [N, L] and the KL of each latent in nats, [L]."""
    means = matrix(mean, "codes").astype(np.float64, copy=False)
    logvars = matching(logvar, means, "logvar")
    each: Floats = 0.5 * (means**2 + np.expm1(logvars) - logvars).mean(axis=0)
    return means, each


def active_units(mean: ArrayLike, logvar: ArrayLike, *, threshold: float = 0.01) -> Score:
    """Number of latents in use: those whose posterior mean has a variance over the images above `threshold`.

    `per_latent` has the variances (divided by N - 1); `extra` the second count in use, of latents with a KL above
    `threshold` nats, as `by_kl`, and the KL of each latent.

    mean, logvar: [N, L], see `kl`.
    Source: Burda et al. 2016, section 5.2, https://arxiv.org/abs/1509.00519
    """
    means, each = _kl(mean, logvar)
    variance = means.var(axis=0, ddof=1)
    return Score(
        float((variance > threshold).sum()),
        n=len(means),
        per_latent=variance,
        params={"threshold": threshold},
        extra={"by_kl": int((each > threshold).sum()), "kl": each},
    )


METRICS = {
    "sse": Metric(
        sse,
        needs=("recon",),
        summary="squared error per image",
        citation="sum of squares over an image",
        better=-1,
        share=False,
    ),
    "mse": Metric(
        mse,
        needs=("recon",),
        summary="squared error per pixel",
        citation="mean of squares over an image",
        better=-1,
        share=False,
    ),
    "psnr": Metric(
        psnr,
        needs=("recon",),
        summary="peak signal-to-noise ratio of the reconstructions, in dB",
        citation="-10 log10 of the mean square, for pixels in [0, 1]",
        share=False,
    ),
    "bce": Metric(
        bce,
        needs=("recon",),
        summary="Bernoulli cross-entropy per image, in nats",
        citation="Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014, appendix C.1",
        better=-1,
        share=False,
    ),
    "log_px_z": Metric(
        log_px_z,
        needs=("sampled",),
        summary="log-likelihood of an image under a sample of its posterior, in nats",
        citation="Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014, section 2.3",
        share=False,
    ),
    "elbo": Metric(
        elbo,
        needs=("codes", "logvar", "sampled"),
        summary="evidence lower bound per image, in nats",
        citation="Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014, section 2.2",
        share=False,
    ),
    "kl": Metric(
        kl,
        needs=("codes", "logvar"),
        summary="KL of posterior and standard normal prior per image, in nats",
        citation="Kingma, Welling. Auto-encoding variational Bayes. ICLR 2014, appendix B",
        better=0,
        share=False,
    ),
    "active_units": Metric(
        active_units,
        needs=("codes", "logvar"),
        summary="number of latents that carry information about the images",
        citation="Burda, Grosse, Salakhutdinov. Importance weighted autoencoders. ICLR 2016",
        better=0,
        share=False,
    ),
}
