"""The command line: it only parses. What a command does is in `commands`, imported when it is asked for."""

import sys
import warnings

import typer

from equipoise.cli import about, data, runs, studies
from equipoise.errors import InputError, RunError

app = typer.Typer(
    help="Disentangled representation learning with variational autoencoders whose trade-off tunes itself.",
    epilog="First steps:  equipoise train data=dsprites method=l-vae train.steps=2000 out=runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (runs, studies, about):
    app.add_typer(part.app)
app.add_typer(data.app, name="data")


def main() -> None:
    """The entry point: errors a user can mend are one sentence, and exit 2 (usage, input) or 1 (failed)."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"note: {message}", file=sys.stderr)
            app()
    except InputError as error:
        print(f"equipoise: {error}", file=sys.stderr)
        sys.exit(2)
    except RunError as error:
        print(f"equipoise: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written: what the system says is the reason
        print(f"equipoise: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
