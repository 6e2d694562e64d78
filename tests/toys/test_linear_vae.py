"""The optimum of the linear beta-VAE: found numerically, in two ways, it equals the closed form."""

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime, minimize

from equipoise_toys.factor_analysis import Array, free_energy
from equipoise_toys.linear_vae import fit, gradient, optimum

VARIANCES = np.array([5.0, 2.0, 1.0, 0.4])
BASIS = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0]
MOMENT = BASIS * VARIANCES @ BASIS.T


def test_beta_three_leaves_the_printed_variances() -> None:
    kept = np.linalg.eigvalsh(optimum(MOMENT, 0.25, beta=3))
    np.testing.assert_allclose(kept[::-1], [4.25, 1.25, 0.25, 0], atol=1e-12)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0, 10.0, 25.0])
@pytest.mark.parametrize("latents", [4, 6])
def test_fitted_weights_reach_the_closed_form_with_orthogonal_columns(beta: float, latents: int) -> None:
    weights = fit(MOMENT, 0.25, latents, beta, seed=1)
    np.testing.assert_allclose(weights @ weights.T, optimum(MOMENT, 0.25, beta), atol=1e-6)
    gram = weights.T @ weights
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-6)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_minimum_of_the_loss_over_decoder_and_encoder_is_the_closed_form(beta: float) -> None:
    moment = torch.from_numpy(MOMENT)

    def loss(flat: Array) -> tuple[float, Array]:
        """R + beta K of a decoder W, a linear encoder V and log variances, and its gradient."""
        parts = torch.from_numpy(flat.copy()).requires_grad_()
        decoder, encoder, logvar = parts[:16].view(4, 4), parts[16:32].view(4, 4), parts[32:]
        missed = torch.eye(4, dtype=torch.float64) - decoder @ encoder
        error = torch.trace(missed @ moment @ missed.T) + (decoder.square() @ logvar.exp()).sum()
        square = torch.trace(encoder @ moment @ encoder.T)
        value = 0.5 * error / 0.25 + beta * 0.5 * (square + (logvar.exp() - logvar - 1).sum())
        value.backward()
        assert parts.grad is not None
        return value.item(), parts.grad.numpy()

    start = np.random.default_rng(0).standard_normal(36)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-9, "maxiter": 5000})
    decoder = found.x[:16].reshape(4, 4)
    np.testing.assert_allclose(decoder @ decoder.T, optimum(MOMENT, 0.25, beta), atol=1e-6)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_gradient_is_that_of_the_free_energy(beta: float) -> None:
    weights = np.random.default_rng(0).standard_normal((4, 3))
    noise = np.array([0.1, 0.2, 0.5, 1.0])
    numeric = approx_fprime(weights.ravel(), lambda flat: free_energy(flat.reshape(4, 3), noise, MOMENT, 1, beta), 1e-6)
    np.testing.assert_allclose(gradient(weights, noise, MOMENT, beta).ravel(), numeric, rtol=1e-4, atol=1e-4)
