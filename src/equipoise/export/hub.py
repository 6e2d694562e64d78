"""A folder ready for a model hub: the model, its card as README.md, and pictures that the model itself has drawn."""

import json
import math
import shutil
from collections.abc import Mapping
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

# Pictures of codes and of what is decoded from them. Reconstructions stay: they show images of the data set.
PICTURES = {
    "traversals": "Each row changes one latent and leaves the others at the code of one image",
    "latents-vs-factors": "The codes of the latents over the values of the known factors",
    "samples": "Images decoded from draws of the prior",
}


def check(run: Run) -> None:
    """Raises `RunError` where the last checkpoint of a run has no scores or no report."""
    scored = read_json(run.path / "scores.json") if (run.path / "scores.json").exists() else {}
    if scored.get("checkpoint") != checkpoint.digest(run.path / "checkpoint.pt"):
        raise RunError(f"{run.path} has no scores of its checkpoint; run the same train command again")
    if not (run.path / "report.html").exists():
        raise RunError(f"{run.path} has no report, whose pictures the card shows; run equipoise report {run.path}")


def write(run: Run, folder: Path, known: Mapping[str, Any]) -> None:
    """Write README.md and its pictures to `folder`."""
    (folder / "pictures").mkdir()
    drawn = [name for name in PICTURES if (run.path / "pictures" / f"{name}.png").exists()]
    for name in drawn:
        shutil.copyfile(run.path / "pictures" / f"{name}.png", folder / "pictures" / f"{name}.png")
    (folder / "README.md").write_text(card(run, known, drawn), encoding="utf-8")


def card(run: Run, known: Mapping[str, Any], drawn: list[str]) -> str:
    """The card of a model in Markdown, with the front matter in YAML that hubs read. Names in it are escaped."""
    scores = {name: score for name, score in run.scores.items() if math.isfinite(score.value)}
    said = run.meta["data"]
    data = known["settings"]["data.name"]
    where = data if data in DATASETS else f"path/to/{data}"
    method = run.config.method
    shape = " x ".join(map(str, known["image"]))
    parts = [
        _front(known, scores),
        f"# {text(method.name)} on {text(data)}",
        f"A variational autoencoder that turns an image of {shape} (channels, height, width) into {known['latent']} "
        f"numbers, its code, and a code into an image. Method: {text(method.name)}, {text(method.summary)}. Net: "
        f"{text(known['net'])}. It was trained for {known['step']:,} steps on {said['images']:,} images of {text(data)}"
        f", without labels.",
        *(f"![{PICTURES[name]}](pictures/{name}.png)\n\n*{PICTURES[name]}.*" for name in drawn[:1]),
        "## How to use it",
        "```\npip install equipoise\n```",
        "```python\nimport equipoise as eq\n\n"
        'model = eq.load_model("path/to/this/folder")\n'
        f"mean, logvar = model.encode(x)  # x [B, {', '.join(map(str, known['image']))}], uint8 in 0..255 or float in "
        "[0, 1]\npixels = model.decode(mean)  # float in [0, 1]\n```",
        "`mean` is the code of each image, `exp(logvar)` how unsure it is. Nothing is unpickled.",
        "## What the latents say",
        _latents(run),
        *(f"![{PICTURES[name]}](pictures/{name}.png)\n\n*{PICTURES[name]}.*" for name in drawn[1:]),
        "## Scores",
        _scores(run, scores),
        "## Intended use and limits",
        f"- Meant for images like those of {text(data)}, prepared in the same way. Of others the codes mean nothing.\n"
        "- Codes follow factors of variation as far as the scores and the table of latents say, no further. The order "
        "and the sign of latents are accidents of training; another seed gives others.\n"
        "- Scores are of one run. They say how this model does, not how its method does.\n"
        "- What the images show of people, places or things, the codes may show too.",
        "## Training",
        f"```\n{plain(configuration.command(known['settings'] | {'data.name': where}))}\n```",
        f"All settings are in config.json. Equipoise {known['versions']['equipoise']}, torch "
        f"{text(run.meta['versions']['torch'])}; checkpoint {known['checkpoint']}.",
        *([f"Images: {text(said['source'])}."] if said.get("source") and data in DATASETS else []),
        *([f"Licence of the images: {text(said['licence'])}."] if said.get("licence") else []),
        *([f"Citation: {text(said['citation'])}"] if said.get("citation") else []),
    ]
    return "\n\n".join(parts) + "\n"


def plain(words: str) -> str:
    """Words on one line, without characters that cannot be seen."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def text(words: object) -> str:
    """Words as Markdown that shows them as they are."""
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]<>#!|~&$@" else c for c in plain(str(words)))
    return escaped.replace("://", ":\\//")  # else an address becomes a link


def _front(known: Mapping[str, Any], scores: Mapping[str, Score]) -> str:
    """The front matter in YAML, of which JSON's strings and numbers are a part."""
    data, method = known["settings"]["data.name"], known["settings"]["method.name"]
    lines = [
        "library_name: equipoise",
        "license: unknown  # yours to choose: a name such as apache-2.0, see the hub's list",
        "pipeline_tag: image-feature-extraction",
        "tags:",
        *(f"- {_quoted(tag)}" for tag in ("disentanglement", "variational-autoencoder", "equipoise", method)),
    ]
    if data in DATASETS:
        lines += ["datasets:", f"- {_quoted(data)}"]
    if scores:
        lines += ["metrics:", *(f"- {_quoted(name)}" for name in scores)]
        lines += ["model-index:", f"- name: {_quoted(known['name'])}", "  results:"]
        lines += ["  - task:", "      type: image-feature-extraction", "      name: Disentanglement"]
        lines += ["    dataset:", f"      type: {_quoted(data)}", f"      name: {_quoted(data)}", "    metrics:"]
        for name, score in scores.items():
            lines += [f"    - type: {_quoted(name)}", f"      name: {_quoted(name)}", f"      value: {score.value!r}"]
    return "\n".join(["---", *lines, "---"])


def _quoted(words: str) -> str:
    return json.dumps(plain(words), ensure_ascii=False)


def _latents(run: Run) -> str:
    """A table of the latents by what they carry."""
    rows = [
        f"| z{latent.index} | {latent.nats:.2f} | {latent.low:.2f} to {latent.high:.2f} | "
        f"{text(latent.words) or ('active' if latent.active else 'carries nothing')} |"
        for latent in latents(run)
    ]
    head = ["| latent | nats it carries | range | what it follows |", "|---|---:|---|---|"]
    return "\n".join([*head, *rows])


def _scores(run: Run, scores: Mapping[str, Score]) -> str:
    """A table of the scores with their intervals, and how they were taken."""
    taken, factors = read_json(run.path / "scores.json"), run.meta["data"]["factor_names"]
    head = ["| metric | value | 95 % interval | baseline | what it asks |", "|---|---:|---|---:|---|"]
    rows = []
    for name, score in scores.items():
        interval = "–" if score.low is None or score.high is None else f"{score.low:.4f} to {score.high:.4f}"
        baseline = "–" if score.baseline is None else f"{score.baseline:.4f}"
        asks = text(METRICS[name].summary) if name in METRICS else ""
        rows.append(f"| {text(name)} | {score.value:.4f} | {interval} | {baseline} | {asks} |")
    how = (
        f"Taken from the codes of {taken['n']:,} images, with the parameters of the convention "
        f"{text(taken['convention'])}. The baseline is the score of shuffled codes, where that is not zero. "
        + (f"Known factors: {text(', '.join(factors))}." if factors else "Factors are not known.")
    )
    return "\n".join([*head, *rows, "", how])
