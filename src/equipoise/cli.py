"""The command line: it parses words, calls the functions of `equipoise.commands` and prints their results."""

import errno
import functools
import inspect
import io
import json
import re
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperOption

import equipoise
from equipoise.commands import DATA_COMMANDS, MODEL_COMMANDS, PANELS
from equipoise.errors import InputError, RunError
from equipoise.files import FULL
from equipoise.outcome import Outcome

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

REMEDIES = {
    FULL: "; free some space and repeat the command, which resumes",
    (errno.EEXIST, errno.ENOTDIR): "; a file is where a folder is needed, so choose another place",
    (errno.ENAMETOOLONG,): "; choose a shorter name",
    (errno.EACCES, errno.EPERM, errno.EROFS): "; choose a place that you may write to, or change its permissions",
}
"""What to do about errors of the operating system, by their numbers."""

app = typer.Typer(
    help="Disentangled representation learning with variational autoencoders whose trade-off tunes itself.",
    epilog="First steps:  equipoise train data=dsprites --budget 4m out=runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Data sets and images of your own.", no_args_is_help=True)
models = typer.Typer(help="Trained models that are ready to use.", no_args_is_help=True)


class Command(TyperCommand):
    """A command that refuses an option with two values, of which the last would replace the others."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the words after the name of the command."""
        order = self.make_parser(ctx).parse_args(args=list(args))[2] if args else []
        for option in order:
            is_single = isinstance(option, TyperOption) and not (option.multiple or option.is_flag)
            if is_single and order.count(option) > 1:
                raise InputError(f"{option.opts[0]} is given more than once; give it once")
        return super().parse_args(ctx, args)


def printing(command: Callable[..., Outcome]) -> Callable[..., None]:
    """The command as typer runs it: with the option `--json`, and its result printed. Exits with 1 if incomplete."""

    @functools.wraps(command)
    def run(as_json: bool, **arguments: Any) -> None:
        outcome = command(**arguments)
        print(json.dumps(outcome.values, indent=1, default=str) if as_json else outcome.text)
        if not outcome.is_complete:
            raise typer.Exit(1)

    signature = inspect.signature(command)
    option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)
    parameters = [*signature.parameters.values(), option]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def help_of(command: Callable[..., Outcome]) -> str:
    """The docstring of a command for terminals of any width: a paragraph is one line, examples have no empty lines."""
    if app.rich_markup_mode is None:  # typer then prints it in its own way
        return inspect.cleandoc(command.__doc__ or "")
    text = ""
    for block in inspect.cleandoc(command.__doc__ or "").split("\n\n"):
        is_example = block.startswith(" ")
        follows = is_example and text.rpartition("\n")[2].startswith(" ")
        text += ("\n" if follows else "\n\n") * bool(text) + (block if is_example else block.replace("\n", " "))
    return escape(text)


def print_version(requested: bool) -> None:
    """Print the version and exit, if `requested`."""
    if requested:
        print(f"equipoise {equipoise.__version__}")
        raise typer.Exit


@app.callback()
def before_command(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Accept the options that precede a command."""


for panel, commands in PANELS.items():
    for name, command in commands.items():
        app.command(name, cls=Command, help=help_of(command), rich_help_panel=panel)(printing(command))
for name, command in DATA_COMMANDS.items():
    data.command(name, cls=Command, help=help_of(command))(printing(command))
for name, command in MODEL_COMMANDS.items():
    models.command(name, cls=Command, help=help_of(command))(printing(command))
app.add_typer(data, name="data", rich_help_panel="Data and models")
app.add_typer(models, name="models", rich_help_panel="Data and models")


def main() -> None:
    """Run the command in `sys.argv`. Errors that a user can fix are printed as one sentence.

    Exits with 2 for wrong usage or input, with 1 for a failure.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a character, such as a dash
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _printing_notes()
            app()
    except InputError as error:
        _exit(str(error), 2)
    except RunError as error:
        _exit(str(error), 1)
    except (MemoryError, RuntimeError) as error:
        reason = str(error)
        if isinstance(error, RuntimeError):  # torch raises it if it cannot allocate memory
            match = re.search(r"allocate [\d.]+ \w+", reason)
            if match is None:
                raise
            reason = f"unable to {match[0]}"
        reason = f" ({reason})" if reason else ""
        _exit(f"the memory of this machine is full{reason}; use smaller data, nets or batches", 1)
    except OSError as error:  # the message of the operating system is the reason
        remedy = next((remedy for numbers, remedy in REMEDIES.items() if error.errno in numbers), "")
        name = error.filename2 or error.filename or "a file"  # the target, if a renaming failed
        _exit(f"{name}: {error.strerror or error}{remedy}", 1)


def _printing_notes() -> Callable[..., None]:
    """A function that prints a warning as a note, once: data that are read again give the same ones."""
    earlier_notes = set()

    def note(message: Warning | str, *_: object) -> None:
        if str(message) not in earlier_notes:
            earlier_notes.add(str(message))
            print(f"note: {message}", file=sys.stderr)

    return note


def _exit(sentence: str, code: int) -> NoReturn:
    print(f"equipoise: {sentence}", file=sys.stderr)
    sys.exit(code)
