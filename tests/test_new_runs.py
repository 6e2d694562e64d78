"""Settings that a new run may not have together, and that a run of an earlier version opens with."""

from pathlib import Path
from typing import Any

import pytest

from equipoise import config
from equipoise.assemble import build
from equipoise.errors import InputError
from equipoise.methods import METHODS

CODEBOOKS = {"method": "compose", "method.prior": "codebooks"}
PAUSE = {"name": "descent", "start": 1.0, "end": 0.01, "entry": 0.0, "hold": 0.97, "until": 0.5}
WITHOUT_EFFECT = [
    ({"method": "vae", "method.sigma": 0.5}, "method.sigma is 0.5, which method.likelihood does not use"),
    (
        {"method": "vae", "method.likelihood": {"name": "gaussian", "sigma": 0.1}, "method.sigma": 0.5},
        "method.sigma is 0.5, which method.likelihood does not use",
    ),
    ({"method": "compose", "method.likelihood": "mse", "method.sigma": 0.1}, "method.sigma is 0.1"),
    (
        {"method": "l-vae", "method.law": "scaled", "method.weights": "closed", "method.smoothing": 0.5},
        "method.smoothing is 0.5, which has an effect with method.weights=closed and method.law=published only",
    ),
    ({"method": "l-vae", "method.law": "published", "method.smoothing": 0.5}, "method.smoothing is 0.5"),
    (
        {"method": "l-vae", "method.law": "scaled", "method.memory": 0.5},
        "method.memory is 0.5, which has an effect with method.weights=closed only",
    ),
    (
        {"method": "l-vae", "method.law": "scaled", "method.weights": "closed", "method.travel": 3.0},
        "method.travel is 3, which has an effect with method.weights=learned only",
    ),
    *(
        (
            {"method": "ada-gvae", "method.pairs": pairs, "method.changed": changed},
            f"method.changed is {changed}, which has an effect with method.pairs=factors or method.known=true only",
        )
        for pairs in ("neighbours", "pairs.csv")
        for changed in (0, 2)
    ),
    ({"method": "dava", "method.accumulate": True, "train.optimizer": "muon"}, "that train.optimizer=muon removes"),
    *(
        ({**CODEBOOKS, "method.terms": [term]}, f"method.terms has {term}, which needs the density of the posterior")
        for term in ("kl_mc", "mi", "tc", "dim_kl")
    ),
    ({**CODEBOOKS, "method.terms": ["kl", {"name": "tc", "weights": "mss"}]}, "method.terms has tc"),
    ({"method": "aligned-vae", "method.hold": 0.96}, "hold is 0.96, after which the weight does not reach its end"),
    ({"method": "compose", "method.balance": [PAUSE]}, "set it to 0.95 or less"),
    (
        {"method": "compose", "method.balance": [{"name": "fixed", "weights": {"rec": 0.0}}]},
        "the weight of rec is 0",
    ),
    (
        {"method": "compose", "method.balance": [{"name": "pi", "beta_max": float("inf")}]},
        "method.balance.beta_max is inf; expected a finite number",
    ),
]
IN_USE: list[dict[str, Any]] = [
    {"method": "vae", "method.likelihood": "gaussian", "method.sigma": 0.5},
    {"method": "vae", "method.likelihood": {"name": "gaussian", "sigma": 0.5}, "method.sigma": 0.5},
    {"method": "vae", "method.likelihood": {"name": "gaussian", "sigma": 0.5}},
    {"method": "l-vae", "method.law": "published", "method.weights": "closed", "method.smoothing": 0.5},
    {"method": "l-vae", "method.weights": "closed", "method.memory": 0.5},
    {"method": "l-vae", "method.travel": 3.0},
    {"method": "dava", "method.accumulate": True},
    {"method": "ada-gvae", "method.changed": 2},
    {"method": "ada-gvae", "method.pairs": "neighbours", "method.changed": 2, "method.known": True},
    {**CODEBOOKS, "method.terms": ["kl", "quantise", "commit"]},
    {"method": "compose", "method.balance": [{**PAUSE, "hold": 0.95}]},
]


@pytest.mark.parametrize(("settings", "reason"), WITHOUT_EFFECT)
def test_a_new_run_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        config.resolve({"data": "dsprites", **settings})
    assert reason in str(refusal.value)


@pytest.mark.parametrize("settings", [settings for settings, _ in WITHOUT_EFFECT])
def test_an_earlier_run_opens_and_its_model_is_built(settings: dict[str, Any], tmp_path: Path) -> None:
    earlier = config.resolve({"data": "dsprites", "net": "mlp_lvae", **settings}, complete=True)
    (tmp_path / "config.toml").write_text(earlier.to_toml(), encoding="utf-8")
    opened = config.load(tmp_path / "config.toml")
    assert opened == earlier
    build(opened, (1, 16, 16), 100)


@pytest.mark.parametrize("settings", IN_USE)
def test_settings_with_an_effect_are_accepted(settings: dict[str, Any]) -> None:
    config.resolve({"data": "dsprites", **settings})


@pytest.mark.parametrize("name", METHODS)
def test_defaults_and_presets_are_accepted(name: str) -> None:
    for preset in (None, *METHODS[name].presets):
        config.resolve({"data": "dsprites", "method": name} | ({"method.preset": preset} if preset else {}))
