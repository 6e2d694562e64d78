"""Likelihoods: the noise model of the decoder, -log p(x|z) in nats per image, summed over channels and pixels."""

from typing import Any

from equipoise.errors import InputError
from equipoise.likelihoods.calibrated import CalibratedGaussian
from equipoise.likelihoods.contract import Likelihood, Link
from equipoise.likelihoods.fixed import Bernoulli, Gaussian, SquaredError
from equipoise.likelihoods.images import as_float, per_image
from equipoise.part import Spec, build, name_in

LIKELIHOODS: dict[str, type[Likelihood]] = {
    part.name: part for part in (Bernoulli, SquaredError, Gaussian, CalibratedGaussian)
}
"""Every likelihood by name."""

SHORT: dict[str, dict[str, Any]] = {
    "mse": {"name": "squared-error"},
    "half_mse": {"name": "squared-error", "scale": 0.5},
    "calibrated": {"name": "calibrated-gaussian"},
    "calibrated_learned": {"name": "calibrated-gaussian", "form": "learned"},
}
"""Short names in settings for a likelihood with options."""


def from_name(spec: Spec, channels: int, sigma: float = 1.0, link: Link = None) -> Likelihood:
    """The likelihood that a setting names.

    Args:
        spec: a name in `LIKELIHOODS` or `SHORT`; or "auto", which is `bernoulli` for images of one channel and `mse`
            for colour; or a table of a name and its options.
        channels: channels of the images.
        link: `identity` for vectors, whose `auto` is `mse`.
        sigma: standard deviation of a likelihood that takes one and whose table does not set it, above 0.

    Raises:
        InputError: if there is no such likelihood or option, and for a likelihood of pixels with vectors.

    Example:
        >>> from_name("half_mse", channels=3).describe()
        'Squared error of the picture, summed over channels and pixels (scale = 0.5).'
    """
    if spec == "auto":
        spec = "bernoulli" if channels == 1 and link is None else "mse"
    if isinstance(spec, str):
        spec = SHORT.get(spec) or name_in("likelihood", spec, ["auto", *SHORT, *LIKELIHOODS])
    program: dict[str, Any] = {} if isinstance(spec, dict) and "sigma" in spec else {"sigma": sigma}
    likelihood = build("likelihood", LIKELIHOODS, spec, program | {"link": link})
    if likelihood.link != link:
        raise InputError(
            f"method.likelihood is {likelihood.name}, which is for pixels from 0 to 1; for vectors give mse, gaussian "
            "or calibrated"
        )
    return likelihood


__all__ = [
    "LIKELIHOODS",
    "SHORT",
    "Bernoulli",
    "CalibratedGaussian",
    "Gaussian",
    "Likelihood",
    "SquaredError",
    "as_float",
    "from_name",
    "per_image",
]
