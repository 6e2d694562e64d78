"""The files around the package agree with it: version, dependencies, versions of Python, addresses, workflows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from tests.mutations import MUTATIONS

import equipoise

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IN_CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # names that differ on conda-forge
TEXTS = sorted(
    path
    for pattern in ("*.*", ".github/**/*.*", "conda/*", "paper/*", "docs/**/*.md", "src/**/*.py", "notebooks/*")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix not in (".pyc", ".log")
)
YAML = sorted([*ROOT.glob(".github/**/*.yml"), *ROOT.glob("*.yml"), ROOT / ".pre-commit-config.yaml"])


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_has_one_source_and_citation_and_recipe_repeat_it() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "equipoise.__version__"}
    assert yaml.safe_load(text_of("CITATION.cff"))["version"] == equipoise.__version__
    assert f'{{% set version = "{equipoise.__version__}" %}}' in text_of("conda/meta.yaml")


def test_the_command_prints_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "equipoise", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"equipoise {equipoise.__version__}\n"


def test_the_recipe_has_the_dependencies_of_the_package() -> None:
    recipe = text_of("conda/meta.yaml").partition("  run:\n")[2].partition("\ntest:")[0]
    listed = dict(re.findall(r"^    - (\S+) (>=\S+)$", recipe, re.MULTILINE))
    split = [re.fullmatch(r"([\w-]+)(>=.*)", line) for line in PROJECT["project"]["dependencies"]]
    needed = {IN_CONDA.get(match[1], match[1]): match[2] for match in split if match}
    assert listed == {"python": PROJECT["project"]["requires-python"], **needed}


def test_classifiers_name_versions_of_python_that_the_matrix_tests() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert set(named) <= set(PROJECT["tool"]["tox"]["env_list"])
    workflow: dict[str, Any] = yaml.safe_load(text_of(".github/workflows/checks.yml"))
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["env"] == PROJECT["tool"]["tox"]["env_list"]


def test_the_badges_are_true_and_lead_to_files_of_the_repository() -> None:
    badge = re.compile(r"^\[!\[[^]]+\]\(https://img\.shields\.io/badge/(\S+)-blue\)\]\((\S+)\)$", re.MULTILINE)
    badges = badge.findall(text_of("README.md"))
    assert 1 <= len(badges) <= 6
    assert all((ROOT / target).is_file() for _, target in badges)
    shown = dict(unquote(text).replace("--", "~").rsplit("-", 1) for text, _ in badges)
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert shown["python"] == "_|_".join(versions)
    assert shown["licence"].replace("~", "-") == PROJECT["project"]["license"]
    assert (shown["mypy"] == "strict") == PROJECT["tool"]["mypy"]["strict"]
    assert {"$(BIN)/ruff check .", "$(BIN)/mypy"} <= {line.strip() for line in text_of("Makefile").splitlines()}


def test_the_public_address_stands_in_one_place() -> None:
    address = PROJECT["project"]["urls"]["Homepage"]
    others = [path for path in TEXTS if address in path.read_text(encoding="utf-8")]
    assert others == [ROOT / "pyproject.toml"]
    assert all(url.startswith((address, "https://OWNER.")) for url in PROJECT["project"]["urls"].values())


@pytest.mark.parametrize("path", YAML, ids=[str(path.relative_to(ROOT)) for path in YAML])
def test_workflows_templates_and_hooks_are_valid_and_call_targets_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name != "mkdocs.yml":  # whose tags are those of mkdocs
        assert isinstance(yaml.safe_load(text), dict)
    targets = re.findall(r"^([\w.-]+):", text_of("Makefile"), re.MULTILINE)
    assert set(re.findall(r"\bmake (test[\w-]*|docs|check|build|matrix)\b", text)) <= set(targets)


def test_the_references_of_the_paper_are_in_its_bibliography() -> None:
    entries = re.findall(r"^@\w+\{(\w+),$", text_of("paper/paper.bib"), re.MULTILINE)
    body = text_of("paper/paper.md").rpartition("---")[2]
    assert sorted(entries) == sorted(set(re.findall(r"@(\w+)", body)))


@pytest.mark.parametrize("number", range(len(MUTATIONS)))
def test_a_mutation_still_applies_to_the_sources(number: int) -> None:
    """Its text occurs once; otherwise `make mutations` would not put its fault anywhere."""
    mutation = MUTATIONS[number]
    text = (ROOT / "src" / "equipoise" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file}: {mutation.old}"
