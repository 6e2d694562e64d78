"""Disentangled representation learning with variational autoencoders whose trade-off tunes itself."""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equipoise import adversary, balance, data, likelihoods, methods, metrics, nets, priors, report, terms
    from equipoise.balance import BALANCES
    from equipoise.data import Images, load_data
    from equipoise.errors import InputError, RunError
    from equipoise.export import export_run, load_model
    from equipoise.likelihoods import LIKELIHOODS
    from equipoise.methods import METHODS
    from equipoise.priors import PRIORS
    from equipoise.run import Run
    from equipoise.runs import open_run, train
    from equipoise.sklearn import Disentangler
    from equipoise.study import open_study, sweep
    from equipoise.study.auto.auto import auto

__version__ = "0.2.0"

if "torch" not in sys.modules:  # which reads them once. Threads that wait must not take a core from another program.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("KMP_BLOCKTIME", "0")

_HOMES = {
    "BALANCES": "equipoise.balance",
    "Disentangler": "equipoise.sklearn",
    "Images": "equipoise.data",
    "InputError": "equipoise.errors",
    "LIKELIHOODS": "equipoise.likelihoods",
    "METHODS": "equipoise.methods",
    "PRIORS": "equipoise.priors",
    "Run": "equipoise.run",
    "RunError": "equipoise.errors",
    "auto": "equipoise.study.auto.auto",
    "export_run": "equipoise.export",
    "load_data": "equipoise.data",
    "load_model": "equipoise.export",
    "open_run": "equipoise.runs",
    "open_study": "equipoise.study",
    "sweep": "equipoise.study",
    "train": "equipoise.runs",
}

__all__ = [
    "BALANCES",
    "LIKELIHOODS",
    "METHODS",
    "PRIORS",
    "Disentangler",
    "Images",
    "InputError",
    "Run",
    "RunError",
    "adversary",
    "auto",
    "balance",
    "data",
    "export_run",
    "likelihoods",
    "load_data",
    "load_model",
    "methods",
    "metrics",
    "nets",
    "open_run",
    "open_study",
    "priors",
    "report",
    "sweep",
    "terms",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `equipoise --help` does not import torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"equipoise.{name}")
    raise AttributeError(f"module 'equipoise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
