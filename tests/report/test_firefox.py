"""The pages in Firefox, opened from files: the explorer computes what Python does, axe-core finds nothing.

Needs Firefox (Debian package: firefox-esr); its path can be set with FIREFOX.
"""

import os
import socket
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.report.explored import explored

from equipoise.report import explorer

# The client leaves sockets to the garbage collector.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

FIREFOX = Path(os.environ.get("FIREFOX", "/usr/bin/firefox-esr"))
GALLERY = sorted((Path(__file__).parents[2] / "docs" / "gallery").rglob("*.html"))
COMPUTE = """
const [job, rows, done] = arguments;
explorer.ready
  .then(() => Promise.all(rows.map(row => explorer[job](row).then(made => Array.from(made)))))
  .then(done, error => done(String(error)));
"""
AXE = "const done = arguments[0]; axe.run().then(found => done(found.violations.map(each => each.id)));"


def free_port() -> int:
    """Return a port for the client, which several processes of pytest do not share."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Firefox."""
    if not FIREFOX.exists():
        pytest.skip(f"{FIREFOX} is not installed; the Debian package is firefox-esr, and FIREFOX names another one")
    log = tmp_path_factory.mktemp("firefox") / "log"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the client's own dependencies
        from marionette_driver.marionette import Marionette

        client = Marionette(port=free_port(), bin=str(FIREFOX), headless=True, gecko_log=str(log))
        client.start_session()
    client.timeout.script = 60
    yield client
    client.quit(in_app=False)


@pytest.mark.parametrize("net", ["mlp_lvae", "burgess", "small"])
def test_the_explorer_computes_what_python_does(firefox: Any, make: Callable[..., Any], net: str) -> None:
    run = explored(make, net, factors=False)
    z = torch.from_numpy(run.codes["z"][:8])
    x = torch.from_numpy(run.images.pixels(np.arange(8))).float() / 255
    firefox.navigate(explorer.write(run).resolve().as_uri())
    pictures = np.array(firefox.execute_async_script(COMPUTE, ["decode", z.tolist()], sandbox=None))
    codes = firefox.execute_async_script(COMPUTE, ["encode", x.permute(0, 2, 3, 1).flatten(1).tolist()], sandbox=None)
    assert np.abs(pictures - run.model.decode(z).permute(0, 2, 3, 1).flatten(1).numpy()).max() <= 1 / 255
    means = run.model.encode(x)[0].numpy()
    assert np.abs(np.array(codes) - means).max() <= 0.01 * max(1, means.std())


def test_no_page_reports_an_error_and_axe_finds_nothing(firefox: Any, pages: dict[str, Path]) -> None:
    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    for name, path in [*pages.items(), *((path.name, path) for path in GALLERY)]:
        with firefox.using_context("chrome"):
            firefox.execute_script("Services.console.reset()")
        firefox.navigate(path.resolve().as_uri())
        if "explorer" in path.name:
            assert firefox.execute_async_script(COMPUTE, ["decode", []], sandbox=None) == [], name
        firefox.execute_script(axe, sandbox="axe")
        assert firefox.execute_async_script(AXE, sandbox="axe", new_sandbox=False) == [], name
        with firefox.using_context("chrome"):
            messages = firefox.execute_script("return Services.console.getMessageArray().map(each => String(each))")
        assert [each for each in messages if "Error" in each and path.name in each] == [], name


def test_a_slider_moves_the_picture(firefox: Any, pages: dict[str, Path]) -> None:
    from marionette_driver.by import By
    from marionette_driver.keys import Keys

    firefox.navigate(pages["explorer"].resolve().as_uri())
    firefox.execute_async_script(COMPUTE, ["decode", []], sandbox=None)
    before = firefox.execute_script("return document.querySelector('#slot-A .picture').toDataURL()", sandbox=None)
    slider = firefox.find_element(By.CSS_SELECTOR, "#active-latents input")
    start = slider.get_property("value")
    slider.send_keys(Keys.ARROW_RIGHT * 20)
    firefox.execute_async_script(COMPUTE, ["decode", []], sandbox=None)
    assert slider.get_property("value") != start
    firefox.execute_async_script("setTimeout(arguments[0], 500)", sandbox=None)
    after = firefox.execute_script("return document.querySelector('#slot-A .picture').toDataURL()", sandbox=None)
    assert after != before
