"""UDR: the published values, and what agreement between models must mean."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso

from equipoise.errors import InputError
from equipoise.metrics import ScoreWarning, score
from equipoise.metrics.ranking import _lasso, udr

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
VALUES = json.loads((GOLDEN / "expected.json").read_text())["sets"]["udr_group"]["values"]


def models(count: int = 3, rows: int = 1000) -> list[np.ndarray]:
    """Codes of models that found the same four sources, in another order, with other signs and a little noise."""
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((rows, 4))
    codes = [sources[:, rng.permutation(4)] * rng.choice([-1, 1], 4) for _ in range(count)]
    return [item + 0.05 * rng.standard_normal(item.shape) for item in codes]


@pytest.mark.parametrize("predictor", ["lasso", "spearman"])
@pytest.mark.parametrize("filtered", [True, False])
def test_group_of_models_scores_as_in_the_published_program(predictor: str, filtered: bool) -> None:
    with np.load(GOLDEN / "udr_group.npz") as file:
        codes, kl = file["reps"].astype(np.float64), file["kl"]
    # Posteriors whose KL is on the same side of 0.01 nats as the stored one: nothing else of it counts.
    logvars = [np.tile(np.where(each > 0.01, -4.0, 0.0), (len(codes[0]), 1)) for each in kl]
    group = list(zip(codes, logvars, strict=True))
    key = f"disentanglement_lib/udr_{predictor}_{'filtered' if filtered else 'all'}"
    for j, (mine, logvar) in enumerate(group):
        ours = udr(mine, group[:j] + group[j + 1 :], logvar, predictor=predictor, filtered=filtered)
        if key == "disentanglement_lib/udr_spearman_all":
            # There the rank correlation with a masked latent is NaN, and all is 0; here it agrees with nothing.
            assert VALUES[key]["model_scores"][j] == 0
            assert 0.4 < ours.value < 0.6
            continue
        pairs = [row[j] for i, row in enumerate(VALUES[key]["pairwise"]) if i != j]
        np.testing.assert_allclose(ours.extra["pairs"], pairs, rtol=0, atol=1e-4)
        assert ours.value == pytest.approx(VALUES[key]["model_scores"][j], abs=1e-4)
        assert len(ours.left_out) == (kl[j] <= 0.01).sum()


def test_coefficients_are_those_of_the_lasso_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    source = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    source = (source - source.mean(axis=0)) / source.std(axis=0)
    target = source @ rng.standard_normal((6, 3)) + rng.standard_normal((500, 3))
    target -= target.mean(axis=0)
    fitted = Lasso(alpha=0.1, tol=1e-12, max_iter=100_000, fit_intercept=False, random_state=0).fit(source, target)
    np.testing.assert_allclose(_lasso(source, target), fitted.coef_.T, atol=1e-7)
    np.testing.assert_allclose(VALUES["disentanglement_lib/raw_lasso_0_1"], _raw_golden(), atol=1e-4)


def _raw_golden() -> np.ndarray:
    with np.load(GOLDEN / "udr_group.npz") as file:
        codes, live = file["reps"].astype(np.float64), file["kl"] > 0.01
    first, second = ((codes[i] - codes[i].mean(axis=0)) / codes[i].std(axis=0) * live[i] for i in (0, 1))
    return np.abs(_lasso(first, second))


@pytest.mark.parametrize(("predictor", "best"), [("lasso", 0.9), ("spearman", 1.0)])
def test_models_that_found_the_same_latents_score_best_whatever_order_sign_and_scale(
    predictor: str, best: float
) -> None:
    mine, *group = models()
    expected = udr(mine, group, predictor=predictor).value
    assert best - 0.1 < expected < best
    changed = mine[:, [2, 0, 3, 1]] * [-3, 1, 0.5, 10]
    assert udr(changed, group, predictor=predictor).value == pytest.approx(expected, abs=1e-9)


def test_penalty_of_the_lasso_keeps_full_agreement_at_nine_tenths() -> None:
    mine = models(1)[0]
    uncorrelated = np.linalg.qr(mine - mine.mean(axis=0))[0] * 30
    assert udr(uncorrelated, [uncorrelated]).value == pytest.approx(0.9, abs=1e-9)


def test_rotated_and_unrelated_models_score_less() -> None:
    mine, *group = models()
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0]
    noise = np.random.default_rng(3).standard_normal(mine.shape)
    for predictor in ("lasso", "spearman"):
        straight, turned, unrelated = (
            udr(codes, group, predictor=predictor).value for codes in (mine, mine @ turn, noise)
        )
        assert straight > turned + 0.2 > unrelated + 0.4


def test_collapsed_latents_are_left_out_by_their_kl_or_else_by_their_variance() -> None:
    mine, *group = models()
    expected = udr(mine, group)
    dead = np.insert(mine, 1, 0.04 * np.random.default_rng(4).standard_normal(len(mine)), axis=1)
    logvar = np.insert(np.full(mine.shape, -3.0), 1, 0.0, axis=1)
    by_variance, by_kl = udr(dead, group), udr(dead, group, logvar)
    assert by_variance.value == by_kl.value == expected.value
    assert by_variance.left_out["latent 1"].startswith("variance 0.0016")
    assert by_kl.left_out["latent 1"].startswith("KL 0.0008")
    assert np.flatnonzero(np.isnan(by_kl.per_latent)).tolist() == [1]
    assert udr(dead, group, filtered=False).value < expected.value - 0.05
    other = (np.insert(group[0], 0, 0.3, axis=1), np.insert(np.full(mine.shape, -3.0), 0, 0.0, axis=1))
    with pytest.warns(ScoreWarning, match="udr: every latent has a KL of at most 3 and is left out, so the score is 0"):
        assert udr(mine, [other], np.full(mine.shape, -3.0), threshold=3).value == 0


def test_median_over_an_even_number_of_models_is_between_their_scores() -> None:
    mine, *group = models(4)
    group[0] = np.random.default_rng(5).standard_normal(mine.shape)
    result = udr(mine, group)
    assert result.value == sorted(result.extra["pairs"])[1]
    assert udr(mine, group[:1]).value == result.extra["pairs"][0] < 0.2
    assert udr(mine, group[:2]).value == pytest.approx(np.mean(result.extra["pairs"][:2]))


def test_score_takes_a_group_with_and_without_posteriors_and_gives_an_interval() -> None:
    mine, *group = models()
    logvar = np.full(mine.shape, -3.0)
    bare = score(mine, group=group, which="udr")["udr"]
    assert bare.low < bare.value < bare.high
    assert bare.high - bare.low < 0.05
    tensors = [(torch.tensor(codes, requires_grad=True), torch.tensor(logvar)) for codes in group]
    whole = score(mine, logvar=logvar, group=tensors, which="udr", interval=False)["udr"]
    assert whole.value == bare.value


def test_group_that_cannot_be_compared_is_refused() -> None:
    mine, *group = models()
    with pytest.raises(InputError, match="group is empty: UDR compares models"):
        udr(mine, [])
    with pytest.raises(InputError, match="predictor = 'ridge': expected lasso or spearman"):
        udr(mine, group, predictor="ridge")
    with pytest.raises(InputError, match=r"group\[1\], logvar has shape \(1000, 3\), codes \(1000, 4\)"):
        udr(mine, [group[0], (group[1], np.zeros((1000, 3)))])
    with pytest.raises(InputError, match="udr needs group"):
        score(mine, which="udr")
