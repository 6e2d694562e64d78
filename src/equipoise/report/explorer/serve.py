"""The page over HTTP, for a browser on this machine or at the other end of a tunnel."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from equipoise.errors import InputError

PORT = 8642
HERE = ("127.0.0.1", "localhost", "[::1]")


def serve(path: Path, port: int = PORT) -> None:
    """Serve the one file `path` on the loopback until it is interrupted (Ctrl-C); raises `InputError` as `server`."""
    with server(path, port) as running:
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return


def server(path: Path, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 that gives out what `path` holds now, at / and under its name, and nothing else.

    It reads no file once it runs, and answers only who asks for it by a name of this machine: another name that leads
    here (DNS rebinding) would let a foreign page read it. `port` 0 takes a free one. Raises `InputError` when the port
    is taken or none.
    """
    if not 0 <= port < 2**16:
        raise InputError(f"port {port} does not exist; give one from 1024 to 65535")
    body, name = path.read_bytes(), path.name

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._answer():
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self._answer()

        def _answer(self) -> bool:
            """Send the head of the page, or an error; whether it is the page."""
            host = self.headers.get("Host", "")
            if host.rpartition(":")[0] not in HERE and host not in HERE:  # a tunnel may have any port at its other end
                self.send_error(403, "only for this machine")
                return False
            if urlsplit(self.path).path not in ("/", f"/{name}"):
                self.send_error(404)
                return False
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            return True

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what is asked for is known."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Page)
    except OSError as error:
        raise InputError(f"port {port} cannot be had ({error.strerror}); give another with --port") from None
