"""`make bench`: how fast and how large, beside bandit and semgrep on the same files in the same run.

Comes in: a repository (the demo's by default) and a number of commits. Goes out: Markdown on stdout, medians
throughout, to be copied into docs/performance.md together with the machine it was measured on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from timing import Run, repeat, run

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from demo.repository import build, changes  # noqa: E402  # beside the tests, not installed

TRAINWARDEN = str(Path(sys.executable).with_name("trainwarden"))
FILES = 10


@dataclass(frozen=True)
class Engine:
    """What judges, the words that ask for it, and the targets: seconds cold, milliseconds warm, changes a second."""

    title: str
    words: tuple[str, ...]
    cold: float
    warm: int
    swept: int


RULES = Engine("Rules alone", ("--no-model",), 0.6, 60, 25)
MODEL = Engine("Rules and classifier", (), 1.0, 120, 12)


def main() -> int:
    """Prints each table as soon as it is measured."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="trainwarden-bench-") as name:
        repository = prepare(Path(name), arguments.repo)
        ranges = history(repository, arguments.commits) if arguments.repo else branches(repository)
        print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
        print(f"{arguments.repo or 'the demo repository'}, {len(ranges)} changes that touch Python\n")
        for engine in (RULES, MODEL):
            print(f"## {engine.title}\n")
            cold(repository, stage(repository), engine, arguments.peers, arguments.repeat)
            warm(repository, ranges, engine, Path(name))
            sweep(repository, ranges, engine, Path(name), arguments.jobs)
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    parser.add_argument("--repo", type=Path, help="a git repository, bare or not (default: the demo's)")
    parser.add_argument(
        "--commits", type=int, default=200, help="how many of its newest commits (default 200)"
    )
    parser.add_argument("--peers", type=Path, help="the bin directory with bandit and semgrep")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each cold command (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="workers of the sweep (default 2)")
    return parser.parse_args()


def prepare(directory: Path, source: Path | None) -> Path:
    """A clone that may be written to."""
    target = directory / "repository"
    if source is None:
        build(target)
    else:
        git(directory, "clone", "--quiet", "--no-hardlinks", str(source.resolve()), str(target))
    return target


def history(repository: Path, commits: int) -> list[tuple[str, str]]:
    """(parent, commit) of the newest first-parent commits that touch Python and have one parent."""
    rows = git(
        repository, "log", "--first-parent", "--no-merges", f"-{commits}", "--format=%P %H", "--", "*.py"
    ).splitlines()
    return [(parts[0], parts[1]) for parts in (row.split() for row in rows) if len(parts) == 2]


def branches(repository: Path) -> list[tuple[str, str]]:
    """Every pull request of the demo against main."""
    names = ["main", *(change.branch for change in changes())]
    shas = [git(repository, "rev-parse", name).strip() for name in names]
    return [(shas[0], sha) for sha in shas[1:]]


def stage(repository: Path) -> list[str]:
    """Stages another version of ten Python files, an older or a reformatted one; returns their paths."""
    candidates = ["honest/format", *(f"HEAD~{back}" for back in (5, 10, 20, 40, 80, 160, 320, 640))]
    paths: list[str] = []
    for revision in candidates:
        try:
            diff = git(
                repository,
                "diff",
                "--name-only",
                "--diff-filter=M",
                "--no-renames",
                revision,
                "HEAD",
                "--",
                "*.py",
            )
        except subprocess.CalledProcessError:
            continue
        paths = diff.splitlines()[:FILES]
        if len(paths) == FILES:
            git(repository, "checkout", "--quiet", revision, "--", *paths)
            return paths
    raise SystemExit(f"no revision of {repository} differs from its head in {FILES} Python files")


def cold(repository: Path, paths: Sequence[str], engine: Engine, peers: Path | None, times: int) -> None:
    """A new process each time: what a developer waits for before a commit."""
    lines = sum((repository / path).read_bytes().count(b"\n") for path in paths)
    print(f"Cold, {len(paths)} staged files of {lines} lines, median of {times} runs\n")
    print("| command | seconds | MiB | times ours |\n|---|---|---|---|")
    command = [TRAINWARDEN, "scan", "--repo", str(repository), "--staged", *engine.words]
    ours = repeat(command, repository, times)
    print(row(f"trainwarden scan --staged (target {engine.cold} s)", ours, ours))
    for name, command in peer_commands(peers, paths):
        print(row(name, repeat(command, repository, times), ours))
    print()


def peer_commands(peers: Path | None, paths: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The peers on the same files, as they are on disk; both read one side only."""
    if peers is None:
        return
    yield "bandit", [str(peers.resolve() / "bandit"), "--quiet", "--format", "json", *paths]
    rules = str(HERE / "semgrep-rules.yml")
    options = ["--metrics=off", "--disable-version-check", "--quiet", "--json", "--config", rules]
    yield "semgrep, three rules", [str(peers.resolve() / "semgrep"), "scan", *options, *paths]


def row(name: str, measured: Run, ours: Run) -> str:
    """A row of the cold table."""
    ratio = measured.seconds / ours.seconds
    return f"| {name} | {measured.seconds:.2f} | {measured.mebibytes:.0f} | {ratio:.1f} |"


def warm(repository: Path, ranges: Sequence[tuple[str, str]], engine: Engine, scratch: Path) -> None:
    """Reviews in one process: what the App spends on a change; then where the time goes."""
    listed = scratch / "ranges"
    listed.write_text("".join(f"{base} {head}\n" for base, head in ranges))
    done = run([sys.executable, str(HERE / "warm.py"), str(repository), str(listed), *engine.words], scratch)
    if done.code:
        raise SystemExit(f"warm.py ended with {done.code}")
    measured = json.loads(done.output)
    print(f"Warm, one process, {len(ranges)} changes, {measured['mebibytes']:.0f} MiB\n")
    print(f"| ms a change | median (target {engine.warm}) | p90 | p99 | largest |\n|---|---|---|---|---|")
    for clock in ("wall", "cpu"):
        times = sorted(1000 * seconds for seconds in measured[clock])
        cells = [statistics.median(times), quantile(times, 0.9), quantile(times, 0.99), times[-1]]
        print(f"| {clock} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    print()
    for title, key in (("Time by room", "rooms"), ("Time by function", "functions")):
        print(f"{title}\n\n| share | where |\n|---|---|")
        print("".join(f"| {100 * share:.1f} % | `{name}` |\n" for name, share in measured[key]))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of an ordered list does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def sweep(
    repository: Path, ranges: Sequence[tuple[str, str]], engine: Engine, scratch: Path, jobs: int
) -> None:
    """Many changes over several workers, start-up included."""
    listed = scratch / "ranges.jsonl"
    listed.write_text(
        "".join(json.dumps({"id": str(n), "base": b, "head": h}) + "\n" for n, (b, h) in enumerate(ranges))
    )
    command = [TRAINWARDEN, "sweep", "--repo", str(repository), "--ranges", str(listed), "--jobs", str(jobs)]
    done = run([*command, *engine.words, "--format", "jsonl"], scratch)
    reports = [json.loads(line) for line in done.output.splitlines()]
    if len(reports) != len(ranges):
        raise SystemExit(f"the sweep printed {len(reports)} lines for {len(ranges)} ranges")
    errors = sum(report["verdict"] == "error" for report in reports)
    print(f"Sweep, {jobs} workers\n")
    print(
        f"| changes | errors | changes/s (target {engine.swept}) | largest process MiB (target 500) |\n"
        "|---|---|---|---|"
    )
    print(f"| {len(reports)} | {errors} | {len(reports) / done.seconds:.1f} | {done.mebibytes:.0f} |\n")


def git(directory: Path, *arguments: str) -> str:
    """Runs git and returns what it prints. Raises ``CalledProcessError``."""
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    if shutil.which("git") is None:
        raise SystemExit("git is not installed")
    sys.exit(main())
