"""Metrics of codes: `score` computes several at once, `METRICS` is the table, each is also a plain function."""

import inspect
import time
import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike
from rich.console import Console

from equipoise.errors import InputError, check_whole, nearest, short
from equipoise.metrics import (
    aggregate,
    dci,
    dci_hist,
    dci_lasso,
    fit,
    infomec,
    information,
    intervention,
    predictor,
    processes,
    ranking,
    robustness,
    unsupervised,
)
from equipoise.metrics.fit import Recon, of_samples, reconstruction
from equipoise.metrics.inputs import Codes, floats, group_codes, matching, matrix, pair, words_as_codes
from equipoise.metrics.interval import Call, evaluations, with_intervals
from equipoise.metrics.result import Metric, Score, ScoreWarning
from equipoise.progress import bar, on

__all__ = ["METRICS", "Metric", "Score", "ScoreWarning", "headline", "score", "select"]

METRICS: dict[str, Metric] = {
    **intervention.METRICS,
    **robustness.METRICS,
    **information.METRICS,
    **predictor.METRICS,
    **dci.METRICS,
    **dci_lasso.METRICS,
    **dci_hist.METRICS,
    **infomec.METRICS,
    **processes.METRICS,
    **ranking.METRICS,
    **unsupervised.METRICS,
    **aggregate.METRICS,
    **fit.METRICS,
}

_EXPLAINED = {  # inputs whose name alone does not explain them
    "sampled": "recon with sampled_sse and sampled_bce",
    "pixels": "images of pixels from 0 to 1",
    "group": "group (the codes of other models of the same images)",
}
_GROUPS = ("default", "all")  # names of groups of metrics
_LONG = 3.0  # seconds, after which a bar shows the progress


def __getattr__(name: str) -> Callable[..., Score]:
    """Return the function of a metric by its name, as in `metrics.mig(codes, factors, bins=20)`."""
    if name in METRICS:
        return METRICS[name].function
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the module, the metrics included."""
    return [*globals(), *METRICS]


def headline() -> list[str]:
    """Return the names of the metrics that reports and comparisons show first."""
    return [name for name, metric in METRICS.items() if metric.is_headline]


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
    discrete_latents: bool = False,
    seed: int = 0,
    interval: bool = True,
    progress: bool = True,
) -> dict[str, Score]:
    """Compute several metrics of codes.

    Any codes of any model can be scored. NumPy arrays, data frames and torch tensors are accepted; all computation is
    on the CPU, in float64 except for the derivatives in the fits of `explicitness`. For 10,000 codes of 10 latents with
    the factors of dSprites, the default selection takes about one second of one core without intervals and six with
    them, the slow metrics 20 seconds and two minutes, boosted trees on raw codes three and a half minutes and twenty.
    It needs 0.05 GB beside the inputs, and 0.35 GB for 100,000 codes.

    Args:
        codes: [N, L], posterior means.
        factors: [N, K] integer labels, floats or words; an array, a tensor or a data frame.
        logvar: [N, L], logarithm of the posterior variance.
        sample: [N, L], one draw from each posterior.
        recon: errors per image {"sse": [N], "bce": [N], "pixels": int}, with further ones for log_px_z and elbo (see
            `fit.reconstruction`), or images and their reconstructions (x, xhat) in [0, 1].
        group: for each further model its codes [N, L'] of the same images, or a tuple (codes, logvar).
        which: "default" is every metric that the inputs allow except slow ones. "all" includes the slow ones, and one
            warning lists the metrics that the inputs do not allow. For a name or names of `METRICS`, also separated by
            commas, a missing input is an error. Names beside "default" add to it. Case does not matter.
        convention: "carbonneau" or "locatello" sets all parameters as in that published code. A metric without the
            convention is left out with a warning, or is an error if it is selected by name. To change one parameter,
            call the plain function: `mig(codes, factors, **METRICS["mig"].conventions["carbonneau"] | {"bins": 20})`.
        discrete_latents: whether the codes take few values, as those of qlae. InfoMEC then counts these values.
        seed: at least 0. The same seed gives the same bits, with any number of threads.
        interval: False leaves out intervals and shuffled baselines, which cost 2 to 21 times the metric. A random
            metric is then its value for `seed`, otherwise the mean over several seeds.
        progress: show a bar on a terminal during long computations.

    Returns:
        A `Score` for each metric by name, in the order of `METRICS`. A single `ScoreWarning` lists what leaves a score
        defined but needs care, such as a factor with one value or constant codes.

    Raises:
        InputError: before any computation, for inputs that are not finite, not numeric, of the wrong shape or missing,
            and for unknown metrics and conventions.

    Example:
        >>> import numpy as np
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(500, 2))
        >>> scores = score(factors + 0.0, factors, which=("mig", "irs"))
        >>> round(scores["mig"].value, 2), round(scores["irs"].value, 2)
        (1.0, 1.0)
    """
    check_whole("seed", seed)
    if seed < 0:
        raise InputError(f"seed = {seed}: expected 0 or more")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", ScoreWarning)
        inputs = _inputs(codes, factors, logvar, sample, recon, group)
        calls = {name: _call(METRICS[name], convention, discrete_latents) for name in select(which, inputs, convention)}
        values = len(calls) + interval * sum(evaluations(call) for call in calls.values())
        with on(Console(stderr=True, quiet=not progress)), _progress(values) as advance:
            scores = {name: _timed(call, inputs, seed, advance) for name, call in calls.items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScoreWarning)  # already issued for all rows
                scores |= _attainable(calls, scores, inputs)
                if interval:
                    scores = with_intervals(calls, scores, inputs, seed, advance)
    messages = dict.fromkeys(str(note.message) for note in notes if issubclass(note.category, ScoreWarning))
    for note in notes:
        if not issubclass(note.category, ScoreWarning):
            warnings.warn_explicit(note.message, note.category, note.filename, note.lineno)
    if messages:
        warnings.warn("; ".join(messages), ScoreWarning, stacklevel=2)
    return scores


def _call(metric: Metric, convention: str | None, discrete_latents: bool) -> Call:
    """Return the metric with the parameters of a convention, and with `discrete_latents` if it has this parameter."""
    params = dict(metric.conventions.get(convention or "", {}))
    if discrete_latents and "discrete_latents" in inspect.signature(metric.function).parameters:
        params["discrete_latents"] = True
    return Call(metric, params)


def _timed(call: Call, inputs: Mapping[str, Any], seed: int, advance: Callable[[], None]) -> Score:
    """Return the score of a metric with its time."""
    start = time.perf_counter()
    result = call(inputs, **({"seed": seed} if call.metric.repeats else {}))
    advance()
    return replace(result, seconds=time.perf_counter() - start, seed=seed)


def _attainable(calls: Mapping[str, Call], scores: Mapping[str, Score], inputs: Mapping[str, Any]) -> dict[str, Score]:
    """Return the scores of metrics with a ceiling, with the score of the factors themselves as codes."""
    bounded = {name: call for name, call in calls.items() if call.metric.has_ceiling}
    perfect = {**inputs, "codes": Codes(inputs["factors"].astype("float64"))} if bounded else {}
    return {name: replace(scores[name], attainable=call(perfect).value) for name, call in bounded.items()}


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Return a function to call after each of `total` values; a bar counts them if they take long."""
    start, count = time.monotonic(), 0
    with ExitStack() as stack:
        update: Callable[[int], None] | None = None

        def advance() -> None:
            nonlocal update, count
            count += 1
            if update is not None:
                update(1)
            elif time.monotonic() - start > _LONG:
                update = stack.enter_context(bar("scoring", total, "values"))
                update(count)

        yield advance


def _inputs(
    codes: ArrayLike,
    factors: ArrayLike | None,
    logvar: ArrayLike | None,
    sample: ArrayLike | None,
    recon: Recon | None,
    group: Sequence[Any] | None,
) -> dict[str, Any]:
    """Return the inputs that are not None, checked, by the names in `Metric.needs`."""
    z = floats(codes, "codes")
    inputs: dict[str, Any] = {"codes": Codes(z)}
    if factors is not None:
        inputs["factors"] = matrix(words_as_codes(factors), "factors")
        pair(inputs["codes"], inputs["factors"])
    if logvar is not None:
        inputs["logvar"] = matching(logvar, z, "logvar")
    if sample is not None:
        inputs["sample"] = matching(sample, z, "sample")
    if recon is not None:
        errors = inputs["recon"] = reconstruction(recon)
        if (images := len(errors["sse"])) != len(z):
            raise InputError(f"recon has {images} images, codes {len(z)} rows: pass the errors of the same images")
        if "bce" in errors:
            inputs["pixels"] = True
        if (sampled := of_samples(errors)) is not None:
            inputs["sampled"] = sampled
    if group is not None:
        inputs["group"] = group_codes(group, len(z))
    return inputs


def words_of(which: str | Sequence[str]) -> list[str]:
    """Return the words of a selection in lower case: names of metrics, default and all. A text may be `[mig, sap]`.

    Raises `InputError` for an unknown name, and where there is none.
    """
    texts = [which] if isinstance(which, str) else list(which) if isinstance(which, Iterable) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f"which is {short(which)}; expected names of metrics, such as mig, or default, or all")
    words = []
    for text in texts:
        names = text[1:-1].replace("'", "").replace('"', "") if text.startswith("[") and text.endswith("]") else text
        words += [name.strip() for name in names.split(",")]
    for name in words:
        if name.casefold() not in (*METRICS, *_GROUPS):
            raise InputError(f"which: no metric named {name!r}; {nearest(name.casefold(), [*METRICS, *_GROUPS])}")
    return [name.casefold() for name in words]


def select(which: str | Sequence[str], inputs: Container[str], convention: str | None = None) -> list[str]:
    """Return the metrics that `score` computes for a selection, from the names of the inputs that exist.

    Metrics that the inputs or the convention do not allow raise `InputError`, cause a warning, or are left out
    silently, see `score`.
    """
    words = words_of(which)
    known = sorted({name for metric in METRICS.values() for name in metric.conventions})
    if convention is not None and convention not in known:
        raise InputError(
            f"convention {convention!r}: expected {' or '.join(known)}; choose one, or leave it out (in Python None)"
        )
    possible, refused = [], []
    for name, metric in METRICS.items():
        if not (name in words or "all" in words or ("default" in words and metric.is_cheap)):
            continue
        lacking = [need for need in (*metric.needs, *metric.also_needs) if need not in inputs]
        unconventional = convention is not None and metric.conventions and convention not in metric.conventions
        if not lacking and not unconventional:
            possible.append(name)
            continue
        missing = " and ".join(_EXPLAINED.get(need, need) for need in lacking)
        reason = f"{name} needs {missing}" if lacking else f"{name} has no convention {convention}"
        if name in words:
            remedy = "pass that input" if lacking else "choose another convention"
            if "logvar" in lacking:
                remedy += ", which quantised codes do not have"
            raise InputError(f"{reason}; {remedy}, or choose other metrics")
        if "all" in words or not lacking:
            refused.append(reason)
    if refused:
        warnings.warn(f"not computed: {', '.join(refused)}", ScoreWarning, stacklevel=3)
    return possible
