"""The settings of [data]: how they are said, written and refused, and what a run trains on and scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.test_runs import SMALL

import equipoise as eq
from equipoise import assemble, runs
from equipoise import config as configuration
from equipoise.codes import index
from equipoise.data import Images
from equipoise.errors import InputError

VARIANTS = [
    "data.keep.shape=[0,2]",
    "data.keep.orientation=::2",
    "data.keep.scale=3",
    "data.n=5000",
    "data.split=[0.85,0.075,0.075]",
    "data.leave_out.shape=0",
    "data.leave_out.pos_x=16:",
    'data.correlate=["pos_x","pos_y"]',
    "data.sigma=0.2",
    "data.scored=left_out",
    "data.seed=7",
]


def resolve(*words: str) -> configuration.Config:
    return configuration.resolve({"data": "dsprites", **configuration.parse(words)})


def test_variants_are_said_in_words_and_in_toml_alike(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        """
        [data]
        name = "dsprites"
        n = 5000
        split = [0.85, 0.075, 0.075]
        correlate = ["pos_x", "pos_y"]
        sigma = 0.2
        scored = "left_out"
        seed = 7
        [data.keep]
        shape = [0, 2]
        orientation = "::2"
        scale = 3
        [data.leave_out]
        shape = 0
        pos_x = "16:"
        """
    )
    from_words, from_file = resolve(*VARIANTS), configuration.resolve(configuration.read(tmp_path / "own.toml"))
    assert from_words == from_file
    assert from_words.data.keep == {"shape": (0, 2), "orientation": "::2", "scale": 3}
    assert from_words.data.leave_out == {"shape": 0, "pos_x": "16:"}


def test_variants_come_back_from_the_written_settings(tmp_path: Path) -> None:
    before = resolve(*VARIANTS)
    (tmp_path / "config.toml").write_text(before.to_toml())
    written = configuration.read(tmp_path / "config.toml")
    for complete in (False, True):
        after = configuration.resolve(written, complete=complete)
        assert after == before
        assert configuration.identity(after) == configuration.identity(before)
    assert {key: value for key, value in written.items() if key not in ("out", "train.keep")} == before.flat()


def test_every_variant_makes_another_run() -> None:
    found = {configuration.identity(resolve(*VARIANTS[:i], *VARIANTS[i + 1 :])) for i in (0, 1, 2, 3, 5, 6, 9, 10)}
    assert len(found | {configuration.identity(resolve(*VARIANTS)), configuration.identity(resolve())}) == 10


def test_words_win_over_the_file_factor_by_factor(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[data]\nname = "dsprites"\n[data.keep]\nshape = [0, 2]\nscale = 3\n')
    said = configuration.read(tmp_path / "own.toml")
    one = configuration.resolve(said | configuration.parse(["data.keep.shape=1"]))
    assert one.data.keep == {"shape": 1, "scale": 3}
    whole = configuration.resolve(said | configuration.parse(["data.keep={pos_x=[1]}"]))
    assert whole.data.keep == {"pos_x": (1,)}


def test_a_slice_that_looks_like_a_time_is_a_slice() -> None:
    assert resolve("data.keep.orientation=10:40:10").data.keep == {"orientation": "10:40:10"}


@pytest.mark.parametrize(
    ("text", "value"), [(".15", 0.15), ("-.5", -0.5), (".2e-3", 2e-4), (".5px", ".5px"), ("./", "./")]
)
def test_a_number_may_begin_with_its_point(text: str, value: object) -> None:
    assert configuration.parse([f"method.start={text}"]) == {"method.start": value}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["data.keep.shape=0,2"],
            r"data\.keep\.shape is '0,2'; expected a code such as 2, codes such as \[0, 2\], or a",
        ),
        (["data.keep.shape=[]"], r"data\.keep\.shape is \(\); expected a code"),
        (["data.keep.shape=1.5"], r"data\.keep\.shape is 1\.5; expected a code"),
        (["data.keep.shape=true"], r"data\.keep\.shape is True; expected a code"),
        (["data.leave_out.shape=[0, true]"], r"data\.leave_out\.shape is \(0, True\); expected a code"),
        (["data.keep=5"], r"data\.keep is 5"),
        (["data.kept.shape=1"], r"data\.kept: no such setting of data; did you mean keep\?"),
        (["data.n=0"], r"data\.n is 0; input should be greater than or equal to 1"),
        (['data.correlate=["pos_x","pos_y"]'], r"set both, such as .*data\.sigma=0\.2"),
        (["data.sigma=0.2"], r"set both, such as data\.correlate="),
        (['data.correlate=["pos_x"]', "data.sigma=1"], r"data\.correlate is \('pos_x',\)"),
        (['data.correlate=["pos_x","pos_y"]', "data.sigma=0"], r"data\.sigma is 0; input should be greater than 0"),
        (["data.scored=tset"], r"data\.scored is 'tset'; input should be 'train', 'validation', 'test', 'all' or"),
        (["data.scored=test"], r"data\.scored is test, but there is no split"),
        (["data.scored=validation", "data.split=[0.5,0.5]"], r"data\.split has 2 parts; give three"),
        (["data.scored=left_out"], r"data\.scored is left_out, but data\.leave_out is not set"),
        (["data.split=[1.0]"], r"expected two or more positive fractions"),
        (["data.factors="], r"data\.factors is ''"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        resolve(*words)
    assert "\n" not in str(refused.value)


def train(data: str, out: Path, *words: str) -> eq.Run:
    said: dict[str, object] = {"data": data, "method": "vae", "out": str(out), "train.steps": 4, **SMALL}
    said |= {"evaluate.which": ["sse", "kl"], "train.batch": 8, **configuration.parse(words)}
    return runs.execute(configuration.resolve(said), progress=False)


def test_a_run_trains_on_the_variant_and_scores_what_is_named(squares: Callable[[], str], tmp_path: Path) -> None:
    data, words = squares(), ["data.leave_out.size=1:", "data.leave_out.x=3:", "data.scored=left_out"]
    done = train(data, tmp_path / "run", *words)
    assert done.meta["images"] == 75 - 20
    assert {tuple(row[:2]) for row in done.codes["factors"]} == {(1, 3), (1, 4), (2, 3), (2, 4)}
    assert len(done.codes["factors"]) == 20
    again = eq.open_run(done.path)
    assert np.array_equal(again.images.factors, done.images.factors)
    assert train(data, tmp_path / "run", *words).logs == done.logs


def test_images_scored_beside_a_split_are_of_all_its_parts(squares: Callable[[], str], tmp_path: Path) -> None:
    done = train(squares(), tmp_path / "run", "data.split=[0.6,0.4]", "data.scored=all", "evaluate.n=30")
    trained = eq.load_data(done.config.data.name).split([0.6, 0.4])[0]
    assert len(done.images) == 75
    seen = {tuple(row) for row in trained.factors.tolist()} if trained.factors is not None else set()
    scored = [tuple(row) in seen for row in done.codes["factors"].tolist()]
    assert 10 <= sum(scored) <= 26


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data.keep.colour=1"], "has no factor 'colour'; it has size, x, y"),
        (["data.keep.size=3"], r"the factor size takes the codes 0\.\.2, not 3"),
        (["data.leave_out.size=0:3"], "all images have the codes size 0:3"),
        (["data.n=76"], r"data\.n is 76 but .* has 75 images"),
        (['data.correlate=["size","hue"]', "data.sigma=1"], "has no factor 'hue'"),
        (["data.n=1"], "has 1 image, and training needs at least 2; add images"),
    ],
)
def test_what_the_data_do_not_allow_is_refused_before_any_work(
    words: list[str], sentence: str, squares: Callable[[], str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        train(squares(), tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_another_variant_in_the_same_folder_is_refused(squares: Callable[[], str], tmp_path: Path) -> None:
    data = squares()
    train(data, tmp_path / "run", "data.keep.size=[0,1]")
    for words in (["data.keep.size=[0,2]"], ["data.keep.size=[0,1]", "data.seed=1"], []):
        with pytest.raises(InputError, match=r"holds another run \(data\.(keep|seed) is"):
            train(data, tmp_path / "run", *words)


@pytest.mark.filterwarnings("ignore::equipoise.metrics.result.ScoreWarning")  # three images
def test_few_images_make_a_smaller_batch_and_a_note(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 16, 16), dtype=np.uint8)
    for _ in range(2):  # the second call finds the run finished
        run = eq.train(Images(pixels, name="few"), "beta-vae", net="mlp_lvae", steps=3, out=tmp_path / "run")
    assert capfd.readouterr().err.count("few has 3 images, so each batch has 3, not train.batch=64.") == 1
    assert run.meta["parts"]["batch"] == 3
    assert eq.report.notes(run)[0] == "There were only 3 images to train on, so each batch had 3 images, not 64."
    with pytest.raises(InputError, match="few has 1 image, and training needs at least 2; add images"):
        eq.train(Images(pixels[:1], name="few"), "beta-vae", net="mlp_lvae", steps=3, out=tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_settings_for_files_are_refused_for_images_that_are_there(tmp_path: Path) -> None:
    images = Images(np.zeros((20, 1, 16, 16), np.uint8), name="own")
    for key, value in (("data.crop", 8), ("data.factors", "folders"), ("data.skip_damaged", True)):
        with pytest.raises(InputError, match=f"{key} applies to image files"):
            eq.train(images, "vae", out=tmp_path / "run", settings={key: value}, progress=False)


def test_how_files_are_read_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def load(name: str, **reading: Any) -> Images:
        told.append({"name": name, **reading})
        return Images(np.zeros((4, 1, 16, 16), np.uint8), name=name)

    monkeypatch.setattr(assemble, "load_data", load)
    said = ["data=own", "data.size=16", "data.crop=20", "data.grey=true", "data.factors=2021-01-01"]
    assemble.load_images(resolve(*said, "data.skip_damaged=true", "data.range=0:9", "data.key=1"), None)
    reading = {"size": 16, "crop": 20, "grey": True, "factors": "2021-01-01", "skip_damaged": True}
    reading |= {"range": "0:9", "key": "1", "scaling": None}
    assert told == [{"name": "own", **reading}]


def test_starting_and_resuming_on_known_data_reads_only_what_is_trained_on_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5000, 1, 16, 16), dtype=np.uint8)
    images = Images(rows, name="large", digest="large-1")
    read: list[int] = []
    whole = images._pixels.bytes
    monkeypatch.setattr(images._pixels, "bytes", lambda rows: (read.extend(np.asarray(rows).tolist()), whole(rows))[1])
    settings = {**SMALL, "train.batch": 8, "evaluate.n": 20, "evaluate.which": ["sse"]}
    for _ in range(2):
        done = eq.train(images, "vae", steps=4, out=tmp_path / "run", settings=settings, progress=False)
    assert 20 <= len(set(read)) <= 4 * 8 + 20 + 8, "batches, a look at the second stream, and the encoded images"
    assert len(done.codes["index"]) == len(index(images, 20)) == 20
    digest = json.loads((done.path / "meta.json").read_text())["data"]["digest"]
    assert len(digest) == 10
    other = Images(rows, name="large", digest="large-2")
    with pytest.raises(InputError, match="holds another run"):
        eq.train(other, "vae", steps=4, out=tmp_path / "run", settings=settings, progress=False)


def test_factors_beside_a_run_on_a_relative_path_are_found_from_anywhere(
    squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with np.load(squares()) as file:
        np.save(tmp_path / "own.npy", file["images"])
        table = ["size,x,y", *(",".join(map(str, row)) for row in file["factors"])]
    (tmp_path / "factors.csv").write_text("\n".join(table))
    monkeypatch.chdir(tmp_path)
    done = train("own.npy", Path("run"), "data.factors=factors.csv", "data.keep.size=[0,1]")
    assert done.meta["images"] == 50
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(eq.open_run("../run").images) == 50
