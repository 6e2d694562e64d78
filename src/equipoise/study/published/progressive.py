"""What the paper of the progressive methods claims: the start of beta does not matter."""

from typing import Any

from equipoise.study.published.figures import trajectories
from equipoise.study.published.paper import Published, Row, recent, score

STARTS = (0.1, 1.0, 100.0)


def _study(dataset: str) -> dict[str, Any]:
    return {
        "seeds": 3,
        "data": {"name": dataset},
        "train": {"steps": 50_000, "precision": "bf16"},
        "evaluate": {"every": 2500, "which": ["factor_vae", "mig", "sse"]},
        "method": {"name": "progressive-rf-vae", "beta_0": list(STARTS)},
    }


robustness = Published(
    name="progressive-robustness",
    title="Progressive RF-VAE: three decades of beta_0",
    source="Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE",
    claim="Learning is robust to the choice of the first beta, for factors of 0.9, 0.99 and 0.999 a step. The paper "
    "gives no figures.",
    study=_study,
    # A slower factor could not move beta by three decades in so few steps.
    quick={"train.steps": 2500, "method.scale": 0.99, "seeds": 1, "evaluate.every": 250},
    budget=50_000 * 64,
    columns={
        "beta": recent("weight.tc", "beta at the end", 0.04, decimals=1),
        "accuracy": recent("smoothed", "accuracy", 0.04),
        "sse": score("sse", "SSE", decimals=1),
        "factor_vae": score("factor_vae", "FactorVAE"),
        "mig": score("mig", "MIG"),
    },
    rows={
        "dsprites": [
            Row(f"beta_0 = {start:g}", {"method.name": "progressive-rf-vae", "method.beta_0": start})
            for start in STARTS
        ]
    },
    apart=("method.scale",),
    reasons="While codes are noise the discriminator is at chance, so beta falls from any start, to its lower bound "
    "where it can reach it, and rises when there is something to tell apart: the start is forgotten before learning "
    "begins. The bound is ours, and matters. Within the window beta stays where it happens to be, so runs do not end "
    "at one value. The relevance of the latents moves by 1e-4 a step, which takes longer than a short run has "
    "(published: a million steps).",
    draw=trajectories(
        {"beta": "weight.tc", "accuracy of the discriminator": "smoothed"},
        {"squared error an image": "sse", "FactorVAE score": "factor_vae"},
        logarithmic=("weight.tc",),
    ),
)
