"""A Gaussian whose deviation is fitted."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise.likelihoods.contract import Likelihood, Link
from equipoise.part import Remark, Rows

# Largest ratio of sigma^2 to the mean squared error of a converged sigma. The error is that of posterior means; sigma
# fits the error of sampled codes, which is about a tenth larger.
FITTED = 1.25
LOWEST = 1e-10  # mean squared error of a pixel; the logarithm of 0 would stay in the running mean


class CalibratedGaussian(Likelihood):
    """A Gaussian around the picture whose one standard deviation sigma is fitted, constants included.

    log sigma is softly floored at -6: -6 + softplus(log sigma + 6). -log p(x|z) can be negative.

    Args:
        form: "optimal": in training sigma^2 is the mean squared error over the batch, its maximum-likelihood value,
            with gradients through it (they change nothing except through the floor, because sigma is at the minimum).
            In evaluation sigma is a running mean of log sigma; the published code uses each test batch's own sigma,
            which makes the test likelihood too high. "learned": log sigma is a parameter that starts at 0.
        smoothing: decay of the running mean in each step, from 0 to below 1.
        link: None for pixels, `identity` for vectors.

    Source:
        Rybkin, Daniilidis & Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
        https://arxiv.org/abs/2006.13202

    Example:
        >>> likelihood = CalibratedGaussian()
        >>> nats = likelihood(torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.6))  # every error is 0.1
        >>> likelihood.logs()
        {'sigma': tensor(0.1025)}
    """

    name: ClassVar[str] = "calibrated-gaussian"
    can_be_negative = True
    log_sigma: Tensor
    batches: Tensor

    def __init__(
        self,
        form: Literal["optimal", "learned"] = "optimal",
        smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.99,
        link: Link = None,
    ) -> None:
        super().__init__()
        self.form, self.smoothing, self.link = form, smoothing, link
        if form == "optimal":
            self.register_buffer("log_sigma", torch.zeros(()))
            self.register_buffer("batches", torch.zeros(()))
        else:
            self.log_sigma = nn.Parameter(torch.zeros(()))

    @property
    def unit(self) -> Tensor:  # type: ignore[override]
        """1 / (2 sigma^2) [], the weight of one squared error; with the running mean of log sigma for "optimal"."""
        return 0.5 * torch.exp(-2 * self._floored(self.log_sigma.detach()))

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from `out` and `x` in [0, 1], both [B, C, H, W]."""
        return self.nats(self.error(out, x), x[0].numel())

    def error(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] per image."""
        return self.squared_error(out, x)

    def nats(self, error: Tensor, pixels: int) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from the squared errors [B] of a whole batch."""
        log_sigma = self.log_sigma
        if self.form == "optimal" and self.training:
            log_sigma = 0.5 * torch.log((error.mean() / pixels).clamp(min=LOWEST))
            self._average(log_sigma.detach())
        log_sigma = self._floored(log_sigma)
        return 0.5 * torch.exp(-2 * log_sigma) * error + pixels * (log_sigma + 0.5 * math.log(2 * math.pi))

    def logs(self) -> dict[str, Tensor]:
        """sigma [], in units of a pixel's range 0 to 1, of vectors in scaled units."""
        return {"sigma": self._floored(self.log_sigma.detach()).exp()}

    def remarks(self, rows: Rows) -> list[Remark]:
        """Whether a learned sigma is still moving to the root of the mean squared error, where it would stay."""
        row = rows[-1]
        if self.form == "optimal" or not row.get("mse"):
            return []
        error, sigma = row["mse"], float(row["sigma"])
        if 1 / FITTED <= sigma**2 / error <= FITTED:
            return []
        sentence = (
            f"The decoder's noise has not converged: σ = {sigma:.3f}, but the errors of the pictures correspond to "
            f"{math.sqrt(error):.3f}. So the weight of the KL, 2σ² = {2 * sigma**2:.3g}, depends on when the run was "
            f"stopped; it tends to {2 * error:.2g}."
        )
        lr = float(row.get("lr") or 0)
        if lr > 0:
            steps = abs(math.log(error) / 2 - math.log(sigma)) / lr
            sentence += (
                f" Adam moves log σ by at most about one learning rate a step; at {lr:.3g} this takes "
                f"{float(f'{steps:.2g}'):,.0f} more steps or longer."
            )
        return [Remark(sentence, "not settled")]

    @torch.no_grad()
    def _average(self, log_sigma: Tensor) -> None:
        """Update the running mean of log sigma, which starts as the plain mean of the first batches."""
        self.batches += 1
        self.log_sigma += (log_sigma - self.log_sigma) * torch.clamp(1 / self.batches, min=1 - self.smoothing)

    @staticmethod
    def _floored(log_sigma: Tensor) -> Tensor:
        return F.softplus(log_sigma + 6) - 6
