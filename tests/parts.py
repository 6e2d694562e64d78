"""Every likelihood, prior, balance and adversary of the tables, built for the laws that all of its kind obey."""

from collections.abc import Mapping
from typing import Any

import torch

from equipoise.adversary import ADVERSARIES
from equipoise.balance import BALANCES
from equipoise.likelihoods import LIKELIHOODS
from equipoise.part import Part, options_of
from equipoise.priors import PRIORS

TABLES: dict[str, Mapping[str, type[Part]]] = {
    "likelihood": LIKELIHOODS,
    "prior": PRIORS,
    "balance": BALANCES,
    "adversary": ADVERSARIES,
}
LATENT = 3

# Values for arguments that have no default, by the argument's name. A new part with another such argument needs a line.
REQUIRED: dict[str, Any] = {
    "latent": LATENT,
    "layout": [2, 1],
    "weights": {"kl": 4.0},
    "beta": 4.0,
    "start": 8.0,
    "end": 0.5,
    "terms": ["rec", "kl"],
    "shape": (1, 64, 64),
}
# Settings beside the defaults that take another path through the code.
OTHERWISE: dict[str, list[dict[str, Any]]] = {
    "squared-error": [{"scale": 0.5}],
    "gaussian": [{"sigma": 0.1}],
    "calibrated-gaussian": [{"form": "learned"}, {"smoothing": 0.5}],
    "lp-nested": [
        {"learned": True, "p": 2.0},
        {"scale": "unit_variance", "p": 2.1},
        {"layout": [[1, 1], 1], "p": [2.2, 1.7, 2, 3]},
    ],
    "schedule": [
        *({"shape": shape} for shape in ("constant", "linear", "cosine", "cyclical")),
        {"unit": "rec", "hold": 0.2, "until": 1.0},
    ],
    "descent": [{"unit": "rec", "hold": 0.0, "until": 1.0}, {"entry": 0.0, "halving": 0.5}],
    "capacity": [{"gamma": 10.0, "start": 0.5, "until_steps": 7}],
    "pi": [
        {"target": {"end": 18.0, "increment": 0.5}, "beta_max": 5.0},
        {"measures": ["kl", "tc"], "anti_windup": "code"},
        {"anti_windup": "paper"},
    ],
    "incremental-pi": [{"target": {"end": 18.0, "every": 3}, "zero_pad": True}, {"anti_windup": "code", "term": "tc"}],
    "error-bound": [{"bound": 10.0, "step": "geco"}, {"explained": 0.5, "probe": 0.2}],
    "learned": [{"regulariser": "log", "parametrisation": "log", "floor": 1e-2}],
    "accuracy": [{"target_end": 0.6, "smoothing": 0.0}],
    "two-groups": [{"unit": "rec", "opening": 0.0, "apart": 1.0}],
    "relevance": [{"relevant": [1, 0, 1]}, {"eta_h_warmup": 0.5}],
    "discriminator": [{"width": 8, "layers": 2, "second": "split"}],
    "image-discriminator": [{"accumulate": True}],
}


def cases(kind: str) -> list[Any]:
    """A part of a kind and the settings to build it with, for every entry of its table and for other settings."""
    return [(kind, name, more) for name in TABLES[kind] for more in ({}, *OTHERWISE.get(name, []))]


def label(case: Any) -> str:
    """The name of a case in the list of tests."""
    return "-".join([case[1], *map(str, case[2])])


def made(case: Any) -> Part:
    """The part of a case. What it draws at random is drawn from seed 0."""
    kind, name, more = case
    part = TABLES[kind][name]
    needs = {key for key, option in options_of(part).items() if option.default is option.empty}
    assert needs <= REQUIRED.keys(), f"{name} needs {needs - REQUIRED.keys()}: give a value in REQUIRED"
    small = {"width": 8, "layers": 2} if name == "discriminator" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return part(**{key: REQUIRED[key] for key in needs} | small | more)
