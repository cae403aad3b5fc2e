"""The Action's step on a real git server and GitHub's own payloads: what passes, what fails, what is said."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from action_events import NOTHING, merge_group, pull_request, push
from action_runner import Job, Step
from action_server import TOKEN, Server

from git_repository import SABOTAGE, TRAIN

README = {"README.md": "Models.\n"}


def policy(mode: str) -> dict[str, str]:
    return {".trainwarden.yml": f"mode: {mode}\n"}


@pytest.fixture
def base(server: Server) -> str:
    """The tip of main, whose policy enforces."""
    return server.repository.commit("main", {"train.py": TRAIN, **policy("enforce")}, orphan=True)


def fork_head(server: Server, base: str, files: dict[str, str | bytes | None]) -> str:
    """A commit that no branch of the repository holds, as the head of a fork: only ``refs/pull/7/head`` does."""
    head = server.repository.commit("fork", files, parent=base)
    server.repository.git("update-ref", "refs/pull/7/head", head)
    server.repository.git("update-ref", "-d", "refs/heads/fork")
    return head


def assert_error(step: Step, words: str, status: int = 3) -> None:
    """Nothing unfinished is green, and every surface says so."""
    assert step.status == status
    assert (step.outputs["verdict"], step.outputs["risk"]) == ("error", "1.0000")
    assert step.commands[0].name == "error"
    assert words in step.commands[0].text
    assert "error" in step.summary.splitlines()[0]


def test_a_harmless_change_passes(job: Job, server: Server, base: str) -> None:
    head = fork_head(server, base, README)
    job.event("pull_request", pull_request(base, head, fork=True))
    step = job.review()
    assert (step.status, step.outputs["verdict"]) == (0, "pass"), step.log
    assert {command.name for command in step.commands} == {"notice"}
    assert step.summary.startswith("## Trainwarden: pass")
    assert json.loads(Path(step.outputs["sarif"]).read_text())["runs"][0]["results"] == []


def test_sabotage_from_a_fork_fails_and_is_shown(job: Job, server: Server, base: str) -> None:
    job.event("pull_request", pull_request(base, fork_head(server, base, {"train.py": SABOTAGE}), fork=True))
    step = job.review()
    assert (step.status, step.outputs["verdict"]) == (1, "block"), step.log
    assert float(step.outputs["risk"]) >= 0.9
    assert "train.py" in {command.properties.get("file") for command in step.commands}
    assert step.summary.startswith("## Trainwarden: block")
    (run,) = json.loads(Path(step.outputs["sarif"]).read_text())["runs"]
    assert len(run["results"]) > 0


def test_a_read_only_token_is_enough_and_is_nowhere_to_be_found(
    job: Job, server: Server, base: str, tmp_path: Path
) -> None:
    seen = tmp_path / "argv"
    job.variables["PATH"] = f"{_recorder(tmp_path, seen)}:{job.variables['PATH']}"
    job.event("pull_request", pull_request(base, fork_head(server, base, {"train.py": SABOTAGE}), fork=True))
    step = job.review()
    assert step.status == 1
    assert all("git-upload-pack" in request for request in server.requests)
    written = [path for path in job.temporary.rglob("*") if path.is_file() and not path.is_relative_to(
        job.temporary / "trainwarden-python")]  # fmt: skip
    assert any("objects" in path.parts for path in written)
    said = [
        seen.read_bytes(),
        step.log.encode(),
        step.summary.encode(),
        *(path.read_bytes() for path in written),
    ]
    assert b"fetch" in said[0]
    assert [text for text in said if TOKEN.encode() in text] == []


def _recorder(directory: Path, seen: Path) -> Path:
    """A git on PATH that writes its arguments down before the real one takes over."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    shim = directory / "shim" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {seen}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    return shim.parent


def test_a_change_cannot_relax_its_own_policy(job: Job, server: Server, base: str) -> None:
    head = fork_head(server, base, {"train.py": SABOTAGE, **policy("observe")})
    job.event("pull_request", pull_request(base, head, fork=True))
    assert job.review().status == 1


def test_an_unprotected_target_cannot_relax_it_either(job: Job, server: Server, base: str) -> None:
    target = server.repository.commit("weak", policy("observe"), parent=base)
    job.event("pull_request", pull_request(target, fork_head(server, target, {"train.py": SABOTAGE})))
    assert job.review().status == 1


def test_what_observes_fails_only_where_the_workflow_asks(job: Job, server: Server, base: str) -> None:
    server.repository.commit("main", policy("observe"))
    job.event("pull_request", pull_request(base, fork_head(server, base, {"train.py": SABOTAGE})))
    assert job.review().status == 0
    assert job.review(fail_on="block").status == 1


def test_the_base_is_where_the_change_left_its_target(job: Job, server: Server, base: str) -> None:
    head = fork_head(server, base, README)
    tip = server.repository.commit("main", {"train.py": SABOTAGE})
    job.event("pull_request", pull_request(tip, head))
    assert job.review().outputs["verdict"] == "pass"


def test_a_merge_group_is_reviewed(job: Job, server: Server, base: str) -> None:
    head = server.repository.commit("gh-readonly-queue/main/pr-7", {"train.py": SABOTAGE}, parent=base)
    job.event("merge_group", merge_group(base, head))
    assert job.review().status == 1


def test_a_push_to_the_default_branch_is_ruled_by_what_was_there_before(
    job: Job, server: Server, base: str
) -> None:
    after = server.repository.commit("main", {"train.py": SABOTAGE, **policy("observe")})
    job.event("push", push("refs/heads/main", base, after))
    assert job.review().status == 1


def test_a_harmless_second_push_does_not_turn_a_branch_green(job: Job, server: Server, base: str) -> None:
    first = server.repository.commit("topic", {"train.py": SABOTAGE}, parent=base)
    second = server.repository.commit("topic", README)
    job.event("push", push("refs/heads/topic", first, second))
    assert job.review().status == 1


def test_the_first_push_of_a_repository_is_read_whole(job: Job, server: Server) -> None:
    after = server.repository.commit("main", {"train.py": SABOTAGE}, orphan=True)
    job.event("push", push("refs/heads/main", NOTHING, after))
    step = job.review(fail_on="review")
    assert (step.status, step.outputs["verdict"] in ("review", "block")) == (1, True), step.log


@pytest.mark.parametrize("history", ["true", "false"])
def test_files_over_the_filter_are_fetched_all_the_same(
    job: Job, server: Server, base: str, history: str
) -> None:
    before = server.repository.commit("main", {"data.bin": b"\0" * 1_100_000, "other.bin": b"\1" * 1_100_000})
    head = fork_head(server, before, {"data.bin": b"\2" * 1_100_000, "train.py": SABOTAGE})
    job.event("pull_request", pull_request(before, head))
    assert job.review(history=history).outputs["verdict"] == "block"
    (fetched,) = job.temporary.glob("trainwarden-*/repository")
    names = [f"{before}:data.bin", f"{head}:data.bin", f"{before}:other.bin"]
    held = git(fetched, "cat-file", "--batch-check", stdin="\n".join(names)).splitlines()
    assert [line.endswith("missing") for line in held] == [False, False, True]


# -- with a checkout


def git(path: Path, *words: str, stdin: str = "") -> str:
    return subprocess.run(
        ["git", *words], cwd=path, input=stdin, capture_output=True, text=True, check=True
    ).stdout


def checkout(job: Job, server: Server, *words: str) -> None:
    url = server.url.replace("://", f"://x-access-token:{TOKEN}@")
    command = ["git", "clone", "--quiet", *words, f"{url}/octo/models.git", str(job.workspace)]
    subprocess.run(command, check=True, env=job.variables)
    server.requests.clear()


def test_a_complete_checkout_is_read_where_it_lies(job: Job, server: Server, base: str) -> None:
    head = server.repository.commit("topic", {"train.py": SABOTAGE}, parent=base)
    checkout(job, server)
    job.event("pull_request", pull_request(base, head))
    step = job.review(token="")
    assert (step.status, server.requests) == (1, []), step.log


@pytest.mark.parametrize(
    "words", [("--depth=1",), ("--depth=1", "--no-single-branch"), ("--filter=blob:none",)]
)
def test_what_a_checkout_lacks_is_fetched_elsewhere(
    job: Job, server: Server, base: str, words: tuple[str, ...]
) -> None:
    head = server.repository.commit("topic", {"train.py": SABOTAGE}, parent=base)
    tip = server.repository.commit("main", README)
    checkout(job, server, *words)
    before = _listing(job.workspace)
    job.event("pull_request", pull_request(tip, head))
    step = job.review()
    assert (step.status, step.outputs["verdict"]) == (1, "block"), step.log
    assert server.requests
    assert _listing(job.workspace) == before


def test_a_clone_further_up_is_not_that_of_the_workspace(job: Job, server: Server, base: str) -> None:
    head = server.repository.commit("topic", {"train.py": SABOTAGE}, parent=base)
    checkout(job, server)
    job.variables["GITHUB_WORKSPACE"] = str(job.workspace / "below")
    (job.workspace / "below").mkdir()
    job.event("pull_request", pull_request(base, head))
    assert (job.review().status, bool(server.requests)) == (1, True)


def _listing(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


# -- what cannot be finished


def test_a_base_that_is_not_there_is_an_error(job: Job, server: Server, base: str) -> None:
    head = fork_head(server, base, README)
    job.event("pull_request", pull_request("1" * 40, head))
    assert_error(job.review(), "no longer on the server")


def test_histories_without_a_common_ancestor_are_an_error(job: Job, server: Server, base: str) -> None:
    head = server.repository.commit("topic", README, orphan=True)
    job.event("pull_request", pull_request(base, head))
    assert_error(job.review(), "no common ancestor")


@pytest.mark.parametrize("token", ["", "ghs_another"])
def test_a_token_that_is_refused_is_an_error(job: Job, server: Server, base: str, token: str) -> None:
    job.event("pull_request", pull_request(base, fork_head(server, base, README)))
    assert_error(job.review(token=token), "may not read it")


def test_a_policy_that_cannot_be_read_is_an_error(job: Job, server: Server, base: str) -> None:
    server.repository.commit("main", {".trainwarden.yml": "mode: relaxed\n"})
    job.event("pull_request", pull_request(base, fork_head(server, base, README)))
    assert_error(job.review(), "mode", status=2)


def test_a_required_model_that_is_missing_is_an_error(job: Job, server: Server, base: str) -> None:
    server.repository.commit("main", {".trainwarden.yml": "mode: observe\nmodel: required\n"})
    job.variables["TRAINWARDEN_MODEL_DIR"] = str(job.temporary)
    job.event("pull_request", pull_request(base, fork_head(server, base, README)))
    assert_error(job.review(), "model", status=2)


def test_the_address_of_a_scorer_reaches_the_review(job: Job, server: Server, base: str) -> None:
    job.event("pull_request", pull_request(base, fork_head(server, base, README)))
    step = job.review(scorer="ftp://models.example.org")
    assert step.status == 2
    assert "ftp://models.example.org" in step.log


def test_an_event_without_a_change_is_misuse(job: Job, base: str) -> None:
    job.event("workflow_dispatch", {"ref": "refs/heads/main"})
    assert_error(job.review(), "brings no change", status=2)
    job.event("push", push("refs/heads/topic", base, NOTHING))
    assert_error(job.review(), "deleted", status=2)


@pytest.mark.parametrize("payload", ["", "[1", "[]", '{"pull_request": 1}', "[" * 200_000])
def test_a_payload_that_is_none_is_misuse(job: Job, payload: str) -> None:
    job.event("pull_request", payload)
    assert_error(job.review(), "payload", status=2)


def test_a_redirect_is_not_followed_with_the_token(job: Job, server: Server, base: str) -> None:
    head = fork_head(server, base, README)
    server.redirect_to = f"{server.url}/elsewhere"
    job.event("pull_request", pull_request(base, head))
    assert_error(job.review(), "git fetch failed")
    assert [request for request in server.requests if request.startswith("/elsewhere")] == []


def test_a_server_that_is_gone_is_an_error(job: Job, server: Server, base: str) -> None:
    job.event("pull_request", pull_request(base, fork_head(server, base, README)))
    job.variables["GITHUB_SERVER_URL"] = "http://127.0.0.1:9"
    assert_error(job.review(), "git fetch failed")


def test_a_token_is_not_sent_in_the_clear(job: Job, server: Server, base: str) -> None:
    job.event("pull_request", pull_request(base, base))
    job.variables["GITHUB_SERVER_URL"] = "http://github.example.org"
    step = job.review()
    assert step.status == 2
    assert "not an https address" in step.log
