"""Coverage of the intervals of all bounded metrics, by simulation, and the bias that half the rows show.

`python -m tests.metrics.test_coverage` prints the table of docs/metrics/README.md.
"""

from functools import cache

import numpy as np
import pytest

from equipoise.metrics import METRICS, interval, score

SIZES, ROWS, SAMPLES, MANY = (3, 6, 12), 1000, 40, 20_000
BOUNDED = [
    name
    for name, metric in METRICS.items()
    if "factors" in metric.needs and metric.is_cheap and not metric.repeats and metric.range[1] == 1
]


def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of six latents, three with noise, two mixed, one of noise alone, and three factors."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(SIZES, size=(rows, 3))
    straight = factors / (np.array(SIZES) - 1) + 0.1 * rng.standard_normal((rows, 3))
    mixed = straight[:, :2] @ np.array([[1.0, 0.5], [0.5, 1.0]]) + 0.2 * rng.standard_normal((rows, 2))
    return np.column_stack([straight, mixed, 0.3 * rng.standard_normal(rows)]), factors


@cache
def simulated() -> dict[str, dict[str, float]]:
    """Return for each metric the mean value of samples and of their halves, that of many rows, and two coverages.

    "same" is the share of intervals that contain the mean value of samples of their size, "many" that of many rows.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interval, "_SHUFFLES", 2)  # the baselines are not used
        found = [score(*sample(ROWS, seed), which=BOUNDED) for seed in range(SAMPLES)]
    limit = score(*sample(MANY, SAMPLES), which=BOUNDED, interval=False)
    table = {}
    for name in BOUNDED:
        scores = [each[name] for each in found]
        mean = float(np.mean([each.value for each in scores]))
        table[name] = {
            "half": float(np.mean([each.half for each in scores])),
            "value": mean,
            "limit": limit[name].value,
            "same": float(np.mean([each.low <= mean <= each.high for each in scores])),
            "many": float(np.mean([each.low <= limit[name].value <= each.high for each in scores])),
        }
    return table


@pytest.mark.slow
@pytest.mark.parametrize("name", BOUNDED)
def test_interval_covers_the_mean_score_of_samples_of_its_size(name: str) -> None:
    """Of 40 intervals at least 34 (85 %): fewer happen in one of 300 cases if the coverage is 95 %."""
    assert simulated()[name]["same"] >= 34 / SAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mig", "mig_sup", "dcimig", "jemmig"])
def test_half_the_rows_show_the_direction_of_the_bias(name: str) -> None:
    """The value of many rows is nearer to the value moved away from that of half the rows than to the value."""
    found = simulated()[name]
    assert found["half"] < found["value"] < found["limit"]
    moved = 2 * found["value"] - found["half"]
    assert abs(moved - found["limit"]) < abs(found["value"] - found["limit"])


if __name__ == "__main__":
    print("| metric | half | value | many rows | covers the mean of samples | covers many rows |")
    print("|---|---|---|---|---|---|")
    for name, found in simulated().items():
        figures = " | ".join(f"{found[key]:.3f}" for key in ("half", "value", "limit"))
        print(f"| `{name}` | {figures} | {found['same']:.0%} | {found['many']:.0%} |")
