"""Published tables: protocols that fit their rows, figures beside the paper's, and a page that is never written by
hand.
"""

import json
import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise import commands
from equipoise import config as configuration
from equipoise.errors import InputError
from equipoise.metrics import Score
from equipoise.study.plan import plan
from equipoise.study.published import formats
from equipoise.study.published.paper import Column, Published, Row
from equipoise.study.published.record import ROWS, Record, read_all, record, write
from equipoise.study.published.reproduce import TABLES, protocol
from equipoise.study.published.side_by_side import side_by_side

REPOSITORY = Path(__file__).parents[2]
PAIRS = [(name, dataset, quick) for name, table in TABLES.items() for dataset in table.rows for quick in (False, True)]


@pytest.mark.parametrize(("name", "dataset", "quick"), PAIRS)
def test_every_run_of_a_protocol_is_of_one_row_and_every_row_has_runs(name: str, dataset: str, quick: bool) -> None:
    table = TABLES[name]
    runs = plan(protocol(table, dataset, quick, None, 1)).runs
    found = [Record(run, {**config.flat()}, {1: {}}, {"step": []}, {}) for run, config in runs.items()]
    of_rows = table.runs(dataset, found)
    assert sorted(each.run for of_row in of_rows.values() for each in of_row) == sorted(runs)
    for row, of_row in of_rows.items():
        # The L-VAE of Table 3 is that of Table 2, and is not trained twice.
        assert of_row or (name, row.label) == ("lvae-table3", "L-VAE")


@pytest.mark.parametrize("name", TABLES)
def test_quick_is_a_fraction_of_the_budget(name: str) -> None:
    table = TABLES[name]
    dataset = next(iter(table.rows))
    whole, part = (plan(protocol(table, dataset, quick, None, None)).runs.values() for quick in (False, True))
    assert table.budget in {config.train.steps * config.train.batch for config in whole}
    assert sum(c.train.steps * c.train.batch for c in part) < 0.25 * sum(c.train.steps * c.train.batch for c in whole)


def test_short_run_of_a_protocol_goes_on_to_the_whole_one() -> None:
    short = plan(protocol(TABLES["lvae-table2"], "dsprites", True, None, 1)).runs
    assert short.keys() <= plan(protocol(TABLES["lvae-table2"], "dsprites", False, None, 1)).runs.keys()


def made_up(seed: int, scores: Mapping[int, Mapping[str, float]], **settings: object) -> Record:
    steps = list(range(100, 1001, 100))
    curves = {"step": steps, "kl": [float(step + seed) for step in steps]}
    own = {"data.name": "dsprites", "train.seed": seed, "train.batch": 1000, "method.name": "vae", **settings}
    return Record(f"run{seed}", own, scores, curves, {})


TABLE = Published(
    name="t",
    title="A table",
    source="A paper",
    claim="Something.",
    study={"dsprites": {"data": {"name": "dsprites"}}},
    quick={},
    budget=2_000_000,
    columns={
        "sse": Column("sse", "sse"),
        "mig": Column("MIG", "mig"),
        "kl": Column("KL", curve="kl", last=0.2),
    },
    rows={
        "dsprites": [Row("VAE", {"method.name": "vae"}, {"sse": 10.0, "mig": 0.5}), Row("none", {"method.name": "x"})]
    },
    reasons="Reasons.",
    selection="mig",
)
KEPT = [
    made_up(0, {500: {"sse": 12.0, "mig": 0.1}, 1000: {"sse": 11.0, "mig": 0.3}}),
    made_up(1, {500: {"sse": 14.0, "mig": 0.4}, 1000: {"sse": 9.0, "mig": 0.2}}),
    made_up(2, {500: {"sse": 16.0, "mig": math.nan}}),
    made_up(3, {500: {"sse": 99.0, "mig": 0.9}}, **{"data.name": "rooms3d"}),
]


def test_paper_means_difference_and_best_stand_side_by_side() -> None:
    side, empty = side_by_side(TABLE, "dsprites", KEPT)
    assert [line.kind for line in side.lines] == ["paper", "mean", "difference", "best"]
    paper, mean, difference, best = side.lines
    assert paper.figures["mig"].value == 0.5
    assert mean.label == "ours, mean of 2 seeds, step 1,000"  # the last step; the third seed is not there yet
    assert mean.figures["sse"].value == 10.0
    assert mean.figures["kl"].value == (900 + 1000 + 901 + 1001) / 4  # the last fifth of the steps
    assert difference.figures["mig"].value == pytest.approx(-0.25)
    # The best by MIG is a model of an earlier step; its other figures are those of that very model.
    assert best.label == "ours, best MIG of 4 models: step 500"
    assert (best.figures["mig"].value, best.figures["sse"].value) == (0.4, 14.0)
    assert not empty.lines


def test_interval_of_a_mean_is_the_bootstrap_over_seeds() -> None:
    _, mean, *_ = side_by_side(TABLE, "dsprites", KEPT)[0].lines
    scores = np.array([11.0, 9.0])
    drawn = scores[np.random.default_rng(0).integers(2, size=(2000, 2))].mean(axis=1)
    assert (mean.figures["sse"].low, mean.figures["sse"].high) == tuple(np.quantile(drawn, [0.025, 0.975]))


def test_rows_are_compared_at_a_step_that_all_have_and_shown_at_their_last() -> None:
    late = made_up(4, {500: {"sse": 1.0, "mig": 0.1}}, **{"method.name": "x"})
    vae, other = side_by_side(TABLE, "dsprites", [*KEPT, late])
    assert [line.label for line in vae.lines if line.kind == "mean"] == [
        "ours, mean of 3 seeds, step 500",
        "ours, mean of 2 seeds, step 1,000",
    ]
    assert [line.label for line in other.lines] == ["ours, 1 seed, step 500", "ours, best MIG of 1 model: step 500"]


def test_runs_without_the_score_that_models_are_chosen_by_have_no_best() -> None:
    side, _ = side_by_side(TABLE, "dsprites", [made_up(0, {500: {"sse": 12.0}})])
    assert [line.kind for line in side.lines] == ["paper", "mean", "difference"]


def test_text_and_page_have_every_figure_and_say_the_budget() -> None:
    text, page = formats.text(TABLE, "dsprites", KEPT), formats.markdown(TABLE, "dsprites", KEPT, "images/a.png")
    for said in (text, page):
        assert "Ours: 3 runs of 0.5 to 1 million images; the protocol has 2 million." in said
        assert all(figure in said for figure in ("0.50", "10.00", "-0.25", "0.40", "14.00", "950.50"))
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {5}
    assert json.loads(json.dumps(formats.values(TABLE, "dsprites", KEPT), allow_nan=False))["table"] == "t"


def folder(path: Path, scores: Mapping[str, float] | None, history: list[dict[str, Any]], rows: int = 1000) -> Path:
    """A run as training leaves it, as far as it is kept."""
    path.mkdir()
    (path / "config.toml").write_text(
        f'out = "{path}"\n[data]\nname = "dsprites"\n[method]\nname = "vae"\n[train]\nsteps = 1000\nseed = 3\n'
    )
    meta = {"format": 1, "data": {"digest": "0", "factor_names": []}, "shape": [1, 8, 8], "images": 9}
    meta |= {"versions": {"torch": "2"}, "platform": "p", "command": f"in {path}"}
    (path / "meta.json").write_text(json.dumps(meta))
    log = [{"step": k + 1, "kl": k / 3, "kl_dims": [1]} for k in range(rows)]
    (path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    (path / "scores_history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
    if scores is not None:
        stored = {name: Score(value).to_dict() for name, value in scores.items()}
        contents = {"checkpoint": "0", "convention": "default", "n": 9, "scores": stored}
        (path / "scores.json").write_text(json.dumps(contents))
    return path


def keep(run: Path, results: Path) -> Path | None:
    found = record(run)
    return found and write(found, results)


def test_kept_file_is_small_has_no_path_and_reads_back(tmp_path: Path) -> None:
    run = folder(tmp_path / "a", {"mig": 0.2}, [{"step": 500, "mig": 0.1}, {"step": 1000, "sse": 3.0}])
    file = keep(run, tmp_path / "r")
    assert file is not None
    assert str(tmp_path) not in file.read_text()
    (found,) = read_all(tmp_path / "r")
    assert found.scores == {500: {"mig": 0.1}, 1000: {"mig": 0.2, "sse": 3.0}}
    assert found.seed == 3
    assert len(found.curves["step"]) <= ROWS
    assert found.curves.keys() == {"step", "kl"}
    assert found.fits({"method.name": "vae", "method.preset": None})


def test_run_that_is_half_done_counts_as_far_as_it_was_scored(tmp_path: Path) -> None:
    assert keep(folder(tmp_path / "a", None, []), tmp_path / "r") is None
    assert keep(folder(tmp_path / "b", None, [{"step": 500, "mig": 0.1}]), tmp_path / "r")
    assert [each.steps for each in read_all(tmp_path / "r")] == [[500]]


def test_longer_run_takes_the_place_of_its_shorter_self(tmp_path: Path) -> None:
    for name, steps in (("a", 1000), ("b", 2000)):
        run = folder(tmp_path / name, {"mig": 0.2}, [])
        (run / "config.toml").write_text((run / "config.toml").read_text().replace("1000", str(steps)))
        keep(run, tmp_path / "r")
    assert [each.steps for each in read_all(tmp_path / "r")] == [[2000]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"name": "lvae-table9"}, "lvae-table9"),
        ({"name": "lvae-table2", "dataset": "celeba"}, "celeba"),
        ({"name": "lvae-table2", "quick": True}, "add --run"),
        ({"name": "lvae-table2", "seeds": 0}, "add --run"),
        ({"name": "board", "workers": 0}, "add --run"),
        ({"name": "all", "run": True}, "name one table"),
        ({"name": "lvae-table2", "to": Path("page.html")}, r"ends in \.md"),
        ({"name": "lvae-table2", "add": [Path("nowhere")]}, "nowhere is not a run"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    words: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        commands.reproduce(words.pop("name"), **words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["lvae-table2", "all", "board"])
def test_tables_without_our_runs_name_the_folder_that_is_missing(name: str, tmp_path: Path) -> None:
    missing = commands.reproduce(name, results=tmp_path / "none")
    assert f"note: There is no folder {tmp_path / 'none'}. Our runs are in" in missing.text
    assert "There is no folder" not in commands.reproduce(name, results=tmp_path).text


def test_run_that_is_of_no_row_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    run = folder(tmp_path / "a", {"mig": 0.2}, [])
    with pytest.raises(InputError, match="fit no row"):
        commands.reproduce("lvae-table2", add=[run], results=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_file_of_another_kind_among_the_results_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match=r"x\.json is not a record"):
        commands.reproduce("lvae-table2", results=tmp_path)


def test_page_of_results_is_what_the_command_writes(tmp_path: Path) -> None:
    outcome = commands.reproduce("all", results=REPOSITORY / "results", to=tmp_path / "results.md")
    assert (tmp_path / "results.md").read_text() == (REPOSITORY / "docs" / "results.md").read_text()
    pictures = re.findall(r"\]\((images/[^)]+)\)", (tmp_path / "results.md").read_text())
    assert pictures
    for picture in pictures:
        assert (tmp_path / picture).is_file()
        assert (REPOSITORY / "docs" / picture).is_file()
    shown = [(each["table"], each["data"]) for each in outcome.values["tables"]]
    assert ("lvae-table2", "dsprites") in shown


def test_kept_results_hold_the_command_that_gives_their_settings_and_no_path_of_a_machine() -> None:
    folder = REPOSITORY / "results"
    files = [*folder.glob("*.json"), *(folder / "board").glob("*.json")]
    assert len(files) > 50
    for file in files:
        known = json.loads(file.read_text())
        settings = configuration.resolve(configuration.parse(shlex.split(known["command"])[2:])).flat()
        stored = {key: value for key, value in known["settings"].items() if key not in configuration.ELSEWHERE}
        assert stored.items() <= settings.items(), file
        assert not re.search(r"/(tmp|home|root|work|Users)/", file.read_text()), file
        assert file.stat().st_size < 100_000, file


@pytest.mark.slow
def test_protocol_trains_is_kept_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for steps in (6, 9):
        outcome = commands.reproduce("lvae-table3", run=True, quick=True, steps=steps, workers=1, progress=False)
        assert outcome.values["done"]
        (found,) = read_all(tmp_path / "results")
        assert found.steps == [steps]
        assert f"ours, 1 seed, step {steps}" in outcome.text
    assert len(list((tmp_path / "studies" / "lvae-table3-dsprites" / "runs").iterdir())) == 1
