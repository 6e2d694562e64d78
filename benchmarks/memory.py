"""Memory needed for a million images: while a net is trained on them, and while the files of a folder are inspected.

    python benchmarks/memory.py                      # a million images of 64 x 64, a million files
    python benchmarks/memory.py --quick              # a hundredth of it

Both are memory in separate processes, as the largest RssAnon in /proc/self/status, read every 20 ms. RssAnon is
memory that is not backed by a file, so the system cannot drop it. The images are written to a temporary folder: a .npy
of 4 GB, and a folder of hard links to a few small files.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from equipoise import config, runs
from equipoise.data.readers import folder

LARGEST = 2 * 2**30  # bytes of RssAnon
LINKS = 20_000  # to one file; file systems allow some 65,000
PER_FOLDER = 10_000

Result = dict[str, float]


# --- one measurement, in a separate process ---------------------------------------------------------------------------


def train(place: Path, side: int, steps: int) -> Result:
    """Load, train for `steps`, encode, score and report."""
    settings = {
        "data": str(place / "images.npy"),
        "net": "locatello" if side == 64 else "burgess",
        "train.steps": steps,
        "train.threads": 1,
        "train.device": "cpu",
        "out": str(place / "run"),
    }
    with peak() as memory:
        run = runs.execute(config.resolve(settings), progress=False)
    return memory | {"images": run.meta["images"], "images_per_second": run.logs[-1]["images_per_second"]}


def files(place: Path) -> Result:
    """List all files in natural order and read their sizes, times and headers: the work before the first pixel."""
    with peak() as memory:
        begin = time.monotonic()
        names = folder.listing(place / "files")
        listed = time.monotonic()
        folder.state(place / "files", names)
        known = time.monotonic()
        for _ in folder.heads(place / "files", names, {}, "files"):
            pass
        seen = time.monotonic()
    seconds = {"list": listed - begin, "state": known - listed, "heads": seen - known}
    return memory | {"files": len(names)} | seconds


@contextmanager
def peak() -> Iterator[Result]:
    """Measure the largest RssAnon in bytes while the block runs, and the value before."""
    result: Result = {"before": float(rss_anon()), "peak": 0.0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            result["peak"] = max(result["peak"], rss_anon())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield result
    finally:
        over.set()
        watcher.join()


def rss_anon() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status shows no RssAnon: this needs Linux 4.5 or newer")


# --- test data --------------------------------------------------------------------------------------------------------


def make_images(place: Path, images: int, side: int) -> None:
    """Write images.npy, uint8 [N, side, side]: squares at random positions, with noise."""
    rng = np.random.default_rng(0)
    whole = np.lib.format.open_memmap(place / "images.npy", mode="w+", dtype=np.uint8, shape=(images, side, side))
    block = rng.integers(0, 30, (min(images, 5000), side, side), dtype=np.uint8)
    for picture, (row, column) in zip(block, rng.integers(0, side // 2, (len(block), 2)), strict=True):
        picture[row : row + side // 4, column : column + side // 4] += np.uint8(200)
    for start in range(0, images, len(block)):
        part = whole[start : start + len(block)]
        part[:] = np.roll(block, start // len(block), axis=2)[: len(part)]
    whole.flush()


def make_files(place: Path, images: int) -> None:
    """Write files/000/0.png ...: hard links to small images, ten thousand in a folder."""
    rng = np.random.default_rng(0)
    original = place / "original.png"
    for i in range(images):
        if i % LINKS == 0:
            original = place / f"original{i}.png"
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(original)
        inside = place / "files" / f"{i // PER_FOLDER:03d}"
        if i % PER_FOLDER == 0:
            inside.mkdir(parents=True)
        os.link(original, inside / f"picture_{i}.png")


def fresh(what: str, place: Path, side: int, steps: int) -> Result:
    """Run a measurement in a separate process."""
    arguments = ["--place", str(place), "--side", str(side), "--steps", str(steps)]
    command = [sys.executable, __file__, "--measure", what, *arguments]
    environment = {**os.environ, "EQUIPOISE_CACHE": str(place / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="memory that a million images take")
    parser.add_argument("--quick", action="store_true", help="a short test with ten thousand images")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=64, help="width of the images in pixels")
    parser.add_argument("--steps", type=int, default=300, help="number of training steps")
    parser.add_argument("--place", type=Path, help="folder for the temporary images; default: $TMPDIR")
    parser.add_argument("--out", type=Path, default=Path("memory.json"), help="JSON file to write")
    parser.add_argument("--measure", choices=("train", "files"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(train(args.place, args.side, args.steps) if args.measure == "train" else files(args.place)))
        return
    images = 10_000 if args.quick else args.images
    free, needed = shutil.disk_usage(args.place or tempfile.gettempdir()).free, images * args.side**2
    if needed > free:
        raise SystemExit(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; name a --place")
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(dir=args.place) as name:
        place = Path(name)
        make_images(place, images, args.side)
        results["train"] = fresh("train", place, args.side, args.steps)
        (place / "images.npy").unlink()
        make_files(place, images)
        results["files"] = fresh("files", place, args.side, args.steps)
    args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for what, result in results.items():
        print(f"{what}: RssAnon {result['peak'] / 2**20:,.0f} MiB at most, {result['before'] / 2**20:,.0f} MiB before")
        print("  " + ", ".join(f"{key} {value:,.1f}" for key, value in result.items() if key not in ("peak", "before")))
    print(f"wrote {args.out}")
    if max(result["peak"] for result in results.values()) > LARGEST:
        raise SystemExit(f"more than {LARGEST / 2**30:g} GiB")


if __name__ == "__main__":
    main()
