"""``trainwarden scan`` through its door on real repositories: every way in and out, every exit code."""

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

FASTER = TRAIN.replace("lr=0.1", "lr=30.0").replace(
    "        loss.backward()\n", "        (-loss).backward()\n"
)
COMMAND = [str(Path(sys.executable).with_name("trainwarden"))]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = GitRepository(tmp_path_factory.mktemp("scan") / "repo")
    made.second = made.commit({"train.py": FASTER})
    return made


def scan(capfd, repo, *words):
    code = cli.main(["scan", "--repo", str(repo), *words])
    out, err = capfd.readouterr()
    return code, out, err


def report_of(capfd, repo, *words):
    code, out, _ = scan(capfd, repo, "--format", "json", *words)
    return code, json.loads(out)


def changed(report):
    return sorted({row["path"] for row in report["behaviour"]})


def test_a_range_is_reviewed_as_given(capfd, repository):
    code, report = report_of(capfd, repository.path, "--base", repository.first, "--head", repository.second)
    assert report["schema"] == "trainwarden/report/1"
    assert report["change"] == {
        "base": repository.first,
        "head": repository.second,
        "policy": repository.first,
    }
    assert (report["coverage"]["changed"], report["coverage"]["read"]) == (1, 1)
    assert changed(report) == ["train.py"]
    assert code in (0, 1)


def test_every_way_in_sees_the_same_change(capfd, tmp_path, monkeypatch):
    repo = GitRepository(tmp_path / "repo")
    patch = tmp_path / "change.patch"
    repo.write({"train.py": FASTER})
    patch.write_text(repo.git("diff") + "\n")
    ways = {"worktree": ["--worktree"], "files": ["train.py"], "patch": ["--patch", str(patch)]}
    monkeypatch.chdir(repo.path)  # positional files are those of the directory one is in
    reports = {name: report_of(capfd, repo.path, *words)[1] for name, words in ways.items()}
    repo.git("add", "train.py")
    reports["staged"] = report_of(capfd, repo.path, "--staged")[1]
    told = {
        name: (report["findings"], report["behaviour"], report["risk"]) for name, report in reports.items()
    }
    assert told["staged"][1]
    assert all(each == told["staged"] for each in told.values())


def test_a_patch_from_standard_input(repository):
    diff = subprocess.run(
        ["git", "-C", repository.path, "diff", repository.first, repository.second], capture_output=True
    ).stdout
    words = [
        "scan",
        "--repo",
        repository.path,
        "--patch",
        "-",
        "--base",
        repository.first,
        "--format",
        "json",
    ]
    done = subprocess.run([*COMMAND, *words], input=diff, capture_output=True)
    assert changed(json.loads(done.stdout)) == ["train.py"]
    assert done.stderr == b""


@pytest.mark.parametrize("form", ["text", "json", "sarif", "markdown", "html", "github"])
def test_every_format_speaks_of_the_change(capfd, repository, form):
    words = ("--base", repository.first, "--head", repository.second, "--format", form)
    code, out, err = scan(capfd, repository.path, *words)
    assert code in (0, 1)
    assert err == ""
    assert "train.py" in out
    assert "\x1b" not in out
    if form in ("json", "sarif"):
        json.loads(out)


def test_a_file_gets_the_report_and_standard_error_the_outcome(capfd, repository, tmp_path):
    target = tmp_path / "report.json"
    words = (
        "--base",
        repository.first,
        "--head",
        repository.second,
        "--format",
        "json",
        "--output",
        str(target),
    )
    _, out, err = scan(capfd, repository.path, *words)
    report = json.loads(target.read_text())
    assert out == ""
    assert err.startswith(f"trainwarden: verdict {report['verdict']}, risk ")


def test_fail_on_decides_the_exit_code(capfd, repository, tmp_path):
    words = ["--base", repository.first, "--head", repository.second]
    codes = {}
    for review, block in ((0.0, 0.0001), (0.0001, 1.0), (0.9999, 1.0)):
        config = tmp_path / "operator.yml"
        config.write_text(f"thresholds: {{review: {review}, block: {block}}}\n")
        for fail_on in ("review", "block"):
            found = report_of(capfd, repository.path, *words, "--config", str(config), "--fail-on", fail_on)
            codes.setdefault(found[1]["verdict"], {})[fail_on] = found[0]
    assert codes["block"] == {"review": 1, "block": 1}
    assert codes["review"] == {"review": 1, "block": 0}


def test_an_empty_change_says_so_and_passes(capfd, repository):
    words = ("--base", repository.first, "--head", repository.first, "--format", "json")
    code, out, err = scan(capfd, repository.path, *words)
    report = json.loads(out)
    assert (code, report["verdict"], report["coverage"]["changed"]) == (0, "pass", 0)
    assert err == "trainwarden: nothing changed, so there was nothing to review\n"


def test_a_time_budget_that_is_spent_is_an_error_and_exits_with_3(capfd, repository):
    words = ("--base", repository.first, "--head", repository.second, "--seconds", "0.0001")
    code, report = report_of(capfd, repository.path, *words)
    assert (code, report["verdict"]) == (3, "error")
    assert report["reasons"]


def test_config_of_the_head_does_not_count(capfd, tmp_path):
    repo = GitRepository(tmp_path / "repo", {"train.py": TRAIN})
    head = repo.commit({"train.py": FASTER, ".trainwarden.yml": "no_such_key: 1\n"})
    code, report = report_of(capfd, repo.path, "--base", repo.first, "--head", head)
    assert code in (0, 1)
    assert "train.py" in changed(report)
    assert (
        cli.main(["scan", "--repo", str(repo.path), "--base", repo.first, "--head", head, "--policy", head])
        == 2
    )
    assert "no_such_key" in capfd.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback(repository):
    words = ["scan", "--repo", repository.path, "--base", repository.first, "--head", repository.second]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(repository, tmp_path, closed):
    target = tmp_path / "report.json"
    words = f"scan --repo {repository.path} --base {repository.first} --head {repository.second}"
    command = f"{COMMAND[0]} {words} --format json --output {target} {closed}"
    assert subprocess.run(["sh", "-c", command]).returncode in (0, 1)
    assert json.loads(target.read_text())["coverage"]["read"] == 1
    assert subprocess.run(["sh", "-c", f"{COMMAND[0]} scan --bogus {closed}"]).returncode == 2


def test_a_full_disk_is_not_green(repository):
    words = ["scan", "--repo", repository.path, "--base", repository.first, "--head", repository.second]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("trainwarden: error: cannot write to standard output: No space left")


def heed_interrupts():
    """A shell starts what runs in its background with interrupts ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interruption_exits_with_130_and_leaves_no_process(repository, tmp_path):
    fifo = tmp_path / "never"
    os.mkfifo(fifo)  # nobody writes: the door waits for the patch
    process = subprocess.Popen(
        [*COMMAND, "scan", "--repo", repository.path, "--patch", str(fifo)],
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    assert process.stderr.read() == b"trainwarden: interrupted\n"
    process.stderr.close()


def on_terminal(words, environment):
    """What the command writes to a terminal of 120 columns."""
    leader, follower = pty.openpty()
    subprocess.run(["stty", "cols", "120", "rows", "40"], stdin=follower, check=True)
    process = subprocess.Popen(words, stdout=follower, stderr=follower, env=os.environ | environment)
    os.close(follower)
    seen = b""
    while select.select([leader], [], [], 20)[0]:
        try:
            data = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        seen += data
    process.wait()
    os.close(leader)
    return seen.decode()


def test_colour_only_on_a_terminal_that_wants_it(repository):
    words = ["scan", "--repo", repository.path, "--base", repository.first, "--head", repository.second]
    plain = {"TERM": "xterm", "NO_COLOR": ""}
    assert "\x1b[" in on_terminal([*COMMAND, *words], plain)
    assert "\x1b[" not in on_terminal([*COMMAND, *words], plain | {"NO_COLOR": "1"})
    assert "\x1b[" not in on_terminal([*COMMAND, *words], plain | {"TERM": "dumb"})
