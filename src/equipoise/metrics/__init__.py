"""Metrics of codes: `score` for a selection of them at once, `METRICS` for the table, a plain function for each."""

import time
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike
from rich.console import Console

from equipoise.errors import InputError, nearest
from equipoise.metrics import aggregate, dci, fit, infomec, information, intervention, predictor, ranking, unsupervised
from equipoise.metrics.fit import Recon, of_samples, reconstruction
from equipoise.metrics.inputs import Codes, group_codes, matching, matrix, pair
from equipoise.metrics.interval import Call, evaluations, with_intervals
from equipoise.metrics.result import Metric, Score, ScoreWarning
from equipoise.progress import bar, on

__all__ = ["METRICS", "Metric", "Score", "ScoreWarning", "score", "select"]

METRICS: dict[str, Metric] = {
    **intervention.METRICS,
    **information.METRICS,
    **predictor.METRICS,
    **dci.METRICS,
    **infomec.METRICS,
    **ranking.METRICS,
    **unsupervised.METRICS,
    **aggregate.METRICS,
    **fit.METRICS,
}

_SAID = {  # of an input that its name alone does not explain
    "sampled": "recon with sampled_sse and sampled_bce",
    "group": "group (the codes of other models of the same images)",
}
_LONG = 3.0  # seconds of scoring, after which a bar shows how far it is


def __getattr__(name: str) -> Callable[..., Score]:
    """The plain function of a metric by its name, as `METRICS` has it: `metrics.mig(codes, factors, bins=20)`."""
    if name in METRICS:
        return METRICS[name].function
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *METRICS]


def score(
    codes: ArrayLike,
    factors: ArrayLike | None = None,
    *,
    logvar: ArrayLike | None = None,
    sample: ArrayLike | None = None,
    recon: Recon | None = None,
    group: Sequence[Any] | None = None,
    which: str | Sequence[str] = "default",
    convention: str | None = None,
    seed: int = 0,
    interval: bool = True,
    progress: bool = True,
) -> dict[str, Score]:
    """Scores of the codes by metric name, in the order of `METRICS`.

    codes: [N, L], posterior means; factors: integer labels or floats [N, K]; logvar: [N, L], logarithm of the
    posterior variance; sample: [N, L], one draw from each posterior; recon: errors per image {"sse": [N], "bce": [N],
    "pixels": int}, with more of them for log_px_z and elbo (see `fit.reconstruction`), or images and their
    reconstructions (x, xhat) in [0, 1]; group: codes [N, L'], or a tuple (codes, logvar), of each further model on the
    same rows. NumPy arrays, data frames and torch tensors are taken, all computing is in float64 on the CPU.

    which: "default", every metric that the inputs allow, but the slow ones; "all", with the slow ones, and one
    warning lists those that the inputs do not allow; or a name or names of `METRICS`, for which a missing input is an
    InputError. convention: "carbonneau" or "locatello" sets all parameters as that published code has them; a metric
    that lacks the convention is left out with a warning, or an InputError if asked for by name. A single parameter is
    changed in the plain function: `mig(codes, factors, **METRICS["mig"].conventions["carbonneau"] | {"bins": 20})`.

    seed: the same seed gives the same bits, with any number of threads. interval: False leaves out the intervals and
    the shuffled baselines, which cost 2 to 21 times the metric; a random metric is then its value under `seed` alone,
    otherwise the mean over several seeds. progress: whether a bar shows on a terminal how far a long scoring is.

    For 10,000 codes of 10 latents with the factors of dSprites, the default selection takes about a second of one
    core without intervals and ten with them, the slow metrics 20 seconds and two minutes, boosted trees on raw codes
    three and a half minutes and twenty. It needs 0.05 GB beside the inputs, for 100,000 codes 0.35.

    What leaves a score defined but needs care (a factor with one value, constant codes) is said in one ScoreWarning.
    Raises InputError for anything not finite, not numeric, or of the wrong shape, before any work.
    """
    if seed < 0:
        raise InputError(f"seed = {seed}: expected 0 or more")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ScoreWarning)
        inputs = _inputs(codes, factors, logvar, sample, recon, group)
        calls = {name: _call(METRICS[name], convention) for name in select(which, inputs, convention)}
        values = len(calls) + interval * sum(evaluations(call) for call in calls.values())
        with on(Console(stderr=True, quiet=not progress)), _counted(values) as done:
            scores = {name: _timed(call, inputs, seed, done) for name, call in calls.items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScoreWarning)  # said once of the rows themselves
                scores |= _attainable(calls, scores, inputs)
                if interval:
                    scores = with_intervals(calls, scores, inputs, seed, done)
    notes = dict.fromkeys(str(item.message) for item in caught if issubclass(item.category, ScoreWarning))
    for item in caught:
        if not issubclass(item.category, ScoreWarning):
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    if notes:
        warnings.warn("; ".join(notes), ScoreWarning, stacklevel=2)
    return scores


def _call(metric: Metric, convention: str | None) -> Call:
    return Call(metric, metric.conventions[convention] if convention and metric.conventions else {})


def _timed(call: Call, inputs: Mapping[str, Any], seed: int, done: Callable[[], None]) -> Score:
    start = time.perf_counter()
    result = call(inputs, **({"seed": seed} if call.metric.repeats else {}))
    done()
    return replace(result, seconds=time.perf_counter() - start, seed=seed)


def _attainable(calls: Mapping[str, Call], scores: Mapping[str, Score], inputs: Mapping[str, Any]) -> dict[str, Score]:
    """The scores that a perfect code can stay below, with what the factors themselves score as codes."""
    bounded = {name: call for name, call in calls.items() if call.metric.attains}
    perfect = {**inputs, "codes": Codes(inputs["factors"].astype("float64"))} if bounded else {}
    return {name: replace(scores[name], attainable=call(perfect).value) for name, call in bounded.items()}


@contextmanager
def _counted(total: int) -> Iterator[Callable[[], None]]:
    """A function to call after each of `total` values; once they take long a bar counts them."""
    start, count = time.monotonic(), 0
    with ExitStack() as stack:
        advance: Callable[[int], None] | None = None

        def done() -> None:
            nonlocal advance, count
            count += 1
            if advance is not None:
                advance(1)
            elif time.monotonic() - start > _LONG:
                advance = stack.enter_context(bar("scoring", total, "values"))
                advance(count)

        yield done


def _inputs(
    codes: ArrayLike,
    factors: ArrayLike | None,
    logvar: ArrayLike | None,
    sample: ArrayLike | None,
    recon: Recon | None,
    group: Sequence[Any] | None,
) -> dict[str, Any]:
    """The inputs that were given, checked, by the names that `Metric.needs` uses."""
    z = matrix(codes, "codes").astype("float64", copy=False)
    inputs: dict[str, Any] = {"codes": Codes(z)}
    if factors is not None:
        inputs["factors"] = matrix(factors, "factors")
        pair(inputs["codes"], inputs["factors"])
    if logvar is not None:
        inputs["logvar"] = matching(logvar, z, "logvar")
    if sample is not None:
        inputs["sample"] = matching(sample, z, "sample")
    if recon is not None:
        inputs["recon"] = reconstruction(recon)
        if len(inputs["recon"]["sse"]) != len(z):
            raise InputError(
                f"recon has {len(inputs['recon']['sse'])} images, codes {len(z)} rows: "
                "pass the errors of the same images"
            )
        sampled = of_samples(inputs["recon"])
        if sampled is not None:
            inputs["sampled"] = sampled
    if group is not None:
        inputs["group"] = group_codes(group, len(z))
    return inputs


def _names(which: str | Sequence[str]) -> list[str]:
    if which == "all" or which == "default":
        return [name for name, metric in METRICS.items() if metric.cheap or which == "all"]
    asked = [which] if isinstance(which, str) else list(which)
    for name in asked:
        if name not in METRICS:
            raise InputError(f"which: no metric named {name!r}; {nearest(name, METRICS)}")
    return [name for name in METRICS if name in asked]


def select(which: str | Sequence[str], inputs: Container[str], convention: str | None = None) -> list[str]:
    """The metrics that `score` would compute, from the names of the inputs there are, as `Metric.needs` has them.

    What the inputs or the convention do not allow raises InputError, is warned of, or passes, as `score` says.
    """
    names = _names(which)
    known = sorted({name for metric in METRICS.values() for name in metric.conventions})
    if convention is not None and convention not in known:
        raise InputError(f"convention {convention!r}: expected {' or '.join(known)}, or None for the defaults")
    possible, refused = [], []
    for name in names:
        metric = METRICS[name]
        lacking = [need for need in metric.needs if need not in inputs]
        unconventional = convention is not None and metric.conventions and convention not in metric.conventions
        if not lacking and not unconventional:
            possible.append(name)
            continue
        wanted = " and ".join(_SAID.get(need, need) for need in lacking)
        reason = f"{name} needs {wanted}" if lacking else f"{name} has no convention {convention}"
        if which not in ("default", "all"):
            mend = "give that, or choose other metrics" if lacking else "choose other metrics or another convention"
            raise InputError(f"{reason}; {mend}")
        if which == "all" or not lacking:
            refused.append(reason)
    if refused:
        warnings.warn(f"not computed: {', '.join(refused)}", ScoreWarning, stacklevel=3)
    return possible
