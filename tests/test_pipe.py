"""PIPE: its value for models whose latents are known to be independent, or not."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise import likelihoods, priors
from equipoise.errors import InputError
from equipoise.model import VAE
from equipoise.pipe import pipe


class Halves(nn.Module):
    """The brightness of the left half is the first latent, that of the right half the second."""

    def __init__(self, sees: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.sees = sees

    def forward(self, z: Tensor) -> Tensor:
        halves = z[:, : self.sees] if self.sees == 2 else z[:, :1].expand(-1, 2)
        return (self.weight * halves[:, None, None, :]).repeat(1, 1, 16, 1).repeat_interleave(8, 3)


class Columns(nn.Module):
    """A vector of two columns, which are the latents."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        return self.weight * z[:, None, None, :]


def model(sees: int = 2) -> VAE:
    return VAE(nn.Identity(), Halves(sees), likelihoods.SquaredError(), priors.StandardNormal(2), (1, 16, 16), 100)


def codes(kind: str, n: int = 600) -> np.ndarray:
    """Two latents [n, 2]: independent, or equal up to a little noise."""
    z = np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)
    return z if kind == "independent" else z[:, [0, 0]] + 0.1 * z[:, [1, 0]]


def test_independent_latents_have_1_and_dependent_ones_that_the_pictures_show_have_less() -> None:
    independent, equal = (pipe(model(), codes(kind), "shuffled", 6400, 0) for kind in ("independent", "equal"))
    assert independent.high > 0.97
    assert independent.value > 0.85
    assert equal.value < 0.5
    assert equal.low <= equal.value <= equal.high < independent.low


def test_latents_that_no_picture_shows_do_not_count() -> None:
    assert pipe(model(sees=1), codes("equal"), "shuffled", 1280, 0).value > 0.85


def test_uniform_latents_are_told_from_normal_ones_at_their_ends() -> None:
    assert pipe(model(), codes("independent"), "uniform", 6400, 0).value < 0.85


def test_the_value_is_twice_the_error_rate_with_its_binomial_interval() -> None:
    score = pipe(model(), codes("equal"), "shuffled", 1280, 0)
    wrong = 1 - score.extra["accuracy"]
    assert score.value == pytest.approx(min(2 * wrong, 1))
    assert score.value - score.low == pytest.approx(2 * 1.96 * np.sqrt(wrong * (1 - wrong) / 600))
    assert wrong * 600 == pytest.approx(round(wrong * 600))  # 300 of each kind in the test


def test_the_same_seed_gives_the_same_bits_and_moves_no_weight() -> None:
    same = model()
    before = {name: value.clone() for name, value in same.state_dict().items()}
    first, again, other = (pipe(same, codes("equal", 80), "shuffled", 640, seed) for seed in (3, 3, 4))
    assert first.to_dict() == again.to_dict()
    assert first.value != other.value
    assert all(torch.equal(value, before[name]) for name, value in same.state_dict().items())


def test_vectors_have_a_discriminator_too() -> None:
    vectors = VAE(nn.Identity(), Columns(), likelihoods.SquaredError(), priors.StandardNormal(2), (1, 1, 2), 100)
    independent, equal = (pipe(vectors, codes(kind), "shuffled", 25_600, 0) for kind in ("independent", "equal"))
    assert independent.value > 0.85
    assert equal.value < 0.6


def test_too_few_codes_or_pictures_are_refused() -> None:
    with pytest.raises(InputError, match=r"there are 19 codes; expected at least 20; raise evaluate\.n"):
        pipe(model(), codes("equal", 19), "shuffled", 640, 0)
    with pytest.raises(InputError, match="seen is 63; expected at least 64 pictures"):
        pipe(model(), codes("equal", 20), "shuffled", 63, 0)
