"""Vectors in every command: training, codes, report, decoding, export; and the likelihoods of vectors."""

import csv
import json
import math
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import equipoise as eq
from equipoise import config, likelihoods
from equipoise.cli import app, main
from equipoise.report import explorer
from equipoise.report.figures.vectors import axis_range
from equipoise.run import Run

ROOT = Path(__file__).parent.parent
SETTINGS = ("train.steps=3", "train.threads=1", "net.latent=4", "evaluate.which=sse", "--no-progress")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that the example writes, and runs on the table and on the spectra."""
    folder = tmp_path_factory.mktemp("vectors")
    runpy.run_path(str(ROOT / "examples" / "vectors.py"))["main"](folder)
    for name in ("table", "spectra"):
        words = ["train", f"data={folder / name}.csv", f"data.factors={folder / name}_factors.csv", *SETTINGS]
        done = CliRunner().invoke(app, [*words, f"out={folder / name}"])
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def table(made: Path) -> Run:
    return eq.open_run(made / "table")


def lines(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_defaults_of_vectors_are_written_to_the_settings(table: Run) -> None:
    settings = table.config.flat()
    assert settings["data.scaling"] == "standardize"
    assert (settings["net.name"], settings["method.likelihood"], settings["method.name"]) == (
        "mlp",
        "mse",
        "aligned-vae",
    )
    assert table.model.likelihood.link == "identity"
    assert table.images.factor_names == ("size", "age", "light", "water")


def test_the_scaling_is_stored_and_new_rows_use_it(table: Run, made: Path, tmp_path: Path) -> None:
    header, *rows = lines(made / "table.csv")
    values = np.array(rows, np.float64)
    stored = json.loads((made / "table" / "meta.json").read_text())["data"]["scaling"]
    assert stored["names"] == header
    np.testing.assert_allclose(stored["offset"], values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stored["unit"], values.std(0), rtol=1e-12)
    with open(tmp_path / "new.csv", "w", newline="") as file:  # two rows, columns in another order
        csv.writer(file).writerows([header[::-1], *(row[::-1] for row in rows[5:7])])
    expected = table.encode(made / "table.csv")["mean"][5:7]
    np.testing.assert_allclose(table.encode(tmp_path / "new.csv")["mean"], expected, atol=1e-6)
    np.testing.assert_allclose(table.encode(values[5])["mean"], expected[:1], atol=1e-6)
    np.testing.assert_allclose(table.model.encode(values[5:7])[0], expected, atol=1e-6)
    with open(tmp_path / "short.csv", "w", newline="") as file:
        csv.writer(file).writerows([header[1:], rows[5][1:]])
    with pytest.raises(eq.InputError, match=r"lacks 1 column \(height\)"):
        table.encode(tmp_path / "short.csv")
    with pytest.raises(eq.InputError, match="the run was trained on vectors; give a table, or an array"):
        table.encode(np.zeros((2, 8, 8)))


def test_codes_are_decoded_to_the_units_of_the_table(table: Run, made: Path, tmp_path: Path) -> None:
    codes = table.codes["mean"][:3]
    vectors = table.decode(codes)
    model = table.model
    with torch.no_grad():
        by_hand = model.decoder(torch.from_numpy(codes)).double().numpy().reshape(3, 20)
    assert table.scaling is not None
    np.testing.assert_allclose(vectors.vectors(), by_hand * table.scaling.unit + table.scaling.offset, rtol=1e-5)
    np.save(tmp_path / "codes.npy", codes)
    done = CliRunner().invoke(
        app, ["decode", str(made / "table"), str(tmp_path / "codes.npy"), "--out", str(tmp_path / "out.csv")]
    )
    assert done.exit_code == 0, done.output
    header, *rows = lines(tmp_path / "out.csv")
    assert header == [*table.scaling.names, "z0", "z1", "z2", "z3"]
    np.testing.assert_allclose(np.array(rows, np.float64)[:, :20], vectors.vectors(), rtol=1e-6)


@pytest.mark.parametrize(("name", "columns"), [("table", ["height", "mud"]), ("spectra", ["400", "200 columns"])])
def test_the_report_draws_vectors_with_the_names_of_columns(name: str, columns: list[str], made: Path) -> None:
    page = (made / name / "report.html").read_text(encoding="utf-8")
    for text in columns:
        assert text in re.sub(r"<[^>]+>", " ", page), text
    assert f"{columns[0]}</th>" in page or name == "spectra"
    assert "data.scaling=standardize" in page
    assert "squared error per vector, summed over scaled columns" in page
    assert "1,000 rows of" in page
    assert f'aria-label="Vectors decoded from samples of the prior, for a model of {name}.csv."' in page
    for picture in ("traversals.png", "traversals.gif", "reconstructions.png", "samples.png"):
        assert (made / name / "pictures" / picture).stat().st_size > 1000
    shown = re.sub(r"<(style|svg)\b.*?</\1>", "", page.partition('<h2 id="settings"')[0], flags=re.DOTALL)
    shown = re.sub(r"<[^>]+>", " ", shown)
    assert not re.findall(r"[^.]*\b(?:images?|pixels?)\b[^.]*", shown)
    assert "Squared error per row: the sum of (x - xhat)^2 over columns, averaged over rows" in shown


def test_an_axis_of_equal_values_has_a_length() -> None:
    assert axis_range(np.full((2, 3), 5.0)) == (4.0, 6.0)
    assert axis_range(np.array([0.0, 100.0])) == (-6.0, 106.0)


def test_the_explorer_page_holds_the_scaling_and_rows(made: Path, table: Run) -> None:
    page = explorer.write(table).read_text(encoding="utf-8")
    about = json.loads(re.search(r'id="about">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert about["link"] == "identity"
    assert about["columns"]["names"] == lines(made / "table.csv")[0]
    assert (about["columns"]["axis"], about["columns"]["label"]) == (None, "standard deviations")
    assert len(about["samples"]) == 24
    assert about["samples"][0].startswith("row ")
    assert "rows of 20 columns" in page
    assert 'class="vectors"' in page


@pytest.mark.browser
@pytest.mark.parametrize("name", ["table", "spectra"])
def test_values_and_codes_of_the_page_are_those_of_python(name: str, made: Path, browser: Any) -> None:
    run = eq.open_run(made / name)
    path = explorer.write(run)
    z = torch.from_numpy(run.codes["mean"][:1])
    x = run.images.pixels(run.codes["index"][:1])
    faults: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.resolve().as_uri())
    page.evaluate("explorer.ready")
    values = page.evaluate("z => explorer.decode(z).then(all => Array.from(all))", z[0].tolist())
    codes = page.evaluate("x => explorer.encode(x).then(all => Array.from(all))", x.ravel().tolist())
    assert page.locator("#slot-A canvas").evaluate("canvas => canvas.width") == 720
    page.close()
    assert faults == []
    np.testing.assert_allclose(values, run.model.decode(z).numpy().ravel(), atol=0.01)
    np.testing.assert_allclose(codes, run.model.encode(x)[0].numpy().ravel(), atol=0.01)


@pytest.mark.parametrize(
    "words",
    [
        "encode RUN table.csv --out codes.csv",
        "sample RUN --n 5",
        "nearest RUN table.csv --n 2 --out list.csv",
        "outliers RUN --n 3 --out outliers.png",
        "map RUN --out map.png",
        "traverse RUN --latent 1 --out t.png",
        "traverse RUN --latent 1 --steps 3 --out t.gif",
        "evaluate RUN --which active_units",
        "pipe RUN --seen 64",
        "report RUN",
        "check RUN",
        "export RUN --out exported",
        "data info table.csv",
        "data check table.csv",
        "data render table.csv --n 10",
    ],
)
def test_every_command_takes_vectors(words: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = words.replace("RUN", str(made / "table")).replace("table.csv", str(made / "table.csv"))
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, f"{done.output} {done.exception}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "train data=table.csv method=beta-vae method.likelihood=bernoulli",
            "bernoulli, which is for pixels from 0 to 1",
        ),
        ("train data=table.csv data.size=32", "data.size: only for images; remove it"),
        ("train data=table.csv net=locatello", "locatello needs images of 8 x 8 pixels or more"),
        ("train data=table.csv method=dava", "needs images of 8 x 8 pixels or more"),
        ("train data=none.csv", "data: the path none.csv does not exist"),
        ("decode RUN codes.npy --out x.png", "vectors are written to a .csv, .parquet, .npy or .npz"),
        ("encode RUN nan.csv", "line 2 has no value in the column height"),
    ],
)
def test_what_vectors_do_not_allow_is_one_sentence(
    words: str,
    sentence: str,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = lines(made / "table.csv")
    for name, row in (("table", rows[1]), ("nan", ["nan", *rows[1][1:]])):
        with open(f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([rows[0], row, *rows[2:40]])
    np.save("codes.npy", np.zeros((1, 4)))
    monkeypatch.setattr(sys, "argv", ["equipoise", *words.replace("RUN", str(made / "table")).split()])
    with pytest.raises(SystemExit) as exit:
        main()
    _, err = capsys.readouterr()
    assert (exit.value.code, len(err.splitlines())) == (2, 1), err
    assert sentence in err


def test_an_exported_model_takes_and_returns_values_of_the_table(table: Run, made: Path, tmp_path: Path) -> None:
    model = eq.load_model(eq.export_run(table, out=tmp_path / "exported"))
    codes, _ = model.encode(made / "table.csv")
    expected = table.encode(made / "table.csv")["mean"]
    np.testing.assert_array_equal(codes, expected)
    assert model.scaling is not None
    np.testing.assert_array_equal(model.scaling.restore(model.decode(codes)), table.decode(expected).vectors())


def test_a_run_starts_from_one_of_the_same_columns_only(made: Path, tmp_path: Path) -> None:
    header, *rows = lines(made / "table.csv")
    with open(tmp_path / "turned.csv", "w", newline="") as file:
        csv.writer(file).writerows([header[::-1], *(row[::-1] for row in rows)])
    settings = {"init": str(made / "table"), "train.threads": 1, "evaluate.which": "sse"}
    options: dict[str, Any] = {"steps": 1, "settings": settings, "progress": False}
    assert "init" in eq.train(made / "table.csv", "vae", out=tmp_path / "a", **options).meta
    with pytest.raises(eq.InputError, match="was trained on other columns, or on the same in another order"):
        eq.train(tmp_path / "turned.csv", "vae", out=tmp_path / "b", **options)


def test_an_array_and_a_table_give_the_same_run(made: Path, tmp_path: Path) -> None:
    values = np.array(lines(made / "table.csv")[1:], np.float64)
    options: dict[str, Any] = {"steps": 2, "settings": {"train.threads": 1, "evaluate.which": "sse"}, "progress": False}
    ours = eq.train(values, "sigma-vae", out=tmp_path / "array", **options)
    other = eq.train(made / "table.csv", "sigma-vae", out=tmp_path / "table", **options)
    np.testing.assert_array_equal(ours.codes["mean"], other.codes["mean"])
    vectors = eq.load_data(values)
    with pytest.raises(eq.InputError, match=r"data\.scaling is minmax, but the array is scaled by standardize already"):
        eq.train(vectors, "vae", steps=2, out=tmp_path / "no", settings={"data.scaling": "minmax"}, progress=False)


def test_every_command_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "vectors.md").read_text(encoding="utf-8")
    assert "python examples/vectors.py data" in page
    runpy.run_path(str(ROOT / "examples" / "vectors.py"))["main"](Path("data"))
    commands = re.findall(r"^equipoise (.+)$", page, re.MULTILINE)
    assert len(commands) > 12
    for line in commands:
        short = re.sub(r"train\.steps=\d+", "train.steps=2 train.threads=1 evaluate.which=sse --no-progress", line)
        done = CliRunner().invoke(app, short.split())
        assert done.exit_code == 0, f"{line}: {done.output} {done.exception}"
    assert Path("exported/config.json").exists()


def test_errors_of_vectors_are_those_of_the_decoder_itself() -> None:
    out, x = torch.tensor([[[[2.0, -3.0]]]]), torch.tensor([[[[1.0, 5.0]]]])
    error = 1.0 + 64.0
    assert likelihoods.from_name("auto", 1, link="identity")(out, x).item() == error
    gaussian = likelihoods.from_name("gaussian", 1, 2.0, link="identity")
    assert gaussian(out, x).item() == pytest.approx(error / 8 + 2 * (math.log(2) + 0.5 * math.log(2 * math.pi)))
    calibrated = likelihoods.from_name("calibrated", 1, link="identity").train()
    sigma = math.sqrt(error / 2)
    assert calibrated(out, x).item() == pytest.approx(1 + 2 * (math.log(sigma) + 0.5 * math.log(2 * math.pi)), rel=1e-3)
    for likelihood in (gaussian, calibrated):
        assert torch.equal(likelihood.mean(out), out)
        assert torch.equal(likelihood.out(x, 1e-4), x)


def test_a_table_is_known_from_its_name_and_an_array_from_its_axes(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((5, 4)))
    np.save(tmp_path / "images.npy", np.zeros((5, 8, 8)))
    for name, scaling, net in (
        ("t.csv", "standardize", "mlp"),
        ("flat.npy", "standardize", "mlp"),
        ("images.npy", None, "locatello"),
    ):
        settings = config.resolve({"data": str(tmp_path / name), "method": "vae"})
        assert (settings.data.scaling, settings.net.name) == (scaling, net)
    settings = config.resolve({"data": "t.csv", "method": "vae", "net": "mlp_lvae", "data.scaling": "minmax"})
    assert (settings.data.scaling, settings.net.name) == ("minmax", "mlp_lvae")
