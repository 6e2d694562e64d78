"""What a reader has to know is said, and nothing is said without cause."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from equipoise import report
from equipoise.methods.aligned_vae import AlignedVAE
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.dava import DAVA
from equipoise.methods.factor_vae import FactorVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.sigma_vae import SigmaVAE
from equipoise.metrics import Score
from equipoise.report.remarks import flags

Make = Callable[..., Any]


def about(notes: list[str], start: str) -> str:
    """The one note that starts like this."""
    (found,) = (note for note in notes if note.startswith(start))
    return found


def test_learned_weights_are_compared_with_their_stationary_point(make: Make) -> None:
    run = make()  # sigma 1.5 and 1.25, R = 16, K = 4, where the stationary sigmas are 2 and sqrt 2
    note = about(report.notes(run), "Learned trade-off")
    assert "= 1.500²/1.250² = 1.440" in note
    assert "β̂ / √(R/K) = 0.720" in note
    assert "R = 16.00 and K = 4.00 nats" in note
    assert "have not converged" in note
    assert "at 0.0001 this takes 5,000 more steps" in note  # (2 - 1.5) / 1e-4


def test_settled_weights_are_called_settled(make: Make, log: Make) -> None:
    run = make().but(logs=log(sigma_rec=-2.0, sigma_kl=math.sqrt(2)))  # the sign of sigma is free
    note = about(report.notes(run), "Learned trade-off")
    assert "β̂ / √(R/K) = 1.000" in note
    assert "has converged" in note
    assert "more steps" not in note


def test_the_log_regulariser_is_compared_with_its_own_stationary_point(make: Make, log: Make) -> None:
    rows = log(sigma_rec=math.sqrt(32), sigma_kl=math.sqrt(8))
    rows = [{f"log_{k}" if k.startswith("sigma.") else k: v for k, v in row.items()} for row in rows]
    rows = [row | {"log_sigma.rec": math.log(32) / 2, "log_sigma.kl": math.log(8) / 2} for row in rows]
    run = make(method=LVAE(law="published", regulariser="log", parametrisation="log")).but(logs=rows)
    note = about(report.notes(run), "Learned trade-off")
    assert "= 4.000, and β̂ / R/K = 1.000" in note.replace("(R/K)", "R/K")


def test_a_weight_at_its_limit_is_said(make: Make, log: Make) -> None:
    run = make(dead=True).but(logs=log(kl=0.0, sigma_kl=0.01))
    notes = report.notes(run)
    assert "1/σ_kl² = 10,000" in about(notes, "The weight of kl is at its limit")
    assert not [note for note in notes if note.startswith("Learned trade-off")]  # sqrt(R / 0)


def test_fixed_weights_are_not_remarked_on(make: Make) -> None:
    assert not [note for note in report.notes(make(method=BetaVAE())) if "σ" in note]


def test_noise_that_is_still_being_learned_is_compared_with_the_errors(make: Make, log: Make) -> None:
    run = make(method=SigmaVAE(form="learned"))
    run = run.but(codes=run.codes | {"sse": [2.56, 2.56]})  # of 256 pixels: a sigma of 0.1
    notes = report.notes(run.but(logs=[row | {"sigma": 0.2} for row in log()]))
    note = about(notes, "The decoder's noise has not converged")
    assert "σ = 0.200, but the errors of the pictures correspond to 0.100" in note
    assert "2σ² = 0.08, depends on when the run was stopped; it tends to 0.02." in note
    assert "at 0.0001 this takes 6,900 more steps" in note  # log 2 / 1e-4
    assert flags(run.but(logs=[row | {"sigma": 0.2} for row in log()])) == ["not settled"]
    assert flags(run.but(logs=[row | {"sigma": 0.05} for row in log()])) == ["not settled"]
    assert flags(run.but(logs=[row | {"sigma": 0.105} for row in log()])) == []
    assert flags(make(method=SigmaVAE()).but(logs=[row | {"sigma": 0.2} for row in log()])) == []  # fitted, not learned


def test_collapsed_latents_are_listed(make: Make) -> None:
    assert about(report.notes(make()), "2 of 4 latents are unused").count("z2, z3") == 1


def test_a_collapsed_model_is_called_so(make: Make) -> None:
    notes = report.notes(make(dead=True))
    about(notes, "Posterior collapse: no latent is active")
    about(notes, "There are no scores")


def test_a_collapse_after_a_few_steps_is_called_too_short_a_run(make: Make) -> None:
    run = make(dead=True)
    short = run.but(config=replace(run.config, train=replace(run.config.train, steps=60)))
    notes = report.notes(short)
    about(notes, "The run is too short: no latent is active after 60 steps")
    assert not any("Lower the weight" in note for note in notes)
    assert "collapsed" in flags(short)


def test_a_run_of_less_than_a_fifth_of_the_default_steps_is_called_short(make: Make) -> None:
    run = make(method=AlignedVAE())
    for steps, is_remarked in ((1999, True), (2000, False)):
        other = run.but(config=replace(run.config, train=replace(run.config.train, steps=steps)))
        short = [note for note in report.notes(other) if note.startswith("The run is short")]
        assert bool(short) == is_remarked
        assert all("it has 1,999 steps, and aligned-vae has 10,000 by default" in note for note in short)
        assert not flags(other)
    dead = make(method=AlignedVAE(), dead=True)
    assert not any(note.startswith("The run is short") for note in report.notes(dead))  # it is called collapsed


def test_images_that_are_alike_are_not_called_a_collapse_or_a_short_run(make: Make) -> None:
    run = make(dead=True)
    means = np.zeros_like(run.codes["mean"])
    alike = run.but(codes=run.codes | {"mean": means, "sse": np.full(len(means), 2.5)})
    short = replace(run.config, train=replace(run.config.train, steps=60))
    for other in (alike, alike.but(config=short)):
        notes = report.notes(other)
        about(notes, f"The images are alike: all {len(means)} that are scored have the same code")
        assert not any("collapse" in note or "too short" in note for note in notes)
        assert "collapsed" in flags(other)
    collapsed = run.but(codes=run.codes | {"mean": means, "sse": np.arange(float(len(means)))})
    about(report.notes(collapsed), "Posterior collapse")


def test_many_passes_over_few_images_are_remarked_on_if_these_are_scored(make: Make) -> None:
    run = make()
    assert run.config.train.steps * run.config.train.batch == 3200
    few = run.but(meta=run.meta | {"images": 20})
    assert "each of the 20 images 160 times" in about(report.notes(few), "The model was trained on")
    for settings, is_remarked in (({"n": 20}, True), ({"split": (0.8, 0.2)}, False), ({"scored": "left_out"}, False)):
        other = few.but(config=replace(run.config, data=replace(run.config.data, **settings)))
        assert any("was trained on" in note for note in report.notes(other)) == is_remarked
    many = run.but(meta=run.meta | {"images": 40})
    assert not [note for note in report.notes(many) if "was trained on" in note]


def test_missing_factors_are_said(make: Make) -> None:
    about(report.notes(make(factors=False)), "The factors of variation of these images are not known")


def test_a_factor_that_no_latent_tells_is_named(make: Make) -> None:
    assert "mood" in about(report.notes(make()), "No single latent encodes")


def test_a_collapsed_run_has_no_remark_on_factors(make: Make) -> None:
    """Means of a millionth, without noise, still have the mutual information of the factors."""
    run = make()
    run = run.but(codes={**run.codes, "mean": run.codes["mean"] * 1e-3})
    notes = report.notes(run)
    assert about(notes, "Posterior collapse")
    assert not any("No single latent" in note for note in notes)


def test_undefined_scores_are_named(make: Make) -> None:
    run = make()
    run = run.but(scores={**run.scores, "sap": Score(value=math.nan)})
    assert about(report.notes(run), "Undefined") == "Undefined for these codes: sap."


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        ([0.5, 0.49, 0.51, 0.5, 0.5], "stayed at chance in the whole run"),
        ([0.5, 0.6, 0.6, 0.55, 0.5], ""),
        ([0.5, 0.6, 0.9, 0.95, 0.991], "99.1% over the last fifth"),
        ([0.5], "stayed at chance"),
    ],
)
def test_a_discriminator_that_learned_nothing_or_has_nothing_to_learn_is_named(
    make: Make, log: Make, accuracy: list[float], said: str
) -> None:
    rows = [row | {"accuracy": a, "tc": 0.0, "weight.tc": 35.0} for row, a in zip(log(5), accuracy, strict=False)]
    notes = report.notes(make(method=FactorVAE()).but(logs=rows))
    found = [note for note in notes if note.startswith("The discriminator")]
    assert len(found) == bool(said)
    assert all(said in note for note in found)
    assert not [note for note in report.notes(make(method=DAVA()).but(logs=rows)) if "discriminator" in note]


@pytest.mark.parametrize("logs", [[], None])
def test_a_run_without_log_still_has_its_notes(make: Make, log: Make, logs: list[Any] | None) -> None:
    run = replace(make(), logs=log(1) if logs is None else logs)
    assert about(report.notes(run), "2 of 4 latents are unused")


def test_flags_say_what_makes_a_run_unfit_to_be_compared_and_load_no_model(make: Make, log: Make) -> None:
    assert flags(make().but(model=None)) == ["not settled"]
    assert flags(make().but(logs=log(sigma_rec=-2.0, sigma_kl=math.sqrt(2)))) == []
    assert flags(make(method=BetaVAE())) == []
    assert flags(make(dead=True).but(logs=log(kl=0.0, sigma_kl=0.01))) == ["collapsed", "saturated"]
    assert flags(make(dead=True).but(logs=[])) == ["collapsed"]
    for accuracy, said in ((0.5, ["at chance"]), (0.7, []), (0.99, ["saturated"])):
        rows = [row | {"accuracy": accuracy, "tc": 0.0, "weight.tc": 35.0} for row in log()]
        assert flags(make(method=FactorVAE()).but(logs=rows)) == said
