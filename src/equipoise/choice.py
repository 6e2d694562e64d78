"""Settings that are chosen from the images and the machine. Functions of facts alone: nothing is read or trained here.

`equipoise train data=X` without a method uses this choice. A run that names a method has the defaults of that method.
"""

import re
from dataclasses import dataclass
from math import log10

from equipoise.config import Config, Settings
from equipoise.errors import InputError
from equipoise.methods import DEFAULT, METHODS
from equipoise.nets import LEAST
from equipoise.sections import Net, Train

CHANNELS, COLOUR = 3, "outline-vae"  # of colour images, and their method
SIZE = 32  # pixels a side to which larger images are resized
SECONDS = 600.0  # of training, if the user gives no budget
SHORTEST, LONGEST = 0.2, 2.0  # steps without a budget, as a multiple of the method's default
EPOCHS = 1000  # largest number without a budget, if that is more than the shortest run
NUMBER = r"\d+(?:\.\d*)?|\.\d+"  # in a budget
AGE = 100 * 365 * 86400.0  # seconds of the longest budget, a century
OVERHEAD = 0.05  # of the time of a step: rotations, logs and checkpoints, which the trial does not contain


@dataclass(frozen=True)
class Facts:
    """The facts on which the choice depends.

    images: number of training images N.
    shape: (C, H, W) of the largest image, before `data.size`.
    is_uniform: whether all images have that shape.
    is_black_and_white: whether nearly all pixels are black or white.
    is_vector: whether the images are vectors, (1, 1, V).
    machine: the name of the processor or GPU.
    threads: threads of torch, or None for torch's own number.
    images_per_second: speed of training with the other chosen settings; None before it is measured.
    """

    images: int
    shape: tuple[int, int, int]
    is_uniform: bool = True
    is_black_and_white: bool = False
    is_vector: bool = False
    machine: str = "the processor"
    threads: int | None = None
    images_per_second: float | None = None

    @property
    def items(self) -> str:
        """What the data consists of, in a word."""
        return "vectors" if self.is_vector else "images"


@dataclass(frozen=True)
class Choice:
    """The chosen settings by dotted key, and the lines that explain them."""

    settings: dict[str, object]
    lines: tuple[str, ...]


def choose(facts: Facts, overrides: Settings, budget: float | None = None) -> Choice:
    """Choose the settings that `overrides` does not set.

    Args:
        facts: Properties of images and machine.
        overrides: Settings of the user by dotted key, which are respected.
        budget: Time for training in seconds; default: about ten minutes, within bounds on the steps.

    Returns:
        The chosen settings, and four lines that explain them. Without a measured speed, the steps are those that are
        set, or those of the method.

    Example:
        >>> choice = choose(Facts(images=3000, shape=(3, 64, 96), images_per_second=2000.0), {"train.lr": 5e-4})
        >>> choice.settings["data.size"], choice.settings["method.likelihood"], choice.settings["train.steps"]
        (32, 'mse', 17000)
        >>> print(choice.lines[0])
        images: 3,000 in colour, 96 x 64, resized to 32 x 32, where training takes minutes (data.size sets another size)
    """
    settings: dict[str, object] = {}

    def take(key: str, value: object) -> object:
        """Return the user's value of a setting, or choose this one."""
        if key in overrides:
            return overrides[key]
        settings[key] = value
        return value

    size = side(facts, overrides)
    name = str(take("method.name", _method(facts, size, overrides)))
    defaults = METHODS[name].defaults
    if size is not None:
        take("data.size", size)
    height, width = facts.shape[1:] if size is None else (size, size)
    if facts.is_vector:
        net, scaling = take("net.name", "mlp"), take("data.scaling", "standardize")
    else:
        net = take("net.name", defaults.get("net.name", Net.name) if min(height, width) >= LEAST else "mlp_lvae")
    kind = {1: "grey", 3: "in colour"}.get(facts.shape[0], f"of {facts.shape[0]} channels")
    why_likelihood = f"the images are {kind}"
    if facts.is_black_and_white:
        kind, why_likelihood = f"{kind}, nearly all values black or white", "nearly all values are black or white"
    likelihood = take("method.likelihood", "bernoulli" if facts.is_black_and_white else "mse")
    latents = overrides.get("net.latent", Net.latent)
    precision = take("train.precision", "fp32")
    most = max(2, facts.images)  # a batch has each image once
    usual = int(str(defaults.get("train.batch", Train.batch)))
    batch = min(int(str(take("train.batch", min(usual, most)))), most)
    rate = take("train.lr", defaults.get("train.lr", Train.lr))
    if facts.threads is not None:
        take("train.threads", facts.threads)
    threads = overrides.get("train.threads", facts.threads)
    if facts.is_vector:
        data, reason = f"vectors: {facts.images:,} of {width:,} columns, scaled by {scaling}", ""
    else:
        data = f"images: {facts.images:,} {kind}, {_sides(facts)}{_resizing(facts, size, overrides)}"
        reason = f", since {why_likelihood}"
    lines = [
        data,
        f"method: {name}, which separates factors in minutes; net {net}, {latents} latents; likelihood {likelihood}"
        + ("" if "method.likelihood" in overrides else reason),
        f"machine: {facts.machine}, {_count(threads)}{precision}",
    ]
    if facts.images_per_second is not None:
        lines[2] += f", {facts.images_per_second:,.0f} {facts.items}/s in a trial"
    total, why = int(str(defaults.get("train.steps", Train.steps))), "the default of the method"
    if "train.steps" in overrides:
        total, why = int(str(overrides["train.steps"])), "as set"
    elif facts.images_per_second is not None:
        total, why = steps(facts, batch, total, budget)
        settings["train.steps"] = total
        why = f"about {duration(total * batch / speed(facts))} left, then scores and a report; {why}"
    lines.append(f"length: {total:,} steps of {batch} {facts.items}, learning rate {rate:g}, {why}")
    return Choice(settings, tuple(lines))


def side(facts: Facts, overrides: Settings) -> int | None:
    """The side in pixels to which images are resized: the user's, or `SIZE` if some are larger or their sizes differ.

    None if they keep their size.
    """
    if "data.size" in overrides:
        return int(str(overrides["data.size"]))
    if facts.is_vector:
        return None
    return SIZE if max(facts.shape[1:]) > SIZE or not facts.is_uniform else None


def steps(facts: Facts, batch: int, default: int, budget: float | None) -> tuple[int, str]:
    """The number of training steps, with two significant digits, and the reason for it.

    batch: images per step. default: the method's number of steps. budget: seconds, or None for the bounded default.
    """
    affordable = (SECONDS if budget is None else budget) * speed(facts) / batch
    if budget is not None:
        return _rounded(affordable), f"--budget is {duration(budget)}"
    shortest, longest = SHORTEST * default, LONGEST * default
    epochs = max(EPOCHS * facts.images / batch, shortest)
    number = _rounded(min(max(affordable, shortest), longest, epochs))
    if affordable < shortest:
        return number, "fewer steps would not separate the factors; --budget 5m or train.steps sets another length"
    reason = "about ten minutes"
    if affordable > min(longest, epochs):
        few = f"at most {EPOCHS:,} passes through few {facts.items}"
        reason = "more steps add little" if longest <= epochs else few
    return number, f"{reason}; --budget 30m or train.steps sets another length"


def speed(facts: Facts) -> float:
    """Images per second over a whole run."""
    assert facts.images_per_second is not None
    return facts.images_per_second * (1 - OVERHEAD)


def default_steps(config: Config) -> int:
    """Steps of the method by default."""
    return int(str(config.method.defaults.get("train.steps", Train.steps)))


def is_short(config: Config) -> bool:
    """Whether a run has less than a fifth of the steps that its method has by default."""
    return config.train.steps < SHORTEST * default_steps(config)


def length_remark(config: Config) -> str:
    """A phrase on whether the number of steps suits the method."""
    name, default = config.method.name, default_steps(config)
    if is_short(config):
        return f"a short run, since {name} has {default:,} steps by default, so the latents may not have settled"
    return f"a length that suits {name}, which has {default:,} steps by default"


def seconds_of(budget: str | float) -> float:
    """The seconds of a budget such as "10m", "90s", "1h", "1h30m", or a number of seconds.

    Raises `InputError` for another text, below one second and above a century.
    """
    parts = re.fullmatch(rf"(?:({NUMBER})h)?(?:({NUMBER})m)?(?:({NUMBER})s?)?", str(budget).strip().lower())
    numbers = parts.groups() if parts else ()
    seconds = sum(float(number or 0) * unit for number, unit in zip(numbers, (3600, 60, 1), strict=False))
    if not 1 <= seconds <= AGE:
        raise InputError(f"--budget is {budget}; expected a time for training such as 10m, 90s, 1h or 600 (seconds)")
    return seconds


def duration(seconds: float) -> str:
    """A time in words for people: 90 s, 10 min, 2.5 h, 3 days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def _method(facts: Facts, size: int | None, overrides: Settings) -> str:
    """The method for images that are resized to `size`: for colour images the one that learns shapes from edges.

    Settings of a method without its name are those of the default method, and labels choose latents of either kind, so
    both keep it. Where nearly all values are black or white, a cross-entropy separates the factors better with it.
    """
    general = {"method.likelihood", "method.sigma"}
    own = {key for key in overrides if key.startswith(("method.", "train.labels"))} - general
    latents = int(str(overrides.get("net.latent", Net.latent)))
    is_coloured = facts.shape[0] == CHANNELS and not facts.is_vector and min(size or LEAST, *facts.shape[1:]) >= LEAST
    return COLOUR if is_coloured and not facts.is_black_and_white and latents >= 2 and not own else DEFAULT


def _rounded(number: float) -> int:
    """The number rounded down to two significant digits, at least 1."""
    unit = int(10 ** max(0, int(log10(max(number, 1))) - 1))
    return max(1, int(number / unit) * unit)


def _sides(facts: Facts) -> str:
    _, height, width = facts.shape
    return f"{width} x {height}" if facts.is_uniform else f"up to {width} x {height}"


def _resizing(facts: Facts, size: object, overrides: Settings) -> str:
    if size is None or (facts.is_uniform and facts.shape[1:] == (size, size)):
        return ", used at that size"
    if "data.size" in overrides:
        return f", resized to {size} x {size} as set"
    return f", resized to {size} x {size}, where training takes minutes (data.size sets another size)"


def _count(threads: object) -> str:
    if threads is None:
        return ""
    return f"{threads} thread{'' if threads == 1 else 's'}, "
