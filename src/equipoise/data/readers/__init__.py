"""Readers of images of your own: one module for each kind of source, and a line for each in `READERS`."""

from collections.abc import Callable

from equipoise.data.images import Images
from equipoise.data.readers import arrays, folder, named_arrays, parquet, sequence, vectors
from equipoise.data.source import Source

READERS: dict[str, Callable[..., Source | Images]] = {
    "folder": folder.read,
    "image": folder.read_one,
    "paths": folder.read_paths,
    "frame": folder.read_frame,
    ".npy": arrays.read_npy,
    **dict.fromkeys((".npz", ".hdf5", ".h5"), named_arrays.read),
    **dict.fromkeys((*vectors.TABLES, vectors.ANNDATA), vectors.read),
    "rows": parquet.read_file,
    "hub": parquet.read_hub,
    "array": arrays.read,
    "sequence": sequence.read,
}
"""The reader of each kind of source: a suffix of files, or a kind that `equipoise.data.find` names. Each returns a
`Source`; or `Images`, which are in their final form except for their size."""
