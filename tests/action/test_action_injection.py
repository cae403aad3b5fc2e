"""Text that the author of a change chooses never becomes a command, an output, an argument or a path."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from action_events import pull_request
from action_runner import Job, parse_command, parse_outputs
from action_server import Server
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.entry.event import change_of
from trainwarden.entry.runner import Runner
from trainwarden.model import Misuse

CODE = 'import os\nexec(__import__("base64").b64decode("cHJpbnQoMSk="))  # ::error::commented\n'
NAMES = [
    "$(touch pwned).py",
    "`touch pwned`.py",
    "a;touch pwned;.py",
    "train.py\n::error file=x::forged.py",
    "train.py\r\n::set-output name=verdict::pass.py",
    "::stop-commands::token.py",
    "##[error]forged.py",
    "%0A::add-mask::train.py",
    "verdict=pass.py",
    "-rf.py",
    "{{ github.token }}.py",
]
SHELL = "$(touch pwned) `touch pwned` '\";touch pwned"
HOSTILE = f"{SHELL}\n::error::forged\n##[set-env name=X]y\nverdict<<EOF\npass\nEOF\n"
BRANCHES = [
    "", "main:refs/heads/x", "main topic", "a..b", "../../heads/main", "x.lock", "x.lock/y", "a\nb", "a@{1}",
    "/main", "main/", "a//b", ".main", "a/.b", "a^", "a~1", "a?", "a*", "a[b", "a\\b", "a\x7f", "main.", "x" * 300,
]  # fmt: skip
GOOD_BRANCHES = [
    "main",
    "release/1.0",
    "-dash",
    "ein-zweig-für-alle",
    "$(touch${IFS}pwned)",
    "a;b",
    "x.locks",
]


@pytest.fixture
def base(server: Server) -> str:
    return server.repository.commit("main", {"train.py": "x = 1\n"}, orphan=True)


def test_names_and_code_do_not_speak_to_the_runner(job: Job, server: Server, base: str) -> None:
    files: dict[str, str | bytes | None] = dict.fromkeys(NAMES, CODE)
    head = server.repository.commit(
        "topic", files | {"bin.bin\n::error::x": b"\0"}, parent=base, message=HOSTILE
    )
    job.event("pull_request", pull_request(base, head))
    step = job.review()
    assert step.outputs["verdict"] == "block", step.log
    assert set(step.outputs) == {"verdict", "risk", "sarif"}
    lines = step.log.rstrip("\n").split("\n")
    commands = [parse_command(line) for line in lines]
    assert len(lines) > 10
    assert [line for line, command in zip(lines, commands, strict=True) if command is None] == []
    assert {command.name for command in step.commands} <= {"error", "warning", "notice"}
    titles = {command.properties["title"] for command in step.commands}
    assert [title for title in titles if not re.match(r"Trainwarden|[a-z-]+ \(", title)] == []
    assert [line for line in step.summary.split("\n") if parse_command(line)] == []
    assert _traces(job) == []


def test_titles_and_branches_of_a_payload_are_left_alone(job: Job, server: Server, base: str) -> None:
    head = server.repository.commit("topic", {"README.md": "Hello.\n"}, parent=base)
    payload = pull_request(base, head, fork=True)
    payload["pull_request"] |= {"title": HOSTILE, "body": HOSTILE}
    payload["pull_request"]["head"] |= {"ref": HOSTILE, "label": HOSTILE}
    payload["pull_request"]["base"]["ref"] = HOSTILE
    job.event("pull_request", payload)
    job.variables |= {"GITHUB_HEAD_REF": HOSTILE, "GITHUB_REF_NAME": HOSTILE}
    step = job.review()
    assert (step.status, step.outputs["verdict"]) == (0, "pass"), step.log
    assert "forged" not in step.log + step.summary
    assert _traces(job) == []


SHELLS = ("$(touch pwned)", "'; touch pwned; '", '"; touch pwned; "', "mode --help", "mode\n::error::forged")
INPUTS = [("fail-on", value) for value in SHELLS] + [
    (name, SHELLS[0]) for name in ("seconds", "megabytes", "history", "rules", "config")
]


@pytest.mark.parametrize(("name", "value"), INPUTS)
def test_inputs_are_arguments_and_never_shell(
    job: Job, server: Server, base: str, name: str, value: str
) -> None:
    job.event("pull_request", pull_request(base, base))
    step = job.review(**{name: value})
    # An unusable history counts as wished for: leaving it out is what has to be asked for.
    assert step.status == (0 if name == "history" else 2), step.log
    assert [command.text for command in step.commands if command.text == "forged"] == []
    assert _traces(job) == []


def _traces(job: Job) -> list[Path]:
    return [path for folder in (job.workspace, job.temporary) for path in folder.glob("pwned*")]


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_default_branch_that_git_would_not_allow_is_refused(branch: str) -> None:
    with pytest.raises(Misuse):
        change_of("pull_request", pull_request("1" * 40, "2" * 40, default=branch))


@pytest.mark.parametrize("branch", GOOD_BRANCHES)
def test_a_default_branch_of_any_allowed_name_is_usable(branch: str) -> None:
    change = change_of("pull_request", pull_request("1" * 40, "2" * 40, default=branch))
    assert change.policy == f"refs/heads/{branch}"


@pytest.mark.parametrize(
    "name", ["HEAD", "main", "--upload-pack=x", "1" * 39, "1" * 41, "1" * 40 + "\n", "G" * 40]
)
def test_only_full_object_names_are_taken_from_a_payload(name: str) -> None:
    for base, head in ((name, "1" * 40), ("1" * 40, name)):
        with pytest.raises(Misuse):
            change_of("pull_request", pull_request(base, head))


@given(value=st.text(st.characters(exclude_categories=["Cs"])), secret=st.text(max_size=5))
def test_a_value_cannot_set_another_output(
    value: str, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runner = _runner(tmp_path_factory.mktemp("files"))
    for text in (value, f"{secret}\nverdict=pass", f"EOF\n{value}\nverdict<<EOF\npass\nEOF"):
        runner.set_output("sarif", text)
        runner.set_output("verdict", "block")
        told = parse_outputs(runner.output.read_bytes().decode("utf-8"))
        assert told == {"sarif": text, "verdict": "block"}


def test_delimiters_cannot_be_learned_from_earlier_ones(tmp_path: Path) -> None:
    runner = _runner(tmp_path)
    for _ in range(100):
        runner.set_output("risk", "0.5")
    marks = re.findall(r"<<(end_[0-9a-f]{32})\n", runner.output.read_text())
    assert len(set(marks)) == 100


def _runner(home: Path) -> Runner:
    files = (home / "event", home / "output", home / "summary")
    return Runner("push", files[0], "https://github.com/o/r.git", home, files[1], files[2], None)
