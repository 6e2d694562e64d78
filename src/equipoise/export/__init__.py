"""Export of a trained model: as safetensors, as ONNX graphs, or as a folder for a model hub."""

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from equipoise import runs
from equipoise.claim import hold
from equipoise.errors import choose
from equipoise.export import graphs, hub, saved
from equipoise.export.about import describe
from equipoise.export.folder import check, seal
from equipoise.export.saved import load_model
from equipoise.files import replacing_folder
from equipoise.run import Run
from equipoise.torch_defaults import torch_defaults

Kind = Literal["safetensors", "onnx", "hub-folder"]

__all__ = ["Export", "Kind", "export_run", "load_model", "write"]


@dataclass(frozen=True)
class Export:
    """The folder of an export, its files, and sentences about them.

    For ONNX graphs, `largest_difference` is the largest absolute difference from the output of the model.
    """

    folder: Path
    files: list[Path]
    remarks: list[str]
    largest_difference: float | None


def export_run(
    run: Run | str | Path, to: Kind = "safetensors", out: str | Path | None = None, beta: float | None = None
) -> Path:
    """Export the model of a run to a folder of its own.

    Args:
        run: A run, or the path of its folder.
        to: `safetensors`: model.safetensors and config.json, for `eq.load_model`. `onnx`: encoder.onnx and
            decoder.onnx, compared with the model, and config.json. `hub-folder`: as safetensors, with a model card
            (README.md) and pictures.
        out: The new folder; default: `<run>/export/<to>`. An earlier export of the same kind is replaced.
        beta: For a run of mr-vae, the beta of the model; default: that of its settings.

    Returns:
        The path of the folder.

    Raises:
        InputError: If the kind does not exist, `out` holds anything else, or a package is not installed.
        RunError: If the run has no checkpoint, or for `hub-folder` no scores or no report.

    Example:
        >>> import equipoise as eq
        >>> eq.export_run("runs/first").name
        'safetensors'
    """
    return write(run, to, out, beta).folder


@torch_defaults()
def write(run: Run | str | Path, to: str, out: str | Path | None, beta: float | None = None) -> Export:
    """Export the model of a run as `export_run` does, and describe what was written. Raises the same errors."""
    choose("kind of export", to, get_args(Kind))
    run = (run if isinstance(run, Run) else runs.open_run(run)).at(beta)
    target = run.results / "export" / to if out is None else Path(out)
    check(target, to)
    if to == "onnx":
        graphs.check()
    elif to == "hub-folder":
        hub.check(run)
    difference, remarks = None, []
    # The folder of a run may be read-only when the export goes elsewhere.
    claim = hold(run.path) if os.access(run.path, os.W_OK) else nullcontext()
    with claim, replacing_folder(target) as folder:
        about = describe(run, to)
        if to == "onnx":
            difference = graphs.write(run.model.at(), folder, about)
            remarks.append(f"largest difference from the model: {difference:.1e}")
        else:
            saved.write(run.model.at(), folder)
        if to == "hub-folder":
            remarks += hub.write(run, folder, about)
        seal(folder, about)
    return Export(target, [path for path in sorted(target.rglob("*")) if path.is_file()], remarks, difference)
