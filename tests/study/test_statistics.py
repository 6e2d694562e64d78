"""Figures of several seeds: values by hand, scipy's and those of the definitions; what few seeds cannot say."""

import itertools

import numpy as np
import pytest
from scipy import stats

from equipoise.study.compare import statistics as st

A, B = np.array([0.2, 0.9, 0.4, 0.5, 0.7]), np.array([0.1, 0.4, 0.6])


def by_hand(scores: np.ndarray, statistic: object, draws: int = 2000) -> list[float]:
    """The interval again, in plain Python: resample, take the statistic, take the 2.5th and 97.5th percentile."""
    chosen = np.random.default_rng(0).integers(len(scores), size=(draws, len(scores)))
    values = sorted(float(statistic([scores[i] for i in row])) for row in chosen)  # type: ignore[operator]
    ends = []
    for share in (0.025, 0.975):
        place = share * (draws - 1)
        below = int(place)
        ends.append(values[below] + (place - below) * (values[below + 1] - values[below]))
    return ends


@pytest.mark.parametrize(
    ("statistic", "again"),
    [
        (st.mean, lambda row: sum(row) / len(row)),
        (st.median, lambda row: sorted(row)[len(row) // 2]),
        (st.iqm, lambda row: stats.trim_mean(row, 0.25)),
    ],
)
def test_an_interval_is_what_resampling_by_hand_gives(statistic: st.Statistic, again: object) -> None:
    found = st.estimate([A], statistic)
    assert [found.low, found.high] == pytest.approx(by_hand(A, again), abs=1e-12)
    assert found.low <= found.value <= found.high


def test_averages_of_a_small_example() -> None:
    assert st.estimate([A], st.mean).value == pytest.approx(0.54)
    assert st.estimate([A], st.median).value == 0.5
    assert st.estimate([A], st.iqm).value == pytest.approx((0.4 + 0.5 + 0.7) / 3), "one of five is cut off at each end"
    assert st.estimate([B], st.iqm).value == pytest.approx(B.mean()), "none of three"


@pytest.mark.parametrize("n", range(1, 14))
def test_iqm_is_the_trimmed_mean(n: int) -> None:
    scores = np.random.default_rng(n).normal(size=n)
    assert st.estimate([scores], st.iqm).value == pytest.approx(stats.trim_mean(scores, 0.25))


def test_each_data_set_is_resampled_by_itself() -> None:
    low, high = np.array([0.0, 0.2]), np.array([10.0, 10.0, 10.0])
    found = st.estimate([low, high], st.mean)
    assert found.value == pytest.approx((0.1 + 10) / 2), "a data set with more seeds counts as much as another"
    assert 5.0 <= found.low < found.high <= 5.1, "resampled together, the interval would be many times wider"


def test_pairs_of_each_data_set_are_counted() -> None:
    ours, theirs = [np.array([1.0, 2.0]), np.array([0.0])], [np.array([0.0]), np.array([1.0, 2.0, 0.0])]
    assert st.improvement(ours, theirs).value == pytest.approx((1 + 0.5 / 3) / 2)
    assert st.wins(ours, theirs) == 2.5  # both pairs of the first set, and a tie of three in the second


def test_a_single_seed_has_no_interval() -> None:
    assert st.estimate([np.array([0.3])], st.mean)[0] == 0.3
    assert np.isnan(st.estimate([np.array([0.3]), np.array([0.4])], st.mean)[1:]).all()
    assert st.improvement([A[:1]], [B[:1]]).value == 1.0
    assert np.isnan(st.improvement([A[:1]], [B[:1]])[1:]).all()


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert st.estimate([np.full(4, 0.25)], st.iqm) == (0.25, 0.25, 0.25)


def test_intervals_of_few_seeds_are_too_narrow_by_what_is_said() -> None:
    rng = np.random.default_rng(0)
    for seeds, said in ((2, 0.51), (3, 0.74), (5, 0.84), (10, 0.91)):
        intervals = (st.estimate([rng.normal(size=seeds)], st.mean) for _ in range(600))
        held = np.mean([each.low <= 0 <= each.high for each in intervals])
        assert held == pytest.approx(said, abs=0.04), seeds


def test_of_equal_methods_with_three_seeds_a_fifth_look_different() -> None:
    rng = np.random.default_rng(0)
    found = [st.improvement([rng.normal(size=3)], [rng.normal(size=3)]) for _ in range(600)]
    assert np.mean([each.low > 0.5 or each.high < 0.5 for each in found]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([each.value in (0, 1) for each in found]) == pytest.approx(0.1, abs=0.025), "2 of 20 orders"


def test_infinite_scores_have_an_infinite_mean_and_no_interval() -> None:
    found = st.estimate([np.array([1.0, np.inf, np.inf])], st.mean)
    assert found.value == np.inf
    assert not np.isfinite([found.low, found.high]).all()


def test_improvement_counts_pairs_and_is_the_mann_whitney_statistic_of_scipy() -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(A, B)]
    assert st.improvement([A], [B]).value == pytest.approx(sum(pairs) / 15)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        ours, theirs = rng.integers(0, 6, 7).astype(float), rng.integers(1, 6, 4).astype(float)
        u = stats.mannwhitneyu(ours, theirs).statistic
        assert st.improvement([ours], [theirs]).value == pytest.approx(u / 28)


def test_improvement_is_averaged_over_data_sets_and_turns_round() -> None:
    ours, theirs = [A, A + 1, A], [B, A, A]
    found = st.improvement(ours, theirs)
    assert found.value == pytest.approx((st.improvement([A], [B]).value + 1 + 0.5) / 3)
    assert st.improvement(theirs, ours).value == pytest.approx(1 - found.value)
    assert found.low <= found.value <= found.high


def test_improvement_of_equals_is_one_half() -> None:
    assert st.improvement([np.full(3, 0.4)], [np.full(5, 0.4)]) == (0.5, 0.5, 0.5)


def test_ranks_by_hand_with_ties() -> None:
    found = st.ranks(np.array([[0.9, 0.5, 0.5], [0.8, 0.7, 0.1]]))
    assert found.mean.tolist() == [1.0, 2.25, 2.75]


def test_the_rank_test_counts_orders_of_the_methods() -> None:
    agreed = np.array([[3.0, 2.0, 1.0], [9.0, 8.0, 7.0]])
    assert st.ranks(agreed).p == pytest.approx(1 / 6, abs=0.015), "six of 36 pairs of orders agree as much"
    assert st.ranks(np.vstack([agreed, agreed[:1]])).p == pytest.approx(1 / 36, abs=0.006)
    assert st.ranks(np.array([[2.0, 1.0], [1.0, 2.0]])).p == 1
    assert st.ranks(np.ones((3, 3))).p == 1, "methods that tie everywhere are alike"


def test_the_rank_test_agrees_with_friedmans_of_scipy_over_many_data_sets() -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.3, 0.5):
        scores = rng.normal(size=(40, 4)) + shift * np.arange(4)
        assert st.ranks(scores).p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue, abs=0.015)


def test_the_critical_difference_is_that_of_the_literature() -> None:
    # Demsar 2006, section 3.2.2: four classifiers on 14 data sets, q = 2.569, CD = 1.25.
    assert st.ranks(np.random.default_rng(0).normal(size=(14, 4))).critical == pytest.approx(1.25, abs=0.005)


def test_with_few_data_sets_no_difference_of_ranks_is_significant() -> None:
    few = st.ranks(np.array([[1.0, 2.0, 3.0]] * 2))
    assert (few.critical == pytest.approx(2.34, abs=0.01), few.has_power) == (True, False)  # ranks differ by 2 at most
    assert st.ranks(np.array([[1.0, 2.0, 3.0]] * 3)).has_power


def test_the_front_has_what_nothing_beats() -> None:
    error, score = np.array([3.0, 1.0, 2.0, 2.0, 4.0, 1.0]), np.array([0.5, 0.2, 0.4, 0.3, 0.5, 0.2])
    assert st.front(error, score).tolist() == [1, 2, 0]
    assert st.front(np.array([1.0]), np.array([0.1])).tolist() == [0]


def test_no_point_of_the_front_is_beaten_and_every_other_is() -> None:
    rng = np.random.default_rng(0)
    error, score = rng.integers(0, 9, 30).astype(float), rng.integers(0, 9, 30).astype(float)
    front = set(st.front(error, score).tolist())

    def beaten(i: int) -> bool:
        better = (error <= error[i]) & (score >= score[i]) & ((error < error[i]) | (score > score[i]))
        return bool(better.any())

    for i in range(30):
        equal = any(error[i] == error[j] and score[i] == score[j] for j in front)
        assert beaten(i) != equal
        assert not (i in front and beaten(i))


def test_half_of_the_seeds_attain_the_middle_one_of_three() -> None:
    error = [np.array([1.0, 3.0]), np.array([2.0, 3.0]), np.array([2.0, 4.0])]
    score = [np.array([0.1, 0.6]), np.array([0.3, 0.2]), np.array([0.2, 0.9])]
    at, reached = st.attainment(error, score)
    # At 1 one seed of three has a point; at 2 they reach .1, .3, .2; at 3 .6, .3, .2; at 4 .6, .3, .9.
    assert at.tolist() == [2.0, 3.0, 4.0]
    assert reached.tolist() == [0.2, 0.3, 0.6]


def test_one_of_two_seeds_is_half_and_one_seed_is_its_own_front() -> None:
    at, reached = st.attainment([np.array([1.0]), np.array([2.0])], [np.array([0.5]), np.array([0.7])])
    assert (at.tolist(), reached.tolist()) == ([1.0, 2.0], [0.5, 0.7])
    at, reached = st.attainment([np.array([2.0, 1.0])], [np.array([0.1, 0.4])])
    assert (at.tolist(), reached.tolist()) == ([1.0, 2.0], [0.4, 0.4])
