"""The command of the linear examples, whose code is a package of its own in `examples/toys`."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.commands.arguments import Progress
from equipoise.errors import import_package
from equipoise.outcome import Outcome


def toys(
    out: Annotated[Path, typer.Option(help="The folder for toys.json and the figures.")] = Path("runs/toys"),
    seeds: Annotated[int, typer.Option(help="Data sets of the ICA example; about eight seconds each.")] = 6,
    iterations: Annotated[int, typer.Option(help="Iterations of EM on each, 100 or more.")] = 700,
    progress: Progress = True,
) -> Outcome:
    """Show on linear models how variational inference rotates and prunes components, and what beta adds.

    With factorised posteriors, components that explain the data equally well become orthogonal (1), and superfluous
    components are pruned (2). In factor analysis, beta changes the size of this effect but not the optimum; fitted
    weights shrink with beta, and directions of little variance vanish (3). In over-complete ICA a true component is
    lost: at beta = 5 after fewer iterations than at beta = 1 (4). After Stühmer et al. (2020), appendix B.

    Examples:

      equipoise toys

      equipoise toys --seeds 1 --iterations 300 --out runs/toys-quick
    """
    remedy = "equipoise toys needs the package equipoise_toys; install equipoise again"
    equipoise_toys = import_package("equipoise_toys", remedy)
    from rich.console import Console

    results = equipoise_toys.run(out, seeds, iterations, Console(stderr=True, quiet=not progress))
    return Outcome({**results, "wrote": str(out)}, f"{equipoise_toys.table(results)}\nwrote {out}")
