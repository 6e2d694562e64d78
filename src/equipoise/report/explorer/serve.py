"""A server of the explorer page, for a browser on this machine or at the other end of an SSH tunnel."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from equipoise.errors import InputError

HERE = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def check_port(port: int) -> None:
    """Raise `InputError` unless the number is in 0..65535."""
    if not 0 <= port < 2**16:
        raise InputError(f"port {port} does not exist; give one from 1024 to 65535")


def serve(path: Path, port: int) -> None:
    """Serve the file `path` on 127.0.0.1 until Ctrl-C. Raises `InputError` where the port cannot be used."""
    with server(path, port) as running:
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return


def server(path: Path, port: int) -> ThreadingHTTPServer:
    """Return a server on 127.0.0.1 of the present content of `path`, at / and under its name.

    It reads no file while it runs. It refuses requests for a host name other than those of this machine, because a
    foreign page could otherwise read it through DNS rebinding. `port` 0 takes a free port. Raises `InputError` where
    the port is out of range or in use.
    """
    check_port(port)
    body, name = path.read_bytes(), path.name

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Send the page, or for HEAD only its head."""
            host = self.headers.get("Host", "")
            if host.rpartition(":")[0] not in HERE and host not in HERE:  # a tunnel may change the port
                self.send_error(403, "only for this machine")
            elif urlsplit(self.path).path not in ("/", f"/{name}"):
                self.send_error(404)
            else:
                self.send_response(200)
                for header, value in (HEADERS | {"Content-Length": str(len(body))}).items():
                    self.send_header(header, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Page)
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}); give another with --port") from None
