"""What plays against the model, with a step of its own after each of the model's: discriminators of codes, of images.

An adversary has `accuracy`, the share that its last step classed rightly ([], 1/2 by chance), `lr` and `betas` of its
own Adam, `source`, which says whether it needs a second batch, `shard`, which is that of the model, and `step`.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim import Optimizer

from equipoise import nets
from equipoise.model import VAE, Pass, Shard

Source = Literal["other", "split", "same"]


class Adversary(nn.Module):
    """Tells samples of q(z), class 0, from codes whose dimensions were shuffled over the batch, class 1; its logits
    estimate the total correlation TC = KL(q(z) || prod_j q(z_j)).

    Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983

    latent: dimensions D of the codes. width, layers: of the perceptron, leaky ReLU of slope 0.2, two logits; six layers
        of 1000 are the publication's.
    view: what of the codes it sees, [B, D] to [B, D], such as a mask; unset: all.
    source: where the shuffled codes come from: `other`, a second batch (the publication); `split`, the second half of
        the batch, the first half being the samples; `same`, the samples themselves.
    lr, betas: of its own Adam; the publication's.
    """

    accuracy: Tensor

    def __init__(
        self,
        latent: int,
        width: int = 1000,
        layers: int = 6,
        view: Callable[[Tensor], Tensor] | None = None,
        source: Source = "other",
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.9),
    ) -> None:
        super().__init__()
        widths = [latent] + [width] * layers
        hidden = [
            layer for i, o in itertools.pairwise(widths) for layer in (nn.Linear(i, o), nn.LeakyReLU(0.2, inplace=True))
        ]
        self.net = nn.Sequential(*hidden, nn.Linear(widths[-1], 2))
        self.view = view or _all
        self.source, self.lr, self.betas = source, lr, betas
        self.shard = Shard()
        self.register_buffer("accuracy", torch.tensor(0.5))

    def log_ratio(self, z: Tensor) -> Tensor:
        """log q(z) - sum_j log q(z_j), estimated [B] in nats from codes z [B, D]; it may be negative.

        Gradients reach z, and what `view` is made of, but not the discriminator.
        """
        frozen = {name: parameter.detach() for name, parameter in self.net.named_parameters()}
        logits = self.shard.whole(functional_call(self.net, frozen, (self.shard.rows(self.view(z)),)))
        return logits[:, 0] - logits[:, 1]

    def loss(self, z: Tensor, other: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean cross-entropy [] in nats of telling z [B, D] from shuffled `other` [B', D].

        Gradients reach the discriminator alone. In training it moves `accuracy`.
        """
        seen = self.view(z.detach()).detach()
        shuffled = shuffle(self.view(other.detach()).detach(), generator)
        logits = self.shard.whole(self.net(self.shard.rows(torch.cat([seen, shuffled]))))
        label = torch.ones(len(logits), dtype=torch.int64, device=logits.device)
        label[: len(seen)] = 0
        if self.training:
            self.accuracy.copy_((logits.detach().argmax(1) == label).float().mean())
        nats: Tensor = F.cross_entropy(logits, label, reduction="none")
        return 0.5 * (nats[: len(seen)].mean() + nats[len(seen) :].mean())

    def step(
        self,
        model: VAE,
        p: Pass,
        second: Tensor | None,
        optimisers: Mapping[str, Optimizer],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """One step of the discriminator on the codes of the pass, as they were before the model's step, and on those to
        be shuffled, encoded after it; what of it is logged."""
        z = other = p.z
        if second is not None:
            with torch.no_grad():
                other = self.shard.whole(model.sample(second, generator)[2])
        elif self.source == "split":
            z, other = z[: len(z) // 2], z[len(z) // 2 :]
        loss = self.loss(z, other, generator)
        optimisers["adversary"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.shard.average(parameter.grad for parameter in self.net.parameters())
        optimisers["adversary"].step()
        return {"adversary_loss": loss.detach(), "accuracy": self.accuracy.clone()}


class ImageAdversary(nn.Module):
    """Tells reconstructions, label 1, from what the decoder makes of codes resampled dimension by dimension, label 0;
    then encoder and decoder take a step against it (Estermann & Wattenhofer, DAVA, ICLR 2023, arXiv:2303.01384).

    shape: (C, H, W) of the images. encoder_weight, decoder_weight: of the adversarial phase, times
        w = max(100 (accuracy - 1/2), 0), the decoder's at most decoder_weight itself.
    lr, clip: learning rate of its own Adam, and the largest norm of its and the encoder's gradients here.
    accumulate: whether the gradients of the model's own step are added to those of the step against it.
    """

    accuracy: Tensor
    source = "same"
    betas = (0.9, 0.999)

    def __init__(
        self,
        shape: tuple[int, int, int],
        encoder_weight: float = 0.3,
        decoder_weight: float = 1e-3,
        lr: float = 1e-4,
        clip: float = 1.0,
        accumulate: bool = False,
    ) -> None:
        super().__init__()
        self.net = nets.image_discriminator(shape)
        self.encoder_weight, self.decoder_weight, self.lr, self.clip = encoder_weight, decoder_weight, lr, clip
        self.accumulate = accumulate
        self.shard = Shard()
        self.register_buffer("accuracy", torch.tensor(0.5))

    def step(
        self,
        model: VAE,
        p: Pass,
        second: Tensor | None,  # noqa: ARG002
        optimisers: Mapping[str, Optimizer],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """One step of the discriminator, and one of encoder and decoder against it; what of it is logged."""
        rows = self.shard.rows
        codes, resampled = rows(p.z.detach()), rows(resample(p.z.detach(), generator))
        with torch.no_grad():
            model.eval()
            images = torch.cat([model.likelihood.mean(model.out(z).to(z.dtype)) for z in (codes, resampled)])
            images = images.contiguous()  # convolutional decoders give channels_last, with which instance norm is slow
            model.train()
        loss = self._learn(images, optimisers["adversary"], generator)

        weight = (100 * (self.accuracy - 0.5)).clamp(min=0)
        frozen = {name: value.detach() for name, value in self.net.named_parameters()}

        def asked(out: Tensor, label: float) -> Tensor:
            pictures = model.likelihood.mean(out.to(p.x.dtype)).contiguous()
            logits = self.shard.whole(functional_call(self.net, frozen, (pictures,)))
            return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label), reduction="sum")

        encoder, decoder = list(model.encoder.parameters()), list(model.decoder.parameters())
        z = model.sample(p.x, generator)[2]
        to_encoder = self.encoder_weight * weight * asked(model.out(z), 0.0)
        to_decoder = (self.decoder_weight * weight).clamp(max=self.decoder_weight) * asked(model.out(resampled), 1.0)
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

    def _learn(self, images: Tensor, optimiser: Optimizer, generator: torch.Generator) -> Tensor:
        """The discriminator's own step on [2 B, C, H, W], reconstructions first; its loss, summed over the images."""
        logits = torch.cat([self.shard.whole(half) for half in self.net(images).squeeze(1).chunk(2)])
        half = len(logits) // 2
        real = torch.arange(len(logits), device=logits.device) < half
        smoothing = 0.6 * torch.rand(len(logits), generator=generator, device=logits.device)
        loss = F.binary_cross_entropy_with_logits(logits, torch.where(real, 1 - smoothing, smoothing), reduction="sum")
        # With labels smoothed this far, an image counts as told from 0.6 on, the published threshold.
        self.accuracy.copy_(((logits.detach().sigmoid() >= 0.6) == real).float().mean())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.shard.average(parameter.grad for parameter in self.net.parameters())
        nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        optimiser.step()
        return loss.detach()


def shuffle(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """z [B, D] with each column permuted on its own: samples of prod_j q(z_j)."""
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)


def resample(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """z [B, D] with each entry drawn from its column, with replacement."""
    return z.gather(0, torch.randint(len(z), z.shape, generator=generator, device=z.device))


def _all(z: Tensor) -> Tensor:
    return z
