"""Real git repositories behind a real git server: `git http-backend` with token authentication, on loopback.

Commits are made by `git fast-import`, so that a test can have thousands of files in no time.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass(frozen=True)
class Person:
    """An author; GitHub knows the address of whoever has an account."""

    login: str
    account: bool = True
    address: str = ""

    @property
    def email(self) -> str:
        return self.address or f"{self.login}@example.org"


ALICE, BOB, EVE, MALLORY = Person("alice"), Person("bob"), Person("eve"), Person("mallory")


@dataclass
class HostedRepository:
    """A bare repository on the server side, and what GitHub would know about it."""

    id: int
    owner: str
    name: str
    path: Path
    default_branch: str = "main"
    protected: set[str] = field(default_factory=lambda: {"main"})
    serial: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @staticmethod
    def create(number: int, root: Path, full_name: str) -> HostedRepository:
        owner, name = full_name.split("/")
        path = root / owner / f"{name}.git"
        path.mkdir(parents=True)
        repository = HostedRepository(number, owner, name, path)
        repository.git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant", "http.receivepack"):
            repository.git("config", setting, "false" if setting == "http.receivepack" else "true")
        return repository

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=ENVIRONMENT, input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "replace").strip()

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes | None],
        *,
        parent: str | None = None,
        author: Person = ALICE,
        committer: Person | None = None,
        message: str = "Change",
        orphan: bool = False,
    ) -> str:
        """Commit files (None deletes) onto a branch, from ``parent`` or the branch's tip; the new name."""
        self.serial += 1
        made_by = committer or author
        when = 1_700_000_000 + self.serial
        text = message.encode()
        parts = [
            f"commit refs/heads/{branch}\n".encode(),
            f"author {author.login} <{author.email}> {when} +0000\n".encode(),
            f"committer {made_by.login} <{made_by.email}> {when} +0000\n".encode(),
            f"data {len(text)}\n".encode() + text + b"\n",
        ]
        start = parent or (None if orphan else self.tip(branch))
        if start:
            parts.append(f"from {start}\n".encode())
        elif orphan:
            parts.append(b"deleteall\n")
        for path, content in files.items():
            parts.append(_file(path, content))
        self.git("fast-import", "--quiet", "--force", stdin=b"".join(parts) + b"done\n")
        return self.git("rev-parse", f"refs/heads/{branch}")

    def tip(self, branch: str) -> str | None:
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None

    def merge(self, branch: str, one: str, other: str) -> str:
        """A merge commit with the tree of ``other``."""
        environment = {**ENVIRONMENT, "GIT_AUTHOR_NAME": "m", "GIT_AUTHOR_EMAIL": "m@example.org"}
        environment |= {"GIT_COMMITTER_NAME": "m", "GIT_COMMITTER_EMAIL": "m@example.org"}
        done = subprocess.run(
            ["git", "commit-tree", f"{other}^{{tree}}", "-p", one, "-p", other, "-m", "Merge"],
            cwd=self.path, env=environment, capture_output=True, check=True,
        )  # fmt: skip
        name = done.stdout.decode().strip()
        self.git("update-ref", f"refs/heads/{branch}", name)
        return name


def _file(path: str, content: str | bytes | None) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if content is None:
        return f"D {quoted}\n".encode()
    mode = "100644"
    if isinstance(content, str) and content.startswith("link:"):
        mode, content = "120000", content.removeprefix("link:")
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return f"M {mode} inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"


def serve_git(handler: BaseHTTPRequestHandler, root: Path, body: bytes) -> int:
    """Answer one smart-HTTP request through ``git http-backend`` (CGI); the status."""
    path, _, query = handler.path.partition("?")
    environment = {
        **ENVIRONMENT,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": handler.command,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_USER": "x-access-token",
        "REMOTE_ADDR": "127.0.0.1",
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
    )
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200 OK").split(" ")[0])
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(rest)))
    handler.end_headers()
    handler.wfile.write(rest)
    return status


def token_of(handler: BaseHTTPRequestHandler) -> str:
    """The token shown to the git server (HTTP basic, user ``x-access-token``), empty if none."""
    header = handler.headers.get("Authorization", "")
    if not header.startswith("Basic "):
        return ""
    user, _, password = base64.b64decode(header[6:]).decode().partition(":")
    return password if user == "x-access-token" else ""
