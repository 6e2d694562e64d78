"""Figures of the published and the scaled laws of L-VAE and DynamicVAE, without training.

L-VAE: the weight of the KL as the KL rises and the error falls. DynamicVAE: its controller on a linear model of the
images, in which the KL of a beta is the sum over directions of log(2 lambda_j / beta) / 2, reached within 100 steps.

    python benchmarks/laws.py
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from equipoise.balance import IncrementalPI
from equipoise.methods.control_vae import set_point
from equipoise.methods.dynamic_vae import PUBLISHED, SCALED, DynamicVAE
from equipoise.methods.l_vae import SCALED as LVAE

SPREAD = 563.0  # of dSprites at 64 x 64 by cross-entropy, nats
SHARES = torch.tensor([0.12, 0.11, 0.08, 0.07, 0.06, 0.04, 0.04, 0.03, 0.03, 0.03])  # of its principal directions
LAG = 100  # steps in which the KL follows beta


def l_vae() -> Figure:
    """Return beta of both laws over the KL, for the spread of dSprites at two sizes."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    kl = np.geomspace(0.01, 20, 200)
    share = 1 - 0.9 * kl / 20  # not explained
    for spread, size, colour in ((152.6, "64 x 64", "tab:blue"), (34.8, "32 x 32", "tab:orange")):
        axes.loglog(kl, np.sqrt(share * spread / kl), "--", color=colour, label=f"published, {size}")
        scaled = spread * np.sqrt(share / (LVAE["reference"] * np.maximum(kl, LVAE["least"])))
        axes.loglog(kl, scaled, color=colour, label=f"scaled, {size}")
    axes.set(xlabel="KL, nats", ylabel="weight of the KL, beta")
    axes.legend(frameon=False)
    return figure


def dynamic_vae() -> Figure:
    """Return beta and KL of both laws over the progress of a short and a long run."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for law, style in (("published", "--"), ("scaled", "-")):
        for steps, colour in ((2_000, "tab:blue"), (50_000, "tab:orange")):
            beta, kl = _run(law, steps)
            progress = np.linspace(0, 1, len(beta))
            left.semilogy(progress, beta, style, color=colour, label=f"{law}, {steps:,} steps")
            right.plot(progress, kl, style, color=colour)
    left.set(xlabel="share of the run", ylabel="weight of the KL, beta")
    right.set(xlabel="share of the run", ylabel="KL, nats")
    left.legend(frameon=False)
    return figure


def _run(law: str, steps: int) -> tuple[list[float], list[float]]:
    """Beta and KL of the controller on the linear model, 500 values each."""
    of = SCALED if law == "scaled" else PUBLISHED
    target = set_point(DynamicVAE(), 20.0, rise=1 / 6)
    unit = "spread" if law == "scaled" else None
    controller = IncrementalPI(target, of["kp"], of["ki"], of["beta_0"], of["beta_min"], unit=unit)
    kl, betas, kls = torch.zeros(()), [], []
    for step in range(1, steps + 1):
        clock = {"step": torch.tensor(step), "progress": torch.tensor(step / steps)}
        beta = controller({"kl": kl, "spread": torch.tensor(SPREAD), **clock})["kl"]
        goal = 0.5 * (2 * SPREAD * SHARES / beta).log().clamp(min=0).sum()
        kl = kl + (goal - kl) / LAG
        if step % (steps // 500) == 0:
            betas.append(float(beta))
            kls.append(float(kl))
    return betas, kls


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, figure in (("l-vae-laws", l_vae()), ("dynamic-vae-laws", dynamic_vae())):
        figure.savefig(arguments.out / f"{name}.png", dpi=110)
