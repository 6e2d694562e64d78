"""The documentation agrees with the code: commands, settings, presets, defaults, log columns and links exist."""

import dataclasses
import fnmatch
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tests.conftest import SMALL, build, clock, forward, images, noise, toy

import equipoise
from equipoise import choice, config, study
from equipoise import commands as python_commands
from equipoise.cli import app
from equipoise.data import DATASETS
from equipoise.methods import METHODS
from equipoise.methods.compose import Compose, parts
from equipoise.metrics import METRICS

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
METHOD_PAGES = ROOT / "docs" / "methods"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s#]*)(?:#([^()\s]+))?\)")
# A command in a line of shell code, after optional variables and a folder.
COMMAND = re.compile(r"^(?:\S+=\S+ )*(?:\S*/)?(?:equipoise|python mine\.py) +(\S.*)")

# Settings with which a method logs further columns.
OTHERWISE: dict[str, dict[str, Any]] = {"isa-vae": {"learned": True}, "l-vae": {"parametrisation": "log"}}


def text_of(name: str) -> str:
    return (METHOD_PAGES / f"{name}.md").read_text(encoding="utf-8")


def lines(text: str) -> Iterator[list[str]]:
    """Yield the words after `equipoise` of every command line of a page, in code blocks and in sentences."""
    code = [
        part
        for language, block in FENCE.findall(text)
        if language in ("", "bash", "sh")
        for line in block.replace("\\\n", " ").splitlines()
        for part in line.split("&&")
    ]
    code += [inline.replace("\n", " ") for inline in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    for line in code:
        match = COMMAND.search(line.strip())
        words = shlex.split(match[1], comments=True) if match else []
        if words and "..." not in words and not any(word.startswith("[") for word in words):  # skip usage lines
            yield words


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words after `equipoise train` of every such command of a page."""
    yield from (words[1:] for words in lines(text) if words[0] == "train" and len(words) > 1)


def examples(text: str) -> dict[str, str]:
    """Return the TOML files of a page by the file name in their first comment."""
    files = {}
    for language, block in FENCE.findall(text):
        name = re.match(r"# (\S+\.toml)\n", block)
        if language == "toml" and name:
            files[name[1]] = block
    return files


def resolved(words: list[str], text: str, folder: Path) -> config.Config:
    """Return the settings of a command: those of the file, if the first word names one, then the other words."""
    settings: dict[str, object] = {}
    if "=" not in words[0]:
        name, *words = words
        path = ROOT / name
        if not path.is_file():
            assert name in examples(text), f"{name} is neither a file here nor an example of the page"
            path = folder / name
            path.write_text(examples(text)[name], encoding="utf-8")
        settings = config.read(path)
    if "--budget" in words:  # an option of the command; it sets the steps
        place = words.index("--budget")
        assert choice.seconds_of(words[place + 1]) > 0
        words = words[:place] + words[place + 2 :]
    return config.resolve(settings | config.parse(words))


def section(text: str, title: str) -> str:
    """Return the text under a heading, up to the next heading of its level."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"no section {title}"
    return match[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of table rows whose first cell is inline code, without backticks."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| `[^`]+` \|", line)]
    return [[cell.strip().strip("`") for cell in line] for line in lines]


def as_written(value: object) -> object:
    """Return a default value in the form in which a page writes it."""
    return "unset" if value is None else list(value) if isinstance(value, tuple) else value


def logged(name: str, **settings: Any) -> set[str]:
    """Return the columns of a method's log."""
    objective = build(METHODS[name](**{**SMALL.get(name, {}), **settings}))
    _, logs = objective(forward(toy(objective), images(12), noise(12)), clock())
    more = ["accuracy", "adversary_loss"] if objective.adversary else []
    return {*logs, *more, *(["tc_decrease"] if objective.alignment else [])}


def test_every_method_has_a_page_that_the_index_links() -> None:
    index = (METHOD_PAGES / "README.md").read_text(encoding="utf-8")
    assert {page.stem for page in METHOD_PAGES.glob("*.md")} - {"README"} == set(METHODS)
    first = re.findall(r"^\| \[([^]]+)\]\(([^)]+)\) \|", index, re.MULTILINE)
    assert sorted(first) == sorted((name, f"{name}.md") for name in METHODS)


def anchors(page: Path) -> set[str]:
    """Return the possible link targets of a page: the anchors of its headings and its entries of the reference."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    named = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title, flags=re.ASCII).strip().lower()) for title in titles}
    return named | set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_existing_files_and_anchors(page: Path) -> None:
    for target, anchor in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_the_home_page_counts_the_methods() -> None:
    count = re.search(r"All (\d+) have a \[page\]", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert count
    assert int(count[1]) == len(METHODS)


def test_paths_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = {path for path in re.findall(r"`([\w/.]+(?:/|\.py|\.md|\.toml))`", text) if "<" not in path}
    roots = (ROOT, ROOT / "src" / "equipoise")
    missing = sorted(path for path in paths if not any((root / path).exists() for root in roots))
    assert not missing


def test_every_page_is_in_the_navigation_once() -> None:
    listed = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    notebooks = [path.with_suffix(".md") for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")]
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in [*PAGES[1:], *notebooks])


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}
    for name in equipoise.__all__:
        assert name in listed or f"`eq.{name}`" in page or f"`equipoise.{name}`" in page, name


def test_every_picture_is_listed_with_the_command_that_made_it() -> None:
    page = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
    listed = [
        name for cell in re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
    ]
    pictures = {picture.name for picture in (ROOT / "docs" / "images").iterdir()}
    pictures |= {picture.name for picture in (ROOT / "docs").glob("*.svg")}
    assert all(fnmatch.filter(pictures, name) for name in listed)
    assert {picture for name in listed for picture in fnmatch.filter(pictures, name)} == pictures


def check_names(path: str, options: dict[str, Any], own: set[str]) -> None:
    """Check that the names in a parsed command exist, in the package or among those that the page adds."""
    if path == "show" and options["name"] not in {"NAME", *own}:
        assert python_commands.show(options["name"]).text
    if path == "list":
        assert python_commands.list_(options["kind"]).text
    if path in ("data add", "data info") and options["name"].islower() and "/" not in options["name"]:
        assert options["name"] in DATASETS
    for metric in [*(options.get("which") or []), *(options.get("metric") or [])]:
        assert metric in {*METRICS, "all", "default", *own}, metric
    assert options.get("convention") in (None, "default", "carbonneau", "locatello")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_line_is_valid(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    code = "".join(f"{block}\n" for _, block in FENCE.findall(text))
    made = re.findall(r"^make ([\w-]+)", code, re.MULTILINE) + re.findall(r"`make ([\w-]+)", text)
    assert set(made) <= set(targets)
    for words in lines(text):
        options, command, path = list(words), typer.main.get_command(app), ""
        while options and not options[0].startswith("-") and hasattr(command, "commands"):
            path = f"{path} {options[0]}".strip()
            command = command.commands[options.pop(0)]
        in_a_sentence = f"`equipoise {' '.join(words)}`" in text.replace("\n", " ")
        if in_a_sentence and all(word.startswith("--") for word in options):  # it names the command, or an option of it
            assert set(options) <= {option for parameter in command.params for option in parameter.opts}
        else:
            check_names(path, command.make_context(path, options).params, own_names(text))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_setting_that_a_sentence_names_exists(page: Path) -> None:
    kinds = {**config.SECTIONS, **{f"method {name}": method for name, method in METHODS.items()}}
    known = {f"{name.split()[0]}.{field.name}" for name, kind in kinds.items() for field in dataclasses.fields(kind)}
    inline = re.findall(
        r"`'?((?:data|method|net|train|evaluate)\.\w+)[^`]*`", FENCE.sub("", page.read_text(encoding="utf-8"))
    )
    assert set(inline) <= known | {"method.name", "method.preset"}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_study_is_a_plan(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = [block for language, block in FENCE.findall(text) if language == "toml"]
    for name in {words[1] for words in lines(text) if words[0] == "sweep" and len(words) > 1}:
        path = ROOT / name
        if path.parts[-3] == "studies":
            continue  # an earlier command of the page writes this file
        if not path.is_file():  # an example of the page: the one with this name, or the only one
            path = tmp_path / name
            path.write_text(examples(text).get(name) or blocks.pop(), encoding="utf-8")
            assert not blocks or name in examples(text)
        assert study.read(path).runs


def own_names(text: str) -> set[str]:
    """Return the names that the files of a page add: methods, metrics, data sets and nets."""
    return set(re.findall(r'(?:name: ClassVar = |[A-Z]{4,}\[)"([\w-]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_training_command_is_valid(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in commands(text):
        if not own_names(text):  # test_docs_examples.py runs pages with additions
            assert resolved(words, text, tmp_path).out


@pytest.mark.parametrize("name", METHODS)
def test_a_method_page_trains_its_method_on_dsprites_and_on_a_folder(name: str, tmp_path: Path) -> None:
    runs = [resolved(words, text_of(name), tmp_path) for words in commands(text_of(name))]
    assert {"dsprites", "path/to/images"} <= {run.data.name for run in runs if run.method.name == name}


@pytest.mark.parametrize("name", METHODS)
def test_the_main_formula_of_a_method_page_is_typeset(name: str) -> None:
    language, formula = FENCE.findall(section(text_of(name), "Loss"))[0]
    assert language == "math"
    assert r"\text{loss} = R + " in formula or name in ("l-vae", "mr-vae", "sigma-vae")


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
    assert set(table) == set(written)
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
