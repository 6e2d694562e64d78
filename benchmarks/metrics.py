"""Speed of the metrics: CPU seconds of each, and of the way that published programs compute the same value.

    python benchmarks/metrics.py [--rows N [N ...]] [--rounds N] [--slow] [--out FILE]

Codes of 10 latents, five that follow a factor with noise and five of noise alone, and factors as in dSprites, 10,000
and 100,000 rows of them unless `--rows` says otherwise. On one thread. `other way` is in `published.py`, written as the
published programs are: loops, and one call of a library for each factor and latent. Both sides take turns in one
process, must agree on the value, and a ratio is the median over rounds of CPU times taken one after the other; what
takes minutes is compared once, and at 10,000 rows or fewer. `reference` is the CPU time of the published program itself
on another machine, to judge the other way by. The rows of the 2022 review's code need the library which that calls:
pip install pyitlib.

The second table has every metric with its defaults and without interval: CPU and wall seconds, and the peak of the
memory that NumPy and Python took for it. Metrics outside the default selection share what they can, as in a call of
`score`, and what they share counts for the first of them. Boosted trees are those of scikit-learn on either side, and
take minutes at 10,000 rows, ten times that at 100,000: `--slow` adds those that are not on binned codes. What is left,
errors and the KL, is a line of NumPy.

Last comes what one call of `score` takes: the six measures of the L-VAE paper, and the default selection without and
with intervals.
"""

import argparse
import json
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
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
BOOSTED = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
MOST_SIX, MOST_EACH = 8, 60  # CPU seconds at 10,000 rows, of the six together and of every other metric
ROWS = (10_000, 100_000)
COMPARED_ONCE = 10_000  # rows at most, where the other way takes minutes

Given = dict[str, Any]  # inputs of metrics by name
Row = dict[str, Any]


# --- data -------------------------------------------------------------------------------------------------------------


def inputs(rows: int) -> Given:
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
        name, ours, other: other gives the values of ours, from the inputs by name.
        bar: the ratio that is to be reached at 10,000 rows.
        reference: CPU seconds of the published program at 10,000 and 100,000 rows, where somebody measured.
        tolerance: between the values; of solvers, or of other random draws, where not rounding.
        pyitlib: whether the other way calls that library.
        once: whether the other way takes minutes.
    """

    name: str
    ours: Callable[[Given], Score | list[Score]]
    other: Callable[[Given], float | list[float]]
    bar: float | None = None
    reference: Sequence[float] = ()
    tolerance: float = 1e-8
    pyitlib: bool = False
    once: bool = False


def by(name: str, convention: str, **params: Any) -> Callable[[Given], Score]:
    """One of our metrics with the parameters of a convention; "" for the defaults."""
    settings = {**METRICS[name].conventions.get(convention, {}), **params}
    return lambda given: call(name, given, given["codes"], **settings)


def together(names: Sequence[str], convention: str = "") -> Callable[[Given], list[Score]]:
    """Several of our metrics, which share what they can, as `score` hands it on."""

    def all_of(given: Given) -> list[Score]:
        shared = Codes(given["codes"])
        return [call(name, given, shared, **METRICS[name].conventions.get(convention, {})) for name in names]

    return all_of


def call(name: str, given: Given, codes: Any, **params: Any) -> Score:
    metric = METRICS[name]
    arrays = [codes if need == "codes" else given[need] for need in metric.needs]
    return metric.function(*arrays, *(given.get(use) for use in metric.uses), **params)


def pair(way: Callable[..., Any]) -> Callable[[Given], Any]:
    """A published way that takes codes and factors."""
    return lambda given: way(given["codes"], given["factors"])


REVIEW, LOCATELLO = "carbonneau", "locatello"
LASSO = [f"dci_lasso_{part}" for part in ("disentanglement", "completeness", "informativeness")]
CASES = [
    Case("mig, review", by("mig", REVIEW), pair(published.mig_review), 60, (0.32, 2.58), pyitlib=True),
    Case("mig, Locatello", by("mig", LOCATELLO), pair(published.mig_locatello), 16, (0.082, 0.37)),
    Case("the five of tables, review", together(FIVE, REVIEW), pair(published.five_review), 290, pyitlib=True),
    Case("mig_sup, review", by("mig_sup", REVIEW), pair(published.mig_sup_review), pyitlib=True),
    Case("dcimig, review", by("dcimig", REVIEW), pair(published.dcimig_review), pyitlib=True),
    Case(
        "modularity, review",
        by("modularity", REVIEW),
        pair(published.modularity_review),
        None,
        (0.27, 2.4),
        pyitlib=True,
    ),
    Case("jemmig, review", by("jemmig", REVIEW), pair(published.jemmig_review), None, (0.39, 3.61), pyitlib=True),
    Case("sap, review", by("sap", REVIEW), pair(published.sap_review), 21, (0.0207, 0.12)),
    Case("sap, squared correlation", by("sap", REVIEW), pair(published.sap_locatello), None, (0.0031, 0.024)),
    Case("sap, Locatello", by("sap", LOCATELLO), pair(published.sap_svm_locatello), None, (0.44, 5.77), 1e-3),
    Case("irs, review", by("irs", REVIEW), pair(published.irs_review), 2.7, (0.0182, 0.20)),
    Case("irs, labels", by("irs", ""), pair(published.irs_by_mask), 2.7, (0.0123, 0.12)),
    Case("irs at 0.99, review", by("irs", REVIEW, quantile=0.99), pair(published.irs_99_review), None, (0.0213, 0.22)),
    Case(
        "explicitness, review", by("explicitness", REVIEW), pair(published.explicitness_review), 3.6, (0.44, 4.08), 1e-3
    ),
    Case(
        "explicitness, Locatello",
        by("explicitness", LOCATELLO),
        pair(published.explicitness_locatello),
        None,
        (0.61, 4.92),
        1e-3,
    ),
    Case("factor_vae, review", by("factor_vae", REVIEW), pair(published.factor_vae_review), None, (0.06, 0.13), 0.05),
    Case("beta_vae, review", by("beta_vae", REVIEW), pair(published.beta_vae_review), None, (1.08, 1.79), 0.05),
    Case("z_max, review", by("z_max", REVIEW), pair(published.z_max_review), tolerance=0.1),
    Case("dci_lasso, review", together(LASSO, REVIEW), pair(published.dci_lasso_review), None, (0.29, 2.43), 1e-4),
    Case("infom and infoc", together(("infom", "infoc")), pair(published.infomec_neighbours), None, (1.69,), 1e-2),
    Case("infoe", by("infoe", ""), pair(published.infoe_published), None, (1.13,), 0.02),
    Case("udr", by("udr", ""), lambda given: published.udr_lasso(given["codes"], given["group"]), tolerance=1e-3),
    Case(
        "the three of codes alone",
        together(("mutual_information", "gaussian_tc", "wasserstein")),
        lambda given: published.of_codes_locatello(given["codes"]),
        None,
        (0.14, 0.74),
    ),
    Case(
        "the parts of the KL, Chen",
        together(("index_code_mi", "total_correlation", "dimension_wise_kl")),
        lambda given: published.kl_parts_chen(given["codes"], given["logvar"], given["sample"]),
        once=True,
    ),
    Case(
        "mig_aggregate, Chen",
        by("mig_aggregate", ""),
        lambda given: published.mig_aggregate_chen(*(given[need] for need in METRICS["mig_aggregate"].needs)),
        once=True,
    ),
]


def compare(given: Given, rounds: int) -> list[Row]:
    """A row per case: median CPU seconds of both ways, the median ratio, the bar, and the reference's seconds."""
    rows, size = [], len(given["codes"])
    for case in CASES:
        if case.pyitlib and not find_spec("pyitlib"):
            print(f"{case.name}: not compared, pip install pyitlib", file=sys.stderr)
            continue
        if case.once and size > COMPARED_ONCE:
            continue
        say(case.name)
        ours, other = [], []
        for _ in range(1 if case.once else rounds):
            result, seconds, _ = timed(lambda: case.ours(given))  # noqa: B023
            ours.append(seconds)
            value, seconds, _ = timed(lambda: case.other(given))  # noqa: B023
            other.append(seconds)
            agree(case, result, value)
        rows.append(
            {
                "name": case.name,
                "ours": statistics.median(ours),
                "other": statistics.median(other),
                "ratio": statistics.median(b / a for a, b in zip(ours, other, strict=True)),
                "bar": case.bar if size == 10_000 else None,
                "reference": dict(zip(ROWS, case.reference, strict=False)).get(size),
            }
        )
    say("")
    return rows


def agree(case: Case, result: Score | list[Score], value: float | list[float]) -> None:
    ours = [one.value for one in result] if isinstance(result, list) else result.value
    if not np.allclose(ours, value, rtol=0, atol=case.tolerance):
        raise SystemExit(f"{case.name}: {ours} is not {value}; the two ways do not compute the same")


def say(what: str) -> None:
    """Shows on a terminal what is being timed."""
    if sys.stderr.isatty():
        print(f"\r{what:<40}\r", end="", file=sys.stderr)


def timed(work: Callable[[], Any], least: float = 0.1) -> tuple[Any, float, float]:
    """What the work gives, its CPU and its wall seconds, medians of as many calls, one or more, as fit `least`."""
    cpu: list[float] = []
    wall: list[float] = []
    while not cpu or sum(wall) < least:
        starts = time.process_time(), time.perf_counter()
        result = work()
        cpu.append(time.process_time() - starts[0])
        wall.append(time.perf_counter() - starts[1])
    return result, statistics.median(cpu), statistics.median(wall)


# --- every metric -----------------------------------------------------------------------------------------------------


def each(given: Given, slow: bool) -> list[Row]:
    """A row per metric: CPU and wall seconds with its defaults, peak memory in MB, and the value."""
    rows = []
    shared, traced = Codes(given["codes"]), Codes(given["codes"])
    for name, metric in METRICS.items():
        if name in BOOSTED and not slow:
            continue
        say(name)
        codes, again = (given["codes"], given["codes"]) if metric.cheap else (shared, traced)
        least = 0.1 if metric.cheap else 0.0  # a second call would find what the first made
        result, cpu, wall = timed(lambda: call(name, given, codes), least)  # noqa: B023
        tracemalloc.start()
        call(name, given, again)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        rows.append({"name": name, "cpu": cpu, "wall": wall, "peak_mb": peak, "value": result.value})
    say("")
    return rows


def in_one_call(given: Given) -> Row:
    """CPU seconds of one call of `score` for the six, for the default selection, and with intervals; MB of the last."""
    recon = given["recon"] | {f"sampled_{name}": given["recon"][name] for name in ("sse", "bce")}
    arrays = {name: given[name] for name in ("codes", "factors", "logvar", "sample", "group")} | {"recon": recon}

    def taken(**params: Any) -> float:
        start = time.process_time()
        score(**arrays, **params)
        return time.process_time() - start

    found = {
        "six": taken(which=SIX, convention=REVIEW, interval=False),
        "default": taken(interval=False),
        "with_intervals": taken(),
    }
    tracemalloc.start()
    taken(interval=False)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return found | {"peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds of the metrics, ours and the published way")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="codes; each in turn")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison")
    parser.add_argument("--slow", action="store_true", help="boosted trees on raw codes too: minutes at 10,000")
    parser.add_argument("--out", type=Path, default=Path("metrics-speed.json"), help="where the JSON goes")
    asked = parser.parse_args()
    about = {
        "processor": speed.processor(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "rounds": asked.rounds,
    }
    print(f"{about['processor']}, 10 latents, one thread")
    found: list[Row] = []
    for size in asked.rows:
        given = inputs(size)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part = {"rows": size, "cases": compare(given, asked.rounds), "metrics": each(given, asked.slow)}
            found.append(part | in_one_call(given))
        asked.out.write_text(json.dumps(about | {"sizes": found}, indent=1) + "\n", encoding="utf-8")
        print(text(found[-1]))
    print(f"wrote {asked.out}")


def text(found: Row) -> str:
    lines = [
        f"\n{found['rows']:,} rows",
        f"{'':<28}{'ours, s':>10}{'other way':>11}{'ratio':>8}{'bar':>6}{'reference':>11}",
    ]
    for row in found["cases"]:
        bar = "-" if row["bar"] is None else f"{row['bar']:g}"
        known = "-" if row["reference"] is None else f"{row['reference']:g}"
        lines.append(
            f"{row['name']:<28}{row['ours']:>10.4f}{row['other']:>11.4f}{row['ratio']:>8.1f}{bar:>6}{known:>11}"
        )
    lines += ["", f"{'':<28}{'CPU s':>10}{'wall s':>11}{'MB':>8}{'value':>10}"]
    for row in found["metrics"]:
        lines.append(
            f"{row['name']:<28}{row['cpu']:>10.4f}{row['wall']:>11.4f}{row['peak_mb']:>8.1f}{row['value']:>10.4f}"
        )
    longest = max(found["metrics"], key=lambda row: float(row["cpu"]))
    return "\n".join(
        [
            *lines,
            "",
            f"one call of score: the six measures of the L-VAE paper {found['six']:.2f} CPU s, the default selection "
            f"{found['default']:.2f} CPU s and {found['peak_mb']:.0f} MB, with intervals {found['with_intervals']:.1f} "
            "CPU s",
            f"the longest metric, {longest['name']}, {longest['cpu']:.2f} CPU s (bars at 10,000 rows, without "
            f"intervals: {MOST_SIX} for the six, {MOST_EACH} for each other but boosted trees)",
        ]
    )


if __name__ == "__main__":
    main()
