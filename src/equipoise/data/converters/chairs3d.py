"""3D Chairs: 1,393 models of chairs, each from 62 sides."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from equipoise.data.converters import published
from equipoise.data.converters.archives import Files
from equipoise.data.dataset import Dataset
from equipoise.errors import InputError

CROP = 400  # of 600 pixels: the chair without most of the white around it, as in FactorVAE
FILE = "rendered_chairs.tar"
_VIEW = re.compile(r"(?:.*/)?([^/]+)/renders/image_\d+_p(\d+)_t(\d+)_r\d+\.png")


def convert(dataset: Dataset, source: Path, folder: Path) -> None:
    """Convert rendered_chairs.tar, or its unpacked folder, to grey: 400 of 600 pixels, resized to 64.

    A code is the rank of a part of the file's name: the model's name, p (elevation) and t (azimuth) in degrees. Raises
    `InputError` for other files.
    """
    source = published.archive_of(source, FILE)
    published.from_pictures(dataset, source, folder, partial(_order, dataset), crop=CROP, expected=(600, 600))


def _order(dataset: Dataset, files: Files) -> Sequence[str]:
    sizes = dataset.factor_sizes
    views = {name: match.groups() for name in files.names if (match := _VIEW.fullmatch(name))}
    published.check_number(files.source, len(views), sizes)
    keys = [(model, int(elevation), int(azimuth)) for model, elevation, azimuth in views.values()]
    values = [set(column) for column in zip(*keys, strict=True)]
    if tuple(map(len, values)) != sizes or len(set(keys)) != len(keys):
        raise InputError(
            f"{files.source}: the names do not give every model, elevation and azimuth once, "
            f"{' x '.join(map(str, sizes))}; get the set again"
        )
    return [name for _, name in sorted(zip(keys, views, strict=True))]
