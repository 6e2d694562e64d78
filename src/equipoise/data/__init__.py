"""Data sets and images: `load_data` reads them in stages, and `Images` is the one form in which they are used.

find (`find`) -> read (`readers`) -> factor table (`factor_table`) -> scale (`scale`) -> `Images` -> variants
(`variants`). From the reader to `Images`, a frozen `source.Source` is passed on.
"""

from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.data.load import load_data, stored_shapes
from equipoise.data.sets import DATASETS

__all__ = ["DATASETS", "Dataset", "Images", "load_data", "stored_shapes"]
