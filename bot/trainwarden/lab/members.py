"""Pieces in, the statements of their members out, and from those any number of small edits to learn from.

What is kept of a member is its lexemes; mutations are drawn from them when a run begins, so that they cost no room.

    python -m trainwarden.lab.members --repos repos.txt --out build/lab
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.lab import corpus
from trainwarden.lab.dataset import Dataset, encode
from trainwarden.lab.mutation import Mutation, mutations
from trainwarden.lab.reading import statements_of
from trainwarden.lab.rows import Row
from trainwarden.score.features import Encoder

_FEWEST = 3
"""Statements of a member that is worth editing."""
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Member:
    """One member as it stood at some commit: for each statement how deep it stands, and its lexemes."""

    repo: str
    path: str
    name: str
    statements: tuple[tuple[int, tuple[str, ...]], ...]


def gather(folder: Path, repo: str) -> list[Member]:
    """One version of each member of the training code among a repository's pieces."""
    found: dict[tuple[str, str], Member] = {}
    for piece in corpus.read(folder, repo):
        code = piece.after or piece.before
        if piece.training and code is not None and (piece.path, piece.member) not in found:
            rows = statements_of(code, piece.path, piece.member)
            if len(rows) >= _FEWEST:
                statements = tuple((depth, tuple(words)) for depth, words in rows)
                found[piece.path, piece.member] = Member(repo, piece.path, piece.member, statements)
    return list(found.values())


def read(folder: Path, repos: Sequence[str]) -> Iterator[Member]:
    """The members of some repositories as ``main`` left them; what is not there is skipped."""
    for repo in repos:
        path = _file(folder, repo)
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    one = json.loads(line)
                    statements = tuple((depth, tuple(words.split(" "))) for depth, words in one["statements"])
                    yield Member(repo, one["path"], one["name"], statements)


def write(folder: Path, repo: str, found: Sequence[Member]) -> None:
    """Keeps the members of a repository for ``read``."""
    (folder / "members").mkdir(exist_ok=True)
    partial = _file(folder, repo).with_suffix(".partial")
    with gzip.open(partial, "wt", encoding="utf-8") as lines:
        for member in found:
            statements = [(depth, " ".join(words)) for depth, words in member.statements]
            one = {"path": member.path, "name": member.name, "statements": statements}
            lines.write(json.dumps(one) + "\n")
    partial.rename(_file(folder, repo))


# -- edits of them


Vocabulary = tuple[bytes, bytes]
"""What an ``Encoder`` is made from."""


def mutated(members: Sequence[Member], vocabulary: Vocabulary, each: int, seed: int, jobs: int) -> Dataset:
    """``each`` small edits of every member, encoded both ways; the same for a seed."""
    tasks = [
        (members[start : start + _CHUNK], vocabulary, each, seed + start)
        for start in range(0, len(members), _CHUNK)
    ]
    with get_context("fork").Pool(jobs) as pool:
        return Dataset.joined(list(pool.imap(_encoded, tasks)))


_encoder = lru_cache(maxsize=1)(Encoder)


def _encoded(task: tuple[Sequence[Member], Vocabulary, int, int]) -> Dataset:
    members, vocabulary, each, seed = task
    rng = random.Random(seed)
    return encode(
        (
            row
            for member in members
            for place, made in enumerate(islice(mutations(member.statements, rng), each))
            for row in _rows(member, made, f"{seed}/{member.path}/{member.name}/{place}")
        ),
        _encoder(*vocabulary),
    )


def _rows(member: Member, made: Mutation, pair: str) -> Iterator[Row]:
    for forward in (True, False):
        unit = made.unit(member.path, member.name, forward)
        if unit is not None:
            label = int(made.harmful and forward)
            group = ("spoilt" if forward else "mended") if made.harmful else "kept"
            hot = tuple(s.line for s in unit.statements if s.edited) if label else ()
            yield Row(unit, label, hot, group, member.repo, pair, "", made.kind)


# -- the program


def _file(folder: Path, repo: str) -> Path:
    return folder / "members" / f"{repo.replace('/', '+')}.jsonl.gz"


def _gather(task: tuple[Path, str]) -> tuple[str, int]:
    folder, repo = task
    found = gather(folder, repo)
    write(folder, repo, found)
    return repo, len(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the members that are not there yet."""
    parser = argparse.ArgumentParser(prog="python -m trainwarden.lab.members", description=__doc__)
    parser.add_argument("--repos", type=Path, required=True, help="lines of: owner/name choose|report")
    parser.add_argument(
        "--out", type=Path, required=True, help="the working folder of trainwarden.lab.corpus"
    )
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    options = parser.parse_args(argv)
    splits = parse_splits(options.repos.read_bytes(), str(options.repos))
    tasks = [
        (options.out, repo)
        for repo in splits
        if splits[repo] == "choose" and not _file(options.out, repo).exists()
    ]
    with get_context("fork").Pool(options.jobs) as pool:
        for done, (repo, count) in enumerate(pool.imap_unordered(_gather, tasks), 1):
            sys.stderr.write(f"{done}/{len(tasks)} {repo}: {count} members\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
