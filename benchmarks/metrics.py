"""Speed of the metrics: CPU seconds of each, compared with the algorithm of published programs for the same value.

    python benchmarks/metrics.py [--rows N [N ...]] [--rounds N] [--slow] [--out FILE]

The data are codes of 10 latents, five that follow a factor with noise and five of noise, and factors as in dSprites,
with 10,000 and 100,000 rows by default, on one thread. `other way` is the code in `published.py`, written like the
published programs: loops, and one call of a library for each factor and latent. Both sides take turns in one process
and must agree on the value. A ratio is the median over rounds of CPU times measured in the same round. Comparisons that
take minutes run once, with at most 10,000 rows. `reference` is the CPU time of the published program itself on another
machine. The rows of the 2022 review need its library: pip install pyitlib.

The second table has every metric with its defaults, without interval: CPU and wall seconds, and the peak memory of
NumPy and Python. Metrics outside the default selection share intermediate results, as in a call of `score`; the first
of them is charged for these. Boosted trees are those of scikit-learn on both sides. They take minutes at 10,000 rows
and ten times that at 100,000; `--slow` includes those on raw codes. Errors and the KL are omitted: each is one line of
NumPy.

The last part is the time of one call of `score`: the six measures of the L-VAE paper, and the default selection without
and with intervals.
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
SIX = ("beta_vae", "factor_vae", "mig", "sap", "explicitness", "irs")  # measures of the L-VAE paper
FIVE = ("mig", "mig_sup", "dcimig", "jemmig", "modularity")  # computed from the same tables
BOOSTED = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
MOST_SIX, MOST_EACH = 8, 60  # CPU seconds at 10,000 rows, of the six together and of every other metric
ROWS = (10_000, 100_000)
COMPARED_ONCE = 10_000  # rows at most, where the other way takes minutes

Inputs = dict[str, Any]  # inputs of metrics by name
Row = dict[str, Any]


# --- data -------------------------------------------------------------------------------------------------------------


def inputs(rows: int) -> Inputs:
    """Return the inputs of all metrics, by the names in `Metric.needs`."""
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
    """Two algorithms for the same value.

    Attributes:
        name, ours, other: other gives the values of ours, from the inputs by name.
        bar: the ratio that is to be reached at 10,000 rows.
        reference: CPU seconds of the published program at 10,000 and 100,000 rows, if it was measured.
        tolerance: between the values; of solvers, or of other random draws, where not rounding.
        pyitlib: whether the other way calls that library.
        once: whether the other way takes minutes.
    """

    name: str
    ours: Callable[[Inputs], Score | list[Score]]
    other: Callable[[Inputs], float | list[float]]
    bar: float | None = None
    reference: Sequence[float] = ()
    tolerance: float = 1e-8
    pyitlib: bool = False
    once: bool = False


def by(name: str, convention: str, **params: Any) -> Callable[[Inputs], Score]:
    """Return a metric of Equipoise with the parameters of a convention; "" for the defaults."""
    settings = {**METRICS[name].conventions.get(convention, {}), **params}
    return lambda data: call(name, data, data["codes"], **settings)


def together(names: Sequence[str], convention: str = "", **params: Any) -> Callable[[Inputs], list[Score]]:
    """Return several metrics that share intermediate results, as in `score`, with the parameters of a convention."""

    def all_of(data: Inputs) -> list[Score]:
        shared = Codes(data["codes"])
        settings = [{**METRICS[name].conventions.get(convention, {}), **params} for name in names]
        return [call(name, data, shared, **each) for name, each in zip(names, settings, strict=True)]

    return all_of


def call(name: str, data: Inputs, codes: Any, **params: Any) -> Score:
    metric = METRICS[name]
    arrays = [codes if need == "codes" else data[need] for need in metric.needs]
    return metric.function(*arrays, *(data.get(use) for use in metric.uses), **params)


def pair(way: Callable[..., Any]) -> Callable[[Inputs], Any]:
    """Return a published algorithm that takes codes and factors."""
    return lambda data: way(data["codes"], data["factors"])


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
        "explicitness, review",
        by("explicitness", REVIEW),
        pair(published.explicitness_review),
        None,
        (0.44, 4.08),
        1e-3,
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
    Case(
        "infom and infoc",
        together(("infom", "infoc"), level=1),
        pair(published.infomec_neighbours),
        None,
        (1.69,),
        1e-2,
    ),
    Case("infoe", by("infoe", ""), pair(published.infoe_published), None, (1.13,), 0.02),
    Case("udr", by("udr", ""), lambda data: published.udr_lasso(data["codes"], data["group"]), tolerance=1e-3),
    Case(
        "the three of codes alone",
        together(("mutual_information", "gaussian_tc", "wasserstein")),
        lambda data: published.of_codes_locatello(data["codes"]),
        None,
        (0.14, 0.74),
    ),
    Case(
        "the parts of the KL, Chen",
        together(("index_code_mi", "total_correlation", "dimension_wise_kl")),
        lambda data: published.kl_parts_chen(data["codes"], data["logvar"], data["sample"]),
        once=True,
    ),
    Case(
        "mig_aggregate, Chen",
        by("mig_aggregate", ""),
        lambda data: published.mig_aggregate_chen(*(data[need] for need in METRICS["mig_aggregate"].needs)),
        once=True,
    ),
]


def compare(data: Inputs, rounds: int) -> list[Row]:
    """Return a row per case: median CPU seconds of both sides, median ratio, target and time of the reference."""
    rows, size = [], len(data["codes"])
    for case in CASES:
        if case.pyitlib and not find_spec("pyitlib"):
            print(f"{case.name}: not compared, pip install pyitlib", file=sys.stderr)
            continue
        if case.once and size > COMPARED_ONCE:
            continue
        say(case.name)
        ours, other = [], []
        for _ in range(1 if case.once else rounds):
            result, seconds, _ = timed(lambda: case.ours(data))  # noqa: B023
            ours.append(seconds)
            value, seconds, _ = timed(lambda: case.other(data))  # noqa: B023
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
    """Print the name of the current measurement to a terminal."""
    if sys.stderr.isatty():
        print(f"\r{what:<40}\r", end="", file=sys.stderr)


def timed(work: Callable[[], Any], least: float = 0.1) -> tuple[Any, float, float]:
    """Return the result of `work` and its CPU and wall seconds, medians over calls for at least `least` seconds."""
    cpu: list[float] = []
    wall: list[float] = []
    while not cpu or sum(wall) < least:
        starts = time.process_time(), time.perf_counter()
        result = work()
        cpu.append(time.process_time() - starts[0])
        wall.append(time.perf_counter() - starts[1])
    return result, statistics.median(cpu), statistics.median(wall)


# --- every metric -----------------------------------------------------------------------------------------------------


def each(data: Inputs, slow: bool) -> list[Row]:
    """Return a row per metric: CPU and wall seconds with its defaults, peak memory in MB, and the value."""
    rows = []
    shared, traced = Codes(data["codes"]), Codes(data["codes"])
    for name, metric in METRICS.items():
        if name in BOOSTED and not slow:
            continue
        say(name)
        codes, again = (data["codes"], data["codes"]) if metric.is_cheap else (shared, traced)
        least = 0.1 if metric.is_cheap else 0.0  # a second call would use the cache of the first
        result, cpu, wall = timed(lambda: call(name, data, codes), least)  # noqa: B023
        tracemalloc.start()
        call(name, data, again)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        rows.append({"name": name, "cpu": cpu, "wall": wall, "peak_mb": peak, "value": result.value})
    say("")
    return rows


def in_one_call(data: Inputs) -> Row:
    """Return the CPU seconds of `score` for the six, for the default selection, and with intervals; MB of the last."""
    recon = data["recon"] | {f"sampled_{name}": data["recon"][name] for name in ("sse", "bce")}
    arrays = {name: data[name] for name in ("codes", "factors", "logvar", "sample", "group")} | {"recon": recon}

    def taken(**params: Any) -> float:
        start = time.process_time()
        score(**arrays, **params)
        return time.process_time() - start

    results = {
        "six": taken(which=SIX, convention=REVIEW, interval=False),
        "default": taken(interval=False),
        "with_intervals": taken(),
    }
    tracemalloc.start()
    taken(interval=False)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return results | {"peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds of the metrics, ours and the published way")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="numbers of codes")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison")
    parser.add_argument("--slow", action="store_true", help="also boosted trees on raw codes: minutes at 10,000")
    parser.add_argument("--out", type=Path, default=Path("metrics-speed.json"), help="JSON file to write")
    args = parser.parse_args()
    about = {
        "processor": speed.processor(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "rounds": args.rounds,
    }
    print(f"{about['processor']}, 10 latents, one thread")
    results: list[Row] = []
    for size in args.rows:
        data = inputs(size)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part = {"rows": size, "cases": compare(data, args.rounds), "metrics": each(data, args.slow)}
            results.append(part | in_one_call(data))
        args.out.write_text(json.dumps(about | {"sizes": results}, indent=1) + "\n", encoding="utf-8")
        print(text(results[-1]))
    print(f"wrote {args.out}")


def text(size: Row) -> str:
    lines = [
        f"\n{size['rows']:,} rows",
        f"{'':<28}{'ours, s':>10}{'other way':>11}{'ratio':>8}{'bar':>6}{'reference':>11}",
    ]
    for row in size["cases"]:
        bar = "-" if row["bar"] is None else f"{row['bar']:g}"
        known = "-" if row["reference"] is None else f"{row['reference']:g}"
        lines.append(
            f"{row['name']:<28}{row['ours']:>10.4f}{row['other']:>11.4f}{row['ratio']:>8.1f}{bar:>6}{known:>11}"
        )
    lines += ["", f"{'':<28}{'CPU s':>10}{'wall s':>11}{'MB':>8}{'value':>10}"]
    for row in size["metrics"]:
        lines.append(
            f"{row['name']:<28}{row['cpu']:>10.4f}{row['wall']:>11.4f}{row['peak_mb']:>8.1f}{row['value']:>10.4f}"
        )
    longest = max(size["metrics"], key=lambda row: float(row["cpu"]))
    return "\n".join(
        [
            *lines,
            "",
            f"one call of score: the six measures of the L-VAE paper {size['six']:.2f} CPU s, the default selection "
            f"{size['default']:.2f} CPU s and {size['peak_mb']:.0f} MB, with intervals {size['with_intervals']:.1f} "
            "CPU s",
            f"the longest metric, {longest['name']}, {longest['cpu']:.2f} CPU s (bars at 10,000 rows, without "
            f"intervals: {MOST_SIX} for the six, {MOST_EACH} for each other but boosted trees)",
        ]
    )


if __name__ == "__main__":
    main()
