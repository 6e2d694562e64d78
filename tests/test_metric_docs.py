"""The pages of the metrics are true: what their examples print, defaults, conventions, what each metric needs."""

import ast
import contextlib
import io
import json
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.metrics.inputs import parameters as defaults
from typer.testing import CliRunner

from equipoise.cli import app
from equipoise.metrics import METRICS

ROOT = Path(__file__).parent.parent
PAGES = {page.stem: page for page in sorted((ROOT / "docs" / "metrics").glob("*.md"))}
INDEX = PAGES["README"].read_text(encoding="utf-8")
OF_METRICS = {name: page.read_text(encoding="utf-8") for name, page in PAGES.items() if name != "README"}
# An example and, in the block that follows, what it prints; without such a block it prints nothing.
EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
EXCERPT = re.compile(r"# from (\S+)\n")
SECTIONS = [
    *("Formula", "Parameters", "Weak points", "Special inputs"),
    *("Agreement with the references", "Cost", "Source"),
]


def section(text: str, title: str) -> str:
    """What is under a heading; "" is what comes before the first."""
    parts = re.split(r"^## (.*)\n", f"## \n{text}", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title]


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of tables whose first cell is one piece of code, without their backticks."""
    lines = [line.strip("|").split(" |") for line in text.splitlines() if re.match(r"\| `[^`]+` \|", line)]
    return [[cell.strip().strip("`") for cell in line] for line in lines]


def head(page: str) -> dict[str, list[str]]:
    """Of the metrics that a page is about: the other cells of its first table."""
    return {name: cells for name, *cells in rows(section(OF_METRICS[page], ""))}


def parameters(page: str) -> dict[str, dict[str, str]]:
    """Of each parameter the cells of its row by the column's name: default, conventions, why."""
    text = section(OF_METRICS[page], "Parameters")
    header = re.search(r"^\| parameter \| (.*) \|$", text, re.MULTILINE)
    columns = header[1].replace("`", "").split(" | ") if header else []
    return {name: dict(zip(columns, cells, strict=True)) for name, *cells in rows(text)}


def test_every_metric_is_on_one_page() -> None:
    assert sorted(name for page in OF_METRICS for name in head(page)) == sorted(METRICS)


@pytest.mark.parametrize("page", OF_METRICS)
def test_a_page_has_every_section(page: str) -> None:
    assert re.findall(r"^## (.+)$", OF_METRICS[page], re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("page", OF_METRICS)
def test_needs_on_a_page_are_those_of_the_code(page: str) -> None:
    for name, (_, _, needs) in head(page).items():
        assert needs.split(", ") == list(METRICS[name].needs), name


@pytest.mark.parametrize("page", OF_METRICS)
def test_parameters_and_defaults_on_a_page_are_those_of_the_code(page: str) -> None:
    written = {name: ast.literal_eval(cells["default"]) for name, cells in parameters(page).items()}
    of_code = [defaults(name) for name in head(page)]
    assert {key for each in of_code for key in each} == set(written)
    for each in of_code:
        assert {key: written[key] for key in each} == each


@pytest.mark.parametrize("page", OF_METRICS)
def test_conventions_on_a_page_are_those_of_the_code(page: str) -> None:
    table = parameters(page)
    known = {convention for name in head(page) for convention in METRICS[name].conventions}
    for cells in table.values():
        assert known == set(cells) - {"default", "why"}
    for name in head(page):
        for convention, settings in METRICS[name].conventions.items():
            for key, default in defaults(name).items():
                cell = table[key][convention]
                value = ast.literal_eval(cell) if cell else default  # an empty cell is the default
                assert settings.get(key, default) == value, (name, convention, key)


def test_the_index_names_every_metric_with_its_page_labels_and_floor() -> None:
    table = [line.strip("|").split(" |") for line in INDEX.splitlines() if line.startswith("| [`")]
    found = {}
    for line in table:
        link, _, labels, _, noise, _ = (cell.strip() for cell in line)
        name, page = re.fullmatch(r"\[`(\w+)`]\((\w+)\.md\)", link).groups()
        assert name in head(page)
        assert labels == ("yes" if "factors" in METRICS[name].needs else "no"), name
        assert (noise == "baseline") == METRICS[name].has_baseline, name
        assert (noise == "undefined") == ("level" in defaults(name)), name
        found[name] = page
    assert len(table) == len(found)
    assert set(found) == set(METRICS)


@pytest.mark.parametrize("page", PAGES)
def test_examples_print_what_the_page_shows(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    examples = EXAMPLE.findall(PAGES[page].read_text(encoding="utf-8"))
    assert examples
    for code, output in examples:
        if EXCERPT.match(code):
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{page}.md", "exec"), names)  # one page is one session
        assert printed.getvalue() == output


def test_excerpts_are_in_the_file_they_are_from() -> None:
    excerpts = [code for code, _ in EXAMPLE.findall(INDEX) if EXCERPT.match(code)]
    assert excerpts
    for code in excerpts:
        name, body = EXCERPT.match(code)[1], EXCERPT.sub("", code, count=1)
        assert body in (ROOT / name).read_text(encoding="utf-8")


def test_the_command_of_the_index_scores_a_file_into_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    factors = np.random.default_rng(0).integers((3, 4), size=(200, 2))
    np.savez("codes.npz", codes=factors + 0.0, factors=factors)
    command = re.search(r"^equipoise (evaluate --codes .*)$", INDEX, re.MULTILINE)[1]
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert set(json.loads(Path("codes.scores.json").read_text())) == {"mig", "sap"}
    header, *lines = Path("scores.csv").read_text().splitlines()
    columns = next(output for code, output in EXAMPLE.findall(INDEX) if "table.frame" in code).splitlines()[0]
    assert header.split(",") == columns.split(", ")
    assert [line.split(",")[1] for line in lines] == ["mig", "sap"]


def test_the_example_scores_its_own_model_while_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "history.jsonl"
    script = ROOT / "examples" / "score_during_training.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--steps", "4", "--every", "2", "--out", str(out)])
    with torch.random.fork_rng():  # a script of its own may seed the generator, a test may not
        runpy.run_path(str(script), run_name="__main__")
    history = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row.pop("step") for row in history] == [2, 4]
    assert all(set(row) == {"mig", "sap", "factor_vae", "dci_lasso_disentanglement", "active_units"} for row in history)
