"""The methods: one file each, a composition of terms, prior, likelihood and balance."""

from equipoise.methods.annealed_vae import AnnealedVAE
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.method import Method, Preset, Shape
from equipoise.methods.vae import VAE

METHODS: dict[str, type[Method]] = {method.name: method for method in (VAE, BetaVAE, AnnealedVAE, LVAE)}
"""Every method by name."""

__all__ = ["METHODS", "Method", "Preset", "Shape"]
