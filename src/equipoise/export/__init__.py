"""A trained model for others: a folder from which it is built again, ONNX graphs, or a folder ready for a model hub."""

from pathlib import Path
from typing import Any, Literal, get_args

from equipoise import runs
from equipoise.errors import choose
from equipoise.export import graphs, hub, saved
from equipoise.export.about import describe
from equipoise.export.folder import check, filling
from equipoise.export.saved import load_model
from equipoise.outcome import Outcome

Kind = Literal["safetensors", "onnx", "hub-folder"]

__all__ = ["Kind", "command", "export_run", "load_model"]


def export_run(run: runs.Run | str | Path, to: Kind = "safetensors", out: str | Path | None = None) -> Path:
    """The folder to which the model of a run, or of the run in a folder, was written; `command` says what is in it.

    Raises `InputError` before any work for another kind, a folder that holds anything but an earlier export of this
    kind, and a package that is not installed; `RunError` where the run is not that far.
    """
    return Path(command(run, to, out).values["wrote"])


def command(run: runs.Run | str | Path, to: str = "safetensors", out: str | Path | None = None) -> Outcome:
    """Write the model of a run, as its checkpoint has it, to the folder `out`, by default RUN/export/<kind>.

    safetensors: model.safetensors and config.json, which `load_model` reads without data, settings or run.
    onnx: encoder.onnx and decoder.onnx, compared with the model, and config.json.
    hub-folder: what safetensors writes, README.md as the card of the model, and pictures.
    """
    choose("kind of export", to, get_args(Kind))
    run = run if isinstance(run, runs.Run) else runs.open_run(run)
    target = run.path / "export" / to if out is None else Path(out)
    check(target, to)
    if to == "onnx":
        graphs.check()
    elif to == "hub-folder":
        hub.check(run)
    known = describe(run, to)
    said: dict[str, Any] = {}
    with filling(target) as (part, seal):
        if to == "onnx":
            said["largest_difference"] = graphs.write(run.model, part, known)
        else:
            saved.write(run.model, part)
        if to == "hub-folder":
            hub.write(run, part, known)
        seal(known)
    files = {file.relative_to(target).as_posix(): file.stat().st_size for file in target.rglob("*") if file.is_file()}
    lines = [f"  {name:<28} {size:>12,} bytes" for name, size in sorted(files.items())]
    text = "\n".join(
        [*lines, *(f"largest difference from the model: {value:.1e}" for value in said.values()), f"wrote {target}"]
    )
    return Outcome({"run": str(run.path), "to": to, "files": files, **said, "wrote": str(target)}, text)
