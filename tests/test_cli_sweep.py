"""``trainwarden sweep`` through its door: a line for each change, whatever happens, and resuming."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_repository import TRAIN, GitRepository
from trainwarden.entry import cli
from trainwarden.entry.progress import bar

COMMAND = str(Path(sys.executable).with_name("trainwarden"))
COMMITS = 6


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = GitRepository(tmp_path_factory.mktemp("sweep") / "repo")
    made.commits = [made.first]
    for number in range(1, COMMITS):
        made.commits.append(made.commit({"train.py": TRAIN.replace("lr=0.1", f"lr={number}.5")}))
    return made


def sweep(capfd, repo, *words):
    code = cli.main(["sweep", "--repo", str(repo.path), *words])
    out, err = capfd.readouterr()
    return code, out, err


def ranges(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_history_gives_a_line_for_every_commit(capfd, repository):
    code, out, err = sweep(capfd, repository, "--commits", "100", "--format", "jsonl")
    reports = [json.loads(line) for line in out.splitlines()]
    assert sorted(report["id"] for report in reports) == sorted(repository.commits)
    assert all(report["change"]["head"] == report["id"] for report in reports)
    assert {report["verdict"] for report in reports} <= {"pass", "review", "block"}
    assert code in (0, 1)
    assert err == ""


def test_a_range_that_fails_is_a_line_and_exits_with_3(capfd, repository, tmp_path):
    first, second = repository.commits[:2]
    path = ranges(
        tmp_path / "ranges",
        {"id": "good", "base": first, "head": second},
        {"id": "bad", "base": first, "head": "no-such-revision"},
        {"base": second, "head": first},
    )
    code, out, _ = sweep(capfd, repository, "--ranges", path, "--format", "jsonl")
    reports = {report["id"]: report for report in map(json.loads, out.splitlines())}
    assert sorted(reports) == sorted(["bad", "good", f"{second}..{first}"])
    assert reports["bad"]["verdict"] == "error"
    assert "no-such-revision" in reports["bad"]["reasons"][0]
    assert [name for name, report in reports.items() if report["verdict"] == "error"] == ["bad"]
    assert code == 3


def test_text_is_a_line_a_change_and_a_table(capfd, repository):
    code, out, err = sweep(capfd, repository, "--commits", "3")
    lines = out.splitlines()
    assert sorted(line.split()[2] for line in lines[:3]) == sorted(
        sha[:12] for sha in repository.commits[-3:]
    )
    assert lines[4].startswith("3 changes in ")
    assert [line.split()[0] for line in lines[5:]] == ["pass", "review", "block", "error"]
    assert sum(int(line.split()[1]) for line in lines[5:]) == 3
    assert err == ""
    assert code in (0, 1)


def test_resume_skips_what_is_there_and_appends_the_rest(capfd, repository, tmp_path):
    kept = tmp_path / "reports.jsonl"
    sweep(capfd, repository, "--commits", "2", "--format", "jsonl", "--resume", str(kept))
    earlier = kept.read_bytes()
    assert earlier.count(b"\n") == 2
    kept.write_bytes(earlier + b'{"schema": "trainwarden/rep')  # the power failed here
    code, out, err = sweep(capfd, repository, "--commits", "100", "--format", "jsonl", "--resume", str(kept))
    assert out == ""
    assert err == f"trainwarden: 2 of {COMMITS} changes were finished before\n"
    assert kept.read_bytes().startswith(earlier)
    ids = [json.loads(line)["id"] for line in kept.read_text().splitlines()]
    assert sorted(ids) == sorted(repository.commits)
    again = sweep(capfd, repository, "--commits", "100", "--format", "jsonl", "--resume", str(kept))
    assert again[0] == code
    assert len(kept.read_text().splitlines()) == COMMITS


def test_resume_into_something_else_is_refused(capfd, repository, tmp_path):
    kept = tmp_path / "notes"
    kept.write_text("precious\n")
    code, out, err = sweep(capfd, repository, "--commits", "2", "--resume", str(kept))
    assert (code, out) == (2, "")
    assert "not a report of an earlier sweep" in err
    assert kept.read_text() == "precious\n"


@pytest.mark.parametrize("workers", ["1", "3"])
def test_the_number_of_workers_changes_nothing(capfd, repository, workers):
    _, out, _ = sweep(capfd, repository, "--commits", "6", "--format", "jsonl", "--jobs", workers)
    reports = {report["id"]: report for report in map(json.loads, out.splitlines())}
    _, expected, _ = sweep(capfd, repository, "--commits", "6", "--format", "jsonl", "--jobs", "2")
    for report in map(json.loads, expected.splitlines()):
        reports[report["id"]]["elapsed_ms"] = report["elapsed_ms"]
        assert reports[report["id"]] == report


def heed_interrupts():
    """A shell starts what runs in its background with interrupts ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interruption_leaves_a_file_to_resume(capfd, repository, tmp_path):
    kept = tmp_path / "reports.jsonl"
    rows = [
        {"id": str(n), "base": repository.commits[0], "head": repository.commits[n % 6]} for n in range(5000)
    ]
    words = ["sweep", "--repo", str(repository.path), "--ranges", ranges(tmp_path / "ranges", *rows)]
    process = subprocess.Popen(
        [COMMAND, *words, "--resume", str(kept)], stdout=subprocess.DEVNULL, preexec_fn=heed_interrupts
    )
    deadline = time.monotonic() + 20
    while not (kept.exists() and kept.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    lines = kept.read_text().splitlines()
    assert 0 < len(lines) < len(rows)
    assert all(json.loads(line)["verdict"] != "error" for line in lines)


def test_a_bar_is_drawn_only_on_a_terminal_and_never_into_the_reports(repository, tmp_path):
    leader, follower = pty.openpty()
    words = ["sweep", "--repo", str(repository.path), "--commits", "6", "--format", "jsonl"]
    process = subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    out = process.stdout.read()
    process.stdout.close()
    process.wait()
    seen = b""
    while select.select([leader], [], [], 0)[0]:
        try:
            seen += os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
    os.close(leader)
    assert b"/6" in seen
    assert seen.endswith(b"\r\x1b[K")
    assert len([json.loads(line) for line in out.splitlines()]) == 6


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ((0, 100, 0.0, 80), "[------------------------] 0/100  0.0/s  waiting for the first"),
        ((50, 100, 5.0, 80), "[############------------] 50/100  10.0/s  0:05 left"),
        ((1, 10_000, 1.0, 80), "[------------------------] 1/10,000  1.0/s  2:46:39 left"),
        ((50, 100, 5.0, 20), "[############------"),
        ((0, 0, 1.0, 80), "[########################] 0/0  0.0/s  waiting for the first"),
    ],
)
def test_the_bar(state, text):
    assert bar(*state) == text
