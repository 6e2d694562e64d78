"""The board and the claims: tables and verdicts from records of which the right values are known."""

import dataclasses
import json
import re
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest
from scipy import stats

from equipoise import commands
from equipoise.study.evidence import board, claims
from equipoise.study.evidence.board import best_fixed, result
from equipoise.study.evidence.claims import Runs
from equipoise.study.evidence.effects import effect
from equipoise.study.evidence.table import Evidence, Size, StudyRun, read, train, write
from equipoise.study.folder import read as read_study
from equipoise.study.plan import plan
from equipoise.study.published import record as records
from equipoise.study.published.record import Record, record_name

ROOT = Path(__file__).parent.parent.parent
BETAS = (1.0, 4.0)


def trained(
    method: dict[str, object], migs: Iterable[float], *, sse: float = 10.0, data: str = "dsprites", **of_record: object
) -> list[StudyRun]:
    """Return finished runs of a method, one for each MIG, with equal other scores."""
    runs = []
    contents = board.study(Size(), [method])
    contents["data"] = {"name": data, "size": 32}
    for config, mig in zip(plan(contents).runs.values(), migs, strict=False):
        scores = dict.fromkeys(board.METRICS, 0.5) | {"sse": sse * (1 + mig / 100), "mig": mig}
        curves = {"step": [2000, 3000], "kl": [18.0, 18.0], "beta_equivalent": [3.0, 1.2]}
        settings = {"train.seed": config.train.seed}
        made = Record(record_name(config), settings, {3000: scores}, curves, {}, seconds=60.0)
        runs.append(StudyRun(config, dataclasses.replace(made, **of_record)))
    return runs


def beta_vaes(data: str = "dsprites", best: float = 4.0) -> list[StudyRun]:
    """Return five seeds of two beta-VAEs, whose MIG is 0.3 at the best beta and 0.1 at the other."""
    runs = []
    for beta in BETAS:
        mig = 0.3 if beta == best else 0.1
        spread = [mig + 0.01 * k for k in range(-2, 3)]
        runs += trained({"name": "beta-vae", "beta": beta}, spread, sse=10 * beta, data=data)
    return runs


def verdicts(runs: list[StudyRun]) -> dict[str, str]:
    """Return the verdict of each claim on dSprites, of those that have their runs."""
    findings = {claim.statement: claim.test(Runs(runs), "dsprites") for claim in claims.CLAIMS}
    return {statement: each.verdict for statement, each in findings.items() if each is not None}


OF_CLAIMS: dict[str, dict[str, object]] = {  # settings of the board for methods that the claims need with others too
    "beta-tcvae": {"method.beta": 6.0},
    "isa-vae": {"method.beta": 1.0, "method.learned": False},
    "progressive-rf-vae": {"method.beta_0": 6.4},
}


def label(settings: dict[str, object]) -> str:
    """The name of a method as the page writes it, with other settings than those of the board if it has some."""
    name = str(settings["method.name"])
    others = {key: settings[key] for key, value in OF_CLAIMS.get(name, {}).items() if settings[key] != value}
    return f"{name} {settings['method.beta']:g}" if name == "beta-vae" else f"{name} {others}" if others else name


def rows_of(section: str) -> list[list[str]]:
    """The cells of the rows of a table, without its header."""
    return [re.split(r" *\| *", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")][1:]


def scores_of_records() -> dict[tuple[str, str], list[dict[str, float]]]:
    """The scores of each method and data set, read from the JSON files, without the program."""
    of: dict[tuple[str, str], list[dict[str, float]]] = {}
    for path in (ROOT / "results" / "board").glob("*.json"):
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["settings"].get("method.weights") != "closed":
            key = label(stored["settings"]), stored["settings"]["data.name"]
            of.setdefault(key, []).append(stored["scores"]["3000"])
    return of


def test_the_page_which_method_has_the_medians_of_five_seeds_of_quantised_codes_and_pairs() -> None:
    of = scores_of_records()
    text = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
    rows = rows_of(text.split("### Quantised codes and pairs")[1].split("\n##")[0])
    assert [method for method, *_ in rows] == ["`outline-vae`", "`aligned-vae`", "`qlae`", "`ada-gvae`"]
    for method, *cells in rows:
        scores = of[method.strip("`"), "rooms3d"]
        assert len(scores) == 5
        names = ("infom", "dci_hist_disentanglement", "mig", "sse")
        medians = [median(each[name] for each in scores) for name in names]
        assert cells == [*(f"{each:.2f}".removeprefix("0") for each in medians[:3]), f"{medians[3]:.1f}"], method


def test_the_page_which_method_has_the_means_of_the_records() -> None:
    of = scores_of_records()
    text = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
    rows = rows_of(text.split("## What the board shows")[1].split("\n##")[0])
    assert len(rows) >= 8
    for method, data, seeds, *cells in rows:
        scores = of[method.strip("`"), data]
        assert int(seeds) == len(scores)
        names = ("sse", "mig", "dci_hist_disentanglement", "factor_vae")
        means = [fmean(each[name] for each in scores) for name in names]
        expected = [f"{means[0]:.1f}", *(f"{mean:.2f}".removeprefix("0") for mean in means[1:])]
        assert cells == expected, (method, data)


def test_the_board_has_every_method_with_five_seeds_on_two_sets() -> None:
    runs = plan(board.study(Size())).runs
    assert len(runs) == (len(board.FIXED) + len(board.OTHERS)) * 2 * 5
    assert {config.train.steps for config in plan(board.study(Size(quick=True))).runs.values()} == {1000}


def test_rows_are_sorted_by_mig_and_compared_with_the_best_fixed_weight() -> None:
    better = trained({"name": "l-vae"}, [0.5, 0.5, 0.25])
    page = board.show([*beta_vaes(), *better, StudyRun(better[0].config, None)], better[:1])
    rows = page.values["rows"]
    assert [row["method"] for row in rows] == ["l-vae", "beta-vae 4", "beta-vae 1"]
    assert rows[0]["above"] == "10 of 15"  # two seeds are above all five, one is below all five
    assert [row["above"] for row in rows[1:]] == ["–", "0 of 25"]  # the best is not compared with itself
    assert rows[0]["MIG"].startswith("0.417 (")
    assert rows[0]["MIG at 1/3"] == "0.500"
    assert rows[1]["KL"] == "18.00 (18.00..18.00)"
    assert "13 of 14 runs are finished" in page.text
    assert not page.is_complete


def test_a_run_without_a_mig_is_left_out_of_the_counts() -> None:
    undefined = trained({"name": "l-vae"}, [0.5, 0.5])
    undefined[0].record.scores[3000].pop("mig")
    rows = board.show([*beta_vaes(), *undefined]).values["rows"]
    assert [row["above"] for row in rows if row["method"] == "l-vae"] == ["5 of 5"]
    assert claims.judge_tuning(Runs([*beta_vaes(), *undefined]), "dsprites") is None


def test_a_mig_that_still_grows_is_flagged() -> None:
    runs = trained({"name": "l-vae"}, [0.5] * 5)
    early = trained({"name": "l-vae"}, [0.3] * 5)
    assert board.show(runs, early).values["rows"][0]["flags"] == "MIG still rises"
    assert board.show(runs, runs).values["rows"][0]["flags"] == ""


def test_the_best_fixed_weight_has_the_largest_mean() -> None:
    finished = [each for run in beta_vaes() if (each := result(run)) is not None]
    best = best_fixed(finished)
    assert best is not None
    assert best.label == "beta-vae 4"
    assert best_fixed([]) is None


def test_records_are_found_by_the_settings_of_the_study(tmp_path: Path) -> None:
    contents = board.study(Size(seeds=1), [{"name": "l-vae"}])
    config = next(iter(plan(contents).runs.values()))
    run = Record(record_name(config), config.flat(), {3000: {"mig": 0.25}}, {"step": [3000]}, {})
    records.write(run, tmp_path / "board")
    first, second = read(contents, tmp_path)
    assert (first.scores, second.scores) == ({"mig": 0.25}, {})
    shorter = Record(run.run, config.flat(), {1000: {"mig": 0.5}}, {"step": [1000]}, {})
    records.write(shorter, tmp_path / "board")
    assert read(contents, tmp_path)[0].scores == {"mig": 0.25}  # the longer run stays
    (tmp_path / "board" / f"{run.run}.json").unlink()
    records.write(shorter, tmp_path / "board")
    assert read(contents, tmp_path)[0].record is None  # trained for fewer steps than the table has


def test_runs_of_another_number_of_steps_have_folders_of_their_own() -> None:
    folders = {board.study(size)["out"] for size in (Size(), Size(quick=True), Size(steps=500))}
    assert folders == {"studies/board", "studies/board-quick", "studies/board-500"}


def test_a_run_with_a_record_is_not_trained_again(here: Path) -> None:  # noqa: ARG001
    contents = {
        "out": "studies/tiny",
        "seeds": 2,
        "data": {"name": "squares.npz"},
        "method": [{"name": "beta-vae"}],
        "net": {"name": "factor", "latent": 2},
        "train": {"steps": 4, "batch": 16, "threads": 1},
        "evaluate": {"which": ["sse"], "interval": False},
    }
    first, second = plan(contents).runs.values()
    made = Record(record_name(first), first.flat(), {4: {"sse": 12.5}}, {"step": [4]}, {})
    records.write(made, Path("results/tiny"))
    tiny = Evidence("tiny", lambda size: [contents], lambda results, size: board.show([]))  # noqa: ARG005
    train(tiny, Size(), Path("results"), workers=1, progress=False)
    known, new = read(contents, Path("results"))
    assert known.scores == {"sse": 12.5}
    assert not Path(first.out).exists()
    assert new.record is not None
    assert sorted(each.name for each in Path("studies/tiny/runs").iterdir()) == [Path(second.out).name]
    train(tiny, Size(), Path("results"), workers=1, progress=False)  # nothing is left to train
    assert not Path(first.out).exists()
    another = {**contents, "seeds": 1, "method": [{"name": "beta-vae", "beta": 2.0}]}  # in the same folder
    both = tiny._replace(studies=lambda size: [contents, another])  # noqa: ARG005
    train(both, Size(), Path("results"), workers=1, progress=False)
    assert all(run.record is not None for run in read(another, Path("results")))


def test_the_page_is_written_with_its_figure(tmp_path: Path) -> None:
    paths = write(board.show(beta_vaes()), tmp_path / "board.md")
    assert [path.name for path in paths] == ["board.md", "board.svg"]
    text = paths[0].read_text(encoding="utf-8")
    assert text.startswith("# Board\n\nMeans over seeds")
    assert "](board.svg)" in text
    assert "## dsprites" in text


def test_the_readme_has_the_scores_of_the_records() -> None:
    stored = {record.run: record for record in records.read_all(ROOT / "results" / "board")}
    migs: dict[str, list[float]] = {}
    for run in read_study(ROOT / "examples" / "gallery.toml").runs.values():
        score = stored[record_name(run)].scores[run.train.steps]["mig"]
        migs.setdefault(f"{run.method.name} {getattr(run.method, 'beta', '')}".strip(), []).append(score)
    means = {method: f"{fmean(scores):.2f}"[1:] for method, scores in migs.items()}
    fixed = sorted(mean for method, mean in means.items() if method.startswith("beta-vae"))
    assert len(fixed) == 3
    for page in ("README.md", "docs/gallery.md"):
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert f"{fixed[0]} to {fixed[-1]}" in text, page
        assert f" {means['aligned-vae']}" in text, page


# --- claims -----------------------------------------------------------------------------------------------------------


def test_the_effect_is_that_of_a_welch_test() -> None:
    ours, theirs = [0.3, 0.5, 0.7], [0.1, 0.2, 0.3, 0.2]
    difference = effect((ours, theirs))
    assert difference is not None
    assert difference.value == pytest.approx(0.3)
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert (difference.low, difference.high) == pytest.approx((welch.low, welch.high))
    assert effect(([1.0], theirs)) is None


def test_an_effect_over_pairs_is_their_mean() -> None:
    one, two = [0.3, 0.5, 0.7], [0.1, 0.2, 0.3]
    single, double = effect((one, two)), effect((one, two), (one, two))
    assert single is not None
    assert double is not None
    assert double.value == pytest.approx(single.value)
    assert double.high - double.low < single.high - single.low


@pytest.mark.parametrize(
    ("migs", "expected"),
    [([0.5, 0.51, 0.52], "supported"), ([0.28, 0.29, 0.3], "supported"), ([0.1, 0.11, 0.12], "contradicted")],
)
def test_l_vae_has_to_come_near_the_best_weight(migs: list[float], expected: str) -> None:
    assert verdicts([*beta_vaes(), *trained({"name": "l-vae"}, migs)])[claims.CLAIMS[0].statement] == expected


def test_a_fixed_weight_is_the_one_nearest_to_the_learned_one() -> None:
    claim = claims.CLAIMS[1]
    better = claim.test(Runs([*beta_vaes(), *trained({"name": "l-vae"}, [0.29, 0.3, 0.31], sse=5.0)]), "dsprites")
    assert better is not None
    assert better.verdict == "supported"
    assert better.result.startswith("learned 1.2, fixed 1: MIG +0.200")
    worse = claim.test(Runs([*beta_vaes(), *trained({"name": "l-vae"}, [0.29, 0.3, 0.31], sse=20.0)]), "dsprites")
    assert worse is not None
    assert worse.verdict == "contradicted"


def test_best_weights_that_are_equal_contradict_that_they_differ() -> None:
    claim = claims.CLAIMS[2]
    equal = claim.test(Runs([*beta_vaes(), *beta_vaes("rooms3d")]), "dsprites")
    different = claim.test(Runs([*beta_vaes(), *beta_vaes("rooms3d", best=1.0)]), "dsprites")
    assert equal is not None
    assert different is not None
    assert (equal.verdict, different.verdict) == ("contradicted", "supported")


def test_a_set_point_has_to_be_met_by_every_seed() -> None:
    statement = "ControlVAE holds its set point"
    near = trained({"name": "control-vae"}, [0.1] * 5)
    curves = {"step": [3000], "kl": [15.0], "beta_equivalent": [1.0]}
    far = trained({"name": "control-vae"}, [0.1] * 5, curves=curves)
    assert verdicts(near)[statement] == "supported"
    assert verdicts(far)[statement] == "contradicted"
    assert verdicts([*near[:3], *far[3:]])[statement] == "undecided"


def test_relevant_latents_are_counted() -> None:
    statement = "RF-VAE finds the number of relevant latents"
    right = trained({"name": "rf-vae"}, [0.1] * 5, latents={"relevance_dims": [0.9] * 5 + [0.1] * 5})
    wrong = trained({"name": "rf-vae"}, [0.1] * 5, latents={"relevance_dims": [0.9] * 10})
    assert verdicts(right)[statement] == "supported"
    assert verdicts([*right[:2], *wrong[2:]])[statement] == "contradicted"


def test_first_weights_are_equal_only_within_the_margin() -> None:
    statement = "Progressive RF-VAE is insensitive to beta_0"
    spread = [-0.005, 0.0, 0.005]

    def runs(last: float) -> list[StudyRun]:
        migs = dict(zip(claims.STARTS, (0.2, 0.2, last), strict=True))
        return [
            run
            for start, mig in migs.items()
            for run in trained({"name": "progressive-rf-vae", "beta_0": start}, [mig + each for each in spread])
        ]

    assert verdicts(runs(0.21))[statement] == "supported"
    assert verdicts(runs(0.4))[statement] == "contradicted"
    assert statement not in verdicts(runs(0.2)[:3])


def test_a_claim_has_no_finding_before_all_its_runs_are_finished() -> None:
    ours, theirs = trained({"name": "l-vae"}, [0.5, 0.51, 0.52]), beta_vaes()
    statement = claims.CLAIMS[0].statement
    assert statement in verdicts([*theirs, *ours])
    assert statement not in verdicts([*theirs, *ours[:2], StudyRun(ours[2].config, None)])
    assert statement not in verdicts([*theirs[:-1], StudyRun(theirs[-1].config, None), *ours])


def test_the_figure_has_the_effects_of_each_claim_and_data_set() -> None:
    runs = [*beta_vaes(), *beta_vaes("rooms3d"), *trained({"name": "l-vae"}, [0.1, 0.11, 0.12])]
    page = claims.show(runs)
    ((_, figure),) = page.figures.items()
    left, right = figure.axes
    judged = [label.get_text().replace("\n", " ") for label in left.get_yticklabels()]
    assert judged == [claims.CLAIMS[0].statement, claims.CLAIMS[1].statement]
    finding = claims.CLAIMS[0].test(Runs(runs), "dsprites")
    assert finding is not None
    assert finding.mig is not None
    assert finding.sse is not None
    for axes, difference in ((left, finding.mig), (right, finding.sse)):
        ends = [line.get_xdata() for line in axes.get_lines()]
        assert any(np.array_equal(each, [difference.low, difference.high]) for each in ends)
    assert not claims.show([]).figures


def test_a_claim_needs_the_same_on_no_data_set_the_opposite() -> None:
    assert claims.overall(["supported", "undecided"]) == "supported"
    assert claims.overall(["supported", "contradicted"]) == "undecided"
    assert claims.overall([]) == "undecided"


def test_every_claim_finds_its_runs_in_the_study_of_the_claims() -> None:
    every = [
        run
        for config in plan(claims.study(Size())).runs.values()
        for run in [
            StudyRun(
                config,
                Record(
                    record_name(config),
                    {"train.seed": config.train.seed},
                    {3000: {"sse": 10.0 + config.train.seed, "mig": 0.1 + config.train.seed / 100}},
                    {"step": [3000], "kl": [18.0], "beta_equivalent": [1.0]},
                    {},
                    latents={"relevance_dims": [1.0]},
                ),
            )
        ]
    ]
    page = claims.show(every)
    assert page.is_complete
    assert "runs are missing" not in page.text
    assert [len(each["findings"]) for each in page.values["claims"]] == [2] * (len(claims.CLAIMS) - 1) + [1]
    assert not [row["claim"] for row in page.values["claims"] if None in row["findings"]]


def test_the_commands_print_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("board", "claims"):
        outcome = commands.reproduce(name, to=Path("page.md"))
        assert not outcome.is_complete
        assert "0 of " in outcome.text
        assert Path("page.md").read_text(encoding="utf-8").startswith("# ")
