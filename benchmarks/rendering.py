"""Speed of the rendered data sets: images per second on one thread, and the seconds of the one-time work.

    python benchmarks/rendering.py [--size N] [--seconds S] [--out FILE]

Batches are rendered at random rows, as bytes and as the floats that training uses. A rate is that of the median batch,
in wall time; `bar` is the target for bytes.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from equipoise.data import load_data
from equipoise.data.sets import dsprites, rooms3d
from equipoise.training import speed

BARS = {
    "dsprites": None,
    "dsprites-color": 5000,
    "dsprites-noisy": 5000,
    "dsprites-scream": 5000,
    "dsprites-noshape": 5000,
    "rooms3d": 4000,
}
BATCHES = (64, 512)

Row = dict[str, Any]


def rate(draw: Callable[[Any], object], images: int, batch: int, seconds: float) -> float:
    """Return the images per second in batches at random rows."""
    rng = np.random.default_rng(0)
    took: list[float] = []
    end = time.perf_counter() + seconds
    while len(took) < 5 or time.perf_counter() < end:
        rows = rng.integers(images, size=batch)
        start = time.perf_counter()
        draw(rows)
        took.append(time.perf_counter() - start)
    return batch / statistics.median(took)


def once() -> dict[str, float]:
    """Return the seconds of the first use: the sprites of dSprites, in memory, and the geometries of Rooms3D."""
    start = time.perf_counter()
    for _ in dsprites.blocks():
        pass
    between = time.perf_counter()
    rooms3d.geometries()
    return {"dsprites": between - start, "rooms3d geometries": time.perf_counter() - between}


def main() -> None:
    parser = argparse.ArgumentParser(description="Images a second of the drawn data sets, on one thread")
    parser.add_argument("--size", type=int, default=64, help="resize to this many pixels a side, as data.size does")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each measurement")
    parser.add_argument("--out", type=Path, default=Path("rendering-speed.json"), help="JSON file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    with threadpool_limits(1):
        first = once()
        for name, bar in BARS.items():
            images = load_data(name, size=args.size)
            for batch in BATCHES:
                as_bytes = rate(images.pixels, len(images), batch, args.seconds)
                as_floats = rate(images.floats, len(images), batch, args.seconds)
                rows.append({"name": name, "batch": batch, "bytes": as_bytes, "floats": as_floats, "bar": bar})
    about = {"processor": speed.processor(), "numpy": np.__version__, "torch": torch.__version__}
    args.out.write_text(json.dumps({**about, "once": first, "rates": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{about['processor']}, one thread; images a second")
    print(f"{'':<20}{'batch':>6}{'bytes':>12}{'floats':>12}{'bar':>8}")
    for row in rows:
        least = row["bar"] or "-"
        print(f"{row['name']:<20}{row['batch']:>6}{row['bytes']:>12,.0f}{row['floats']:>12,.0f}{least:>8}")
    for name, seconds in first.items():
        print(f"{name}: {seconds:.2f} s, once")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
