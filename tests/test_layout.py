"""The structure: imports go one way, every file is in the list, the public names are there."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import equipoise as eq

SOURCE = Path(eq.__file__).parent

# From the bottom up; a file may import from those above it in this list, and from its own folder.
ORDER = [
    "errors",
    "natural",
    "text_column",
    "files",
    "claim",
    "progress",
    "outcome",
    "torch_defaults",
    "hub",
    "zoo",
    "data",
    "convolutions",
    "nets",
    "gates",
    "part",
    "likelihoods",
    "priors",
    "pairing",
    "supervision",
    "model",
    "terms",
    "edges",
    "balance",
    "adversary",
    "alignment",
    "objective",
    "methods",
    "trackers",
    "sections",
    "config",
    "shell",
    "choice",
    "codes",
    "code_space",
    "metrics",
    "pipe",
    "torchmetrics",
    "training",
    "assemble",
    "scoring",
    "report",
    "run_folder",
    "run",
    "initial",
    "automatic",
    "runs",
    "audit",
    "export",
    "sklearn",
    "study",
    "commands",
    "cli",
    "__main__",
]


def part(path: Path) -> str:
    """The part of the layout that a file belongs to."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def modules(path: Path) -> set[str]:
    """The modules of Equipoise that a file imports, without what it imports for type checks alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            # What is imported from a package is a module of it, or a name in it.
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in NAMES else node.module for name in inner}
    return {name for name in found if name.startswith("equipoise.")}


def imported(path: Path) -> set[str]:
    """The parts of Equipoise that a file imports."""
    return {name.split(".")[1] for name in modules(path)}


def module(path: Path) -> str:
    """The name that a file is imported by."""
    return ".".join(("equipoise", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
NAMES = {module(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])
def test_imports_go_one_way(path: Path) -> None:
    place = ORDER.index(part(path))
    for name in imported(path):
        assert ORDER.index(name) <= place, f"{path.name} imports {name}, which comes after {part(path)}"


def test_no_file_imports_itself_through_others() -> None:
    TopologicalSorter({module(path): modules(path) for path in FILES}).prepare()


def test_metrics_never_see_networks_and_training_no_metric() -> None:
    for path in FILES:
        if part(path) == "metrics":
            others = {name for name in modules(path) if not name.startswith("equipoise.metrics")}
            assert {name.split(".")[1] for name in others} <= {"errors", "natural", "progress", "text_column"}, path
        if part(path) == "training":
            assert not imported(path) & {"metrics", "report", "codes"}, path


def test_every_public_name_is_there() -> None:
    for name in eq.__all__:
        assert getattr(eq, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = eq.trian
    assert callable(eq.metrics.score)
    assert {"mig", "sap", "irs", "explicitness", "beta_vae", "factor_vae"} <= eq.metrics.METRICS.keys()
    assert "dsprites" in eq.data.DATASETS


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
