"""Every public definition has a docstring, and no identifier is a bare participle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import equipoise

SOURCE = Path(equipoise.__file__).parent
FILES = {str(path.relative_to(SOURCE)): path for path in sorted(SOURCE.rglob("*.py"))}
PARTICIPLES = {"asked", "found", "given", "held", "kept", "measured", "owed", "said", "shown", "sure", "told", "wanted"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield the public functions, classes and methods of a module by their qualified names."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from definitions(node.body, prefix)
        elif isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{prefix}{node.name}.")


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Yield the names of variables, arguments, attributes, definitions and imports of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.rpartition(".")[2]
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name


@pytest.mark.parametrize("name", FILES)
def test_public_definitions_have_docstrings(name: str) -> None:
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    missing = [definition for definition, node in definitions(tree.body) if not ast.get_docstring(node)]
    assert not missing


@pytest.mark.parametrize("name", FILES)
def test_no_identifier_is_a_bare_participle(name: str) -> None:
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    assert not PARTICIPLES & {identifier.strip("_") for identifier in identifiers(tree)}


def test_no_module_is_named_after_a_bare_participle() -> None:
    assert not PARTICIPLES & {path.stem.strip("_") for path in FILES.values()}
