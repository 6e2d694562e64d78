"""Adversaries: discriminators of codes and of images, with a step of their own after each step of the model."""

import itertools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim import Optimizer

from equipoise import nets
from equipoise.model import VAE, Pass, Shard
from equipoise.part import Aims, Part, Remark, Rows, column

Optimisers = Mapping[str, Optimizer]
Second = Literal["other", "split", "same"]
CHANCE = 0.52  # an accuracy below this is chance: 0.005 nats of total correlation, if the log ratio is Gaussian
SATURATED = 0.98  # above this accuracy, 8 nats, the estimate of a total correlation is unreliable


class Discriminator(Part):
    """The contract of adversaries.

    `accuracy` is the fraction of the last step's classifications that were right, [], 1/2 by chance. `second` is
    "other" if a step needs a second batch. `lr` and `betas` are those of its own Adam. `shard` is set by the training
    loop and is that of the model.
    """

    accuracy: Tensor

    def __init__(self, net: nn.Module, second: Second, lr: float, betas: tuple[float, float]) -> None:
        super().__init__()
        self.net = net
        self.second, self.lr, self.betas = second, lr, betas
        self.shard = Shard()
        self.register_buffer("accuracy", torch.tensor(0.5))

    def step(
        self, model: VAE, p: Pass, second: Tensor | None, optimisers: Optimisers, generator: Generator
    ) -> dict[str, Tensor]:
        """One step after that of the model, which had the pass `p`; returns the values to log.

        `second` is another batch [B, C, H, W] if the attribute `second` is "other"; `optimisers` are "model" and
        "adversary".
        """
        raise NotImplementedError

    def frozen(self, x: Tensor) -> Tensor:
        """The output of the net for x, with gradients to x and not to the discriminator."""
        weights = {name: parameter.detach() for name, parameter in self.net.named_parameters()}
        output: Tensor = functional_call(self.net, weights, (x,))
        return output

    def aims(self, rows: Rows) -> Aims:
        """Chance beside the accuracy."""
        return {"accuracy": {"chance": np.full(len(rows), 0.5)}}


class Adversary(Discriminator):
    """A discriminator that separates codes from codes whose dimensions were shuffled over the batch.

    Codes are samples of q(z), class 0; shuffled codes are samples of prod_j q(z_j), class 1. The logits estimate the
    total correlation TC = KL(q(z) || prod_j q(z_j)).

    Args:
        latent: number of dimensions D of the codes.
        width: units of each hidden layer of the perceptron; 1000 in the publication.
        layers: hidden layers, leaky ReLU of slope 0.2, before two logits; 6 in the publication.
        view: function from codes [B, D] to the input of the discriminator, [B, D], such as a mask; unset: identity.
        second: source of the shuffled codes. "other" is a second batch (the publication); "split" is the second half of
            the batch, with the first half as samples; "same" is the samples themselves.
        lr, betas: of its own Adam; the defaults are those of the publication.

    Source:
        Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983

    Example:
        >>> Adversary(latent=3, width=8, layers=1).log_ratio(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    name: ClassVar[str] = "discriminator"

    def __init__(
        self,
        latent: int,
        width: Annotated[int, Field(ge=1)] = 1000,
        layers: Annotated[int, Field(ge=1)] = 6,
        view: Callable[[Tensor], Tensor] | None = None,
        second: Second = "other",
        lr: Annotated[float, Field(gt=0)] = 1e-4,
        betas: tuple[float, float] = (0.5, 0.9),
    ) -> None:
        widths = [latent] + [width] * layers
        hidden = [
            layer for i, o in itertools.pairwise(widths) for layer in (nn.Linear(i, o), nn.LeakyReLU(0.2, inplace=True))
        ]
        super().__init__(nn.Sequential(*hidden, nn.Linear(widths[-1], 2)), second, lr, betas)
        self.latent, self.width, self.layers = latent, width, layers
        self.view = view or _all

    def settings(self) -> dict[str, Any]:
        """All arguments but `view`, which is part of a balance."""
        return {key: value for key, value in super().settings().items() if key != "view"}

    def log_ratio(self, z: Tensor) -> Tensor:
        """log q(z) - sum_j log q(z_j), estimated [B] in nats from codes z [B, D]; it may be negative.

        Gradients reach z and the parameters of `view`, but not the discriminator.
        """
        logits = self.shard.whole(self.frozen(self.shard.rows(self.view(z))))
        return logits[:, 0] - logits[:, 1]

    def loss(self, z: Tensor, other: Tensor, generator: Generator | None = None) -> Tensor:
        """Mean cross-entropy [] in nats of classifying z [B, D] and shuffled `other` [B', D].

        Gradients reach the discriminator only. In training it updates `accuracy`.
        """
        codes = self.view(z.detach()).detach()
        shuffled = shuffle(self.view(other.detach()).detach(), generator)
        logits = self.shard.whole(self.net(self.shard.rows(torch.cat([codes, shuffled]))))
        label = torch.ones(len(logits), dtype=torch.int64, device=logits.device)
        label[: len(codes)] = 0
        if self.training:
            self.accuracy.copy_((logits.detach().argmax(1) == label).float().mean())
        nats: Tensor = F.cross_entropy(logits, label, reduction="none")
        return 0.5 * (nats[: len(codes)].mean() + nats[len(codes) :].mean())

    def step(
        self, model: VAE, p: Pass, second: Tensor | None, optimisers: Optimisers, generator: Generator
    ) -> dict[str, Tensor]:
        """One step of the discriminator; returns its loss and accuracy. Arguments as in `Discriminator.step`.

        The samples are the codes of the pass, from before the model's step; a second batch is encoded after it.
        """
        z = other = p.z
        if second is not None:
            with torch.no_grad():
                other = self.shard.whole(model.sample(second, generator)[2])
        elif self.second == "split":
            z, other = z[: len(z) // 2], z[len(z) // 2 :]
        loss = self.loss(z, other, generator)
        optimisers["adversary"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.shard.average(parameter.grad for parameter in self.net.parameters())
        optimisers["adversary"].step()
        return {"adversary_loss": loss.detach(), "accuracy": self.accuracy.clone()}

    def remarks(self, rows: Rows) -> list[Remark]:
        """Whether the discriminator was at chance throughout, or is saturated at the end."""
        accuracy = column(rows, "accuracy")
        fifths = [float(np.mean(fifth)) for fifth in np.array_split(accuracy, min(5, len(accuracy)))]
        if max(fifths) < CHANCE:
            sentence = (
                f"The discriminator's accuracy stayed at chance in the whole run (mean {np.mean(accuracy):.1%}). "
                "Either the latents were always independent, as collapsed ones are, or the discriminator learned "
                "nothing; then tc does not measure the total correlation and its penalty has no effect. Train longer, "
                "or with a larger learning rate of the discriminator."
            )
            return [Remark(sentence, "at chance")]
        if fifths[-1] > SATURATED:
            sentence = (
                f"The discriminator is saturated: its accuracy was {fifths[-1]:.1%} over the last fifth of the run. "
                "The total correlation is large, but its estimate is unreliable. A larger weight of tc would lower it."
            )
            return [Remark(sentence, "saturated")]
        return []


class ImageAdversary(Discriminator):
    """A discriminator that separates reconstructions from images decoded from resampled codes.

    Reconstructions have label 1, images decoded from codes that were resampled dimension by dimension have label 0.
    After the discriminator's step, encoder and decoder take a step against it, with w = max(100 (accuracy - 1/2), 0).

    Args:
        shape: (C, H, W) of the images.
        encoder_weight: weight of the encoder's step times w, 0 or more.
        decoder_weight: weight of the decoder's step times w, and its upper limit, 0 or more.
        lr: learning rate of the discriminator's Adam.
        clip: largest norm of the discriminator's gradient, and of the encoder's in the step against it.
        accumulate: whether the gradients of the model's own step are added to those of the step against it.

    Source:
        Estermann & Wattenhofer, DAVA: Disentangling Adversarial Variational Autoencoder, ICLR 2023,
        https://arxiv.org/abs/2303.01384

    Example:
        >>> ImageAdversary((1, 64, 64)).describe()[:78]
        'A discriminator that separates reconstructions from images decoded from resamp'
    """

    name: ClassVar[str] = "image-discriminator"

    def __init__(
        self,
        shape: tuple[int, int, int],
        encoder_weight: float = 0.3,
        decoder_weight: float = 1e-3,
        lr: float = 1e-4,
        clip: float = 1.0,
        accumulate: bool = False,
    ) -> None:
        super().__init__(nets.image_discriminator(shape), "same", lr, (0.9, 0.999))
        self.shape, self.encoder_weight, self.decoder_weight = shape, encoder_weight, decoder_weight
        self.clip, self.accumulate = clip, accumulate

    def step(
        self,
        model: VAE,
        p: Pass,
        second: Tensor | None,  # noqa: ARG002
        optimisers: Optimisers,
        generator: Generator,
    ) -> dict[str, Tensor]:
        """One step of the discriminator and one of encoder and decoder against it; `second` has no effect."""
        rows = self.shard.rows
        codes, resampled = rows(p.z.detach()), rows(resample(p.z.detach(), generator))
        with torch.no_grad():
            model.eval()
            images = torch.cat([model.likelihood.mean(model.out(z).to(z.dtype)) for z in (codes, resampled)])
            images = images.contiguous()  # convolutional decoders give channels_last, with which instance norm is slow
            model.train()
        loss = self._learn(images, optimisers["adversary"], generator)

        weight = (100 * (self.accuracy - 0.5)).clamp(min=0)

        def against(out: Tensor, label: float) -> Tensor:
            logits = self.shard.whole(self.frozen(model.likelihood.mean(out.to(p.x.dtype)).contiguous()))
            return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label), reduction="sum")

        encoder, decoder = list(model.encoder.parameters()), list(model.decoder.parameters())
        z = model.sample(p.x, generator)[2]
        to_encoder = self.encoder_weight * weight * against(model.out(z), 0.0)
        to_decoder = (self.decoder_weight * weight).clamp(max=self.decoder_weight) * against(model.out(resampled), 1.0)
        if not self.accumulate:
            optimisers["model"].zero_grad(set_to_none=True)
        for loss_of, parameters in ((to_encoder, encoder), (to_decoder, decoder)):
            gradients = torch.autograd.grad(loss_of, parameters)
            self.shard.average(gradients)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        nn.utils.clip_grad_norm_(encoder, self.clip)
        optimisers["model"].step()
        return {"adversary_loss": loss, "accuracy": self.accuracy.clone()}

    def _learn(self, images: Tensor, optimiser: Optimizer, generator: Generator) -> Tensor:
        """The discriminator's own step on [2 B, C, H, W], reconstructions first; its loss, summed over images."""
        logits = torch.cat([self.shard.whole(half) for half in self.net(images).squeeze(1).chunk(2)])
        half = len(logits) // 2
        real = torch.arange(len(logits), device=logits.device) < half
        smoothing = 0.6 * torch.rand(len(logits), generator=generator, device=logits.device)
        loss = F.binary_cross_entropy_with_logits(logits, torch.where(real, 1 - smoothing, smoothing), reduction="sum")
        # With labels smoothed this far, the published threshold is 0.6.
        self.accuracy.copy_(((logits.detach().sigmoid() >= 0.6) == real).float().mean())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.shard.average(parameter.grad for parameter in self.net.parameters())
        nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        optimiser.step()
        return loss.detach()


def shuffle(z: Tensor, generator: Generator | None = None) -> Tensor:
    """z [B, D] with each column permuted on its own: samples of prod_j q(z_j)."""
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)


def resample(z: Tensor, generator: Generator | None = None) -> Tensor:
    """z [B, D] with each entry drawn from its column, with replacement."""
    return z.gather(0, torch.randint(len(z), z.shape, generator=generator, device=z.device))


def _all(z: Tensor) -> Tensor:
    return z


ADVERSARIES: dict[str, type[Discriminator]] = {part.name: part for part in (Adversary, ImageAdversary)}
"""Every adversary by name."""
