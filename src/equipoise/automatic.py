"""Settings that the user leaves open: facts are gathered and the speed is measured, and `choice` computes the rest."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise import choice, initial
from equipoise import config as configuration
from equipoise.assemble import batches_of, build, labelled_images, load_images
from equipoise.choice import Facts
from equipoise.config import Config, Settings
from equipoise.data import Images, stored_shapes
from equipoise.errors import InputError
from equipoise.files import read_json
from equipoise.run_folder import Meta
from equipoise.training import devices, speed, trial
from equipoise.training.loop import Training, device

SECONDS = 2.0  # of the measurement of the speed
SAMPLE = 200  # images whose pixels are examined
HEADS = 2000  # files whose sizes are compared
EXTREME = 26  # largest distance from black or white, of 255
MOST = 0.9  # of all pixels must be black or white


@dataclass(frozen=True)
class Start:
    """The complete settings of a run, its images if they are loaded, and what was chosen, for `meta.json`."""

    config: Config
    images: tuple[Images, Images] | None = None
    chosen: dict[str, Any] = field(default_factory=dict)


def complete(
    settings: Settings,
    array: Images | None = None,
    budget: str | float | None = None,
    show: Callable[[str], object] | None = None,
) -> Start:
    """Complete the settings of a run.

    Without a method or a preset, settings are chosen from the images and the machine. With a budget, the steps are set
    so that training ends in that time. The same call on the folder of an earlier run returns its settings.

    Args:
        settings: Settings of the user by dotted key.
        array: The images, if the run is trained on an array.
        budget: Time for training, such as "10m"; see `choice.seconds_of`.
        show: Called with each line that explains the choice; default: nothing is displayed.

    Returns:
        Settings and images.

    Raises:
        InputError: If a setting is invalid, the images cannot be used, or there are both steps and a budget.
    """
    show = show or (lambda _: None)
    settings = initial.complete(settings)
    request = configuration.expand(settings)
    is_open = not {"method.name", "method.preset"} & request.keys()
    if not is_open and budget is None:
        return Start(configuration.resolve(settings))
    seconds = None if budget is None else choice.seconds_of(budget)
    base = configuration.resolve(settings)  # refuses settings that are invalid
    if budget is not None and "train.steps" in request:
        raise InputError("train.steps and --budget both set the length of training; leave one out")
    if budget is not None and base.train.processes > 1:
        raise InputError("--budget measures the speed of one process; with several devices, set train.steps")
    identifying = {key: value for key, value in request.items() if key not in configuration.ELSEWHERE}
    record = json.loads(json.dumps({"settings": identifying, "budget": budget}, default=str))
    out = base.out
    if not request.get("out"):
        name = f"{Path(base.data.name).stem or 'data'}-{base.method.name}"
        out = f"runs/{name}-{configuration.ten_digits(record)}"
    earlier = _earlier(Path(out), record)
    if earlier is not None:
        for line in earlier["lines"][:3]:  # the last one has the time left at the first start
            show(line)
        saved_settings = configuration.read(Path(out) / "config.toml")
        return Start(configuration.resolve(saved_settings | request | {"out": out}, complete=True), chosen=earlier)

    choose = _choose if is_open else _fit_budget
    start = choose(base, request, array, seconds)
    config = replace(start.config, out=out)
    for line in start.chosen["lines"]:
        show(line)
    return replace(start, config=config, chosen=record | start.chosen)


def gather(base: Config, request: Settings, array: Images | None) -> tuple[Facts, tuple[Images, Images]]:
    """Return the facts about images and machine without the speed, and the images to train on and to score.

    base: the settings of the request with the defaults of a method.
    """
    if base.data.scaling is not None:
        loaded = load_images(base, array)
        return Facts(len(loaded[0]), loaded[0].shape, is_vector=True, machine=_machine(base)), loaded
    shape, is_uniform = _largest(base, array)
    facts = Facts(0, shape, is_uniform, machine=_machine(base))
    size = choice.side(facts, request)
    loaded = load_images(base if size is None else configuration.resolve({**request, "data.size": size}), array)
    return replace(facts, images=len(loaded[0]), is_black_and_white=is_black_and_white(loaded[0])), loaded


def measure(config: Config, images: Images, needs_speed: bool = True) -> tuple[int | None, float | None]:
    """Measure how fast a run of these settings trains on these images, in a few seconds.

    Returns:
        The number of threads to use, None on a GPU, and images per second with it, None if they are not needed.
    """
    number, most = config.train.threads, torch.get_num_threads()
    if number is None and most == 1:
        number = 1
    if number is not None and not needs_speed:
        return number, None
    batches = batches_of(config, images)
    with speed.fast_parts(config.train.fast, number):
        model, objective = build(config, images.shape, len(images))
        labelled = labelled_images(config, images)
        training = Training(model, objective, config.train, device(config.train.device), labelled=labelled)
        if number is None and training.device.type == "cpu":
            number = trial.best_threads(lambda: trial.images_per_second(training, batches, trial.SECONDS), most)
            torch.set_num_threads(number)
        return number, trial.images_per_second(training, batches, SECONDS) if needs_speed else None


def threads(config: Config, images: Images) -> int | None:
    """Threads of torch in each process: as set, as when the run began, or measured; None leaves them as they are."""
    train, most = config.train, torch.get_num_threads()
    if train.threads is not None or train.processes > 1 or most == 1 or device(train.device).type != "cpu":
        return devices.threads(train)
    meta = Path(config.out) / "meta.json"
    if meta.exists():  # a resumed run is identical bit for bit only with the same number
        return min(most, int(read_json(meta, Meta).get("parts", {}).get("threads", most)))
    return measure(config, images, needs_speed=False)[0]


def is_black_and_white(images: Images) -> bool:
    """Whether nearly all pixels of a sample of the images are black or white, up to a tenth of the range."""
    pixels = images.pixels(np.linspace(0, len(images) - 1, min(len(images), SAMPLE)).astype(np.int64))
    return bool(((pixels < EXTREME) | (pixels > 255 - EXTREME)).mean() > MOST)


def _choose(base: Config, request: dict[str, object], array: Images | None, budget: float | None) -> Start:
    """Choose all settings that the request leaves open."""
    facts, loaded = gather(base, request, array)
    result = choice.choose(facts, request)
    if base.train.processes == 1:
        config = configuration.resolve(result.settings | request)
        number, rate = measure(config, loaded[0], needs_speed="train.steps" not in request)
        facts = replace(facts, threads=number, images_per_second=rate)
        result = choice.choose(facts, request, budget)
    config = configuration.resolve(result.settings | request)
    return Start(config, loaded, {"lines": list(result.lines)})


def _fit_budget(base: Config, request: dict[str, object], array: Images | None, budget: float | None) -> Start:
    """Set the steps of a run whose method is named so that training takes as long as the budget."""
    loaded = load_images(base, array)
    images = loaded[0]
    number, rate = measure(base, images)
    facts = Facts(
        len(images),
        images.shape,
        is_vector=images.scaling is not None,
        machine=_machine(base),
        threads=number,
        images_per_second=rate,
    )
    batch = batches_of(base, images).size
    steps, line = choice.steps(facts, batch, base.train.steps, budget)
    settings: dict[str, object] = {"train.steps": steps}
    if "train.schedule_steps" not in request and base.train.schedule_steps is not None:
        settings["train.schedule_steps"] = steps  # of a preset: the schedule ends with the run
    if number is not None:
        settings["train.threads"] = number
    line = f"length: {steps:,} steps of {batch} {facts.items} at {rate:,.0f} {facts.items}/s; {line}"
    return Start(configuration.resolve(request | settings), loaded, {"lines": [line]})


def _largest(config: Config, array: Images | None) -> tuple[tuple[int, int, int], bool]:
    """The shape (C, H, W) with the largest of the channels and sides of the stored images; whether all have it."""
    data = config.data
    source = data.name if array is None else array
    shapes = set(islice(stored_shapes(source, crop=data.crop, grey=data.grey, key=data.key), HEADS))
    if not shapes:
        raise InputError(f"{data.name}: no image can be read; give some that open in another program")
    channels, height, width = (max(sides) for sides in zip(*shapes, strict=True))
    return (channels, height, width), len({shape[1:] for shape in shapes}) == 1


def _machine(config: Config) -> str:
    """The name of the GPU or of the processor, with the number of its cores."""
    where = device(config.train.device)
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    cores = torch.get_num_threads()
    return f"{speed.processor()}, {cores} core{'s' if cores > 1 else ''}"


def _earlier(path: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier start of the same request chose for the run in this folder; None for another run."""
    if not (path / "meta.json").is_file():
        return None
    chosen: dict[str, Any] = dict(read_json(path / "meta.json", Meta).get("chosen", {}))
    return chosen if {key: chosen.get(key) for key in record} == record else None
