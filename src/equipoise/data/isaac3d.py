"""Isaac3D: a robot arm in a kitchen moves an object, under changing light, walls and cameras."""

from pathlib import Path

from equipoise.data import nvidia
from equipoise.data.dataset import Dataset

# The true order. The README of the set has object_scale and camera_height before the robot's moves, with strides that
# are those of the moves: 245760 / 30720 = 8 and 30720 / 6144 = 5 are how far the robot goes, and the pictures agree.
FACTOR_NAMES = (
    "object_shape",
    "robot_x-move",
    "robot_y-move",
    "camera_height",
    "object_scale",
    "lighting_intensity",
    "lighting_y-dir",
    "object_color",
    "wall_color",
)
FACTOR_SIZES = (3, 8, 5, 4, 4, 4, 6, 4, 4)


def convert(source: Path, folder: Path, sizes: tuple[int, ...] = FACTOR_SIZES) -> None:
    """Convert the folder or archive of pictures, 128 or 512 pixels a side; see `nvidia.convert`."""
    nvidia.convert(ISAAC3D, "labels.npy", source, folder, sizes)


ISAAC3D = Dataset(
    name="isaac3d",
    summary="737,280 pictures of a robot arm in a kitchen, resized to 64 x 64: 9 factors of object, robot, light, room",
    images=737_280,
    shape=(3, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home=nvidia.HOME,
    licence=nvidia.LICENCE,
    citation=nvidia.CITATION,
    by_hand="It lies on Google Drive: open "
    "https://drive.google.com/file/d/1OmQ1G2wnm6eTsSFGTKFZZAh5D3nQTW1B in a browser (128 x 128, 13 GB), unpack it and "
    "give the folder Isaac3D_down128 with --from.",
    convert=convert,
)
