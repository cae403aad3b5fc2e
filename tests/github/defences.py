"""Removes each defence, one at a time, and expects a test to notice: ``make defences``.

Comes in: the declarations of ``defences_declared``. Goes out: a table, and exit code 1 when a defence could be removed
unnoticed or its text is no longer where it was. The tree is copied and only the copy is changed. Every run is a fork
of a process that has the heavy libraries loaded (and nothing of ours), so that a defence costs little more than its
tests.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from defences_declared import DEFENCES, Defence
from github_parts import prism

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("bot", "tests", "rules", "models", "docs", "pyproject.toml", "action.yml", ".pre-commit-hooks.yaml")
LEFT_OUT = ("node_modules", "cases", "lab", "demo", ".*cache*")
HEAVY: tuple[str, ...] = (
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "dbos",
    "hypothesis",
    "jwt",
    "markdown_it",
    "psycopg",
)
HEAVY += (
    "requests",
    "sqlalchemy.dialects.postgresql",
    "starlette.applications",
    "tree_sitter_python",
    "uvicorn",
)
Outcomes = dict[str, str]


class Stale(Exception):
    """A declared text is not in its file exactly once, or what replaces it is no Python."""


def mutated(defence: Defence, tree: Path = ROOT) -> dict[Path, str]:
    """The files without one defence, by their path in ``tree``. Raises ``Stale``."""
    texts: dict[Path, str] = {}
    for name, before, after in defence.edits:
        path = tree / "bot" / "trainwarden" / name
        text = texts.get(path) or path.read_text("utf-8")
        if before == after or text.count(before) != 1:
            raise Stale(f"{name}: the text occurs {text.count(before)} times: {before!r}")
        texts[path] = text.replace(before, after)
    for path, text in texts.items():
        try:
            ast.parse(text)
        except SyntaxError as error:
            raise Stale(f"{path.name}: no Python after the edit: {error}") from error
    return texts


class Recorder:
    """A pytest plugin that notes the outcome of every test, the worst of its parameters and phases."""

    def __init__(self) -> None:
        self.outcomes: Outcomes = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep ``failed`` over ``passed``; a skipped test proves nothing and counts as skipped."""
        name = report.nodeid.partition("[")[0]
        if report.failed or name not in self.outcomes:
            self.outcomes[name] = report.outcome


def run_tests(tree: Path, tests: Sequence[str], seconds: float) -> Outcomes:
    """Run tests of a tree in a fork; their outcomes. Empty when it did not end in time."""
    answer = tree / "outcomes.json"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _child(tree, tests, answer)
    until = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            _end(child)
            os.waitpid(child, 0)
            return {}
        time.sleep(0.05)
    # Whatever its tests started and did not end.
    _end(child)
    return dict(json.loads(answer.read_text("utf-8"))) if answer.exists() else {}


def _child(tree: Path, tests: Sequence[str], answer: Path) -> None:
    os.setsid()
    os.chdir(tree)
    log = os.open(tree / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.path[:0] = [str(tree / "bot")]
    os.environ["PYTHONPATH"] = str(tree / "bot")
    recorder = Recorder()
    words = [f"tests/{test}" for test in tests]
    pytest.main([*words, "-p", "no:cacheprovider", "--tb=short", "-q"], plugins=[recorder])
    answer.write_text(json.dumps(recorder.outcomes), "utf-8")
    # Threads of servers that a test left may hold up an orderly end.
    os._exit(0)


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree, without what no test here needs."""
    with tempfile.TemporaryDirectory(prefix="trainwarden-defences-") as home:
        tree = Path(home) / "tree"
        tree.mkdir()
        for name in COPIED:
            source, target = ROOT / name, tree / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
            else:
                shutil.copy2(source, target)
        yield tree


def judge(defence: Defence, tree: Path, seconds: float) -> str:
    """``red`` when every test noticed that the defence was gone, or else what happened."""
    try:
        texts = mutated(defence, tree)
    except Stale as error:
        return f"STALE: {error}"
    kept = {path: path.read_bytes() for path in texts}
    try:
        for path, text in texts.items():
            path.write_text(text, "utf-8")
        outcomes = run_tests(tree, defence.tests, seconds)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    return _word(defence.tests, outcomes)


def _word(tests: Sequence[str], outcomes: Outcomes) -> str:
    if not outcomes:
        return "NO OUTCOME: the tests did not end, or could not be collected"
    still = [test for test in tests if outcomes.get(f"tests/{test}") != "failed"]
    return f"GREEN: {', '.join(still)}" if still else "red"


def baseline(tree: Path, defences: Sequence[Defence], seconds: float) -> list[str]:
    """The tests that do not pass while every defence stands; it also leaves compiled files for the runs to come."""
    tests = sorted({test for defence in defences for test in defence.tests})
    outcomes = run_tests(tree, tests, seconds)
    return [test for test in tests if outcomes.get(f"tests/{test}") != "passed"]


def _needs_prism(defences: Sequence[Defence]) -> bool:
    tests = [test for defence in defences for test in defence.tests]
    return any(test.startswith("github/") and "_server.py" not in test for test in tests)


@contextmanager
def _validator(defences: Sequence[Defence]) -> Iterator[None]:
    """One description of GitHub's API for all runs: it takes longer to start than a test to run."""
    if not _needs_prism(defences):
        yield
        return
    with prism() as url:
        os.environ["TRAINWARDEN_TEST_PRISM"] = url
        yield


def chosen(only: Sequence[str]) -> list[Defence]:
    """The defences whose name or item holds one of the given words; all of them without any."""
    return [d for d in DEFENCES if not only or any(word in f"{d.item}: {d.name}" for word in only)]


def main(arguments: Any = None) -> int:
    """Run it. 0 when every removal was noticed, 1 otherwise, 2 when nothing was chosen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[], help="those that hold this text"
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="for the tests of one (default: 300)")
    parser.add_argument("--no-baseline", action="store_true", help="do not first show that all tests pass")
    given = parser.parse_args(arguments)
    defences = chosen(given.only)
    if not defences:
        parser.error("no defence has such a name")
    for name in HEAVY:
        importlib.import_module(name)
    with _validator(defences), copied() as tree:
        if not given.no_baseline and (broken := baseline(tree, defences, 10 * given.seconds)):
            _say("\n  ".join(["not green to begin with:", *broken, (tree / "log").read_text()[-4_000:]]))
            return 1
        return _table(defences, tree, given.seconds)


def _table(defences: Sequence[Defence], tree: Path, seconds: float) -> int:
    noticed = 0
    for defence in defences:
        started = time.monotonic()
        word = judge(defence, tree, seconds)
        noticed += word == "red"
        took = time.monotonic() - started
        _say(f"{defence.item:24} {defence.name:52} {took:6.1f} s  {word}")
    _say(f"{noticed} of {len(defences)} removals were noticed")
    return int(noticed < len(defences))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
