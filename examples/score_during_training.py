"""Score your own model while it trains: a plain PyTorch loop that passes arrays to the metrics.

Every `--every` steps the images are encoded in batches and scored, with the interface of torchmetrics: `update` for
each batch, `compute` at the end. The scores are printed and appended to a file, one JSON object per line.

    python examples/score_during_training.py --steps 3000 --every 500 --out scores_history.jsonl
"""

import argparse
import itertools
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import equipoise as eq

SIDE, LATENTS, BATCH = 16, 4, 64
WHICH = ("mig", "sap", "factor_vae", "dci_lasso_disentanglement", "active_units")


class Scores:
    """Collect codes and score them. `reset` removes the collected codes."""

    def __init__(self, which: tuple[str, ...]) -> None:
        self.which = which
        self.reset()

    def reset(self) -> None:
        self.mean: list[torch.Tensor] = []
        self.logvar: list[torch.Tensor] = []
        self.factors: list[torch.Tensor] = []

    def update(self, mean: torch.Tensor, logvar: torch.Tensor, factors: torch.Tensor) -> None:
        """Add a batch: mean and logvar [B, L], factors [B, K]."""
        self.mean.append(mean.detach().cpu())
        self.logvar.append(logvar.detach().cpu())
        self.factors.append(factors)

    def compute(self) -> dict[str, float]:
        """Return the value of each metric, without intervals, which take several times as long."""
        codes, logvar, factors = torch.cat(self.mean), torch.cat(self.logvar), torch.cat(self.factors)
        scores = eq.metrics.score(codes, factors, logvar=logvar, which=self.which, interval=False)
        return {name: score.value for name, score in scores.items()}


class Model(nn.Module):
    """A small VAE. Any model with an encoder can be scored."""

    def __init__(self) -> None:
        super().__init__()
        pixels = SIDE * SIDE
        self.encoder = nn.Sequential(nn.Linear(pixels, 256), nn.ReLU(), nn.Linear(256, 2 * LATENTS))
        self.decoder = nn.Sequential(nn.Linear(LATENTS, 256), nn.ReLU(), nn.Linear(256, pixels))

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        return mean, logvar


def squares() -> tuple[torch.Tensor, torch.Tensor]:
    """Return images [N, 256] of a white square and their factors [N, 3]: column, row and size."""
    factors = torch.tensor(list(itertools.product(range(8), range(8), range(4))))
    x = torch.zeros(len(factors), SIDE, SIDE)
    for image, (column, row, size) in zip(x, factors.tolist(), strict=True):
        image[row : row + size + 4, column : column + size + 4] = 1
    return x.flatten(1), factors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--every", type=int, default=500, help="number of steps between two scorings")
    parser.add_argument("--out", type=Path, default=Path("scores_history.jsonl"))
    options = parser.parse_args()

    torch.manual_seed(0)
    x, factors = squares()
    model, scores = Model(), Scores(WHICH)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    options.out.unlink(missing_ok=True)
    for step in range(1, options.steps + 1):
        batch = x[torch.randint(len(x), (BATCH,))]
        mean, logvar = model.encode(batch)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        error = F.binary_cross_entropy_with_logits(model.decoder(z), batch, reduction="sum") / BATCH
        kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum() / BATCH
        optimiser.zero_grad()
        (error + 4 * kl).backward()
        optimiser.step()
        if step % options.every == 0:
            scores.reset()
            with torch.no_grad():
                for rows in torch.arange(len(x)).split(BATCH):
                    scores.update(*model.encode(x[rows]), factors[rows])
            row = {"step": step, **scores.compute()}
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"step {step:<6}" + "".join(f"  {name} {row[name]:.2f}" for name in WHICH))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
