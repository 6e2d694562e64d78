"""Speed of a training step of each method relative to the plain VAE, and how much of it is explained.

    python benchmarks/methods.py [--net NAME] [--batch B] [--threads N] [--methods NAME ...] [--out FILE]

All methods train the same net on the same batches, prepared in advance, in fp32, with squared error (sigma-VAE has its
own likelihood) and 20 latents, as ISA-VAE's subspaces need. Each method is measured in a fresh process and takes turns
with the VAE, so that other load affects both. Columns:

ratio      median over rounds; the ratio of the VAE to itself shows the noise
flops      the ratio that the products of a step allow, from the method's definition
predicted  the same, including the parameters that Adam updates
beyond     the time that a step takes beyond that, in ms
counted    executed products divided by required ones; more than 1 is waste
bar        the target, for methods without a discriminator whose terms do not compare all pairs of a batch
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from equipoise import assemble, config
from equipoise.adversary import Adversary, ImageAdversary
from equipoise.methods import METHODS
from equipoise.nets import NETS
from equipoise.training import speed
from equipoise.training.loop import Training
from training import GREY, clock, ready

LATENT = 20
IMAGES = 737_280  # those of dSprites; some estimates of the total correlation depend on it
BAR = 0.85
WARM_UP = 3  # steps, at the start of each turn

Result = dict[str, Any]


# --- one method and the VAE, in a separate process --------------------------------------------------------------------


def measure(method: str, net: str, batch: int, threads: int, rounds: int, seconds: float) -> Result:
    """A row of the table."""
    batches = ready(batch, GREY)
    with speed.fast_parts(True, threads, "fp32"):
        vae, other = (untrained(name, net, batch, threads) for name in ("vae", method))
        for one in (vae, other):
            turn(one, batches, clock(threads), 0.0)
        turns = [[turn(one, batches, clock(threads), seconds) for one in (vae, other)] for _ in range(rounds)]
        step = statistics.median(before for before, _ in turns)
        adam = adam_seconds(vae, clock(threads))

        parts = arithmetic(other)
        work = sum(parts.values()) / sum(arithmetic(vae).values())
        stepped = stepped_parameters(other) / stepped_parameters(vae)
        predicted = (step - adam) * work + adam * stepped
        ratio = statistics.median(before / after for before, after in turns)
        pairs = pairwise(other, batch)
        return {
            "method": method,
            "images_per_second": batch / statistics.median(after for _, after in turns),
            "ratio": ratio,
            "bar": None if other.objective.adversary or pairs else BAR,
            "flops": 1 / work,
            "predicted": step / predicted,
            "beyond": 1e3 * (step / ratio - predicted),
            "counted": counted(other, batches) / sum(parts.values()),
            "turns": [[1e3 * seconds for seconds in pair] for pair in turns],
            "adam": 1e3 * adam,
            "mflop_an_image": {name: flop / 1e6 for name, flop in parts.items()},
            "pairs": pairs,
        }


def untrained(method: str, net: str, batch: int, threads: int) -> Training:
    """Return the training of a method before its first step. Other settings are the defaults of the library."""
    settings: dict[str, object] = {
        "data": "dsprites",
        "method": method,
        "net": net,
        "net.latent": LATENT,
        "train.batch": batch,
        "train.threads": threads,
        "train.steps": 10**9,
        "train.device": "cpu",
    }
    if hasattr(METHODS[method], "likelihood"):
        settings["method.likelihood"] = "mse"
    resolved = config.resolve(settings, complete=True)  # without the method's defaults for net and training
    return Training(*assemble.build(resolved, GREY, IMAGES), resolved.train, torch.device("cpu"))


def turn(training: Training, batches: list[Tensor], now: Callable[[], float], seconds: float) -> float:
    """Return the median duration of a step over `seconds` seconds, after a few steps of warm-up."""
    training.model.train()
    training.objective.train()
    ticks: list[float] = []
    while len(ticks) < WARM_UP + 3 or ticks[-1] - ticks[WARM_UP] < seconds:
        advance(training, batches)
        ticks.append(now())
    training.row()  # raises if a value was not finite
    return statistics.median(after - before for before, after in itertools.pairwise(ticks[WARM_UP:]))


def advance(training: Training, batches: list[Tensor]) -> None:
    x, second = (batches[(2 * training.step + stream) % len(batches)] for stream in (0, 1))
    training.advance(x, second if training.objective.needs_second_batch else None)


def adam_seconds(training: Training, now: Callable[[], float]) -> float:
    """Return the time of the optimiser in a step, which is memory traffic and not part of the products."""
    ticks = [now()]
    for _ in range(10):
        training.optimisers["model"].step()
        ticks.append(now())
    return statistics.median(after - before for before, after in itertools.pairwise(ticks))


# --- operations of a step ---------------------------------------------------------------------------------------------


def arithmetic(training: Training) -> dict[str, float]:
    """Return the floating-point operations of products and convolutions for one image and step, by part."""
    model, adversary = training.model, training.objective.adversary
    x, z = torch.zeros(2, *GREY), torch.zeros(2, LATENT)
    parts = {"VAE": flop(model.encoder, x, "parameters") + flop(model.decoder, z, "both")}
    if isinstance(adversary, Adversary):
        parts["estimate"] = flop(adversary.net, z, "input")
        parts["discriminator"] = 2 * flop(adversary.net, z, "parameters")  # codes and shuffled codes
        parts["second encoding"] = flop(model.encoder, x, "nothing")
    if isinstance(adversary, ImageAdversary):
        parts["two decodes"] = 2 * flop(model.decoder, z, "nothing")
        parts["discriminator"] = 2 * flop(adversary.net, x, "parameters")
        to_encoder = flop(model.encoder, x, "parameters") + flop(model.decoder, z, "input")
        parts["third pass"] = to_encoder + flop(model.decoder, z, "parameters") + 2 * flop(adversary.net, x, "input")
    return parts


def flop(net: nn.Module, x: Tensor, to: Literal["nothing", "input", "parameters", "both"]) -> float:
    """Return the operations of one row of x, forward and backward to the named inputs."""
    parameters = list(net.parameters())
    needed = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(to in ("parameters", "both"))
    with FlopCounterMode(display=False) as counter:
        out = net(x.clone().requires_grad_(to in ("input", "both")))
        if out.requires_grad:
            out.sum().backward()
    for parameter, before in zip(parameters, needed, strict=True):
        parameter.grad = None
        parameter.requires_grad_(before)
    return float(counter.get_total_flops()) / len(x)


def counted(training: Training, batches: list[Tensor]) -> float:
    """Return the operations that a step executes."""
    with FlopCounterMode(display=False) as counter:
        advance(training, batches)
    return float(counter.get_total_flops()) / len(batches[0])


def stepped_parameters(training: Training) -> int:
    """Return the number of parameters that Adam updates in a step; DAVA updates its model twice."""
    groups = training.objective.parameter_groups(training.model)
    own = {"model": 2 if isinstance(training.objective.adversary, ImageAdversary) else 1}
    return sum(own.get(group["optimiser"], 1) * parameter.numel() for group in groups for parameter in group["params"])


def pairwise(training: Training, batch: int) -> int:
    """Return the number of densities q(z_ik|x_j) in a step, for methods that estimate TC from the batch."""
    objective = training.objective
    return batch * batch * LATENT if "tc" in objective.terms and objective.adversary is None else 0


# --- all methods ------------------------------------------------------------------------------------------------------


def fresh(**arguments: Any) -> Result:
    """Run `measure` in a separate process."""
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def table(rows: list[Result]) -> str:
    lines = [
        f"{'method':<24}{'images/s':>9}{'ratio':>7}{'bar':>6}{'flops':>7}{'predicted':>11}{'beyond':>8}{'counted':>9}"
        "  explained by"
    ]
    for row in rows:
        bar = f"{row['bar']:.2f}" if row["bar"] else "-"
        lines.append(
            f"{row['method']:<24}{row['images_per_second']:>9,.0f}{row['ratio']:>7.2f}{bar:>6}{row['flops']:>7.2f}"
            f"{row['predicted']:>11.2f}{row['beyond']:>8.1f}{row['counted']:>9.3f}  {explanation(row)}"
        )
    return "\n".join(lines)


def explanation(row: Result) -> str:
    if row["pairs"]:
        return f"{row['pairs']:,} densities of pairs"
    parts = row["mflop_an_image"]
    if len(parts) == 1:
        return ""
    return "MFLOP an image: " + ", ".join(f"{name} {flop:.1f}" for name, flop in parts.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="training speed of each method against the plain VAE")
    parser.add_argument("--net", choices=NETS, default="mlp_lvae", help="net of all methods")
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods to measure")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each method")
    parser.add_argument("--seconds", type=float, default=1.0, help="duration of a turn")
    parser.add_argument("--out", type=Path, default=Path("methods-speed.json"), help="JSON file to write")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(**json.loads(args.measure))))
        return
    how = {name: getattr(args, name) for name in ("net", "batch", "threads", "rounds", "seconds")}
    rows = []
    for method in args.methods:
        print(f"\r{method:<24}", end="", file=sys.stderr)
        rows.append(fresh(method=method, **how))
    print("\r" + " " * 24, end="\r", file=sys.stderr)
    about = {
        "processor": speed.processor(),
        "torch": torch.__version__,
        "clock": clock(args.threads).__name__,
        **how,
    }
    args.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{args.net}, batch {args.batch}: {about['processor']}, {args.threads} threads, torch {torch.__version__}")
    print(f"{table(rows)}\nwrote {args.out}")


if __name__ == "__main__":
    main()
