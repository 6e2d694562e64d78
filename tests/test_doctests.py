"""The examples in the docstrings of the package run."""

import doctest
import importlib
import inspect
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import equipoise as eq

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def module_names() -> list[str]:
    """Return the names of all modules of the package."""
    walked = pkgutil.walk_packages(eq.__path__, "equipoise.")
    return ["equipoise", *sorted(module.name for module in walked if not module.name.endswith("__main__"))]


def examples(name: str) -> list[doctest.DocTest]:
    """Return the docstrings of a module that contain examples."""
    module = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module, name) if test.examples]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, which examples open as `runs/first`."""
    folder = tmp_path_factory.mktemp("doctests")
    generator = np.random.default_rng(0)
    factors = generator.integers((3, 4), size=(64, 2))
    images = generator.integers(0, 256, size=(64, 1, 16, 16), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, factors=factors, factor_names=["size", "shade"])
    settings = {"train.log_every": 1, "train.threads": 1, "evaluate.which": ["mig", "sse"]}
    run = eq.train(
        folder / "images.npz", "vae", net="burgess", steps=2, out=folder / "first", settings=settings, progress=False
    )
    return run.path


@pytest.fixture
def session(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run examples in a folder with `runs/first`, and restore the global random generators, which they may seed."""
    shutil.copytree(first, tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")  # after two steps all latents are inactive
@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", module_names())
def test_examples_of_docstrings_run(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    output: list[str] = []
    for test in examples(name):
        assert not any(doctest.SKIP in example.options for example in test.examples), test.name
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)


def public_objects() -> dict[str, object]:
    """Return the public objects that must have an example, by name."""
    functions = {"train": eq.train, "open_run": eq.open_run, "load_data": eq.load_data}
    figures = {"traversals": eq.report.traversals, "reconstructions": eq.report.reconstructions}
    classes = {"Disentangler": eq.Disentangler, "Images": eq.Images, "Run": eq.Run}
    parts = {**eq.METHODS, **eq.LIKELIHOODS, **eq.PRIORS, **eq.BALANCES}
    metrics = {name: metric.function for name, metric in eq.metrics.METRICS.items()}
    return {**functions, **figures, **classes, **parts, **metrics}


@pytest.mark.parametrize("name", public_objects())
def test_public_objects_have_an_example(name: str) -> None:
    docstring = inspect.getdoc(public_objects()[name]) or ""
    assert doctest.DocTestParser().get_examples(docstring), name
