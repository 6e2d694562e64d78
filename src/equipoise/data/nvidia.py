"""What Falcor3D and Isaac3D have in common: NVIDIA's numbered pictures with, in the smaller archives, their labels."""

import io
import math
import re
from pathlib import Path

import numpy as np

from equipoise.data import npz, published
from equipoise.data.dataset import Dataset
from equipoise.errors import InputError

HOME = "https://github.com/NVlabs/High-res-disentanglement-datasets"
LICENCE = "CC BY 4.0"
CITATION = (
    "W. Nie, T. Karras, A. Garg, S. Debnath, A. Patney, A. B. Patel and A. Anandkumar: Semi-Supervised StyleGAN for "
    "Disentanglement Learning, ICML 2020, https://arxiv.org/abs/2003.03461"
)
_NUMBERED = re.compile(r"(?:.*/)?(\d{6})\.png")


def convert(dataset: Dataset, labels: str, source: Path, folder: Path, sizes: tuple[int, ...]) -> None:
    """Convert a folder, .zip or .tar of 000000.png and so on, of any one resolution, each resized to 64 x 64.

    The numbers follow the grid of the factors. Where a file named `labels` is among them, it must say the same.
    """
    n = math.prod(sizes)
    with published.opened(source) as files:
        found = {name: int(match[1]) for name in files.names if (match := _NUMBERED.fullmatch(name))}
        published.check_number(source, len(found), sizes)
        in_order = sorted(found, key=lambda name: found[name])
        if [found[name] for name in in_order] != list(range(n)):
            raise InputError(
                f"{source}: the {n:,} pictures are not numbered 000000.png to {n - 1:06}.png once each; "
                f"give the one folder of {dataset.name}"
            )
        if label := next((name for name in files.names if name.split("/")[-1] == labels), None):
            with npz.naming(source / label):
                values = np.load(io.BytesIO(files.read(label)), allow_pickle=False)
            published.check_labels(f"{source}/{label}", values, dataset.factor_names, sizes)
        published.write(
            dataset,
            folder,
            source=source,
            images=n,
            sizes=sizes,
            prepared="resized to 64 x 64",
            blocks=published.in_blocks(
                n,
                lambda rows: np.stack(
                    [
                        published.picture(files, in_order[row], channels=3, crop=None, size=64, expected=None)
                        for row in rows
                    ]
                ),
            ),
        )
