"""The examples in the docstrings of the package run."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import equipoise

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def module_names() -> list[str]:
    """Return the names of all modules of the package."""
    walked = pkgutil.walk_packages(equipoise.__path__, "equipoise.")
    return ["equipoise", *sorted(module.name for module in walked if not module.name.endswith("__main__"))]


def examples(name: str) -> list[doctest.DocTest]:
    """Return the docstrings of a module that contain examples."""
    module = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module, name) if test.examples]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run an example in an empty folder and restore the global random generators, which an example may seed."""
    monkeypatch.chdir(tmp_path)
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("name", module_names())
def test_examples_of_docstrings_run(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    output: list[str] = []
    for test in examples(name):
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)
