"""Converted sets of images, each in a folder: written once, block by block, and memory-mapped by every run."""

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from equipoise import progress
from equipoise.data.images import Images
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError, RunError
from equipoise.files import FULL, replacing, sweep, write_text

if sys.platform != "win32":
    import fcntl

FORMAT = 1  # of these folders; to be increased when their files change
_MARK = 64 << 20  # bytes between two marks, which are converted again at most after a power cut
_CHUNK = 1 << 20  # bytes per read


def cache_folder() -> Path:
    """The folder for files that can be computed again; it need not exist.

    `EQUIPOISE_CACHE`, else `XDG_CACHE_HOME`/equipoise, else ~/.cache/equipoise. A relative `XDG_CACHE_HOME` is ignored,
    as the XDG Base Directory Specification requires. Raises `RuntimeError` if the user has no home folder.
    """
    if setting := os.environ.get("EQUIPOISE_CACHE"):
        return Path(setting).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "equipoise"


def set_folder(name: str) -> Path:
    """The folder of the set of this name. Raises `InputError` if the user has no home folder."""
    return in_cache("data", name)


def in_cache(*names: str) -> Path:
    """A path in the cache folder. Raises `InputError` if the user has no home folder."""
    try:
        return cache_folder().joinpath(*names)
    except RuntimeError as error:
        raise InputError("there is no home folder for data; set EQUIPOISE_CACHE to a folder") from error


def write(
    folder: Path,
    *,
    images: int,
    shape: tuple[int, int, int],
    blocks: Callable[[int], Iterator[Bytes]],
    source: str,
    name: str,
    factors: npt.ArrayLike | Literal["grid"] | None = None,
    factor_names: Sequence[str] | None = None,
    factor_sizes: Sequence[int] = (),
    licence: str | None = None,
    citation: str | None = None,
) -> None:
    """Write a set of images into `folder`: images.npy, factors.npy if there is a table, and, last, about.json.

    blocks: given the number of an image, yields uint8 [n, C, H, W] from that image on; one block is in memory.
    source: what the pixels were converted from. An interrupted conversion with the same `source`, `images` and `shape`
        resumes after the last block that is known to be on the disk; a finished one is not repeated.
    The other arguments are those of `Images`.

    A folder without about.json counts as empty, so that an unfinished set is never read. Processes that write the same
    folder wait for each other. Raises `InputError` before writing for arguments that do not fit and for a disk that is
    too small, and later for blocks that do not fit; and `RunError` if the disk becomes full.
    """
    zeros = np.broadcast_to(np.uint8(0), (images, *shape))  # takes no memory; Images checks the arguments
    template = Images(zeros, name=name, factors=factors, factor_names=factor_names, factor_sizes=factor_sizes)
    kind = "grid" if isinstance(factors, str) else None if template.factors is None else "table"
    record = {"format": FORMAT} | template.describe()
    record |= {"source": source, "licence": licence, "citation": citation, "factors": kind}
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        sweep(folder)
        if _is_complete(folder, source, images, shape):
            return
        part = folder / "images.npy.part"
        digest = _write_pixels(part, template, blocks, source)
        (folder / "about.json").unlink(missing_ok=True)  # of an older set, whose files are replaced now
        if kind == "table":
            with replacing(folder / "factors.npy") as file:
                np.save(file, np.ascontiguousarray(template.factors), allow_pickle=False)
        os.replace(part, folder / "images.npy")
        (folder / "part.json").unlink(missing_ok=True)
        write_text(folder / "about.json", json.dumps(record | {"digest": digest}, indent=1))


def read(folder: Path, *, is_trusted: bool = True) -> Images | None:
    """The set in `folder`, memory-mapped; None if there is none, or only an unfinished one.

    is_trusted: use the digest that was computed when the set was written; otherwise `digest` reads all pixels again.
    Raises `InputError` if about.json cannot be read, or the sizes of the other files differ from it.
    """
    record = describe(folder)
    if record is None:
        return None
    try:
        pixels = np.lib.format.open_memmap(folder / "images.npy", mode="r")
        shape = (record["images"], *record["shape"])
        if pixels.shape != shape or pixels.dtype != np.uint8 or not pixels.flags.c_contiguous:
            raise ValueError(f"images.npy has {pixels.dtype} {list(pixels.shape)} and not uint8 {list(shape)}")
        if (folder / "images.npy").stat().st_size != pixels.offset + pixels.nbytes:
            raise ValueError("images.npy is longer than the array in it")
        factors = record["factors"]
        return Images(
            pixels,
            name=record["name"],
            factors=np.load(folder / "factors.npy", allow_pickle=False) if factors == "table" else factors,
            factor_names=record["factor_names"],
            factor_sizes=record["factor_sizes"],
            source=record["source"],
            licence=record["licence"],
            citation=record["citation"],
            digest=record["digest"] if is_trusted else None,
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _damage_error(folder, error) from error


def describe(folder: Path) -> dict[str, Any] | None:
    """The about.json of the set in `folder`; None if there is no finished set. Raises `InputError` if it is damaged."""
    try:
        record = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _damage_error(folder, error) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise _damage_error(folder, f"about.json is not of format {FORMAT}, which this version reads")
    return record


def add_to_about(folder: Path, entries: Mapping[str, object]) -> None:
    """Add entries, ready for JSON, to the about.json of the set in `folder`."""
    with lock(folder):
        record = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        write_text(folder / "about.json", json.dumps(record | dict(entries), indent=1))


def _damage_error(folder: Path, reason: object) -> InputError:
    return InputError(f"{folder} is damaged ({reason}); delete this folder and add or convert the images again")


def _is_complete(folder: Path, source: str, images: int, shape: tuple[int, int, int]) -> bool:
    try:
        whole = read(folder)
    except InputError:
        return False
    return whole is not None and (whole.source, len(whole), whole.shape) == (source, images, tuple(shape))


def _write_pixels(part: Path, template: Images, blocks: Callable[[int], Iterator[Bytes]], source: str) -> str:
    """Append the missing images to `part`, an unfinished .npy file, and return the digest of all pixels and factors."""
    images, shape, name = len(template), template.shape, template.name
    image_bytes = math.prod(shape)
    mark = part.with_name("part.json")
    key = {"source": source, "images": images, "shape": list(shape)}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (images, *shape)})
    count = _read_mark(mark, key)
    if count and (not part.exists() or part.stat().st_size < header.tell() + count * image_bytes):
        count = 0
    check_room(part.parent, name, (images - count) * image_bytes)
    # The same digest as that of `Images.digest`; the tests compare them.
    state = hashlib.sha256(repr((images, shape, template.factor_names, template.factor_sizes)).encode())
    with (
        reporting_full_disk(part.parent, name),
        open(part, "r+b" if count else "w+b") as file,
        progress.bar(name, images, "images") as advance,
    ):
        file.write(header.getvalue())
        file.truncate(file.tell() + count * image_bytes)
        for data in iter(lambda: file.read(_CHUNK), b""):  # the digest includes the images that are there
            state.update(data)
        advance(count)
        unmarked_bytes = 0
        for block in blocks(count):
            _check_block(block, images - count, shape, name)
            whole = np.ascontiguousarray(block)
            file.write(whole.data)
            state.update(whole.data)
            count += len(block)
            unmarked_bytes += block.nbytes
            advance(len(block))
            # Only about.json marks the last block: the damage of a source may become known at its end.
            if unmarked_bytes >= _MARK and count < images:
                file.flush()
                os.fsync(file.fileno())  # before the mark, so that the marked images are on the disk
                write_text(mark, json.dumps(key | {"done": count}))
                unmarked_bytes = 0
        file.flush()
        os.fsync(file.fileno())
    if count < images:
        raise InputError(f"{name}: {source} gave {count:,} images, expected {images:,}; get a whole copy of it")
    if template.factors is not None:
        state.update(np.ascontiguousarray(template.factors).data)
    return state.hexdigest()


def _read_mark(mark: Path, key: Mapping[str, object]) -> int:
    """How many images an earlier conversion of the same source wrote."""
    try:
        values = json.loads(mark.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0
    count = values.pop("done", 0) if isinstance(values, dict) else 0
    return count if values == key and isinstance(count, int) else 0


def _check_block(block: Bytes, limit: int, shape: tuple[int, int, int], name: str) -> None:
    if block.dtype != np.uint8 or block.ndim != 4 or block.shape[1:] != shape or not 0 < len(block) <= limit:
        raise InputError(
            f"{name}: a block is {block.dtype} {list(block.shape)}, expected uint8 [n, {', '.join(map(str, shape))}] "
            f"with n from 1 to {limit:,}; its files are not as published"
        )


def check_room(folder: Path, name: str, size: int) -> None:
    """Raises `InputError` if fewer than `size` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{name} needs {size / 1e9:,.1f} GB and {folder} has {free / 1e9:,.1f} GB left; make room, or name a "
            "folder on a larger disk with EQUIPOISE_CACHE"
        )


@contextlib.contextmanager
def reporting_full_disk(folder: Path, name: str) -> Iterator[None]:
    """Turn the error of a full disk into one `RunError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise RunError(
            f"{folder}: the disk was full before {name} was complete; make room and run the same command again, which "
            "resumes"
        ) from error


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Wait until no other process writes into `folder`; the system releases the lock when a process ends."""
    with open(folder / ".lock", "w") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                warnings.warn(f"waiting for another process that writes {folder}", stacklevel=3)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:  # some file systems of clusters have no locks
                pass
        yield
