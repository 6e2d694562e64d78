"""Training speed on a GPU in images per second: a plain PyTorch loop, the loop of Equipoise, and its nets compiled.

    python benchmarks/gpu.py [--device cuda] [--sides plain fp32 bf16 compiled] [--out FILE]

All sides train the same layers. `plain` has its batches on the device, squared error + KL, and torch's default Adam.
`fp32` and `bf16` are the training step of runs, with L-VAE's learned weights and with batches from dSprites, which are
made on the CPU as in a run. `compiled` is fp32 with encoder and decoder compiled by `torch.compile`; its first steps,
which compile, are not counted. A side's rate is the median over rounds, and the sides take turns.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from equipoise import assemble, config, nets
from equipoise.data import load_data
from equipoise.data.batches import Batches
from equipoise.training import speed
from equipoise.training.loop import Training

SHAPE, LATENT = (1, 64, 64), 10
CASES = (("mlp_lvae", 64), ("mlp_lvae", 256), ("higgins_h", 64), ("higgins_h", 256), ("locatello", 256))
SIDES = ("plain", "fp32", "bf16", "compiled")
WARM_UP = 3  # steps that are not counted


def plain(net: str, batch: int, device: torch.device, steps: int) -> float:
    """Return the seconds of a step of a plain loop."""
    encoder, decoder = (part.to(device) for part in nets.build(net, SHAPE, LATENT))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-4)
    images = (torch.rand((8, batch, *SHAPE), device=device) > 0.9).float()

    def step(number: int) -> None:
        x = images[number % len(images)]
        mean, logvar = encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        rec = (decoder(z).sigmoid() - x).square().sum() / batch
        kl = 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum() / batch
        optimiser.zero_grad()
        (rec + kl).backward()
        optimiser.step()

    return seconds_of(step, device, steps)


def ours(net: str, batch: int, device: torch.device, steps: int, precision: str, compiled: bool) -> float:
    """Return the seconds of a step of Equipoise."""
    words = {"data": "dsprites", "method": "l-vae", "net": net, "net.latent": LATENT, "train.batch": batch}
    settings = config.resolve({**words, "train.precision": precision, "train.device": str(device)})
    images = load_data("dsprites")
    batches = Batches(images, batch, seed=0)
    with speed.fast_parts(settings.train.fast, None, precision):
        training = Training(*assemble.build(settings, SHAPE, len(images)), settings.train, device)
        training.model.train()
        training.objective.train()
        if compiled:
            training.model.encoder.compile()
            training.model.decoder.compile()
        return seconds_of(lambda number: training.advance(batches(number, 0)), device, steps)


def seconds_of(step: Any, device: torch.device, steps: int) -> float:
    """Return the seconds of one of `steps` steps, after a few that are not counted."""
    for number in range(WARM_UP):
        step(number)
    wait(device)
    begin = time.perf_counter()
    for number in range(WARM_UP, WARM_UP + steps):
        step(number)
    wait(device)
    return (time.perf_counter() - begin) / steps


def wait(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_all(
    device: torch.device, cases: Sequence[tuple[str, int]], sides: Sequence[str], rounds: int, steps: int
) -> list[dict[str, Any]]:
    """Return a row for each net, batch and side: the median rate, and its ratio to the first side in the same round."""
    rows: list[dict[str, Any]] = []
    for net, batch in cases:
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                precision = "bf16" if side == "bf16" else "fp32"
                is_plain = side == "plain"
                with torch.random.fork_rng():
                    step = (
                        plain(net, batch, device, steps)
                        if is_plain
                        else ours(net, batch, device, steps, precision, compiled=side == "compiled")
                    )
                rates[side].append(batch / step)
        for side in sides:
            ratio = statistics.median(a / b for a, b in zip(rates[side], rates[sides[0]], strict=True))
            rate = statistics.median(rates[side])
            rows.append({"net": net, "batch": batch, "side": side, "images_per_second": rate, "ratio": ratio})
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as text."""
    lines = [f"{'net':<11}{'batch':>6} {'side':<9}{'images/s':>11}{'ratio':>7}"]
    for row in rows:
        rate = f"{row['images_per_second']:,.0f}"
        lines.append(f"{row['net']:<11}{row['batch']:>6} {row['side']:<9}{rate:>11}{row['ratio']:>7.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("There is no GPU that torch can use, so nothing was measured; --device cpu measures the CPU.")
        return
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else speed.processor()
    rows = measure_all(device, CASES, args.sides, args.rounds, args.steps)
    print(f"{name}, torch {torch.__version__}\n{table(rows)}")
    if args.out:
        args.out.write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
