"""Builds the demo's repository: a small trainer with five commits on main and a branch for each pull request.

Comes in: an empty directory. Goes out: a git repository in it, the same objects on every run. The material
beside this file is plain text: ``base/`` is the tree of the first commit, ``history/`` the later commits of
main, ``changes/`` the commits of each branch, and ``changes.toml`` says what the branches are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAINTAINERS = ("Quill Maintainers", "quill@example.org", "2026-03-02T10:00:00+0000")


@dataclass(frozen=True, slots=True)
class Line:
    """A sabotaged line of the head, by the beginning of its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A pull request of the demo. ``act`` says what it replays, or is empty for an honest one."""

    branch: str
    act: str = ""
    lines: tuple[Line, ...] = ()


def changes() -> tuple[Change, ...]:
    """The pull requests, acts first."""
    rows = tomllib.loads((HERE / "changes.toml").read_text())["change"]
    return tuple(
        Change(row["branch"], row.get("act", ""), tuple(Line(**line) for line in row.get("lines", ())))
        for row in rows
    )


def build(directory: Path) -> None:
    """Writes the repository into ``directory``, which must not exist or be empty."""
    shutil.copytree(HERE / "base", directory, dirs_exist_ok=True)
    _git(directory, "init", "--quiet", "--initial-branch=main")
    _git(directory, "add", "--all")
    _git(directory, "commit", "--quiet", "--message", "Train a small GPT on token shards")
    for patch in sorted((HERE / "history").glob("*.patch")):
        _apply(directory, patch)
    for change in changes():
        _git(directory, "checkout", "--quiet", "-b", change.branch, "main")
        _apply(directory, HERE / "changes" / f"{change.branch}.patch")
    _git(directory, "checkout", "--quiet", "main")


def head_lines(directory: Path, change: Change) -> list[tuple[str, int]]:
    """Path and number of each sabotaged line. Raises ``LookupError`` unless a text occurs exactly once."""
    return [(line.path, _number(directory, change.branch, line)) for line in change.lines]


def _number(directory: Path, branch: str, line: Line) -> int:
    text = _git(directory, "show", f"{branch}:{line.path}")
    numbers = [number for number, row in enumerate(text.split("\n"), start=1) if row.startswith(line.text)]
    if len(numbers) != 1:
        raise LookupError(f"{line.text!r} occurs {len(numbers)} times in {line.path} of {branch}")
    return numbers[0]


def _apply(directory: Path, patch: Path) -> None:
    _git(directory, "am", "--quiet", "--committer-date-is-author-date", str(patch))


def _git(directory: Path, *arguments: str) -> str:
    # The person's own git configuration (signing, hooks, templates) must not reach into the demo.
    name, mail, date = MAINTAINERS
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": mail,
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": mail,
        "GIT_COMMITTER_DATE": date,
    }
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
