"""Scores of a run: encode its images and score the codes, after training and during it."""

import copy
import dataclasses
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, Protocol, get_type_hints

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError, create_model
from rich.console import Console
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from equipoise import codes as coding
from equipoise import metrics
from equipoise import progress as progress_bars
from equipoise.config import Config, outline
from equipoise.data import Images
from equipoise.errors import InputError, RunError, fault
from equipoise.files import read_json, write_text
from equipoise.metrics import Score
from equipoise.model import VAE
from equipoise.training import checkpoint
from equipoise.training.loop import Training, device


class Scores(TypedDict):
    """The content of scores.json: digest of the checkpoint, convention, number of codes, a score by metric, and the
    digest of all these."""

    checkpoint: str
    convention: str
    n: int
    scores: dict[str, Any]
    digest: NotRequired[str]


class Run(Protocol):
    """The parts of a run that scoring and the report read."""

    @property
    def path(self) -> Path:
        """The folder of the run."""

    @property
    def results(self) -> Path:
        """The folder of codes, scores and pages, which is that of the run but for another beta."""

    @property
    def config(self) -> Config:
        """The settings of the run."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The contents of `meta.json`."""

    @property
    def model(self) -> VAE:
        """The trained model."""

    @property
    def logs(self) -> Sequence[Mapping[str, Any]]:
        """The rows of `log.jsonl`."""

    @property
    def codes(self) -> Mapping[str, Any]:
        """The arrays of `codes.npz`."""

    @property
    def scores(self) -> Mapping[str, Score]:
        """The scores by metric."""

    @property
    def images(self) -> Images:
        """The images that `codes["index"]` numbers."""


def evaluate(
    run: Run,
    *,
    which: str | tuple[str, ...] | None = None,
    convention: str | None = None,
    console: Console | None = None,
) -> dict[str, Score]:
    """Score a run and write `scores.json`, and first encode its images if `codes.npz` is not of its checkpoint.

    `which` and `convention` replace those of the settings. Raises `InputError` for metrics and conventions that do not
    exist or that the codes do not allow.
    """
    console = console or Console(stderr=True, quiet=True)
    settings = run.config.evaluate
    digest = checkpoint.digest(run.path / "checkpoint.pt")
    path = run.results / "codes.npz"
    if not are_of(path, digest):
        index = coding.index(run.images, settings.n)
        with progress_bars.bar("encoding", len(index), "images", console) as advance:
            codes = coding.encode(on_device(run).at(), run.images, index, advance=advance)
        coding.save(path, codes, digest, within=run.path)
    which, convention = which or settings.which, convention or settings.convention
    codes = coding.load(path)
    scores = score_codes(codes, which, convention, interval=settings.interval, progress=not console.quiet)
    origin = {"checkpoint": digest, "convention": convention, "n": len(codes["index"])}
    file = run.results / "scores.json"
    all_scores = scores
    try:
        earlier = read(file) if file.exists() else None
    except RunError as error:
        earlier = None
        warnings.warn(f"{error}. It is written again, with the scores of this call only.", stacklevel=2)
    # Keep earlier scores only if they are of the same codes and convention.
    if earlier is not None and origin == {key: value for key, value in earlier.items() if key in origin}:
        all_scores = earlier["scores"] | scores
    elif earlier is not None and earlier["checkpoint"] == digest and earlier["convention"] != convention:
        warnings.warn(_replaced_note(file, earlier, convention), stacklevel=2)
    contents = {**origin, "scores": {name: score.to_dict() for name, score in all_scores.items()}}
    write_text(file, json.dumps({**contents, "digest": content_digest(contents)}, indent=1), within=run.path)
    return scores


def _replaced_note(file: Path, earlier: Scores, convention: str) -> str:
    names = ", ".join(earlier["scores"])
    return (
        f"{file}: the scores in convention {earlier['convention']} ({names}) are replaced by those in {convention}, "
        f"because a file has one convention; to keep both, write each to a table with --to table.csv"
    )


def on_device(run: Run) -> VAE:
    """The model of a run on the device of its training, as a copy, or on the CPU if this machine has none."""
    try:
        place = device(run.config.train.device)
    except InputError:
        return run.model
    return run.model if place.type == "cpu" else copy.deepcopy(run.model).to(place)


def read(path: Path) -> Scores:
    """The content of a scores.json, with a `Score` for each metric. Raises `RunError` when it is damaged."""
    contents = read_json(path, Scores)
    if contents.pop("digest", written := content_digest(contents)) != written:
        raise RunError(f"{path} is damaged (its content has changed); delete it and run the same command again")
    for name, score in contents["scores"].items():
        try:
            values = _STORED.model_validate(score).model_dump(exclude_unset=True)
            contents["scores"][name] = Score.from_dict(values)
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            reason = fault(error) if isinstance(error, ValidationError) else str(error)
            raise RunError(f"{path} is damaged ({name}: {reason}); delete it and run the same command again") from None
    return contents


def content_digest(contents: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the content of a JSON file, but for its own digest."""
    text = json.dumps({name: value for name, value in contents.items() if name != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def are_current(run: Run) -> bool:
    """Whether codes and scores of the run are readable and of its checkpoint."""
    digest = checkpoint.digest(run.path / "checkpoint.pt")
    try:
        contents = read(run.results / "scores.json")
    except RunError:
        return False
    return contents["checkpoint"] == digest and are_of(run.results / "codes.npz", digest)


def score_codes(
    codes: coding.Codes,
    which: str | tuple[str, ...] = "default",
    convention: str = "default",
    *,
    interval: bool = True,
    progress: bool = True,
) -> dict[str, Score]:
    """Score the arrays of `codes.npz`; parameters and errors as in `metrics.score`."""
    recon: dict[str, Any] = {name: codes[name] for name in coding.ERRORS if name in codes}
    logvar = coding.logvar_of(codes)
    is_point = logvar is None and "logvar" in codes
    return metrics.score(
        codes["mean"],
        codes.get("factors"),
        logvar=logvar,
        sample=None if is_point else codes.get("z"),
        recon=recon or None,
        which=which,
        convention=None if convention == "default" else convention,
        discrete_latents=is_point,
        interval=interval,
        progress=progress,
    )


def score_now(run: Run, training: Training) -> dict[str, Any]:
    """Score the model in training, add a row to `scores_history.jsonl`, and return it; training is not affected."""
    settings = run.config.evaluate
    codes = coding.encode(training.model.at(), run.images, coding.index(run.images, settings.n))
    training.model.train()
    history = run.path / "scores_history.jsonl"
    rows = [row for row in checkpoint.read_log(history) if row["step"] < training.step]
    scores = score_codes(codes, settings.which, settings.convention, interval=False, progress=False)
    rows.append({"step": training.step, **{name: score.to_dict()["value"] for name, score in scores.items()}})
    write_text(history, "".join(json.dumps(row) + "\n" for row in rows), within=run.path)
    return rows[-1]


def check(config: Config, images: Images) -> None:
    """Raise `InputError` for metrics that the images do not allow."""
    inputs = {"codes", "recon", "sampled"} | (set() if outline(config).prior.is_discrete else {"logvar", "sample"})
    inputs |= {"pixels"} if images.scaling is None else set()
    if images.factors is not None:
        inputs.add("factors")
        scored = images.factors[coding.index(images, config.evaluate.n)]
        if (scored == scored[0]).all():
            remedy = "leave the factors out"
            if not (images.factors == scored[0]).all():
                remedy = f"raise evaluate.n, or {remedy}"
            raise InputError(f"no factor takes two values among the {len(scored)} images to be scored; {remedy}")
    convention = config.evaluate.convention
    metrics.select(config.evaluate.which, inputs, None if convention == "default" else convention)


def read_codes(run: Run, path: Path) -> npt.NDArray[np.float32]:
    """Return the codes [N, D] in a file, for the model of a run; warns of an `.npz` that records another checkpoint.

    Errors are those of `codes.read_rows`.
    """
    rows = coding.read_rows(path, run.model.latent)
    origin = coding.load(path).get("checkpoint") if path.suffix.lower() == ".npz" else None
    if origin is not None and str(origin) != checkpoint.digest(run.path / "checkpoint.pt"):
        warnings.warn(
            f"{path} has codes of another model than that of {run.path}, whose latents have other meanings; encode the "
            "images with this run",
            stacklevel=3,
        )
    return rows


def are_of(codes: Path, digest: str) -> bool:
    """Return whether the file of codes exists, is readable, and belongs to the checkpoint with this digest."""
    try:
        return codes.exists() and str(coding.load(codes)["checkpoint"]) == digest
    except (InputError, KeyError):
        return False


def _stored_type(name: str, kind: Any) -> Any:
    """The type of a field of `Score` in scores.json: `from_dict` reads the arrays, and null is an undefined value."""
    return kind | None if name == "value" else Any if name in ("per_factor", "per_latent", "matrix") else kind


# Only the fields without a default are required.
_FIELDS: dict[str, Any] = {
    field.name: (
        _stored_type(field.name, get_type_hints(Score)[field.name]),
        ... if field.default is field.default_factory is dataclasses.MISSING else None,
    )
    for field in dataclasses.fields(Score)
}
_STORED = create_model("StoredScore", **_FIELDS)
