"""axe-core finds nothing on the report, the explorer and the comparison, in light and dark, on a phone and a desk."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("wide", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "explorer", "compare"])
def test_axe_finds_nothing(browser: Any, pages: dict[str, Path], name: str, scheme: str, wide: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": wide, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page.goto(pages[name].resolve().as_uri())
    if name == "explorer":
        page.evaluate("explorer.ready")
    found = Axe().run(page)
    page.close()
    assert found.violations_count == 0, found.generate_report()


def test_a_phone_shows_a_picture_on_its_first_screen_but_none_in_motion_for_those_who_ask(
    browser: Any, pages: dict[str, Path]
) -> None:
    for motion, selector in (("no-preference", "img.motion"), ("reduce", "img.strip")):
        page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion=motion)
        page.goto(pages["report"].resolve().as_uri())
        box = page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] / 2 < 844
        assert box["x"] + box["width"] <= 390
        assert page.locator("img.motion").is_visible() == (motion == "no-preference")
        page.close()


def test_the_chosen_start_is_shown_in_every_row(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(pages["report"].resolve().as_uri())
    for start in (2, 0, 3):
        page.locator(f"#start-{start}").check()
        shown = page.eval_on_selector_all(
            "img.strip", "found => found.filter(image => image.offsetParent).map(image => image.className)"
        )
        assert set(shown) == {f"strip strip-{start}"}
    page.close()
