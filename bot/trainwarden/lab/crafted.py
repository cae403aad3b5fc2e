"""Case files in, the units of their sabotage and of their honest twin out, cut to the members they touch.

``lab.rows --cases`` reads a case as serving would, with all of the commit it rides on: to measure. This reads the edit
alone, thirty times faster: to learn from.

    python -m trainwarden.lab.crafted --mirrors clones --repos repos.txt --out build/lab --cases tests/cases/*.yaml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from trainwarden.evaluate import casefile, cases
from trainwarden.evaluate.casefile import Case
from trainwarden.evaluate.mirrors import Clone, Mirrors
from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.evaluate.sample import technique_ids
from trainwarden.lab.corpus import LARGEST, of_file, python_text
from trainwarden.lab.reading import units_between
from trainwarden.lab.rows import Row, keep
from trainwarden.lab.splits import split_of
from trainwarden.model import Unit


def crafted_rows(case: Case, clone: Clone) -> Iterator[Row]:
    """The units of a case's edits and of its twin's, in Python files that are there before and after."""
    parent = clone.parent(case.head)
    technique = (technique_ids(case.technique) or ("",))[0]
    for label, group, edits in ((1, "sabotaged", case.edits), (0, "honest", case.honest)):
        for path, entry in cases.apply(case, edits, clone, parent).overlay.files.items():
            now = clone.file(case.head, path)
            before = _text(path, now.data if now is not None else None)
            after = _text(path, entry[1] if entry is not None else None)
            if before is None or after is None:
                continue
            for unit in _units(case, path, before, after):
                hot = tuple(s.line for s in unit.statements if s.edited) if label else ()
                yield Row(unit, label, hot, group, case.repo, case.id, technique)


def _units(case: Case, path: str, before: str, after: str) -> Iterator[Unit]:
    for piece in of_file(case.repo, case.head, path, before, after):
        yield from units_between(piece.before, piece.after, path, piece.training)


def _text(path: str, data: bytes | None) -> str | None:
    if data is None or len(data) > LARGEST or not path.endswith(".py"):
        return None
    return python_text(data)


# -- the program


def _of_repository(task: tuple[str, Sequence[Case]], mirrors: Path, out: Path) -> tuple[str, int]:
    repo, wanted = task
    with Mirrors(mirrors) as opened:
        clone = opened.clone(repo)
        rows = [row for case in wanted for row in crafted_rows(case, clone)]
    keep(out, "cases/crafted", repo, rows)
    return repo, len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the rows of every repository that is for training."""
    parser = argparse.ArgumentParser(prog="python -m trainwarden.lab.crafted", description=__doc__)
    parser.add_argument("--mirrors", type=Path, required=True, help="folder of bare clones, owner+name each")
    parser.add_argument("--repos", type=Path, required=True, help="lines of: owner/name choose|report")
    parser.add_argument("--out", type=Path, required=True, help="the working folder of trainwarden.lab.rows")
    parser.add_argument("--cases", type=Path, nargs="+", required=True, help="case files")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    options = parser.parse_args(argv)
    splits = parse_splits(options.repos.read_bytes(), str(options.repos))
    by_repo: dict[str, list[Case]] = {}
    for file in options.cases:
        for case in casefile.parse(file.read_bytes(), file.name):
            if split_of(case.repo, splits) == "train":
                by_repo.setdefault(case.repo, []).append(case)
    work = partial(_of_repository, mirrors=options.mirrors, out=options.out)
    with get_context("fork").Pool(options.jobs) as pool:
        for repo, count in pool.imap_unordered(work, by_repo.items()):
            sys.stderr.write(f"{repo}: {count} units\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
