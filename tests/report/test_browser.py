"""The page in a real browser, from a file, as its reader opens it. Needs Debian's chromium."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from equipoise import report

pytestmark = pytest.mark.browser

HOSTILE = ("<script>document.title='taken'</script>", "<img src=x onerror=\"document.title='taken'\">", "'\"&<b>")


@pytest.fixture(scope="module")
def file(make: Callable[..., Any]) -> Path:
    return report.write(make())


@contextmanager
def opened(browser: Any, file: Path, wide: int = 1100, **how: Any) -> Iterator[Any]:
    """The page, which must say nothing on the console and ask for nothing but itself."""
    page = browser.new_page(viewport={"width": wide, "height": 900}, **how)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.resolve().as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_the_page_opens_from_a_file_whole_and_without_a_request(browser: Any, file: Path) -> None:
    with opened(browser, file) as page:
        # The pictures are inside inline SVG, whose elements cannot be asked whether they loaded: each is decoded again.
        pictures = page.eval_on_selector_all("svg image", "found => found.map(image => image.href.baseVal)")
        decoded = page.evaluate(
            """urls => Promise.all(urls.map(url => {
                const image = new Image(); image.src = url;
                return image.decode().then(() => image.naturalWidth, () => 0);
            }))""",
            pictures,
        )
    assert len(decoded) > 3
    assert all(width > 0 for width in decoded)


@pytest.mark.parametrize("wide", [1400, 1100, 390])
def test_nothing_makes_the_page_scroll_sideways(browser: Any, file: Path, wide: int) -> None:
    with opened(browser, file, wide) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= wide


def test_what_is_wider_than_a_phone_scrolls_by_the_keyboard_and_shows_its_focus(browser: Any, file: Path) -> None:
    with opened(browser, file, 390) as page:
        first = page.locator(".wide").first
        for _ in range(20):
            page.keyboard.press("Tab")
            if first.evaluate("element => element === document.activeElement"):
                break
        assert first.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
        page.keyboard.press("ArrowRight")
        for _ in range(100):  # it scrolls smoothly
            page.wait_for_timeout(50)
            if moved := first.evaluate("element => element.scrollLeft"):
                break
        assert moved > 0


def test_colours_follow_the_reader_and_paper_is_white(browser: Any, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    inks = "[...document.querySelectorAll('svg text')].map(text => getComputedStyle(text).fill)"
    light, dark = "rgb(91, 99, 109)", "rgb(154, 164, 176)"
    with opened(browser, file, color_scheme="light") as page:
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        assert light in page.evaluate(inks)
        assert dark not in page.evaluate(inks)
    with opened(browser, file, color_scheme="dark") as page:
        assert page.evaluate(ground) == "rgb(15, 19, 24)"
        assert dark in page.evaluate(inks)
        assert light not in page.evaluate(inks)
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_hostile_names_are_text(browser: Any, make: Callable[..., Any]) -> None:
    hostile = make(factor_names=HOSTILE, name="<script>document.title='taken'<|script>", folder="<script>1<|script>")
    with opened(browser, report.write(hostile)) as page:
        assert page.title() == "<script>1<|script> · Equipoise"
        text = page.inner_text("body")
        assert all(name in text for name in (*HOSTILE, hostile.images.name, hostile.path.name))
        assert page.locator("script, img:not([src^='data:image/']), b:has(*)").count() == 0
