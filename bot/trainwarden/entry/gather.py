"""A change and a remote come in; a repository on disk that holds all of it, and its base, go out.

A complete clone that a checkout step left in the workspace is read where it lies. Otherwise (no checkout, a
shallow or partial one) what is missing is fetched into a bare repository of our own; the workspace is never
written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainwarden.config import CONFIG_PATH, WAIVERS_PATH
from trainwarden.entry.event import Change
from trainwarden.git.process import Git
from trainwarden.git.remote import Remote
from trainwarden.git.repository import EMPTY_WORD, Repository
from trainwarden.model import Unfinished

_HEADS = "refs/heads/"
_OURS = "refs/trainwarden/"
MOST_BLOBS = 20_000

_PARTIAL = r"^(remote\..*\.promisor|extensions\.partialclone)$"
_LISTED, _COMPARED = ((0, 2),), ((0, 2), (1, 3))
_KINDS = ("10", "12")  # files and links; an absent side has mode 000000, a submodule 160000


@dataclass(frozen=True, slots=True)
class Gathered:
    """A repository, and in it the commits to compare and the policy revision (object names, or ``empty``)."""

    repo: Path
    base: str
    head: str
    policy: str


def gather(change: Change, remote: Remote, workspace: Path | None, scratch: Path) -> Gathered:
    """Finds or fetches the change. ``scratch`` is a directory that does not exist yet.

    Raises ``Unfinished`` when a commit cannot be had or base and head have no common ancestor.
    """
    if workspace is not None and (found := _in_clone(change, workspace)) is not None:
        return found
    git = _fetched(change, remote, scratch)
    whole = _with_base(change, git, scratch, _OURS + "target", _OURS + "policy")
    if whole is None:
        raise Unfinished("a commit of the change was not fetched", "run the job again")
    _complete(whole, git, remote)
    return whole


def _in_clone(change: Change, workspace: Path) -> Gathered | None:
    """The change as a complete clone in the workspace holds it, or None."""
    if not workspace.is_dir() or not _is_complete(workspace):
        return None
    remotes = "refs/remotes/origin/"
    target, policy = (name.replace(_HEADS, remotes, 1) for name in (change.target, change.policy))
    return _with_base(change, Git(str(workspace)), workspace, target, policy)


def _is_complete(workspace: Path) -> bool:
    """Whether the workspace itself (no directory further up) is a clone that lacks neither commits nor blobs."""
    git = Git(str(workspace))
    asked = git.run("rev-parse", "--is-shallow-repository", "--show-toplevel")
    shallow, _, top = asked.stdout.decode("utf-8", "replace").removesuffix("\n").partition("\n")
    if asked.returncode != 0 or shallow != "false" or Path(top).resolve() != workspace.resolve():
        return False
    return git.run("config", "--get-regexp", _PARTIAL).returncode != 0


def _with_base(change: Change, git: Git, repo: Path, target: str, policy: str) -> Gathered | None:
    """The object names of both sides; None when a commit is not here. Raises ``Unfinished``."""
    head = _commit(git, change.head)
    tip = _commit(git, target if change.target.startswith(_HEADS) else change.target)
    ruling = _commit(git, policy if change.policy.startswith(_HEADS) else change.policy)
    if head is None or tip is None or ruling is None:
        return None
    return Gathered(repo, tip if change.exact else _merge_base(repo, tip, head), head, ruling)


def _commit(git: Git, name: str) -> str | None:
    if name == EMPTY_WORD:
        return EMPTY_WORD
    done = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None


def _merge_base(repo: Path, one: str, other: str) -> str:
    with Repository(str(repo)) as repository:
        found = repository.merge_base(one, other)
    if found is None:
        hint = "rebase the change onto its target branch"
        raise Unfinished("the change and its target have no common ancestor", hint)
    return found


def _fetched(change: Change, remote: Remote, scratch: Path) -> Git:
    scratch.mkdir(mode=0o700, parents=True)
    git = Git(str(scratch))
    width = "sha256" if len(change.head) == 64 else "sha1"
    git.output("init", "--quiet", "--bare", "--template=", f"--object-format={width}", ".")
    wanted = {"head": change.head, "target": change.target, "policy": change.policy}
    specs = [f"+{source}:{_OURS}{local}" for local, source in wanted.items() if source != EMPTY_WORD]
    remote.fetch(git, ["origin", *specs])
    return git


def _complete(found: Gathered, git: Git, remote: Remote) -> None:
    """Fetches the blobs that the filter left out and the review needs: those of the change and the policy."""
    wanted = _changed(git, found) | _policy(git, found.policy)
    listed = git.output("cat-file", "--batch-check", stdin="\n".join(sorted(wanted)).encode())
    lines = listed.decode("ascii", "replace").splitlines()
    missing = [line.split(" ")[0] for line in lines if line.endswith(" missing")]
    if missing:
        # Whatever is beyond the bound stays missing, and what is missing is never green.
        remote.fetch(git, ["--stdin", "origin"], "\n".join(missing[:MOST_BLOBS]).encode())


def _changed(git: Git, found: Gathered) -> set[str]:
    if found.base == EMPTY_WORD:
        return _blobs(git.output("ls-tree", "-r", "-z", found.head).split(b"\0"), _LISTED)
    raw = git.output("diff-tree", "-r", "--raw", "-z", "--no-renames", found.base, found.head)
    return _blobs(raw.split(b"\0")[::2], _COMPARED)


def _policy(git: Git, revision: str) -> set[str]:
    if revision == EMPTY_WORD:
        return set()
    return _blobs(
        git.output("ls-tree", "-z", revision, "--", CONFIG_PATH, WAIVERS_PATH).split(b"\0"), _LISTED
    )


def _blobs(records: Iterable[bytes], columns: Sequence[tuple[int, int]]) -> set[str]:
    """The blobs in listings of entries. ``columns``: where in a record a mode stands, and where its object."""
    rows = [
        record.partition(b"\t")[0].decode("ascii", "replace").lstrip(":").split(" ") for record in records
    ]
    entries = [(row[mode], row[name]) for row in rows if len(row) > 2 for mode, name in columns]
    return {name for mode, name in entries if mode.startswith(_KINDS)}
