"""Studies whose runs were never trained: files as training would write them, with figures known beforehand."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.config import Config
from equipoise.metrics import Score
from equipoise.study import Plan, read

TWO_METHODS = """
seeds = {seeds}
[data]
name = {data}
[train]
steps = 500
[[method]]
name = "beta-vae"
beta = [1.0, 4.0]
[[method]]
name = "l-vae"
law = "published"
"""


@dataclass(frozen=True)
class Made:
    """What a run is to have; by default codes of four latents, of which all are active."""

    sse: float
    scores: Mapping[str, float]
    beta: float | None = 1.0
    mean: Any = None
    logvar: Any = None
    row: Mapping[str, Any] = field(default_factory=dict)
    convention: str = "default"


def settled(beta: float = 1.0) -> dict[str, Any]:
    """The last row of a run of L-VAE whose weights have settled."""
    return {"rec": 16.0, "kl": 16.0 / beta**2, "sigma.rec": 2.0, "sigma.kl": 2.0 / beta**0.5, "lr": 1e-4}


def study(folder: Path, text: str, made: Callable[[Config], Made | None]) -> Plan:
    """The study that `text` describes, its runs finished as `made` says; those of which it says None are not begun."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(f'out = "{folder}"\n{text}', encoding="utf-8")
    plan = read(folder / "study.toml")
    for config in plan.runs.values():
        run = made(config)
        if run is not None:
            write(config, run)
    return plan


def write(config: Config, run: Made) -> None:
    path = Path(config.out)
    path.mkdir(parents=True)
    (path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    meta = {"format": 1, "versions": {}, "data": {"digest": "0", "factor_names": []}, "shape": [1, 8, 8], "images": 9}
    (path / "meta.json").write_text(json.dumps(meta))
    row = settled() if config.method.name == "l-vae" else {}
    row |= {
        "step": config.train.steps,
        "seconds": 1.0,
        "images_per_second": 1.0,
        "beta_equivalent": run.beta,
        **run.row,
    }
    (path / "log.jsonl").write_text(json.dumps(row) + "\n")
    mean = np.random.default_rng(config.train.seed).normal(size=(50, 4)) if run.mean is None else run.mean
    logvar = np.full_like(mean, -4.0) if run.logvar is None else run.logvar
    np.savez(
        path / "codes.npz",
        index=np.arange(len(mean)),
        mean=mean.astype(np.float32),
        logvar=logvar.astype(np.float32),
        sse=np.full(len(mean), run.sse),
        kl=np.full(len(mean), 12.0),
        log_px_z=np.full(len(mean), -20.0),
    )
    scores = {name: Score(value=value).to_dict() for name, value in run.scores.items()}
    named = {"checkpoint": "0", "convention": run.convention, "n": len(mean), "scores": scores}
    (path / "scores.json").write_text(json.dumps(named))
    (path / "report.html").write_text("<p>a report")
