"""Files fetched from a server of this machine that breaks off, lies, redirects or sends something else."""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.server import Get, Handler, Server

from equipoise.data import download
from equipoise.data.dataset import Remote
from equipoise.errors import InputError, RunError

BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def one(server: Server, answer: Get, **published: Any) -> Remote:
    """A file at one address."""
    server.answers["/x"] = answer
    return Remote("file.bin", (server.address(),), **published)


def only(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name != ".lock")


PUBLISHED = [
    {},
    {"bytes": len(BODY)},
    {"sha256": SHA256.upper()},
    {"md5": MD5},
    {"bytes": len(BODY), "sha256": SHA256, "md5": MD5},
]


@pytest.mark.parametrize("published", PUBLISHED)
def test_a_file_is_fetched_and_the_sha256_seen_is_told(
    published: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    remote = one(server, lambda get: get.send(200, BODY), **published)
    found = download.fetch(remote, tmp_path / "new" / "folder")
    assert found == (tmp_path / "new" / "folder" / "file.bin", server.address(), len(BODY), SHA256)
    assert found.path.read_bytes() == BODY
    assert only(found.path.parent) == ["file.bin"]


def test_what_was_fetched_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send(200, BODY), sha256=SHA256)
    download.fetch(remote, tmp_path)
    assert download.fetch(remote, tmp_path).sha256 == SHA256
    assert len(server.asked) == 1
    (tmp_path / "file.bin").write_bytes(b"something else")
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert len(server.asked) == 2


@pytest.mark.parametrize("published", PUBLISHED)
def test_a_server_that_breaks_off_again_and_again_is_asked_for_the_rest(
    published: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    remote = one(server, lambda get: get.send_range(BODY, 40_000, ETag='"1"'), **published)
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert server.ranges() == [None, *(f"bytes={39_999 * k}-" for k in range(1, 8))]


def test_a_silent_server_is_left_after_a_while_and_asked_again(server: Server, tmp_path: Path) -> None:
    held = threading.Event()

    def stall(get: Handler) -> None:
        if get.asked_from():
            get.send_range(BODY, ETag='"1"')
            return
        get.send_response(200)
        get.send_header("Content-Length", str(len(BODY)))
        get.send_header("ETag", '"1"')
        get.end_headers()
        get.wfile.write(BODY[:100_000])
        get.wfile.flush()
        held.wait(20)
        get.close_connection = True

    found = download.fetch(one(server, stall), tmp_path)
    held.set()
    assert found.path.read_bytes() == BODY
    assert server.ranges() == [None, f"bytes={(64 << 10) - 1}-"]


def test_an_interrupted_fetch_goes_on_in_the_next_call(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send_range(BODY, 100_000 if not get.asked_from() else 0, ETag='"1"'))
    with pytest.raises(RunError, match="was interrupted after 100,000 of 300,000 bytes"):
        download.fetch(remote, tmp_path)
    server.asked.clear()
    server.answers["/x"] = lambda get: get.send_range(BODY, ETag='"1"')
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert server.ranges() == ["bytes=99999-"]


def test_without_a_hash_a_file_that_has_changed_since_is_fetched_from_its_beginning(
    server: Server, tmp_path: Path
) -> None:
    other = bytes(reversed(BODY))
    remote = one(server, lambda get: get.send_range(other, 100_000 if not get.asked_from() else 0, ETag='"old"'))
    with pytest.raises(RunError):
        download.fetch(remote, tmp_path)
    server.answers["/x"] = lambda get: get.send_range(BODY, ETag='"new"')
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_hash_and_without_a_version_nothing_is_pieced_together(
    headers: dict[str, str], server: Server, tmp_path: Path
) -> None:
    remote = one(server, lambda get: get.send_range(BODY, None if len(server.asked) > 1 else 100_000, **headers))
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert server.ranges() == [None, None]


def test_a_server_that_ignores_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    def whole(get: Handler) -> None:
        get.send(200, BODY[:100_000] if len(server.asked) == 1 else BODY, len(BODY))

    assert download.fetch(one(server, whole, sha256=SHA256), tmp_path).path.read_bytes() == BODY
    assert server.ranges() == [None, "bytes=99999-"]


def test_a_server_that_sends_another_range_is_not_believed(server: Server, tmp_path: Path) -> None:
    def shifted(get: Handler) -> None:
        if get.asked_from():
            get.send(206, BODY[5:], Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")
        else:
            get.send(200, BODY[:1000], len(BODY))

    with pytest.raises(RunError, match=r"another range than requested \(bytes 5-299999/300000\)"):
        download.fetch(one(server, shifted, sha256=SHA256), tmp_path)
    assert "file.bin" not in only(tmp_path)


def test_another_length_than_published_is_refused_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send(200, BODY), bytes=299_999)
    with pytest.raises(RunError, match="has a file of 300,000 bytes, expected 299,999"):
        download.fetch(remote, tmp_path)
    assert only(tmp_path) == []


def test_a_length_that_is_never_reached_is_given_up_with_both_numbers(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send(200, BODY[:-1], len(BODY)), bytes=len(BODY), sha256=SHA256)
    with pytest.raises(RunError, match="was interrupted after 299,999 of 300,000 bytes, also after retries"):
        download.fetch(remote, tmp_path)
    assert server.ranges() == [None] + ["bytes=299998-"] * 3


def test_a_length_that_hides_the_end_of_the_file_is_noticed(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send(200, BODY, 299_000), sha256=SHA256)
    with pytest.raises(RunError, match=f"whose sha256 is .*, expected {SHA256}"):
        download.fetch(remote, tmp_path)
    assert only(tmp_path) == []


def test_a_body_of_unknown_length_is_read_to_its_end_and_no_further_than_published(
    server: Server, tmp_path: Path
) -> None:
    def endless(get: Handler) -> None:
        get.send_response(200)
        get.send_header("Connection", "close")
        get.end_headers()
        try:
            for _ in range(100 if get.path == "/x" else 1):
                get.wfile.write(BODY)
        except OSError:  # it was hung up on
            pass
        get.close_connection = True

    server.answers["/once"] = endless
    assert download.fetch(Remote("a", (server.address("/once"),)), tmp_path).path.read_bytes() == BODY
    with pytest.raises(RunError, match=r"gave \d[\d,]* bytes, expected 300,000") as refused:
        download.fetch(one(server, endless, bytes=len(BODY)), tmp_path)
    given = re.search(r"gave ([\d,]+) bytes", str(refused.value))
    assert given is not None
    assert int(given[1].replace(",", "")) < 3 * (1 << 20)


def test_a_part_that_is_whole_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send_range(BODY, ETag='"1"'))
    (tmp_path / "file.bin.part").write_bytes(BODY)
    (tmp_path / "file.bin.part.json").write_text(json.dumps({"address": server.address(), "version": '"1"'}))
    assert download.fetch(remote, tmp_path).sha256 == SHA256
    assert server.ranges() == ["bytes=299999-"]
    (tmp_path / "file.bin").rename(tmp_path / "file.bin.part")
    assert download.fetch(Remote("file.bin", remote.addresses, len(BODY)), tmp_path).sha256 == SHA256
    assert len(server.asked) == 1


@pytest.mark.parametrize("published", [{"sha256": SHA256}, {"bytes": len(BODY), "md5": MD5}])
def test_a_part_that_is_longer_than_the_file_is_thrown_away(
    published: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY + b"more")
    remote = one(server, lambda get: get.send_range(BODY), **published)
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY


@pytest.mark.parametrize(("kind", "published"), [("sha256", SHA256), ("md5", MD5)])
def test_other_bytes_are_deleted_and_both_hashes_named(
    kind: str, published: str, server: Server, tmp_path: Path
) -> None:
    other = BODY[:-1] + b"?"
    remote = one(server, lambda get: get.send(200, other), bytes=len(BODY), **{kind: published})
    seen = hashlib.new(kind, other).hexdigest()
    with pytest.raises(RunError, match=f"a file whose {kind} is {seen}, expected {published}"):
        download.fetch(remote, tmp_path)
    assert only(tmp_path) == []


def test_the_next_address_is_asked_when_one_does_not_have_the_file(server: Server, tmp_path: Path) -> None:
    server.answers |= {
        "/gone": lambda get: get.send(404),
        "/other": lambda get: get.send(200, b"other" * 60_000),
        "/half": lambda get: get.send_range(BODY, 1000 if not get.asked_from() else 0),
        "/rest": lambda get: get.send_range(BODY),
    }
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
    addresses = (nobody, *map(server.address, ("/gone", "/other", "/half", "/rest")))
    found = download.fetch(Remote("file.bin", addresses, sha256=SHA256), tmp_path)
    assert found.address == server.address("/rest")
    assert found.path.read_bytes() == BODY
    assert server.asked[-1] == ("/rest", "bytes=999-")


def test_without_a_hash_files_of_different_addresses_are_not_pieced_together(server: Server, tmp_path: Path) -> None:
    server.answers |= {
        "/half": lambda get: get.send_range(BODY, 1000 if not get.asked_from() else 0, ETag='"1"'),
        "/whole": lambda get: get.send_range(BODY, ETag='"1"'),
    }
    remote = Remote("file.bin", (server.address("/half"), server.address("/whole")))
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert server.asked[-1] == ("/whole", None)


def test_when_no_address_gives_the_file_each_reason_is_told(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/gone": lambda get: get.send(404), "/busy": lambda get: get.send(503)}
    remote = Remote("file.bin", (server.address("/gone"), server.address("/busy")))
    with pytest.raises(RunError) as refused:
        download.fetch(remote, tmp_path)
    said = str(refused.value)
    assert f"{server.address('/gone')} answers 404 Not Found; {server.address('/busy')} answers 503" in said
    assert said.endswith("try again later, or download it by hand and give it with --from")
    assert [path for path, _ in server.asked] == ["/gone"] + ["/busy"] * 4


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_that_is_busy_is_asked_again(code: int, server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send(200, BODY) if len(server.asked) > 2 else get.send(code))
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert len(server.asked) == 3


def test_redirects_are_followed_but_not_into_this_machine(server: Server, tmp_path: Path) -> None:
    server.answers["/plain"] = lambda get: get.send(200, BODY)
    remote = one(server, lambda get: get.send(302, Location="/plain"), sha256=SHA256)
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for target in (secret.as_uri(), "ftp://127.0.0.1/x", "data:,x"):
        server.answers["/x"] = lambda get, target=target: get.send(302, Location=target)
        with pytest.raises(RunError, match="could not be downloaded"):
            download.fetch(Remote("other.bin", (server.address(),)), tmp_path)
        assert "other.bin" not in only(tmp_path)
    server.answers["/x"] = lambda get: get.send(302, Location="/x")
    with pytest.raises(RunError, match="answers 302"):
        download.fetch(Remote("other.bin", (server.address(),)), tmp_path)


@pytest.mark.parametrize(
    "page", ["<html>Quota exceeded</html>", '<html><form id="download-form" action="/x"></form></html>']
)
def test_a_page_in_place_of_the_file_is_refused_and_it_is_said_what_to_do(
    page: str, server: Server, tmp_path: Path
) -> None:
    remote = one(server, lambda get: get.send(200, page.encode(), Content_Type="text/html"))
    with pytest.raises(RunError, match=r"a page instead of the file: open it in a browser.*--from"):
        download.fetch(remote, tmp_path)
    assert only(tmp_path) == []


def test_a_file_of_this_machine_can_be_an_address(tmp_path: Path) -> None:
    (tmp_path / "my file.bin").write_bytes(BODY)
    address = (tmp_path / "my file.bin").as_uri()
    found = download.fetch(Remote("copy.bin", (address,), sha256=SHA256), tmp_path / "to")
    assert found.path.read_bytes() == BODY
    with pytest.raises(RunError, match="cannot be reached"):
        download.fetch(Remote("other.bin", (address + "x",)), tmp_path / "to")


@pytest.mark.parametrize("address", ["ftp://example.org/x", "data:,x", "x.npz", "/etc/passwd"])
def test_other_kinds_of_address_are_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no http, https or file address"):
        download.fetch(Remote("x", (address,)), tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_disk_that_is_too_small_is_said_before_the_fetch(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send(200, b"", 10**18))
    with pytest.raises(InputError, match=r"file.bin needs 1,000,000,000\.0 GB"):
        download.fetch(remote, tmp_path)
    assert only(tmp_path) == []


def test_what_is_kept_of_a_part_is_which_version_it_is_of(server: Server, tmp_path: Path) -> None:
    remote = one(server, lambda get: get.send_range(BODY, 10 if not get.asked_from() else 0, ETag='"1"'))
    with pytest.raises(RunError):
        download.fetch(remote, tmp_path)
    assert only(tmp_path) == ["file.bin.part", "file.bin.part.json"]
    assert json.loads((tmp_path / "file.bin.part.json").read_text()) == {"address": server.address(), "version": '"1"'}
    (tmp_path / "file.bin.part.json").write_text("torn")
    server.answers["/x"] = lambda get: get.send_range(BODY, ETag='"1"')
    assert download.fetch(remote, tmp_path).path.read_bytes() == BODY
    assert server.ranges()[-1] is None
