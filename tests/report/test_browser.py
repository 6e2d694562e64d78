"""The page in a real browser, from a file, as its reader opens it. Needs Debian's chromium."""

from collections.abc import Callable
from typing import Any

import pytest

from equipoise import report


@pytest.mark.browser
def test_the_page_opens_from_a_file_whole_and_without_a_request(make: Callable[..., Any]) -> None:
    from playwright.sync_api import sync_playwright

    page_file = report.write(make())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.resolve().as_uri())
        # The pictures are inside inline SVG, whose elements cannot be asked whether they loaded: each is decoded again.
        pictures = page.eval_on_selector_all("svg image", "found => found.map(image => image.href.baseVal)")
        decoded = page.evaluate(
            """urls => Promise.all(urls.map(url => {
                const image = new Image(); image.src = url;
                return image.decode().then(() => image.naturalWidth, () => 0);
            }))""",
            pictures,
        )
        wide = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert len(decoded) > 3
    assert all(width > 0 for width in decoded)
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert wide <= 1100, "nothing to scroll sideways"
