"""One repository, bare or with worktrees: revisions resolved, files and objects read, history listed.

Comes in: a directory. Goes out: object names, bytes, commits. Nothing here writes to the repository.
"""

from __future__ import annotations

import datetime
import os
import re
import subprocess
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainwarden.git.log import Commit, Log
from trainwarden.git.objects import MAX_BLOB, Found, Objects, Unavailable
from trainwarden.git.process import Git, clean_environment, complaint, program
from trainwarden.git.trees import EMPTY_TREE, LINK, Entry, Trees
from trainwarden.model import Misuse, Unfinished

EMPTY_WORD = "empty"

_AGO = re.compile(r"(\d{1,4}) (day|week|month|year)s? ago\Z")
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_FULL_NAME = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
_LINE_OPTIONS = ("--first-parent", "--diff-merges=first-parent", "--raw", "--no-renames", "--no-abbrev")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a repository lives: its git directory (absolute) and the width of its object names (40 or 64).

    ``granted`` are settings by which the operator allows reading it although it belongs to another user.
    """

    git_dir: str
    width: int
    granted: tuple[str, ...] = ()


class Repository:
    """A repository opened for reading. Not for use from several threads; ``close`` ends its process.

    ``path`` is a worktree (or a directory inside one) or a bare repository. ``extra`` adds environment
    variables for git, such as a scratch object directory. Raises ``Misuse`` when there is no repository that
    may be read.
    """

    def __init__(self, path: str, **extra: str) -> None:
        self.path = path
        location = _locate(path)
        self.git_dir, self.width = location.git_dir, location.width
        self.git = Git(self.git_dir, {"GIT_DIR": self.git_dir, **extra}, location.granted)
        self.objects = Objects(self.git)
        self.trees = Trees(self.objects)

    def close(self) -> None:
        """Ends the reading process. Idempotent."""
        self.objects.close()

    def rest(self) -> None:
        """Between two reviews: lets go of what was remembered for the last one, and keeps the process."""
        self.trees = Trees(self.objects)

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def empty_tree(self) -> str:
        """The name of the empty tree, which exists in every repository."""
        return EMPTY_TREE[self.width]

    def resolve(self, revision: str) -> str:
        """The full name of the commit (or tree) that ``revision`` stands for; ``empty`` is the empty tree.

        A branch called ``empty`` is meant by ``refs/heads/empty``. Raises ``Misuse`` for an unknown revision.
        """
        if revision == EMPTY_WORD:
            return self.empty_tree
        reason = "it is empty"
        for suffix in ("^{commit}", "^{tree}") if revision else ():
            found = self.objects.get(revision + suffix)
            if isinstance(found, Found):
                return found.oid
            reason = found.reason
        raise self._unknown(revision, reason)

    def is_unborn(self) -> bool:
        """Whether HEAD names a branch without commits, as in a repository just made."""
        head = self.git.run("symbolic-ref", "--quiet", "HEAD")
        branch = os.fsdecode(head.stdout.removesuffix(b"\n"))
        return head.returncode == 0 and self.git.run("show-ref", "--quiet", branch).returncode == 1

    def tree_of(self, name: str) -> str:
        """The tree of a commit or tree given by its full name. Raises ``Unfinished`` if it cannot be read."""
        if name == self.empty_tree:
            return name
        found = self.objects.get(name)
        if isinstance(found, Unavailable):
            raise Unfinished(f"{name} cannot be read: {found.reason}", "Fetch the missing objects.")
        if found.type == "tree":
            return found.oid
        line = found.data.split(b"\n", 1)[0]
        if found.type != "commit" or not line.startswith(b"tree "):
            raise Unfinished(f"{name} is a {found.type}, not a commit", "Run git fsck on the repository.")
        return line[5:].decode("ascii")

    def entry(self, revision: str, path: str) -> Entry | None:
        """What the tree of ``revision`` says about ``path``, or None when it is not there."""
        return self.trees.lookup(self.tree_of(self.resolve(revision)), path)

    def read(self, revision: str, path: str) -> bytes | None:
        """The bytes of a file at a revision, or None when it is not there. A link gives its target.

        Raises ``Unfinished`` when the file is there but its contents cannot be read.
        """
        entry = self.entry(revision, path)
        if entry is None or not (entry.is_file or entry.mode == LINK):
            return None
        data = self.blob(entry.oid)
        if isinstance(data, Unavailable):
            raise Unfinished(f"{path} cannot be read: {data.reason}", "Fetch the missing objects.")
        return data

    def blob(self, oid: str, limit: int = MAX_BLOB) -> bytes | Unavailable:
        """The contents of a blob, or why they cannot be had."""
        found = self.objects.get(oid, limit)
        if isinstance(found, Unavailable):
            return found
        return found.data if found.type == "blob" else Unavailable(f"the object is a {found.type}")

    def merge_base(self, one: str, other: str) -> str | None:
        """A best common ancestor of two commits given by their full names; None for unrelated histories."""
        done = self.git.run("merge-base", one, other)
        return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None

    def messages(self, base: str, head: str, limit: int = 1000) -> tuple[str, ...]:
        """Messages of the commits reachable from ``head`` but not from ``base``, newest first."""
        return tuple(
            commit.message for commit in self._log(f"-n{limit}", "-s", *_range(base, head, self.empty_tree))
        )

    def history(self, tip: str = "HEAD", limit: int | None = None) -> Iterator[Commit]:
        """Non-merge commits reachable from ``tip``, newest first, each with its raw changes (no renames).

        Root commits, and commits whose parents a shallow clone lacks, come without changes: what they add is
        not known to be new. Raises ``Misuse`` (unknown tip) and ``Unfinished`` (missing objects).
        """
        bound = [] if limit is None else [f"-n{limit}"]
        yield from self._log("--no-merges", "--raw", "--no-renames", "--no-abbrev", *bound, self.resolve(tip))

    def first_parent_log(self, tip: str, paths: Sequence[str], window: int) -> Log:
        """The newest ``window`` commits of the first-parent line of ``tip`` that change one of ``paths``.

        Merges are included and compared with their first parent; only changes of ``paths`` are listed,
        without renames. Git is at work when this returns. Raises ``Misuse`` (unknown tip).
        """
        end = self.resolve(tip)
        bounded = ("--ignore-missing", end, f"^{end}~{window}")  # a line may be shorter than the window
        return self._log(*_LINE_OPTIONS, *bounded, paths=paths)

    def first_parent_line(self, tip: str, limit: int) -> Generator[Commit, None, None]:
        """The newest ``limit`` commits of the first-parent line of ``tip``, with all their raw changes.

        Merges and errors as for ``first_parent_log``.
        """
        yield from self._log(*_LINE_OPTIONS, f"-n{limit}", self.resolve(tip))

    def first_parent_commits(
        self, limit: int | None = None, since: str | None = None, tip: str = "HEAD"
    ) -> list[tuple[str, str]]:
        """(parent, commit) for the non-merge commits on the first-parent line of ``tip``, newest first.

        The parent of a root commit is the empty tree. ``since`` is an ISO date (in UTC unless it says otherwise)
        or "3 weeks ago" (months of 30 days, years of 365). Commits whose parents a shallow clone lacks are left
        out: there is nothing to compare them with. Raises ``Misuse``.
        """
        options = [] if limit is None else [f"-n{limit}"]
        if since is not None:
            options.append(f"--max-age={_timestamp(since)}")
        listed = self.git.output(
            "rev-list", "--first-parent", "--no-merges", "--parents", *options, self.resolve(tip), "--"
        )
        shallow = self._shallow()
        rows = [line.split() for line in listed.decode("ascii").splitlines()]
        return [(row[1] if row[1:] else self.empty_tree, row[0]) for row in rows if row[0] not in shallow]

    def worktree(self) -> Path:
        """The top of the worktree that ``path`` lies in. Raises ``Misuse`` for a bare repository."""
        found = Git(self.path, {}, self.git.settings).run("rev-parse", "--show-toplevel")
        top = Path(os.fsdecode(found.stdout.removesuffix(b"\n")))
        if found.returncode != 0 or not found.stdout.strip():
            raise Misuse(
                f"{self.path} is not in a worktree", "Compare revisions instead: --base REV --head REV."
            )
        # core.worktree could name any directory; only one that holds the given directory is believed.
        if not Path(self.path).resolve().is_relative_to(top.resolve()):
            raise Misuse(f"the worktree of {self.path} lies elsewhere: {top}", "Unset core.worktree.")
        return top.resolve()

    def _shallow(self) -> frozenset[str]:
        common = self.git.output("rev-parse", "--git-common-dir").removesuffix(b"\n")
        file = Path(self.git_dir, os.fsdecode(common), "shallow")
        return frozenset(file.read_text("ascii").split()) if file.is_file() else frozenset()

    def _unknown(self, revision: str, reason: str) -> Misuse:
        hint = "Check the name; git rev-parse shows what a name stands for."
        if _FULL_NAME.match(revision) or self._shallow():
            hint = "It is not in this clone; fetch it first (git fetch --unshallow for a shallow clone)."
        return Misuse(f"unknown revision {revision!r}: {reason}", hint)

    def _log(self, *arguments: str, paths: Sequence[str] = ()) -> Log:
        return Log(self.git, *arguments, "--", *paths)


def _range(base: str, head: str, empty_tree: str) -> tuple[str, ...]:
    return (head,) if base == empty_tree else (head, f"^{base}")


def _timestamp(since: str) -> int:
    """Seconds since 1970. Git's own reading of dates takes what it does not understand for "now"."""
    try:
        if found := _AGO.match(since):
            days = datetime.timedelta(int(found[1]) * _DAYS[found[2]])
            moment = datetime.datetime.now(datetime.UTC) - days
        else:
            moment = datetime.datetime.fromisoformat(since)
    except (ValueError, OverflowError):
        raise Misuse(f"{since!r} is not a date", 'Write it like 2026-01-31 or "3 weeks ago".') from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return max(0, int(moment.timestamp()))


def _locate(path: str) -> Location:
    if not Path(path).is_dir():
        raise Misuse(f"{path} is not a directory", "Give the directory of a git repository with --repo.")
    arguments = ("rev-parse", "--show-object-format", "--absolute-git-dir")
    granted: tuple[str, ...] = ()
    done = Git(path).run(*arguments)
    if done.returncode != 0 and b"dubious ownership" in done.stderr:
        granted = _granted()
        done = Git(path, {}, granted).run(*arguments)
    if done.returncode != 0:
        raise _not_readable(path, done.stderr)
    object_format, git_dir = done.stdout.removesuffix(b"\n").split(b"\n", 1)
    return Location(os.fsdecode(git_dir), 64 if object_format == b"sha256" else 40, granted)


def _not_readable(path: str, stderr: bytes) -> Misuse:
    if b"dubious ownership" in stderr:
        return Misuse(
            f"{path} belongs to another user, so git does not read it",
            "Run as its owner, or allow it with git config --global --add safe.directory DIRECTORY.",
        )
    if b"not a git repository" in stderr:
        return Misuse(f"{path} is not a git repository", "Give the directory of one with --repo.")
    return Misuse(f"{path} cannot be opened: {complaint(stderr)}", "Check it with git -C DIRECTORY status.")


def _granted() -> tuple[str, ...]:
    """The operator's safe.directory settings from the user and system files, not from the environment."""
    kept = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME") if name in os.environ}
    environment = {"PATH": clean_environment()["PATH"], "LC_ALL": "C", **kept}
    values: list[str] = []
    for scope in ("--system", "--global"):
        done = subprocess.run(
            [program(), "config", scope, "--null", "--get-all", "safe.directory"],
            capture_output=True,
            cwd="/",
            env=environment,
            check=False,
        )
        values += [os.fsdecode(value) for value in done.stdout.split(b"\0")[:-1]]
    return tuple(f"safe.directory={value}" for value in values)
