"""What `equipoise explore` does: write the page, then open it or serve it."""

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
    """Write the explorer of a run; then open it in the browser, or serve it on 127.0.0.1 until Ctrl-C, or do nothing.

    Without a screen nothing is opened.
    """
    console = Console(stderr=True)
    with console.status("writing the explorer"):  # seconds, where the net is large
        path = write(run)
    size = path.stat().st_size
    said = [f"{size / 1e6:.1f} MB in one file that needs nothing else"]
    opened = then == "open" and _screen() and webbrowser.open(path.resolve().as_uri())
    if then == "open" and not opened:
        said.append(f"no browser to open it in; copy it anywhere, or see it over a tunnel with --serve (port {port})")
    if then == "serve":
        console.print(f"{path} is at http://127.0.0.1:{port}/ until Ctrl-C", markup=False, soft_wrap=True)
        serve(path, port)
    return Outcome({"wrote": str(path), "bytes": size, "opened": bool(opened)}, "\n".join([*said, f"wrote {path}"]))


def _screen() -> bool:
    """Whether a browser could show anything: else a text browser might take the terminal over."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
