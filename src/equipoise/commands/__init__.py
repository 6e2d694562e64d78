"""What the commands do: one function each, which returns its result as values and as the text a person reads."""

from equipoise.commands.about import Kind, listing, show
from equipoise.commands.data import data_add, data_check, data_info, data_list, data_render
from equipoise.commands.runs import encode, evaluate, explore, train, write_report
from equipoise.export import command as export
from equipoise.study import EngineName
from equipoise.study.commands import describe, status, sweep
from equipoise.study.compare import compare
from equipoise.study.published.reproduce import reproduce
from equipoise.study.search import command as search
from equipoise.study.select import select

__all__ = [
    "EngineName",
    "Kind",
    "compare",
    "data_add",
    "data_check",
    "data_info",
    "data_list",
    "data_render",
    "describe",
    "encode",
    "evaluate",
    "explore",
    "export",
    "listing",
    "reproduce",
    "search",
    "select",
    "show",
    "status",
    "sweep",
    "train",
    "write_report",
]
