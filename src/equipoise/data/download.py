"""Files that are fetched: resumed where they broke off, and checked before anything reads them."""

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
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple, cast

from equipoise import progress
from equipoise.data import store
from equipoise.data.dataset import Remote
from equipoise.errors import InputError, RunError
from equipoise.files import write_text

WAITS = (1.0, 2.0, 4.0)  # seconds before an address that failed is asked again, unless more had come than ever before
TIMEOUT = 30.0  # seconds without a byte
_PIECE = 64 << 10  # bytes read in one go from a server: what is lost when it falls silent
_CHUNK = 1 << 20  # bytes read in one go from the disk
_SCHEMES = ("http", "https", "file")


class Fetched(NamedTuple):
    """A file that is whole: where it lies, where it came from, its bytes, and the sha256 they have."""

    path: Path
    address: str
    bytes: int
    sha256: str


class _Broken(Exception):
    """Why it failed this time."""


class _Shorter(_Broken):
    """The file there ends before the part that is here."""


class _Refused(Exception):
    """Why it would fail every time."""


def fetch(remote: Remote, folder: Path) -> Fetched:
    """The file in `folder`, fetched from the first of its addresses that gives it as published.

    What a broken connection left, in `<name>.part`, is completed; from its beginning where the server sends no ranges,
    or where no hash is published and the file at the address has changed since. Length, sha256 and md5 are compared as
    far as they are published. InputError for addresses other than http, https and file, and for a disk that is too
    small; RunError, with the reason of each address, when none gives the file.
    """
    for address in remote.addresses:
        if urllib.parse.urlsplit(address).scheme not in _SCHEMES:
            raise InputError(f"{remote.name}: {address} is no http, https or file address; give one of these")
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    reasons = []
    with store.alone(folder), store.filling(folder, remote.name):
        if target.exists():
            try:
                return _checked(remote, target, target, " or ".join(remote.addresses))
            except _Refused:  # what was there is deleted
                pass
        for address in remote.addresses:
            try:
                _download(remote, address, part)
                return _checked(remote, part, target, address)
            except (_Refused, _Broken) as why:
                reasons.append(f"{address} {why}")
    raise RunError(
        f"{remote.name} could not be fetched: {'; '.join(reasons)}; try again later, or fetch it by hand and name it "
        "with --from"
    )


def _download(remote: Remote, address: str, part: Path) -> None:
    """Append to `part` what it lacks of the file at an address, asked again and again while more comes of it."""
    farthest, tries = 0, 0
    while True:
        try:
            return _attempt(remote, address, part)
        except _Broken as why:
            size = part.stat().st_size if part.exists() else 0
            tries = 1 if size > farthest else tries + 1
            farthest = max(size, farthest)
            if tries > len(WAITS):
                raise _Broken(f"{why}, also when asked again") from why
            time.sleep(WAITS[tries - 1])


def _attempt(remote: Remote, address: str, part: Path) -> None:
    if part.exists() and part.stat().st_size == remote.bytes:
        return
    have, headers = _to_resume(remote, address, part)
    try:
        answer = _opened(remote, address, headers)
    except _Shorter:
        _drop(part)
        raise
    with answer:
        start, total = _span(answer, have)
        if total is not None and remote.bytes not in (None, total):
            _drop(part)
            raise _Refused(f"has a file of {total:,} bytes, expected {remote.bytes:,}")
        most = remote.bytes or total
        store.check_room(part.parent, remote.name, (most or 0) - start)
        if not start:
            tag, date = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
            version = date if tag is None or tag.startswith("W/") else tag  # a weak tag does not vouch for each byte
            write_text(_note(part), json.dumps({"address": address, "version": version}))
        with open(part, "r+b" if start else "wb") as file, progress.bar(remote.name, most, "bytes") as advance:
            size = file.seek(start)
            advance(start)
            while (data := _some(answer)) and (most is None or size <= most):
                file.write(data)
                size += len(data)
                advance(len(data))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and size < total:
        raise _Broken(f"broke off after {part.stat().st_size:,} of {total:,} bytes")


def _to_resume(remote: Remote, address: str, part: Path) -> tuple[int, dict[str, str]]:
    """How many bytes in `part` can be kept, and the headers that ask for those behind them."""
    # The last byte is asked for again: for none, which is right when the part is whole, a server has no answer.
    have = part.stat().st_size - 1 if part.exists() else 0
    if have < 1 or have >= (remote.bytes or have + 1):
        return 0, {}
    if remote.sha256 or remote.md5:  # whatever is wrong with it will be seen
        return have, {"Range": f"bytes={have}-"}
    try:
        held = json.loads(_note(part).read_text(encoding="utf-8"))
        if held["address"] == address and held["version"]:
            return have, {"Range": f"bytes={have}-", "If-Range": held["version"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, {}


def _drop(path: Path) -> None:
    path.unlink(missing_ok=True)
    _note(path).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    """Where it is kept which version of which file a part is of."""
    return part.with_name(f"{part.name}.json")


def _opened(remote: Remote, address: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    """The answer whose body is the file: behind redirects, and behind the page on which Google Drive asks once more."""
    answer = _answer(address, headers)
    if answer.headers.get_content_type() == "text/html" and not remote.name.endswith((".html", ".htm")):
        page = _Form()
        with answer:
            page.feed(answer.read(_CHUNK).decode(errors="replace"))
        # Files that are too large to be scanned for viruses are behind a form of this name (Google Drive, 2024).
        if page.action:
            target = urllib.parse.urljoin(answer.url, page.action)
            answer = _answer(f"{target}?{urllib.parse.urlencode(page.fields)}", headers)
        if answer.headers.get_content_type() == "text/html":
            answer.close()
            raise _Refused("shows a page instead of the file: open it in a browser, and save the file from there")
    if address.startswith("https:") and not answer.url.startswith("https:"):
        answer.close()
        raise _Refused("leads to an address without https")
    return answer


class _Form(HTMLParser):
    """The form with the id `download-form` of a page: where it leads, and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and found.get("id") == "download-form":
            self.action = found.get("action", "")
        elif tag == "input" and self.action and found.get("type") == "hidden":
            self.fields[found.get("name", "")] = found.get("value", "")


def _answer(address: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(address, headers={"User-Agent": "equipoise", **headers})
    opener = urllib.request.OpenerDirector()  # with no more than this: urllib's own would also follow ftp: and data:
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
        why = f"answers {error.code} {error.reason}"
        if error.code == 416:
            raise _Shorter(why) from error
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _Broken(why) from error
        raise _Refused(why) from error
    except (OSError, http.client.HTTPException) as error:
        why = f"cannot be reached ({getattr(error, 'reason', error)})"
        raise (_Refused if address.startswith("file:") else _Broken)(why) from error


def _span(answer: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """At which byte the body begins, 0 where the server ignores ranges, and how many bytes the whole file has."""
    if answer.status != 206:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise _Refused(f"sends another range than asked for ({answer.headers.get('Content-Range')})")
    return have, int(found[2]) if found[2] != "*" else None


def _some(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"broke off ({error!r})") from error


def _checked(remote: Remote, path: Path, target: Path, address: str) -> Fetched:
    """The file at `target`, if what lies at `path` is what was published; otherwise it is deleted."""
    size = path.stat().st_size
    if remote.bytes not in (None, size):
        _drop(path)
        raise _Refused(f"gave {size:,} bytes, expected {remote.bytes:,}")
    seen = digests(path)
    for kind, found, published in zip(("sha256", "md5"), seen, (remote.sha256, remote.md5), strict=True):
        if published and found != published.lower():
            _drop(path)
            raise _Refused(f"gave a file whose {kind} is {found}, expected {published}")
    os.replace(path, target)
    _note(path).unlink(missing_ok=True)
    return Fetched(target, address, size, seen[0])


def digests(path: Path) -> tuple[str, str]:
    """sha256 and md5 of a file, in hexadecimal digits."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file, progress.bar(f"checking {path.name}", path.stat().st_size, "bytes") as advance:
        while data := file.read(_CHUNK):
            sha256.update(data)
            md5.update(data)
            advance(len(data))
    return sha256.hexdigest(), md5.hexdigest()
