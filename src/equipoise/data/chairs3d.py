"""3D Chairs: 1,393 models of chairs, each from 62 sides."""

import re
from pathlib import Path

import numpy as np

from equipoise.data import published
from equipoise.data.dataset import Dataset, Remote
from equipoise.errors import InputError

FACTOR_NAMES = ("model", "elevation", "azimuth")
FACTOR_SIZES = (1393, 2, 31)
CROP = 400  # of 600 pixels: the chair without most of the white around it, as FactorVAE has it
FILE = "rendered_chairs.tar"
_VIEW = re.compile(r"(?:.*/)?([^/]+)/renders/image_\d+_p(\d+)_t(\d+)_r\d+\.png")


def convert(source: Path, folder: Path, sizes: tuple[int, int, int] = FACTOR_SIZES) -> None:
    """Convert rendered_chairs.tar, or its unpacked folder: in grey, 400 of 600 pixels, resized to 64.

    A code is the rank of what the name of a picture says: the model's name, p (elevation) and t (azimuth) in degrees.
    """
    if source.is_dir() and (source / FILE).is_file():
        source = source / FILE
    with published.opened(source) as files:
        views = {name: match.groups() for name in files.names if (match := _VIEW.fullmatch(name))}
        published.check_number(source, len(views), sizes)
        keys = [(model, int(elevation), int(azimuth)) for model, elevation, azimuth in views.values()]
        values = [sorted(set(column)) for column in zip(*keys, strict=True)]
        if tuple(map(len, values)) != sizes or len(set(keys)) != len(keys):
            raise InputError(
                f"{source}: the names do not give every model, elevation and azimuth once, "
                f"{' x '.join(map(str, sizes))}; get the set again"
            )
        in_order = [name for _, name in sorted(zip(keys, views, strict=True))]
        published.write(
            CHAIRS3D,
            folder,
            source=source,
            images=len(in_order),
            sizes=sizes,
            prepared=f"grey, centred square of {CROP} pixels, resized to 64 x 64",
            blocks=published.in_blocks(
                len(in_order),
                lambda rows: np.stack(
                    [
                        published.picture(files, in_order[row], channels=1, crop=CROP, size=64, expected=(600, 600))
                        for row in rows
                    ]
                ),
            ),
        )


CHAIRS3D = Dataset(
    name="chairs3d",
    summary="86,366 grey pictures of chairs, cut and resized to 64 x 64: 1,393 models, 2 elevations, 31 azimuths",
    images=86_366,
    shape=(1, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home="https://www.di.ens.fr/willow/research/seeing3Dchairs/",
    licence="for research",
    citation="M. Aubry, D. Maturana, A. Efros, B. Russell and J. Sivic: Seeing 3D Chairs: Exemplar Part-Based 2D-3D "
    "Alignment Using a Large Dataset of CAD Models, CVPR 2014",
    files=(Remote(FILE, ("https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",)),),
    convert=convert,
)
