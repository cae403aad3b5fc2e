"""Sweeping with real workers: nothing is missing, nothing stalls the rest, and an interrupted run goes on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainwarden.model import Misuse, Options, Request
from trainwarden.report.json import render
from trainwarden.sandbox import error_report
from trainwarden.sweep import finished, history, read_ranges, sweep

TESTS = str(Path(__file__).parent)
QUICK = Options(seconds=4.0, megabytes=512)


@pytest.fixture(autouse=True)
def _targets(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", TESTS)


def changes(*names):
    return [Request("/nowhere", "range", "a", "b", files=(name,), id=name) for name in names]


def swept(target, *names, jobs=2, options=QUICK):
    reports = list(sweep(changes(*names), options, jobs, f"sandbox_targets:{target}"))
    assert len(reports) == len(names)
    return {report.id: report for report in reports}


def test_every_change_has_its_report():
    names = [f"{number}.py" for number in range(20)]
    reports = swept("honest", *names)
    assert sorted(reports) == sorted(names)
    assert {report.verdict.name for report in reports.values()} == {"pass"}


def test_nothing_to_do_is_done_at_once():
    assert swept("honest") == {}


def test_the_order_does_not_change_what_is_said():
    names = [f"{kind}{number}.py" for number in range(4) for kind in ("good", "bad")]
    one = swept("raises", *names, jobs=1)
    other = swept("raises", *reversed(names), jobs=3)
    assert one == other
    assert [name for name in names if one[name].coverage.unread] == [n for n in names if n.startswith("bad")]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("misuse", "unknown revision 'nope'"),
        ("unfinished", "an object is missing"),
        ("crash_without_file", "the reader crashed with SIGSEGV"),
        ("no_such_function", "the reader cannot start"),
    ],
)
def test_a_change_that_fails_is_a_line_with_verdict_error(target, reason):
    reports = swept(target, "a.py", "b.py")
    assert sorted(reports) == ["a.py", "b.py"]
    for report in reports.values():
        assert report.verdict.name == "error"
        assert report.verdict.reasons[0].startswith(reason)


def test_a_slow_change_does_not_hold_up_the_others():
    names = ["bad.py", *(f"{number}.py" for number in range(5))]
    order = [report.id for report in sweep(changes(*names), QUICK, 2, "sandbox_targets:sleep")]
    assert order[-1] == "bad.py"


def test_closing_ends_the_workers_at_once():
    reports = sweep(changes("good.py", "bad.py", "bad2.py"), Options(), 2, "sandbox_targets:sleep")
    assert next(reports).id == "good.py"
    started = time.monotonic()
    reports.close()
    assert time.monotonic() - started < 5


def test_ranges_are_read():
    lines = b'{"id": "x", "base": "a", "head": "b", "note": 1}\n\n{"base": "c", "head": "d", "policy": "p"}\n'
    lines += b'{"id": 7, "base": "e", "head": "f"}'
    assert read_ranges(lines, "/r", "ranges") == (
        Request("/r", "range", "a", "b", id="x"),
        Request("/r", "range", "c", "d", "p", id="c..d"),
        Request("/r", "range", "e", "f", id="7"),
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"{}", "line 1"),
        (b'{"base": "a", "head": "b"}\n{"base": "a"', "line 2: not JSON"),
        (b'["a", "b"]', "line 1"),
        (b'{"base": "a", "head": 3}', "as text"),
        (b'{"base": "a", "head": "b", "id": {}}', '"id"'),
        (b'{"base": "a", "head": "b", "policy": 3}', '"policy"'),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"base": "a", "head": "b"}\n{"base": "a", "head": "b"}', "line 2: the id 'a..b' was used before"),
    ],
)
def test_a_bad_range_is_misuse_naming_the_line(lines, words):
    with pytest.raises(Misuse, match="ranges, line") as caught:
        read_ranges(lines, "/r", "ranges")
    assert words in str(caught.value)


def kept(path, *names):
    lines = [render(error_report(request, "no"), indent=None) for request in changes(*names)]
    path.write_text("".join(lines))


def test_what_is_finished_is_found(tmp_path):
    path = tmp_path / "reports.jsonl"
    assert finished(path) == {}
    kept(path, "a", "b")
    assert finished(path) == {"a": "error", "b": "error"}


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "reports.jsonl"
    kept(path, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert finished(path) == {"a": "error"}
    assert path.read_bytes() == whole[: whole.index(b"\n") + 1]


def test_a_file_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("precious\nunfinished")
    with pytest.raises(Misuse, match="line 1: not a report"):
        finished(path)
    assert path.read_text() == "precious\nunfinished"


def git(repo, *words):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", "-C", str(repo), *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_history_is_first_parent_and_newest_first(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    commits = []
    for number in range(3):
        (tmp_path / "train.py").write_text(f"x = {number}\n")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", str(number))
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
    git(tmp_path, "checkout", "-q", "-b", "side", "HEAD~1")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "side")
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "side")
    requests = history(str(tmp_path), 10, None)
    assert [request.id for request in requests] == commits[::-1]
    assert [(request.base, request.head) for request in requests[:2]] == [
        (commits[1], commits[2]),
        (commits[0], commits[1]),
    ]
    assert [request.id for request in history(str(tmp_path), 1, None)] == commits[:-2:-1]


def test_history_of_no_repository_is_misuse(tmp_path):
    with pytest.raises(Misuse):
        history(str(tmp_path), 1, None)


def test_results_are_printed_as_they_come(tmp_path):
    """A worker that never ends must not keep back what others have finished."""
    script = (
        "import sys\nfrom trainwarden.model import *\nfrom trainwarden.sweep import sweep\n"
        "names = ['bad.py', 'good.py']\n"
        "requests = [Request('/', 'range', 'a', 'b', files=(name,), id=name) for name in names]\n"
        "for report in sweep(requests, Options(), 2, 'sandbox_targets:sleep'):\n"
        "    print(report.id, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "good.py\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_line_is_json():
    (request,) = changes("a")
    assert json.loads(render(error_report(request, "no"), indent=None))["id"] == "a"
