"""The commands of Equipoise, one function each: it does the work and returns an `Outcome`.

A function's docstring, its annotations and its defaults are what `equipoise COMMAND --help` shows. The modules of the
library are imported inside the functions, so that `equipoise --help` does not wait for torch.
"""

from equipoise.commands.data import data_add, data_check, data_info, data_list, data_render
from equipoise.commands.lists import list_, show
from equipoise.commands.runs import encode, evaluate, explore, export, report, train
from equipoise.commands.studies import compare, reproduce, search, select, status, sweep
from equipoise.commands.toys import toys

__all__ = [
    "compare",
    "data_add",
    "data_check",
    "data_info",
    "data_list",
    "data_render",
    "encode",
    "evaluate",
    "explore",
    "export",
    "list_",
    "report",
    "reproduce",
    "search",
    "select",
    "show",
    "status",
    "sweep",
    "toys",
    "train",
]
