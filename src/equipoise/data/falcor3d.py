"""Falcor3D: a living room under changing light, seen from changing places."""

from pathlib import Path

from equipoise.data import nvidia
from equipoise.data.dataset import Dataset

FACTOR_NAMES = (
    "lighting_intensity",
    "lighting_x-dir",
    "lighting_y-dir",
    "lighting_z-dir",
    "camera_x-pos",
    "camera_y-pos",
    "camera_z-pos",
)
FACTOR_SIZES = (5, 6, 6, 6, 6, 6, 6)


def convert(source: Path, folder: Path, sizes: tuple[int, ...] = FACTOR_SIZES) -> None:
    """Convert the folder or archive of pictures, 128 or 1024 pixels a side; see `nvidia.convert`."""
    nvidia.convert(FALCOR3D, "train-rec.labels", source, folder, sizes)


FALCOR3D = Dataset(
    name="falcor3d",
    summary="233,280 pictures of a living room, resized to 64 x 64: 7 factors of light and camera",
    images=233_280,
    shape=(3, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home=nvidia.HOME,
    licence=nvidia.LICENCE,
    citation=nvidia.CITATION,
    by_hand="It lies on Google Drive: open "
    "https://drive.google.com/file/d/1XAQfFK1x6cpN1eiovbP0hVfLTm5SsSoJ in a browser (128 x 128, 3.7 GB), unpack it and "
    "give the folder Falcor3D_down128 with --from.",
    convert=convert,
)
