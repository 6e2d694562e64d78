"""Codes of a sample of the images, the same images for every run on a data set."""

import math
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise import likelihoods
from equipoise.convolutions import products
from equipoise.data import Images, npz, tables
from equipoise.data.factors import column_names
from equipoise.data.image_names import Row
from equipoise.data.readers.arrays import of_tensor
from equipoise.data.readers.named_arrays import name_of_factors
from equipoise.errors import InputError, check_whole, short
from equipoise.files import replacing, write_columns
from equipoise.model import POINT, VAE
from equipoise.text_column import Column, floats
from equipoise.torch_defaults import torch_defaults

KINDS = (".npz", ".npy", ".csv", ".parquet")  # of files that `write` writes
_ENDINGS = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"  # in messages


class Codes(dict[str, npt.NDArray[Any]]):
    """Arrays by name: index int64 [N]; factors [N, K] and factor_names [K] if they are known; files [N], the names of
    image files; mean, logvar, z float32 [N, D]; pixels []; and float32 [N] sse, bce, sampled_sse, sampled_bce,
    log_px_z, kl. See `encode`.
    """

    def to_frame(self) -> Any:
        """The codes as a data frame with a row for each image; needs pandas.

        Returns:
            The columns index, file (if the images are from files), the factors, and the posterior means z0, z1 and on.
            A factor whose name is that of another column is called factor_NAME.

        Raises:
            InputError: pandas is not installed.

        Example:
            >>> import numpy as np
            >>> from equipoise.codes import Codes
            >>> codes = Codes(index=np.arange(2), files=np.array(["a.png", "b.png"]), mean=np.eye(2))
            >>> list(codes.to_frame())
            ['index', 'file', 'z0', 'z1']
        """
        if find_spec("pandas") is None:
            raise InputError("a data frame needs pandas; pip install equipoise[tables]")
        import pandas as pd

        return pd.DataFrame(self._columns())

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        columns = {"index": self["index"]} | ({"file": _texts(self["files"])} if "files" in self else {})
        latents = {f"z{j}": column for j, column in enumerate(self["mean"].T)}
        if "factors" in self:
            names = self.get("factor_names", [f"factor_{k}" for k in range(self["factors"].shape[1])])
            free = column_names([*map(str, names)], columns.keys() | latents.keys())  # a factor may be called z0
            columns |= dict(zip(free, self["factors"].T, strict=True))
        return columns | latents


def _texts(names: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Names of files with ? for bytes that are no UTF-8, which a table cannot hold."""
    return np.array([str(name).encode("utf-8", "replace").decode() for name in names])


ERRORS = ("sse", "bce", "pixels", "sampled_sse", "sampled_bce", "log_px_z", "kl")  # what metrics call `recon`

_READ = ("mean", "index", "files", "factor_names", "logvar", "z", "checkpoint", *ERRORS)  # of an .npz, beside factors


def logvar_of(codes: Mapping[str, Any]) -> npt.NDArray[Any] | None:
    """The log-variances of codes; None where there are none, or where codes are points without noise."""
    logvar = codes.get("logvar")
    return None if logvar is None or (logvar <= POINT).all() else np.asarray(logvar)


def index(images: Images, n: int) -> npt.NDArray[np.int64]:
    """Rows [min(n, N)] of the images to encode, in an order that depends only on N and n."""
    return np.random.default_rng(0).permutation(len(images))[:n]


@torch_defaults()
@torch.no_grad()
@torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)  # so that a GPU computes as a CPU does
def encode(
    model: VAE,
    images: Images,
    index: npt.NDArray[np.int64],
    batch: int = 128,
    advance: Callable[[int], object] = lambda _: None,
) -> Codes:
    """Codes of the images at `index`: posterior mean, log-variance, one sample z, and errors of reconstruction.

    `sse` and `bce` are the errors of the pictures decoded from the posterior mean, `sampled_sse` and `sampled_bce` of
    those decoded from z. In nats per image, `log_px_z` is the log-likelihood of the image given z and `kl` the KL of
    posterior and prior, both those of the model; the KL is estimated from z if it has no closed form. `log_px_z` less
    `kl` is the evidence lower bound. z depends on `index` only, not on `batch`. `advance` is called with the number of
    images of each batch.
    """
    model.eval()
    noise = torch.randn(len(index), model.latent, generator=torch.Generator().manual_seed(0))
    parts: dict[str, list[torch.Tensor]] = defaultdict(list)
    with products(model):
        for start in range(0, len(index), batch):
            rows = slice(start, start + batch)
            for name, value in _coded(model, torch.from_numpy(images.pixels(index[rows])), noise[rows]).items():
                parts[name].append(value.cpu())
            advance(len(index[rows]))
    codes = Codes(index=index, **{name: torch.cat(values).numpy() for name, values in parts.items()})
    codes["pixels"] = np.array(math.prod(images.shape))
    if images.factors is not None:
        codes["factors"], codes["factor_names"] = images.factors[index], np.array(images.factor_names)
    if (files := images.files) is not None:
        codes["files"] = np.array([files[i] for i in index])
    return codes


def _coded(model: VAE, pixels: torch.Tensor, noise: torch.Tensor) -> dict[str, torch.Tensor]:
    """The arrays of `encode` for a batch of images [B, C, H, W] and the noise of their samples [B, D]."""
    mean, logvar = model.encode(pixels)
    link = model.likelihood.link
    x = likelihoods.as_float(pixels, link).to(mean.device)
    z = mean + (0.5 * logvar).exp() * noise.to(mean.device)
    out = model.out(z)
    of_mean = likelihoods.per_image(x, model.decode(mean), link)
    of_sample = likelihoods.per_image(x, model.likelihood.mean(out), link)
    values = {"mean": mean, "logvar": logvar, "z": z, **of_mean}
    values |= {f"sampled_{name}": errors for name, errors in of_sample.items()}
    return values | {"log_px_z": model.likelihood.log_prob(out, x), "kl": model.prior.kl(mean, logvar, z).sum(1)}


def save(path: Path, codes: Codes, checkpoint: str, within: Path | None = None) -> None:
    """Write `codes` and the digest of their checkpoint to an `.npz`, as a whole; `within` as for `replacing`."""
    with replacing(path, within) as file:
        np.savez(file, allow_pickle=False, checkpoint=np.array(checkpoint), **codes)


def load(path: Path) -> Codes:
    """The arrays of an `.npz` of codes, without unpickling. Raises `InputError` if it cannot be read."""
    # Opened here, because numpy leaves the file open if it is not a whole archive.
    with npz.naming(path), path.open("rb") as stream:
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise InputError(f"{path} holds a single array; expected an .npz of named ones")
        with file:
            return Codes((name, file[name]) for name in file.files)


def read_rows(path: Path, latent: int) -> npt.NDArray[np.float32]:
    """The codes [N, latent] in a file: those of an .npy, `mean` or `codes` of an .npz, z0 and on of a .csv or .parquet.

    Raises `InputError` for another kind of file, another number of latents, and values that are not finite numbers.
    """
    match path.suffix.lower():
        case ".npy":
            rows = npz.memory_map(path)
        case ".npz":
            arrays = load_means(path)
            rows = arrays["mean"]
            if "codes" in arrays:
                warnings.warn(f"{path}: the array mean is read, and codes is not", stacklevel=2)
        case ".csv" | ".parquet":
            rows = _latents(path, *_table(path), latent)
        case _:
            raise InputError(f"{path}: codes are read from files that end in {_ENDINGS}")
    return check_rows(rows, latent, str(path))


def check_rows(rows: npt.ArrayLike, latent: int, name: str) -> npt.NDArray[np.float32]:
    """Codes as float32 [N, latent]; one code [latent] becomes one row. Raises `InputError` for anything else."""
    try:
        array = np.asarray(of_tensor(rows) if isinstance(rows, torch.Tensor) else rows)
    except ValueError:
        raise InputError(f"{name} has rows of different lengths; expected codes [N, {latent}]") from None
    array = array[None] if array.shape == (latent,) else array
    if array.ndim != 2 or array.shape[1] != latent or not len(array):
        raise InputError(f"{name} has shape {list(array.shape)}; expected codes [N, {latent}], at least one")
    with np.errstate(over="ignore"):
        is_finite = array.dtype.kind in "fiu" and bool(np.isfinite(array.astype(np.float32)).all())
    if not is_finite:
        raise InputError(f"{name} has values that are not finite numbers in single precision; correct or remove them")
    return array.astype(np.float32)


def _table(path: Path) -> tuple[list[str], list[Row]]:
    """The header and the rows of a table of codes, which have as many cells."""
    table = tables.read_rows(path, "codes")
    header, rows = [name.strip() for name in table[0][1]] if table else [], list(table[1:])
    tables.check_header(str(path), header)
    tables.check_rows(str(path), header, rows)
    return header, rows


def _latents(path: Path, header: Sequence[str], table: Sequence[Row], latent: int) -> npt.NDArray[np.float64]:
    """The columns z0 to z(latent - 1) of a table, in any order among others."""
    names = [f"z{j}" for j in range(latent)]
    missing = [name for name in names if name not in header]
    if missing or f"z{latent}" in header:
        other = f"z{latent}" if not missing else f"no column {missing[0]}"
        raise InputError(f"{path} has {other}; the run has {latent} latents, so give the columns z0 to z{latent - 1}")
    columns = [header.index(name) for name in names]
    rows = []
    for place, cells in table:
        values = floats([cells[j] for j in columns])
        if values is None:
            raise InputError(f"{path}: {place} lacks a number in a column of codes; correct that row")
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, latent)


def read_to_score(path: Path) -> Codes:
    """Codes of any program, with what else a score needs: `mean` [N, D], `factors` [N, K] and others of `Codes`.

    An .npz has `mean` or `codes`, and factors [N, K] or [N] by a name in `named_arrays.FACTORS`; a note names arrays
    that are not read. An .npy has the codes alone. A .csv or .parquet has the columns z0, z1 and on, as `write` writes
    it, and a column for each factor. Raises `InputError` for anything else.
    """
    match path.suffix.lower():
        case ".npz":
            return _arrays_to_score(path)
        case ".npy":
            return Codes(mean=np.asarray(npz.memory_map(path)))
        case ".csv" | ".parquet":
            return _table_to_score(path)
    raise InputError(f"{path}: codes are read from files that end in {_ENDINGS}")


def _arrays_to_score(path: Path) -> Codes:
    arrays = load_means(path)
    factors = name_of_factors({name: array.shape for name, array in arrays.items()}, arrays["mean"].shape)
    if others := sorted(arrays.keys() - {*_READ, factors}):
        warnings.warn(f"{path}: the arrays {', '.join(others)} are not read", stacklevel=4)
    if factors is not None:
        table = arrays.pop(factors)
        arrays["factors"] = table[:, None] if table.ndim == 1 else table
    return arrays


def _table_to_score(path: Path) -> Codes:
    header, rows = _table(path)
    latent = sum(re.fullmatch(r"z\d+", name) is not None for name in header)
    if not latent or any(f"z{j}" not in header for j in range(latent)):
        raise InputError(
            f"{path} has the columns {', '.join(header) or 'none'}; expected codes in z0, z1 and so on, without a gap, "
            "as encode writes them"
        )
    codes = Codes(mean=check_rows(_latents(path, header, rows, latent), latent, str(path)))
    factors: list[npt.NDArray[Any]] = []
    left_out: list[str] = []
    for j, name in enumerate(header):
        if name not in ("index", "file", *(f"z{k}" for k in range(latent))):
            column = Column(name, "row")
            ids = np.array([column.number(cells[j].strip(), place) for place, cells in rows])
            reason = column.unfit_reason(ids)
            if reason:
                left_out.append(f"{name} ({reason})")
            else:
                numbers = column.values_of(ids, str(path))
                factors.append(column.factor(ids, str(path))[0] if numbers is None else numbers)
    if left_out:
        warnings.warn(f"{path}: not used as factors: {', '.join(left_out)}", stacklevel=4)
    if factors:
        codes["factors"] = np.array(factors, np.float64).T
    return codes


def latent_columns(latents: Sequence[int] | None, count: int) -> list[int]:
    """The chosen latents, or all `count`. Raises `InputError` if there is no such latent."""
    if latents is not None and not isinstance(latents, Iterable):
        raise InputError(f"latents are {short(latents)}; give a list of them")
    columns = list(range(count)) if latents is None else list(latents)
    for column in columns:
        check_whole("a latent", column)
    unknown = sorted(set(columns) - set(range(count)))
    if unknown or not columns:
        fault = f"there is no latent {', '.join(map(str, unknown))}" if unknown else "no latent is chosen"
        raise InputError(f"{fault}; choose latents from 0 to {count - 1} (--latent, or latents= in Python)")
    if len(set(columns)) < len(columns):
        raise InputError(f"latents are {columns}, one of them twice; name each once")
    return columns


def load_means(path: Path) -> Codes:
    """The arrays of an .npz, with `mean` for `codes`. Raises `InputError` when it has neither."""
    arrays = load(path)
    if "mean" not in arrays:
        if "codes" not in arrays:
            raise InputError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected codes (or mean) [N, D]")
        arrays["mean"] = arrays.pop("codes")
    return arrays


def check_kind(path: Path) -> None:
    """Raises `InputError` if codes cannot be written to this file, because of its ending or a missing package."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise InputError(f"{path}: codes are written to files that end in {_ENDINGS}")
    if kind == ".parquet":
        tables.check_packages(path, ", or write a .csv")


def write(path: Path, codes: Codes, checkpoint: str) -> None:
    """Write codes: an .npz as `save`, an .npy the means [N, D], a .csv or .parquet the columns of `to_frame`.

    Raises the errors of `check_kind`.
    """
    check_kind(path)
    match path.suffix.lower():
        case ".npz":
            save(path, codes, checkpoint)
        case ".npy":
            with replacing(path) as file:
                np.save(file, codes["mean"], allow_pickle=False)
        case _:
            write_columns(path, codes._columns())
