"""Training steps with convolutions as matrix products, beside the same with the layers of torch.

    python benchmarks/convolutions.py [--nets small higgins_h ...] [--steps 40] [--size 64] [--data dsprites]

Both sides train beta-VAEs on the same batches with one thread, in one process, and take turns at every step. A ratio is
the median over steps of the CPU time of the plain side over that of the other, so other load affects both. The mean
losses of all steps are printed, too.
"""

import argparse
from statistics import median
from time import process_time

import torch

from equipoise import assemble, config, convolutions
from equipoise.data import Images, load_data
from equipoise.data.batches import Batches
from equipoise.training import speed
from equipoise.training.loop import Training

WARM_UP = 5  # steps


def training(net: str, images: Images, *, by_products: bool) -> Training:
    """Return a training that has not begun."""
    settings = config.resolve(
        {"data": "dsprites", "method": "beta-vae", "net": net, "train.steps": 10**9, "train.device": "cpu"}
    )
    new = Training(*assemble.build(settings, images.shape, len(images)), settings.train, torch.device("cpu"))
    convolutions.use_products(new.model, by_products)
    return new


def seconds_of_step(one: Training, x: torch.Tensor) -> float:
    """Return the CPU time of one step."""
    start = process_time()
    one.advance(x)
    return process_time() - start


def main() -> None:
    """Print a line for each net."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=["small", "locatello", "higgins_h"])
    parser.add_argument("--data", default="dsprites")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    images = load_data(arguments.data, size=arguments.size)
    for net in arguments.nets:
        with speed.fast_parts(True, 1):
            sides = [training(net, images, by_products=on) for on in (False, True)]
            batch = Batches(images, sides[0].train.batch, seed=0)
            times = []
            for step in range(WARM_UP + arguments.steps):
                x = batch(step, 0)
                times.append([seconds_of_step(side, x) for side in sides])
            plain, ours = ([row[k] for row in times[WARM_UP:]] for k in (0, 1))
        ratio = median(a / b for a, b in zip(plain, ours, strict=True))
        losses = [side.row()["loss"] for side in sides]
        print(
            f"{net}, {arguments.data} at {arguments.size} x {arguments.size}: {1e3 * median(plain):.1f} ms a step, "
            f"{1e3 * median(ours):.1f} ms with products, ratio {ratio:.2f}; "
            f"mean losses {losses[0]:.6g}, {losses[1]:.6g}"
        )


if __name__ == "__main__":
    main()
