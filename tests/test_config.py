"""Settings: order, round trip, identity. Refusals are tested through the command line."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import equipoise as eq
from equipoise import config, run_folder, shell
from equipoise.config import parse, resolve
from equipoise.data.settings import LabelSettings
from equipoise.errors import InputError
from equipoise.methods import METHODS
from equipoise.methods.l_vae import LVAE
from equipoise.methods.method import descriptions


def test_later_layers_win() -> None:
    library = config.resolve({"data": "dsprites", "method": "vae"})
    method = config.resolve({"data": "dsprites", "method": "l-vae"})
    preset = config.resolve({"data": "dsprites", "method": "l-vae", "method.preset": "paper_lvae"})
    explicit = config.resolve(
        {"data": "dsprites", "method": "l-vae", "method.preset": "paper_lvae", "net.latent": 9, "train.steps": 7}
    )
    assert (library.net.name, library.net.latent, library.train.schedule) == ("locatello", 10, "constant")
    assert (method.net.name, method.net.latent) == ("mlp_lvae", 10)
    assert (preset.net.name, preset.net.latent, preset.train.schedule_steps) == ("mlp_lvae", 5, 300_000)
    assert (explicit.net.name, explicit.net.latent, explicit.train.steps) == ("mlp_lvae", 9, 7)


@pytest.mark.parametrize("method", METHODS)
def test_written_settings_read_back_as_the_same_run(method: str, tmp_path: Path) -> None:
    for preset in (None, *METHODS[method].presets):
        overrides: dict[str, object] = {
            "data": "dsprites",
            "method": method,
            "data.split": [0.5, 0.5],
            "train.betas": [0.5, 0.9],
        }
        before = config.resolve(overrides if preset is None else overrides | {"method.preset": preset})
        (tmp_path / "config.toml").write_text(before.to_toml())
        after = config.resolve(config.read(tmp_path / "config.toml"))
        assert after == before
        assert config.identity(after) == config.identity(before)


def test_identity_depends_on_every_setting_but_the_folder() -> None:
    base = config.resolve({"data": "dsprites"})
    assert config.identity(config.resolve({"data": "dsprites", "out": "elsewhere"})) == config.identity(base)
    for key, value in (("train.seed", 1), ("train.lr", 2e-4), ("method.end", 1e-3), ("net.latent", 4)):
        assert config.identity(config.resolve({"data": "dsprites", key: value})) != config.identity(base)
    assert base.out == f"runs/dsprites-aligned-vae-{config.identity(base)}"


def test_a_setting_that_earlier_runs_did_not_have_leaves_their_identity_unchanged() -> None:
    base = config.resolve({"data": "dsprites"})
    assert "train.weight_decay" not in config.distinguishing(base.flat())
    decayed = config.resolve({"data": "dsprites", "train.weight_decay": 0.01})
    assert config.identity(decayed) != config.identity(base)
    assert run_folder.identity(decayed) != run_folder.identity(base)
    assert "weight_decay" not in run_folder.identity(base)


@pytest.mark.parametrize("schedule", ["one-cycle", "warmup-cosine"])
def test_a_run_longer_than_its_schedule_is_refused(schedule: str) -> None:
    words = {"data": "dsprites", "train.schedule": schedule, "train.schedule_steps": 10}
    with pytest.raises(InputError, match=rf"train\.steps is 11, but the {schedule} schedule ends after 10 steps"):
        config.resolve({**words, "train.steps": 11})
    assert not config.is_extendable(config.resolve({"data": "dsprites", "train.schedule": schedule}))


def test_words_are_read_as_toml_and_as_text_where_they_are_none() -> None:
    parsed = config.parse(["train.lr=1e-3", "data.split=[0.8, 0.2]", "method=l-vae", "out=a=b", 'x="quoted"', "y=true"])
    assert parsed == {
        "train.lr": 1e-3,
        "data.split": [0.8, 0.2],
        "method": "l-vae",
        "out": "a=b",
        "x": "quoted",
        "y": True,
    }


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("evaluate.which=[mig,sap]", ("mig", "sap")),
        ("evaluate.which=[mig]", ("mig",)),
        ("evaluate.which=['mig', 'sap']", ("mig", "sap")),
        ("data.factors=[shape,scale]", ("shape", "scale")),
        ("data.correlate=[pos_x, pos_y]", ("pos_x", "pos_y")),
        ("train.track=[tensorboard,mlflow]", ("tensorboard", "mlflow")),
    ],
)
def test_lists_of_words_need_no_quotes(word: str, value: tuple[str, ...]) -> None:
    settings = {"data": "dsprites", "data.sigma": 0.2, "data.correlate": ["scale", "shape"]} | parse([word])
    section, _, name = word.partition("=")[0].partition(".")
    assert getattr(getattr(resolve(settings), section), name) == value


def test_single_settings_complete_a_table_in_any_order() -> None:
    base = {"data": "dsprites"}
    table = {"train.labels": {"source": 20, "until": 0.5}}
    entry = {"train.labels.weight": 5.0}
    labels = LabelSettings(20, until=0.5, weight=5.0)
    assert resolve(base | table | entry).train.labels == resolve(base | entry | table).train.labels == labels
    with pytest.raises(InputError, match=r"train\.labels\.until is set twice, to 0\.1 and to 0\.5"):
        resolve(base | {"train.labels.until": 0.1} | table)
    with pytest.raises(InputError, match=r"train\.labels\.source is missing, and train\.labels\.weight needs it"):
        resolve(base | entry)


def test_every_setting_says_why_it_is_what_it_is() -> None:
    for kind in (*config.SECTIONS.values(), *METHODS.values()):
        reasons = descriptions(kind)
        for field in dataclasses.fields(kind):
            assert reasons[field.name], f"{kind.__name__}.{field.name}"


def test_all_that_is_wrong_in_a_section_is_said_at_once() -> None:
    with pytest.raises(InputError, match=r"train\.steps is 0.*; train\.lr is -1"):
        config.resolve({"data": "dsprites", "train.steps": 0, "train.lr": -1})


def test_settings_are_frozen_and_checked_in_python_too() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        LVAE(floor=-1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        LVAE().floor = 1.0  # type: ignore[misc]


def test_the_demo_is_a_valid_run() -> None:
    demo = config.resolve(config.read(Path(__file__).parent.parent / "examples" / "demo.toml"))
    assert (demo.data.name, demo.method.name, demo.out) == ("dsprites", "aligned-vae", "runs/demo")


@pytest.mark.parametrize(
    "overrides",
    [
        {"method": "isa-vae", "method.layout": [3, 2], "data.split": [0.5, 0.5], "data.scored": "train"},
        {"method": "l-vae", "data.keep.shape": [0, 2], "data.leave_out.pos_x": "16:", "evaluate.every": 7},
        {"method": "compose", "method.balance": [{"name": "fixed", "weights": {"kl": 4.0}}]},
        *({"method": method, "method.preset": preset} for method in METHODS for preset in METHODS[method].presets),
    ],
    ids=lambda overrides: str(overrides.get("method.preset", overrides["method"])),
)
def test_the_command_of_settings_gives_them_again(overrides: dict[str, object]) -> None:
    before = config.resolve({"data": "dsprites", **overrides})
    words = shlex.split(shell.command(before.flat()))
    assert words[:3] == ["equipoise", "train", "data=dsprites"]
    assert config.resolve(config.parse(words[2:])).flat() == before.flat()


@pytest.mark.parametrize("method", ["l-vae", "control-vae", "dynamic-vae", "dava"])
def test_the_settings_of_an_earlier_run_are_those_of_the_published_law(method: str) -> None:
    """Their config.toml has neither the law nor the start; they must neither change nor lose their identity."""
    settings = {"data": "dsprites", "method": method, "method.law": "published", "train.start_at_mean": False}
    published = config.resolve(settings).flat()
    old = config.distinguishing(published)
    assert not {"method.law", "train.start_at_mean", "method.least", "method.reference"} & old.keys()
    resumed = config.resolve({**old, "out": "runs/old"}, complete=True)
    assert resumed.method.law == "published"  # type: ignore[attr-defined]
    assert not resumed.train.start_at_mean
    assert config.distinguishing(resumed.flat()) == old
    assert config.resolve({"data": "dsprites", "method": method}).method.law == "scaled"  # type: ignore[attr-defined]
    assert config.resolve({"data": "dsprites", "method": method}).train.start_at_mean


@pytest.mark.parametrize(
    ("method", "preset"),
    [("l-vae", "paper_lvae"), ("control-vae", "authors"), ("dynamic-vae", "paper_lvae"), ("dava", "authors")],
)
def test_presets_of_publications_are_the_published_law_from_a_usual_start(method: str, preset: str) -> None:
    resolved = config.resolve({"data": "dsprites", "method": method, "method.preset": preset})
    assert resolved.method.law == "published"  # type: ignore[attr-defined]
    assert not resolved.train.start_at_mean


@pytest.mark.parametrize("wrong", ["train.lr=0.1", ["train.lr"], {3: 1}, 7])
def test_settings_of_another_type_are_refused_in_one_sentence(wrong: Any, tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 8), np.uint8)
    sentence = r"settings are .*; expected a dictionary by dotted key, such as \{'train\.batch': 256\}"
    with pytest.raises(InputError, match=sentence):
        eq.train(pixels, "vae", out=tmp_path, settings=wrong)
    with pytest.raises(InputError, match=sentence):
        eq.Disentangler(settings=wrong).fit(pixels[:, None])
