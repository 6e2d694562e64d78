"""Parameters and inputs of other types are refused in one sentence; lists of words and sparse tensors are read."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.metrics.inputs import perfect

from equipoise.errors import InputError
from equipoise.metrics import METRICS, score

CODES, FACTORS = perfect(400)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("mig", {"bins": 20.0}, "bins is 20.0; expected a whole number"),
        ("mig", {"bins": "20"}, "bins is '20'; expected a whole number"),
        ("mig", {"bins": None}, "bins is None; expected a whole number"),
        ("mig", {"factor_bins": 10**9}, "1000000000 bins: expected 2 to 10,000"),
        ("mig", {"factor_bins": 2.5}, "factor_bins is 2.5; expected a whole number"),
        ("mig", {"strict": "no"}, "strict is 'no'; expected True or False"),
        ("irs", {"factor_edges": "rang"}, "rang: no such factor_edges; did you mean range?"),
        ("beta_vae", {"seed": -1}, "seed = -1: expected 0 or more"),
        ("beta_vae", {"seed": None}, "seed is None; expected a whole number"),
        ("factor_vae", {"threshold": float("nan")}, "threshold is nan; expected a finite number"),
        ("factor_vae", {"corrected": 0}, "corrected is 0; expected True or False"),
        ("infom", {"active": [0.1]}, "active is [0.1]; expected a finite number"),
        ("dci_disentanglement", {"trees": 2.5}, "trees is 2.5; expected a whole number"),
        ("dci_hist_completeness", {"depth": 1e300}, "depth is 1e+300; expected a whole number"),
        ("dci_lasso_completeness", {"alphas": "1"}, "alphas is '1'; expected a list of numbers"),
        ("dci_lasso_completeness", {"alphas": [0.1, "x"]}, "alphas is 'x'; expected a finite number"),
    ],
)
def test_a_parameter_of_another_type(name: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        METRICS[name].function(CODES, FACTORS, **keywords)
    assert message in str(error.value)


def test_parameters_of_the_types_of_numpy() -> None:
    mig = METRICS["mig"].function
    assert mig(CODES, FACTORS, bins=np.int64(20), strict=np.bool_(False)).value == mig(CODES, FACTORS).value
    beta_vae = METRICS["beta_vae"].function
    drawn = beta_vae(CODES, FACTORS, train=200, evaluate=50, seed=np.random.default_rng(3))
    assert drawn.value == beta_vae(CODES, FACTORS, train=200, evaluate=50, seed=3).value


def test_lists_of_words_and_of_tensors_and_sparse_tensors() -> None:
    codes, factors = CODES, FACTORS
    expected = score(codes, factors, which="mig", interval=False)["mig"].value
    words = [["abcdefghij"[value] for value in row] for row in factors]
    tensor = torch.tensor(codes, requires_grad=True)
    for z, y in [(codes, words), (list(tensor), factors), (tensor.detach().to_sparse(), factors)]:
        assert score(z, y, which="mig", interval=False)["mig"].value == expected


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (None, "codes is None: expected real numbers, as an array, a data frame, a tensor or lists"),
        (CODES[:, 0], r"codes has shape \(400,\).*make a single column a matrix with numpy.reshape"),
        (np.full((400, 2), 2**63 + 5, np.uint64), r"codes has numbers of 2\*\*63 and more"),
    ],
)
def test_codes_of_another_kind(codes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        METRICS["mig"].function(codes, FACTORS)
