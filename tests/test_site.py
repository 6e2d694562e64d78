"""The documentation site builds without warnings, and its pages load nothing from other hosts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
