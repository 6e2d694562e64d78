"""Readers of images of your own: one module for each kind of source, and a line for each in `READERS`."""

from collections.abc import Callable
from operator import methodcaller

from equipoise.data import array_files, tables
from equipoise.data.images import Images
from equipoise.data.readers import arrays, folder, named_arrays, parquet, sequence, vectors
from equipoise.data.source import Source

READERS: dict[str, Callable[..., Source | Images]] = {
    "set": methodcaller("load"),
    "images": lambda images: images,
    "folder": folder.read,
    "image": folder.read_one,
    "paths": folder.read_paths,
    "frame": folder.read_frame,
    ".npy": arrays.read_npy,
    **dict.fromkeys(array_files.KINDS, named_arrays.read),
    **dict.fromkeys((*tables.KINDS, vectors.ANNDATA), vectors.read),
    "rows": parquet.read_file,
    "hub": parquet.read_hub,
    "array": arrays.read,
    "sequence": sequence.read,
}
"""The reader of each kind of source: a suffix of files, or a kind that `equipoise.data.find` names. Each returns a
`Source`; or `Images`, which are in their final form except for their size."""
