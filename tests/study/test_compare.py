"""A study compared: every figure on the page, in the table and in the files is that of the runs' files."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.study.compared import MIG, SSE, comparison, known, page_of, planned, rows_of, write
from tests.study.made_up import TWO_METHODS, Made, settled, study
from typer.testing import CliRunner

from equipoise import cli, commands
from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.files import write_text
from equipoise.study import read
from equipoise.study.compare import tables
from equipoise.study.compare.comparison import Pair
from equipoise.study.compare.statistics import Estimate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("study") / "mine")


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Any:
    return commands.compare(folder, to=folder / "table.csv")


def test_an_interval_is_that_recomputed_from_the_scores_in_the_file(folder: Path, outcome: Any) -> None:
    rows = [row for row in rows_of(folder / "compare.csv") if row["metric"] == "mig" and row["setting"] == "beta=4"]
    scores = np.array([float(row["value"]) for row in rows])
    assert scores.tolist() == MIG["beta=4"]
    drawn = scores[np.random.default_rng(0).integers(3, size=(2000, 3))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    (found,) = (each for each in outcome.values["groups"] if each["metric"] == "mig" and each["setting"] == "beta=4")
    assert (found["mean"], found["mean_low"], found["mean_high"]) == pytest.approx((0.6, low, high), abs=1e-12)
    page = (folder / "compare.html").read_text(encoding="utf-8")
    assert f"{low:.3f} to {high:.3f}" in page
    assert f"{low:.3f}..{high:.3f}" in outcome.text


def test_the_file_has_every_run_and_score(folder: Path, outcome: Any) -> None:
    rows = rows_of(folder / "compare.csv")
    assert len(rows) == 9 * 5  # sse, kl, mig, sap, mutual_information
    found = {(row["setting"], int(row["seed"])): row for row in rows if row["metric"] == "sse"}
    assert {key: float(row["value"]) for key, row in found.items()} == {
        (setting, seed): value for setting, values in SSE.items() for seed, value in enumerate(values)
    }
    assert {row["run"] for row in rows} == {path.name for path in (folder / "runs").iterdir()}
    assert outcome.values["wrote"][0] == str(folder / "compare.csv")


def test_the_table_has_a_row_for_each_group_and_marks_the_best(outcome: Any) -> None:
    lines = outcome.text.splitlines()
    found = {line[:18].strip(): line[18:].split() for line in lines if re.match(r"  (beta-vae|l-vae) ", line)}
    assert list(found) == ["beta-vae beta=1", "beta-vae beta=4", "l-vae"]
    assert found["beta-vae beta=1"][:4] == ["3", "21.00*", "0.233", "0.100*"], "seeds, sse, mig, sap"
    assert found["beta-vae beta=4"][:3] == ["3", "33.00", "0.600*"]
    assert found["l-vae"][:5] == ["3", "25.00", "0.583", "0.100*", "2.25"], "what ties is best together"
    assert "mutual_information" not in outcome.text, "headline metrics alone"
    assert outcome.text.endswith(f"open {Path(outcome.values['wrote'][1])}")


def test_metrics_may_be_chosen_and_lower_is_better_for_some(folder: Path) -> None:
    found = comparison(folder, ["mutual_information"])
    (block,) = found.blocks
    assert block.metrics == ("sse", "mutual_information")
    assert block.best["mutual_information"] == {"beta-vae beta=4"}
    assert block.best["sse"] == {"beta-vae beta=1"}
    (block,) = comparison(folder, ["all"]).blocks
    assert block.metrics == ("sse", "mig", "sap", "mutual_information", "kl")
    assert block.best["kl"] == set()
    with pytest.raises(InputError, match="no run was scored with migg; did you mean mig"):
        comparison(folder, ["migg"])


def test_the_probability_of_improvement_counts_pairs_of_seeds(folder: Path) -> None:
    (block,) = comparison(folder, ["all"]).blocks
    pairs = {(pair.ours, pair.theirs): pair.estimate.value for pair in block.improvement["mig"]}
    # Of the pairs, .3 is above none of .5, .6, .7, .65 above two, .8 above three.
    assert pairs["beta-vae beta=4", "l-vae"] == pytest.approx(4 / 9)
    assert pairs["beta-vae beta=4", "beta-vae beta=1"] == 1
    pairs = {(pair.ours, pair.theirs): pair.estimate.value for pair in block.improvement["sse"]}
    assert pairs["beta-vae beta=1", "beta-vae beta=4"] == 1, "less error is better"
    assert block.improvement["kl"] == []


def test_few_pairs_of_seeds_are_counted(folder: Path, outcome: Any) -> None:
    lines = [line.strip() for line in outcome.text.splitlines()]
    assert "sse: a run of beta-vae beta=1 beats one of l-vae in 9 of 9 pairs of seeds" in lines
    assert "mig: a run of beta-vae beta=4 beats one of l-vae in 4 of 9 pairs of seeds" in lines
    assert "probability 1.00" not in outcome.text
    assert ">9 of 9</data></td>" in page_of(folder)
    assert {row["pairs"] for row in outcome.values["improvement"]} == {9}
    many = Pair("a", "b", Estimate(0.875, 0.8, 0.9), 126, 144)
    assert tables.share(many) == "0.88"


def test_collapsed_runs_win_nothing(tmp_path: Path) -> None:
    def made(config: Config) -> Made:
        return Made(known(config).sse, known(config).scores, mean=np.zeros((50, 4)))

    write(tmp_path, made=made)
    outcome = commands.compare(tmp_path)
    assert outcome.text.startswith("all collapsed\n")
    assert "*" not in outcome.text.split("means over seeds")[0]
    assert "beats" not in outcome.text
    assert not any(row["best"] for row in outcome.values["groups"])
    assert outcome.values["improvement"] == []
    assert outcome.values["notes"][0].startswith("All 9 runs collapsed: no latent is active")
    page = page_of(tmp_path)
    assert page.index("All 9 runs collapsed") < page.index("<table>")
    assert "<strong>" not in page
    assert not list(tmp_path.rglob("tradeoff-*"))


def test_a_collapsed_setting_is_shown_and_not_compared(tmp_path: Path) -> None:
    def made(config: Config) -> Made:
        run, beta = known(config), config.flat().get("method.beta")
        return Made(run.sse, run.scores, mean=np.zeros((50, 4))) if beta == 4.0 else run

    write(tmp_path, made=made)
    (block,) = comparison(tmp_path).blocks
    assert block.best["mig"] == {"l-vae"}  # beta=4 has a larger mean
    assert [group.label for group in block.rivals("mig")] == ["l-vae", "beta-vae beta=1"]
    assert "3 of 9 runs collapsed" in comparison(tmp_path).notes[0]


def test_of_many_settings_the_best_of_each_method_is_compared(tmp_path: Path) -> None:
    text = """
    seeds = 2
    data = [{name = "dsprites"}]
    [[method]]
    name = "beta-vae"
    beta = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    [[method]]
    name = "vae"
    """
    study(tmp_path, text, lambda config: Made(20, {"mig": 0.1 * float(config.flat().get("method.beta", 0))}))
    (block,) = comparison(tmp_path).blocks
    assert [group.label for group in block.rivals("mig")] == ["beta-vae beta=8", "vae"]
    assert "chosen by these same scores" in page_of(tmp_path)


def test_flags_and_what_is_not_finished_are_said(tmp_path: Path) -> None:
    def made(config: Config) -> Made | None:
        run, seed = known(config), config.train.seed
        if config.method.name == "l-vae":
            row = settled(1.0) | ({"sigma.rec": 1.0} if seed else {})
            return Made(run.sse, run.scores, row=row)
        if config.flat()["method.beta"] == 4.0:
            return Made(run.sse, run.scores, mean=np.zeros((50, 4)), beta=None)
        return None if seed == 2 else run

    write(tmp_path, made=made)
    (failed,) = (path for path in planned(tmp_path) if not path.exists())
    failure = {"reason": "the loss is <not> finite", "hopeless": True, "where": "", "when": "", "traceback": ""}
    write_text(tmp_path / "failures" / f"{failed.name}.json", json.dumps({"tries": [failure]}))
    outcome = commands.compare(tmp_path)
    lines = outcome.text.splitlines()
    assert next(line for line in lines if line.startswith("  l-vae")).endswith("not settled 2 of 3")
    collapsed = next(line for line in lines if line.startswith("  beta-vae beta=4"))
    assert collapsed.split()[-2:] == ["–", "collapsed"], "without a KL term there is no beta"
    assert "note: 8 of 9 runs are finished, 1 failed; only these are counted." in lines
    assert f"failed: {failed.name}: the loss is <not> finite" in lines
    assert "There are settings with 2 seeds; intervals of fewer than ten seeds are too narrow." in outcome.text
    assert outcome.values["left"] == [{"run": failed.name, "stage": "failed", "reason": failure["reason"]}]
    page = page_of(tmp_path)
    assert "the loss is &lt;not&gt; finite" in page
    assert '<span class="flag">not settled 2 of 3</span>' in page


@pytest.mark.parametrize("name", ["scores.json", "meta.json", "codes.npz", "config.toml"])
def test_a_run_with_a_damaged_file_is_named_and_the_others_are_compared(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = planned(tmp_path)[0]
    (path / name).write_text("[")
    outcome = commands.compare(tmp_path)
    assert "note: 8 of 9 runs are finished, 1 failed; only these are counted." in outcome.text
    (line,) = (line for line in outcome.text.splitlines() if line.startswith("failed: "))
    assert line.startswith(f"failed: {path.name}: {path / name}")
    assert len({row["run"] for row in rows_of(tmp_path / "compare.csv")}) == 8


def test_damage_of_all_runs_is_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    for path in planned(tmp_path):
        (path / "scores.json").write_text("null")
    with pytest.raises(InputError, match=r"no finished run in .* can be read; the first: .*scores.json is damaged"):
        commands.compare(tmp_path)
    assert not (tmp_path / "compare.csv").exists()


def test_a_file_in_place_of_a_run_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    path = planned(tmp_path)[0]
    shutil.rmtree(path)
    path.touch()
    text = commands.status(tmp_path, progress=False).text
    assert f"{path.name} failed: {path} is a file; remove it" in text
    assert f"failed: {path.name}: {path} is a file; remove it" in commands.compare(tmp_path).text


def test_single_seeds_have_no_interval(tmp_path: Path) -> None:
    write(tmp_path, seeds=1)
    outcome = commands.compare(tmp_path)
    assert ".." not in outcome.text.replace("...", "")
    assert {row["mean_low"] for row in outcome.values["groups"]} == {None}
    assert "a single seed, which has no interval" in outcome.text
    json.dumps(outcome.values, allow_nan=False)


def test_a_score_that_is_undefined_on_one_data_set_has_no_mean_over_several(tmp_path: Path) -> None:
    """beta=4 has the largest MIG on dsprites, 0.6, and none on rooms3d: 0.6 is not a mean of two data sets."""

    def made(config: Config) -> Made:
        run, is_undefined = known(config), config.data.name == "rooms3d" and config.flat().get("method.beta") == 4.0
        return Made(run.sse, {**run.scores, "mig": np.nan}) if is_undefined else run

    write(tmp_path, data='["dsprites", "rooms3d"]', made=made)
    found = comparison(tmp_path)
    dsprites, _, both = found.blocks
    assert dsprites.best["mig"] == {"beta-vae beta=4"}
    assert both.best["mig"] == {"l-vae"}
    (group,) = (group for group in both.groups if group.label == "beta-vae beta=4")
    assert group.estimate("mig") is None
    assert [group.label for group in both.groups_with("mig")] == ["beta-vae beta=1", "l-vae"]
    outcome = commands.compare(tmp_path)
    averaged = outcome.text[outcome.text.index("all 2 data sets") :].splitlines()
    assert next(line for line in averaged if line.startswith("  beta-vae beta=4")).split()[2:4] == ["6", "–"]
    json.dumps(outcome.values, allow_nan=False)


def test_several_data_sets_are_averaged_and_ranked(tmp_path: Path) -> None:
    write(tmp_path, data='["dsprites", "rooms3d"]')
    outcome = commands.compare(tmp_path)
    found = comparison(tmp_path)
    assert [block.title for block in found.blocks] == ["dsprites", "rooms3d", "all 2 data sets"]
    both = found.blocks[-1]
    assert both.mean_metrics == ("mig", "sap"), "errors on different data have no mean"
    (group,) = (group for group in both.groups if group.label == "l-vae")
    assert group.estimate("mig").value == pytest.approx(np.mean(MIG[""]))
    assert group.estimate("mig").high < found.blocks[0].groups[2].estimate("mig").high, "six seeds tell more than three"
    labels, ranks = both.ranks("sse")
    assert dict(zip(labels, ranks.mean, strict=True)) == {"beta-vae beta=1": 1, "l-vae": 2, "beta-vae beta=4": 3}
    assert ranks.p == pytest.approx(1 / 6, abs=0.02)
    assert both.ranks("kl") is None
    assert found.blocks[0].ranks("sse") is None
    assert (
        "sse: mean ranks beta-vae beta=1 1.00, l-vae 2.00, beta-vae beta=4 3.00 of 3; Friedman p = 0.1" in outcome.text
    )
    assert {row["metric"] for row in outcome.values["ranks"]} == {"sse", "mig", "sap"}
    assert "Mean ranks over 2 data sets" in page_of(tmp_path)


def test_a_setting_that_one_data_set_lacks_is_not_averaged(tmp_path: Path) -> None:
    def made(config: Config) -> Made | None:
        return None if config.data.name == "rooms3d" and config.method.name == "l-vae" else known(config)

    write(tmp_path, data='["dsprites", "rooms3d"]', made=made)
    found = comparison(tmp_path)
    assert [len(block.groups) for block in found.blocks] == [3, 2, 2]


def test_scores_that_are_not_alike_are_not_compared_in_silence(tmp_path: Path) -> None:
    def made(config: Config) -> Made:
        return Made(20, {"mig": 0.5}, convention="locatello" if config.train.seed else "default")

    write(tmp_path, made=made)
    path = next(iter(planned(tmp_path)))
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps(meta | {"data": meta["data"] | {"digest": "1"}}))
    notes = comparison(tmp_path).notes
    assert any("different conventions (default, locatello)" in note for note in notes)
    assert any("The images of dsprites changed between runs" in note for note in notes)


@pytest.mark.parametrize(
    ("key", "values", "figures"),
    [("size", (16, 32), "errors"), ("grey", (False, True), "errors"), ("n", (50, 60), "scores")],
)
def test_images_of_two_settings_are_not_called_changed(
    key: str, values: tuple[Any, Any], figures: str, tmp_path: Path
) -> None:
    text = TWO_METHODS.format(seeds=2, data='"dsprites"').replace("[train]", f"{key} = {json.dumps(values)}\n[train]")
    study(tmp_path, text, lambda config: Made(20.0 + config.train.seed, {"mig": 0.5}))
    for config in read(tmp_path / "study.toml").runs.values():
        meta = json.loads((Path(config.out) / "meta.json").read_text())
        digest = str(getattr(config.data, key))
        (Path(config.out) / "meta.json").write_text(json.dumps(meta | {"data": meta["data"] | {"digest": digest}}))
    notes = comparison(tmp_path).notes
    expected = (
        f"Runs on dsprites have images of different settings (data.{key} is {values[0]} or {values[1]}), so their "
        f"{figures} are not comparable."
    )
    assert expected in notes
    assert not any("changed" in note for note in notes)


def test_seeds_are_those_with_the_score_in_every_table(tmp_path: Path) -> None:
    def made(config: Config) -> Made:
        return Made(20 + config.train.seed, {"mig": 0.5} if config.train.seed else {"mig": 0.4, "sap": 0.1})

    write(tmp_path, made=made)
    outcome = commands.compare(tmp_path, to=tmp_path / "table.csv")
    assert {row["seeds"] for row in rows_of(tmp_path / "table.csv") if row["metric"] == "sap"} == {"1"}
    assert {row["seeds"] for row in rows_of(tmp_path / "table.csv") if row["metric"] == "mig"} == {"3"}
    assert outcome.text.count("1 of 3 seeds") == page_of(tmp_path).count("<small>1 of 3 seeds</small>") == 3
    assert tables.latex(comparison(tmp_path)).count(r"{\scriptsize 1 of 3 seeds}") == 3
    assert "There are settings with a single seed, which has no interval" in outcome.text


def test_undefined_and_infinite_scores_do_not_spoil_the_others(tmp_path: Path) -> None:
    def made(config: Config) -> Made:
        wrong = {"mig": np.nan, "gaussian_tc": np.inf}
        return Made(20 + config.train.seed, wrong if config.train.seed == 0 else {"mig": 0.5, "gaussian_tc": 0.1})

    write(tmp_path, made=made)
    outcome = commands.compare(tmp_path, ["all"])
    row = next(row for row in outcome.values["groups"] if row["metric"] == "mig")
    assert (row["seeds"], row["mean"]) == (2, 0.5)
    assert next(row for row in outcome.values["groups"] if row["metric"] == "gaussian_tc")["mean"] is None
    json.dumps(outcome.values, allow_nan=False)


def test_a_study_without_factors_is_compared_by_what_it_has(tmp_path: Path) -> None:
    write(tmp_path, made=lambda config: Made(20 + config.train.seed, {"mutual_information": 0.1, "active_units": 3.0}))
    (block,) = comparison(tmp_path).blocks
    assert block.metrics == ("sse", "mutual_information", "kl", "active_units")
    commands.compare(tmp_path, ["sse"])
    assert "<h3>Reconstruction against scores</h3>" not in page_of(tmp_path), "nothing to draw against"


def test_what_cannot_be_compared_is_refused_in_one_sentence(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="is not a study"):
        commands.compare(tmp_path)
    with pytest.raises(InputError, match=r"table.docx: expected a file that ends in .csv, .parquet or .tex"):
        commands.compare(folder, to=folder / "table.docx")
    write(tmp_path / "begun", made=lambda _: None)
    with pytest.raises(InputError, match="has no finished run yet; equipoise sweep resumes it"):
        commands.compare(tmp_path / "begun")
    assert not (tmp_path / "begun" / "compare.html").exists()


def test_the_shell_compares_and_selects(folder: Path) -> None:
    shown = CliRunner().invoke(cli.app, ["compare", str(folder), "--metric", "mig", "--metric", "sap", "--json"])
    assert shown.exit_code == 0
    assert {row["metric"] for row in json.loads(shown.stdout)["groups"]} == {"sse", "mig", "sap"}
    shown = CliRunner().invoke(cli.app, ["select", str(folder)])
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[-1] == f"wrote {folder / 'select.csv'}"
