"""``trainwarden model calibrate``: a team's own history in, thresholds that keep to its budget of alerts out."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from trainwarden import config
from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.model import Misuse

EPILOG = """\
The newest commits of the repository are reviewed and taken for honest. The review threshold becomes the risk that as
many of them pass as the budget allows, the block threshold the risk that a tenth of these pass.

examples:
  trainwarden model calibrate --repo . --commits 2000 --budget 1%
  trainwarden model calibrate --repo . --commits 2000 --budget 0.5% --write .trainwarden.yml

A config that decides over a repository lies in its protected branch: propose the edit like any other.
"""
BLOCKED = 0.1
"""The share of the alerts that block."""
LEAST, MOST = 0.01, 0.99
_LINE = re.compile(r"^thresholds:[ \t]*(\{[^{}\n]*\})?[ \t]*(#.*)?$", re.MULTILINE)
_BLOCK = re.compile(r"^thresholds:[ \t]*(#.*)?\n([ \t]+\S.*\n?)+", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EPILOG
    shared.add_repo(parser)
    parser.add_argument("--commits", type=shared.positive, default=1000, metavar="N", help="default: 1000")
    parser.add_argument(
        "--budget", type=share, default=0.01, metavar="PERCENT", help="alerts allowed (default: 1%%)"
    )
    parser.add_argument("--write", metavar="FILE", help="put the thresholds into this config file")
    parser.add_argument("--jobs", type=shared.positive, default=2, metavar="N", help="default: 2")
    shared.add_judging(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reviews, tells the thresholds and writes them if asked to. Returns the exit code."""
    from trainwarden import sweep
    from trainwarden.entry.progress import Progress

    repo, options = shared.repository(arguments), shared.options(arguments, arguments.jobs)
    requests = sweep.history(repo, arguments.commits, None)
    risks: list[float] = []
    with (
        closing(sweep.sweep(requests, options, arguments.jobs)) as reports,
        Progress(len(requests), sys.stderr) as bar,
    ):
        for report in reports:
            bar.step()
            if report.verdict.name != "error":
                risks.append(report.verdict.risk)
    review, block = thresholds(risks, arguments.budget)
    line = spelled(review, block)
    output.write(f"{_words(risks, arguments.budget, review, block)}\n\n{line}\n", None)
    if arguments.write is not None:
        _write(Path(arguments.write), line)
    return 0


def share(text: str) -> float:
    """``1%`` or ``0.01``. Raises ``argparse.ArgumentTypeError`` for what is not between 0 and a half."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = math.nan
    if not 0 < number <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 1% or 0.01, of at most a half")
    return number


def thresholds(risks: Sequence[float], budget: float) -> tuple[float, float]:
    """Review and block thresholds that at most ``budget`` and a tenth of it of these risks reach.

    Raises ``Misuse`` when there are too few risks to tell: fewer than two alerts would be allowed.
    """
    allowed = math.floor(budget * len(risks))
    if allowed < 2:
        needed = math.ceil(2 / budget)
        raise Misuse(
            f"{len(risks)} reviews are too few for a budget of {budget:.2%}", f"review {needed} or more"
        )
    ranked = sorted(risks, reverse=True)
    review = _above(ranked, allowed)
    return review, max(_above(ranked, math.floor(BLOCKED * allowed)), review)


def _above(ranked: Sequence[float], allowed: int) -> float:
    """The smallest threshold in steps of a hundredth that at most ``allowed`` of the risks reach."""
    limit = ranked[allowed]
    return min(MOST, max(LEAST, math.floor(limit * 100 + 1) / 100))


def spelled(review: float, block: float) -> str:
    """The line of a config file."""
    return f"thresholds: {{review: {review:.2f}, block: {block:.2f}}}"


def edited(text: str, line: str) -> str:
    """A config file with that line in place of its own, or at its end. Raises ``Misuse`` when it would not load."""
    for shape in (_BLOCK, _LINE):
        if shape.search(text):
            text = shape.sub(line + ("\n" if shape is _BLOCK else ""), text, count=1)
            break
    else:
        text = f"{text.rstrip()}\n{line}\n".lstrip()
    config.load(text.encode("utf-8"), "the edited config")
    return text


def _write(path: Path, line: str) -> None:
    try:
        old = path.read_text("utf-8") if path.exists() else ""
        path.write_text(edited(old, line), "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"cannot edit {path}: {error}", "name a config file that can be written") from error
    output.say(f"{path} was written")


def _words(risks: Sequence[float], budget: float, review: float, block: float) -> str:
    reached = [sum(risk >= limit for risk in risks) for limit in (review, block)]
    return (
        f"{len(risks):,} commits reviewed; with a budget of {budget:.2%} alerts, {reached[0]} would go to review "
        f"({reached[0] / len(risks):.2%}), {reached[1]} of these would be blocked."
    )
