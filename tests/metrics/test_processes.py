"""SMI and SPN, minimality and sufficiency: formulas by hand, values of the published programs, dependent factors."""

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from equipoise import metrics
from equipoise.metrics import METRICS
from equipoise.metrics.processes import Of


def mixed() -> tuple[np.ndarray, np.ndarray]:
    """Codes [500, 14] that mix three factors, with noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4, 5), size=(500, 3))
    mixture = rng.standard_normal((3, 14))
    return factors @ mixture + 0.3 * rng.standard_normal((500, 14)), factors


def dependent() -> tuple[np.ndarray, np.ndarray]:
    """Codes [800, 8], four noisy copies of two factors that depend on each other."""
    rng = np.random.default_rng(1)
    first = rng.integers(4, size=800)
    factors = np.column_stack([first, (first + rng.integers(2, size=800)) % 4])
    return factors[:, [0, 1] * 4] + 0.2 * rng.standard_normal((800, 8)), factors


def by_hand(name: str, codes: np.ndarray, has_value: np.ndarray) -> float:
    """The similarity of one latent and one value, by loops."""
    n, p = len(codes), has_value.mean()
    if name == "spn":
        order = sorted(range(n), key=lambda i: codes[i])
        both = sum(has_value[i] and has_value[j] for i, j in itertools.pairwise(order))
        return max(both / (has_value.sum() - 1) - p, 0) / (1 - p)
    width = (codes.max() - codes.min()) / 10
    bins = [min(int((code - codes.min()) / width), 9) for code in codes]
    return mutual_info_score(bins, has_value) / (-p * math.log(p) - (1 - p) * math.log(1 - p))


@pytest.mark.parametrize("name", ["smi", "spn"])
@pytest.mark.parametrize("of", ["factors", "values"])
def test_the_best_matching_of_all_is_taken(name: str, of: Of) -> None:
    codes, factors = mixed()
    codes, factors = codes[:60, :4], factors[:60, :2] % 2 if of == "values" else factors[:60, :2]
    similarity = [
        [[by_hand(name, latent, factor == value) for latent in codes.T] for value in np.unique(factor)]
        for factor in factors.T
    ]
    rows = [np.mean(each, axis=0) for each in similarity] if of == "factors" else np.concatenate(similarity)
    ways = itertools.permutations(range(4), len(rows))
    matching = max(np.mean([row[j] for row, j in zip(rows, way, strict=True)]) for way in ways)
    ordered = np.sort(rows, axis=1)
    expected = {"matching": matching, "best": ordered[:, -1].mean(), "gap": (ordered[:, -1] - ordered[:, -2]).mean()}
    for aggregate, value in expected.items():
        score = METRICS[name].function(codes, factors, of=of, aggregate=aggregate)
        assert score.value == pytest.approx(value)
        assert score.extra == pytest.approx({key: other for key, other in expected.items() if key != aggregate})


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("smi", mixed, (0.384219564, 0.607974464, 0.217464192)),
        ("spn", mixed, (0.412436043, 0.655980439, 0.238699976)),
        ("smi", dependent, (0.958507531, 0.963905869, 0.011142795)),
        ("spn", dependent, (0.989147512, 0.990779579, 0.002495299)),
    ],
)
def test_values_are_those_of_drvi(name, given, values) -> None:  # type: ignore[no-untyped-def]
    """LMS, MSAS and MSGS of `discrete_mutual_info_score` and `nn_alignment_score` of theislab/DRVI, commit abd7510e."""
    score = METRICS[name].function(*given(), of="values")
    assert (score.value, score.extra["best"], score.extra["gap"]) == pytest.approx(values, abs=1e-8)


@pytest.mark.parametrize(
    ("given", "values"), [(mixed, (0.237432185, 0.626117038)), (dependent, (0.536647173, 0.978248514))]
)
def test_values_are_those_of_the_authors_of_minimality(given, values) -> None:  # type: ignore[no-untyped-def]
    """`estimate_min_suf` of antonioalmudevar/dependent_disentanglement, commit 6b2c025e."""
    found = metrics.minimality(*given()).value, metrics.sufficiency(*given()).value
    assert found == pytest.approx(values, abs=1e-8)


def test_dependent_factors_leave_perfect_codes_at_one_where_the_gap_of_mig_closes() -> None:
    first = np.arange(400) % 4
    factors = np.column_stack([first, first // 2])
    codes = factors + 0.0
    for name in ("minimality", "sufficiency", "smi", "spn"):
        assert METRICS[name].function(codes, factors).value == pytest.approx(1)
    assert metrics.mig(codes, factors).value == pytest.approx((1 / 2 + 0) / 2)
    joined = np.column_stack([first, first]) + 0.0  # the second latent has more information than its factor
    assert metrics.sufficiency(joined, factors[:, 1:]).value == pytest.approx(1)
    assert metrics.minimality(joined, factors[:, 1:]).value == pytest.approx(1 / 2)


def test_parts_are_those_of_factors_and_latents() -> None:
    factors = np.indices((2, 4)).reshape(2, -1).T.repeat(3, axis=0)
    codes = np.column_stack([4 * factors[:, 0] + factors[:, 1], factors[:, 1], np.zeros(24)])
    minimality = metrics.minimality(codes, factors)
    assert minimality.per_latent[:2] == pytest.approx([math.log(4) / math.log(8), 1])
    assert np.isnan(minimality.per_latent[2])
    assert minimality.left_out == {"latent 2": "constant"}
    assert metrics.minimality(codes, factors, dead="zero").per_latent[2] == 0
    assert metrics.sufficiency(codes[:, 1:], factors).per_factor == pytest.approx([0, 1], abs=1e-12)


def test_a_factor_without_a_latent_and_a_value_of_one_image_lower_nothing_else() -> None:
    factors = np.indices((3, 4)).reshape(2, -1).T.repeat(5, axis=0)
    assert metrics.spn(factors[:, :1] + 0.0, factors).per_factor == pytest.approx([1, 0])
    rare = factors.copy()
    rare[0, 0] = 9
    assert metrics.spn(rare + 0.0, rare).value == pytest.approx(1)
