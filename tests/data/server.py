"""A server of this machine that answers as a test tells it to: honestly, or not."""

import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Get = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with the function that the server has for the path."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        self.server.answers[self.path.split("?")[0]](self)

    def log_message(self, *_: object) -> None:
        pass

    def send(self, code: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        """A response; `length` is what is said of it, and the connection ends behind the body."""
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def asked_from(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))
        assert found is not None
        return int(found[1])

    def send_range(self, body: bytes, most: int | None = None, **headers: str) -> None:
        """From where it was asked to; `most` bytes of it, whatever was said."""
        start = self.asked_from()
        if "If-Range" in self.headers and self.headers["If-Range"] != headers.get("ETag"):
            start = 0
        if start >= len(body):
            self.send(416, Content_Range=f"bytes */{len(body)}")
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        part = body[start : None if most is None else start + most]
        self.send(206 if start else 200, part, len(body) - start, **headers)


class Server(ThreadingHTTPServer):
    """What it was asked for: path and range."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.answers: dict[str, Get] = {}

    def address(self, path: str = "/x") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]
