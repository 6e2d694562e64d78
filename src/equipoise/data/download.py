"""Downloads: resumed where they were interrupted, and checked before anything reads the file."""

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from equipoise import progress
from equipoise.data import store
from equipoise.data.dataset import Remote
from equipoise.errors import InputError, RunError
from equipoise.files import write_text

WAITS = (1.0, 2.0, 4.0)  # seconds before each retry of an address; the count starts anew when bytes arrived
TIMEOUT = 30.0  # seconds without a byte
_PIECE = 64 << 10  # bytes per read from a server, which are lost if it times out
_CHUNK = 1 << 20  # bytes per read from the disk
_SCHEMES = ("http", "https", "file")


class Download(NamedTuple):
    """A complete file: its path, its address, its length in bytes, and its sha256."""

    path: Path
    address: str
    bytes: int
    sha256: str


class _Temporary(Exception):
    """A failure that may pass."""


class _Shorter(_Temporary):
    """The file at the address is shorter than the local part."""


class _Permanent(Exception):
    """A failure that a retry would repeat."""


def fetch(remote: Remote, folder: Path) -> Download:
    """Download the file into `folder`, from the first of its addresses that has it as published.

    An interrupted download, `<name>.part`, is resumed; it starts anew if the server supports no ranges, or if no hash
    is published and the file at the address has changed. Length, sha256 and md5 are compared where they are published.
    Raises `InputError` for addresses other than http, https and file, and for a disk that is too small; and `RunError`,
    with the reason for each address, if none has the file.
    """
    for address in remote.addresses:
        if urllib.parse.urlsplit(address).scheme not in _SCHEMES:
            raise InputError(f"{remote.name}: {address} is no http, https or file address; give one of these")
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    reasons = []
    with store.lock(folder), store.reporting_full_disk(folder, remote.name):
        if target.exists():
            with suppress(_Permanent):  # another file, which is now deleted
                return _check(remote, target, target, " or ".join(remote.addresses))
        for address in remote.addresses:
            try:
                _download(remote, address, part)
                return _check(remote, part, target, address)
            except (_Permanent, _Temporary) as reason:
                reasons.append(f"{address} {reason}")
    raise RunError(
        f"{remote.name} could not be downloaded: {'; '.join(reasons)}; try again later, or download it by hand and "
        "give it with --from"
    )


def _download(remote: Remote, address: str, part: Path) -> None:
    """Append to `part` what it lacks of the file at an address; retry as long as bytes arrive."""
    farthest, tries = 0, 0
    while True:
        try:
            return _attempt(remote, address, part)
        except _Temporary as reason:
            size = part.stat().st_size if part.exists() else 0
            tries = 1 if size > farthest else tries + 1
            farthest = max(size, farthest)
            if tries > len(WAITS):
                raise _Temporary(f"{reason}, also after retries") from reason
            time.sleep(WAITS[tries - 1])


def _attempt(remote: Remote, address: str, part: Path) -> None:
    if part.exists() and part.stat().st_size == remote.bytes:
        return
    offset, headers = _resume_request(remote, address, part)
    try:
        answer = _open(remote, address, headers)
    except _Shorter:
        _delete(part)
        raise
    with answer:
        start, total = _range(answer, offset)
        if total is not None and remote.bytes not in (None, total):
            _delete(part)
            raise _Permanent(f"has a file of {total:,} bytes, expected {remote.bytes:,}")
        length = remote.bytes or total
        store.check_room(part.parent, remote.name, (length or 0) - start)
        if not start:
            tag, date = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
            version = date if tag is None or tag.startswith("W/") else tag  # a weak tag does not identify every byte
            write_text(_note(part), json.dumps({"address": address, "version": version}))
        with open(part, "r+b" if start else "wb") as file, progress.bar(remote.name, length, "bytes") as advance:
            size = file.seek(start)
            advance(start)
            while (data := _read_piece(answer)) and (length is None or size <= length):
                file.write(data)
                size += len(data)
                advance(len(data))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and size < total:
        raise _Temporary(f"was interrupted after {part.stat().st_size:,} of {total:,} bytes")


def _resume_request(remote: Remote, address: str, part: Path) -> tuple[int, dict[str, str]]:
    """How many bytes of `part` can be used, and the headers of a request for the rest."""
    # The last byte is requested again, since servers refuse an empty range, which a complete part would need.
    offset = part.stat().st_size - 1 if part.exists() else 0
    if offset < 1 or offset >= (remote.bytes or offset + 1):
        return 0, {}
    if remote.sha256 or remote.md5:  # the hash will reveal any damage
        return offset, {"Range": f"bytes={offset}-"}
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        if note["address"] == address and note["version"]:
            return offset, {"Range": f"bytes={offset}-", "If-Range": note["version"]}
    return 0, {}


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    _note(path).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    """The file with the address and the version that a part is of."""
    return part.with_name(f"{part.name}.json")


def _open(remote: Remote, address: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    """The response with the file, after redirects."""
    answer = _answer(address, headers)
    if answer.headers.get_content_type() == "text/html" and not remote.name.endswith((".html", ".htm")):
        answer.close()
        raise _Permanent("shows a page instead of the file: open it in a browser, and save the file from there")
    if address.startswith("https:") and not answer.url.startswith("https:"):
        answer.close()
        raise _Permanent("redirects to an address without https")
    return answer


def _answer(address: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(address, headers={"User-Agent": "equipoise", **headers})
    opener = urllib.request.OpenerDirector()  # urllib's default would also open ftp: and data:
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.FileHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    try:
        return cast(http.client.HTTPResponse, opener.open(request, timeout=TIMEOUT))
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"answers {error.code} {error.reason}"
        if error.code == 416:
            raise _Shorter(reason) from error
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _Temporary(reason) from error
        raise _Permanent(reason) from error
    except (OSError, http.client.HTTPException) as error:
        reason = f"cannot be reached ({getattr(error, 'reason', error)})"
        raise (_Permanent if address.startswith("file:") else _Temporary)(reason) from error


def _range(answer: http.client.HTTPResponse, offset: int) -> tuple[int, int | None]:
    """The first byte of the body, 0 if the server ignores ranges, and the length of the whole file."""
    if answer.status != 206:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != offset:
        raise _Permanent(f"sends another range than requested ({answer.headers.get('Content-Range')})")
    return offset, int(match[2]) if match[2] != "*" else None


def _read_piece(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise _Temporary(f"was interrupted ({error!r})") from error


def _check(remote: Remote, path: Path, target: Path, address: str) -> Download:
    """Move the file at `path` to `target` if it is the published one; otherwise delete it."""
    size = path.stat().st_size
    if remote.bytes not in (None, size):
        _delete(path)
        raise _Permanent(f"gave {size:,} bytes, expected {remote.bytes:,}")
    file_hashes = hashes(path)
    for kind, hash_ in differences(remote, file_hashes).items():
        _delete(path)
        raise _Permanent(f"gave a file whose {kind} is {file_hashes[kind]}, expected {hash_}")
    os.replace(path, target)
    _note(path).unlink(missing_ok=True)
    return Download(target, address, size, file_hashes["sha256"])


def differences(remote: Remote, file_hashes: Mapping[str, str]) -> dict[str, str]:
    """The published hashes of a file, by their kind, from which those of a file differ."""
    published = {"sha256": remote.sha256, "md5": remote.md5}
    return {kind: hash_ for kind, hash_ in published.items() if hash_ and file_hashes[kind] != hash_.lower()}


def hashes(path: Path) -> dict[str, str]:
    """The sha256 and md5 of a file, in hexadecimal digits."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file, progress.bar(f"checking {path.name}", path.stat().st_size, "bytes") as advance:
        while data := file.read(_CHUNK):
            sha256.update(data)
            md5.update(data)
            advance(len(data))
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}
