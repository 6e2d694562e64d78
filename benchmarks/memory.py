"""Memory that a million images of one's own take: while a net is trained on them, and while their files are looked at.

    python benchmarks/memory.py                      # a million of 64 x 64, a million files
    python benchmarks/memory.py --quick              # a hundredth of it

Both are measured in processes of their own, as the largest RssAnon (Linux: memory that is not a file's, so that the
system cannot simply drop it) that /proc/self/status shows every 20 ms. The images lie in a folder that is made for the
purpose and removed at the end: a .npy of 4 GB, and a folder of hard links to a few small files.
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


# --- one measurement, in a process of its own -------------------------------------------------------------------------


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
    with peak() as measured:
        run = runs.execute(config.resolve(settings), progress=False)
    return measured | {"images": run.meta["images"], "images_per_second": run.logs[-1]["images_per_second"]}


def files(place: Path) -> Result:
    """The list of all files in natural order, their sizes and times, and all heads: what precedes the first pixel."""
    with peak() as measured:
        begin = time.monotonic()
        names = folder.listing(place / "files")
        listed = time.monotonic()
        folder.state(place / "files", names)
        known = time.monotonic()
        for _ in folder.heads(place / "files", names):
            pass
        seen = time.monotonic()
    seconds = {"list": listed - begin, "state": known - listed, "heads": seen - known}
    return measured | {"files": len(names)} | seconds


@contextmanager
def peak() -> Iterator[Result]:
    """The largest RssAnon in bytes while the block runs, and what it was before."""
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


# --- what is measured -------------------------------------------------------------------------------------------------


def make_images(place: Path, images: int, side: int) -> None:
    """images.npy, uint8 [N, side, side]: squares at random places, with noise."""
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
    """files/000/0.png ...: hard links to small pictures, ten thousand in a folder."""
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
    """A measurement in a process of its own."""
    arguments = ["--place", str(place), "--side", str(side), "--steps", str(steps)]
    command = [sys.executable, __file__, "--measure", what, *arguments]
    environment = {**os.environ, "EQUIPOISE_CACHE": str(place / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="memory that a million images take")
    parser.add_argument("--quick", action="store_true", help="ten thousand: shows that it works")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--steps", type=int, default=300, help="of training")
    parser.add_argument("--place", type=Path, help="where the images are made for the time being; default: $TMPDIR")
    parser.add_argument("--out", type=Path, default=Path("memory.json"), help="where the JSON goes")
    parser.add_argument("--measure", choices=("train", "files"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(
            json.dumps(train(asked.place, asked.side, asked.steps) if asked.measure == "train" else files(asked.place))
        )
        return
    images = 10_000 if asked.quick else asked.images
    free, needed = shutil.disk_usage(asked.place or tempfile.gettempdir()).free, images * asked.side**2
    if needed > free:
        raise SystemExit(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; name a --place")
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(dir=asked.place) as name:
        place = Path(name)
        make_images(place, images, asked.side)
        results["train"] = fresh("train", place, asked.side, asked.steps)
        (place / "images.npy").unlink()
        make_files(place, images)
        results["files"] = fresh("files", place, asked.side, asked.steps)
    asked.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for what, result in results.items():
        print(f"{what}: RssAnon {result['peak'] / 2**20:,.0f} MiB at most, {result['before'] / 2**20:,.0f} MiB before")
        print("  " + ", ".join(f"{key} {value:,.1f}" for key, value in result.items() if key not in ("peak", "before")))
    print(f"wrote {asked.out}")
    if max(result["peak"] for result in results.values()) > LARGEST:
        raise SystemExit(f"more than {LARGEST / 2**30:g} GiB")


if __name__ == "__main__":
    main()
