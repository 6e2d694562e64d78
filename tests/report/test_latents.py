"""What is said of a latent."""

import math

import numpy as np
import pytest
import torch

from equipoise import metrics
from equipoise.priors import LpNested, StandardNormal
from equipoise.report.latents import (
    Latent,
    deviation_of,
    factors_over,
    information_of,
    latents_over,
    nats_carried,
    parts_of,
    typical_row,
)

N = 4000
RNG = np.random.default_rng(0)
NAMES = ("place", "turn")
FACTORS = np.stack([RNG.integers(0, 10, N), RNG.integers(0, 8, N)], axis=1)


def read(codes: np.ndarray, factors: np.ndarray = FACTORS, names: tuple[str, ...] = NAMES) -> list[Latent]:
    score = metrics.METRICS["mig"].function(codes, factors)
    over = factors_over(codes, factors, names)
    return latents_over(codes, codes.var(axis=0), np.ones(codes.shape[1]), over, information_of(score, factors, names))


def noisy(values: np.ndarray, noise: float = 0.05) -> np.ndarray:
    return values + noise * RNG.standard_normal(len(values))


def test_a_latent_is_said_to_rise_or_fall_with_its_factor() -> None:
    codes = np.stack([noisy(FACTORS[:, 0]), noisy(-FACTORS[:, 1])], axis=1)
    place, turn = read(codes)
    assert (place.index, place.factor, turn.index, turn.factor) == (0, "place", 1, "turn")
    assert place.words.startswith("follows place (MI 2.")
    assert place.words.endswith("nats of 2.30; rises with it)")
    assert turn.words.endswith("nats of 2.08; falls as it rises)")


def test_a_periodic_code_is_not_called_monotonic() -> None:
    codes = np.stack([noisy(np.cos(FACTORS[:, 1] / 8 * 2 * np.pi)), noisy(FACTORS[:, 0])], axis=1)
    latent = next(latent for latent in read(codes) if latent.index == 0)
    assert latent.factor == "turn"
    assert latent.words.endswith("; not monotonic)")


def test_an_entangled_latent_names_both_factors() -> None:
    codes = noisy(FACTORS[:, 0] / 10 + FACTORS[:, 1] / 8)[:, None]
    assert ", mixed with " in read(codes)[0].words


def test_noise_follows_nothing_even_with_few_images() -> None:
    for n in (60, 4000):
        latent = read(RNG.standard_normal((n, 1)), FACTORS[:n])[0]
        assert latent.factor is None
        assert latent.words.startswith("follows no known factor clearly")


def test_a_warning_of_the_score_is_not_repeated() -> None:
    numbers = np.arange(400)[:, None] % 100
    with pytest.warns(metrics.ScoreWarning, match="counts as 100 labels"):
        score = metrics.METRICS["mig"].function(numbers + 0.0, numbers)
    information = information_of(score, numbers, ["number"])  # warnings are errors here
    assert information is not None
    assert information.entropy == pytest.approx(math.log(100))


def test_without_information_the_explained_variance_speaks() -> None:
    codes = np.stack([noisy(FACTORS[:, 0]), RNG.standard_normal(N)], axis=1)
    follows, noise = latents_over(codes, np.array([2.0, 1.0]), np.ones(2), factors_over(codes, FACTORS, NAMES), None)
    assert follows.words == "follows place (explains 100% of its variance; rises with it)"
    assert noise.factor is None


def test_without_factors_nothing_is_said() -> None:
    assert [
        latent.words for latent in latents_over(RNG.standard_normal((50, 2)), np.ones(2), np.ones(2), [], None)
    ] == ["", ""]


def test_an_inactive_latent_follows_no_factor_however_exactly_its_tiny_codes_do() -> None:
    """The mutual information of binned codes does not depend on their scale."""
    codes = np.stack([FACTORS[:, 0] / 10, 1e-3 * FACTORS[:, 1]], axis=1)
    place, turn = read(codes)
    assert (place.factor, place.active) == ("place", True)
    assert (turn.factor, turn.words, turn.mutual_information, turn.active) == (None, "", None, False)


def test_curves_are_the_mean_of_the_codes_at_each_value() -> None:
    codes = RNG.standard_normal((N, 3)) + FACTORS[:, :1]
    place, _ = factors_over(codes, FACTORS, NAMES)
    for value in range(10):
        np.testing.assert_allclose(place.mean[value], codes[FACTORS[:, 0] == value].mean(axis=0))


def test_single_valued_factors_are_left_out_and_continuous_ones_are_cut() -> None:
    factors = np.column_stack([np.zeros(N), RNG.random(N), FACTORS[:, 0]])
    codes = noisy(factors[:, 1])[:, None]
    over = factors_over(codes, factors, ("none", "angle", "place"))
    assert [(factor.name, len(factor.mean)) for factor in over] == [("angle", 20), ("place", 10)]
    with pytest.warns(metrics.ScoreWarning, match="one value only"):
        latent = read(codes, factors, ("none", "angle", "place"))[0]
    assert latent.factor == "angle"


def test_latents_are_ordered_by_their_nats_and_active_by_the_variance_of_their_means() -> None:
    codes = np.stack([0.09 * RNG.standard_normal(N), 0.11 * RNG.standard_normal(N)], axis=1)
    latents = latents_over(codes, np.array([3.0, 1.0]), np.array([0.5, 1.0]), [], None)
    assert [(latent.index, latent.nats, latent.active) for latent in latents] == [(0, 3.0, False), (1, 1.0, True)]
    low, high = np.percentile(codes[:, 1], (5, 95))
    assert (latents[1].low, latents[1].high) == (low, high)
    assert (latents[0].low, latents[0].high) == (-1, 1)


def test_a_latent_most_of_whose_codes_are_equal_goes_from_its_least_to_its_largest() -> None:
    codes = (np.arange(100) < 3)[:, None] * 1.0
    (latent,) = latents_over(codes, np.ones(1), np.ones(1), [], None)
    assert latent.active
    assert (latent.low, latent.high) == (0, 1)


def test_a_factor_is_continuous_where_the_scores_take_it_as_such() -> None:
    few, many = (np.linspace(0, 1, count)[np.arange(1000) % count] for count in (32, 200))
    over = factors_over(few[:, None], np.stack([few, many], axis=1), ("few", "many"))
    assert [len(factor.mean) for factor in over] == [32, 20]


def test_the_typical_image_is_nearest_the_median() -> None:
    assert typical_row(np.array([[0.0, 9.0], [1.0, 1.0], [2.0, 0.5], [9.0, 0.0]])) == 1


def posterior(mean: torch.Tensor, deviation: float) -> tuple[torch.Tensor, torch.Tensor]:
    """mean, logvar [n, 4] of which the first latent has the means given, and the others are at 0."""
    means = torch.zeros(len(mean), 4)
    means[:, 0] = mean
    return means, torch.full_like(means, 2 * math.log(deviation))


def test_where_latents_are_independent_they_carry_their_kl() -> None:
    mean, logvar = posterior(torch.linspace(-2, 2, 101), 0.3)
    for prior in (StandardNormal(4), LpNested((1, 1, 1, 1))):
        kl = prior.kl(mean, logvar, mean)
        measure, nats = nats_carried(kl, mean, logvar)
        assert measure == "KL"
        np.testing.assert_allclose(nats, kl.mean(0).numpy(), rtol=1e-5)


def test_elsewhere_they_carry_the_information_of_a_gaussian_channel() -> None:
    normal = torch.distributions.Normal(0, 2).icdf((torch.arange(20_000) + 0.5) / 20_000)
    mean, logvar = posterior(normal, 0.5)
    measure, nats = nats_carried(LpNested((2, 2)).kl(mean, logvar, mean), mean, logvar)
    assert measure == "information"
    assert nats[0] == pytest.approx(0.5 * math.log(1 + (2 / 0.5) ** 2), rel=1e-3)
    np.testing.assert_allclose(nats[1:], 0, atol=1e-6)


def test_the_information_is_never_said_to_be_less_than_it_is() -> None:
    kl = torch.zeros(1000, 2)
    for values in (2, 3, 8):
        # Values so far apart that a code tells its own: log of their number, in nats.
        mean, logvar = posterior(torch.arange(1000) % values, 0.1)
        assert nats_carried(kl, mean, logvar)[1][0] >= math.log(values) * 0.999
    assert nats_carried(kl[:1], *posterior(torch.ones(1), 0.1))[1].tolist() == [0, 0, 0, 0]


def test_parts_have_the_names_of_their_latents_and_the_deviation_of_the_prior() -> None:
    assert parts_of(StandardNormal(2)) == ["z0", "z1"]
    assert parts_of(LpNested((2, 1, [1, 2]))) == ["z0–z1", "z2", "z3–z5"]
    assert deviation_of(StandardNormal(2)).tolist() == [1, 1]
    prior = LpNested((2, 2), learned=True)
    np.testing.assert_allclose(deviation_of(prior), prior.variance.detach().sqrt().numpy())
