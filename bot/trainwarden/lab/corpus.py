"""Bare clones in, edit units out: what ordinary commits did to members, and a manifest of it.

A piece is one changed member on both sides as a small file of its own (the imports, the class header, the member), so
that it can be understood, turned round and tampered with apart from its repository. Code stays in the working folder;
the manifest (repository, commit, path, member, label, split) is what is kept.

    python -m trainwarden.lab.corpus --mirrors clones --repos repos.txt --out build/lab
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from trainwarden.evaluate.mirrors import Mirrors
from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.git import Repository
from trainwarden.git.log import Commit
from trainwarden.git.trees import Entry, RawChange
from trainwarden.lab.splits import share, split_of
from trainwarden.lineage import speaks_of_a_fix
from trainwarden.parse import outline
from trainwarden.parse.outline import Member, Outline
from trainwarden.parse.source import Refusal, decode_python
from trainwarden.training import is_test, speaks_of_training

MOST_OF_A_COMMIT = 12
"""Pieces of one commit: a change of everything teaches no more than some of it."""
LONGEST = 300
"""Lines of a member."""
LARGEST = 400_000
_TESTS = 0.1
"""The share of test files that is kept: they are code too, but not what is attacked."""
_FIX_LINES = 60
"""Changed lines of a commit that can be one fix."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One changed member. ``before`` and ``after`` are small files; None where the file did not exist.

    ``fix``: the commit is small, speaks of a fix and touches this as training code.
    """

    repo: str
    sha: str
    path: str
    member: str
    before: str | None
    after: str | None
    training: bool
    fix: bool

    @property
    def id(self) -> str:
        """A name for it that its content decides."""
        text = "\0".join((self.member, self.before or "", self.after or ""))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def pieces(repository: Repository, repo: str, most: int) -> Iterator[Piece]:
    """The pieces of a repository's first-parent history, its commits in a reproducible random order."""
    commits = [c for c in repository.history() if any(_wanted(change) for change in c.changes)]
    random.Random(repo).shuffle(commits)
    seen: set[str] = set()
    count = 0
    for commit in commits:
        for piece in _of_commit(repository, repo, commit):
            if piece.id not in seen:
                seen.add(piece.id)
                count += 1
                yield piece
        if count >= most:
            return


def _wanted(change: RawChange) -> bool:
    sides = [entry for entry in (change.old, change.new) if entry is not None]
    python = change.path.endswith(".py") and all(entry.is_file for entry in sides)
    return python and (not is_test(change.path) or share(change.path) < _TESTS)


def _of_commit(repository: Repository, repo: str, commit: Commit) -> Iterator[Piece]:
    changes = [change for change in commit.changes if _wanted(change)]
    if len(changes) > MOST_OF_A_COMMIT:
        changes = random.Random(commit.sha).sample(changes, MOST_OF_A_COMMIT)
    found: list[Piece] = []
    lines = 0
    for change in changes:
        old, new = _text(repository, change.old), _text(repository, change.new)
        if (old is None) == (change.old is None) and (new is None) == (change.new is None):
            lines += abs((new or "").count("\n") - (old or "").count("\n"))
            found.extend(of_file(repo, commit.sha, change.path, old, new))
    fix = speaks_of_a_fix(commit.message) and len(commit.changes) <= 6 and lines <= _FIX_LINES
    if len(found) > MOST_OF_A_COMMIT:
        found = random.Random(commit.sha).sample(found, MOST_OF_A_COMMIT)
    for piece in found:
        yield replace(piece, fix=fix and piece.training and len(found) <= 8)


def _text(repository: Repository, entry: Entry | None) -> str | None:
    if entry is None:
        return None
    data = repository.blob(entry.oid, LARGEST)
    return python_text(data) if isinstance(data, bytes) else None


def python_text(data: bytes) -> str | None:
    """The text of a Python file; None where it cannot be decoded as Python does."""
    text = decode_python(data)
    return None if isinstance(text, Refusal) else text.text


def of_file(repo: str, sha: str, path: str, old: str | None, new: str | None) -> Iterator[Piece]:
    """A piece for each member that differs between two versions of a file; none where Python cannot be read."""
    training = any(text is not None and speaks_of_training(text) for text in (old, new))
    before = outline.read(old) if old is not None else None
    after = outline.read(new) if new is not None else None
    if any(side is not None and side.errors for side in (before, after)):
        return
    for name in sorted({*(before.members if before else ()), *(after.members if after else ())}):
        left, right = (side.members.get(name) if side else None for side in (before, after))
        raws = [m.raw for m in (left, right) if m is not None]
        if len(raws) == 2 and raws[0] == raws[1]:
            continue
        sides = (_mini(old, before, left), _mini(new, after, right))
        if sides != (None, None) and all(s is None or s.count("\n") <= LONGEST for s in sides):
            yield Piece(repo, sha, path, name, *sides, training, False)


# -- a member as a file of its own


def _mini(text: str | None, side: Outline | None, member: Member | None) -> str | None:
    """The imports of the file and one member under its class header; None where the file is absent."""
    if text is None or side is None:
        return None
    lines = text.split("\n")
    imports = _imports(lines, side)
    return imports + (_body(lines, member) if member is not None else "")


def _imports(lines: Sequence[str], side: Outline) -> str:
    spans = sorted({(node.line, node.end_line) for node in side.imports})
    return "".join(textwrap.dedent("\n".join(lines[a - 1 : b])) + "\n" for a, b in spans)


def _body(lines: Sequence[str], member: Member) -> str:
    *classes, _ = f"{member.name.partition('(')[0]}.".split(".")
    if member.kind == "function":
        classes = classes[:-1]
        code = textwrap.dedent("\n".join(lines[member.line - 1 : member.end_line]))
    elif member.name.endswith("(bases)"):
        return ""
    else:
        code = "\n".join((s.text or b"").decode("utf-8", "replace") for s in member.syntaxes)
        classes = [] if member.kind == "module" else classes
    header = "".join(f"{'    ' * depth}class {_plain(name)}:\n" for depth, name in enumerate(classes))
    return header + textwrap.indent(code, "    " * len(classes)) + "\n"


def _plain(name: str) -> str:
    return name.partition("#")[0] or "_"


# -- the program


def read(folder: Path, repo: str) -> Iterator[Piece]:
    """The pieces of one repository as ``main`` left them."""
    with gzip.open(_file(folder, repo), "rt", encoding="utf-8") as lines:
        for line in lines:
            yield Piece(**json.loads(line))


def write_manifest(folder: Path, splits: Mapping[str, str], to: Path) -> int:
    """Keeps what was gathered without the code: repository, commit, path, member, label, split. Returns the rows.

    ``fix``: honest as it was, sabotage when it is taken back. Reproducible to the byte.
    """
    count = 0
    with to.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(b"repository\tcommit\tpath\tmember\tlabel\tsplit\n")
        for repo in sorted(splits):
            for piece in sorted(read(folder, repo), key=lambda one: (one.sha, one.path, one.member)):
                label = "fix" if piece.fix else "ordinary"
                row = (repo, piece.sha, piece.path, piece.member, label, split_of(repo, splits))
                packed.write("\t".join(row).encode("utf-8", "replace") + b"\n")
                count += 1
    return count


def _file(folder: Path, repo: str) -> Path:
    return folder / "pieces" / f"{repo.replace('/', '+')}.jsonl.gz"


def _gather(task: tuple[str, str, Path, int]) -> tuple[str, int]:
    mirrors, repo, out, most = task
    count = 0
    partial = _file(out, repo).with_suffix(".partial")
    with (
        Mirrors(Path(mirrors)) as clones,
        gzip.open(partial, "wt", encoding="utf-8", compresslevel=4) as lines,
    ):
        for piece in pieces(clones.clone(repo).repository, repo, most):
            lines.write(json.dumps(asdict(piece)) + "\n")
            count += 1
    partial.rename(_file(out, repo))
    return repo, count


def main(argv: Sequence[str] | None = None) -> int:
    """Gathers every listed repository that is not there yet; a broken run goes on where it stopped."""
    options = _arguments(argv)
    splits = parse_splits(options.repos.read_bytes(), str(options.repos))
    (options.out / "pieces").mkdir(parents=True, exist_ok=True)
    open_ones = [repo for repo in splits if not _file(options.out, repo).exists()]
    most = {"report": options.most // 3}
    tasks = [
        (str(options.mirrors), repo, options.out, most.get(split_of(repo, splits), options.most))
        for repo in open_ones
    ]
    with get_context("fork").Pool(options.jobs) as pool:
        for done, (repo, count) in enumerate(pool.imap_unordered(_gather, tasks), 1):
            sys.stderr.write(f"{done}/{len(tasks)} {repo}: {count} pieces\n")
    if options.manifest is not None:
        sys.stderr.write(f"{write_manifest(options.out, splits, options.manifest)} pieces listed\n")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainwarden.lab.corpus",
        description="Gathers edit units from the history of bare clones. Repositories that are there are left alone.",
    )
    parser.add_argument("--mirrors", type=Path, required=True, help="folder of bare clones, owner+name each")
    parser.add_argument("--repos", type=Path, required=True, help="lines of: owner/name choose|report")
    parser.add_argument("--out", type=Path, required=True, help="working folder; holds code, is not for git")
    parser.add_argument("--most", type=int, default=7000, help="pieces of one repository (default 7000)")
    parser.add_argument(
        "--manifest", type=Path, help="keep what was gathered here, without the code (tsv.gz)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
