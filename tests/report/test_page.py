"""The page of a run: whole, alone, safe, and true to the files."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equipoise import report
from equipoise.methods.beta_vae import BetaVAE
from equipoise.metrics import Score
from equipoise.report import page as page_module

Make = Callable[..., Any]
VOID = {"meta"}


class Reader(HTMLParser):
    """Tags and attributes of a page, its visible text, its numbers, and whether every element is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.numbers: list[tuple[float, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.numbers.append((float(dict(attrs)["value"] or "nan"), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "data":
            self.numbers[-1] = (self.numbers[-1][0], data)

    def has(self, value: float, digits: int = 3) -> bool:
        """Whether the page shows this number, rounded so, with just this value behind it."""
        return (float(value), f"{value:,.{digits}f}") in self.numbers


def test_page_and_pictures_are_written_and_nothing_else(make: Make) -> None:
    run = make()
    assert report.write(run) == run.path / "report.html"
    assert {path.name for path in run.path.iterdir()} == {"config.toml", "pictures", "report.html"}
    names = {"reconstructions", "traversals", "factors", "information", "kl", "training"}
    assert {path.name for path in (run.path / "pictures").iterdir()} == {f"{name}.png" for name in names}
    for path in (run.path / "pictures").iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert min(picture.size) > 100


def test_the_page_loads_nothing_and_runs_nothing(make: Make) -> None:
    path = report.write(make())
    read = Reader(path)
    assert read.open == []
    assert not read.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for name, value in read.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            assert value.startswith(("#", "data:image/png;base64,"))
    text = path.read_text()
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "default-src 'none'" in text


HOSTILE = ('<script>alert("a")</script>', "<img src=x onerror=alert(1)>", r"$\frac{1}$ & '\"")


def test_hostile_names_are_shown_and_not_obeyed(make: Make) -> None:
    run = make(
        name='"><svg onload=alert(1)>',
        factor_names=HOSTILE,
        folder="<b onclick=alert(1)>run",
        settings="x = '</pre><script>alert(1)</script>'",
        command="equipoise train data='<iframe src=http://example.org>'",
    )
    run.meta["<u>key"] = {"<i>": ["<script>"]}
    sap = Score(value=0.5, per_factor=np.array([0.1, 0.2, 0.3]), left_out={"factor 1": "<s>why"})
    run.scores["<em>sap"] = sap
    read = Reader(report.write(run))
    plain = Reader(report.write(make(folder="plain")))
    assert read.tags == plain.tags
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    for said in (*HOSTILE[:2], run.images.name, run.path.name, "<iframe src=", "</pre>", "<u>key", "<s>why", "<em>sap"):
        assert said in read.text


def test_the_numbers_are_those_of_the_files(make: Make) -> None:
    run = make()
    scores = {
        name: Score(
            value=0.1 * k + 0.01234567,
            low=0.1 * k,
            high=0.1 * k + 0.05,
            n=1234 + k,
            seconds=2.5 + k,
            per_factor=np.array([0.3 + 0.01 * k, np.nan, 0.4]),
            left_out={"factor 1": "one value only"},
            baseline=0.07 + 0.001 * k,
            attainable=0.9 + 0.001 * k,
        )
        for k, name in enumerate(page_module.HEADLINE)
    }
    mig = run.scores["mig"]
    run = run.but(scores=scores | {"mig": mig})
    read = Reader(report.write(run))
    mean, logvar = run.codes["mean"].astype(float), run.codes["logvar"].astype(float)
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)
    assert read.has(float(np.mean(run.codes["sse"])), 2)
    assert read.has(run.logs[-1]["beta_equivalent"])
    shown = [value for value, _ in read.numbers]
    for value in (kl.sum(), kl[0], kl[1]):
        assert min(abs(np.array(shown) - value)) < 1e-6
    assert "2 of 4" in read.text
    for name, score in scores.items():
        if name != "mig":
            assert all(
                read.has(value) for value in (score.value, score.low, score.high, score.baseline, score.attainable)
            )
            assert all(read.has(value, 2) for value in (score.seconds, score.per_factor[0], score.per_factor[2]))
            assert f"{score.n:,}" in read.text
    assert "left out: down (one value only)" in read.text
    assert all(read.has(value, 2) for value in mig.matrix.max(axis=1))
    assert (run.path / "config.toml").read_text() in read.text
    assert run.meta["command"] in read.text


def test_each_latent_is_told_with_its_factor_and_pictures(make: Make) -> None:
    read = Reader(report.write(make()))
    assert re.search(r"z0\s+\d\.\d\d nats\s+follows across \(MI \d\.\d\d nats of 2\.08; falls as it rises\)", read.text)
    assert re.search(r"z1\s+\d\.\d\d nats\s+follows down \(MI \d\.\d\d nats of 2\.08; rises with it\)", read.text)
    assert "Collapsed to the prior, without effect on the picture: z2 (0.000 nats), z3 (0.000 nats)." in read.text
    assert {value for name, value in read.attributes if name == "id" and value.startswith("z")} == {"z0", "z1"}


def test_a_run_without_factors_shows_what_can_be_known(make: Make) -> None:
    run = make(factors=False, channels=3)
    read = Reader(report.write(run))
    assert "without known factors" in read.text
    assert "These images come without factors" in read.text
    assert "in colour" in read.text
    assert not (run.path / "pictures" / "information.png").exists()
    assert {"scores", "information"}.isdisjoint({value for name, value in read.attributes if name == "id"})
    assert {"latents", "images", "training", "z0", "z1"} <= {value for name, value in read.attributes if name == "id"}


def test_a_run_without_scores_tells_latents_by_their_curves(make: Make) -> None:
    run = make(scored=False)
    read = Reader(report.write(run))
    assert "There are no scores" in read.text
    assert "follows across (explains" in read.text
    assert not (run.path / "pictures" / "information.png").exists()
    assert (run.path / "pictures" / "factors.png").exists()


def test_a_collapsed_run_shows_that_nothing_moves(make: Make) -> None:
    read = Reader(report.write(make(dead=True)))
    assert "Posterior collapse" in read.text
    assert "No latent is active" in read.text
    assert "0 of 4" in read.text


@pytest.mark.parametrize("rows", [0, 1, 3000])
def test_any_length_of_log_is_drawn(make: Make, log: Make, rows: int) -> None:
    run = make(method=BetaVAE()).but(logs=log(rows))
    read = Reader(report.write(run))
    assert (run.path / "pictures" / "training.png").exists() == (rows > 0)
    assert ("The log is empty." in read.text) == (rows == 0)
    assert f"trained for {100 * rows or 400:,} steps" in read.text
    assert (run.path / "report.html").stat().st_size < 500_000


def test_a_log_of_another_balance_is_drawn(make: Make, log: Make) -> None:
    rows = [
        {**row, "beta_equivalent": None, "kl": row["kl"], "tc": 0.5, "weight.tc": 6.0, "integral": -0.1 * row["step"]}
        for row in log(5)
    ]
    rows = [{key: value for key, value in row.items() if "sigma" not in key} for row in rows]
    read = Reader(report.write(make(method=BetaVAE()).but(logs=rows)))
    for title in ("other terms, nats per image", "state of the balance"):
        assert title in read.text
    assert "√(R / K)" not in read.text


def test_many_factors_are_drawn_by_those_that_matter(make: Make) -> None:
    run = make(factors=True)
    table = np.random.default_rng(0).integers(0, 3, (len(run.images), 40))
    table[:, 33] = run.images.factors[:, 0]
    names = tuple(f"attribute_{k}" for k in range(40))
    images = type(run.images)(
        run.images.pixels(np.arange(len(run.images))), name="many", factors=table, factor_names=names
    )
    codes = {**run.codes, "factors": table[run.codes["index"]]}
    read = Reader(report.write(run.but(images=images, codes=codes, scores={})))
    assert "follows attribute_33" in read.text
    assert "attribute_33" in re.findall(r"attribute_\d+", read.text.split("What each latent does")[1])


def test_a_page_is_the_same_each_time(make: Make) -> None:
    run = make()
    assert report.write(run).read_bytes() == report.write(run).read_bytes()


def test_an_interrupted_page_leaves_the_old_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    before = report.write(run).read_bytes()
    monkeypatch.setattr(page_module.figures, "png", lambda figure: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write(run)
    assert (run.path / "report.html").read_bytes() == before
    assert not list(run.path.rglob(".*"))
