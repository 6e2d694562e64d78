"""The commands of trained models."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from equipoise.files import replacing_folder
from equipoise.outcome import Outcome, align

SCORES = ("mig", "factor_vae")  # that the list shows


def models_list() -> Outcome:
    """List the trained models that the package contains: method, images, latents and scores.

    From Python: `equipoise.load_model("NAME")`.
    """
    from equipoise.zoo import models

    cells = [["name", "method", "images", "size", "latents", *SCORES]]
    values = {}
    for name, about in models().items():
        settings, scores = about["settings"], about["scores"]
        values[name] = {"method": settings["method.name"], "data": settings["data.name"], "image": about["image"]}
        values[name] |= {"latents": about["latent"], "scores": scores}
        texts = [f"{scores[score]:.2f}" if score in scores else "" for score in SCORES]
        size = " x ".join(map(str, about["image"]))
        cells.append([name, settings["method.name"], settings["data.name"], size, str(about["latent"]), *texts])
    return Outcome(values, "\n".join(align(cells, slice(4, None))))


def models_get(
    name: Annotated[str, typer.Argument(help="A name from models list, or hf:owner/name on the Hugging Face hub.")],
    out: Annotated[Path | None, typer.Option(help="The new folder; default: the name.")] = None,
) -> Outcome:
    """Copy a model to a folder: weights, description and model card.

    Examples:

      equipoise models get rooms3d

      equipoise models get hf:owner/name --out model
    """
    from equipoise.export.folder import check, unchanged
    from equipoise.export.source import find

    target = out or Path(name.rpartition("/")[2])
    source = find(name)
    check(target, unchanged(source)["kind"])
    with replacing_folder(target) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    return Outcome({"name": name, "wrote": str(target)}, f"wrote {target}")


def models_push(
    folder: Annotated[Path, typer.Argument(help="The folder of an export to safetensors or hub-folder.")],
    repository: Annotated[str, typer.Argument(help="owner/name, a repository of the Hugging Face hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> Outcome:
    """Upload an exported model to the Hugging Face hub. Log in with `hf auth login` first.

    Everybody can load the model of a public repository with equipoise.load_model("hf:owner/name").

    Examples:

      equipoise models push runs/first/export/hub-folder owner/name
    """
    from equipoise.export.source import push

    address = push(folder, repository, private)
    return Outcome({"repository": repository, "address": address}, f"uploaded to {address}")
