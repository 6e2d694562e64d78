"""Export of a trained model: as safetensors, as ONNX graphs, or as a folder for a model hub."""

from pathlib import Path
from typing import Any, Literal, get_args

from equipoise import runs
from equipoise.errors import choose
from equipoise.export import graphs, hub, saved
from equipoise.export.about import describe
from equipoise.export.folder import check, seal
from equipoise.export.saved import load_model
from equipoise.files import replacing_folder
from equipoise.outcome import Outcome

Kind = Literal["safetensors", "onnx", "hub-folder"]

__all__ = ["Kind", "command", "export_run", "load_model"]


def export_run(run: runs.Run | str | Path, to: Kind = "safetensors", out: str | Path | None = None) -> Path:
    """Export the model of a run to a folder of its own.

    Args:
        run: A run, or the path of its folder.
        to: `safetensors`: model.safetensors and config.json, for `eq.load_model`. `onnx`: encoder.onnx and
            decoder.onnx, compared with the model, and config.json. `hub-folder`: as safetensors, with a model card
            (README.md) and pictures.
        out: The new folder; default: `<run>/export/<to>`. An earlier export of the same kind is replaced.

    Returns:
        The path of the folder.

    Raises:
        InputError: If the kind does not exist, `out` holds anything else, or a package is not installed.
        RunError: If the run has no checkpoint, or for `hub-folder` no scores or no report.

    Example:
        >>> import equipoise as eq
        >>> eq.export_run("runs/first", to="onnx")  # doctest: +SKIP
        PosixPath('runs/first/export/onnx')
    """
    return Path(command(run, to, out).values["wrote"])


def command(run: runs.Run | str | Path, to: str = "safetensors", out: str | Path | None = None) -> Outcome:
    """Export the model of a run as `export_run` does, for the command line. Raises the same errors."""
    choose("kind of export", to, get_args(Kind))
    run = run if isinstance(run, runs.Run) else runs.open_run(run)
    target = run.path / "export" / to if out is None else Path(out)
    check(target, to)
    if to == "onnx":
        graphs.check()
    elif to == "hub-folder":
        hub.check(run)
    about = describe(run, to)
    values: dict[str, Any] = {}
    remarks = []
    with replacing_folder(target) as folder:
        if to == "onnx":
            values["largest_difference"] = graphs.write(run.model, folder, about)
            remarks.append(f"largest difference from the model: {values['largest_difference']:.1e}")
        else:
            saved.write(run.model, folder)
        if to == "hub-folder":
            remarks += hub.write(run, folder, about)
        seal(folder, about)
    files = {file.relative_to(target).as_posix(): file.stat().st_size for file in target.rglob("*") if file.is_file()}
    lines = [f"  {name:<28} {size:>12,} bytes" for name, size in sorted(files.items())]
    text = "\n".join([*lines, *remarks, f"wrote {target}"])
    return Outcome({"run": str(run.path), "to": to, "files": files, **values, "wrote": str(target)}, text)
