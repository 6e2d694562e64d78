"""Training speed in images per second: a step of Equipoise compared with a plain PyTorch loop.

    python benchmarks/training.py [--quick] [--threads N] [--out FILE]

Both sides train the same layers on the same batches, prepared in advance, with the same number of threads. `plain` is
torch with its defaults: squared error + KL, Adam, allocator, matrix products, fp32. `fp32` and `bf16` are
`training.loop.fit`, which runs use, with L-VAE's learned weights; `dsprites` also assembles each batch.

Every measurement is a fresh process and the sides take turns. A ratio is the median over rounds of rates of the same
round, so that other load affects both. `gemm` is the rate of one large matrix product in that process, in GFLOP/s and
the precision of that side, and `peak` is the fraction of it that the whole step reaches. The targets were set on a
processor on which oneDNN's fp32 product is twice as fast as the default one; a step cannot gain more than `gemm` does.

Where pythae 0.1.2 or disent 0.8.0 is installed (see `peers.py`), their own loops train the same layers on 10,000 images
of dSprites. Their ratio is that of `dsprites` to them: how many times as fast Equipoise is.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import loops
from equipoise import assemble, config, nets
from equipoise.data import load_data
from equipoise.data.batches import Batches
from equipoise.training import speed
from equipoise.training.loop import Stopped, Training, fit

LATENT = 10
GREY, COLOUR = (1, 64, 64), (3, 128, 128)  # shapes of an image
Shape = tuple[int, int, int]
CASES = (("mlp_lvae", 64, GREY), ("mlp_lvae", 256, GREY), ("higgins_h", 64, GREY), ("locatello", 64, COLOUR))
PEERS = {"pythae": loops.pythae, "disent": loops.disent}
SIDES = ("plain", "fp32", "bf16", "dsprites", *PEERS)
PEER_CASES = (("mlp_lvae", 64), ("higgins_h", 64))
WARM_UP = 10  # steps
BARS = {
    ("mlp_lvae", 64, "fp32"): 2.4,
    ("mlp_lvae", 256, "fp32"): 2.0,
    ("mlp_lvae", 256, "bf16"): 2.8,
    ("higgins_h", 64, "fp32"): 1.4,
    ("higgins_h", 64, "bf16"): 1.9,
    ("locatello", 64, "fp32"): 1.15,
    ("mlp_lvae", 64, "pythae"): 3.2,
    ("mlp_lvae", 64, "disent"): 2.2,
    ("higgins_h", 64, "pythae"): 1.5,
    ("higgins_h", 64, "disent"): 1.4,
}
LARGEST_LOSS = 0.05  # of the rate, by assembling batches

Result = dict[str, float]


# --- one measurement, in a separate process ---------------------------------------------------------------------------


def measure(side: str, net: str, batch: int, shape: Shape, seconds: float, threads: int) -> Result:
    """Return images_per_second, gemm (GFLOP/s of a product of 2048^3), peak (fraction of it) and faults (per step)."""
    torch.manual_seed(0)
    if side == "plain":
        torch.set_num_threads(threads)
        return plain(net, batch, shape, seconds, threads)
    if side in PEERS:
        torch.set_num_threads(threads)
        return of_peer(side, net, batch, shape, seconds, threads)
    precision = "bf16" if side == "bf16" else "fp32"
    return ours(net, batch, shape, seconds, threads, precision, assembled=side == "dsprites")


def plain(net: str, batch: int, shape: Shape, seconds: float, threads: int) -> Result:
    encoder, decoder = nets.build(net, shape, LATENT)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-4)
    batches = itertools.cycle(ready(batch, shape))

    def step() -> None:
        x = next(batches)
        mean, logvar = encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        rec = (decoder(z).sigmoid() - x).square().sum() / batch
        kl = 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum() / batch
        optimiser.zero_grad()
        (rec + kl).backward()
        optimiser.step()

    gemm = product_rate(torch.float32, threads)
    timer = Timer(seconds, threads)
    while not timer.over():
        step()
        timer.tick()
    return timer.result(net, batch, shape, gemm)


def of_peer(peer: str, net: str, batch: int, shape: Shape, seconds: float, threads: int) -> Result:
    gemm = product_rate(torch.float32, threads)
    timer = Timer(seconds, threads)

    def after() -> None:
        timer.tick()
        if timer.over():
            raise loops.Over

    pixels = load_data("dsprites").pixels(np.arange(10_000))
    PEERS[peer](*nets.build(net, shape, LATENT), pixels, batch, after)
    return timer.result(net, batch, shape, gemm)


def ours(
    net: str, batch: int, shape: Shape, seconds: float, threads: int, precision: str, *, assembled: bool
) -> Result:
    settings = config.resolve(
        {
            "data": "dsprites",
            "method": "l-vae",
            "net": net,
            "net.latent": LATENT,
            "train.batch": batch,
            "train.precision": precision,
            "train.threads": threads,
            "train.steps": 10**9,
            "train.checkpoint_every": 10**9,
            "train.device": "cpu",
        }
    )
    images = load_data("dsprites")
    batches: Callable[[int, int], Tensor] = Batches(images, batch, seed=0)
    if not assembled:
        made = ready(batch, shape)
        batches = lambda step, _: made[step % len(made)]  # noqa: E731
    with speed.fast_parts(settings.train.fast, threads, precision):
        training = Training(*assemble.build(settings, shape, len(images)), settings.train, torch.device("cpu"))
        gemm = product_rate(torch.bfloat16 if precision == "bf16" else torch.float32, threads)
        timer = Timer(seconds, threads)
        with suppress(Stopped):  # by the timer
            fit(
                training,
                batches,
                log=lambda row: None,  # noqa: ARG005
                save=lambda: None,
                after=lambda step: timer.tick(),  # noqa: ARG005
                stop=timer.over,
            )
        return timer.result(net, batch, shape, gemm)


class Timer:
    """Measure the duration of each step after the first few, for `seconds` seconds."""

    def __init__(self, seconds: float, threads: int) -> None:
        self.seconds, self.clock = seconds, clock(threads)
        self.ticks: list[float] = []
        self.faults: list[int] = []

    def tick(self) -> None:
        """Record the end of a step."""
        self.ticks.append(self.clock())
        self.faults.append(page_faults())

    def over(self) -> bool:
        return len(self.ticks) > WARM_UP + 2 and self.ticks[-1] - self.ticks[WARM_UP] > self.seconds

    def result(self, net: str, batch: int, shape: Shape, gemm: float) -> Result:
        # The median step, not the sum: a burst of other load affects only a few steps.
        rate = batch / statistics.median(after - before for before, after in itertools.pairwise(self.ticks[WARM_UP:]))
        return {
            "images_per_second": rate,
            "gemm": gemm,
            "peak": rate * flops(net, shape) / 1e9 / gemm,
            "faults": (self.faults[-1] - self.faults[WARM_UP]) / (len(self.faults) - 1 - WARM_UP),
        }


def clock(threads: int) -> Callable[[], float]:
    """Return a clock: with one thread CPU time, which excludes other processes, otherwise wall time."""
    return time.process_time if threads == 1 else time.perf_counter


def ready(batch: int, shape: Shape) -> list[Tensor]:
    """Return eight batches of random images [B, C, H, W]: black and white, or floats in [0, 1] in colour."""
    generator = torch.Generator().manual_seed(0)
    made = (torch.rand((batch, *shape), generator=generator) for _ in range(8))
    return [x if shape == COLOUR else (x > 0.9).float() for x in made]


def product_rate(dtype: torch.dtype, threads: int) -> float:
    """Return the GFLOP/s of a product of 2048^3, the best of ten."""
    now = clock(threads)
    a, b = (torch.ones(2048, 2048, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(10):
        start = now()
        a @ b
        times.append(now() - start)
    return 2 * 2048**3 / min(times) / 1e9


def flops(net: str, shape: Shape) -> float:
    """Return the floating-point operations of products and convolutions for one image, forward and backward."""
    encoder, decoder = nets.build(net, shape, LATENT)
    with FlopCounterMode(display=False) as counter:
        decoder(encoder(torch.zeros(2, *shape))[:, :LATENT]).sum().backward()
    return float(counter.get_total_flops()) / 2


def page_faults() -> int:
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


# --- all measurements -------------------------------------------------------------------------------------------------


def compare(rounds: int, seconds: float, threads: int) -> list[dict[str, Any]]:
    """A row per net, batch and side: medians over rounds, and the ratio to `plain`, see `ratio`."""
    rows: list[dict[str, Any]] = []
    for net, batch, shape in CASES:
        sides = sides_of(net, batch, shape)
        taken: dict[str, list[Result]] = {side: [] for side in sides}
        for number in range(rounds):
            for side in sides:
                print(f"\r{net} {batch}: round {number + 1} of {rounds}, {side:<10}", end="", file=sys.stderr)
                case = {"side": side, "net": net, "batch": batch, "shape": shape}
                taken[side].append(fresh(**case, seconds=seconds, threads=threads))
        for side in sides:
            row: dict[str, Any] = {"net": net, "batch": batch, "shape": shape, "side": side}
            row |= {key: statistics.median(result[key] for result in taken[side]) for key in taken[side][0]}
            row["ratio"] = ratio(taken, side)
            row["bar"] = 1 - LARGEST_LOSS if side == "dsprites" else BARS.get((net, batch, side))
            rows.append(row)
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    return rows


def sides_of(net: str, batch: int, shape: Shape) -> list[str]:
    """The sides that can be measured: a processor without bf16 emulates it a hundred times slower."""
    without = set() if speed.has_bf16() else {"bf16"}
    without |= {peer for peer in PEERS if (net, batch) not in PEER_CASES or find_spec(peer) is None}
    return [side for side in SIDES if side not in without and not (side == "dsprites" and shape == COLOUR)]


def ratio(taken: dict[str, list[Result]], side: str) -> float:
    """The median over rounds of a ratio of rates: to `plain`; of `dsprites` to `fp32`; of `dsprites` to a peer."""
    rates = {name: [result["images_per_second"] for result in results] for name, results in taken.items()}
    above = rates["dsprites" if side in PEERS else side]
    below = rates[side if side in PEERS else "fp32" if side == "dsprites" else "plain"]
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def fresh(**arguments: Any) -> Result:
    """Run `measure` in a separate process."""
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    bars = subprocess.DEVNULL if arguments["side"] in PEERS else None  # those libraries draw progress bars
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=bars, text=True, check=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'net':<11}{'batch':>6} {'side':<9}{'images/s':>9}{'ratio':>7}{'bar':>6}{'gemm':>7}{'peak':>6}{'faults':>8}"
    ]
    for row in rows:
        bar = f"{row['bar']:.2f}" if row["bar"] else "-"
        lines.append(
            f"{row['net']:<11}{row['batch']:>6} {row['side']:<9}{row['images_per_second']:>9,.0f}{row['ratio']:>7.2f}"
            f"{bar:>6}{row['gemm']:>7,.0f}{row['peak']:>6.0%}{row['faults']:>8,.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="training speed against a plain torch loop")
    parser.add_argument("--quick", action="store_true", help="one short round, as a test")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch, on both sides")
    parser.add_argument("--out", type=Path, default=Path("training-speed.json"), help="JSON file to write")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        case = json.loads(args.measure)
        print(json.dumps(measure(**case | {"shape": tuple(case["shape"])})))
        return
    rounds, seconds = (1, 1.0) if args.quick else (5, 5.0)
    rows = compare(rounds, seconds, args.threads)
    about = {
        "processor": speed.processor(),
        "torch": torch.__version__,
        "threads": args.threads,
        "rounds": rounds,
        "seconds": seconds,
        "clock": clock(args.threads).__name__,
    }
    args.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{about['processor']}, {args.threads} threads, torch {torch.__version__}\n{table(rows)}\nwrote {args.out}")


if __name__ == "__main__":
    main()
