"""Does progressive RF-VAE end in the same place whatever weight it starts from?

Trains it on dSprites from beta_0 = 0.1, 1 and 100, and draws what became of beta, of the discriminator's accuracy, of
the squared error and of the FactorVAE score in one figure. A run that is there already is not trained again.

    python examples/progressive_beta0.py --steps 10000 --out runs/progressive
"""

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure

import equipoise as eq

STARTS = (0.1, 1.0, 100.0)
COLOURS = ("#0072b2", "#d55e00", "#009e73")  # Okabe and Ito's, which the colour-blind can tell apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--scale", type=float, default=0.999, help="factor by which beta moves in a step")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--only", type=float, default=None, help="train from this beta_0 alone, and draw nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/progressive"))
    said = parser.parse_args()

    runs = {}
    for beta_0 in STARTS if said.only is None else (said.only,):
        settings = {
            "method.beta_0": beta_0,
            "method.scale": said.scale,
            "train.precision": said.precision,
            "evaluate.every": max(1, said.steps // 10),
            "evaluate.which": ("factor_vae", "mig", "sse"),
        }
        settings |= {} if said.threads is None else {"train.threads": said.threads}
        out = said.out / f"beta0-{beta_0:g}"
        runs[beta_0] = eq.train("dsprites", "progressive-rf-vae", steps=said.steps, out=out, settings=settings)
    if said.only is None:
        path = said.out / "beta0.png"
        draw(runs).savefig(path, dpi=110)
        print(f"wrote {path}")


def draw(runs: dict[float, eq.Run]) -> Figure:
    """A figure of four panels over the steps, with a line for each start."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    (beta, accuracy), (error, score) = figure.subplots(2, 2, sharex=True)
    for colour, (beta_0, run) in zip(COLOURS, runs.items(), strict=True):
        steps = [row["step"] for row in run.logs]
        history = [json.loads(line) for line in (run.path / "scores_history.jsonl").read_text().splitlines()]
        at = [row["step"] for row in history]
        beta.plot(steps, [row["weight.tc"] for row in run.logs], color=colour, label=f"from {beta_0:g}")
        accuracy.plot(steps, [row["smoothed"] for row in run.logs], color=colour)
        error.plot(at, [row["sse"] for row in history], color=colour, marker="o", markersize=3)
        score.plot(at, [row["factor_vae"] for row in history], color=colour, marker="o", markersize=3)
    method = next(iter(runs.values())).config.method
    accuracy.axhspan(method.target - method.window, method.target + method.window, color="#bbbbbb", alpha=0.4, lw=0)
    beta.set(yscale="log", ylabel="beta, the weight of the total correlation")
    accuracy.set(ylabel="accuracy of the discriminator, smoothed", ylim=(0.45, 1))
    error.set(ylabel="squared error an image", xlabel="step", yscale="log")
    score.set(ylabel="FactorVAE score", xlabel="step", ylim=(0, 1))
    beta.legend(title="beta", frameon=False)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    return figure


if __name__ == "__main__":
    main()
