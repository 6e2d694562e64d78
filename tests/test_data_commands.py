"""`equipoise data ...` as a person types it, with a small published set and its file on this machine."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise import commands
from equipoise.cli import main
from equipoise.data import DATASETS, Dataset, Images, load_data, store
from equipoise.data.dataset import Remote
from equipoise.errors import InputError

SHAPE = (3, 12, 12)
SIZES = (5, 4, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (60, *SHAPE), np.uint8)
TABLE = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)


def convert(_: Dataset, source: Path, folder: Path) -> None:
    """From the published file, one .npy, or the folder it is in."""
    path = source / "little.npy" if source.is_dir() else source
    pixels = np.load(path, allow_pickle=False)
    if pixels.shape != PIXELS.shape:
        raise InputError(f"{path}: {list(pixels.shape)} is not {list(PIXELS.shape)}; give little.npy as published")
    store.write(
        folder,
        images=60,
        shape=SHAPE,
        blocks=lambda first: (pixels[start : start + 9] for start in range(first, 60, 9)),
        source=str(source),
        name="little",
        factors=TABLE,
        factor_names=("a", "b", "c"),
        factor_sizes=SIZES,
        licence="CC0",
        citation="nobody, 2026",
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The file that is published."""
    (tmp_path / "web").mkdir()
    np.save(tmp_path / "web" / "little.npy", PIXELS)
    return tmp_path / "web" / "little.npy"


@pytest.fixture
def little(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A data set that is fetched, among the others, in an empty cache."""
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    data = published.read_bytes()
    dataset = Dataset(
        name="little",
        summary="60 little pictures",
        images=60,
        shape=SHAPE,
        factor_names=("a", "b", "c"),
        factor_sizes=SIZES,
        home="https://example.org/little",
        licence="CC0",
        citation="nobody, 2026",
        files=(Remote("little.npy", (published.as_uri(),), len(data), hashlib.sha256(data).hexdigest()),),
        convert=convert,
    )
    monkeypatch.setitem(DATASETS, "little", dataset)
    drawn = Images(PIXELS, name="scribble", factors="grid", factor_names=("a", "b", "c"), factor_sizes=SIZES)
    monkeypatch.setitem(DATASETS, "scribble", replace(dataset, name="scribble", draw=lambda: drawn, files=()))
    asked = replace(dataset, name="asked-for", files=(), by_hand="Ask nobody for little.npy.")
    monkeypatch.setitem(DATASETS, "asked-for", asked)
    return dataset


@dataclass
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one sentence of a refusal."""
        assert self.code == 2, self.err
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


Here = Callable[..., Said]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Runs a command of `equipoise data` in this process, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["equipoise", "data", *map(str, words)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exit:
            code = int(exit.code or 0)
        return Said(code, *capfd.readouterr())

    return run


def written(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "here").iterdir())


# --- list and info ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("little")
def test_the_list_has_a_line_for_each_set_in_columns(here: Here) -> None:
    head, *lines = here("list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(DATASETS)
    little = next(line for line in lines if line.startswith("little "))
    for column in ("shape", "factors", "state"):
        assert little[head.index(column) - 2 :].startswith("  ")
    assert little[head.index("shape") :].startswith("3 x 12 x 12  5 x 4 x 3 ")
    assert little.endswith("not here")
    here("add", "little")
    assert next(line for line in here("list").out.splitlines() if line.startswith("little ")).endswith("  here")
    states = {name: about["state"] for name, about in json.loads(here("list", "--json").out).items()}
    assert (states["little"], states["scribble"], states["asked-for"]) == ("here", "rendered", "not here")
    assert states["dsprites"] == "rendered"


@pytest.mark.usefixtures("little")
def test_info_of_a_set_that_is_not_here_tells_what_it_is_and_how_to_get_it(here: Here, tmp_path: Path) -> None:
    said = here("info", "little")
    assert said.code == 0
    for part in ("60 of 3 x 12 x 12", "a, 5", "b, 4", "c, 3", "CC0", "nobody, 2026", "equipoise data add little"):
        assert part in said.out
    assert "Ask nobody for little.npy. equipoise data add asked-for --from PATH" in here("info", "asked-for").out
    assert json.loads(here("info", "little", "--json").out)["factor_sizes"] == [5, 4, 3]
    assert written(tmp_path) == []


@pytest.mark.usefixtures("little")
def test_info_of_a_set_that_is_here_shows_some_of_its_images(here: Here, tmp_path: Path) -> None:
    here("add", "little")
    said = here("info", "little")
    assert said.out.splitlines()[-1] == "wrote little.png"
    assert f"files     little.npy ({DATASETS['little'].files[0].addresses[0]}) sha256" in said.out
    with Image.open("little.png") as sheet:
        shown = np.asarray(sheet)
    scale = 6  # little pictures are enlarged to 64 pixels or more
    assert shown.shape == (6 * (12 * scale + 4) - 4, 8 * (12 * scale + 4) - 4, 4)
    first = shown[: 12 * scale : scale, : 12 * scale : scale, :3]
    assert any(np.array_equal(first, np.moveaxis(picture, 0, 2)) for picture in PIXELS)
    here("info", "scribble", "--out", "folder/some.png")
    assert written(tmp_path) == ["folder", "little.png"]


def test_info_of_a_path_says_what_is_there_and_shows_it(squares: Callable[[], str], here: Here, tmp_path: Path) -> None:
    said = here("info", squares())
    assert "75 of 1 x 16 x 16" in said.out
    assert "size, 3" in said.out
    assert said.out.splitlines()[-1] == "wrote squares.png"
    assert written(tmp_path) == ["squares.png"]
    assert json.loads(here("info", squares(), "--json").out)["wrote"] == "squares.png"


@pytest.mark.usefixtures("little")
def test_show_tells_the_same_and_writes_nothing(here: Here, tmp_path: Path) -> None:
    assert "60 little pictures" in commands.show("little").text
    here("add", "little")
    assert "60 little pictures" in commands.show("little").text
    assert written(tmp_path) == []


# --- add --------------------------------------------------------------------------------------------------------------


def test_add_fetches_checks_and_converts_once(little: Dataset, here: Here, published: Path) -> None:
    sha256 = little.files[0].sha256
    said = here("add", "little")
    folder = store.set_folder("little")
    assert said.out.splitlines() == [
        f"little.npy: {published.stat().st_size:,} bytes, sha256 {sha256}",
        "little: 60 images of 3 x 12 x 12",
        f"wrote {folder}",
    ]
    about = json.loads((folder / "about.json").read_text())
    address = published.as_uri()
    size = published.stat().st_size
    assert about["files"] == [{"path": "little.npy", "address": address, "bytes": size, "sha256": sha256}]
    assert not (folder / "fetched").exists()
    images = load_data("little")
    assert np.array_equal(images.pixels(np.arange(60)), PIXELS)
    assert np.array_equal(images.factors, TABLE)
    published.unlink()
    before = (folder / "about.json").stat().st_mtime_ns
    again = here("add", "little")
    assert again.out == f"little is here already: 60 images in {folder}; nothing was done\n"
    assert json.loads(here("add", "little", "--json").out)["added"] is False
    assert (folder / "about.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("give", ["the file", "its folder"])
def test_add_takes_what_is_given(give: str, little: Dataset, here: Here, published: Path) -> None:
    said = here("add", "little", "--from", published if give == "the file" else published.parent)
    assert said.err == ""
    assert said.out.splitlines()[0].endswith(str(little.files[0].sha256))
    assert len(load_data("little")) == 60
    assert published.exists()


def test_a_given_file_that_is_not_the_published_one_is_remarked_on(little: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "saved-again.npy", np.flip(PIXELS))
    with pytest.warns(UserWarning, match=f"is not the published file: its sha256 is .*, not {little.files[0].sha256}"):
        commands.data_add("little", tmp_path / "saved-again.npy")
    assert np.array_equal(load_data("little").pixels([0])[0], np.flip(PIXELS)[0])


@pytest.mark.usefixtures("little")
def test_add_of_a_set_that_is_drawn_has_nothing_to_do(here: Here, tmp_path: Path) -> None:
    said = here("add", "scribble")
    assert said.code == 0
    assert said.out == "scribble is rendered as batches are read; there is nothing to add\n"
    assert not (tmp_path / "cache").exists()


def test_a_set_that_no_program_can_fetch_is_added_from_what_is_given(
    little: Dataset, here: Here, published: Path
) -> None:
    assert (
        "asked-for cannot be downloaded by a program. Ask nobody for little.npy." in here("add", "asked-for").refusal()
    )
    said = here("add", "asked-for", "--from", published)
    assert said.out.splitlines()[0].endswith(str(little.files[0].sha256))
    assert said.out.splitlines()[-1] == f"wrote {store.set_folder('asked-for')}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("add", "litle"), "litle: no such data set; did you mean little?"),
        (("add", "little", "--from", "nowhere.npy"), "nowhere.npy does not exist; give the file or folder"),
        (
            ("check", "asked-for"),
            "asked-for is not available locally; add it once with `equipoise data add asked-for --from",
        ),
        (("render", "little"), "little is not available locally; add it once with `equipoise data add little`"),
        (("render", "scribble", "--n", "61"), "--n is 61; scribble has 60 images, so give 1 to 60"),
        (("render", "scribble", "--n", "0"), "--n is 0"),
        (("render", "scribble", "--out", "x.png"), "--out is x.png; give a file that ends in .npz, or a folder"),
        (("info", "nowhere/at/all"), "nowhere/at/all does not exist"),
    ],
)
@pytest.mark.usefixtures("little")
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    words: tuple[str, ...], expected: str, here: Here, tmp_path: Path
) -> None:
    assert expected in here(*words).refusal()
    assert written(tmp_path) == []
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_not_what_was_published_is_not_converted(
    little: Dataset, here: Here, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(published, np.flip(PIXELS))
    said = here("add", "little")
    assert said.code == 1
    assert "little.npy could not be downloaded" in said.err
    assert str(little.files[0].sha256) in said.err
    assert "Traceback" not in said.err
    assert little.state == "not here"
    np.save(published, PIXELS[:59])
    monkeypatch.setitem(DATASETS, "little", replace(little, files=(Remote("little.npy", (published.as_uri(),)),)))
    assert "[59, 3, 12, 12] is not [60, 3, 12, 12]" in here("add", "little").refusal()
    assert little.state == "not here"


def test_a_conversion_that_broke_off_goes_on_without_fetching_again(
    little: Dataset, here: Here, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(*_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(DATASETS, "little", replace(little, convert=breaking))
    with pytest.raises(KeyboardInterrupt):
        commands.data_add("little")
    assert (store.set_folder("little") / "fetched" / "little.npy").exists()
    published.unlink()
    monkeypatch.setitem(DATASETS, "little", little)
    assert here("add", "little").code == 0
    assert not (store.set_folder("little") / "fetched").exists()


# --- render -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("out", ["scribble.npz", "a/folder"])
@pytest.mark.parametrize("n", [None, 40])
def test_what_was_rendered_is_read_back_as_own_images(out: str, n: int | None, here: Here, tmp_path: Path) -> None:
    said = here("render", "scribble", "--out", out, *([] if n is None else ["--n", n]))
    assert said.out.splitlines() == [f"{n or 60} images of 3 x 12 x 12", f"wrote {out}"]
    back = load_data(out)
    assert (len(back), back.factor_names, back.factor_sizes) == (n or 60, ("a", "b", "c"), SIZES)
    assert back.factors is not None
    for picture, row in zip(back.pixels(np.arange(len(back))), back.factors, strict=True):
        assert np.array_equal(picture, PIXELS[np.ravel_multi_index(tuple(row), SIZES)])
    assert len(np.unique(back.factors, axis=0)) == len(back)
    assert len(written(tmp_path)) == 1


def test_rendering_writes_here_unless_told_where(here: Here, tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", PIXELS[:, :1])
    assert json.loads(here("render", tmp_path / "grey.npy", "--json").out)["wrote"] == "grey.npz"
    assert written(tmp_path) == ["grey.npz"]


# --- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("little")
def test_check_has_a_line_for_each_check_and_fails_where_one_does(here: Here) -> None:
    here("add", "little")
    said = here("check", "little")
    assert said.code == 0
    names = ["files", "digest", "images", "names", "pixels", "factors", "duplicates"]
    assert [line.split()[:2] for line in said.out.splitlines()] == [["ok", name] for name in names]
    assert json.loads(here("check", "little", "--json").out)["passed"] is True
    pixels = store.set_folder("little") / "images.npy"
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"!")
    said = here("check", "little")
    assert (said.code, said.err) == (1, "")
    assert [line.split()[1] for line in said.out.splitlines() if line.startswith("FAILED")] == ["digest"]
    assert json.loads(here("check", "little", "--json").out)["passed"] is False
    pixels.write_bytes(b"")
    assert "is damaged" in here("info", "little").refusal()


def test_own_images_are_checked_by_their_path(squares: Callable[[], str], here: Here) -> None:
    said = here("check", squares())
    assert said.code == 0
    assert "every combination once" in said.out


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("info", "photo.png"), "photo.png"),
        (("info", "photo.png", "--out", "../here/photo.png"), "photo.png"),
        (("render", "faces.npz"), "faces.npz"),
    ],
)
def test_no_command_writes_over_the_file_that_it_reads(words: tuple[str, ...], file: str, here: Here) -> None:
    Image.fromarray(PIXELS[0, 0]).save("photo.png")
    np.savez("faces.npz", images=PIXELS.astype(np.float32) / 255)
    before = Path(file).read_bytes()
    assert (
        f"{file} is the file that is read, and would be lost; choose another name with --out" in here(*words).refusal()
    )
    assert Path(file).read_bytes() == before


def test_a_picture_of_the_images_is_not_put_among_them(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("squares").mkdir()
    monkeypatch.chdir("squares")
    Image.fromarray(PIXELS[0, 0]).save("0.png")
    assert "squares.png would be one of the images in .; choose another place with --out" in here("info", ".").refusal()
    assert "copy would be one of the images in .; choose another" in here("render", ".", "--out", "copy").refusal()
    assert here("info", ".", "--out", "../squares.png").code == 0
    assert [path.name for path in Path().iterdir()] == ["0.png"]


@pytest.mark.parametrize("command", ["info", "add", "render", "check"])
def test_help_teaches_by_example(command: str, here: Here) -> None:
    assert f"equipoise data {command} " in here(command, "--help").out
