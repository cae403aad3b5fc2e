"""A ``Request`` in, a ``Source`` out: two sides of a change, whichever door it came through.

Every kind of request is turned into the same things: raw changes (path, entry before, entry after), contents
of entries that are not in the repository, and the revisions compared. Pairing and reading then happen in one
place.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from trainwarden.git import renames
from trainwarden.git.index import index_changes, index_paths, index_variables
from trainwarden.git.objects import Unavailable
from trainwarden.git.patch import apply, scratch_variables
from trainwarden.git.reading import describe
from trainwarden.git.repository import Repository
from trainwarden.git.trees import TREE, Entry, RawChange
from trainwarden.git.worktree import Contents, Worktree, blob_name, worktree_change, worktree_changes
from trainwarden.model import FilePair, Misuse, Overlay, Request, Revisions, Source, Unread

_ALLOWED: Mapping[str, frozenset[str]] = {
    "range": frozenset({"base", "head"}),
    "staged": frozenset({"base"}),
    "worktree": frozenset({"base"}),
    "patch": frozenset({"base", "patch"}),
    "files": frozenset({"base", "files"}),
    "overlay": frozenset({"base", "head", "overlay"}),
}
_REQUIRED: Mapping[str, frozenset[str]] = {
    **_ALLOWED,
    "staged": frozenset(),
    "worktree": frozenset(),
    "patch": frozenset({"patch"}),
    "files": frozenset({"files"}),
}


@dataclass(slots=True)
class GitSource:
    """The one implementation of ``Source``; see there for what its methods promise."""

    revisions: Revisions
    repository: Repository
    list_changes: Callable[[], Iterable[RawChange]]
    exists_in_head: Callable[[str], bool]
    contents: Mapping[str, Contents] = field(default_factory=dict)
    between: tuple[str, str] | None = None
    closing: ExitStack = field(default_factory=ExitStack)
    _changes: list[RawChange] | None = None

    def pairs(self) -> Iterator[FilePair | Unread]:
        """Every changed file once, in path order. Raises ``Unfinished``."""
        for pairing in renames.pair(self._changed(), self._read):
            yield from describe(pairing, self._read)

    def touched(self) -> list[str]:
        """The paths of the base that the change touches; no file is read for it. Raises ``Unfinished``."""
        return [change.path for change in self._changed() if change.old is not None]

    def _changed(self) -> list[RawChange]:
        if self._changes is None:
            self._changes = [change for change in self.list_changes() if change.old != change.new]
        return self._changes

    def trusted(self, path: str) -> bytes | None:
        """The bytes of a file in the policy revision, or None when it is not there. Raises ``Unfinished``."""
        return self.repository.read(self.revisions.policy, path)

    def head_exists(self, path: str) -> bool:
        """Whether the head side holds a file of this path."""
        return self.exists_in_head(path)

    def messages(self) -> tuple[str, ...]:
        """Messages of the commits between base and head, newest first; none unless both are commits."""
        return self.repository.messages(*self.between) if self.between else ()

    def close(self) -> None:
        """Ends the reading process and removes scratch files. Idempotent."""
        self.closing.close()

    def _read(self, entry: Entry) -> bytes | Unavailable:
        if entry.oid in self.contents:
            return self.contents[entry.oid]()
        return self.repository.blob(entry.oid)


def open_source(
    request: Request, policy_default: str | None = None, opened: Repository | None = None
) -> Source:
    """Opens the change a request names; policy is ``request.policy``, else ``policy_default``, else base.

    ``opened`` is the repository of the request where the caller has it open already; it stays open then.

    Raises ``Misuse`` (no repository, unknown revision, fields that do not fit the kind, a patch that does not
    apply) and ``Unfinished`` (missing objects).
    """
    _check(request)
    with ExitStack() as stack:
        repository = opened or stack.enter_context(Repository(request.repo))
        base = _base(repository, request)
        wanted = request.policy or policy_default
        policy = repository.resolve(wanted) if wanted else base
        source = _OPENERS[request.kind](request, repository, Revisions(base, request.kind, policy), stack)
        source.closing = stack.pop_all()
    return source


def _check(request: Request) -> None:
    """Refuses fields the kind of request lacks or does not know: no flag is ignored silently."""
    named = ("base", "head", "patch", "files", "overlay")
    given = {name for name in named if getattr(request, name) not in (None, ())}
    if request.kind not in _ALLOWED:
        raise Misuse(f"unknown kind of request {request.kind!r}", f"Use one of {', '.join(_ALLOWED)}.")
    if lacking := _REQUIRED[request.kind] - given:
        raise Misuse(f"{request.kind} needs {_list(lacking)}", f"Give {_list(lacking)} too.")
    if extra := given - _ALLOWED[request.kind]:
        raise Misuse(f"{request.kind} does not go with {_list(extra)}", f"Leave out {_list(extra)}.")


def _list(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


def _base(repository: Repository, request: Request) -> str:
    if request.base is not None:
        return repository.resolve(request.base)
    return repository.empty_tree if repository.is_unborn() else repository.resolve("HEAD")


def _open_range(request: Request, repository: Repository, given: Revisions, _: ExitStack) -> GitSource:
    assert request.head is not None
    head = repository.resolve(request.head)
    return _between(repository, Revisions(given.base, head, given.policy), repository.tree_of(head))


def _between(repository: Repository, revisions: Revisions, head_tree: str) -> GitSource:
    """Two trees in the repository (or a scratch one that borrows its objects)."""
    base_tree = repository.tree_of(revisions.base)
    return GitSource(
        revisions,
        repository,
        lambda: repository.trees.diff(base_tree, head_tree),
        lambda path: _is_file(repository.trees.lookup(head_tree, path)),
        between=(revisions.base, revisions.head),
    )


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.is_file


def _open_overlay(request: Request, repository: Repository, given: Revisions, _: ExitStack) -> GitSource:
    assert request.head is not None and request.overlay is not None
    head = repository.resolve(request.head)
    base_tree, head_tree = repository.tree_of(given.base), repository.tree_of(head)
    laid, contents = _laid_over(request.overlay, repository.width)
    return GitSource(
        Revisions(given.base, head, given.policy),
        repository,
        lambda: _overlaid(repository, base_tree, head_tree, laid),
        lambda path: _is_file(laid[path] if path in laid else repository.trees.lookup(head_tree, path)),
        contents,
        (given.base, head),
    )


def _laid_over(overlay: Overlay, width: int) -> tuple[dict[str, Entry | None], dict[str, Contents]]:
    laid: dict[str, Entry | None] = {}
    contents: dict[str, Contents] = {}
    for path, file in overlay.files.items():
        laid[path] = None
        if file is not None:
            mode, data = file
            laid[path] = Entry(mode, blob_name(data, width))
            contents[blob_name(data, width)] = partial(bytes, data)
    return laid, contents


def _overlaid(
    repository: Repository, base_tree: str, head_tree: str, laid: Mapping[str, Entry | None]
) -> Iterator[RawChange]:
    yield from (change for change in repository.trees.diff(base_tree, head_tree) if change.path not in laid)
    for path, new in laid.items():
        old = repository.trees.lookup(base_tree, path)
        yield RawChange(path, None if old is None or old.mode == TREE else old, new)


def _open_staged(request: Request, repository: Repository, given: Revisions, _: ExitStack) -> GitSource:
    git = repository.git.with_environment(**index_variables(repository.git_dir))
    base_tree = repository.tree_of(given.base)
    paths = cache(lambda: index_paths(git))
    return GitSource(
        Revisions(given.base, "index", given.policy),
        repository,
        lambda: index_changes(git, base_tree),
        lambda path: path in paths(),
    )


def _open_worktree(request: Request, repository: Repository, given: Revisions, _: ExitStack) -> GitSource:
    root = repository.worktree()
    worktree = Worktree(root, repository.width)
    base_tree = repository.tree_of(given.base)
    return GitSource(
        Revisions(given.base, "worktree", given.policy),
        repository,
        lambda: worktree_changes(repository, worktree, base_tree),
        lambda path: _is_file(worktree.entry(path)),
        worktree.contents,
    )


def _open_files(request: Request, repository: Repository, given: Revisions, _: ExitStack) -> GitSource:
    root = repository.worktree()
    worktree = Worktree(root, repository.width)
    base_tree = repository.tree_of(given.base)
    paths = sorted({_inside(root, request.repo, name) for name in request.files})
    changes = [worktree_change(repository, worktree, base_tree, path) for path in paths]
    for change in changes:
        if change.old is None and change.new is None:
            raise Misuse(f"no such file: {change.path}", "Name files of the worktree, relative to --repo.")
    return GitSource(
        Revisions(given.base, "worktree", given.policy),
        repository,
        lambda: changes,
        lambda path: _is_file(worktree.entry(path)),
        worktree.contents,
    )


def _inside(root: Path, repo: str, name: str) -> str:
    """The path of a named file from the top of the worktree, spelled as git does. Links are not resolved."""
    named = Path(repo, name)
    path = Path(os.path.relpath(named.parent.resolve() / named.name, root))
    if path.parts[:1] == (os.pardir,) or path.parts[:1] == (".git",):
        raise Misuse(f"{name} lies outside the worktree", "Name files of the worktree, relative to --repo.")
    return path.as_posix()


def _open_patch(request: Request, repository: Repository, given: Revisions, stack: ExitStack) -> GitSource:
    assert request.patch is not None
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="trainwarden-"))
    variables = scratch_variables(repository, directory)
    scratch = stack.enter_context(Repository(request.repo, **variables))
    head_tree = apply(scratch.git, scratch.tree_of(given.base), request.patch)
    source = _between(scratch, Revisions(given.base, "patch", given.policy), head_tree)
    source.between = None
    return source


_OPENERS: Mapping[str, Callable[[Request, Repository, Revisions, ExitStack], GitSource]] = {
    "range": _open_range,
    "staged": _open_staged,
    "worktree": _open_worktree,
    "patch": _open_patch,
    "files": _open_files,
    "overlay": _open_overlay,
}
