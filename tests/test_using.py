"""Using a trained run: the commands sample, decode, traverse, nearest, outliers, map and pipe, and their methods."""

import csv
import io
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import equipoise as eq
from equipoise.cli import app, main
from equipoise.codes import Codes
from equipoise.commands import COMMANDS
from equipoise.data.export import to_path
from equipoise.errors import InputError
from equipoise.run import Run

PAGE = Path(__file__).parent.parent / "docs" / "using.md"
COUNT = 40  # images
SETTINGS = {"train.batch": 8, "evaluate.which": ["sse"], "net.latent": 6, "train.threads": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two steps on a folder of images."""
    folder = tmp_path_factory.mktemp("using")
    (folder / "images").mkdir()
    for number, picture in enumerate(np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16), np.uint8)):
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUIPOISE_CACHE", str(folder / "cache"))
        return eq.train(
            folder / "images", "vae", net="burgess", steps=2, out=folder / "run", settings=SETTINGS, progress=False
        )


@pytest.fixture
def run(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run as runs/first of an empty folder, with its images in path/to/images."""
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.path, "runs/first")
    shutil.copytree(trained.path.parent / "images", "path/to/images")
    return eq.open_run("runs/first")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("words", [["sample", "runs/first"], ["export", "runs/first"], ["pipe", "runs/first"]])
def test_the_model_of_an_unfinished_training_has_a_note(words: list[str]) -> None:
    settings = Path("runs/first/config.toml")
    settings.write_text(settings.read_text(encoding="utf-8").replace("steps = 2\n", "steps = 2000\n"), encoding="utf-8")
    with pytest.warns(UserWarning, match="training of runs/first has reached step 2 of 2,000") as caught:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert len(caught) == 1


@pytest.mark.usefixtures("run")
def test_every_command_of_the_page_and_of_the_help_runs() -> None:
    lines = re.findall(r"^equipoise (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    lines = [line.replace("--seen 20000", "--seen 640") for line in lines]
    lines = [re.sub(r"train\.steps=\d+", "train.steps=2 train.threads=1 evaluate.which=sse", line) for line in lines]
    for name in ("sample", "decode", "traverse", "nearest", "outliers", "map", "pipe"):
        assert sum(line.startswith(f"{name} ") for line in lines) >= 2
    shutil.copy("path/to/images/0.png", "photo.png")
    for line in lines:
        done = CliRunner().invoke(app, line.split())
        assert done.exit_code == 0, f"{line}: {done.output} {done.exception}"
    CliRunner().invoke(app, ["encode", "runs/first", "photo.png", "--out", "codes.npz"])
    for name in ("sample", "decode", "traverse", "nearest", "outliers", "map", "pipe"):
        examples = re.findall(r"^ +equipoise (.+)$", COMMANDS[name].__doc__ or "", re.MULTILINE)
        assert len(examples) == 2
        for words in examples:
            shutil.rmtree("samples", ignore_errors=True)
            shutil.rmtree("pictures", ignore_errors=True)
            quick = ["--seen", "640"] if name == "pipe" else []
            done = CliRunner().invoke(app, words.split() + quick)
            assert done.exit_code == 0, f"{words}: {done.output} {done.exception}"
    with Image.open("samples.png") as picture:
        assert picture.size == (5 * 66 - 2, 4 * 66 - 2)  # images of 16 pixels, enlarged to 64
    with np.load("samples.npz") as file:
        assert file["images"].shape == (100, 1, 16, 16)
        assert file["factors"].shape == (100, 6)
    with Image.open("traversals.gif") as moving:
        assert moving.n_frames == 28


@pytest.mark.extra
def test_a_film_has_the_frames_of_the_animation_three_times(run: Run, tmp_path: Path) -> None:
    import imageio_ffmpeg

    with Image.open(io.BytesIO(run.animation(latents=[1], steps=5))) as gif:
        first, size, count = np.asarray(gif.convert("RGB")), gif.size, gif.n_frames
    (tmp_path / "film.mp4").write_bytes(run.animation(latents=[1], steps=5, kind="mp4"))
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))[0] == 3 * count == 24
    frames = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    width, height = next(frames)["size"]
    assert (width - width % 2, height - height % 2) == (width, height)
    assert 0 <= width - size[0] < 2
    assert 0 <= height - size[1] < 2
    pixels = np.frombuffer(next(frames), np.uint8).reshape(height, width, 3)[: size[1], : size[0]]
    assert np.abs(pixels.astype(int) - first).mean() < 3  # the film is compressed


def test_a_film_needs_an_optional_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match=r"pip install equipoise\[video\], or write a .gif"):
        run.animation(kind="mp4")


def test_samples_are_those_of_the_prior_decoded_and_repeat_with_the_seed(run: Run) -> None:
    images = run.sample(7, seed=3)
    codes = torch.randn(7, 6, generator=torch.Generator().manual_seed(3))
    assert images.factors is not None
    np.testing.assert_array_equal(images.factors, codes.numpy())
    expected = (run.model.decode(codes) * 255).round().to(torch.uint8).numpy()
    np.testing.assert_array_equal(images.pixels(range(7)), expected)
    assert not np.array_equal(run.sample(7, seed=4).factors, images.factors)


@pytest.mark.parametrize("kind", ["csv", "npz", "npy", "parquet"])
def test_decode_reads_what_encode_writes(kind: str, run: Run) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    CliRunner().invoke(app, ["encode", "runs/first", "path/to/images", "--out", f"codes.{kind}"])
    images = run.decode(f"codes.{kind}")
    mean = torch.from_numpy(run.encode("path/to/images")["mean"])
    expected = (run.model.decode(mean) * 255).round().to(torch.uint8).numpy()
    difference = images.pixels(range(COUNT)).astype(int) - expected.astype(int)
    assert np.abs(difference).max() <= 1


def test_codes_of_another_model_are_named(run: Run) -> None:
    run.decode("runs/first/codes.npz")
    with np.load("runs/first/codes.npz") as arrays:
        np.savez("other.npz", **{**arrays, "checkpoint": np.array("0" * 16)})
    with pytest.warns(
        UserWarning, match=r"other\.npz has codes of another model than that of runs/first, whose latents"
    ):
        run.decode("other.npz")


def test_columns_of_codes_may_stand_in_any_order_among_others(run: Run) -> None:
    rows = ["name,z5,z4,z3,z2,z1,z0", "a,5,4,3,2,1,0"]
    Path("mine.csv").write_text("\n".join(rows))
    images = run.decode("mine.csv")
    assert images.factors is not None
    assert images.factors.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert run.decode([0, 1, 2, 3, 4, 5]).factors.tolist() == [[0, 1, 2, 3, 4, 5]]


def test_neighbours_are_those_with_the_smallest_distance_in_the_chosen_latents(run: Run) -> None:
    mean, index = run.codes["mean"].astype(float), run.codes["index"]
    query = run.encode("path/to/images/3.png")["mean"].astype(float)
    for latents in (None, [1, 4]):
        columns = list(range(6)) if latents is None else latents
        distance = np.sqrt(((mean - query)[:, columns] ** 2).sum(1))
        order = np.argsort(distance)[:5]
        found = run.nearest("path/to/images/3.png", 5, latents)
        assert found.index.tolist() == [index[order].tolist()]
        np.testing.assert_allclose(found.distance[0], distance[order], atol=1e-5)
    files = {int(i): file for i, file in zip(index, run.codes["files"], strict=True)}
    done = CliRunner().invoke(app, ["nearest", "runs/first", "path/to/images/3.png", "--n", "2", "--out", "near.csv"])
    assert done.output.splitlines()[-1] == "wrote near.csv"
    rows = list(csv.DictReader(Path("near.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0]["file"] == "3.png"
    assert [files[int(row["index"])] for row in rows] == [row["file"] for row in rows]
    assert [row["rank"] for row in rows] == ["1", "2"]


def test_outliers_have_the_largest_value_of_their_measure(run: Run) -> None:
    codes = run.codes
    distances = np.linalg.norm(codes["mean"][:, None].astype(float) - codes["mean"][None], axis=2)
    expected = {
        "elbo": codes["kl"] - codes["log_px_z"],
        "error": codes["sse"],
        "kl": codes["kl"],
        "code": np.sort(distances, axis=1)[:, 1:11].mean(axis=1),
    }
    for by, values in expected.items():
        result = run.outliers(4, by)
        order = np.argsort(-values)[:4]
        np.testing.assert_allclose(result.value, values[order], rtol=1e-5)
        assert result.index.tolist() == codes["index"][order].tolist()
        np.testing.assert_allclose(result.share, [(COUNT - 1 - rank) / COUNT for rank in range(4)])


def test_the_column_of_a_bound_with_another_sign_has_another_name(run: Run) -> None:
    words = ["outliers", str(run.path), "--n", "1"]
    for by, column in (("elbo", "negative_elbo"), ("kl", "kl")):
        done = CliRunner().invoke(app, [*words, "--by", by, "--out", "far.csv"])
        assert done.exit_code == 0, done.output
        assert Path("far.csv").read_text(encoding="utf-8").splitlines()[0] == f"file,index,{column},share"


def test_other_images_are_ranked_against_those_of_the_run(run: Run) -> None:
    other = np.stack([run.images.pixels([2])[0, 0], np.full((16, 16), 255, np.uint8)])
    result = run.outliers(2, "error", other)
    assert result.index.tolist() == [1, 0]
    assert result.share[0] == 1
    assert 0 <= result.share[1] < 1
    assert len(run.outliers(source=other).index) == 2  # all, because there are fewer than 10
    near = run.outliers(2, "code", run.images.pixels([2, 3]))
    own = run.codes["mean"][:, None].astype(float) - run.encode(run.images.pixels([2, 3]))["mean"]
    means = np.sort(np.linalg.norm(own, axis=2), axis=0)[:10].mean(axis=0)
    np.testing.assert_allclose(np.sort(near.value), np.sort(means), atol=1e-5)


def test_a_traversal_starts_from_the_image_and_varies_only_the_chosen_latents(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    decode = run.model.decode
    monkeypatch.setattr(run.model, "decode", lambda z: seen.append(z.clone()) or decode(z))
    run.traversals("path/to/images/5.png", latents=[4, 1], limits=(-3, 1), steps=5)
    start = run.encode("path/to/images/5.png")["mean"][0]
    for z, latent in zip([z for z in seen if len(z) == 5], (4, 1), strict=True):
        np.testing.assert_allclose(z[:, latent], [-3, -2, -1, 0, 1], atol=1e-6)
        others = [j for j in range(6) if j != latent]
        np.testing.assert_allclose(z[:, others], np.repeat(start[None, others], 5, axis=0), atol=1e-6)
    with Image.open(io.BytesIO(run.animation(latents=[2], limits=(-3, 3), steps=4))) as gif:
        assert gif.n_frames == 6


REFUSALS = {
    "explore runs/first --port 70000": "port 70000 does not exist; give one from 1024 to 65535",
    "sample runs/first --n 0": "n is 0, but it must be at least 1",
    "sample runs/first --out x.jpg": "x.jpg: images are written to a .png, .npz or .npy, or to a folder",
    "sample runs/first --out full": "full exists already; give a new or empty folder",
    "sample nowhere": "nowhere is not a run",
    "sample runs/first --seed 100000000000000000000": "seed is 100000000000000000000; expected a number of at most 64",
    "sample runs/first --beta 2": "was trained by vae, which has no range of beta",
    "decode runs/first short.csv": "short.csv has no column z2; the run has 6 latents",
    "decode runs/first long.csv": "long.csv has z6; the run has 6 latents",
    "decode runs/first twice.csv": "twice.csv: two columns are called z0; give each column",
    "decode runs/first commas.csv": "commas.csv: line 2 has 12 cells, expected 6; correct that row",
    "decode runs/first wide.npy --out new/../wide.npy": "wide.npy is the file that is read, and would be lost",
    "sample runs/first --n 10001": "samples.png: a .png holds up to 10,000 images, not 10,001",
    "decode runs/first words.csv": "line 2 lacks a number in a column of codes",
    "decode runs/first grouped.csv": "line 2 lacks a number in a column of codes",
    "decode runs/first empty.csv": "expected codes [N, 6], at least one",
    "decode runs/first wide.npy": "wide.npy has shape [3, 7]; expected codes [N, 6]",
    "decode runs/first nan.npy": "nan.npy has values that are not finite numbers",
    "decode runs/first other.npz": "other.npz holds x; expected codes (or mean) [N, D]",
    "decode runs/first codes.txt": "codes are read from files that end in",
    "decode runs/first missing.csv": "there is no file missing.csv",
    "decode runs/first wide.npy --out wide.npy": "wide.npy is the file that is read, and would be lost; choose another",
    "encode runs/first other.npz --out ./other.npz": "other.npz is the file that is read, and would be lost",
    "evaluate --codes other.npz --beta 2": "leave one of the two out",
    "nearest runs/first photo.png --out photo.png": "photo.png is the file that is read, and would be lost",
    "nearest runs/first photo.png --latent 1 --latent 1": "latents are [1, 1], one of them twice; name each once",
    "nearest runs/first nothing.png": "nothing.png",
    "nearest runs/first photo.png --n 41": "n is 41; the run has 40 encoded images",
    "nearest runs/first photo.png --latent 6": "there is no latent 6; choose latents from 0 to 5",
    "nearest runs/first photo.png --out a.json": "a.json: a list is written to a .csv and its images to a .png",
    "map runs/first --by umpa": "umpa: no such kind of map; did you mean umap?",
    "map runs/first --latent 1": "latents are [1]; give two different ones as the axes of the map",
    "map runs/first --latent 1 --latent 2 --by umap": "the axes of a map are two latents or those of umap; give one",
    "map runs/first --latent 1 --latent 9": "there is no latent 9; choose latents from 0 to 5",
    "map runs/first --out map.txt": "map.txt: a list is written to a .csv and its images to a .png; give one of these",
    "outliers runs/first --by elb": "elb: no such measure of outliers; did you mean elbo?",
    "outliers runs/first --n 0": "n is 0; there are 40 encoded images, so give 1 to 40",
    "outliers runs/first --n 501 --out x.png": "--n is 501; a picture has up to 500 images; write a .csv",
    "outliers runs/first path/to/images --out path/to/images/x.png": "x.png would be one of the images in path/to",
    "pipe runs/first --latents uniforn": "uniforn: no such choice of latents; did you mean uniform?",
    "pipe runs/first --seen 9": "seen is 9; expected at least 64 pictures",
    "pipe runs/first --seed -1": "seed is -1; expected a whole number from 0 on",
    "traverse runs/first path/to/images": "40 images were given; a traversal starts from one",
    "traverse runs/first --latent 9": "there is no latent 9; choose latents from 0 to 5",
    "traverse runs/first --range 2:-2": "the range is 2:-2; give two numbers, the smaller first",
    "traverse runs/first --range 2": "--range is 2; give two numbers",
    "traverse runs/first --steps 1": "steps is 1; give 2 to 101",
    "traverse runs/first photo.png --out photo.png": "photo.png is the file that is read, and would be lost",
    "traverse runs/first --out a.avi": "a.avi: traversals are written to a .png, .gif or .mp4",
}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("words", REFUSALS)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("path/to/images/0.png", "photo.png")
    Path("short.csv").write_text("z0,z1\n1,2\n")
    Path("long.csv").write_text("z0,z1,z2,z3,z4,z5,z6\n1,2,3,4,5,6,7\n")
    Path("words.csv").write_text("z0,z1,z2,z3,z4,z5\n1,2,3,4,5,many\n")
    Path("grouped.csv").write_text("z0,z1,z2,z3,z4,z5\n1,2,3,4,5,1_000\n")
    Path("twice.csv").write_text("z0,z1,z2,z3,z4,z5,z0\n1,2,3,4,5,6,7\n")
    Path("commas.csv").write_text("z0,z1,z2,z3,z4,z5\n" + ",".join(["0,5"] * 6) + "\n")
    Path("empty.csv").write_text("z0,z1,z2,z3,z4,z5\n")
    Path("codes.txt").write_text("1")
    np.save("wide.npy", np.zeros((3, 7)))
    np.save("nan.npy", np.full((3, 6), np.nan))
    np.savez("other.npz", x=np.zeros(3))
    Path("full").mkdir()
    Path("full/file").touch()
    before = sorted(Path().rglob("*"))
    monkeypatch.setattr(sys, "argv", ["equipoise", *words.split()])
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit:
        main()
    out, err = capfd.readouterr()
    assert (exit.value.code, out, len(err.splitlines())) == (2, "", 1), err
    assert REFUSALS[words] in err
    assert [path for path in sorted(Path().rglob("*")) if "cache" not in path.parts] == before


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda run: run.sample(1.5), r"n is 1\.5; expected a whole number"),
        (lambda run: run.sample("3"), "n is '3'; expected a whole number"),
        (lambda run: run.sample(3, seed=1.5), r"seed is 1\.5; expected a whole number"),
        (lambda run: run.nearest(run.images.pixels([0]), n=1.5), r"n is 1\.5; expected a whole number"),
        (lambda run: run.nearest(run.images.pixels([0]), latents=3), "latents are 3; give a list of them"),
        (lambda run: run.nearest(run.images.pixels([0]), latents=[1.0]), r"a latent is 1\.0; expected a whole number"),
        (lambda run: run.outliers(2.5), r"n is 2\.5; expected a whole number"),
        (lambda run: run.map(latents=3), "latents are 3; give two different ones as the axes of the map"),
        (lambda run: run.map(latents=[0.0, 1.0]), r"a latent is 0\.0; expected a whole number"),
        (lambda run: run.traversals(limits=3), "the range is 3; give two numbers, the smaller first"),
        (lambda run: run.traversals(limits=("a", "b")), r"the range is \('a', 'b'\); give two numbers"),
        (lambda run: run.traversals(limits=(1, 2, 3)), r"the range is \(1, 2, 3\); give two numbers"),
        (lambda run: run.animation(steps=2.5), r"steps is 2\.5; expected a whole number"),
        (lambda run: run.pipe("uniformly", 640), "uniformly: no such choice of latents; did you mean uniform"),
        (lambda run: run.pipe(seen=64.5), r"seen is 64\.5; expected a whole number"),
    ],
)
def test_values_of_another_type_are_refused_in_one_sentence(
    call: Callable[[Run], object], sentence: str, trained: Run
) -> None:
    with pytest.raises(InputError, match=sentence):
        call(trained)


def test_codes_of_an_earlier_version_without_an_array_are_refused_with_the_remedy() -> None:
    codes = Codes(index=np.arange(4), mean=np.eye(4))
    with pytest.raises(eq.RunError, match="no array sse; run equipoise evaluate"):
        eq.Run.outliers(Fake(codes), 2, "error")  # type: ignore[arg-type]


class Fake:
    """A run with these codes."""

    def __init__(self, codes: Codes) -> None:
        self.codes = codes


def test_images_of_more_channels_are_not_drawn_as_pictures(tmp_path: Path) -> None:
    images = eq.Images(np.zeros((3, 2, 8, 8), np.uint8), name="two")
    with pytest.raises(eq.InputError, match=r"images of 2 channels .* write an .npz instead"):
        to_path(images, tmp_path / "a.png")


def test_images_are_those_of_the_training(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    for name in ("there", "here"):
        shutil.copytree(trained.path.parent / "images", tmp_path / name / "images")
    monkeypatch.chdir(tmp_path / "there")
    run = eq.train("images", "vae", net="burgess", steps=2, out="run", settings=SETTINGS, progress=False)
    rows = run.codes["index"]
    expected = run.images.pixels(rows)
    monkeypatch.chdir(tmp_path / "here")
    for number in range(COUNT):  # other images of the same names, in the current folder
        Image.new("L", (16, 16), number).save(f"images/{number}.png")
    np.testing.assert_array_equal(eq.open_run("../there/run").images.pixels(rows), expected)

    monkeypatch.chdir(tmp_path / "there")
    Image.new("L", (16, 16)).save("images/0.png")
    with pytest.warns(UserWarning, match="images has other images or factors than those that run was trained on"):
        assert len(eq.open_run("run").images) == COUNT
    Image.new("L", (16, 16)).save("images/00.png")
    with pytest.raises(InputError, match="images no longer has the 40 images that run was trained on"):
        _ = eq.open_run("run").images
    done = CliRunner().invoke(app, ["outliers", "run", "--by", "error", "--out", "outliers.png"])
    assert isinstance(done.exception, InputError)
