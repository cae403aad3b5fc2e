"""Pieces, cases and fixes in, labelled units out: what the classifier learns from and is measured on.

Groups: ``ordinary`` (a commit as it was), ``reversed`` (taken back, honest), ``mined`` (a fix taken back), ``planted``
and its ``twin`` (an operator's sabotage and an honest edit at the same place, alone or riding on the commit), ``case``,
``undone`` and their honest counterparts. A sabotage and what it is compared with share ``pair``.

    python -m trainwarden.lab.rows --mirrors clones --repos repos.txt --out build/lab [--shard K/N | --cases FILE ...]
"""

from __future__ import annotations

import argparse
import pickle
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from trainwarden.evaluate import casefile, fixes
from trainwarden.evaluate.assembly import Material, Selection, assemble
from trainwarden.evaluate.mirrors import Mirrors
from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.evaluate.sample import NEAR, SABOTAGE, Sample
from trainwarden.git import open_source
from trainwarden.lab import corpus
from trainwarden.lab.corpus import Piece
from trainwarden.lab.reading import units_between
from trainwarden.lab.sabotage.catalogue import OPERATORS
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.plant import Planting, plantings
from trainwarden.lab.splits import held_out, share, split_of
from trainwarden.model import Unit
from trainwarden.score.units import units_of
from trainwarden.understand import view_of

MOST_OF_A_PIECE = 3
"""Units of one ordinary piece: a long new member is not fifty examples."""
_REVERSED = 0.12
_RIDING = 0.35
"""The share of plantings that ride on the commit's own edit of the member."""


_FEW, _PREVAILING = 4, 0.015
"""An operator rests while it has planted more than this share of a repository's sabotage."""
KINDS = ("ordinary", "planted", "cases")
"""The kinds of rows that are kept, each in a folder of its own."""
Task = TypeVar("Task")
_ANYWHERE = frozenset("LMN")
"""Families whose operators find a place in almost any code."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled unit. ``hot``: the head lines that are sabotaged; () for honest ones.

    ``technique``: of the taxonomy, "" where unknown (mined fixes) or honest. ``operator``: of planted ones.
    """

    unit: Unit
    label: int
    hot: tuple[int, ...]
    group: str
    repo: str
    pair: str
    technique: str = ""
    operator: str = ""


def ordinary_rows(piece: Piece) -> Iterator[Row]:
    """A piece as it was, and taken back: a small fix of training code taken back stands for sabotage."""
    forward = units_between(piece.before, piece.after, piece.path, piece.training)
    rng = random.Random(piece.id)
    for unit in _some(forward, rng):
        yield Row(unit, 0, (), "ordinary", piece.repo, piece.id)
    if piece.fix and piece.before is not None and piece.after is not None:
        yield from _taken_back(piece, 1, "mined")
    elif rng.random() < _REVERSED:
        yield from _taken_back(piece, 0, "reversed")


def _taken_back(piece: Piece, label: int, group: str) -> Iterator[Row]:
    backward = units_between(piece.after, piece.before, piece.path, piece.training)
    for unit in _some(backward, random.Random(piece.id)):
        hot = tuple(s.line for s in unit.statements if s.edited) if label else ()
        yield Row(unit, label, hot, group, piece.repo, piece.id)


def _some(units: Sequence[Unit], rng: random.Random) -> Sequence[Unit]:
    return units if len(units) <= MOST_OF_A_PIECE else rng.sample(units, MOST_OF_A_PIECE)


# -- planted sabotage


def planted_rows(piece: Piece, most: int, withheld: bool, used: Counter[str]) -> Iterator[Row]:
    """Sabotage of a piece's code by operators, each with its honest twin.

    ``withheld``: also by operators that are held out. ``used`` counts plantings by operator, so that none prevails.
    """
    rng = random.Random(f"plant {piece.id}")
    code = piece.after or piece.before
    if code is None or not piece.training:
        return
    for place, planting in enumerate(plantings(code, rng, operators=arsenal(rng, withheld, used))):
        if place == most:
            return
        used[planting.operator] += 1
        yield from _pair(piece, code, planting, f"{piece.id}/{place}", rng.random() < _RIDING)


def arsenal(rng: random.Random, withheld: bool, used: Counter[str]) -> list[Operator]:
    """A few operators of each family, so that those which apply to any code do not drown the rest."""
    families: dict[str, list[Operator]] = {}
    most = _FEW + _PREVAILING * used.total()
    for operator in OPERATORS:
        if used[operator.id] < most and (withheld or not held_out(operator.technique, operator.id)):
            families.setdefault(operator.technique[0], []).append(operator)
    chosen: list[Operator] = []
    for family, operators in families.items():
        chosen += rng.sample(operators, min(len(operators), 1 if family in _ANYWHERE else 14))
    return chosen


def _pair(piece: Piece, code: str, planting: Planting, pair: str, riding: bool) -> Iterator[Row]:
    base = piece.before if riding and piece.after is not None else planting.before
    sides = ((planting.sabotaged, 1, "planted"), (planting.honest, 0, "twin"))
    for text, label, group in sides:
        units = units_between(base, text, piece.path, piece.training)
        hot = planting.lines if label else ()
        struck = [unit for unit in units if not label or _touches(unit, hot)]
        for unit in struck[:2]:
            lines = tuple(s.line for s in unit.statements if s.edited and _near(s.line, hot)) if label else ()
            yield Row(unit, label, lines, group, piece.repo, pair, planting.technique, planting.operator)


def _touches(unit: Unit, hot: Iterable[int]) -> bool:
    return any(s.edited and _near(s.line, hot) for s in unit.statements)


def _near(line: int, hot: Iterable[int], reach: int = 1) -> bool:
    return any(abs(line - one) <= reach for one in hot)


# -- cases and fixes, read as serving reads them


def sample_rows(sample: Sample) -> list[Row]:
    """The units of one case or fix, whole file and all: sabotaged where an edit lies near a sabotaged line."""
    with closing(open_source(sample.request)) as source:
        units = units_of(view_of(source.pairs()))
    rows = []
    for unit in units:
        truth = sample.truth.get(unit.path, ()) if sample.group in SABOTAGE else ()
        edited = [s.line for s in unit.statements if s.edited]
        hot = tuple(line for line in edited if truth is None or _near(line, truth, NEAR))
        technique = sample.technique[0] if sample.technique else ""
        rows.append(
            Row(unit, int(bool(hot)), hot, sample.group, sample.repo, sample.pair or sample.id, technique)
        )
    return rows


# -- the program


def read(folder: Path, kind: str, repos: Iterable[str]) -> Iterator[Row]:
    """The rows of a kind (``ordinary``, ``planted``, ``cases``) as ``main`` left them; what is not there is skipped."""
    for repo in repos:
        for path in sorted((folder / kind).rglob(_file(folder, kind, repo).name)):
            with path.open("rb") as file:
                yield from pickle.load(file)


def _file(folder: Path, kind: str, repo: str) -> Path:
    return folder / kind / f"{repo.replace('/', '+')}.pickle"


def keep(folder: Path, kind: str, repo: str, rows: Sequence[Row]) -> None:
    """Keeps the rows of a repository for ``read``."""
    _file(folder, kind, repo).parent.mkdir(parents=True, exist_ok=True)
    partial = _file(folder, kind, repo).with_suffix(".partial")
    partial.write_bytes(pickle.dumps(rows, pickle.HIGHEST_PROTOCOL))
    partial.rename(_file(folder, kind, repo))


def _ordinary(task: tuple[Path, str]) -> tuple[str, int]:
    folder, repo = task
    rows = [row for piece in corpus.read(folder, repo) for row in ordinary_rows(piece)]
    keep(folder, "ordinary", repo, rows)
    return repo, len(rows)


@dataclass(frozen=True, slots=True)
class _Planting:
    """Work on a part of one repository's pieces: those whose share of [0, 1) lies in a span."""

    folder: Path
    repo: str
    shard: int
    shards: int
    withheld: bool
    most: int


def _planted(task: _Planting) -> tuple[str, int]:
    low, high = task.shard / task.shards, (task.shard + 1) / task.shards
    pieces = (piece for piece in corpus.read(task.folder, task.repo) if low <= share(piece.id) < high)
    used: Counter[str] = Counter()
    rows = [row for piece in pieces for row in planted_rows(piece, task.most, task.withheld, used)]
    keep(task.folder, f"planted/{task.shard}", task.repo, rows)
    return task.repo, len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the rows that are not there yet."""
    options = _arguments(argv)
    splits = parse_splits(options.repos.read_bytes(), str(options.repos))
    for kind in KINDS:
        (options.out / kind).mkdir(parents=True, exist_ok=True)
    if options.cases or options.fixes:
        _cases(options, splits)
    elif options.shard is not None:
        _plant(options, splits)
    else:
        waiting = [repo for repo in splits if not _file(options.out, "ordinary", repo).exists()]
        _run(_ordinary, [(options.out, repo) for repo in waiting], options.jobs)
    return 0


def _plant(options: argparse.Namespace, splits: Mapping[str, str]) -> None:
    shard, shards = (int(part) for part in options.shard.split("/"))
    (options.out / "planted" / str(shard)).mkdir(parents=True, exist_ok=True)
    tasks = [
        _Planting(options.out, repo, shard, shards, split_of(repo, splits) == "report", options.most)
        for repo in splits
        if options.split in ("", split_of(repo, splits))
        and not _file(options.out, f"planted/{shard}", repo).exists()
    ]
    _run(_planted, tasks, options.jobs)


def _run(work: Callable[[Task], tuple[str, int]], tasks: Sequence[Task], jobs: int) -> None:
    with get_context("fork").Pool(jobs) as pool:
        for done, (repo, count) in enumerate(pool.imap_unordered(work, tasks), 1):
            sys.stderr.write(f"{done}/{len(tasks)} {repo}: {count} units\n")


def _cases(options: argparse.Namespace, splits: Mapping[str, str]) -> None:
    read_cases = [case for file in options.cases for case in casefile.parse(file.read_bytes(), file.name)]
    listed = fixes.parse(options.fixes.read_bytes(), options.fixes.name) if options.fixes else ()
    with Mirrors(options.mirrors) as mirrors:
        made = assemble(Material(cases=tuple(read_cases), fixes=listed), Selection(), mirrors)
    found: dict[str, list[Row]] = {repo: [] for repo in splits}
    with get_context("fork").Pool(options.jobs) as pool:
        for sample, rows in zip(made.samples, pool.imap(sample_rows, made.samples, chunksize=8), strict=True):
            found.setdefault(sample.repo, []).extend(rows)
    for repo, rows in found.items():
        keep(options.out, "cases", repo, rows)
    sys.stderr.write(f"{len(made.samples)} changes, {sum(map(len, found.values()))} units\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainwarden.lab.rows",
        description="Turns gathered pieces, cases and fixes into labelled units. What is there is left alone.",
    )
    parser.add_argument("--mirrors", type=Path, required=True, help="folder of bare clones, owner+name each")
    parser.add_argument("--repos", type=Path, required=True, help="lines of: owner/name choose|report")
    parser.add_argument(
        "--out", type=Path, required=True, help="the working folder of trainwarden.lab.corpus"
    )
    parser.add_argument(
        "--shard", metavar="K/N", help="plant sabotage in one N-th of the pieces instead, K from 0"
    )
    parser.add_argument(
        "--split", default="", help="plant only in repositories of this split: train, tune, report"
    )
    parser.add_argument("--most", type=int, default=2, help="plantings a piece (default 2)")
    parser.add_argument("--cases", type=Path, nargs="*", default=[], help="read these case files instead")
    parser.add_argument("--fixes", type=Path, help="read this table of fixes as well")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    # Through the module's own name: rows that are kept must not say that they are of ``__main__``.
    from trainwarden.lab.rows import main as run

    sys.exit(run())
