"""Laws of all parts: each describes itself, and is rebuilt from its settings and its state."""

import copy
import json
from typing import Any

import pytest
import torch
from tests.parts import TABLES, cases, label, made

import equipoise as eq
from equipoise.errors import InputError
from equipoise.part import Part, build, check_options, options_of, rebuild, spec_of

CASES = [case for kind in TABLES for case in cases(kind)]


@pytest.fixture(params=CASES, ids=label)
def part(request: pytest.FixtureRequest) -> Part:
    return made(request.param)


def again(part: Part) -> Part:
    """The part, rebuilt from a file of its settings."""
    table = next(table for table in TABLES.values() if table.get(part.name) is type(part))
    with torch.random.fork_rng(devices=[]):
        return rebuild(table, json.loads(json.dumps(spec_of(part), allow_nan=False)))


def test_the_tables_are_public_and_their_keys_are_the_names_of_the_parts() -> None:
    assert tuple(TABLES[kind] for kind in ("likelihood", "prior", "balance")) == (
        eq.LIKELIHOODS,
        eq.PRIORS,
        eq.BALANCES,
    )
    assert all(name == kind.name for table in TABLES.values() for name, kind in table.items())


def test_a_part_describes_itself_in_one_sentence(part: Part) -> None:
    first = (type(part).__doc__ or "").partition("\n")[0]
    assert first.endswith("."), "the first line of the docstring is a sentence"
    assert part.describe().startswith(first.removesuffix("."))
    assert part.describe().endswith(".")
    assert "\n" not in part.describe()


def test_settings_name_every_argument_and_rebuild_an_equal_part(part: Part) -> None:
    settings = part.settings()
    assert settings.keys() == options_of(type(part)).keys() - {"view"}
    rebuilt = again(part)
    assert type(rebuilt) is type(part)
    assert rebuilt.settings() == settings
    assert rebuilt.describe() == part.describe()


def test_the_state_of_a_part_fits_a_rebuilt_one(part: Part) -> None:
    rebuilt = again(part)
    state = copy.deepcopy(part.state_dict())
    rebuilt.load_state_dict(state)
    assert state.keys() == rebuilt.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in rebuilt.state_dict().items())
    assert [name for name, _ in rebuilt.named_parameters()] == [name for name, _ in part.named_parameters()]


def test_logged_values_are_numbers_or_vectors_without_gradients(part: Part) -> None:
    for name, value in part.logs().items():
        assert value.ndim <= 1, name
        assert not value.requires_grad, name
        assert bool(value.isfinite().all()), name


@pytest.mark.parametrize("case", CASES, ids=label)
def test_settings_pass_the_check_of_the_constructors_types(case: Any) -> None:
    part = made(case)
    settings = {key: value for key, value in part.settings().items() if value is not None}
    assert check_options(part.name, type(part), settings).keys() == settings.keys()
    with pytest.raises(InputError, match=f"no such option of {part.name}"):
        check_options(part.name, type(part), {**settings, "colour": 1})


def test_options_that_the_program_sets_cannot_be_set_twice() -> None:
    with pytest.raises(InputError, match="no such option of prior standard-normal"):
        build("prior", eq.PRIORS, {"name": "standard-normal", "latent": 4}, {"latent": 3})
    assert build("prior", eq.PRIORS, "standard-normal", {"latent": 3, "sigma": 2.0}).latent == 3
