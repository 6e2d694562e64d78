"""The data sets by name.

A new data set is one file in this folder and its name in `FILES`: a module with `DATASETS` for a set that is rendered;
for a published set a .toml, which names the module of `equipoise.data.converters` that converts its files.
"""

import tomllib
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from equipoise.data.dataset import Dataset, Remote

FILES = (
    "dsprites.py",
    "dsprites_variants.py",
    "rooms3d.py",
    "mpi3d.toml",
    "nvidia.toml",
    "shapes3d.toml",
    "cars3d.toml",
    "smallnorb.toml",
    "celeba.toml",
    "chairs3d.toml",
    "faces3d.toml",
)


def read(file: str) -> Iterator[Dataset]:
    """The data sets of a module or a .toml in this folder.

    A .toml has a table [sets.NAME] for each set, with the attributes of `Dataset`; keys before them are shared by all.
    [factors] has the number of values of each factor, `address` is the folder of the [[files]] on their server, and
    [convert] names a module of `equipoise.data.converters` (`by`) with the settings of its function `convert`.
    """
    if file.endswith(".py"):
        yield from import_module(f"{__name__}.{file.removesuffix('.py')}").DATASETS
        return
    common = tomllib.loads((Path(__file__).parent / file).read_text(encoding="utf-8"))
    for name, set_table in common.pop("sets").items():
        yield _dataset(name, common | set_table)


def _dataset(name: str, table: dict[str, Any]) -> Dataset:
    converter = dict(table["convert"])
    module = import_module(f"equipoise.data.converters.{converter.pop('by')}")
    return Dataset(
        name=name,
        summary=table["summary"],
        images=table["images"],
        shape=tuple(table["shape"]),
        factor_names=tuple(table.get("factors", {})),
        factor_sizes=tuple(table.get("factors", {}).values()),
        home=table["home"],
        licence=table["licence"],
        citation=table["citation"],
        files=tuple(Remote(addresses=(table["address"] + file["name"],), **file) for file in table.get("files", [])),
        by_hand=table.get("by_hand", ""),
        convert=partial(module.convert, **converter),
    )


DATASETS: dict[str, Dataset] = {dataset.name: dataset for file in FILES for dataset in read(file)}
