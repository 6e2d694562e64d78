"""The training loops of pythae and disent with given layers, for `training.py`, where these libraries are installed."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn


class Over(Exception):
    """Stops the loop of a library."""


def pythae(encoder: nn.Module, decoder: nn.Module, pixels: np.ndarray, batch: int, after: Callable[[], None]) -> None:
    """Train a VAE by the trainer of pythae until `after`, which is called after each step, raises `Over`."""
    from pythae import models, trainers
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers.training_callbacks import TrainingCallback

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = encoder

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = self.layers(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z).sigmoid())

    class After(TrainingCallback):
        def on_train_step_end(self, *_: Any, **__: Any) -> None:
            after()

    images = torch.from_numpy(pixels).float() / 255
    latent = encoder(images[:1]).shape[1] // 2
    settings = models.VAEConfig(input_dim=tuple(images.shape[1:]), latent_dim=latent, reconstruction_loss="bce")
    with tempfile.TemporaryDirectory() as folder:
        training = trainers.BaseTrainerConfig(
            output_dir=folder, num_epochs=10**6, no_cuda=True, per_device_train_batch_size=batch
        )
        loop = trainers.BaseTrainer(
            model=models.VAE(settings, Encoder(), Decoder()),
            train_dataset=BaseDataset(images, torch.zeros(len(images))),
            training_config=training,
            callbacks=[After()],
        )
        with suppress(Over):
            loop.train()


def disent(encoder: nn.Module, decoder: nn.Module, pixels: np.ndarray, batch: int, after: Callable[[], None]) -> None:
    """Train a beta-VAE of disent by Lightning until `after`, which is called after each step, raises `Over`."""
    import lightning
    from disent.dataset import DisentDataset
    from disent.dataset.data import ArrayGroundTruthData
    from disent.dataset.sampling import SingleSampler
    from disent.dataset.transform import ToImgTensorF32
    from disent.frameworks.vae import BetaVae
    from disent.model import AutoEncoder, DisentDecoder, DisentEncoder

    shape = pixels.shape[1:]
    latent = encoder(torch.zeros(1, *shape)).shape[1] // 2

    class Encoder(DisentEncoder):
        def __init__(self) -> None:
            super().__init__(x_shape=shape, z_size=latent, z_multiplier=2)
            self.layers = encoder

        def encode(self, x: Tensor) -> Tensor:
            return cast(Tensor, self.layers(x))

    class Decoder(DisentDecoder):
        def __init__(self) -> None:
            super().__init__(x_shape=shape, z_size=latent)
            self.layers = decoder

        def decode(self, z: Tensor) -> Tensor:
            return cast(Tensor, self.layers(z))

    class After(lightning.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            after()

    images = ArrayGroundTruthData(pixels.transpose(0, 2, 3, 1), ("image",), (len(pixels),))
    data = DisentDataset(dataset=images, sampler=SingleSampler(), transform=ToImgTensorF32())
    loader = torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True, num_workers=0)
    settings = BetaVae.cfg(optimizer="adam", optimizer_kwargs={"lr": 1e-4}, loss_reduction="mean_sum", beta=1)
    module = BetaVae(model=AutoEncoder(encoder=Encoder(), decoder=Decoder()), cfg=settings)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=-1, callbacks=[After()], **options)
    with suppress(Over):
        trainer.fit(module, loader)
