"""The table of the methods that tune themselves beside beta-VAEs tuned by hand: the front, the regret, the command."""

import math
from pathlib import Path

import pytest

from equipoise import commands
from equipoise.errors import InputError
from equipoise.study.evidence import board
from equipoise.study.evidence import tuning_regret as table
from equipoise.study.evidence.front import Point, front
from equipoise.study.evidence.table import Size, StudyRun
from equipoise.study.evidence.tuning_regret import regret
from equipoise.study.plan import plan
from equipoise.study.published.record import Record, record_name

# Fixed weights: lower errors cost score. The third is behind the second in both.
REFERENCE = [Point(1.0, 0.0), Point(10.0, 0.4), Point(20.0, 0.3), Point(100.0, 0.5)]


def run(
    method: str, sse: float, mig: float, *, beta: float = math.nan, data: str = "dsprites", seed: int = 0
) -> StudyRun:
    """Return a run whose two scores are equal; one without an error is not finished."""
    contents = board.study(Size(), [{"name": method, **({} if math.isnan(beta) else {"beta": beta})}])
    runs = plan(contents).runs.values()
    config = next(each for each in runs if (each.data.name, each.train.seed) == (data, seed))
    if math.isnan(sse):
        return StudyRun(config, None)
    scores = {"sse": sse, "mig": mig, "dci_hist_disentanglement": mig}
    steps = config.train.steps
    return StudyRun(config, Record(record_name(config), {"train.seed": seed}, {steps: scores}, {"step": [steps]}, {}))


def test_points_behind_another_are_not_on_the_front() -> None:
    assert front(REFERENCE) == [Point(1.0, 0.0), Point(10.0, 0.4), Point(100.0, 0.5)]
    assert front([Point(1.0, 0.5), Point(2.0, 0.5)]) == [Point(1.0, 0.5)]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (Point(10.0, 0.4), 0.0),  # a point of the front
        (Point(100.0, 0.4), 0.0),  # as good as the second in score, and as the last in error
        (Point(100.0, 0.3), 0.2),  # behind the second by half of the errors and by 0.1 of 0.5
        (Point(math.sqrt(1000), 0.2), 0.25),  # behind the second by a quarter of the errors, and by 0.2 of 0.5
        (Point(1.0, 0.4), -0.5),  # would be behind the second with half of the errors more
        (Point(0.1, 0.6), -1.0),  # the same with all of the errors more; its score would still be better
    ],
)
def test_the_regret_is_a_share_of_the_range_of_the_reference(point: Point, expected: float) -> None:
    assert regret(point, REFERENCE) == pytest.approx(expected)


def test_rows_are_means_over_finished_seeds_with_the_regret_of_each_data_set() -> None:
    listed = [
        run("beta-vae", 1.0, 0.0, beta=0.25),
        run("beta-vae", 80.0, 0.4, beta=4.0),
        run("beta-vae", 120.0, 0.6, beta=4.0, seed=1),
        run("l-vae", 100.0, 0.25),
        run("l-vae", math.nan, math.nan, seed=1),
        run("l-vae", 5.0, 0.3, data="rooms3d"),
    ]
    found = {(row.method, row.data): row for row in table.rows(listed)}
    assert list(found) == [
        ("beta-vae 0.25", "dsprites"),
        ("beta-vae 4", "dsprites"),
        ("l-vae", "dsprites"),
        ("l-vae", "rooms3d"),
    ]
    assert found["beta-vae 4", "dsprites"].point("mig") == Point(100.0, pytest.approx(0.5))
    assert found["l-vae", "dsprites"].regret == pytest.approx({"mig": 0.0, "dci_hist_disentanglement": 0.0})
    assert found["l-vae", "rooms3d"].regret == {}  # no reference there yet
    assert "5 of 6 runs are finished" in table.show(listed).text
    assert "in MIG or DCI: none" in table.show(listed).text


def test_a_method_has_to_be_on_the_front_of_both_data_sets() -> None:
    listed = [
        run(method, sse, mig, beta=beta, data=data)
        for data in table.DATA
        for method, sse, mig, beta in (
            ("beta-vae", 1.0, 0.0, 1.0),
            ("beta-vae", 100.0, 0.5, 2.0),
            ("aligned-vae", 10.0, 0.6, math.nan),
            ("sigma-vae", 200.0, 0.4 if data == "rooms3d" else 0.7, math.nan),
        )
    ]
    assert "in MIG or DCI: aligned-vae." in table.show(listed).text


def test_every_run_has_the_same_net_training_and_seeds() -> None:
    configs = plan(table.study(Size())).runs.values()
    assert len(configs) == (8 + len(table.METHODS)) * 2 * 3
    shared = {
        (c.net.name, c.train.optimizer, c.train.lr, c.train.batch, c.train.steps, c.train.start_at_mean, c.data.size)
        for c in configs
    }
    assert shared == {("small", "muon", 2e-3, 64, 3000, True, 32)}


def test_its_runs_are_runs_of_the_board() -> None:
    every = plan(board.study(Size())).runs
    assert all(every[name] == config for name, config in plan(table.study(Size())).runs.items())


def test_the_command_writes_the_page_and_refuses_options_of_other_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = commands.reproduce("tuning-regret", to=Path("page.md"))
    assert not outcome.is_complete
    assert "0 of 144 runs are finished" in outcome.text
    assert "page.svg" in Path("page.md").read_text(encoding="utf-8")
    assert Path("page.svg").read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(InputError, match="leave --dataset and --add out"):
        commands.reproduce("tuning-regret", dataset="dsprites")
