"""Speed of the metrics: CPU seconds of each, and of the way that published programs compute the same value.

    python benchmarks/metrics.py [--rows N] [--rounds N] [--slow] [--out FILE]

Codes of 10 latents, five that follow a factor with noise and five of noise alone, and factors as in dSprites. Without
intervals and on one thread. `other way` is in `published.py`, written as the published programs are: loops, and one
call of a library for each factor and latent. Both sides take turns in one process, must agree on the value, and a ratio
is the median over rounds of CPU times taken one after the other. `reference` is the CPU time of the published program
itself on another machine, at 10,000 and 100,000 rows, to judge the other way by. The rows of the 2022 review's code
need the library which that calls: pip install pyitlib.

The second table has every metric by itself with its defaults: CPU and wall seconds, and the peak of the memory that
NumPy and Python took for it. `--slow` adds the metrics outside the default selection.
"""

import argparse
import json
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import published
from equipoise.metrics import METRICS, Score, score
from equipoise.metrics.inputs import Codes
from equipoise.training import speed

SIZES = (3, 6, 40, 32, 32)
SIX = ("beta_vae", "factor_vae", "mig", "sap", "explicitness", "irs")  # the measures of the L-VAE paper
FIVE = ("mig", "mig_sup", "dcimig", "jemmig", "modularity")  # all from the same tables
MOST_SIX, MOST_EACH = 8, 60  # CPU seconds at 10,000 rows, of the six together and of every other metric

Array = Any  # of numpy
Row = dict[str, Any]


# --- data -------------------------------------------------------------------------------------------------------------


def inputs(rows: int) -> dict[str, Any]:
    """All that a metric may need, by the names of `Metric.needs`."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(rows, len(SIZES)))
    live = factors / (np.array(SIZES) - 1) + 0.15 * rng.standard_normal(factors.shape)
    codes = np.hstack([live, rng.standard_normal(live.shape)])
    logvar = np.tile(np.where(np.arange(codes.shape[1]) < len(SIZES), -4.0, -0.5), (rows, 1))
    errors = {"sse": rng.random(rows), "bce": rng.random(rows), "pixels": 4096}
    others = [codes[:, rng.permutation(codes.shape[1])] + 0.1 * rng.standard_normal(codes.shape) for _ in range(4)]
    return {
        "codes": codes,
        "factors": factors,
        "logvar": logvar,
        "sample": codes + np.exp(0.5 * logvar) * rng.standard_normal(codes.shape),
        "recon": errors,
        "sampled": errors,
        "group": [(other, logvar) for other in others],
    }


# --- comparisons ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Two ways to one value.

    Attributes:
        name, ours, other: other gives the values of ours.
        bar: the ratio that is to be reached.
        reference: CPU seconds of the published program at 10,000 and 100,000 rows; None where nobody measured.
        tolerance: between the values; of solvers, or of other random draws, where not rounding.
        pyitlib: whether the other way calls that library.
    """

    name: str
    ours: Callable[[Array, Array], Score | list[Score]]
    other: Callable[[Array, Array], float | list[float]]
    bar: float | None = None
    reference: tuple[float, float] | None = None
    tolerance: float = 1e-8
    pyitlib: bool = False


def by(name: str, convention: str, **params: Any) -> Callable[[Array, Array], Score]:
    settings = {**METRICS[name].conventions[convention], **params}
    return lambda codes, factors: METRICS[name].function(codes, factors, **settings)


def five(codes: Array, factors: Array) -> list[Score]:
    shared = Codes(codes)  # as `score` hands them on, so that the tables are counted once
    return [by(name, "carbonneau")(shared, factors) for name in FIVE]


CASES = [
    Case("mig, review", by("mig", "carbonneau"), published.mig_review, 60, (0.32, 2.58), pyitlib=True),
    Case("mig, Locatello", by("mig", "locatello"), published.mig_locatello, 16, (0.082, 0.37)),
    Case("the five of tables, review", five, published.five_review, 290, pyitlib=True),
    Case(
        "modularity, review",
        by("modularity", "carbonneau"),
        published.modularity_review,
        None,
        (0.27, 2.40),
        pyitlib=True,
    ),
    Case("jemmig, review", by("jemmig", "carbonneau"), published.jemmig_review, None, (0.39, 3.61), pyitlib=True),
    Case("sap, review", by("sap", "carbonneau"), published.sap_review, 21, (0.0207, 0.12)),
    Case("sap, Locatello", by("sap", "carbonneau"), published.sap_locatello, None, (0.0031, 0.0240)),
    Case(
        "irs, review",
        by("irs", "carbonneau"),
        lambda codes, factors: published.irs_by_mask(codes, published.unit_bins(factors), 1.0),
        2.7,
        (0.0182, 0.20),
    ),
    Case(
        "irs, labels",
        lambda codes, factors: METRICS["irs"].function(codes, factors),
        lambda codes, factors: published.irs_by_mask(codes, factors, 1.0),
        2.7,
        (0.0123, 0.12),
    ),
    Case(
        "irs at 0.99, review",
        by("irs", "carbonneau", quantile=0.99),
        lambda codes, factors: published.irs_by_mask(codes, published.unit_bins(factors), 0.99),
        None,
        (0.0213, 0.22),
    ),
    Case(
        "explicitness, review", by("explicitness", "carbonneau"), published.explicitness_review, 3.6, (0.44, 4.08), 1e-3
    ),
    Case("factor_vae, review", by("factor_vae", "carbonneau"), published.factor_vae_review, None, (0.06, 0.13), 0.05),
    Case("beta_vae, review", by("beta_vae", "carbonneau"), published.beta_vae_review, None, (1.08, 1.79), 0.05),
]


def compare(given: dict[str, Any], rounds: int) -> list[Row]:
    """A row per case: median CPU seconds of both ways, the median ratio, the bar, and the reference's seconds."""
    rows = []
    for case in CASES:
        if case.pyitlib and not find_spec("pyitlib"):
            print(f"{case.name}: not compared, pip install pyitlib", file=sys.stderr)
            continue
        print(f"\r{case.name:<40}", end="", file=sys.stderr)
        ours, other = [], []
        for _ in range(rounds):
            result, seconds, _ = timed(lambda: case.ours(given["codes"], given["factors"]))  # noqa: B023
            ours.append(seconds)
            value, seconds, _ = timed(lambda: case.other(given["codes"], given["factors"]))  # noqa: B023
            other.append(seconds)
            agree(case, result, value)
        rows.append(
            {
                "name": case.name,
                "ours": statistics.median(ours),
                "other": statistics.median(other),
                "ratio": statistics.median(b / a for a, b in zip(ours, other, strict=True)),
                "bar": case.bar,
                "reference": case.reference,
            }
        )
    print("\r" + " " * 40, end="\r", file=sys.stderr)
    return rows


def agree(case: Case, result: Score | list[Score], value: float | list[float]) -> None:
    ours = [one.value for one in result] if isinstance(result, list) else result.value
    if not np.allclose(ours, value, rtol=0, atol=case.tolerance):
        raise SystemExit(f"{case.name}: {ours} is not {value}; the two ways do not compute the same")


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What the work gives, its CPU seconds and its wall seconds, medians of the calls that fit a tenth of a second."""
    cpu: list[float] = []
    wall: list[float] = []
    while sum(wall) < 0.1:
        starts = time.process_time(), time.perf_counter()
        result = work()
        cpu.append(time.process_time() - starts[0])
        wall.append(time.perf_counter() - starts[1])
    return result, statistics.median(cpu), statistics.median(wall)


# --- every metric -----------------------------------------------------------------------------------------------------


def each(given: dict[str, Any], slow: bool) -> list[Row]:
    """A row per metric: CPU and wall seconds with its defaults, peak memory in MB, and the value."""
    rows = []
    for name, metric in METRICS.items():
        if not (metric.cheap or slow):
            continue
        print(f"\r{name:<40}", end="", file=sys.stderr)
        arrays = [given[need] for need in metric.needs] + [given.get(name) for name in metric.uses]
        result, cpu, wall = timed(lambda: metric.function(*arrays))  # noqa: B023
        tracemalloc.start()
        metric.function(*arrays)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        rows.append({"name": name, "cpu": cpu, "wall": wall, "peak_mb": peak, "value": result.value})
    print("\r" + " " * 40, end="\r", file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds of the metrics, ours and the published way")
    parser.add_argument("--rows", type=int, default=10_000, help="codes")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison")
    parser.add_argument("--slow", action="store_true", help="also the metrics outside the default selection")
    parser.add_argument("--out", type=Path, default=Path("metrics-speed.json"), help="where the JSON goes")
    asked = parser.parse_args()
    given = inputs(asked.rows)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = compare(given, asked.rounds)
        metrics = each(given, asked.slow)
        arrays = given["codes"], given["factors"]
        six = timed(lambda: score(*arrays, which=SIX, convention="carbonneau", interval=False))[1]
    about = {
        "processor": speed.processor(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "rows": asked.rows,
        "rounds": asked.rounds,
    }
    found = about | {"cases": cases, "metrics": metrics, "six": six}
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{about['processor']}, {asked.rows:,} rows of 10 latents, one thread\n{text(cases, metrics)}")
    longest = max(metrics, key=lambda row: float(row["cpu"]))
    print(
        f"the six measures of the L-VAE paper together {six:.2f} CPU s, the longest metric, {longest['name']}, "
        f"{longest['cpu']:.2f} CPU s (bars at 10,000 rows: {MOST_SIX} and {MOST_EACH})"
    )
    print(f"wrote {asked.out}")


def text(cases: list[Row], metrics: list[Row]) -> str:
    lines = [f"{'':<28}{'ours, s':>10}{'other way':>11}{'ratio':>8}{'bar':>6}  reference at 10k, 100k"]
    for row in cases:
        bar = f"{row['bar']:g}" if row["bar"] else "-"
        known = "{:g}, {:g}".format(*row["reference"]) if row["reference"] else "-"
        lines.append(f"{row['name']:<28}{row['ours']:>10.4f}{row['other']:>11.4f}{row['ratio']:>8.1f}{bar:>6}  {known}")
    lines += ["", f"{'':<28}{'CPU s':>10}{'wall s':>11}{'MB':>8}{'value':>10}"]
    for row in metrics:
        lines.append(
            f"{row['name']:<28}{row['cpu']:>10.4f}{row['wall']:>11.4f}{row['peak_mb']:>8.1f}{row['value']:>10.4f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
