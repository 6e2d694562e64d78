"""`equipoise toys`."""

from pathlib import Path

from rich.console import Console

import equipoise_toys as linear
from equipoise.outcome import Outcome


def toys(out: Path, seeds: int, iterations: int, progress: bool = True) -> Outcome:
    """Run the linear examples of the ISA-VAE paper's appendix B and write `toys.json` and figures to `out`."""
    results = linear.run(out, seeds, iterations, Console(stderr=True, quiet=not progress))
    return Outcome({**results, "wrote": str(out)}, f"{linear.table(results)}\nwrote {out}")
