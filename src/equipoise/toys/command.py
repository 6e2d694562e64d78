"""`equipoise toys`."""

from pathlib import Path

from rich.console import Console

from equipoise import toys as linear
from equipoise.outcome import Outcome


def toys(out: Path, seeds: int, iterations: int, progress: bool = True) -> Outcome:
    """The linear examples of the ISA-VAE paper's appendix B: their numbers, as `toys.json` and figures in `out`."""
    found = linear.run(out, seeds, iterations, Console(stderr=True, quiet=not progress))
    return Outcome({**found, "wrote": str(out)}, f"{linear.table(found)}\nwrote {out}")
