"""What users wait for before a light command: the libraries that it imports."""

import subprocess
import sys
import tomllib
from importlib import resources

import pytest

from equipoise import config
from equipoise.commands import lists
from equipoise.data import DATASETS
from equipoise.methods import METHODS
from equipoise.metrics import METRICS
from equipoise.nets import NETS

LARGE = ("torch", "sklearn", "scipy", "pandas", "matplotlib", "numpy", "PIL")
COMMAND = "import sys; from equipoise import cli; sys.argv[1:] = {words}\ntry: cli.main()\nexcept SystemExit: pass"


def imported(program: str) -> set[str]:
    """Return the large libraries that a program imports, in a fresh process."""
    program += f"\nprint('imported', *(name for name in {LARGE} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(result.stdout.splitlines()[-1].split()[1:])


def test_import_equipoise_imports_no_large_library() -> None:
    assert imported("import sys, equipoise") == set()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["list", "methods"],
        ["list", "metrics"],
        ["list", "data"],
        ["models", "list"],
        ["show", "locatello"],
    ],
    ids=" ".join,
)
def test_light_commands_import_no_large_library(words: list[str]) -> None:
    assert imported(COMMAND.format(words=words)) == set()


def test_show_imports_only_what_it_describes() -> None:
    assert not {"sklearn", "pandas", "matplotlib", "scipy"} & imported(COMMAND.format(words=["show", "l-vae"]))
    assert not {"torch", "matplotlib"} & imported(COMMAND.format(words=["show", "mig"]))


def test_summaries_are_those_of_the_tables() -> None:
    """A new part needs its name and summary in `commands/summaries.toml`, in the order of its table."""
    written = tomllib.loads(resources.files("equipoise.commands").joinpath("summaries.toml").read_text("utf-8"))
    tables = {"methods": METHODS, "metrics": METRICS, "data": DATASETS, "nets": NETS}
    for kind, table in tables.items():
        assert list(written[kind].items()) == [(name, part.summary) for name, part in table.items()], kind
    assert list(written) == list(tables) == list(lists.TABLES)
    assert tuple(config.SECTIONS) == lists.SECTIONS
