"""Models chosen without labels: those whose latents other seeds found again."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.study.made_up import TWO_METHODS, Made, study

from equipoise import commands
from equipoise.config import Config
from equipoise.errors import InputError
from equipoise.metrics.ranking import udr

N, NOISE = 400, {"beta=1": 1.5, "beta=4": 0.05, "": 0.6}


def setting(config: Config) -> str:
    beta = config.flat().get("method.beta")
    return "" if beta is None else f"beta={beta:g}"


def codes(config: Config) -> np.ndarray:
    """Four sources in an order and with signs of the seed's own, and more noise in some settings than in others."""
    sources = np.random.default_rng(9).normal(size=(N, 4))
    rng = np.random.default_rng(config.train.seed)
    found = sources[:, rng.permutation(4)] * rng.choice([-1, 1], 4)
    return found + NOISE[setting(config)] * (1 + 0.2 * config.train.seed) * rng.normal(size=(N, 4))


def made(config: Config) -> Made:
    """Runs of which mig agrees with the noise of the codes, and sap says the contrary."""
    noise = NOISE[setting(config)] * (1 + 0.2 * config.train.seed)
    return Made(20.0, {"mig": 1 / (1 + noise), "sap": noise / 9, "active_units": 4.0}, mean=codes(config))


def write(folder: Path, seeds: int = 3, what: Callable[[Config], Made | None] = made) -> Path:
    study(folder, TWO_METHODS.format(seeds=seeds, data='"dsprites"'), what)
    return folder


def test_models_that_agree_with_other_seeds_are_chosen_as_labels_would_have(tmp_path: Path) -> None:
    outcome = commands.select(write(tmp_path), progress=False)
    (data,) = outcome.values["data"]
    assert [model["label"] for model in data["models"][:3]] == ["beta-vae beta=4"] * 3
    assert list(data["settings"]) == ["beta-vae beta=4", "l-vae", "beta-vae beta=1"]
    labels = {each["metric"]: each for each in data["labels"]}
    assert labels.keys() == {"mig", "sap"}, "of what needs labels"
    assert labels["mig"]["spearman"] > 0.8
    assert labels["sap"]["spearman"] < -0.8
    assert labels["mig"]["score"] == pytest.approx(1 / 1.05)
    assert labels["mig"]["run"].startswith("dsprites-beta-vae-")
    best = next(each for each in rows(tmp_path) if each["rank"] == "1")
    assert labels["mig"]["score_of_udr"] == pytest.approx(float(best["mig"]))


def test_a_run_with_a_damaged_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, seeds=4)
    path = next((tmp_path / "runs").iterdir())
    (path / "scores.json").write_text("[")
    lines = commands.select(tmp_path, progress=False).text.splitlines()
    assert any(line.startswith(f"failed: {path.name}: {path / 'scores.json'} is damaged") for line in lines)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "select.csv").read_text(encoding="utf-8"))))


def test_the_score_is_udr_over_the_seeds_of_the_same_setting(tmp_path: Path) -> None:
    plan = study(tmp_path, TWO_METHODS.format(seeds=4, data='"dsprites"'), made)
    commands.select(tmp_path, progress=False)
    found = {(row["setting"], int(row["seed"])): float(row["udr"]) for row in rows(tmp_path)}
    alike = [codes(config).astype(np.float32) for config in plan.runs.values() if setting(config) == "beta=4"]
    logvar = np.full_like(alike[0], -4.0)
    for seed, mine in enumerate(alike):
        others = [(each, logvar) for each in alike[:seed] + alike[seed + 1 :]]
        assert found["beta=4", seed] == pytest.approx(udr(mine, others, logvar).value, abs=1e-12)
    assert len(found) == 12


def test_the_file_has_every_model_in_order(tmp_path: Path) -> None:
    outcome = commands.select(write(tmp_path), progress=False)
    table = rows(tmp_path)
    assert [int(row["rank"]) for row in table] == list(range(1, 10))
    assert sorted((float(row["udr"]) for row in table), reverse=True) == [float(row["udr"]) for row in table]
    assert list(table[0])[-2:] == ["mig", "sap"]
    assert outcome.text.splitlines()[-1] == f"wrote {tmp_path / 'select.csv'}"
    assert f"beta-vae beta=4 seed {table[0]['seed']}" in outcome.text.splitlines()[2]
    json.dumps(outcome.values, allow_nan=False)


def test_each_data_set_has_a_ranking_of_its_own(tmp_path: Path) -> None:
    text = 'seeds = 3\n[data]\nname = ["dsprites", "rooms3d"]\n[method]\nname = "vae"\n'
    study(tmp_path, text, lambda config: Made(20.0, {"mig": 0.3}, mean=codes(config)))
    outcome = commands.select(tmp_path, progress=False)
    assert [data["data"] for data in outcome.values["data"]] == ["dsprites", "rooms3d"]
    assert [row["rank"] for row in rows(tmp_path)].count("1") == 2
    assert outcome.values["data"][0]["labels"][0]["spearman"] is None, "all scores are equal"


def test_a_score_that_the_choice_of_udr_lacks_is_null(tmp_path: Path) -> None:
    def lacking(config: Config) -> Made:
        run = made(config)
        return Made(run.sse, {**run.scores, "mig": np.nan}, mean=run.mean) if setting(config) == "beta=4" else run

    outcome = commands.select(write(tmp_path, what=lacking), progress=False)
    labels = {each["metric"]: each for each in outcome.values["data"][0]["labels"]}
    assert labels["mig"]["score_of_udr"] is None
    json.dumps(outcome.values, allow_nan=False)


def test_settings_with_too_few_seeds_are_left_out_and_named(tmp_path: Path) -> None:
    def fewer(config: Config) -> Made | None:
        return None if config.method.name == "l-vae" and config.train.seed == 2 else made(config)

    outcome = commands.select(write(tmp_path, what=fewer), progress=False)
    assert outcome.values["left_out"] == ["l-vae on dsprites (2)"]
    assert "left out, with fewer than 3 seeds: l-vae on dsprites (2)" in outcome.text
    assert len(rows(tmp_path)) == 6


def test_without_labels_there_is_a_ranking_that_no_metric_checks(tmp_path: Path) -> None:
    write(tmp_path, what=lambda config: Made(20.0, {"active_units": 4.0}, mean=codes(config)))
    outcome = commands.select(tmp_path, progress=False)
    assert outcome.values["data"][0]["labels"] == []
    assert "so UDR cannot be checked against one" in outcome.text
    assert len(rows(tmp_path)) == 9


def test_collapsed_models_come_last(tmp_path: Path) -> None:
    def collapsed(config: Config) -> Made:
        dead = setting(config) == "beta=4"
        zero = np.zeros((N, 4))
        return Made(20.0, {"mig": 0.1}, mean=zero if dead else codes(config), logvar=zero if dead else None)

    commands.select(write(tmp_path, what=collapsed), progress=False)
    assert {(row["setting"], row["flags"], float(row["udr"])) for row in rows(tmp_path)[-3:]} == {
        ("beta=4", "collapsed", 0.0)
    }


def test_collapsed_models_come_last_and_are_marked_even_if_their_codes_agree(tmp_path: Path) -> None:
    def weak(config: Config) -> Made:
        dead = setting(config) == "beta=4"
        return Made(20.0, {"mig": 0.1}, mean=codes(config) / (100 if dead else 1))

    outcome = commands.select(write(tmp_path, what=weak), progress=False)
    models = outcome.values["data"][0]["models"]
    assert [(model["label"], model["flags"]) for model in models[-3:]] == [("beta-vae beta=4", ["collapsed"])] * 3
    assert models[-3]["udr"] > models[-4]["udr"]
    assert f"beta-vae beta=4 seed {models[-1]['seed']} (collapsed)" in outcome.text
    assert "3 of 9 models collapsed and come last: no latent is active, so their scores are noise" in outcome.text


def test_what_cannot_be_ranked_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="has no setting with 3 finished seeds; UDR compares seeds of a setting, so add"
    ):
        commands.select(write(tmp_path / "two", seeds=2), progress=False)

    def begun(config: Config) -> Made | None:
        return None if config.train.seed == 2 else made(config)

    with pytest.raises(InputError, match="of a setting, and 3 of 9 runs are not finished; equipoise sweep resumes"):
        commands.select(write(tmp_path / "begun", what=begun), progress=False)

    def shorter(config: Config) -> Made:
        cut = slice(None, 300 if config.train.seed == 1 else None)
        return Made(20.0, {"mig": 0.1}, mean=codes(config)[cut])

    with pytest.raises(InputError, match="are not of the same images, so UDR cannot compare them; delete the run"):
        commands.select(write(tmp_path / "cut", what=shorter), progress=False)
    changed = write(tmp_path / "changed")
    path = next((changed / "runs").iterdir()) / "meta.json"
    path.write_text(path.read_text().replace('"digest": "0"', '"digest": "1"'))
    with pytest.raises(InputError, match="are not of the same images"):
        commands.select(changed, progress=False)
