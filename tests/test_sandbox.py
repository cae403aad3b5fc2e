"""The supervisor and its real child: what dies, what is marked, what goes on. Real processes and signals."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from trainwarden import sandbox_process
from trainwarden import sandbox_wire as wire
from trainwarden.model import Misuse, Options, Request, ScorerChoice, Unfinished
from trainwarden.sandbox import Reviewer, error_report

TESTS = str(Path(__file__).parent)
QUICK = Options(seconds=4.0, megabytes=512)


@pytest.fixture(autouse=True)
def _targets(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", TESTS)


def ask(*files, repo="/nowhere", identity="one"):
    return Request(repo, "range", "a", "b", files=files, id=identity)


def review(target, *files, options=QUICK, **kw):
    with Reviewer(options, f"sandbox_targets:{target}") as reviewer:
        return reviewer.review(ask(*files, **kw))


def gone(pid):
    """Whether the process is no more (a zombie that only waits to be reaped counts as gone)."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def ahead():
    """A reader with a head start."""
    sandbox_process.head_start()
    yield sandbox_process._ahead[0]
    sandbox_process.forget()


def test_the_reader_with_a_head_start_is_the_one_that_reviews_with_the_usual_limits(ahead):
    with Reviewer(Options()) as reviewer:
        assert reviewer._child._process is ahead
        assert not sandbox_process._ahead
    assert ahead.child.returncode == -signal.SIGKILL and not Path(ahead.scratch).exists()


def test_a_reader_with_a_head_start_and_other_limits_ends(ahead):
    with Reviewer(QUICK) as reviewer:
        assert reviewer._child._process is not ahead
        assert ahead.child.returncode == -signal.SIGKILL and not Path(ahead.scratch).exists()


@pytest.mark.parametrize(
    "words", [["scan", "--no-such-flag"], ["hook", "--fail-on", "x"], ["scan", "--help"]]
)
def test_a_command_that_reviews_nothing_leaves_nothing_behind(tmp_path, words):
    command = [str(Path(sys.executable).with_name("trainwarden")), *words]
    ended = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, check=False
    )
    assert ended.returncode == (0 if "--help" in words else 2)
    assert not list(tmp_path.iterdir())


def test_a_reader_whose_supervisor_is_gone_when_it_starts_ends_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = sandbox_process.Process("sandbox_targets:honest", "512", "address")
    os.close(process.requests)
    os.close(process.answers)
    assert process.child.wait(60) == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


def test_an_honest_review_comes_back_whole():
    report = review("honest", "a.py", "b.py")
    assert report.id == "one"
    assert report.verdict.name == "pass"
    assert (report.coverage.changed, report.coverage.read, report.coverage.unread) == (2, 2, ())


def test_a_gpu_may_reserve_addresses_but_nobody_fills_more_memory_than_allowed():
    on_gpu = replace(QUICK, seconds=60.0, scorer=ScorerChoice(device="cuda"))
    for target, options, read in (("reserve", QUICK, 1), ("reserve", on_gpu, 2), ("hog", on_gpu, 1)):
        assert review(target, "a.py", "bad.py", options=options).coverage.read == read, (target, read)


def test_the_child_stays_warm_between_requests():
    with Reviewer(QUICK, "sandbox_targets:honest") as reviewer:
        first = reviewer._child
        for number in range(3):
            assert reviewer.review(ask("a.py", identity=str(number))).id == str(number)
        assert reviewer._child is first


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("crash", "crashed with SIGSEGV"),
        ("hog", "ran out of memory"),
        ("raises", "failed with KeyError"),
        ("recurse", "failed with RecursionError"),
        ("exits", "failed with SystemExit"),
        ("sleep", "took longer than 1 s"),
        ("spin", "took longer than 1 s"),
    ],
)
def test_a_file_that_kills_the_reader_is_unread_and_the_rest_is_read(target, words):
    # On a busy machine dying takes its time: only what waits for the clock is given little of it.
    options = QUICK if words.startswith("took") else replace(QUICK, seconds=120.0)
    report = review(target, "a.py", "bad.py", "c.py", options=options)
    (unread,) = report.coverage.unread
    assert unread.path == "bad.py"
    assert words in unread.reason
    assert report.coverage.read == 2


def test_a_reader_that_cannot_start_says_so_each_time():
    with Reviewer(QUICK, "sandbox_targets:no_such_function") as reviewer:
        for _ in range(2):
            (reason,) = reviewer.review(ask("a.py")).verdict.reasons
            assert reason.startswith("the reader cannot start")


def test_undecodable_paths_survive_the_breadcrumb():
    path = os.fsdecode(b"bad \xff\n.py")
    (unread,) = review("crash", path).coverage.unread
    assert unread.path == path


def test_more_deaths_than_restarts_is_an_error_that_names_the_files():
    report = review("raises", *(f"bad{number}.py" for number in range(9)))
    assert report.verdict.name == "error"
    assert "died 6 times" in report.verdict.reasons[0]
    assert [unread.path for unread in report.coverage.unread] == [f"bad{number}.py" for number in range(6)]


def test_the_time_of_all_attempts_together_is_bounded():
    started = time.monotonic()
    report = review("sleep", *(f"bad{number}.py" for number in range(9)))
    assert report.verdict.name == "error"
    assert "took longer" in report.verdict.reasons[0]
    assert time.monotonic() - started < QUICK.seconds + 4


def test_a_death_that_no_file_explains_is_an_error():
    report = review("crash_without_file", "good.py")
    assert report.verdict.name == "error"
    assert report.verdict.reasons == ("the reader crashed with SIGSEGV",)
    assert report.coverage.unread == ()


def test_an_old_child_does_not_accuse_a_file():
    with Reviewer(QUICK, "sandbox_targets:aging") as reviewer:
        reports = [reviewer.review(ask("innocent.py", identity=str(number))) for number in range(4)]
    assert [report.verdict.name for report in reports] == ["pass"] * 4
    assert all(not report.coverage.unread for report in reports)


def test_misuse_is_raised_with_its_hint():
    with pytest.raises(Misuse, match="unknown revision") as caught:
        review("misuse")
    assert caught.value.hint == "look at git log"


def test_unfinished_is_an_error_report():
    report = review("unfinished")
    assert report.verdict.name == "error"
    assert report.verdict.reasons == ("an object is missing",)


def test_a_reader_that_cannot_start_is_an_error_report():
    report = review("no_such_function")
    assert report.verdict.name == "error"
    assert "cannot start" in report.verdict.reasons[0]


@pytest.mark.parametrize(
    "answer",
    [
        wire.frame(wire.REPORT, b"{}"),
        wire.frame(wire.REPORT, b"\xff\x00"),
        wire.frame(wire.REPORT, b"[" * 100_000),
        wire.frame(wire.REPORT, b'{"report": {"verdict": "pass"}, "retire": false}'),
        wire.frame(b"?", b""),
        wire.REPORT + b"\xff\xff\xff\xff",
    ],
)
def test_what_the_child_says_is_not_believed(tmp_path, answer):
    (tmp_path / "answer").write_bytes(answer)
    report = review("liar", "bad.py", repo=str(tmp_path / "answer"))
    assert report.verdict.name == "error"
    assert "answered nonsense" in report.verdict.reasons[0]


def test_the_child_sees_no_secret_and_imports_nothing_from_here(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}.{os.pathsep}relative")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yaml.py").write_text("raise SystemExit('the repository under review was imported')")
    seen = review("surroundings").verdict.reasons
    assert "GITHUB_TOKEN" not in seen
    assert {"cwd=/", "stdin=b''"} <= set(seen)
    assert not [entry for entry in seen if entry.startswith("path=") and not entry.startswith("path=/")]
    assert f"path={tmp_path}" not in seen


def test_closing_ends_the_child_and_what_it_started(tmp_path):
    note = tmp_path / "pids"
    reviewer = Reviewer(Options(seconds=60), "sandbox_targets:leaves_a_helper")
    failures = []

    def work():
        with reviewer:
            try:
                reviewer.review(ask("bad.py", repo=str(note)))
            except Unfinished as error:
                failures.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    child, helper = _pids(note)
    reviewer.abort()
    thread.join(5)
    assert failures == ["the reviewer was stopped"]
    assert gone(child)
    assert gone(helper)


def test_a_killed_child_leaves_no_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    note = tmp_path / "note"
    review("litters", repo=str(note))
    assert Path(note.read_text()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == [note]


def test_no_temporary_directory_is_an_error_report(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/does/not/exist")
    assert "no temporary directory" in review("honest").verdict.reasons[0]


def test_the_child_ends_when_its_supervisor_is_killed(tmp_path):
    note = tmp_path / "pids"
    script = (
        "import sys\nfrom trainwarden.model import *\nfrom trainwarden.sandbox import Reviewer\n"
        "with Reviewer(Options(), 'sandbox_targets:leaves_a_helper') as reviewer:\n"
        "    reviewer.review(Request(sys.argv[1], 'range', 'a', 'b'))\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {"TMPDIR": str(scratch)}
    supervisor = subprocess.Popen([sys.executable, "-c", script, str(note)], env=environment)
    child, helper = _pids(note)
    assert list(scratch.iterdir())
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    assert gone(child)
    assert gone(helper)
    assert not list(scratch.iterdir())


def _pids(note):
    deadline = time.monotonic() + 10
    while not (note.exists() and note.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(word) for word in note.read_text().split()]


def test_an_error_report_names_what_was_asked():
    report = error_report(ask(), "out of time")
    assert (report.id, report.revisions.base, report.revisions.head) == ("one", "a", "b")
    assert report.verdict.name == "error"
    assert report.verdict.risk == 1.0
