"""The methods as a scikit-learn estimator."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from equipoise import config as configuration
from equipoise import runs
from equipoise.data import load_data
from equipoise.data.batches import batch_index
from equipoise.errors import InputError, choose
from equipoise.methods import METHODS
from equipoise.training import speed
from equipoise.training.loop import Training, device, fit

Array = npt.NDArray[Any]


class Disentangler(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A disentangling encoder: `transform` gives the posterior means [N, latent].

    X is either vectors [N, F], whose columns are scaled to [0, 1] by the minimum and maximum of the training data, or
    images [N, C, H, W] or [N, H, W, C], uint8 in 0..255 or float in [0, 1].

    method: a name of `equipoise.METHODS`.
    latent: latent dimensions D.
    steps, batch, lr: of training; None is the method's own choice. A batch is never larger than the training data.
    net: a name of `equipoise.nets.NETS`; None is `mlp_lvae` for vectors, and the method's own choice for images.
    likelihood: None is `mse` for vectors, and the method's own choice for images.
    device: auto, cpu or cuda.
    random_state: of weights, batches and noise.
    settings: any other setting by its dotted key, such as {"method.beta": 2.0}; they win over the arguments, which win
        over a preset.

    After `fit`: `model_` (the `VAE`), `n_features_in_`, `logs_` (a row every 100 steps; means, nats per image).
    """

    def __init__(
        self,
        method: str = "l-vae",
        *,
        latent: int = 10,
        steps: int = 5000,
        batch: int | None = None,
        lr: float | None = None,
        net: str | None = None,
        likelihood: str | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.method = method
        self.latent = latent
        self.steps = steps
        self.batch = batch
        self.lr = lr
        self.net = net
        self.likelihood = likelihood
        self.device = device
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn passes it
        """Learn from X, [N, F] or [N, C, H, W]; y is ignored."""
        x = self._read(X, reset=True)
        n = len(x)
        vectors = self.low_ is not None
        said: dict[str, object] = {
            "data": "array",
            "method": self.method,
            "net.latent": self.latent,
            "train.steps": self.steps,
            "train.device": self.device,
            "train.seed": int(check_random_state(self.random_state).randint(2**31 - 1)),
        }
        said |= {} if self.batch is None else {"train.batch": self.batch}
        said |= {} if self.lr is None else {"train.lr": self.lr}
        if self.net or vectors:
            said["net"] = self.net or "mlp_lvae"
        kind: type = METHODS[choose("method", self.method, METHODS)]
        likelihood = "likelihood" in {field.name for field in dataclasses.fields(kind)}  # sigma-VAE brings its own
        if self.likelihood or (vectors and likelihood):
            said["method.likelihood"] = self.likelihood or "mse"
        config = configuration.resolve(said | dict(self.settings or {}))
        # A second batch, where the method draws one, shares no image with the first.
        size = min(config.train.batch, n // 2 if configuration.outline(config).needs_second_batch else n)
        seed = config.train.seed

        def batch(step: int, stream: int) -> torch.Tensor:
            return x[torch.from_numpy(batch_index(n, size, seed, step, stream))]

        rows: list[dict[str, Any]] = []
        with speed.fast_parts(config.train.fast, config.train.threads, config.train.precision):
            model, objective = runs.build(config, (x.shape[1], x.shape[2], x.shape[3]), n)
            training = Training(model, objective, config.train, device(config.train.device))
            fit(training, batch, log=rows.append, save=_nothing, after=_nothing, stop=_never)
        self.model_ = model.cpu().eval()
        self.logs_ = rows
        return self

    def transform(self, X: npt.ArrayLike) -> Array:
        """Posterior means [N, latent] of X, [N, F] or [N, C, H, W] as in `fit`."""
        check_is_fitted(self)
        x = self._read(X, reset=False)
        with torch.no_grad():
            mean = torch.cat([self.model_.posterior(x[i : i + 1000])[0] for i in range(0, len(x), 1000)])
        dtype = np.float64 if getattr(X, "dtype", None) == np.float64 else np.float32
        return mean.cpu().numpy().astype(dtype, copy=False)

    def inverse_transform(self, Z: npt.ArrayLike) -> Array:
        """What the decoder makes of codes Z [N, latent]: vectors in the units of `fit`, or images in [0, 1]."""
        check_is_fitted(self)
        out = self.model_.decode(torch.as_tensor(np.asarray(Z, dtype=np.float32))).cpu().numpy()
        if self.low_ is None:
            return out
        vectors: Array = out.reshape(len(out), -1) * self.range_ + self.low_
        return vectors

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent

    def _read(self, X: npt.ArrayLike, reset: bool) -> torch.Tensor:
        """X as float32 [N, C, H, W] in the range of the nets; vectors are images of one row."""
        given: Any = X
        if getattr(given, "ndim", 2) == 4:
            images = load_data(given)
            x = images.floats(np.arange(len(images)))
            if reset:
                self.low_: Array | None = None
                self.n_features_in_ = x[0].numel()
            elif tuple(x.shape[1:]) != self.model_.shape:
                raise InputError(
                    f"X has images of shape {tuple(x.shape[1:])}; expected those of fit, {self.model_.shape}"
                )
            return x
        values = validate_data(
            self, X, reset=reset, dtype=[np.float64, np.float32], ensure_min_samples=2 if reset else 1
        )
        if reset:
            self.low_, self.range_ = values.min(0), values.max(0) - values.min(0)
        elif self.low_ is None:
            raise InputError(
                f"X has vectors of {values.shape[1]} columns; expected images of shape {self.model_.shape}"
            )
        # A constant column is 0 to the nets, and comes back as it was.
        scaled = ((values - self.low_) / np.where(self.range_ > 0, self.range_, 1)).astype(np.float32)
        return torch.from_numpy(scaled).reshape(len(scaled), 1, 1, -1)


def _nothing(*_: object) -> None:
    """What a run would write is not written here."""


def _never() -> bool:
    return False
