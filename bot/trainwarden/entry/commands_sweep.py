"""``trainwarden sweep``: many changes in, a line for each out as soon as it is ready."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.model import Misuse, Report, Request, VerdictName

EPILOG = """\
which changes, one of:
  --ranges FILE   JSON lines {"id": ..., "base": REV, "head": REV}; - reads standard input
  --commits N     the newest N non-merge commits of the first-parent history of HEAD
  --since DATE    those not older than DATE as git reads dates ("2 weeks ago"); may go with --commits

A change that cannot be reviewed yields a line with verdict `error` and the reason, never a missing line.
With --resume FILE the reports go to FILE as JSON lines: ids that are there already are skipped, the rest is
appended, so an interrupted sweep goes on where it stopped. Lines come in the order in which they are ready.

exit codes:
  0 all verdicts below --fail-on   1 one at or above it   2 misuse   3 one is `error`   130 interrupted

examples:
  trainwarden sweep --repo model.git --commits 500 --format jsonl > reports.jsonl
  trainwarden sweep --ranges ranges.jsonl --resume reports.jsonl --jobs 8
  trainwarden sweep --since "1 month ago" --fail-on review
"""
VERDICTS: tuple[VerdictName, ...] = ("pass", "review", "block", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``sweep``."""
    parser.epilog = EPILOG
    shared.add_repo(parser)
    which = parser.add_argument_group("changes")
    which.add_argument("--ranges", metavar="FILE", help="a file of ranges, or - for standard input")
    which.add_argument("--commits", type=shared.positive, metavar="N", help="at most so many commits")
    which.add_argument("--since", metavar="DATE", help="only commits since then")
    shared.add_judging(parser)
    report = parser.add_argument_group("report")
    report.add_argument(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="a line for people or a JSON report for each change (default: text)",
    )
    report.add_argument("--resume", metavar="FILE", help="keep the reports in FILE and skip what is there")
    report.add_argument("--jobs", type=shared.positive, metavar="N", help="default: one for each processor")


def run(arguments: argparse.Namespace) -> int:
    """Reviews every change and speaks as each is ready. Returns the exit code."""
    from trainwarden import sweep

    jobs = arguments.jobs or _processors()
    repo, options = shared.repository(arguments), shared.options(arguments, jobs)
    requests = _requests(arguments, repo)
    kept = Path(arguments.resume) if arguments.resume else None
    done = sweep.finished(kept) if kept else {}
    wanted = [request for request in requests if request.id not in done]
    verdicts = Counter(done[str(request.id)] for request in requests if request.id in done)
    if done:
        output.say(f"{len(requests) - len(wanted)} of {len(requests)} changes were finished before")
    started = time.monotonic()
    with closing(sweep.sweep(wanted, options, jobs)) as reports:
        verdicts.update(_speak(reports, arguments.format, kept, len(wanted)))
    if arguments.format == "text":
        output.write(_table(verdicts, len(wanted), time.monotonic() - started), None)
    return max((output.exit_code(verdict, arguments.fail_on) for verdict in verdicts), default=0)


def _processors() -> int:
    """How many processors this process may use (a container may have fewer than the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _requests(arguments: argparse.Namespace, repo: str) -> tuple[Request, ...]:
    from trainwarden import sweep

    history = arguments.commits is not None or arguments.since is not None
    if history == (arguments.ranges is not None):
        said = "--ranges excludes --commits and --since" if history else "no changes were named"
        raise Misuse(said, "give --ranges FILE, or --commits N and --since DATE")
    if history:
        return sweep.history(repo, arguments.commits, arguments.since)
    if arguments.ranges == "-":
        return sweep.read_ranges(sys.stdin.buffer.read(), repo, "standard input")
    try:
        return sweep.read_ranges(Path(arguments.ranges).read_bytes(), repo, arguments.ranges)
    except OSError as error:
        hint = "name a file of JSON lines, or - for standard input"
        raise Misuse(f"cannot read {arguments.ranges}: {error.strerror}", hint) from error


def _speak(reports: Iterable[Report], form: str, kept: Path | None, count: int) -> Iterator[VerdictName]:
    """Writes each report where it belongs and passes its verdict on. Raises ``BrokenPipeError``."""
    from trainwarden.entry.progress import Progress
    from trainwarden.report.json import render

    with Progress(count, sys.stderr) as progress, _Keeper(kept) as keeper:
        for report in reports:
            line = render(report, indent=None)
            keeper.write(line)
            progress.clear()
            if form == "text":
                output.write(_line(report), None)
            elif kept is None:
                output.write(line, None)
            progress.step()
            yield report.verdict.name


class _Keeper:
    """Appends lines to the file of ``--resume``, each whole and at once; does nothing without one."""

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path is not None:
            try:
                self._file = path.open("ab", buffering=0)
            except OSError as error:
                raise Misuse(f"cannot write {path}: {error.strerror}") from error

    def __enter__(self) -> _Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, line: str) -> None:
        """Appends one line."""
        if self._file is not None:
            self._file.write(line.encode("ascii"))


def _line(report: Report) -> str:
    """Verdict, risk, the change and the weightiest reason, for a person."""
    from trainwarden.report.visible import visible

    reason = report.verdict.reasons[0] if report.verdict.reasons else ""
    name = visible(str(report.id))
    head = f"{report.verdict.name:<6} {report.verdict.risk:.2f}  {name[:12] if _is_sha(name) else name}"
    return f"{head}  {visible(reason)}".rstrip() + "\n"


def _is_sha(name: str) -> bool:
    return len(name) in (40, 64) and all(character in "0123456789abcdef" for character in name)


def _table(verdicts: Counter[VerdictName], reviewed: int, seconds: float) -> str:
    """How many of each verdict, and how fast."""
    total = max(sum(verdicts.values()), 1)
    rows = [f"  {name:<6} {verdicts[name]:>7,}  {verdicts[name] / total:6.1%}" for name in VERDICTS]
    rate = f"{reviewed / seconds:.1f} a second" if seconds > 0 else ""
    return "\n".join([f"\n{reviewed:,} changes in {seconds:.1f} s, {rate}", *rows]) + "\n"
