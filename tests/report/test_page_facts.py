"""The baselines and the settings on the page of a run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.report.test_page import Reader

from equipoise import report

Make = Callable[..., Any]


def test_a_baseline_has_two_digits_of_its_standard_deviation(make: Make) -> None:
    run = make()
    scores = {name: replace(score, baseline=0.0512, baseline_spread=0.00204) for name, score in run.scores.items()}
    text = Reader(report.write(run.but(scores=scores))).text
    assert "baseline 0.051 ± 0.0020" in text, "a spread of 0.00 would hide it"
    assert "0.0512 ± 0.0020" in text


def test_what_is_not_set_is_left_out_of_the_settings(make: Make) -> None:
    run = make()
    data = run.meta["data"] | {"name": "blobs", "range": None, "licence": "Apache-2.0"}
    lines = ["method: l-vae; net small", "length: 9 steps"]
    chosen = {"settings": {"data.name": "blobs"}, "budget": None, "lines": lines}
    text = Reader(report.write(run.but(meta=run.meta | {"data": data, "chosen": chosen}))).text
    assert "name blobs, licence Apache-2.0" in text
    assert "method: l-vae; net small; length: 9 steps" in text
    assert "unknown" not in text
    assert "budget" not in text
