"""Size and speed of the explorer: megabytes of its file, seconds until it is ready, milliseconds per picture.

    python benchmarks/explorer.py [RUN ...] [--out FILE]

The page is opened from a file in headless Chromium (Debian's package chromium, and `pip install equipoise[browser]`),
three times. The time of a picture is from the request to the worker to its pixels; `least` and `median` are of 100
pictures in each of the three. Without runs, each net is trained for one step on dSprites first. Such weights compress
better than trained ones, so these files are too small.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equipoise as eq
from equipoise import nets
from equipoise.report import explorer
from equipoise.training import speed

PICTURES, TIMES = 100, 3
ASK = """async ([job, what, pictures]) => {
    const times = [];
    for (let i = 0; i < pictures; i++) {
        const start = performance.now();
        await explorer[job](what);
        times.push(performance.now() - start);
    }
    return times;
}"""

Row = dict[str, Any]


def measure(folder: Path) -> Row:
    """Return the figures of one run, and write its page to the folder of the run."""
    from playwright.sync_api import sync_playwright

    run = eq.open_run(folder)
    start = time.perf_counter()
    page_file = explorer.write(run)
    row: Row = {
        "run": folder.name,
        "net": run.config.net.name,
        "shape": list(run.model.shape),
        "steps": run.config.train.steps,
        "megabytes": page_file.stat().st_size / 1e6,
        "write": time.perf_counter() - start,
    }
    ready, decode, encode = [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for _ in range(TIMES):
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(page_file.resolve().as_uri())
            page.evaluate("explorer.ready")
            ready.append(time.perf_counter() - start)
            page.wait_for_timeout(1000)  # the strip is drawn
            code = page.evaluate("Array.from(explorer.slots.A.code)")
            pixels = [0.5] * run.model.shape[0] * run.model.shape[1] * run.model.shape[2]
            decode += page.evaluate(ASK, ["decode", code, PICTURES])
            encode += page.evaluate(ASK, ["encode", pixels, PICTURES])
            page.close()
        browser.close()
    return row | {"ready": min(ready), "decode": _both(decode), "encode": _both(encode)}


def untrained(out: Path) -> list[Path]:
    """Train each net for one step, and return the folders of the runs."""
    few = {"evaluate.n": 500, "evaluate.which": ["mig"], "train.threads": 1}
    folders = [out / net for net in nets.NETS]
    for folder in folders:
        eq.train("dsprites", "vae", net=folder.name, steps=1, out=folder, settings=few, progress=False)
    return folders


def _both(times: Sequence[float]) -> dict[str, float]:
    return {"least": min(times), "median": statistics.median(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Size and speed of the explorer in headless Chromium")
    parser.add_argument("runs", nargs="*", type=Path, help="folders of runs; by default one of each net is trained")
    parser.add_argument("--out", type=Path, default=Path("explorer-speed.json"), help="JSON file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(run) for run in arguments.runs or untrained(Path(folder))]
    arguments.out.write_text(
        json.dumps({"processor": speed.processor(), "runs": rows}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"{speed.processor()}; ms per picture, least and median")
    print(f"{'':<20}{'net':<12}{'shape':>12}{'MB':>8}{'ready, s':>10}{'decode':>14}{'encode':>14}")
    for row in rows:
        shape = " x ".join(map(str, row["shape"]))
        times = "".join(f"{row[job]['least']:>7.1f}{row[job]['median']:>7.1f}" for job in ("decode", "encode"))
        print(f"{row['run']:<20}{row['net']:<12}{shape:>12}{row['megabytes']:>8.1f}{row['ready']:>10.2f}{times}")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
