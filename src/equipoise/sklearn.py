"""The methods as a scikit-learn estimator."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from equipoise import assemble
from equipoise import config as configuration
from equipoise.config import Config
from equipoise.convolutions import products, use_products
from equipoise.data import Images, load_data
from equipoise.data.batches import batch_index
from equipoise.data.columns import Kind, Scaling, are_constant
from equipoise.errors import InputError, choose, short
from equipoise.methods import DEFAULT, METHODS
from equipoise.torch_defaults import torch_defaults
from equipoise.training import speed
from equipoise.training.loop import Training, device, fit

Array = npt.NDArray[Any]
# Settings that only a run on disk has, beside those of [data] and [evaluate].
RUN_SETTINGS = ("out", *(f"train.{name}" for name in ("init", "devices", "nodes", "track", "keep", "checkpoint_every")))


class Disentangler(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An encoder whose latents are disentangled; `transform` returns posterior means.

    X is either vectors [N, F] or images [N, C, H, W] or [N, H, W, C], uint8 in 0..255 or float in [0, 1]. The columns
    of vectors are scaled to mean 0 and standard deviation 1 of the training data; `data.scaling` in `settings` sets
    another scaling. A constant column becomes 0, and `inverse_transform` restores it.

    Args:
        method: A name of `eq.METHODS`; the default is that of `equipoise train`.
        latent: Number of latents D.
        steps: Training steps.
        batch: Images per step, at most N; None: the method's choice.
        lr: Learning rate; None: the method's choice.
        net: A name of `eq.nets.NETS`; None: `mlp` for vectors, the method's choice for images.
        likelihood: A name of `eq.LIKELIHOODS`; None: `mse` for vectors, the method's choice for images.
        device: auto, cpu or cuda.
        random_state: Seed of weights, batches and noise.
        settings: Other settings by dotted key, such as `{"method.beta": 2.0}`. They override the arguments, which
            override a preset. `data.scaling` is the only one of `data`, and those of files and scores are refused.

    Attributes:
        model_: The trained `VAE`.
        is_constant_: For vectors, which of the F columns have one value in X.
        n_features_in_: Number of columns of X, or of pixels and channels of an image.
        logs_: Rows of the log, one every `train.log_every` steps (100) and the last; means in nats per image.

    Example:
        >>> import numpy as np, equipoise as eq
        >>> X = np.random.default_rng(0).normal(size=(64, 5))
        >>> eq.Disentangler("beta-vae", latent=2, steps=3).fit(X).transform(X).shape
        (64, 2)
    """

    def __init__(
        self,
        method: str = DEFAULT,
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

    @torch_defaults()
    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn passes it
        """Train on X.

        Args:
            X: Vectors [N, F] or images, N at least 2.
            y: Ignored.

        Returns:
            The estimator itself.

        Raises:
            InputError: If a setting or the images cannot be used.
            RunError: If a value or a weight is not finite.
        """
        X = _as_array(X)
        is_image = _is_image(X)
        if is_image and np.shape(X)[0] == 1:
            raise InputError("X has one image; expected at least 2")
        config = self._config(is_image)
        x, scaling = (self._images(X), None) if is_image else self._vectors(X, config.data.scaling or "standardize")
        n = len(x)
        outline = configuration.outline(config)
        if outline.pairing is not None:
            raise InputError(f"{self.method} learns from pairs of images, which X has not; train it with eq.train")
        if config.train.labels is not None:
            raise InputError("train.labels needs images with factors or files, which X has not; train with eq.train")
        # The second batch of a step shares no image with the first.
        largest = n // 2 if outline.needs_second_batch else n
        size = min(config.train.batch, largest)
        seed = config.train.seed

        def batch(step: int, stream: int) -> torch.Tensor:
            return x[torch.from_numpy(batch_index(n, size, seed, step, stream))]

        rows: list[dict[str, Any]] = []
        with speed.fast_parts(config.train.fast, config.train.threads, config.train.precision):
            model, objective = assemble.build(config, (x.shape[1], x.shape[2], x.shape[3]), n)
            training = Training(model, objective, config.train, device(config.train.device))
            fit(training, batch, log=rows.append)
        use_products(model, False)  # plain layers, as in a loaded model
        model.scaling = scaling
        self.model_ = model.cpu().eval()
        self.logs_ = rows
        return self

    def transform(self, X: npt.ArrayLike) -> Array:
        """Encode X.

        Args:
            X: Vectors [N, F] or images of the shape of `fit`.

        Returns:
            Posterior means [N, D], computed in float32 if X is float32 or has images of bytes, else in float64.

        Raises:
            InputError: If X has another shape than in `fit`.
        """
        check_is_fitted(self)
        x, is_double = self._read(X)
        model = self.model_
        if is_double:
            x, model = x.double(), copy.deepcopy(model).double()
        with torch.no_grad(), products(model):
            mean = torch.cat([model.posterior(x[i : i + 1000])[0] for i in range(0, len(x), 1000)])
        codes: Array = mean.cpu().numpy()
        return codes

    def inverse_transform(self, Z: npt.ArrayLike) -> Array:
        """Decode codes.

        Args:
            Z: Codes [N, D].

        Returns:
            Vectors [N, F] in the units of `fit`, or images [N, C, H, W] in [0, 1].

        Raises:
            InputError: If Z has another number of latents, or masked values.
        """
        check_is_fitted(self)
        codes = check_array(_plain(Z, "Z"), dtype=np.float32, input_name="Z")
        if codes.shape[1] != self.model_.latent:
            raise InputError(f"Z has {codes.shape[1]} columns; expected one for each of {self.model_.latent} latents")
        out: Array = self.model_.decode(torch.from_numpy(codes)).cpu().numpy()
        scaling = self.model_.scaling
        return out if scaling is None else np.where(self.is_constant_, scaling.offset, scaling.restore(out))

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent

    def _config(self, is_image: bool) -> Config:
        """The settings of the training. Raises `InputError` for settings that cannot be used."""
        choose("method", self.method, METHODS)
        settings = configuration.expand(configuration.of_caller(self.settings))
        for key, value in settings.items():
            is_of_run = key in RUN_SETTINGS or key.startswith(("data.", "evaluate."))
            if is_of_run and key != "data.scaling" and value is not None:
                raise InputError(f"{key} has no effect on an estimator; leave it out, or train with eq.train")
        options: dict[str, object] = {
            "data": "array",
            "method": self.method,
            "net.latent": self.latent,
            "train.steps": self.steps,
            "train.device": self.device,
            "train.seed": int(check_random_state(self.random_state).randint(2**31 - 1)),
        }
        optional: dict[str, object] = {
            "data.scaling": None if is_image else "standardize",  # which also chooses net and likelihood of vectors
            "train.batch": self.batch,
            "train.lr": self.lr,
            "net": self.net,
            "method.likelihood": self.likelihood,
        }
        options |= {key: value for key, value in optional.items() if value is not None}
        return configuration.resolve(options | settings)

    def _vectors(self, X: npt.ArrayLike, kind: Kind) -> tuple[torch.Tensor, Scaling]:
        """X as the nets take it, float32 [N, 1, 1, F], and the scaling of its columns."""
        values = validate_data(self, _plain(X, "X"), dtype=[np.float64, np.float32], ensure_min_samples=2)
        names = list(map(str, getattr(self, "feature_names_in_", [f"x{j}" for j in range(values.shape[1])])))
        scaling = Scaling(kind, tuple(names), values.min(0).astype(np.float64), np.ones(len(names)))
        self.is_constant_ = are_constant(values)
        varying = np.flatnonzero(~self.is_constant_)
        fitted = Scaling.fit(kind, [names[j] for j in varying], values[:, varying].astype(np.float64))
        scaling.offset[varying], scaling.unit[varying] = fitted.offset, fitted.unit
        return torch.from_numpy(scaling.scale(values, "X")), scaling

    def _images(self, X: Any) -> torch.Tensor:
        """X as the nets take it, float32 [N, C, H, W] from 0 to 1."""
        images = load_data(X)
        x = images.floats(np.arange(len(images)))
        self.n_features_in_ = x[0].numel()
        for name in ("feature_names_in_", "is_constant_"):  # of vectors in an earlier fit
            if hasattr(self, name):
                delattr(self, name)
        return x

    def _read(self, X: npt.ArrayLike) -> tuple[torch.Tensor, bool]:
        """X after `fit`, as the nets take it, and whether it is float64.

        Raises `InputError` if it has another shape than that of `fit`.
        """
        model, X = self.model_, _as_array(X)
        if _is_image(X):
            images = load_data(X)
            if model.scaling is not None or images.shape != model.shape:
                fitted = f"vectors of {model.shape[2]} columns" if model.scaling else f"images of shape {model.shape}"
                raise InputError(f"X has images of shape {images.shape}; expected {fitted}, as in fit")
            return images.floats(np.arange(len(images))), getattr(X, "dtype", None) == np.float64
        if model.scaling is None:
            raise InputError(f"X has vectors; expected images of shape {model.shape}")
        values = validate_data(self, _plain(X, "X"), reset=False, dtype=[np.float64, np.float32])
        scaled = model.scaling.scale(values, "X")
        scaled[..., self.is_constant_] = 0  # also for other values, which the nets have never seen
        return torch.from_numpy(scaled), values.dtype == np.float64


def _plain(X: Any, name: str) -> Any:
    """X as scikit-learn takes it: tensors as arrays, those of bfloat16, which NumPy lacks, in float32.

    Raises `InputError` for masked values, whose mask scikit-learn drops.
    """
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu().to_dense()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if np.ma.is_masked(X):
        raise InputError(f"{name}: {np.ma.getmaskarray(X).sum():,} values are masked; fill them: {name}.filled(0)")
    return X


def _as_array(X: Any) -> Any:
    """A list of images or rows as one array, as scikit-learn splits it in a search; other X as it is.

    Raises `InputError` for a path and for `Images`, which are no arrays.
    """
    if isinstance(X, str | Path):
        raise InputError(f"X is {short(str(X))}; expected an array: eq.load_data reads files and folders")
    if isinstance(X, Images):
        raise InputError("X is Images; expected an array: images.pixels(range(len(images))) returns all of them")
    if not isinstance(X, list | tuple):
        return X
    items = [_plain(item, "X") for item in X]
    try:
        return np.asarray(items)
    except ValueError:
        raise InputError("X is a list of parts of different shapes; expected images or rows of one shape") from None


def _is_image(X: npt.ArrayLike) -> bool:
    """Whether X has images, and not vectors. Raises `InputError` for three axes, which neither has."""
    axes = getattr(X, "ndim", 2)
    if axes == 3:
        raise InputError("X has 3 axes; expected vectors [N, F] or images [N, C, H, W]: give grey images as X[:, None]")
    return bool(axes == 4)
