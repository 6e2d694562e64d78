"""The command `equipoise explore`: write the page, then open or serve it."""

import os
import sys
import webbrowser
from typing import Literal

from rich.console import Console

from equipoise.outcome import Outcome
from equipoise.report.explorer.page import write
from equipoise.report.explorer.serve import PORT, serve
from equipoise.scoring import Run

Then = Literal["open", "serve", "nothing"]


def explore(run: Run, then: Then = "open", port: int = PORT) -> Outcome:
    """Write the explorer of a run; then open it in the browser, serve it on 127.0.0.1 until Ctrl-C, or do nothing.

    On a machine without a display nothing is opened. Raises `InputError` for a net that the page cannot run, and for a
    port that cannot be used.
    """
    console = Console(stderr=True)
    with console.status("writing the explorer"):
        path = write(run)
    size = path.stat().st_size
    lines = [f"{size / 1e6:.1f} MB in one file, which loads nothing"]
    is_open = then == "open" and _has_display() and webbrowser.open(path.resolve().as_uri())
    if then == "open" and not is_open:
        lines.append(f"no browser could be opened; copy the file, or use --serve and a tunnel to port {port}")
    if then == "serve":
        console.print(f"serving {path} at http://127.0.0.1:{port}/; stop with Ctrl-C", markup=False, soft_wrap=True)
        serve(path, port)
    return Outcome({"wrote": str(path), "bytes": size, "opened": bool(is_open)}, "\n".join([*lines, f"wrote {path}"]))


def _has_display() -> bool:
    """Whether a graphical browser can be opened. A text browser would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
