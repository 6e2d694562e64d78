"""Small inputs for every metric, and calls of it that take no longer than they must."""

import inspect
from typing import Any

import numpy as np

from equipoise.metrics import METRICS, Score

SIZES = (3, 4, 5)
BOOSTED = [name for name in METRICS if name.startswith("dci_") and not name.startswith("dci_lasso")]
SUPERVISED = [name for name, metric in METRICS.items() if "factors" in metric.needs]
FIT = [name for name, metric in METRICS.items() if "codes" not in metric.needs]  # of the model's pictures alone
FEW: dict[str, dict[str, Any]] = {"beta_vae": {"batch": 32, "train": 1000, "evaluate": 500}}
FEW |= {name: {"stages": 5} for name in BOOSTED}

Given = dict[str, Any]


def toy(size: int = 600) -> Given:
    """All inputs by name: codes [N, 5] that mix the factors [N, 3], with noise, and what goes with them."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(size, 3))
    codes = factors / (np.array(SIZES) - 1) @ rng.standard_normal((3, 5))
    codes += 0.2 * rng.standard_normal(codes.shape)
    logvar = rng.uniform(-4, -2, codes.shape)
    sample = codes + np.exp(0.5 * logvar) * rng.standard_normal(codes.shape)
    errors = {"sse": rng.random(size), "bce": rng.random(size) + 5, "pixels": 12}
    group = [(codes[:, ::-1] + 0.1 * rng.standard_normal(codes.shape), logvar[:, ::-1]) for _ in range(2)]
    given = {"codes": codes, "factors": factors, "logvar": logvar, "sample": sample, "group": group}
    return given | {"recon": errors, "sampled": errors}


def rows(given: Given, order: Any) -> Given:
    """The same inputs of other rows."""
    errors = {key: item if key == "pixels" else item[order] for key, item in given["recon"].items()}
    arrays = {key: given[key][order] for key in ("codes", "factors", "logvar", "sample")}
    group = [(codes[order], logvar[order]) for codes, logvar in given["group"]]
    return {**arrays, "group": group, "recon": errors, "sampled": errors}


def perfect(size: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Factors as codes, and the factors."""
    factors = np.random.default_rng(1).integers(SIZES, size=(size, 3))
    return factors.astype(float), factors


def evaluate(name: str, given: Given, **params: Any) -> Score:
    metric = METRICS[name]
    arrays = [given[need] for need in metric.needs] + [given.get(use) for use in metric.uses]
    return metric.function(*arrays, **{**FEW.get(name, {}), **params})


def value(name: str, given: Given, **params: Any) -> float:
    return evaluate(name, given, **params).value


def parameters(name: str) -> dict[str, Any]:
    """The keyword arguments of a metric with their defaults."""
    known = inspect.signature(METRICS[name].function).parameters.values()
    return {each.name: each.default for each in known if each.kind is each.KEYWORD_ONLY}
