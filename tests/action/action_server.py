"""A real git server on loopback with token authentication; it remembers what was asked of it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from github_hosting import HostedRepository, serve_git, token_of

TOKEN = "ghs_the-token-of-this-job"


class Server:
    """Hosts ``octo/models``; ``requests`` are the paths asked for, with their queries."""

    def __init__(self, root: Path) -> None:
        self.repository = HostedRepository.create(1, root, "octo/models")
        self.requests: list[str] = []
        self.url = ""
        self.redirect_to = ""
        handler = type("Handler", (_Handler,), {"server_": self, "root": root})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_: Server
    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        self.server_.requests.append(self.path)
        if self.server_.redirect_to:
            self.send_response(302)
            self.send_header("Location", self.server_.redirect_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if token_of(self) == TOKEN:
            serve_git(self, self.root, body)
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""
