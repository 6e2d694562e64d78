"""Scores of codes as a metric of torchmetrics, for training loops that have such metrics."""

from collections.abc import Sequence

import torch
from torch import Tensor

from equipoise.errors import InputError
from equipoise.metrics import score, select

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ModuleNotFoundError:
    raise InputError("a metric of torchmetrics needs that package; pip install equipoise[torchmetrics]") from None


class Disentanglement(Metric):
    """Metrics of codes and factors as one `torchmetrics.Metric`, such as MIG, DCI, SAP and FactorVAE.

    It stores the codes of all batches, those of all processes included, and scores them together, because the mean of
    the scores of batches is not the score of all codes. Scores are computed on the CPU, in float64, without gradients.

    Args:
        which: A name of `eq.metrics.METRICS`, or several; those that need codes and factors only.
        convention: As in `eq.metrics.score`.
        discrete_latents: As in `eq.metrics.score`.
        seed: As in `eq.metrics.score`.

    Raises:
        InputError: For unknown metrics and conventions, and for metrics that need other inputs.

    Example:
        >>> import torch
        >>> from equipoise.torchmetrics import Disentanglement
        >>> metric = Disentanglement(["mig", "sap"])
        >>> factors = torch.randint(4, (500, 2), generator=torch.Generator().manual_seed(0))
        >>> for batch in factors.split(100):
        ...     metric.update(batch.float(), batch)
        >>> {name: round(float(value), 1) for name, value in metric.compute().items()}
        {'mig': 1.0, 'sap': 1.0}
    """

    full_state_update = False
    is_differentiable = False
    codes: list[Tensor]
    factors: list[Tensor]

    def __init__(
        self,
        which: str | Sequence[str] = "mig",
        *,
        convention: str | None = None,
        discrete_latents: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        select(which, ("codes", "factors"), convention)
        self.which = which.strip().casefold() if isinstance(which, str) else which
        self.convention, self.seed = convention, seed
        self.discrete_latents = discrete_latents
        self.add_state("codes", default=[], dist_reduce_fx="cat")
        self.add_state("factors", default=[], dist_reduce_fx="cat")

    def update(self, codes: Tensor, factors: Tensor) -> None:
        """Add the codes [B, L] and the factors [B, K] of a batch. Raises `InputError` if they do not match."""
        if not (isinstance(codes, Tensor) and isinstance(factors, Tensor)):
            raise InputError("codes and factors of update are tensors [B, L] and [B, K]; convert them, or use score")
        if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
            raise InputError(
                f"codes have shape {list(codes.shape)}, factors {list(factors.shape)}; expected [B, L] and [B, K]"
            )
        for name, batch, earlier in (("codes", codes, self.codes), ("factors", factors, self.factors)):
            if len(earlier) and batch.shape[1] != (width := earlier[0].shape[-1]):
                raise InputError(f"{name} have {batch.shape[1]} columns; expected {width}, as in the first batch")
        self.codes.append(codes.detach())
        self.factors.append(factors.detach())

    def compute(self) -> Tensor | dict[str, Tensor]:
        """Return the score [], or for several metrics the scores by name; NaN where a metric is undefined."""
        if not len(self.codes):
            raise InputError("there are no codes to score; call update with those of a batch first")
        scores = score(
            dim_zero_cat(self.codes),
            dim_zero_cat(self.factors),
            which=self.which,
            convention=self.convention,
            discrete_latents=self.discrete_latents,
            seed=self.seed,
            interval=False,
            progress=False,
        )
        values = {name: torch.tensor(each.value, device=self.device) for name, each in scores.items()}
        return values[self.which] if isinstance(self.which, str) and self.which in values else values
