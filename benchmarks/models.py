"""Add models to the package: those that `equipoise models list` prints.

    python benchmarks/models.py NAME=RUN [NAME=RUN ...]

Each RUN is the folder of a scored run. Its weights, the description, the scores and the model card, which has the
command that trains it, replace the model of that name in src/equipoise/export/models.
"""

import argparse
from pathlib import Path

from equipoise import export, runs
from equipoise.export import hub, saved
from equipoise.export.about import describe
from equipoise.export.folder import seal
from equipoise.files import replacing_folder

MODELS = Path(export.__file__).parent / "models"
LICENCE = "Apache-2.0"
LARGEST = 2e6  # bytes of the weights of a model


def add(name: str, path: Path) -> None:
    """Write the model of a run to the package."""
    run = runs.open_run(path)
    hub.check(run)
    with replacing_folder(MODELS / name) as folder:
        about = describe(run, "safetensors")
        saved.write(run.model.at(), folder)
        size = (folder / saved.WEIGHTS).stat().st_size
        if size > LARGEST:
            raise SystemExit(f"{name}: the weights have {size / 1e6:.1f} MB; take a smaller net")
        (folder / "README.md").write_text(hub.card(run, about, [], LICENCE), encoding="utf-8")
        seal(folder, about)
    print(f"{name}: {size:,} bytes, from {path}")


def main() -> None:
    """Add the models of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=RUN")
    for entry in parser.parse_args().models:
        name, _, path = entry.partition("=")
        add(name, Path(path))


if __name__ == "__main__":
    main()
