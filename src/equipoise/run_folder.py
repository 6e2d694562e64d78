"""The folder of a run: which run it holds, and whether new settings may use it."""

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import shlex
import sys
import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NotRequired

import torch
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from equipoise import config as configuration
from equipoise.assemble import ARRAY, load_images
from equipoise.claim import FOLDER
from equipoise.config import Config
from equipoise.data import DATASETS, Images, factor_table
from equipoise.data.labels import LabelledImages
from equipoise.data.pairs import FACTORS, ListedPairs
from equipoise.errors import InputError, RunError
from equipoise.files import read_json, write_text
from equipoise.hub import HUB
from equipoise.training import checkpoint
from equipoise.training.loop import Row, Training

FORMAT = 1

Positive = Annotated[int, Field(ge=1)]


class MetaOfData(TypedDict):
    """`data` of meta.json; `paths` are those of files, by setting."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    digest: str
    factor_names: list[str]
    paths: NotRequired[dict[str, Any]]
    range: NotRequired[list[float] | None]


class Chosen(TypedDict):
    """`chosen` of meta.json: what the user set, the budget, and the lines that explain what was chosen."""

    settings: dict[str, Any]
    budget: str | float | None
    lines: list[str]


class Origin(TypedDict):
    """`init` of meta.json: the run from whose weights this one started, its method, and the step and digest of its
    checkpoint."""

    run: str
    method: str
    step: int
    checkpoint: str


class Meta(TypedDict):
    """The content of meta.json."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    format: int
    command: NotRequired[str]
    begun: NotRequired[str]
    versions: dict[str, str]
    platform: NotRequired[str]
    parts: NotRequired[dict[str, Any]]
    data: MetaOfData
    shape: tuple[Positive, Positive, Positive]
    images: Positive
    chosen: NotRequired[Chosen]
    init: NotRequired[Origin]


def check_folder(path: Path, config: Config) -> None:
    """Raise `InputError` when `path` holds anything but a run that these settings resume or extend."""
    # Ignore what an interrupted start leaves.
    if not path.exists():
        return
    if path.is_dir() and all(file.suffix == ".part" or file.name == FOLDER for file in path.iterdir()):
        return
    if not (path / "config.toml").is_file():
        if (path / "checkpoint.pt").is_file():
            return  # which has the settings too, and is compared with them
        raise InputError(f"{path} is there already and is not a run; choose another out")
    before = configuration.load(path / "config.toml")
    old, new = before.flat(), config.flat()
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key != "train.steps")
    if differing:
        key = differing[0]
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise InputError(
            f"{path} holds another run ({key} is {old.get(key)} there, {new.get(key)} here{more}); choose another out"
        )
    old_steps, new_steps = before.train.steps, config.train.steps
    if new_steps < old_steps:
        raise InputError(f"{path} holds a run of {old_steps} steps, more than {new_steps}; choose another out")
    if new_steps > old_steps and not configuration.is_extendable(before):
        raise InputError(
            f"{path} was trained on a schedule of {old_steps} steps, so a longer run differs from the first step on; "
            f"choose another out, or set train.schedule_steps from the start"
        )


def write_settings(path: Path, config: Config, meta: Mapping[str, Any]) -> None:
    """Write config.toml if it changes, and meta.json unless it exists."""
    path.mkdir(parents=True, exist_ok=True)
    file, text = path / "config.toml", config.to_toml()
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)
    if not (path / "meta.json").exists():
        write_text(path / "meta.json", json.dumps(meta, indent=1))


def identity(config: Config) -> str:
    """The settings that a checkpoint must share with its run: all but the folder and the number of steps."""
    settings = configuration.distinguishing(config.flat())
    return json.dumps({key: value for key, value in settings.items() if key != "train.steps"}, sort_keys=True)


def load_checkpoint(path: Path, config: Config) -> dict[str, Any]:
    """The state in the checkpoint of the run in `path`. Raises `RunError` if it is missing or of other settings."""
    file = path / "checkpoint.pt"
    state = checkpoint.load(file)
    if state.get("settings") != identity(config):
        raise RunError(f"{file} was trained with other settings than those of {path / 'config.toml'}; restore them")
    return state


def read_saved(path: Path, config: Config, data: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[Row]]:
    """The state of the checkpoint, or None, and the rows of the log up to its step, of a run to be resumed.

    Every file that training resumes from is read and checked, and none is changed. Warns when the log lacks rows.
    Raises `InputError` when the folder is not of these settings and data, `RunError` for a damaged file.
    """
    check_folder(path, config)
    meta = path / "meta.json"
    if meta.exists() and read_json(meta, Meta)["data"]["digest"] != data["digest"]:
        raise InputError(
            f"{path} was trained on other images or factors or pairs than {config.data.name} has now, or with other "
            "labels; choose another out"
        )
    state = load_checkpoint(path, config) if (path / "checkpoint.pt").exists() else None
    step = state["step"] if state else 0
    if step > config.train.steps:
        raise InputError(f"{path} holds a run of {step} steps, more than {config.train.steps}; choose another out")
    if state and "optimisers" not in state and step < config.train.steps:
        raise InputError(
            f"{path} has only its model after {step} steps (train.keep=model), so it cannot be trained further; choose "
            f"another out, and train all {config.train.steps} steps there"
        )
    rows = checkpoint.read_log(path / "log.jsonl", until=step)
    if missing := checkpoint.missing_rows(rows, step, config.train):
        warnings.warn(f"{lost_rows(path, missing)}. Nothing else depends on them.", stacklevel=2)
    elif state and (change := changed_rows(path, rows, state)):
        raise RunError(change)
    return state, rows


def images_of(path: Path, config: Config, meta: Meta) -> Images:
    """Return the images to which `index` of a run's codes refers: the part of its data that `data.scored` selects.

    The paths in the settings may be relative to the folder in which the run was trained, and another folder may have
    other images of the same name. So the absolute paths in meta.json are tried as well. Raises `InputError` if the
    number of images has changed, and warns if they differ otherwise.
    """
    places = [config]
    if paths := meta["data"].get("paths"):
        moved = dataclasses.replace(config, data=dataclasses.replace(config.data, **paths))
        places = [config, moved] if Path(config.data.name).exists() else [moved]
    similar: Images | None = None
    for place in places:
        try:
            parts = load_images(place, None)
        except InputError:
            if place is places[-1] and similar is None:
                raise
            continue
        if len(parts[0]) == meta["images"]:
            if _has_table(config) or digest(parts) == meta["data"]["digest"]:
                return parts[-1]
            similar = similar or parts[-1]
    if similar is None:
        raise InputError(
            f"{config.data.name} no longer has the {meta['images']:,} images that {path} was trained on, so its codes "
            "belong to other images; restore those of the training, or train again"
        )
    warnings.warn(
        f"{config.data.name} has other images or factors than those that {path} was trained on, so its codes and "
        "pictures may not match; restore them, or train again",
        stacklevel=2,
    )
    return similar


def _has_table(config: Config) -> bool:
    """Whether the digest in meta.json is also one of pairs or labels."""
    pairing, labels = configuration.outline(config).pairing, config.train.labels
    has_pairs = pairing is not None and pairing.source != FACTORS
    return has_pairs or (labels is not None and isinstance(labels.source, str))


def restore(training: Training, state: dict[str, Any] | None, path: Path) -> None:
    """Restore the state of a checkpoint, if any. Raises `RunError` when it does not fit the model."""
    try:
        if state is not None:
            training.load_state(state)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path / 'checkpoint.pt'} does not fit the model of these settings ({reason})") from None


def lost_rows(path: Path, missing: list[int]) -> str:
    """A sentence without its full stop: the log of the run in `path` lacks the rows of these steps."""
    steps = ", ".join(map(str, missing[:3])) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return f"{path / 'log.jsonl'} is shorter than its checkpoint: it lacks the rows of steps {steps}"


def changed_rows(path: Path, rows: Iterable[Row], state: Mapping[str, Any]) -> str:
    """A sentence if rows of the log in `path` differ from those at its checkpoint with this state; otherwise empty."""
    written = checkpoint.log_digest([row for row in rows if row["step"] <= state["step"]]).hexdigest()
    if state.get("log", written) == written:  # an earlier version recorded no digest
        return ""
    return f"{path / 'log.jsonl'} has changed since its checkpoint was saved; restore it from a copy, or delete it"


def fingerprint(config: Config, images: Iterable[Images | ListedPairs | LabelledImages]) -> dict[str, Any]:
    """What distinguishes the data of a run from other data of the same name: its digest, and absolute paths."""
    data, content = config.data, {"digest": digest(images)}
    if data.name in DATASETS or data.name.startswith(ARRAY):
        return content
    paths: dict[str, Any] = {} if data.name.startswith(HUB) else {"name": str(Path(data.name).resolve())}
    table, columns = factor_table.split(data.factors)
    if table not in (None, factor_table.FOLDERS):
        path = str(Path(table).resolve())
        paths["factors"] = [path, *columns] if columns else path
    return content | {"paths": paths}


def describe(images: Images, data: Mapping[str, Any], fast: Mapping[str, Any]) -> dict[str, Any]:
    """The content of meta.json."""
    packages = ("equipoise", "torch", "numpy", "scipy", "scikit-learn")
    versions = {name: importlib.metadata.version(name) for name in packages}
    is_shell = Path(sys.argv[0]).stem in ("equipoise", "__main__")
    return {
        "format": FORMAT,
        "command": shlex.join(["equipoise", *sys.argv[1:]]) if is_shell else "equipoise.train(...)",
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions | {"python": platform.python_version()},
        "platform": platform.platform(),
        "parts": dict(fast),
        "data": {**images.describe(), **data},
        "shape": list(images.shape),
        "images": len(images),
    }


def digest(images: Iterable[Images | ListedPairs | LabelledImages]) -> str:
    """Ten hexadecimal digits that identify several sets of images, pairs or labels."""
    return hashlib.sha256(" ".join(each.digest() for each in images).encode()).hexdigest()[:10]


def speed_of(training: Training) -> dict[str, Any]:
    """The fast parts of a training, for meta.json."""
    parts: dict[str, Any] = {
        "fused_adam": training.train.fast,
        "channels_last": training.layout is torch.channels_last,
        "products": training.train.fast and training.device.type == "cpu",
    }
    return parts | ({"processes": training.shard.processes} if training.shard.processes > 1 else {})
