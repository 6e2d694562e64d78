"""Picking without labels: correlations and regrets of known models, and the numbers computed from codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.study.made_up import Made, write

from equipoise import commands
from equipoise.errors import InputError
from equipoise.study.evidence import board, picking
from equipoise.study.evidence.picking import Model, rows
from equipoise.study.evidence.table import Size, count_missing
from equipoise.study.plan import plan
from equipoise.study.published import record as records
from equipoise.study.published.record import Record, record_name


def model(mig: float, **numbers: float) -> Model:
    """Return a model of dSprites whose scores are equal."""
    return Model("dsprites", numbers, dict.fromkeys(picking.LABELLED, mig))


def test_the_pick_is_the_largest_udr_or_the_smallest_error() -> None:
    models = [model(0.1, udr=0.2, sse=9.0), model(0.3, udr=0.4, sse=8.0), model(0.5, udr=0.3, sse=10.0)]
    udr, sse = rows(models)
    assert (udr.number, udr.models) == ("udr", 3)
    assert udr.correlation["mig"] == pytest.approx(0.5)
    assert udr.regret["mig"] == pytest.approx(0.2)  # it picks the second, whose MIG is 0.3
    assert sse.correlation["mig"] == pytest.approx(-0.5)
    assert sse.regret["mig"] == pytest.approx(0.2)


def test_a_number_of_two_models_or_of_equal_values_has_no_correlation() -> None:
    models = [model(0.1, udr=0.2, active=5), model(0.3, udr=0.4, active=5), model(0.5, active=5)]
    (row,) = rows(models)
    assert (row.number, row.correlation) == ("active", {})
    assert "–" in picking.show(models, 4).text
    assert "(3 of 4)" in picking.show(models, 4).text


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A study of one method with three seeds, whose codes are those of one model up to the order of its latents."""
    monkeypatch.chdir(tmp_path)
    contents = board.study(Size(seeds=3), [{"name": "l-vae"}])
    contents["data"] = {"name": "dsprites", "size": 32}
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(200, 4)).astype(np.float32)
    mean[:, 3] = 1e-3 * rng.normal(size=200)
    for seed, config in enumerate(plan(contents).runs.values()):
        order = np.roll(np.arange(4), seed)
        write(config, Made(2.0 + seed, {"mig": 0.1 * seed}, mean=mean[:, order]))
        made = Record(record_name(config), config.flat(), {3000: {"mig": 0.1 * seed}}, {"step": [3000]}, {})
        records.write(made, Path("results/board"))
    return contents


def test_the_numbers_are_those_of_the_codes(study: dict[str, object]) -> None:
    picking.collect(study, Path("results"))
    stored = json.loads(Path("results/picking/numbers.json").read_text(encoding="utf-8"))
    assert sorted(numbers["sse"] for numbers in stored.values()) == [2.0, 3.0, 4.0]
    assert min(numbers["udr"] for numbers in stored.values()) > 0.85  # the seeds found the same latents
    assert {(numbers["elbo"], numbers["kl"], numbers["active"]) for numbers in stored.values()} == {(-32.0, 12.0, 3.0)}
    tc = [numbers["gaussian_tc"] for numbers in stored.values()]
    assert tc == pytest.approx([tc[0]] * 3, rel=1e-4)
    table = picking.TABLE._replace(studies=lambda _: [study])
    assert count_missing(table, Size(), Path("results")) == 0
    Path("results/picking/numbers.json").unlink()
    assert count_missing(table, Size(), Path("results")) == 3  # they have records, but no numbers


def test_a_setting_is_left_out_while_the_codes_of_one_seed_are_missing(study: dict[str, object]) -> None:
    (Path(next(iter(plan(study).runs.values())).out) / "codes.npz").unlink()
    picking.collect(study, Path("results"))
    assert json.loads(Path("results/picking/numbers.json").read_text(encoding="utf-8")) == {}


def test_without_a_codes_file_earlier_numbers_stay(study: dict[str, object]) -> None:
    picking.collect(study, Path("results"))
    before = Path("results/picking/numbers.json").read_bytes()
    for config in plan(study).runs.values():
        (Path(config.out) / "codes.npz").unlink()
    picking.collect(study, Path("results"))
    assert Path("results/picking/numbers.json").read_bytes() == before


def test_the_command_prints_what_there_is_and_refuses_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = commands.reproduce("picking")
    assert "(0 of 320)" in outcome.text
    assert "missing runs: 320; --run trains them" in outcome.text
    assert not outcome.is_complete
    Path("results/picking").mkdir(parents=True)
    Path("results/picking/numbers.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"numbers.json is damaged .*delete it, and add --run to compute it anew"):
        commands.reproduce("picking")
