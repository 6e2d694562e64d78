"""A folder for a model hub: the model, a model card as README.md, and pictures drawn by the model."""

import math
import shutil
from collections.abc import Mapping
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment

from equipoise import scoring, shell
from equipoise.data import DATASETS
from equipoise.errors import RunError
from equipoise.export.about import latents
from equipoise.metrics import METRICS, Score
from equipoise.report.sentences import supervision
from equipoise.run import Run
from equipoise.training import checkpoint

# Pictures of codes and of decoded codes. Reconstructions are left out, because they show images of the data set.
PICTURES = {
    "traversals": "Each row varies one latent and keeps the others at the code of one image",
    "latents-vs-factors": "The mean codes of the latents over the values of the known factors",
    "samples": "Images decoded from samples of the prior",
}
TASK = "image-feature-extraction"


def check(run: Run) -> None:
    """Raise `RunError` where the last checkpoint of a run has no scores or the run has no report."""
    file = run.results / "scores.json"
    option = "" if run.beta is None else f" --beta {run.beta:g}"
    if not file.exists() or scoring.read(file)["checkpoint"] != checkpoint.digest(run.path / "checkpoint.pt"):
        command = f"equipoise evaluate {run.path}{option}" if option else "the same train command again"
        raise RunError(f"{run.results} has no scores of its checkpoint; run {command}")
    if not (run.results / "report.html").exists():
        command = f"equipoise report {run.path}{option}"
        raise RunError(f"{run.results} has no report, whose pictures the card shows; run {command}")


def write(run: Run, folder: Path, about: Mapping[str, Any]) -> list[str]:
    """Write README.md and its pictures to `folder`. Return notes for the user, one sentence each."""
    (folder / "pictures").mkdir()
    pictures = [name for name in PICTURES if (run.results / "pictures" / f"{name}.png").exists()]
    for name in pictures:
        shutil.copyfile(run.results / "pictures" / f"{name}.png", folder / "pictures" / f"{name}.png")
    (folder / "README.md").write_text(card(run, about, pictures), encoding="utf-8")
    if find_spec("huggingface_hub") is None:
        return ["README.md has no front matter for hubs; pip install equipoise[hub] and export again"]
    return []


def card(run: Run, about: Mapping[str, Any], pictures: list[str], licence: str | None = None) -> str:
    """Return the model card in Markdown, with front matter where huggingface_hub is installed. Names are escaped.

    Without a licence, the card has a note to add one.
    """
    template = resources.files(__package__).joinpath("card.md").read_text(encoding="utf-8")
    environment = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    environment.filters |= {"text": text, "plain": plain}
    scores = {name: score for name, score in run.scores.items() if math.isfinite(score.value)}
    data = about["settings"]["data.name"]
    is_published = data in DATASETS
    path = data if is_published else f"path/to/{data}"
    return environment.from_string(template).render(
        front_matter=_front_matter(about, scores, licence),
        licence=licence,
        about=about,
        method=run.config.method,
        data=data,
        supervision=supervision(run.config),
        is_published=is_published,
        source=run.meta["data"],
        pictures={name: PICTURES[name] for name in pictures},
        latents=latents(run),
        scores=scores,
        scored=scoring.read(run.results / "scores.json"),
        summaries={name: METRICS[name].summary for name in scores if name in METRICS},
        command=shell.command(about["settings"] | {"data.name": path}),
        torch=run.meta["versions"]["torch"],
    )


def plain(words: str) -> str:
    """Return words on one line, with a replacement for each invisible character."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def text(words: object) -> str:
    """Return words as Markdown that shows them unchanged."""
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]<>#!|~&$@" else c for c in plain(str(words)))
    return escaped.replace("://", ":\\//")  # otherwise an address becomes a link


def _front_matter(about: Mapping[str, Any], scores: Mapping[str, Score], licence: str | None) -> str:
    """Return the front matter that hubs read, or nothing where huggingface_hub is not installed."""
    if find_spec("huggingface_hub") is None:
        return ""
    hub: Any = import_module("huggingface_hub")
    data, method = plain(about["settings"]["data.name"]), about["settings"]["method.name"]
    metadata = hub.ModelCardData(
        library_name="equipoise",
        license=(licence or "unknown").lower(),
        pipeline_tag=TASK,
        tags=["disentanglement", "variational-autoencoder", "equipoise", method],
        datasets=[data] if data in DATASETS else None,
        metrics=list(scores) or None,
        model_name=about["name"],
        eval_results=[
            hub.EvalResult(
                task_type=TASK,
                task_name="Disentanglement",
                dataset_type=data,
                dataset_name=data,
                metric_type=name,
                metric_name=name,
                metric_value=score.value,
            )
            for name, score in scores.items()
        ]
        or None,
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n"
