"""The documentation site builds without warnings, its pages load nothing from other hosts, and they work from files."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from equipoise.methods import METHODS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.mark.extra
def test_the_site_has_a_file_for_every_page_and_loads_nothing_from_other_hosts(site: Path) -> None:
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")]
    assert all((site / str(page).replace("README", "index")).is_file() for page in pages)
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:link|script|img|iframe|source|video)\b[^>]*>", page.read_text(encoding="utf-8"))
        loaded = [
            url for tag in tags if 'rel="canonical"' not in tag for url in re.findall(r'(?:src|href)="([^"]+)"', tag)
        ]
        assert not [url for url in loaded if re.match(r"(?:\w+:)?//", url)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style


@pytest.mark.extra
def test_every_entry_of_the_reference_is_rendered(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert f'id="{name}"' in page, name


@pytest.mark.extra
def test_formulas_and_notebooks_are_rendered(site: Path) -> None:
    for name in METHODS:
        page = (site / "methods" / f"{name}.html").read_text(encoding="utf-8")
        assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in page, name
        assert "<merror" not in page
    for notebook in (ROOT / "docs" / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert f'href="{notebook.name}" download' in page
        assert (site / "notebooks" / notebook.name).is_file()
    assert 'href="notebooks/1_start.html"' in (site / "start.html").read_text(encoding="utf-8")


@pytest.mark.browser
def test_search_works_from_files(browser: Any, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    page.goto((site / "index.html").as_uri())
    box = page.get_by_placeholder("Search")
    box.click()
    box.press_sequentially("capacity of dava")
    first = page.locator(".md-search-result__link").first
    first.wait_for()
    assert "methods/dava.html" in first.get_attribute("href")
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "values"),
    [("dsprites", 1024), ("rooms3d", 3 * 1024), ("faces", 3 * 1024), ("mr-vae", 1024), ("spectra", 200)],
)
def test_a_model_of_the_gallery_runs_from_a_file(browser: Any, site: Path, name: str, values: int) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / "gallery" / name / "explorer.html").as_uri())
    pixels = page.evaluate("explorer.ready.then(() => explorer.decode(explorer.slots.A.code)).then(all => all.length)")
    page.close()
    assert pixels == values
    assert not errors


@pytest.mark.browser
@pytest.mark.parametrize("wide", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["index", "gallery", "methods/isa-vae", "notebooks/1_start", "results", "gallery/rooms3d/report"]
)
def test_axe_finds_nothing(browser: Any, site: Path, name: str, scheme: str, wide: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": wide, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page.goto((site / f"{name}.html").as_uri())
    page.wait_for_timeout(300)  # assets/site.js completes the page when it is loaded
    found = Axe().run(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert found.violations_count == 0, found.generate_report()
    assert width <= wide, "nothing to scroll sideways"
