"""Scratch repositories for the tests of the git room: any object format, any bytes in paths."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from trainwarden.git import open_source
from trainwarden.model import FilePair, Request, Unread

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}

Contents = Mapping[str, "str | bytes | None"]


def run(path: Path, *words: str, stdin: bytes = b"", **extra: str) -> str:
    """Standard output of a git command in ``path``, stripped; raises when it fails."""
    done = subprocess.run(
        ["git", *words], cwd=path, input=stdin, env=ENVIRONMENT | extra, capture_output=True, check=True
    )
    return done.stdout.decode("utf-8", "surrogateescape").strip()


class Scratch:
    """A repository with a worktree at ``path``; paths are surrogateescape-decoded, None removes a file."""

    def __init__(self, path: Path, object_format: str = "sha1") -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", f"--object-format={object_format}")

    def git(self, *words: str, stdin: bytes = b"", **extra: str) -> str:
        return run(self.path, *words, stdin=stdin, **extra)

    def write(self, contents: Contents) -> None:
        for name, data in contents.items():
            target = self.path / name
            if data is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.encode() if isinstance(data, str) else data)

    def commit(self, contents: Contents, message: str = "work") -> str:
        self.write(contents)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, tree: str, *parents: str) -> str:
        options = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *options, "-m", "made by hand")

    def request(self, kind: str, **fields: object) -> Request:
        return Request(str(self.path), kind, **fields)  # type: ignore[arg-type]


def items(request: Request) -> list[FilePair | Unread]:
    """Everything the source of a request yields."""
    source = open_source(request)
    try:
        return list(source.pairs())
    finally:
        source.close()


def brief(request: Request) -> list[tuple[object, ...]]:
    """The same as short rows: (old path or None, new path or None, copied), or (path, reason)."""
    return [_row(item) for item in items(request)]


def _row(item: FilePair | Unread) -> tuple[object, ...]:
    if isinstance(item, Unread):
        return item.path, item.reason
    return item.before and item.before.path, item.after and item.after.path, item.copied
