"""``trainwarden hook``: what pre-commit runs. Its file names and variables come in, an exit code goes out.

pre-commit names files, but a change is more: it names none that a commit deletes. So what is staged is always
reviewed whole, as ``git commit`` would record it, and names only count when they say more than the index
(``--files``, ``--all-files``). With ``--from-ref`` and ``--to-ref``, and before a push, it is the commits
between them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.git.repository import Repository
from trainwarden.git.source import GitSource, open_source
from trainwarden.model import Request, Unfinished

FROM, TO = "PRE_COMMIT_FROM_REF", "PRE_COMMIT_TO_REF"
EPILOG = """\
Called by pre-commit (docs/pre-commit.md):

  git commit, pre-commit run                 the staged content, with deletions
  pre-commit run --files F, --all-files      these files as they lie on disk against HEAD, and what is staged
  pre-commit run --from-ref A --to-ref B     the commits of B since it left A; so too before a push

exit codes:
  0 verdict below --fail-on   1 at or above it   2 misuse   3 could not finish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``hook``."""
    parser.epilog = EPILOG
    shared.add_judging(parser)
    parser.add_argument("files", nargs="*", metavar="FILE", help="the files pre-commit names")


def run(arguments: argparse.Namespace) -> int:
    """Reviews what pre-commit asks for and shows the reports. Returns the worst exit code."""
    from trainwarden.sandbox import Reviewer

    codes = [0]
    with Reviewer(shared.options(arguments)) as reviewer:
        render = output.renderer("text")  # imported while the child starts
        for request in _requests(str(Path.cwd()), tuple(arguments.files)):
            report = reviewer.review(request)
            output.write(render(report, **output.layout(None)), None)
            codes.append(output.exit_code(report.verdict.name, arguments.fail_on))
    return max(codes)


def _requests(repo: str, files: tuple[str, ...]) -> Iterator[Request]:
    start, end = os.environ.get(FROM, ""), os.environ.get(TO, "")
    if start and end:
        yield _range(repo, start, end)
        return
    staged = Request(repo, "staged")
    paths = _changed(staged) if files else set()
    named = set(files) - paths
    if paths or not named:
        yield staged
    if named:
        yield Request(repo, "files", files=files)


def _range(repo: str, start: str, end: str) -> Request:
    """The commits of ``end`` since it left ``start``, whose policy rules. Raises ``Misuse``, ``Unfinished``."""
    with Repository(repo) as repository:
        policy, head = repository.resolve(start), repository.resolve(end)
        base = repository.merge_base(policy, head)
    if base is None:
        raise Unfinished(f"{start} and {end} have no common ancestor", "fetch the history they share")
    return Request(repo, "range", base, head, policy)


def _changed(request: Request) -> set[str]:
    with closing(open_source(request)) as source:
        assert isinstance(source, GitSource)
        return {change.path for change in source.list_changes()}
