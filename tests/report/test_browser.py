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
        broken = page.evaluate("[...document.images].filter(image => !image.complete || !image.naturalWidth).length")
        images = page.evaluate("document.images.length")
        wide = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert images > 0
    assert broken == 0
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert wide <= 1100, "nothing to scroll sideways"
