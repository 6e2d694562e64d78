"""Codes of any images, with the names of their files, to any kind of file; images of more than three channels."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import equipoise as eq
from equipoise import codes as coding
from equipoise.codes import Codes
from equipoise.commands import encode, evaluate, report
from equipoise.data import pictures
from equipoise.errors import InputError
from equipoise.run import Run

SETTINGS: dict[str, Any] = {"train.batch": 8, "evaluate.which": ["sse"], "net.latent": 3}
RNG = np.random.default_rng(0)
COUNTS = RNG.integers(100, 356, (12, 12, 12), dtype=np.uint16)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on twelve images of 16 bits, whose values are those of COUNTS, with factors."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    rows = ["file,x,kind"]
    for i, picture in enumerate(COUNTS):
        Image.fromarray(picture).save(folder / "images" / f"{i}.png")
        rows.append(f"{i}.png,{i + 0.5},{'ab'[i % 2]}")
    (folder / "images" / "factors.csv").write_text("\n".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUIPOISE_CACHE", str(folder / "cache"))
        settings = SETTINGS | {"data.range": "0%:100%"}
        return eq.train(
            folder / "images", "vae", net="mlp_lvae", steps=2, out=folder / "run", settings=settings, progress=False
        )


@pytest.fixture(autouse=True)
def _cache(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(run.path.parent / "cache"))


def images(run: Run) -> Path:
    return run.path.parent / "images"


def test_codes_of_a_run_have_files_and_factors(run: Run) -> None:
    frame = run.codes.to_frame()
    assert list(frame) == ["index", "file", "x", "kind", "z0", "z1", "z2"]
    assert [f"{i}.png" for i in frame["index"]] == frame["file"].tolist()
    assert np.array_equal(frame["x"], frame["index"] + 0.5)
    assert np.array_equal(frame["kind"], frame["index"] % 2)
    assert np.array_equal(frame[["z0", "z1", "z2"]], run.codes["mean"])
    assert run.meta["data"]["range"] == [100, 355]


@pytest.mark.parametrize("kind", ["npz", "npy", "csv", "CSV", "parquet"])
def test_the_ending_decides_how_codes_are_written(kind: str, run: Run, tmp_path: Path) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"codes.{kind}"
    encode(run.path, str(images(run)), path)
    mean = run.codes["mean"][np.argsort(run.codes["index"])]
    if kind == "npy":
        np.testing.assert_allclose(np.load(path), mean, atol=1e-6)
    elif kind == "npz":
        codes = coding.load(path)
        np.testing.assert_allclose(codes["mean"], mean, atol=1e-6)
        assert codes["files"].tolist() == [f"{i}.png" for i in range(12)]
        assert codes["factor_names"].tolist() == ["x", "kind"]
    elif kind == "parquet":
        import pandas as pd

        frame = pd.read_parquet(path)
        assert list(frame) == ["index", "file", "x", "kind", "z0", "z1", "z2"]
        np.testing.assert_allclose(frame[["z0", "z1", "z2"]], mean, atol=1e-6)
    else:
        header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        assert header == ["index", "file", "x", "kind", "z0", "z1", "z2"]
        assert [row[1] for row in rows] == [f"{i}.png" for i in range(12)]
        np.testing.assert_allclose(np.array([row[4:] for row in rows], float), mean, atol=1e-6)


@pytest.mark.parametrize("name", ["codes.txt", "codes", "codes.xlsx", "codes.pkl", "codes.json"])
def test_an_unknown_ending_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{name}: codes are written to files that end in \.npz, \.npy, \.csv or"):
        encode(tmp_path / "no_run", "no_images", tmp_path / name)


def test_names_with_commas_quotes_and_umlauts_come_back(tmp_path: Path) -> None:
    names = ["a,b.png", 'say "x".png', "größe.png"]
    codes = Codes(index=np.arange(3), files=np.array(names), mean=np.eye(3, dtype=np.float32) / 3)
    coding.write(tmp_path / "a.csv", codes, "")
    rows = list(csv.reader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))[1:]
    assert [row[1] for row in rows] == names
    assert rows[0][2] == "0.33333334"  # all digits of a float32, and no more


def test_factors_with_the_names_of_other_columns_are_kept(tmp_path: Path) -> None:
    codes = Codes(index=np.arange(2), files=np.array(["a.png", "b.png"]), mean=np.array([[0.5], [0.25]], np.float32))
    codes |= {"factors": np.array([[7, 1, 3, 5], [8, 2, 4, 6]])}
    codes |= {"factor_names": np.array(["index", "z0", "file", "factor_z0"])}
    coding.write(tmp_path / "a.csv", codes, "")
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "index,file,factor_index,factor_factor_z0,factor_file,factor_z0,z0"
    assert lines[1:] == ["0,a.png,7,1,3,5,0.5", "1,b.png,8,2,4,6,0.25"]


def test_grey_images_are_encoded_by_a_run_on_images_in_colour(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pixels = RNG.integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "images" / f"{i}.png")
    grey = pixels[0, :, :, 0]
    Image.fromarray(grey).save(tmp_path / "images" / "grey.png")
    settings = SETTINGS | {"train.batch": 2}
    trained = eq.train(
        tmp_path / "images", "vae", net="mlp_lvae", steps=1, out=tmp_path / "run", settings=settings, progress=False
    )
    expected = trained.encode(tmp_path / "images")["mean"][4]
    for source in (tmp_path / "images" / "grey.png", grey, grey[None]):
        np.testing.assert_allclose(trained.encode(source)["mean"][0], expected, atol=1e-6)
    assert trained.prepare(grey).pixels([0]).tolist() == np.stack([grey] * 3)[None].tolist()


def test_one_image_is_encoded_however_it_is_given(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = images(run) / "3.png"
    expected = run.codes["mean"][run.codes["index"] == 3]
    sources = {
        "path": path,
        "text": str(path),
        "list of paths": [path],
        "Pillow": Image.open(path),
        "array": COUNTS[3],
        "array with channels": COUNTS[3][..., None],
        "list of arrays": [COUNTS[3]],
    }
    for name, source in sources.items():
        np.testing.assert_allclose(run.encode(source)["mean"], expected, atol=1e-6, err_msg=name)
    pixels = (COUNTS[3] - 100).astype(np.uint8)
    for source in (pixels, pixels[None], pixels[None, None], Image.fromarray(pixels), [pixels]):
        np.testing.assert_allclose(run.model.encode(source)[0], expected, atol=1e-6)
    monkeypatch.chdir(tmp_path)
    outcome = encode(run.path, str(path))
    assert outcome.text == "encoded 1 image into 3 latents\nwrote 3.codes.npz"
    assert coding.load(tmp_path / "3.codes.npz")["files"].tolist() == ["3.png"]


def test_files_are_decoded_once_for_all_commands(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "read", None)  # decoding again would fail
        evaluate([run.path], which=["sse"], progress=False)
        report(run.path)
        encode(run.path, str(images(run)), tmp_path / "a.npz")
        settings = SETTINGS | {"data.range": "0%:100%", "train.seed": 1}
        eq.train(images(run), "vae", net="mlp_lvae", steps=1, out=tmp_path / "b", settings=settings, progress=False)
    read, count = pictures.read, []

    def counting(file: Any, *, name: str) -> Any:
        count.append(name)
        return read(file, name=name)

    monkeypatch.setattr(pictures, "read", counting)
    settings = SETTINGS | {"data.range": "100:355"}
    eq.train(images(run), "vae", net="mlp_lvae", steps=1, out=tmp_path / "c", settings=settings, progress=False)
    assert len(count) == len(COUNTS)


def test_without_a_cache_files_are_decoded_in_memory(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    expected = eq.load_data(images(run), range="100:355")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "file"))  # no folder can be made here
    loaded = eq.load_data(images(run), range="100:355")
    assert np.array_equal(loaded.pixels(np.arange(12)), expected.pixels(np.arange(12)))
    assert loaded.digest() == expected.digest()


def test_images_of_another_shape_are_refused(run: Run) -> None:
    with pytest.raises(InputError, match=r"images have the shape \[2, 1, 9, 9\]; expected \[B, 1, 12, 12\]"):
        run.model.encode(np.zeros((2, 1, 9, 9), np.uint8))
    with pytest.raises(InputError, match=r"has images of shape \(3, 12, 12\), the run was trained on \(1, 12, 12\)"):
        run.encode(np.zeros((2, 3, 12, 12), np.uint8))
    with pytest.raises(InputError, match=r"item 0 of the list is a dict|cannot tell which"):
        run.model.encode([{}])


@pytest.mark.parametrize("channels", [2, 5, 16])
@pytest.mark.parametrize("kind", ["npy", "npz", "tif"])
def test_images_of_many_channels_train_from_files_to_report(kind: str, channels: int, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (12, channels, 20, 20), dtype=np.uint8)
    if kind == "npy":
        np.save(tmp_path / "a.npy", pixels)
    elif kind == "npz":
        np.savez(tmp_path / "a.npz", images=np.moveaxis(pixels, 1, 3))
    else:
        (tmp_path / "images").mkdir()
        for i, picture in enumerate(pixels):
            options = {"planarconfig": "separate", "photometric": "minisblack"}
            tifffile.imwrite(tmp_path / "images" / f"{i:02}.tif", picture, **options)
    source = tmp_path / ("images" if kind == "tif" else f"a.{kind}")
    trained = eq.train(source, "vae", net="mlp_lvae", steps=2, out=tmp_path / "run", settings=SETTINGS, progress=False)
    assert trained.model.shape == (channels, 20, 20)
    assert np.array_equal(trained.images.pixels(np.arange(12)), pixels)
    assert (tmp_path / "run" / "report.html").exists()
    assert run_codes(trained).shape == (12, 3)


def run_codes(trained: Run) -> Any:
    return trained.encode(trained.images)["mean"]
