"""What is said of a latent."""

import numpy as np
import pytest

from equipoise import metrics
from equipoise.report.latents import Latent, factors_over, information_of, latents_over, typical

N = 4000
RNG = np.random.default_rng(0)
NAMES = ("place", "turn")
FACTORS = np.stack([RNG.integers(0, 10, N), RNG.integers(0, 8, N)], axis=1)


def read(codes: np.ndarray, factors: np.ndarray = FACTORS, names: tuple[str, ...] = NAMES) -> list[Latent]:
    score = metrics.METRICS["mig"].function(codes, factors)
    over = factors_over(codes, factors, names)
    return latents_over(codes, codes.var(axis=0), over, information_of(score, factors, names))


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


def test_without_information_the_explained_variance_speaks() -> None:
    codes = np.stack([noisy(FACTORS[:, 0]), RNG.standard_normal(N)], axis=1)
    follows, noise = latents_over(codes, np.array([2.0, 1.0]), factors_over(codes, FACTORS, NAMES), None)
    assert follows.words == "follows place (explains 100% of its variance; rises with it)"
    assert noise.factor is None


def test_without_factors_nothing_is_said() -> None:
    assert [latent.words for latent in latents_over(RNG.standard_normal((50, 2)), np.ones(2), [], None)] == ["", ""]


def test_curves_are_the_mean_and_deviation_of_the_codes_at_each_value() -> None:
    codes = RNG.standard_normal((N, 3)) + FACTORS[:, :1]
    place, _ = factors_over(codes, FACTORS, NAMES)
    for value in range(10):
        at = codes[FACTORS[:, 0] == value]
        np.testing.assert_allclose(place.mean[value], at.mean(axis=0))
        np.testing.assert_allclose(place.spread[value], at.std(axis=0))


def test_single_valued_factors_are_left_out_and_continuous_ones_are_cut() -> None:
    factors = np.column_stack([np.zeros(N), RNG.random(N), FACTORS[:, 0]])
    codes = noisy(factors[:, 1])[:, None]
    over = factors_over(codes, factors, ("none", "angle", "place"))
    assert [(factor.name, len(factor.mean)) for factor in over] == [("angle", 20), ("place", 10)]
    with pytest.warns(metrics.ScoreWarning, match="one value only"):
        latent = read(codes, factors, ("none", "angle", "place"))[0]
    assert latent.factor == "angle"


def test_latents_are_ordered_by_kl_and_active_by_the_variance_of_their_means() -> None:
    codes = np.stack([0.09 * RNG.standard_normal(N), 0.11 * RNG.standard_normal(N)], axis=1)
    latents = latents_over(codes, np.array([3.0, 1.0]), [], None)
    assert [(latent.index, latent.kl, latent.active) for latent in latents] == [(0, 3.0, False), (1, 1.0, True)]
    low, high = np.percentile(codes[:, 1], (5, 95))
    assert (latents[1].low, latents[1].high) == (low, high)
    assert (latents[0].low, latents[0].high) == (-2, 2)


def test_the_typical_image_is_nearest_the_median() -> None:
    assert typical(np.array([[0.0, 9.0], [1.0, 1.0], [2.0, 0.5], [9.0, 0.0]])) == 1
