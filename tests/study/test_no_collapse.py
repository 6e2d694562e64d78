"""The table of the methods that tune themselves: its cells, its photographs, and a sample of it that is trained."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise import commands
from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.study.evidence import no_collapse
from equipoise.study.evidence.no_collapse import METHODS, NETS, Cell, cells, draw_photographs
from equipoise.study.evidence.table import Size
from equipoise.study.plan import plan
from equipoise.study.published import record as records
from equipoise.study.published import reproduce
from equipoise.study.published.record import Record, record_name

CELLS = [
    Cell("l-vae", "burgess", "dsprites", 11.26, 5.0),
    Cell("l-vae", "burgess", "photographs", 1.9, 5.0),
    Cell("dava", "burgess", "dsprites", 3.0, 2.0),
    Cell("dava", "burgess", "photographs", math.nan, math.nan),
]


def runs_of(size: Size) -> list[Config]:
    return [config for contents in no_collapse.studies(size) for config in plan(contents).runs.values()]


def test_a_cell_is_a_method_with_its_defaults_on_a_net_and_data() -> None:
    runs = runs_of(Size())
    assert len(runs) == len(METHODS) * len(NETS) * 3 + len(NETS) * (2 + 3) == 188
    assert {config.train.steps for config in runs} == {2000}
    assert {config.train.start_at_mean for config in runs} == {True}
    assert {config.method.law for config in runs if hasattr(config.method, "law")} == {"scaled"}
    with_pairs = {config.data.name for config in runs if config.method.name == "ada-gvae"}
    assert with_pairs == {"dsprites", "rooms3d"}


def test_the_table_marks_cells_below_a_limit_and_those_to_come() -> None:
    page = no_collapse.show(CELLS)
    assert not page.is_complete
    assert [cell.is_collapsed for cell in CELLS] == [False, True, True, False]
    for text in (page.text, "\n".join(page.markdown)):
        assert all(of in text for of in ("11.3 / 5", "(1.9 / 5)", "(3.0 / 2)", "3 of 4 cells are finished; 2 of them"))
    assert {line.count("|") for line in page.markdown if line.startswith("|")} == {5}


def test_more_seeds_are_more_runs_of_each_cell() -> None:
    assert len(runs_of(Size(seeds=2))) == 376
    full, quick = no_collapse.studies(Size())[0], no_collapse.studies(Size(quick=True))[0]
    assert full["data"]["size"] == quick["data"]["size"] == 32
    assert (quick["train"]["steps"], quick["out"] == full["out"]) == (666, False)


def test_quantised_codes_are_measured_by_their_entropy_and_a_cell_by_its_worst_seed(tmp_path: Path) -> None:
    contents = no_collapse.studies(Size(seeds=2))[2]
    runs = [config for config in plan(contents).runs.values() if config.net.name == "burgess"]
    drawn, rooms = ([run for run in runs if run.data.name == name] for name in ("dsprites", "rooms3d"))
    entropies = ([2.0, 1.5, 0.9, 0.0], [2.0, 1.0, 0.005, 0.0], [2.0, 1.5, 0.9, 0.0])
    for config, values in zip([*drawn, rooms[0]], entropies, strict=True):
        run = Record(record_name(config), config.flat(), {2000: {"sse": 1.0}}, {}, {}, latents={"kl_dims": values})
        records.write(run, tmp_path / "no-collapse")
    of_data = {cell.data: cell for cell in cells([contents], tmp_path) if cell.net == "burgess"}
    assert (round(of_data["dsprites"].kl, 3), of_data["dsprites"].active) == (3.005, 2)
    assert of_data["dsprites"].is_collapsed
    assert not of_data["rooms3d"].is_finished  # the second seed is missing
    assert not of_data["photographs"].is_finished


def test_photographs_are_grey_differ_and_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_photographs(tmp_path / name, count=6, side=16)
    first, second = (
        [np.asarray(Image.open(file)) for file in sorted((tmp_path / name).glob("*.png"))] for name in ("a", "b")
    )
    assert len(first) == 6
    assert first[0].shape == (16, 16)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert len({image.tobytes() for image in first}) == 6


def test_the_command_shows_what_is_there_and_refuses_options_of_other_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = commands.reproduce("no-collapse", to=Path("page.md"))
    assert not outcome.is_complete
    assert "0 of 188 cells are finished" in outcome.text
    assert "missing runs: 188; --run trains them" in outcome.text
    assert outcome.values["cells"][0] == {"method": "aligned-vae", "net": "mlp_lvae", "data": "dsprites"}
    assert "| l-vae closed | burgess | - | - | - |" in Path("page.md").read_text(encoding="utf-8")
    assert "| ada-gvae | burgess | - | - | no pairs |" in Path("page.md").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="no-collapse has its own data sets and runs; leave --dataset and --add out"):
        commands.reproduce("no-collapse", dataset="dsprites")


@pytest.mark.slow
def test_a_sample_of_the_table_does_not_collapse(tmp_path: Path) -> None:
    """Two cells of those that collapsed before: the methods of the paper and of calibrated noise with `locatello`."""
    study = no_collapse.studies(Size(steps=600))[0] | {"out": str(tmp_path / "sample")}
    study["method"] = [{"name": "l-vae"}, {"name": "sigma-vae"}]
    study["net"] = {"name": "locatello"}
    study["data"] = {"name": "dsprites", "size": 32}
    assert reproduce.train(study, 1, tmp_path / "results" / "sample", progress=False) == 0
    trained = cells([study], tmp_path / "results")
    assert len(trained) == 2
    assert not any(cell.is_collapsed for cell in trained), trained
