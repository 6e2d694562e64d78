"""The command: what it finds, writes and says, and what it refuses."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from equipoise.cli import main
from equipoise.commands import toys
from equipoise.outcome import Outcome

FIGURES = ("rotation", "pruning", "beta", "linear-vae", "ica")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    out = tmp_path_factory.mktemp("toys") / "new" / "folder"
    return out, toys(out, seeds=1, iterations=300, progress=False)


def test_in_the_end_beta_one_has_pruned_like_beta_five_and_later(done: tuple[Path, Outcome]) -> None:
    one, five = done[1].values["ica"]["runs"]
    assert (one["beta"], five["beta"]) == (1, 5)
    assert one["budget"]["lengths"][0] > 0.5 * one["budget"]["lengths"][-1]
    for run in (one, five):
        assert run["last"]["lengths"][0] < 0.03 * run["last"]["lengths"][-1]
        assert run["last"]["angle"] > 84
    assert five["pruned_after"] < 100 < one["pruned_after"]


def test_numbers_on_disk_are_those_returned_and_those_printed(done: tuple[Path, Outcome]) -> None:
    out, outcome = done
    assert {**json.loads((out / "toys.json").read_text()), "wrote": str(out)} == json.loads(json.dumps(outcome.values))
    lines = outcome.text.splitlines()
    assert lines[-1] == f"wrote {out}"
    for said in ("log-likelihood -36.7291 nats", "share 0.500  free energy lower by 2.3500", "3.750 (3.750)"):
        assert said in outcome.text
    assert outcome.values["rotation"]["log_likelihood_range"] < 1e-9
    assert outcome.values["pruning"]["log_likelihood_range"] < 1e-9
    assert max(row["error"] for row in outcome.values["linear_vae"]["betas"]) < 1e-6


def test_every_figure_is_a_picture_with_something_on_it(done: tuple[Path, Outcome]) -> None:
    assert {path.stem for path in done[0].glob("*.png")} == set(FIGURES)
    for name in FIGURES:
        with Image.open(done[0] / f"{name}.png") as picture:
            assert min(picture.size) > 400
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "taken"), "taken is a file"),
        (("--out", "taken/in"), "taken is a file"),
        (("--seeds", "0"), "1 or more"),
        (("--iterations", "99"), "100 or more"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_before_any_work(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["equipoise", "toys", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capfd.readouterr()
    assert stopped.value.code == 2
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert (tmp_path / "taken").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "equipoise_toys", None)
    monkeypatch.setattr(sys, "argv", ["equipoise", "toys"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    printed = "equipoise: equipoise toys needs the package equipoise_toys; install equipoise again\n"
    assert capfd.readouterr().err == printed
