"""The commands of Equipoise. Each is a function that does the work and returns an `Outcome`.

`equipoise COMMAND --help` prints the docstring, the annotations and the defaults of the function. The modules of the
library are imported inside the functions, so that `equipoise --help` does not wait for torch.
"""

from collections.abc import Callable

from equipoise.commands.auto import auto
from equipoise.commands.data import data_add, data_check, data_info, data_list, data_render
from equipoise.commands.lists import list_, show
from equipoise.commands.models import models_get, models_list, models_push
from equipoise.commands.runs import check, encode, evaluate, explore, export, report, train
from equipoise.commands.studies import compare, reproduce, search, select, status, sweep
from equipoise.commands.toys import toys
from equipoise.commands.using import decode, map_, nearest, outliers, pipe, sample, traverse
from equipoise.outcome import Outcome

PANELS: dict[str, dict[str, Callable[..., Outcome]]] = {
    "Train and look": {
        "train": train,
        "auto": auto,
        "report": report,
        "explore": explore,
        "evaluate": evaluate,
        "check": check,
    },
    "Use a trained model": {
        "encode": encode,
        "decode": decode,
        "sample": sample,
        "traverse": traverse,
        "nearest": nearest,
        "outliers": outliers,
        "map": map_,
        "pipe": pipe,
        "export": export,
    },
    "Many runs": {
        "sweep": sweep,
        "search": search,
        "status": status,
        "compare": compare,
        "select": select,
        "reproduce": reproduce,
    },
    "Look things up": {"list": list_, "show": show, "toys": toys},
}
"""The commands by name, in the panels of `equipoise --help`."""

COMMANDS = {name: command for panel in PANELS.values() for name, command in panel.items()}
DATA_COMMANDS: dict[str, Callable[..., Outcome]] = {
    "list": data_list,
    "info": data_info,
    "add": data_add,
    "render": data_render,
    "check": data_check,
}
MODEL_COMMANDS: dict[str, Callable[..., Outcome]] = {"list": models_list, "get": models_get, "push": models_push}
