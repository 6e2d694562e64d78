"""What `equipoise evaluate` prints and writes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise import commands, scoring
from equipoise.codes import Codes, read_to_score, write
from equipoise.errors import InputError, RunError
from equipoise.metrics import Score


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    """A file of codes that nobody here made: ten positions, noisily, and one latent of noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers(10, size=(500, 2))
    path = tmp_path / "codes.npz"
    np.savez(
        path, codes=np.column_stack([factors + 0.5 * rng.standard_normal((500, 2)), rng.random(500)]), factors=factors
    )
    return path


def test_terminal_shows_value_interval_baseline_and_ceiling_in_columns() -> None:
    scores = {
        "factor_vae": Score(0.5, low=0.25, high=0.75),
        "mig": Score(0.3, low=0.29, high=0.31, half=0.28, attainable=0.9),
        "irs": Score(0.25, baseline=0.125, baseline_spread=0.01),
        "sse": Score(1234.5),
    }
    assert commands.runs._table(scores).split("\n") == [
        "  metric          value     95 % interval    half         baseline  attainable",
        "  factor_vae     0.5000  [0.2500, 0.7500]       –                –           –",
        "  mig            0.3000  [0.2900, 0.3100]  0.2800                –      0.9000",
        "  irs            0.2500                 –       –  0.1250 ± 0.0100           –",
        "  sse         1234.5000                 –       –                –           –",
    ]


@pytest.mark.parametrize(("option", "name"), [(None, "default"), ("carbonneau", "carbonneau")])
def test_the_table_names_its_convention(codes: Path, option: str | None, name: str) -> None:
    outcome = commands.evaluate(codes=codes, which=["mig"], convention=option, progress=False)
    assert outcome.text.startswith(f"{codes}, convention {name}\n  metric ")


def test_a_run_without_intervals_has_the_values_alone(squares: Callable[[], str], tmp_path: Path) -> None:
    settings = {"net.name": "factor", "net.latent": 2, "train.steps": 2, "train.batch": 16, "evaluate.which": "sse,mig"}
    runs = {
        interval: eq.train(
            squares(),
            "beta-vae",
            out=tmp_path / str(interval),
            settings=settings | {"evaluate.interval": interval},
            progress=False,
        )
        for interval in (True, False)
    }
    with_interval, without = (runs[interval].scores for interval in (True, False))
    assert {name: score.value for name, score in with_interval.items()} == {
        name: score.value for name, score in without.items()
    }
    assert with_interval["mig"].low is not None
    assert (without["mig"].low, without["mig"].half) == (None, None)
    assert "</html>" in (runs[False].path / "report.html").read_text(encoding="utf-8")


def test_images_are_encoded_on_the_device_of_the_training_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 2, device="meta").to_empty(device="cpu")  # draws no random numbers
    run: Any = SimpleNamespace(model=model, config=SimpleNamespace(train=SimpleNamespace(device="auto")))
    monkeypatch.setattr(scoring, "device", lambda _: torch.device("meta"))
    assert scoring.on_device(run).weight.is_meta
    assert not model.weight.is_meta, "a copy was moved"
    monkeypatch.undo()
    run.config.train.device = "cuda:77" if not torch.cuda.is_available() else "cpu"
    assert scoring.on_device(run) is model


def test_an_npz_that_is_a_single_array_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with (tmp_path / "codes.npz").open("wb") as file:
        np.save(file, np.zeros((5, 2)))
    with pytest.raises(InputError, match=r"holds a single array; expected an \.npz"):
        commands.evaluate([], tmp_path / "codes.npz")


@pytest.mark.parametrize("name", ["factors", "labels", "label", "targets", "y"])
@pytest.mark.parametrize("axes", [1, 2])
def test_factors_of_codes_have_the_names_that_data_have(name: str, axes: int, codes: Path, tmp_path: Path) -> None:
    with np.load(codes) as arrays:
        mean, factors = arrays["codes"], arrays["factors"]
    factors = factors[:, 0] if axes == 1 else factors
    expected = eq.metrics.score(mean, factors.reshape(500, -1), which="mig", interval=False)["mig"].value
    for column in (factors, factors.astype(str)):
        np.savez(tmp_path / "other.npz", codes=mean, **{name: column})
        found = scoring.score_codes(read_to_score(tmp_path / "other.npz"), "mig", interval=False)
        assert found["mig"].value == expected


def test_arrays_beside_codes_that_are_not_read_are_named(codes: Path, tmp_path: Path) -> None:
    with np.load(codes) as arrays:
        mean, factors = arrays["codes"], arrays["factors"]
    np.savez(tmp_path / "other.npz", mean=mean, codes=mean, y=factors, labels=np.arange(3), latents=mean, z=mean)
    with pytest.warns(UserWarning, match=r"other\.npz: the arrays codes, labels, latents are not read$"):
        commands.evaluate([], tmp_path / "other.npz", ["mig"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_codes_in_a_table_have_the_scores_of_the_same_codes_in_an_npz(kind: str, tmp_path: Path) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    factors = rng.integers(10, size=(300, 2)) * 3
    arrays = Codes(index=np.arange(300), files=np.array([f"{i}.png" for i in range(300)]))
    arrays["mean"] = (factors + rng.standard_normal((300, 2))).astype(np.float32)
    arrays |= {"factors": factors, "factor_names": np.array(["z0", "size"])}
    for ending in (kind, "npz"):
        write(tmp_path / f"codes.{ending}", arrays, "")
    values = []
    for ending in (kind, "npz"):
        scores = scoring.score_codes(read_to_score(tmp_path / f"codes.{ending}"), ("mig", "sap", "irs"), interval=False)
        values.append({name: score.value for name, score in scores.items()})
    assert values[0] == values[1]
    assert "mig" in commands.evaluate([], tmp_path / f"codes.{kind}", ["mig"]).text


def test_codes_without_factors_are_scored_alone(tmp_path: Path) -> None:
    mean = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
    np.save(tmp_path / "codes.npy", mean)
    (tmp_path / "codes.csv").write_text("z1,z0,name\n" + "".join(f"{b},{a},name {a}\n" for a, b in mean))
    assert "factors" not in read_to_score(tmp_path / "codes.npy")
    with pytest.warns(UserWarning, match=r"codes\.csv: not used as factors: name \(a text for each image\)"):
        codes = read_to_score(tmp_path / "codes.csv")
    assert "factors" not in codes
    np.testing.assert_array_equal(codes["mean"], mean)
    commands.evaluate([], tmp_path / "codes.npy", ["gaussian_tc"])
    with pytest.raises(InputError, match="mig needs factors"):
        commands.evaluate([], tmp_path / "codes.npy", ["mig"])


def test_a_run_without_its_codes_names_the_command_that_writes_them(squares: Callable[[], str], tmp_path: Path) -> None:
    settings = {"evaluate.which": ["sse"], "evaluate.n": 20}
    path = eq.train(squares(), "vae", net="burgess", steps=2, out=tmp_path / "run", settings=settings).path
    (path / "codes.npz").unlink()
    with pytest.raises(RunError, match=f"{path} has no codes; run equipoise evaluate {path}"):
        _ = eq.open_run(path).codes
    scoring.evaluate(eq.open_run(path))
    assert (path / "codes.npz").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("codes.csv", "a,b\n1,2\n", "has the columns a, b; expected codes in z0, z1 and so on"),
        ("codes.csv", "z0,z2\n1,2\n", "has the columns z0, z2; expected codes in z0, z1"),
        ("codes.csv", "z0,z1\n1,\n", "line 2 lacks a number in a column of codes"),
        (
            "codes.csv",
            "z0,size\n1,2\n3,NA\n5,6\n",
            r"codes\.csv: line 3 has 'NA' in the column size, which marks a missing",
        ),
        ("codes.csv", "z0\n1e300\n2\n", "has values that are not finite numbers in single precision"),
        ("codes.csv", "z0,z1\n1\n", "line 2 has 1 cells, expected 2"),
        ("codes.txt", "z0\n1\n", r"codes are read from files that end in \.npz, \.npy, \.csv or \.parquet"),
    ],
)
def test_tables_without_codes_are_refused(name: str, content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        commands.evaluate([], tmp_path / name)


def test_codes_of_any_origin_are_scored_into_a_table_and_a_file(codes: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "scores.csv"
    done = commands.evaluate([], codes, ["mig", "irs"], "locatello", target)
    lines = done.text.splitlines()
    assert lines[0] == f"{codes}, convention locatello"
    assert lines[1].split() == ["metric", "value", "95", "%", "interval", "half", "baseline", "attainable"]
    assert [line.split()[0] for line in lines[2:4]] == ["irs", "mig"]
    assert lines[-2:] == [f"wrote {codes.with_suffix('.scores.json')}", f"wrote {target}"]
    with target.open(newline="") as file:
        irs, mig = csv.DictReader(file)
    assert (mig["run"], mig["metric"], mig["convention"], mig["n"]) == (str(codes), "mig", "locatello", "500")
    assert 0 < float(mig["low"]) < float(mig["value"]) < float(mig["attainable"]) < 1
    assert (mig["baseline"], irs["attainable"]) == ("", "")
    assert float(irs["baseline"]) < float(irs["value"])
    written = json.loads(codes.with_suffix(".scores.json").read_text())
    assert float(irs["value"]) == written["irs"]["value"]


def test_table_that_cannot_be_written_is_refused_before_any_work(codes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scores.txt: expected a file that ends in .csv or .parquet"):
        commands.evaluate([], codes, ["mig"], None, tmp_path / "scores.txt")
    assert not codes.with_suffix(".scores.json").exists()
