"""What is chosen from facts on images and machine, without training."""

from dataclasses import replace

import pytest

from equipoise import choice, config, methods
from equipoise.choice import Facts, choose
from equipoise.errors import InputError
from equipoise.methods import METHODS

PHOTOS = Facts(images=3000, shape=(3, 96, 96), machine="a machine", threads=2, images_per_second=2000.0)
DEFAULT = int(str(METHODS[methods.DEFAULT].defaults["train.steps"]))
SHORTEST, LONGEST = int(choice.SHORTEST * DEFAULT), int(choice.LONGEST * DEFAULT)


def test_colour_photographs_are_resized_and_get_a_small_net_in_four_lines() -> None:
    result = choose(PHOTOS, {})
    expected = {
        "method.name": "outline-vae",
        "data.size": 32,
        "net.name": "small",
        "method.likelihood": "mse",
        "train.precision": "fp32",
        "train.batch": 64,
        "train.threads": 2,
    }
    assert {key: result.settings[key] for key in expected} == expected
    assert len(result.lines) == 4
    assert "3,000 in colour, 96 x 96, resized to 32 x 32" in result.lines[0]
    assert "likelihood mse, since the images are in colour" in result.lines[1]
    assert "a machine, 2 threads, fp32, 2,000 images/s" in result.lines[2]
    assert "min left" in result.lines[3]


def test_grey_images_on_black_are_not_called_black_and_white() -> None:
    lines = choose(Facts(600, (1, 128, 128), is_black_and_white=True), {}).lines
    assert "600 grey, nearly all values black or white, 128 x 128" in lines[0]
    assert "likelihood bernoulli, since nearly all values are black or white" in lines[1]


def test_the_lines_of_a_table_do_not_mention_images() -> None:
    table = Facts(500, (1, 1, 20), is_vector=True, images_per_second=9000.0)
    lines = choose(table, {}).lines
    assert lines[0].startswith("vectors: 500 of 20 columns")
    assert "9,000 vectors/s in a trial" in lines[2]
    assert "passes through few vectors" in lines[3]
    assert "images" not in "".join(lines)


@pytest.mark.parametrize(
    ("facts", "size", "net", "likelihood"),
    [
        (replace(PHOTOS, shape=(1, 28, 28)), None, "small", "mse"),
        (replace(PHOTOS, shape=(1, 28, 28), is_black_and_white=True), None, "small", "bernoulli"),
        (replace(PHOTOS, shape=(3, 32, 20)), None, "small", "mse"),
        (replace(PHOTOS, shape=(3, 32, 20), is_uniform=False), 32, "small", "mse"),
        (replace(PHOTOS, shape=(3, 20, 33)), 32, "small", "mse"),
        (replace(PHOTOS, shape=(3, 5, 9)), None, "mlp_lvae", "mse"),
        (replace(PHOTOS, shape=(3, 28, 28), is_black_and_white=True), None, "small", "bernoulli"),
    ],
)
def test_size_net_and_likelihood_follow_from_the_images(
    facts: Facts, size: int | None, net: str, likelihood: str
) -> None:
    settings = choose(facts, {}).settings
    assert settings.get("data.size") == size
    assert (settings["net.name"], settings["method.likelihood"]) == (net, likelihood)


@pytest.mark.parametrize(
    ("facts", "overrides", "name"),
    [
        (PHOTOS, {"method.likelihood": "mse"}, "outline-vae"),
        (PHOTOS, {"data.size": 8}, "outline-vae"),
        (PHOTOS, {"data.size": 4}, "aligned-vae"),
        (replace(PHOTOS, shape=(3, 5, 9)), {}, "aligned-vae"),
        (replace(PHOTOS, shape=(1, 64, 64)), {}, "aligned-vae"),
        (replace(PHOTOS, shape=(4, 64, 64)), {}, "aligned-vae"),
        (Facts(500, (1, 1, 20), is_vector=True), {}, "aligned-vae"),
        (replace(PHOTOS, is_black_and_white=True), {}, "aligned-vae"),
        (PHOTOS, {"net.latent": 1}, "aligned-vae"),
        (PHOTOS, {"method.entry": 0.1}, "aligned-vae"),
        (PHOTOS, {"train.labels.source": 100}, "aligned-vae"),
    ],
)
def test_colour_images_with_room_for_edges_get_the_method_that_learns_from_them(
    facts: Facts, overrides: dict[str, object], name: str
) -> None:
    assert choose(facts, overrides).settings["method.name"] == name


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data.size", 64, "resized to 64 x 64 as set"),
        ("net.name", "burgess", "net burgess"),
        ("method.likelihood", "bernoulli", "likelihood bernoulli"),
        ("train.lr", 0.5, "learning rate 0.5"),
        ("train.batch", 7, "of 7 images"),
        ("train.threads", 1, "1 thread,"),
        ("train.steps", 123, "123 steps"),
    ],
)
def test_a_setting_of_the_user_is_respected_and_named(key: str, value: object, words: str) -> None:
    result = choose(PHOTOS, {key: value})
    assert key not in result.settings
    assert words in "\n".join(result.lines)


def test_images_that_have_the_size_already_are_not_called_resized() -> None:
    lines = "\n".join(choose(PHOTOS, {"data.size": PHOTOS.shape[1]}).lines)
    assert "96 x 96, used at that size" in lines
    assert "resized" not in lines


@pytest.mark.parametrize(
    ("speed", "images", "steps"),
    [
        (DEFAULT * 64 / 600 / (1 - choice.OVERHEAD) * 1.01, 3000, DEFAULT),  # ten minutes
        (1.0, 3000, SHORTEST),  # a slow machine: no fewer
        (1e6, 3_000_000, LONGEST),  # a fast one: no more
        (1e6, 10, SHORTEST),  # few images
    ],
)
def test_the_default_length_is_ten_minutes_within_bounds(speed: float, images: int, steps: int) -> None:
    result = choose(replace(PHOTOS, images_per_second=speed, images=images), {"train.batch": 64})
    assert result.settings["train.steps"] == steps


@pytest.mark.parametrize(("budget", "expected"), [(64.0, 1900), (6.4, 190), (0.0001, 1), (6400.0, 190_000)])
def test_a_budget_sets_the_steps_without_bounds(budget: float, expected: int) -> None:
    assert choose(PHOTOS, {}, budget).settings["train.steps"] == expected


@pytest.mark.parametrize(("images", "batch"), [(2, 2), (7, 7), (64, 64), (65, 64)])
def test_few_images_get_a_batch_that_fits(images: int, batch: int) -> None:
    assert choose(replace(PHOTOS, images=images), {}).settings["train.batch"] == batch


def test_a_batch_of_more_images_than_there_are_counts_those_that_are_there() -> None:
    result = choose(replace(PHOTOS, images=100), {"train.batch": 256}, budget=64.0)
    assert result.settings["train.steps"] == 1200  # 64 s at 1,900 images/s are 1,216 steps of 100
    assert "1,200 steps of 100 images" in result.lines[3]


def test_without_a_measured_speed_the_length_is_the_default_of_the_method() -> None:
    result = choose(replace(PHOTOS, images_per_second=None), {})
    assert "train.steps" not in result.settings
    assert f"{DEFAULT:,} steps" in result.lines[3]


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [("10m", 600), ("90s", 90), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400), (".5h", 1800), ("45", 45), (45, 45)],
)
def test_a_budget_is_read_in_hours_minutes_and_seconds(budget: str | float, seconds: float) -> None:
    assert choice.seconds_of(budget) == seconds


@pytest.mark.parametrize(
    "budget",
    ["", "soon", "10 parsecs", "-5m", "0", "1.2.3m", "1h1.2.3m", "1h.", "10m5h", 0.5, "nan", "9" * 320, "9" * 300],
)
def test_another_budget_is_refused_with_examples(budget: str | float) -> None:
    with pytest.raises(InputError, match=r"--budget is .*expected a time for training such as 10m, 90s"):
        choice.seconds_of(budget)


@pytest.mark.parametrize(("seconds", "words"), [(90, "90 s"), (600, "10 min"), (9000, "2.5 h"), (3 * 86400, "3 days")])
def test_durations_are_in_words(seconds: float, words: str) -> None:
    assert choice.duration(seconds) == words


@pytest.mark.parametrize(
    ("method", "steps", "words"),
    [("l-vae", 2000, "a short run, since l-vae has 50,000 steps"), ("l-vae", 50_000, "a length that suits l-vae")],
)
def test_the_remark_on_the_length_compares_it_with_the_default(method: str, steps: int, words: str) -> None:
    resolved = config.resolve({"data": "dsprites", "method": method, "train.steps": steps})
    assert words in choice.length_remark(resolved)
