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
from equipoise.commands.using import decode, nearest, outliers, pipe, sample, traverse
from equipoise.outcome import Outcome

COMMANDS: dict[str, Callable[..., Outcome]] = {
    "train": train,
    "auto": auto,
    "evaluate": evaluate,
    "encode": encode,
    "sample": sample,
    "decode": decode,
    "traverse": traverse,
    "nearest": nearest,
    "outliers": outliers,
    "pipe": pipe,
    "report": report,
    "explore": explore,
    "export": export,
    "sweep": sweep,
    "status": status,
    "check": check,
    "compare": compare,
    "select": select,
    "search": search,
    "reproduce": reproduce,
    "list": list_,
    "show": show,
    "toys": toys,
}
DATA_COMMANDS: dict[str, Callable[..., Outcome]] = {
    "list": data_list,
    "info": data_info,
    "add": data_add,
    "render": data_render,
    "check": data_check,
}
MODEL_COMMANDS: dict[str, Callable[..., Outcome]] = {"list": models_list, "get": models_get, "push": models_push}
