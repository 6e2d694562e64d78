"""The docs are true: commands run, settings, presets, defaults and columns exist, links lead somewhere."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from tests.conftest import SMALL, build, clock, forward, images, noise, toy

from equipoise import config
from equipoise.methods import METHODS
from equipoise.methods.compose import Compose, parts

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
METHOD_PAGES = ROOT / "docs" / "methods"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"equipoise train +(\S.*)")

# What a method logs only with these settings.
OTHERWISE: dict[str, dict[str, Any]] = {"isa-vae": {"learned": True}, "l-vae": {"parametrisation": "log"}}


def text_of(name: str) -> str:
    return (METHOD_PAGES / f"{name}.md").read_text(encoding="utf-8")


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `equipoise train ...` of a page, in blocks of code and within sentences."""
    code = [line for _, block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    code += [inline.replace("\n", " ") for inline in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    for line in code:
        found = COMMAND.search(line)
        words = shlex.split(found[1], comments=True) if found else []
        if words and "..." not in words and not words[0].startswith("["):  # these are lines of usage, not commands
            yield words


def examples(text: str) -> dict[str, str]:
    """The TOML files of a page that trains from files, by the name in the comment they begin with."""
    files = {}
    for language, block in FENCE.findall(text):
        name = re.match(r"# (\S+\.toml)\n", block)
        if language == "toml" and name:
            files[name[1]] = block
    return files


def resolved(words: list[str], text: str, folder: Path) -> config.Config:
    """The settings of a command, as `equipoise train` takes its words: first the name of a file, if any."""
    settings: dict[str, object] = {}
    if "=" not in words[0]:
        name, *words = words
        path = ROOT / name
        if not path.is_file():
            assert name in examples(text), f"{name} is neither a file here nor an example of the page"
            path = folder / name
            path.write_text(examples(text)[name], encoding="utf-8")
        settings = config.read(path)
    return config.resolve(settings | config.parse(words))


def section(text: str, title: str) -> str:
    """What is under a heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of tables whose first cell is one piece of code, without their backticks."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| `[^`]+` \|", line)]
    return [[cell.strip().strip("`") for cell in line] for line in lines]


def as_written(value: object) -> object:
    """A default as a page writes it, read back."""
    return "unset" if value is None else list(value) if isinstance(value, tuple) else value


def logged(name: str, **settings: Any) -> set[str]:
    """The columns of a method's log."""
    objective = build(METHODS[name](**{**SMALL.get(name, {}), **settings}))
    _, logs = objective(forward(toy(objective), images(12), noise(12)), clock())
    return {*logs, *(["accuracy", "adversary_loss"] if objective.adversary else [])}


def test_every_method_has_a_page_that_the_index_links() -> None:
    index = (METHOD_PAGES / "README.md").read_text(encoding="utf-8")
    assert {page.stem for page in METHOD_PAGES.glob("*.md")} - {"README"} == set(METHODS)
    first = re.findall(r"^\| \[([^]]+)\]\(([^)]+)\) \|", index, re.MULTILINE)
    assert sorted(first) == sorted((name, f"{name}.md") for name in METHODS)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_training_command_is_valid(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in commands(text):
        assert resolved(words, text, tmp_path).out


@pytest.mark.parametrize("name", METHODS)
def test_a_method_page_trains_its_method_on_dsprites_and_on_images_of_ones_own(name: str, tmp_path: Path) -> None:
    runs = [resolved(words, text_of(name), tmp_path) for words in commands(text_of(name))]
    assert {"dsprites", "path/to/images"} <= {run.data.name for run in runs if run.method.name == name}


@pytest.mark.parametrize("name", METHODS)
def test_settings_named_on_a_method_page_exist(name: str) -> None:
    text = text_of(name)
    known = {field.name for field in dataclasses.fields(METHODS[name])} | {"name", "preset"}
    assert set(re.findall(r"\bmethod\.(\w+)", text)) <= known
    assert set(re.findall(r"\bmethod\.preset=(\w+)", text)) <= set(METHODS[name].presets)


@pytest.mark.parametrize("name", METHODS)
def test_defaults_on_a_method_page_are_those_of_the_code(name: str) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(METHODS[name])}
    table = rows(section(text_of(name), "Settings that matter"))
    assert table
    for setting, default, *_ in table:
        assert config.parse([f"x={default}"])["x"] == as_written(defaults[setting]), setting


@pytest.mark.parametrize("name", METHODS)
def test_presets_on_a_method_page_are_those_of_the_code(name: str) -> None:
    listed = re.findall(r"^- `(\w+)`:", section(text_of(name), "Presets"), re.MULTILINE)
    assert sorted(listed) == sorted(METHODS[name].presets)


@pytest.mark.parametrize("name", [name for name in METHODS if name != Compose.name])
def test_columns_on_a_method_page_are_in_its_log(name: str) -> None:
    columns = {column for column, *_ in rows(section(text_of(name), "In the log and the report"))}
    assert columns
    assert columns <= logged(name) | logged(name, **OTHERWISE.get(name, {}))


def test_the_tables_of_compose_are_the_parts_of_the_code() -> None:
    table = {name: cells for name, *cells in rows(section(text_of("compose"), "How a part is written"))}
    written = {name: options for names in parts().values() for name, options in names.items()}
    likelihoods = get_args(get_args(get_type_hints(Compose, include_extras=True)["likelihood"])[0])
    assert set(table) == {*written, *likelihoods}
    assert {name: table[name][0] for name in written} == written


def test_the_examples_of_compose_are_the_same_runs_as_files_and_as_commands(tmp_path: Path) -> None:
    text = text_of("compose")
    files = examples(text)
    assert len(files) == 3
    runs = [resolved(words, text, tmp_path) for words in commands(text)]
    assert text.count("```toml") == len(files), "an example begins with the name of its file"
    for name in files:
        of_file = resolved([name], text, tmp_path)
        same = [run for run in runs if run.out == of_file.out]
        assert len(same) >= 2
        for run in same:
            assert dataclasses.replace(run, preset=None) == of_file
