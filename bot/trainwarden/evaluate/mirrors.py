"""Names of repositories go in, their clones come out, opened for reading once each and never written to."""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path

from trainwarden.git import Repository
from trainwarden.git.objects import Found
from trainwarden.model import FileVersion, Misuse, Unfinished

_PARENT = re.compile(rb"^parent ([0-9a-f]+)$", re.MULTILINE)
_LAYOUTS = ("{}", "{}.git", "{}/.git", "{}/repo", "{}/repo/.git")


class Clone:
    """One clone: files, parents and first-parent line of its commits. Not for use from several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.repository = Repository(path)

    def file(self, revision: str, path: str) -> FileVersion | None:
        """The file of that path in a revision, or None. Raises ``Unfinished``, ``Misuse``."""
        entry = self.repository.entry(revision, path)
        data = self.repository.read(revision, path) if entry is not None and entry.is_file else None
        return None if entry is None or data is None else FileVersion(path, entry.mode, data)

    def parent(self, commit: str) -> str:
        """The first parent of a commit, or the empty tree of a root. Raises ``Unfinished`` for no commit."""
        found = self.repository.objects.get(commit)
        if not isinstance(found, Found) or found.type != "commit":
            raise Unfinished(f"{commit} is not a commit of {self.path}", "Fetch the repository again.")
        parents = _PARENT.findall(found.data.partition(b"\n\n")[0])
        return parents[0].decode("ascii") if parents else self.repository.empty_tree

    @functools.cached_property
    def line(self) -> tuple[str, ...]:
        """The first-parent line of HEAD, oldest first, merges included."""
        listed = self.repository.git.output("rev-list", "--first-parent", "--reverse", "HEAD", "--")
        return tuple(listed.decode("ascii").split())

    def place(self, commit: str) -> int | None:
        """Where on the line a commit first appears, itself or through a merge; None when it never does."""
        if commit in self.line:
            return self.line.index(commit)
        low, high = 0, len(self.line)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._contains(self.line[middle], commit) else (middle + 1, high)
        return low if low < len(self.line) else None

    def _contains(self, tip: str, commit: str) -> bool:
        return self.repository.git.run("merge-base", "--is-ancestor", commit, tip).returncode == 0

    def merge(self, ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
        """A three-way merge of one file's contents, None on a conflict."""
        with tempfile.TemporaryDirectory() as directory:
            paths = [Path(directory, name) for name in ("ours", "base", "theirs")]
            for path, data in zip(paths, (ours, base, theirs), strict=True):
                path.write_bytes(data)
            done = self.repository.git.run("merge-file", "--stdout", "--quiet", *map(str, paths))
        return done.stdout if done.returncode == 0 else None


class Mirrors:
    """The folder of clones, each named ``owner+name`` or as ``_LAYOUTS`` says."""

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            raise Misuse(f"{directory} is not a directory", "Name the folder of clones with --mirrors.")
        self._directory = directory
        self._open: dict[str, Clone] = {}

    def clone(self, repo: str) -> Clone:
        """The clone of ``owner/name``. Raises ``Misuse`` when there is none."""
        if repo not in self._open:
            self._open[repo] = Clone(str(self._find(repo)))
        return self._open[repo]

    def close(self) -> None:
        """Ends the reading processes."""
        for clone in self._open.values():
            clone.repository.close()
        self._open.clear()

    def __enter__(self) -> Mirrors:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, repo: str) -> Path:
        name = repo.replace("/", "+")
        for layout in _LAYOUTS:
            path = self._directory / layout.format(name)
            # Looked at by its files: git would go up and find a repository that the folder lies in.
            if (path / "HEAD").is_file() and (path / "objects").is_dir():
                return path
        raise Misuse(f"no clone of {repo} in {self._directory}", f"Make one: git clone --bare URL {name}.git")
