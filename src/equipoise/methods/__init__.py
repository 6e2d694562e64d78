"""The methods: one file each, a composition of terms, prior, likelihood and balance."""

from equipoise.methods.ada_gvae import AdaGVAE
from equipoise.methods.aligned_vae import AlignedVAE
from equipoise.methods.annealed_vae import AnnealedVAE
from equipoise.methods.beta_tcvae import BetaTCVAE
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.compose import Compose
from equipoise.methods.control_vae import ControlVAE
from equipoise.methods.dava import DAVA
from equipoise.methods.dip_vae import DIPVAE
from equipoise.methods.dynamic_vae import DynamicVAE
from equipoise.methods.factor_vae import FactorVAE
from equipoise.methods.geco import GECO
from equipoise.methods.hfs import HFS
from equipoise.methods.info_vae import InfoVAE
from equipoise.methods.isa_tcvae import ISATCVAE
from equipoise.methods.isa_vae import ISAVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.method import Method, Preset, Shape
from equipoise.methods.mr_vae import MRVAE
from equipoise.methods.outline_vae import OutlineVAE
from equipoise.methods.progressive_factor_vae import ProgressiveFactorVAE
from equipoise.methods.progressive_rf_vae import ProgressiveRFVAE
from equipoise.methods.qlae import QLAE
from equipoise.methods.rf_vae import RFVAE
from equipoise.methods.sigma_vae import SigmaVAE
from equipoise.methods.vae import PlainVAE

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        PlainVAE,
        BetaVAE,
        AnnealedVAE,
        FactorVAE,
        RFVAE,
        ProgressiveFactorVAE,
        ProgressiveRFVAE,
        BetaTCVAE,
        ISAVAE,
        ISATCVAE,
        ControlVAE,
        DynamicVAE,
        GECO,
        SigmaVAE,
        LVAE,
        DIPVAE,
        DAVA,
        MRVAE,
        AlignedVAE,
        OutlineVAE,
        AdaGVAE,
        QLAE,
        InfoVAE,
        HFS,
        Compose,
    )
}
"""Every method by name."""

DEFAULT = "aligned-vae"
"""The method of runs that name none."""

__all__ = ["DEFAULT", "METHODS", "Method", "Preset", "Shape"]
