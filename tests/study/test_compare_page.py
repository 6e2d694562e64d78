"""The page, the pictures and the files that a comparison writes."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.study.compared import Page, known, page_of, rows_of, unquoted, write
from tests.study.made_up import TWO_METHODS, study

from equipoise import commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("study") / "mine")


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Any:
    return commands.compare(folder, to=folder / "table.csv")


@pytest.mark.usefixtures("outcome")
def test_the_page_opens_alone_and_links_to_every_report(folder: Path) -> None:
    text = (folder / "compare.html").read_text(encoding="utf-8")
    page = Page(text)
    reports = [link for link in page.links if link.endswith("report.html")]
    assert len(reports) == 9
    for link in [link for link in page.links if not link.startswith("#")]:
        assert (folder / link).is_file(), link
    assert not re.search(r"<(script|link|img|iframe)|https?://(?!www\.w3\.org/)|@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text
    row = next(row for row in page.rows if row[:2] == ["l-vae", "3"])
    assert row[2].startswith("25.00")
    assert row[3].startswith("0.583")
    assert row[4:] == ["0.100 0.100 to 0.100", "2.25", ""]
    assert '<strong><data value="0.6">0.600</data></strong>' in text.replace("0.6000000000000001", "0.6")


@pytest.mark.usefixtures("outcome")
def test_pictures_are_written_and_are_the_same_every_time(folder: Path) -> None:
    pictures = folder / "pictures"
    assert {path.name for path in pictures.iterdir()} == {"tradeoff-dsprites.svg", "tradeoff-dsprites.png"}
    svg = (pictures / "tradeoff-dsprites.svg").read_bytes()
    page = (folder / "compare.html").read_bytes()
    assert b"Pareto front of the means" in svg
    commands.compare(folder)
    assert (pictures / "tradeoff-dsprites.svg").read_bytes() == svg
    assert (folder / "compare.html").read_bytes() == page


def test_names_are_escaped(tmp_path: Path) -> None:
    text = TWO_METHODS.format(seeds=2, data='"<b>&_{x}.npz"')
    study(tmp_path, text, known)
    commands.compare(tmp_path, to=tmp_path / "table.tex")
    page = page_of(tmp_path)
    assert "&lt;b&gt;&amp;_{x}" in page
    assert "<b>" not in page.replace("<body>", "")
    for link in Page(page).links:
        assert link.startswith("#") or (tmp_path / unquoted(link)).is_file(), link
    latex = (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert r"<b>\&\_\{x\}" in latex


def test_the_latex_table_is_whole(folder: Path) -> None:
    commands.compare(folder, ["mig"], folder / "table.tex")
    lines = (folder / "table.tex").read_text(encoding="utf-8").splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrrl}"
    assert {line.count(" & ") for line in lines if line.endswith(r"\\") and "multicolumn" not in line} == {5}
    assert any(line.startswith(r"l-vae & 3 & 25.00 {\scriptsize[24.00, 26.00]} & 0.583 ") for line in lines)
    assert any(r"\textbf{0.600} {\scriptsize[" in line for line in lines)
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]


@pytest.mark.usefixtures("outcome")
def test_the_table_as_a_file_has_mean_median_and_middle_half(folder: Path) -> None:
    rows = {(row["setting"], row["metric"]): row for row in rows_of(folder / "table.csv")}
    row = rows["", "mig"]
    assert [float(row[name]) for name in ("mean", "median", "iqm")] == pytest.approx([1.75 / 3, 0.65, 1.75 / 3])
    assert float(row["median_low"]) == 0.3
    assert (row["seeds"], row["method"], row["best"]) == ("3", "l-vae", "False")
    assert rows["beta=4", "mig"]["best"] == "True"


@pytest.mark.extra
def test_parquet_holds_the_same_table(folder: Path) -> None:
    import pandas as pd

    commands.compare(folder, to=folder / "table.parquet")
    commands.compare(folder, to=folder / "again.csv")
    again = pd.read_csv(folder / "again.csv", keep_default_na=False, na_values={"mean_low": [""]})
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet"), again, check_dtype=False)


@pytest.mark.browser
@pytest.mark.usefixtures("outcome")
def test_the_page_of_a_comparison_opens_from_a_file_without_a_request(folder: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="dark")
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "compare.html").resolve().as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("text=" + next(path.name for path in sorted((folder / "runs").iterdir())))
    report = page.url
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert wide <= 1100, "nothing to scroll sideways"
    assert dark == "rgb(15, 19, 24)"
    assert report.endswith("report.html")
