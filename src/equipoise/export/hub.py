"""A folder for a model hub: the model, a model card as README.md, and pictures drawn by the model."""

import math
import shutil
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from equipoise import config as configuration
from equipoise.data import DATASETS
from equipoise.errors import RunError
from equipoise.export.about import latents
from equipoise.files import read_json
from equipoise.metrics import METRICS, Score
from equipoise.runs import Run
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
    scored = read_json(run.path / "scores.json") if (run.path / "scores.json").exists() else {}
    if scored.get("checkpoint") != checkpoint.digest(run.path / "checkpoint.pt"):
        raise RunError(f"{run.path} has no scores of its checkpoint; run the same train command again")
    if not (run.path / "report.html").exists():
        raise RunError(f"{run.path} has no report, whose pictures the card shows; run equipoise report {run.path}")


def write(run: Run, folder: Path, about: Mapping[str, Any]) -> list[str]:
    """Write README.md and its pictures to `folder`. Return what the user should know, one sentence each."""
    (folder / "pictures").mkdir()
    pictures = [name for name in PICTURES if (run.path / "pictures" / f"{name}.png").exists()]
    for name in pictures:
        shutil.copyfile(run.path / "pictures" / f"{name}.png", folder / "pictures" / f"{name}.png")
    (folder / "README.md").write_text(card(run, about, pictures), encoding="utf-8")
    if find_spec("huggingface_hub") is None:
        return ["README.md has no front matter for hubs; pip install equipoise[hub] and export again"]
    return []


def card(run: Run, about: Mapping[str, Any], pictures: list[str]) -> str:
    """Return the model card in Markdown. It has front matter where huggingface_hub is installed.

    Names from outside are escaped.
    """
    scores = {name: score for name, score in run.scores.items() if math.isfinite(score.value)}
    source = run.meta["data"]
    data = about["settings"]["data.name"]
    path = data if data in DATASETS else f"path/to/{data}"
    method = run.config.method
    size = " x ".join(map(str, about["image"]))
    figures = [f"![{PICTURES[name]}](pictures/{name}.png)\n\n*{PICTURES[name]}.*" for name in pictures]
    parts = [
        *_front_matter(about, scores),
        f"# {text(method.name)} on {text(data)}",
        f"A variational autoencoder. It encodes an image of {size} (channels, height, width) as {about['latent']} "
        f"numbers and decodes images from them. Method: {text(method.name)}, {text(method.summary)}. "
        f"Net: {text(about['net'])}. It was trained for {about['step']:,} steps on {source['images']:,} images of "
        f"{text(data)}, without labels.",
        *figures[:1],
        "## How to use it",
        "```\npip install equipoise\n```",
        "```python\nimport equipoise as eq\n\n"
        'model = eq.load_model("path/to/this/folder")\n'
        f"mean, logvar = model.encode(x)  # x [B, {', '.join(map(str, about['image']))}], uint8 in 0..255 or float in "
        "[0, 1]\npixels = model.decode(mean)  # float in [0, 1]\n```",
        "`mean` and `exp(logvar)` are the mean and the variance of the posterior of each latent. Loading the model "
        "unpickles nothing.",
        "## Latents",
        _latents(run),
        *figures[1:],
        "## Scores",
        _scores(run, scores),
        "## Intended use and limits",
        f"- The model is for images like those of {text(data)}, prepared in the same way. Codes of other images are "
        "meaningless.\n"
        "- The scores and the table of latents show how well latents follow factors of variation. The order and the "
        "sign of latents are arbitrary and change with the seed.\n"
        "- The scores are of one run. They do not describe the method in general.\n"
        "- Codes can contain what the images show of people, places or things.\n"
        "- No licence is set. Choose one before you publish the model.",
        "## Training",
        f"```\n{plain(configuration.command(about['settings'] | {'data.name': path}))}\n```",
        f"All settings are in config.json. Equipoise {about['versions']['equipoise']}, torch "
        f"{text(run.meta['versions']['torch'])}; checkpoint {about['checkpoint']}.",
        *([f"Images: {text(source['source'])}."] if source.get("source") and data in DATASETS else []),
        *([f"Licence of the images: {text(source['licence'])}."] if source.get("licence") else []),
        *([f"Citation: {text(source['citation'])}"] if source.get("citation") else []),
    ]
    return "\n\n".join(parts) + "\n"


def plain(words: str) -> str:
    """Return words on one line, with a replacement for each invisible character."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def text(words: object) -> str:
    """Return words as Markdown that shows them unchanged."""
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]<>#!|~&$@" else c for c in plain(str(words)))
    return escaped.replace("://", ":\\//")  # otherwise an address becomes a link


def _front_matter(about: Mapping[str, Any], scores: Mapping[str, Score]) -> list[str]:
    """Return the front matter that hubs read, or nothing where huggingface_hub is not installed."""
    if find_spec("huggingface_hub") is None:
        return []
    hub: Any = import_module("huggingface_hub")
    data, method = plain(about["settings"]["data.name"]), about["settings"]["method.name"]
    metadata = hub.ModelCardData(
        library_name="equipoise",
        license="unknown",
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
    return [f"---\n{metadata.to_yaml()}\n---"]


def _latents(run: Run) -> str:
    """Return a table of the latents, sorted by the nats they carry."""
    rows = [
        f"| z{latent.index} | {latent.nats:.2f} | {latent.low:.2f} to {latent.high:.2f} | "
        f"{text(latent.words) or ('active' if latent.active else 'inactive')} |"
        for latent in latents(run)
    ]
    head = ["| latent | nats per image | range of its code | relation to the factors |", "|---|---:|---|---|"]
    return "\n".join([*head, *rows])


def _scores(run: Run, scores: Mapping[str, Score]) -> str:
    """Return a table of the scores with their intervals, and a paragraph on how they were computed."""
    file, factors = read_json(run.path / "scores.json"), run.meta["data"]["factor_names"]
    head = ["| metric | value | 95 % interval | baseline | description |", "|---|---:|---|---:|---|"]
    rows = []
    for name, score in scores.items():
        interval = "–" if score.low is None or score.high is None else f"{score.low:.4f} to {score.high:.4f}"
        baseline = "–" if score.baseline is None else f"{score.baseline:.4f}"
        summary = text(METRICS[name].summary) if name in METRICS else ""
        rows.append(f"| {text(name)} | {score.value:.4f} | {interval} | {baseline} | {summary} |")
    note = (
        f"Computed from the codes of {file['n']:,} images, with the parameters of the convention "
        f"{text(file['convention'])}. The baseline is the score of randomly permuted codes, where it is not zero. "
        + (f"Known factors: {text(', '.join(factors))}." if factors else "The factors are not known.")
    )
    return "\n".join([*head, *rows, "", note])
