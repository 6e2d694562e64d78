"""The explorer in a real browser, from a file, as its reader opens it. Needs Debian's chromium."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.report.explored import explored, with_gates

from equipoise import codes as coding
from equipoise import nets
from equipoise.data import pictures
from equipoise.gates import Rates
from equipoise.report import explorer
from equipoise.report.explorer.serve import server

pytestmark = pytest.mark.browser

Make = Callable[..., Any]
HOSTILE = ("</script><script>document.title='owned'</script>", "<img src=x onerror=document.title='owned'>", "a & b")


@contextmanager
def opened(browser: Any, address: str, **how: Any) -> Iterator[Any]:
    """The page, ready. From beginning to end it may not complain, nor ask for anything but itself and its worker."""
    page = browser.new_page(**how)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.evaluate("explorer.ready")
    yield page
    settled(page)
    assert page.title().endswith("Equipoise explorer")
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [address]


def settled(page: Any) -> None:
    """Wait until nothing is drawn any more: a picture asked for now comes after all that were asked for before."""
    last: Any = None
    for _ in range(200):
        now = page.eval_on_selector_all("canvas", "all => all.map(canvas => canvas.toDataURL()).join()")
        if now == last:
            return
        last = now
        page.evaluate("explorer.decode(explorer.slots.A.edited).then(() => 0)")
        time.sleep(0.05)
    raise AssertionError("the page never came to rest")


def canvas(page: Any, selector: str) -> np.ndarray:
    """The bytes [H, W, 3] on a canvas that has come to rest."""
    settled(page)
    png = page.eval_on_selector(selector, "canvas => canvas.toDataURL()").partition(",")[2]
    with Image.open(BytesIO(base64.b64decode(png))) as picture:
        return np.asarray(picture.convert("RGB"))


def code(page: Any, slot: str) -> torch.Tensor:
    return torch.tensor(page.evaluate(f"Array.from(explorer.slots.{slot}.edited)"))[None]


def decoded(run: Any, z: torch.Tensor) -> np.ndarray:
    """Python's picture of one code, 0 to 255 [H, W, C]."""
    return run.model.decode(z)[0].permute(1, 2, 0).numpy() * 255


@pytest.mark.parametrize(("net", "width"), [*((net, None) for net in nets.NETS), ("locatello", 13), ("higgins_h", 9)])
def test_pictures_and_codes_are_those_of_python(browser: Any, make: Make, net: str, width: int | None) -> None:
    channels = 1 + 2 * (list(nets.NETS).index(net) % 2)
    run = explored(make, net, width=width, channels=channels, factors=False)
    rng = np.random.default_rng(0)
    z = torch.from_numpy(run.codes["z"][rng.choice(len(run.codes["z"]), 20, replace=False)])
    x = torch.from_numpy(run.images.pixels(rng.choice(len(run.images), 20, replace=False))).float() / 255
    rows = x.permute(0, 2, 3, 1).flatten(1).tolist()
    with opened(browser, explorer.write(run).resolve().as_uri()) as page:
        run_all = "(job, all) => Promise.all(all.map(one => explorer[job](one).then(made => Array.from(made))))"
        pictures = np.array(page.evaluate(f"all => ({run_all})('decode', all)", z.tolist()))
        codes = np.array(page.evaluate(f"all => ({run_all})('encode', all)", rows))
    expected = run.model.decode(z).permute(0, 2, 3, 1).flatten(1).numpy()
    assert np.ptp(expected) > 0.5, "pictures worth comparing"
    assert np.abs(pictures - expected).max() <= 1 / 255
    means = run.model.encode(x)[0].numpy()
    assert np.abs(codes - means).max() <= 0.01 * max(1, means.std())


def test_a_notebook_shows_the_page_without_the_file(browser: Any, make: Make, tmp_path: Path) -> None:
    run = explored(make, name=HOSTILE[1])
    html = explorer.Frame(explorer.write(run), 600)._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><meta charset=utf-8>{html}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "notebook.html").resolve().as_uri())
    frame = page.frames[1]
    frame.evaluate("explorer.ready")
    z = torch.from_numpy(run.codes["z"][:1])
    pixels = np.array(frame.evaluate("z => explorer.decode(z).then(made => Array.from(made))", z[0].tolist()))
    assert np.abs(pixels - run.model.decode(z)[0].permute(1, 2, 0).flatten().numpy()).max() <= 1 / 255
    assert page.locator("iframe").bounding_box()["height"] == 600
    page.close()


@pytest.fixture(scope="module")
def published(make: Make) -> tuple[Any, str]:
    """A run of the net and the size of the literature, with hostile names, and the address of its page."""
    run = explored(make, "higgins_h", side=64, name=HOSTILE[1], factor_names=HOSTILE, folder="<i onclick=alert(1)>run")
    return run, explorer.write(run).resolve().as_uri()


def test_sliders_move_the_picture_by_hand_and_by_keyboard(browser: Any, published: tuple[Any, str]) -> None:
    run, address = published
    with opened(browser, address) as page:
        before, start = canvas(page, "#slot-A .picture"), code(page, "A")
        first = page.locator("#active-latents input").first
        j = int(first.get_attribute("id").removeprefix("z"))
        first.focus()
        for _ in range(30):
            page.keyboard.press("ArrowRight")
        moved, z = canvas(page, "#slot-A .picture"), code(page, "A")
        assert z[0, j] > start[0, j]
        assert np.abs(moved.astype(int) - before).max() > 10
        assert np.abs(moved - decoded(run, z)).max() <= 1
        assert page.locator(f"output[for=z{j}]").inner_text() == f"{float(z[0, j]):.2f}".replace("-", "−")
        page.get_by_label(f"Reset z{j}").click()
        assert np.array_equal(canvas(page, "#slot-A .picture"), before)
        page.locator("#z0").fill(page.locator("#z0").get_attribute("max"))
        page.locator("#reset-all").click()
        assert torch.equal(code(page, "A"), start)


def test_latents_are_swapped_and_codes_blended(browser: Any, published: tuple[Any, str]) -> None:
    run, address = published
    with opened(browser, address) as page:
        a, b = code(page, "A"), code(page, "B")
        page.get_by_label("Swap A, B: z1").click()
        assert torch.equal(code(page, "A")[0, [0, 2, 3]], a[0, [0, 2, 3]])
        assert (code(page, "A")[0, 1], code(page, "B")[0, 1]) == (b[0, 1], a[0, 1])
        for slot in ("A", "B"):
            assert np.abs(canvas(page, f"#slot-{slot} .picture") - decoded(run, code(page, slot))).max() <= 1
        page.locator("#blend").fill("0.25")
        between = 0.75 * code(page, "A") + 0.25 * code(page, "B")
        assert np.abs(canvas(page, "#slot-between .picture") - decoded(run, between)).max() <= 1


def test_images_are_encoded_and_shown_beside_their_reconstruction(
    browser: Any, published: tuple[Any, str], tmp_path: Path
) -> None:
    run, address = published
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).resize(
        (200, 160), Image.Resampling.BICUBIC
    )
    smooth.save(tmp_path / "<own>.png")
    (tmp_path / "torn.png").write_text("no picture")
    with opened(browser, address) as page:
        page.get_by_label("Edit B").check()
        page.locator("#samples button").nth(5).click()
        page.locator(
            "#image-B .title", has_text=page.locator("#samples button").nth(5).get_attribute("title")
        ).wait_for()
        index = int(page.locator("#image-B .title").inner_text().removeprefix("image "))
        x = torch.from_numpy(run.images.pixels([index])).float() / 255
        mean, _ = run.model.encode(x)
        assert (code(page, "B") - mean).abs().max() <= 0.01
        assert np.array_equal(canvas(page, "#image-B .original")[..., 0], run.images.pixels([index])[0, 0])
        shown = canvas(page, "#image-B .reconstruction")[..., :1]
        assert np.abs(shown - decoded(run, code(page, "B"))).max() <= 1
        error = float((x - run.model.decode(mean)).square().sum())
        assert float(page.locator("#image-B .error").inner_text()) == pytest.approx(error, abs=0.01 * error + 0.1)

        page.locator("#file").set_input_files(tmp_path / "<own>.png")
        page.locator("#image-B .title", has_text="<own>.png").wait_for()
        # A browser's filter is not Pillow's, to which a run's own folder of images is resized.
        expected = pictures.Form(size=64).prepare(pictures.read(tmp_path / "<own>.png", name="own"), 1, "own")[0]
        difference = np.abs(canvas(page, "#image-B .original")[..., 0].astype(int) - expected)
        assert difference.mean() < 2
        page.locator("#file").set_input_files(tmp_path / "torn.png")
        page.locator("#status", has_text="torn.png is not an image").wait_for()
        assert page.locator("#image-B .title").inner_text() == "<own>.png"


def moved(page: Any, start: torch.Tensor) -> torch.Tensor:
    """The code of A once it is another than `start`."""
    for _ in range(200):
        if not torch.equal(code(page, "A"), start):
            return code(page, "A")
        time.sleep(0.05)
    raise AssertionError("nothing moved")


def test_an_animation_moves_one_latent_until_it_is_paused(browser: Any, published: tuple[Any, str]) -> None:
    _, address = published
    with opened(browser, address) as page:
        page.locator("#traversed").select_option("1")
        start = code(page, "A")
        page.locator("#play").click()
        moved(page, start)
        page.locator("#play", has_text="Pause").click()
        paused = code(page, "A")
        assert paused[0, 1] != start[0, 1]
        assert torch.equal(paused[0, [0, 2, 3]], start[0, [0, 2, 3]])
        time.sleep(0.2)
        assert torch.equal(code(page, "A"), paused)


def test_who_wants_less_motion_sees_the_pictures_of_the_strip(browser: Any, published: tuple[Any, str]) -> None:
    _, address = published
    with opened(browser, address, reduced_motion="reduce") as page:
        start = code(page, "A")
        page.locator("#play").click()
        seen = moved(page, start)
        page.locator("#play").click()
        latent = page.evaluate("explorer.about.latents")[0]
        place = 10 * (seen[0, latent["index"]] - latent["low"]) / (latent["high"] - latent["low"])
        assert float(place) == pytest.approx(round(float(place)), abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_and_strips_are_saved(browser: Any, make: Make, tmp_path: Path, channels: int) -> None:
    run = explored(make, "locatello", channels=channels)
    with opened(browser, explorer.write(run).resolve().as_uri()) as page:
        z = code(page, "A")
        latent = page.evaluate("explorer.about.latents")[0]
        j, low, high = latent["index"], latent["low"], latent["high"]
        files = {}
        for name in ("picture", "strip"):
            page.locator("#scale").select_option("2" if name == "strip" else "1")
            with page.expect_download() as download:
                page.locator(f"#save-{name}").click()
            files[name] = tmp_path / download.value.suggested_filename
            download.value.save_as(files[name])

    def over(steps: int) -> list[np.ndarray]:
        codes = z.repeat(steps, 1)
        codes[:, j] = torch.linspace(low, high, steps)
        return [decoded(run, one[None]) for one in codes]

    with Image.open(files["picture"]) as picture:
        assert (picture.format, picture.size) == ("PNG", (16, 16))
        assert np.abs(np.asarray(picture.convert("RGB")) - decoded(run, z)).max() <= 1
    with Image.open(files["strip"]) as strip:
        assert strip.size == (11 * 32 + 10 * 2, 32)
        first = np.asarray(strip.convert("RGB"))[::2, :32:2]
        assert np.abs(first - over(11)[0]).max() <= 1


def test_hostile_names_are_shown_and_not_obeyed(browser: Any, published: tuple[Any, str]) -> None:
    run, address = published
    with opened(browser, address) as page:
        assert page.locator("h1").inner_text() == run.path.name
        assert HOSTILE[1] in page.locator("body").inner_text()
        page.locator("#idle").evaluate("fold => fold.open = true")
        told = page.locator(".latents").inner_text()
        assert any(name in told for name in HOSTILE)
        assert page.evaluate("document.images.length + document.scripts.length") == 3  # its data, worker and code
        assert page.evaluate("document.querySelectorAll('[onclick], [onerror]').length") == 0


def test_a_collapsed_run_says_so_and_still_has_its_sliders(browser: Any, make: Make) -> None:
    run = explored(make)
    still = np.zeros_like(run.codes["mean"])
    run = run.but(codes=run.codes | {"mean": still, "logvar": still})
    with opened(browser, explorer.write(run).resolve().as_uri()) as page:
        assert page.locator("#collapsed").is_visible()
        assert page.locator("#idle input").count() == 4
        assert page.locator("#z0").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_scrolls_sideways_and_all_has_a_name(browser: Any, published: tuple[Any, str], width: int) -> None:
    _, address = published
    with opened(browser, address, viewport={"width": width, "height": 844}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        nameless = """all => all.filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.innerText))
            .map(one => one.outerHTML)"""
        assert page.eval_on_selector_all("button, input, select, canvas[role=img], #strip", nameless) == []


def test_the_page_works_when_it_is_served(browser: Any, published: tuple[Any, str]) -> None:
    run, _ = published
    with server(run.path / "explorer.html", 0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            with opened(browser, f"http://127.0.0.1:{serving.server_address[1]}/") as page:
                assert canvas(page, "#slot-A .picture").std() > 0
        finally:
            serving.shutdown()
            thread.join()


RATES = Rates(0.1, 10.0, 1.0)
MOST = 30  # milliseconds from a move of the slider of beta to the picture


def for_every_beta(make: Make, net: str, **how: Any) -> Any:
    """A run whose model serves a range of beta."""
    run = explored(make, net, **how)
    model = with_gates(run.model, RATES)
    return run.but(model=model, codes=coding.encode(model, run.images, run.codes["index"]))


@pytest.mark.parametrize("net", nets.NETS)
def test_pictures_and_codes_of_any_beta_are_those_of_python(browser: Any, make: Make, net: str) -> None:
    run = for_every_beta(make, net, factors=False)
    rng = np.random.default_rng(0)
    z = torch.from_numpy(run.codes["z"][rng.choice(len(run.codes["z"]), 20, replace=False)])
    x = torch.from_numpy(run.images.pixels(rng.choice(len(run.images), 20, replace=False))).float() / 255
    betas = np.exp(rng.uniform(np.log(RATES.low), np.log(RATES.high), 20)).tolist()
    with opened(browser, explorer.write(run).resolve().as_uri()) as page:
        both = """async ([betas, codes, rows]) => {
            const made = [];
            for (let i = 0; i < betas.length; i++) {
                explorer.setBeta(betas[i]);
                made.push([Array.from(await explorer.decode(codes[i])), Array.from(await explorer.encode(rows[i]))]);
            }
            return made;
        }"""
        made = page.evaluate(both, [betas, z.tolist(), x.permute(0, 2, 3, 1).flatten(1).tolist()])
    pictures, codes = (np.array([pair[part] for pair in made]) for part in (0, 1))
    plain = [run.model.at(beta) for beta in betas]
    expected = np.stack([model.decode(z[i : i + 1])[0].permute(1, 2, 0).flatten() for i, model in enumerate(plain)])
    assert np.ptp(expected) > 0.5, "pictures worth comparing"
    assert np.abs(expected - run.model.decode(z).permute(0, 2, 3, 1).flatten(1).numpy()).max() > 0.1, "betas differ"
    assert np.abs(pictures - expected).max() <= 1 / 255
    means = np.stack([model.encode(x[i : i + 1])[0][0] for i, model in enumerate(plain)])
    assert np.abs(codes - means).max() <= 0.01 * max(1, means.std())


@pytest.mark.parametrize("net", ["mlp_lvae", "locatello"])
def test_a_move_of_beta_changes_the_picture_at_once(browser: Any, make: Make, net: str) -> None:
    run = for_every_beta(make, net, side=64, factors=False)
    with opened(browser, explorer.write(run).resolve().as_uri()) as page:
        settled(page)
        timed = """async (betas) => {
            const times = [];
            for (const beta of betas) {
                const start = performance.now();
                explorer.setBeta(beta);
                await explorer.decode(explorer.slots.A.edited);
                times.push(performance.now() - start);
            }
            return times;
        }"""
        times = page.evaluate(timed, np.geomspace(0.1, 10, 60).tolist())
        assert np.median(times) <= MOST


def test_the_slider_of_beta_moves_pictures_and_encodes_again(browser: Any, make: Make) -> None:
    run = for_every_beta(make, "higgins_h", factors=False)
    with opened(browser, explorer.write(run).resolve().as_uri()) as page:
        assert page.locator("#beta-value").inner_text() == "1.00"
        page.locator("#active-latents input").first.evaluate(
            "input => { input.value = input.max; input.dispatchEvent(new Event('input')) }"
        )
        before, z = canvas(page, "#slot-A .picture"), code(page, "A")
        original = page.evaluate("Array.from(explorer.slots.A.pixels)")
        slide = "(input, [value, kind]) => { input.value = value; input.dispatchEvent(new Event(kind)) }"
        page.locator("#beta").evaluate(slide, [str(np.log(0.2)), "input"])
        beta = float(np.exp(float(page.locator("#beta").input_value())))
        moved = canvas(page, "#slot-A .picture")
        assert np.abs(moved.astype(int) - before).max() > 10
        assert torch.equal(code(page, "A"), z)
        at = run.model.at(beta)
        assert np.abs(moved - at.decode(z)[0].permute(1, 2, 0).numpy() * 255).max() <= 1
        assert float(page.locator("#beta-value").inner_text()) == pytest.approx(beta, rel=5e-3)

        page.locator("#beta").evaluate(slide, [str(np.log(beta)), "change"])
        settled(page)
        pixels = torch.tensor(original).reshape(1, *run.images.shape[1:], run.images.shape[0]).permute(0, 3, 1, 2)
        edited = page.locator("#active-latents input").first.get_attribute("id")
        kept = int(str(edited).removeprefix("z"))
        expected = at.encode(pixels)[0]
        expected[0, kept] = z[0, kept]
        assert torch.allclose(code(page, "A"), expected, atol=0.02)


def test_a_model_of_one_beta_has_no_such_slider(browser: Any, published: tuple[Any, str]) -> None:
    with opened(browser, published[1]) as page:
        assert page.locator("#beta").count() == 0
