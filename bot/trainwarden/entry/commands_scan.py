"""``trainwarden scan``: one change in, one report out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.model import Misuse, Request

EPILOG = """\
what to review, one of:
  --base REV --head REV   two trees as given, e.g. the merge-base and the tip of a branch
  --staged                the index against HEAD: what `git commit` would record
  --worktree              tracked files as they lie on disk against HEAD
  --patch FILE            a patch applied in memory to --base (default: HEAD); - reads standard input
  FILE...                 these files as they lie on disk against HEAD (pre-commit calls it so)

Config, rules and waivers come from --policy (default: the base), never from what is under review.

exit codes:
  0 verdict below --fail-on   1 at or above it   2 misuse   3 could not finish   130 interrupted

examples:
  trainwarden scan --base $(git merge-base origin/main HEAD) --head HEAD
  trainwarden scan --staged --fail-on review
  git diff | trainwarden scan --patch - --format json
  trainwarden scan --repo model.git --base v1.0 --head v1.1 --format sarif --output report.sarif
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``scan``."""
    parser.epilog = EPILOG
    shared.add_repo(parser)
    change = parser.add_argument_group("change")
    change.add_argument("--base", metavar="REV", help="the tree before")
    change.add_argument("--head", metavar="REV", help="the tree after")
    change.add_argument("--staged", action="store_true", help="the staged index against HEAD")
    change.add_argument("--worktree", action="store_true", help="the files on disk against HEAD")
    change.add_argument("--patch", metavar="FILE", help="a patch file, or - for standard input")
    change.add_argument("files", nargs="*", metavar="FILE", help="files on disk against HEAD")
    change.add_argument("--policy", metavar="REV", help="where the config comes from (default: the base)")
    shared.add_judging(parser)
    report = parser.add_argument_group("report")
    report.add_argument("--format", choices=output.FORMATS, default="text", help="default: text")
    report.add_argument("--explain", action="store_true", help="show all evidence (text only)")
    report.add_argument("--output", metavar="FILE", help="a file instead of standard output")


def run(arguments: argparse.Namespace) -> int:
    """Reviews the change in the killable child and speaks. Returns the exit code."""
    from trainwarden.sandbox import Reviewer

    request, options = _request(arguments), shared.options(arguments)
    with Reviewer(options) as reviewer:
        render = output.renderer(arguments.format)  # imported while the child starts
        report = reviewer.review(request)
    text = render(report, **_layout(arguments))
    try:
        output.write(text, arguments.output)
    except BrokenPipeError:
        output.mute()
    if report.verdict.name == "pass" and not report.coverage.changed:
        output.say("nothing changed, so there was nothing to review")
    if arguments.output is not None:
        output.say(f"{output.summary(report)}; the report is in {arguments.output}")
    return output.exit_code(report.verdict.name, arguments.fail_on)


def _layout(arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.format != "text":
        return {}
    return output.layout(arguments.output) | {"explain": arguments.explain}


def _request(arguments: argparse.Namespace) -> Request:
    """The request the flags stand for. Raises ``Misuse`` unless they name exactly one kind of change."""
    repo, base, policy = shared.repository(arguments), arguments.base, arguments.policy
    kinds = _kinds(arguments)
    if len(kinds) != 1:
        said = "nothing to review was named" if not kinds else f"{' and '.join(kinds)} exclude each other"
        raise Misuse(said, "give --base REV --head REV, --staged, --worktree, --patch FILE, or files")
    (kind,) = kinds
    if kind == "--head":
        if base is None:
            raise Misuse("--head needs --base", "--base $(git merge-base origin/main HEAD) is a usual one")
        return Request(repo, "range", base, arguments.head, policy)
    if kind == "--patch":
        return Request(repo, "patch", base, policy=policy, patch=_patch(arguments.patch))
    if kind == "files":
        return Request(repo, "files", base, policy=policy, files=tuple(arguments.files))
    return Request(repo, "staged" if kind == "--staged" else "worktree", base, policy=policy)


def _kinds(arguments: argparse.Namespace) -> list[str]:
    given = {
        "--head": arguments.head is not None,
        "--staged": arguments.staged,
        "--worktree": arguments.worktree,
        "--patch": arguments.patch is not None,
        "files": bool(arguments.files),
    }
    return [kind for kind, is_given in given.items() if is_given]


def _patch(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        hint = "name a file that `git diff` wrote, or - for standard input"
        raise Misuse(f"cannot read the patch {name}: {error.strerror}", hint) from error
