"""The page of a run: whole, alone, safe, and true to the files."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from equipoise import report, runs
from equipoise.export import hub
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.isa_vae import ISAVAE
from equipoise.metrics import Score, headline
from equipoise.priors import LpNested
from equipoise.report import findings as findings_module
from equipoise.report.findings import analyse
from equipoise.report.sections import section
from equipoise.report.sections.learned import STARTS
from equipoise.report.sentences import lead, listing

Make = Callable[..., Any]
VOID = {"meta"}


class Reader(HTMLParser):
    """Tags and attributes of a page, its visible text, its numbers, and whether every element is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sequence: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.numbers: list[tuple[float, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sequence.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.numbers.append((float(dict(attrs)["value"] or "nan"), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sequence.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "data":
            self.numbers[-1] = (self.numbers[-1][0], data)

    @property
    def count(self) -> Counter[str]:
        """How many elements of each kind there are."""
        return Counter(self.sequence)

    def has(self, value: float) -> bool:
        """Whether this very value stands behind a number on the page."""
        return float(value) in [exact for exact, _ in self.numbers]


@pytest.fixture(scope="module")
def run(make: Make) -> Any:
    """A run with its page written, for tests that only read it."""
    run = make(folder="read-only")
    assert report.write(run) == run.path / "report.html"
    return run


def test_page_and_pictures_are_written_and_nothing_else(run: Any) -> None:
    assert {path.name for path in run.path.iterdir()} == {"config.toml", "scores.json", "pictures", "report.html"}
    pictures = {path.name: path for path in (run.path / "pictures").iterdir()}
    pixels = {"traversals", "reconstructions", "samples", "latents-vs-factors", "information", "code-map"}
    assert set(pictures) == {*(f"{name}.png" for name in pixels), "traversals.gif", "tradeoff.svg", "curves.svg"}
    assert {f"{name}.png" for name in hub.PICTURES} <= set(pictures), "the card of a model shows other pictures"
    for name, path in pictures.items():
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
            continue
        with Image.open(path) as picture:
            picture.load()
            assert f".{picture.format.lower()}" == path.suffix, name
            assert min(picture.size) > 100


def test_the_page_loads_nothing_and_runs_nothing(run: Any) -> None:
    path = run.path / "report.html"
    read = Reader(path)
    assert read.open == []
    assert not read.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for name, value in read.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            assert value.startswith(("#", "data:image/png;base64,", "data:image/gif;base64,"))
    text = path.read_text()
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "default-src 'none'" in text


HOSTILE = (
    '<script>alert("a")</script>',
    "<img src=x onerror=alert(1)>",
    "\u4f4d\u7f6e\U0001f600 $x$ & '\"",
)  # no font has all


def test_hostile_names_are_shown_and_not_obeyed(run: Any, make: Make) -> None:
    plain = Reader(run.path / "report.html")
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
    assert read.tags == plain.tags
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    for said in (*HOSTILE, run.images.name, run.path.name, "<iframe src=", "</pre>", "<u>key", "<s>why", "<em>sap"):
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
        for k, name in enumerate(headline())
    }
    mig = run.scores["mig"]
    run = run.but(scores=scores | {"mig": mig})
    read = Reader(report.write(run))
    mean, logvar = run.codes["mean"].astype(float), run.codes["logvar"].astype(float)
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)
    assert read.has(float(np.mean(run.codes["sse"])))
    assert read.has(run.logs[-1]["beta_equivalent"])
    shown = [value for value, _ in read.numbers]
    for value in (kl.sum(), kl[0], kl[1]):
        assert min(abs(np.array(shown) - value)) < 1e-6
    assert "2 of 4" in read.text
    assert "Convention: default." in read.text
    for name, score in scores.items():
        if name != "mig":
            assert all(
                read.has(value) for value in (score.value, score.low, score.high, score.baseline, score.attainable)
            )
            assert all(read.has(value) for value in (score.per_factor[0], score.per_factor[2]))
            assert f"{score.n:,}" in read.text
    for exact, text in read.numbers:
        assert float(text.replace(",", "").replace("−", "-")) == pytest.approx(exact, rel=5e-3, abs=0.00501)
    assert "left out: down (one value only)" in read.text
    assert all(read.has(value) for value in mig.matrix.max(axis=1))
    assert (run.path / "config.toml").read_text() in read.text
    assert run.meta["command"] in read.text


def test_under_a_prior_of_subspaces_latents_have_information_and_subspaces_a_kl(make: Make) -> None:
    run = make(prior=LpNested((2, 2), learned=True), method=ISAVAE(layout=(2, 2), learned=True))
    last = {key: value for key, value in run.logs[-1].items() if "sigma" not in key}
    run = run.but(logs=[{**last, "kl_dims": [3.0, 1.0], "exponents": [2.1, 2.2], "step": step} for step in (1, 2)])
    read = Reader(report.write(run))
    found = analyse(run)
    assert found.measure == "information"
    assert found.estimated
    assert all(read.has(value) for value in (found.kl.sum(), *found.kl, found.nats[0], found.nats[1]))
    assert re.search(
        r"KL of each subspace, estimated from one sample per image: z0–z1 [\d.−]+ nats, z2–z3 [\d.−]+ nats", read.text
    )
    for phrase in (
        "sorted by information (info)",
        "The active latents, sorted by information.",
        "estimated from one sample per image",
    ):
        assert phrase in read.text
    assert "sorted by the KL" not in read.text
    told = re.findall(r"(?:KL|info) [\d.]+, MI [\d.]+ nats", read.text)
    assert [text.split()[0] for text in told] == ["info", "info"]


def test_equivalents_are_those_that_the_log_has(make: Make) -> None:
    run = make(method=BetaVAE())
    more = {"tc_equivalent": 6.5, "weight.tc": 6.5, "weight.kl_dims": [1.0] * 4, "beta_equivalent": -2.0}
    read = Reader(report.write(run.but(logs=[row | more for row in run.logs])))
    assert read.has(6.5)
    assert read.has(-2.0)
    assert "unit of squared error, mean over latents; a negative weight rewards the term" in read.text
    assert "weight of the total correlation per unit of squared error" in read.text
    assert "Constant weights: rec 0.444, kl 0.640, tc 6.50." in read.text
    rows = [{key: row[key] for key in ("step", "loss", "rec")} for row in run.logs]
    assert "equivalent" not in Reader(report.write(run.but(logs=rows))).text


def test_each_latent_is_told_with_its_factor_and_pictures(run: Any) -> None:
    read = Reader(run.path / "report.html")
    assert re.search(r"z0\s+\d\.\d\d\s+follows across \(MI \d\.\d\d nats of 2\.08; falls as it rises\)", read.text)
    assert re.search(r"z1\s+\d\.\d\d\s+follows down \(MI \d\.\d\d nats of 2\.08; rises with it\)", read.text)
    assert re.search(r"z0 +across\s+KL \d\.\d\d, MI \d\.\d\d nats", read.text)
    assert "Inactive, with no visible effect on the picture: z2 (0.000 nats), z3 (0.000 nats)." in read.text
    assert {value for name, value in read.attributes if name == "id" and value.startswith("z")} == {"z0", "z1"}


def test_the_page_begins_with_what_was_learned_in_plain_words(run: Any) -> None:
    words = " ".join(Reader(run.path / "report.html").text.split())
    assert (
        "The model was trained on 256 images of blobs, without their labels. It encodes each image as 4 numbers"
        in words
    )
    assert re.search(
        r"Of its 4 latents, 2 are used and 2 are unused\. They encode \d+\.\d nats \(\d+ bits\) per image\.", words
    )
    assert "Compared with the labels, z0 follows across; z1 follows down. No latent follows mood." in words


def test_one_name_beyond_eight_is_one_other() -> None:
    names = [f"z{j}" for j in range(10)]
    assert listing(names[:9]).endswith(", z7 and 1 other")
    assert listing(names, "or").endswith(", z7 or 2 others")


def test_latents_that_hardly_say_anything_are_counted_and_not_named(run: Any) -> None:
    found = analyse(run)
    first, second, *idle = found.latents
    words = " ".join(lead(run, replace(found, latents=[first, replace(second, nats=0.09 * first.nats), *idle])))
    assert "Of its 4 latents, 1 is used, 1 is weak and 2 are unused. They encode" in words
    assert f"z{first.index} follows {first.factor}. No latent follows {second.factor} or mood." in words


def test_each_picture_is_told_in_words_of_this_run(run: Any) -> None:
    read = Reader(run.path / "report.html")
    sse = np.sort(run.codes["sse"])
    told = [value for name, value in read.attributes if name == "aria-label"]
    drawn = [text for text in told if text not in ("Sections", "Warnings")]
    assert len(drawn) == read.count["svg"] == read.count["figure"] - 1 == 7  # the traversals are images
    images = [value for name, value in read.attributes if name == "alt"]
    assert len(images) == read.count["img"] == 1 + STARTS + 2 * STARTS
    pictures = [*drawn, *images]
    assert len(pictures) == len(set(pictures))
    said = " ".join(pictures)
    for words in (
        "z0 (across) and z1 (down)",
        "over across, down and mood",
        "3 factors and 2 latents",
        "A map of 256 codes, coloured by across, down and mood.",
        "from 46 to 16",
    ):
        assert words in said
    assert f"and of the 10 worst, {sse[-10]:.1f} to {sse[-1]:.1f}." in said


def test_headings_and_tables_are_in_order_for_those_who_hear_the_page(run: Any) -> None:
    read = Reader(run.path / "report.html")
    levels = [int(tag[1]) for tag in read.sequence if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert read.count["th"] == sum(name == "scope" for name, _ in read.attributes)
    assert read.count["table"] == read.count["caption"] == 3
    assert read.count["main"] == read.count["nav"] == 1
    # What scrolls sideways on a narrow screen can be reached with the keyboard.
    reached = sum(name == "tabindex" for name, _ in read.attributes)
    assert read.attributes.count(("class", "wide")) + read.count["pre"] == reached


def test_a_run_without_factors_shows_what_can_be_known(make: Make) -> None:
    run = make(factors=False, channels=3)
    read = Reader(report.write(run))
    assert "without known factors" in read.text
    assert "The factors of variation of these images are not known" in read.text
    assert "in colour" in read.text
    assert not (run.path / "pictures" / "information.png").exists()
    assert {"scores", "factors"}.isdisjoint({value for name, value in read.attributes if name == "id"})
    assert not (run.path / "pictures" / "latents-vs-factors.png").exists()
    assert {"learned", "images", "samples", "training", "z0", "z1"} <= {
        value for name, value in read.attributes if name == "id"
    }


def test_a_run_without_scores_tells_latents_by_their_curves(make: Make) -> None:
    run = make(scored=False)
    read = Reader(report.write(run))
    assert "There are no scores" in read.text
    assert "follows across (explains" in read.text
    assert not (run.path / "pictures" / "information.png").exists()
    assert (run.path / "pictures" / "latents-vs-factors.png").exists()


def test_a_collapsed_run_shows_that_nothing_moves(make: Make) -> None:
    run = make(dead=True)
    read = Reader(report.write(run))
    assert "Posterior collapse" in read.text
    assert "No latent is active" in read.text
    assert "No latent is active: every image is decoded to the same picture." in read.text
    assert not (run.path / "pictures" / "latents-vs-factors.png").exists()
    assert "4 unused" in read.text


def test_a_short_run_of_three_images_and_one_latent_is_described_as_it_was(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(3, 16, 16), dtype=np.uint8)
    settings = {"net.latent": 1, "evaluate.which": "sse", "train.batch": 64}
    run = runs.train(pixels, "vae", net="burgess", steps=1, out=tmp_path / "run", settings=settings, progress=False)
    text = " ".join(Reader(run.path / "report.html").text.split())
    assert "It encodes each image as 1 number, its latent, and decodes the image from it." in text
    assert "1 latent, 1 step with batches of 3." in text
    assert "No latent is active. Each latent is varied by" in text
    assert "The traversals show what each latent encodes" not in text


def test_a_run_without_log_says_so(make: Make) -> None:
    run = make().but(logs=[])
    assert "The log is empty." in Reader(report.write(run)).text
    assert not (run.path / "pictures" / "curves.svg").exists()


def test_many_factors_are_drawn_by_those_that_matter(make: Make) -> None:
    run = make(factors=True)
    table = np.random.default_rng(0).integers(0, 3, (len(run.images), 40))
    table[:, 33] = run.images.factors[:, 0]
    names = tuple(f"attribute_{k}" for k in range(40))
    images = type(run.images)(
        run.images.pixels(np.arange(len(run.images))), name="many", factors=table, factor_names=names
    )
    codes = {**run.codes, "factors": table[run.codes["index"]]}
    meta = {**run.meta, "data": {"factor_names": list(names)}}
    read = Reader(report.write(run.but(images=images, codes=codes, meta=meta, scores={})))
    assert "follows attribute_33" in read.text
    assert "attribute_33" in re.findall(r"attribute_\d+", read.text.split("Latents and factors")[-1])


def test_many_latents_are_drawn_up_to_a_number_and_all_are_listed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings_module, "MOST", 1)
    read = Reader(report.write(make()))
    assert "1 of 2 active latents are shown." in read.text
    assert {"z0", "z1"} <= {value for name, value in read.attributes if name == "id"}


def test_a_few_images_are_all_shown_from_best_to_worst(make: Make) -> None:
    run = make()
    codes = {name: values[:12] if values.ndim else values for name, values in run.codes.items()}
    codes["sse"] = np.arange(12.0)[::-1] + 0.5
    read = Reader(report.write(run.but(codes=codes, scores={})))
    assert "Images are sorted from the smallest to the largest error." in read.text
    assert "images with squared errors of 0.5 to 11.5." in " ".join(v for _, v in read.attributes)


def test_a_page_is_the_same_each_time_and_an_interrupted_one_leaves_the_old(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run.path / "report.html").read_bytes()
    assert report.write(run).read_bytes() == before
    monkeypatch.setattr(section, "png", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write(run.but(logs=[]))
    assert (run.path / "report.html").read_bytes() == before
    assert not list(run.path.rglob(".*"))
