"""The pictures of README, home page, tutorial and the page on reports, redrawn from the run of the demo.

    python benchmarks/pictures.py        # or: make pictures

Trains `examples/demo.toml`, or resumes it, and copies its pictures to `docs/images/`. Beside them it writes
`docs/assets/demo.json`: the command, digests of the settings with the nets and of the layout of the picture, the
latents with the factors that they follow, and the scores. At the end it prints what in the pages has to be changed. A
test makes the same comparison, without training.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from equipoise import assemble, config, runs
from equipoise.config import Config
from equipoise.model import VAE
from equipoise.report.figures.images import traversal_figure
from equipoise.report.findings import analyse
from equipoise.report.latents import Latent

ROOT = Path(__file__).parent.parent
SETTINGS = Path("examples/demo.toml")
MANIFEST = Path("docs/assets/demo.json")
REPORT = (
    "latents-vs-factors.png",
    "information.png",
    "code-map.png",
    "reconstructions.png",
    "samples.png",
    "tradeoff.svg",
    "curves.svg",
)
PICTURES = {name: name for name in ("traversals.png", "traversals.gif")} | {f"report-{name}": name for name in REPORT}
"""The pictures of the documentation, and their names in the run."""
PAGES = ("README.md", "docs/index.md", "docs/start.md")
EMBEDDED = re.compile(r"!\[[^]]*\]\((?:docs/)?images/traversals\.(?:png|gif)\)(?:\n\n\*[^*]+\*)?")  # with its caption
SCORE = re.compile(r"^  (\w+) +([\d.]+) +\[", re.MULTILINE)  # a row of the printed scores


def draw(root: Path, folder: Path) -> None:
    """Copy the pictures of the run in this folder to the documentation, and write the manifest."""
    run = runs.open_run(folder)
    findings = analyse(run)
    latents = [{**vars(latent), "words": ""} for latent in findings.selection]
    for name, of_run in PICTURES.items():
        shutil.copyfile(run.path / "pictures" / of_run, root / "docs" / "images" / name)
    manifest = {
        "command": f"equipoise train {SETTINGS}",
        "settings": settings_digest(run.config, run.model),
        "layout": layout_digest(run.model, latents),
        "images": run.model.dataset_size,
        "shape": list(run.model.shape),
        "latents": latents,
        "scores": {name: score.value for name, score in run.scores.items()},
        "pictures": {name: digest((root / "docs" / "images" / name).read_bytes()) for name in PICTURES},
    }
    (root / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def changes(root: Path) -> list[str]:
    """Return a sentence for everything that is not as in the run of the demo: pictures, their layout, the captions."""
    manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    resolved = config.resolve(config.read(root / SETTINGS))
    model, _ = assemble.build(resolved, tuple(manifest["shape"]), manifest["images"])
    again = "run `make pictures`"
    found = []
    if manifest["settings"] != settings_digest(resolved, model):
        found.append(f"{SETTINGS}, the defaults or the nets have changed since the pictures were drawn; {again}")
    if manifest["layout"] != layout_digest(model, manifest["latents"]):
        found.append(f"the layout of the pictures has changed since they were drawn; {again}")
    for name, expected in manifest["pictures"].items():
        if digest((root / "docs" / "images" / name).read_bytes()) != expected:
            found.append(f"docs/images/{name} is not the picture of the run; {again}")
    for page in PAGES:
        found += [f"{page} {words}" for words in caption_changes((root / page).read_text(encoding="utf-8"), manifest)]
    return found


def caption_changes(text: str, manifest: Any) -> list[str]:
    """Return what is wrong in the captions of the pictures of a page, and in the scores that it prints."""
    followers = {f"z{latent['index']}": latent["factor"] for latent in manifest["latents"] if latent["factor"]}
    found = []
    for caption in EMBEDDED.findall(text):
        named = list(dict.fromkeys(re.findall(r"\bz\d+\b", caption)))
        if named and named != list(followers):
            found.append(f"names {', '.join(named)} under a picture of {', '.join(followers)}")
        for value in re.findall(r"MIG (\.\d+)", caption):
            if value != f"{manifest['scores']['mig']:.2f}".removeprefix("0"):
                found.append(f"has MIG {value}; the run has {manifest['scores']['mig']:.4f}")
    for latent, factor in re.findall(r"\b(z\d+) follows `(\w+)`", text):
        if followers.get(latent) != factor:
            found.append(f"has {latent} follow {factor}; in the run it follows {followers.get(latent, 'no factor')}")
    for name, value in SCORE.findall(text):
        if value != f"{manifest['scores'][name]:.4f}":
            found.append(f"has {name} {value}; the run has {manifest['scores'][name]:.4f}")
    return found


def settings_digest(resolved: Config, model: VAE) -> str:
    """Return a digest of the settings that tell runs apart, and of the layers of the nets with their shapes."""
    layers = [type(module).__name__ for module in model.modules()]
    shapes = [list(weights.shape) for weights in model.parameters()]
    settings = config.distinguishing(resolved.flat())
    return digest(json.dumps([settings, layers, shapes], default=str, sort_keys=True).encode())


def layout_digest(model: VAE, latents: list[dict[str, Any]]) -> str:
    """Return a digest of the texts, their places and the places of the images of the traversals of these latents."""
    drawn = [Latent(**latent) for latent in latents]
    return digest(json.dumps(layout(traversal_figure(model, torch.zeros(model.latent).numpy(), drawn, "KL"))).encode())


def layout(figure: Figure) -> list[list[Any]]:
    """Return the size of a figure in pixels, its texts with their places, and the boxes of its axes."""
    width, height = (round(inches * 100) for inches in figure.get_size_inches())
    texts = [[text.get_text(), *(round(edge, 3) for edge in text.get_position())] for text in figure.texts]
    boxes = [[round(edge, 3) for edge in axes.get_position().bounds] for axes in figure.axes]
    return [[width, height], *texts, *boxes]


def digest(content: bytes) -> str:
    """Return the first 16 digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def main() -> None:
    subprocess.run([sys.executable, "-m", "equipoise", "train", str(SETTINGS)], cwd=ROOT, check=True)
    draw(ROOT, ROOT / config.resolve(config.read(ROOT / SETTINGS)).out)
    print("\n".join([f"wrote {MANIFEST} and {', '.join(f'docs/images/{name}' for name in PICTURES)}", *changes(ROOT)]))


if __name__ == "__main__":
    main()
