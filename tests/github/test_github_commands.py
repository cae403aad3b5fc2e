"""Who may say what: approvals and labels by the security team, never by the people of the change."""

from __future__ import annotations

import time

import pytest
from github_fake import FakePull
from github_hosting import ALICE, BOB, EVE, Person
from github_world import TRAIN, World

from trainwarden.github.commands import Command, parse
from trainwarden.model import Misuse


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/trainwarden explain", Command("explain")),
        ("/trainwarden rerun\nthanks", Command("rerun")),
        ("/trainwarden approve 0123456789ab it is fine", Command("approve", "0123456789ab", "it is fine")),
        ("/trainwarden false 0123456789ab", Command("false", "0123456789ab")),
    ],
)
def test_commands_are_read(text: str, command: Command) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "/trainwarden",
        "/trainwarden approve",
        "/trainwarden approve 0123456789ab",
        "/trainwarden approve ../../etc x",
        "/trainwarden approve abc because",
        "/trainwarden merge now",
        "/trainwardens rerun",
        "/trainwarden false",
    ],
)
def test_anything_else_is_answered_with_the_usage(text: str) -> None:
    with pytest.raises(Misuse):
        parse(text)


@pytest.fixture
def alerted(world: World) -> FakePull:
    """A blocked pull request of alice."""
    pull = world.pull(world.repository(), "topic", "block-me\n")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    return pull


def test_the_security_team_approves_a_finding(world: World, alerted: FakePull) -> None:
    reply = world.comment(alerted, f"/trainwarden approve {world.fingerprint(alerted)} agreed in the meeting")
    assert reply.startswith("Approved by `bob`")
    assert world.conclusion(alerted) == "success"
    assert "agreed in the meeting" in world.check(alerted.head)["output"]["summary"]
    assert [e["event"] for e in world.told()] == ["block", "approval", "override"]


def test_the_security_team_approves_a_head_by_the_button(world: World, alerted: FakePull) -> None:
    world.press(alerted, "approve")
    assert world.conclusion(alerted) == "success"


def test_one_approved_finding_of_two_is_not_enough(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "block-me\nreview-me\n")
    world.open(pull)
    world.comment(pull, f"/trainwarden approve {world.fingerprint(pull)} fine")
    assert world.conclusion(pull) == "failure"


def refused(world: World, pull: FakePull, login: str, words: str) -> None:
    reply = world.comment(pull, f"/trainwarden approve {world.fingerprint(pull)} fine", login=login)
    assert words in reply
    assert world.conclusion(pull) == "failure"
    assert world.told()[-1]["event"] == "approval-refused"
    assert world.room.ledger.approvals(pull.repository.id, pull.head) == []


def test_a_stranger_to_the_team_cannot_approve(world: World, alerted: FakePull) -> None:
    refused(world, alerted, "mallory", "Only active members")


def test_the_opener_of_other_peoples_commits_cannot_approve(world: World) -> None:
    repository = world.repository()
    files = {"train.py": TRAIN + "block-me\n"}
    repository.commit("topic", files, parent=repository.tip("main"), author=ALICE)
    pull = world.github.pull(repository, "topic", opener="eve")
    world.open(pull)
    refused(world, pull, "eve", "You opened")


def changed_by(world: World, **more: object) -> FakePull:
    repository = world.repository()
    files = {"train.py": TRAIN + "block-me\n"}
    repository.commit("topic", files, parent=repository.tip("main"), **more)  # type: ignore[arg-type]
    pull = world.github.pull(repository, "topic")
    world.open(pull)
    return pull


def test_a_commit_author_cannot_approve(world: World) -> None:
    refused(world, changed_by(world, author=BOB, committer=ALICE), "bob", "wrote")


def test_a_committer_cannot_approve(world: World) -> None:
    refused(world, changed_by(world, committer=BOB), "bob", "committed")


def test_a_co_author_cannot_approve(world: World) -> None:
    message = "Work\n\nCo-authored-by: Bob <bob@example.org>"
    refused(world, changed_by(world, message=message), "bob", "co-wrote")


def test_a_pusher_known_from_a_delivery_cannot_approve(world: World) -> None:
    pull = changed_by(world)
    world.open(pull, "synchronize", sender="bob")
    refused(world, pull, "bob", "pushed")


def test_a_pusher_known_from_the_activity_cannot_approve(world: World) -> None:
    pull = changed_by(world)
    world.state.activity.append(("refs/heads/topic", "bob"))
    refused(world, pull, "bob", "pushed")


def test_nobody_approves_while_an_author_is_unknown(world: World) -> None:
    pull = changed_by(world, author=Person("ghost", account=False))
    refused(world, pull, "bob", "Not everybody who made this change is known")


def test_an_unlinked_co_author_is_somebody_unknown(world: World) -> None:
    pull = changed_by(world, message="Work\n\nCo-authored-by: X <x@example.org>")
    refused(world, pull, "bob", "Not everybody who made this change is known")


def test_the_platforms_address_does_not_make_an_author_nobody(world: World) -> None:
    pull = changed_by(world, author=Person("web-flow", address="noreply@github.com"))
    world.state.accounts["noreply@github.com"] = "web-flow"
    refused(world, pull, "bob", "Not everybody who made this change is known")


def test_a_commit_that_github_itself_committed_is_its_authors(world: World) -> None:
    platform = Person("web-flow", address="noreply@github.com")
    pull = changed_by(world, author=ALICE, committer=platform)
    world.state.accounts["noreply@github.com"] = "web-flow"
    world.comment(pull, f"/trainwarden approve {world.fingerprint(pull)} fine")
    assert world.conclusion(pull) == "success"


def test_the_co_authors_of_late_commits_are_known(world: World) -> None:
    pull = changed_by(world, message="Work\n\nCo-authored-by: Bob <bob@example.org>")
    world.github.push(pull, {"other.py": "x = 1\n"})
    world.open(pull, "synchronize")
    world.state.commits_page = 1
    refused(world, pull, "bob", "co-wrote")


def test_more_authors_than_github_lists_are_somebody_unknown(world: World) -> None:
    crowd = "Co-authored-by: Eve <eve@example.org>\n" * 60
    refused(world, changed_by(world, message="Work\n\n" + crowd), "bob", "Not everybody who made this")


def test_without_a_security_team_nobody_approves(world: World, alerted: FakePull) -> None:
    world.with_settings(security_team="")
    refused(world, alerted, "bob", "No security team")


def test_approval_then_push_does_not_carry_over(world: World, alerted: FakePull) -> None:
    world.comment(alerted, f"/trainwarden approve {alerted.head[:12]} fine")
    assert world.conclusion(alerted) == "success"
    world.github.push(alerted, {"train.py": TRAIN + "block-me\nblock-me again\n"})
    world.open(alerted, "synchronize")
    assert world.conclusion(alerted) == "failure"


def test_an_approved_finding_is_alerted_again_on_the_next_head(world: World, alerted: FakePull) -> None:
    world.comment(alerted, f"/trainwarden approve {world.fingerprint(alerted)} fine")
    world.github.push(alerted, {"other.py": "x = 1\n"})
    world.open(alerted, "synchronize")
    assert world.conclusion(alerted) == "failure"


def test_approval_of_a_head_does_not_count_against_another_base(world: World) -> None:
    repository = world.repository()
    repository.commit("harmless", {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    text = "block-me\nreview-me\n"
    first = world.pull(repository, "topic", text, start=repository.tip("harmless"), base_ref="harmless")
    world.open(first)
    assert world.conclusion(first) == "action_required"
    world.comment(first, f"/trainwarden approve {first.head[:12]} small enough")
    assert world.conclusion(first) == "success"
    first.base_ref = "main"
    world.open(first, "edited", changes={"base": {"ref": {"from": "harmless"}}})
    assert world.conclusion(first) == "failure"


def test_a_word_given_before_the_review_was_there_does_not_count(world: World, alerted: FakePull) -> None:
    long_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    text = f"/trainwarden approve {world.fingerprint(alerted)} fine"
    assert "not finished when you wrote" in world.comment(alerted, text, at=long_ago)
    assert world.conclusion(alerted) == "failure"


def test_a_review_bound_to_an_older_commit_does_not_count(world: World, alerted: FakePull) -> None:
    old = alerted.head
    world.github.push(alerted, {"other.py": "x = 1\n"})
    world.open(alerted, "synchronize")
    body = f"/trainwarden approve {world.fingerprint(alerted)} fine"
    review = {"id": 9, "body": body, "user": {"login": "bob", "type": "User"}, "commit_id": old}
    event = world.github.event(alerted.repository, "bob") | {"action": "submitted"}
    event |= {
        "pull_request": {"number": alerted.number},
        "review": review | {"submitted_at": world.github.stamp()},
    }
    world.handle("pull_request_review", event)
    assert "The head has moved" in world.state.comments[-1]["body"]
    assert world.conclusion(alerted) == "failure"


def test_an_error_cannot_be_approved(world: World) -> None:
    pull = world.pull(world.repository(config="mode: lenient\n"), "topic", "x = 1\n")
    world.open(pull)
    reply = world.comment(pull, f"/trainwarden approve {pull.head[:12]} fine")
    assert "could not be finished" in reply
    assert world.conclusion(pull) == "failure"


def test_edited_comments_and_those_of_robots_are_not_obeyed(world: World, alerted: FakePull) -> None:
    text = f"/trainwarden approve {world.fingerprint(alerted)} fine"
    assert world.comment(alerted, text, kind="Bot") == ""
    event = world.github.event(alerted.repository, "bob") | {
        "action": "edited",
        "issue": {"number": alerted.number, "pull_request": {"url": ""}},
        "comment": {"id": 5, "body": text, "user": {"login": "bob", "type": "User"}, "created_at": ""},
    }
    assert world.jobs("issue_comment", event) == ()
    assert world.conclusion(alerted) == "failure"


def test_the_same_comment_delivered_twice_is_obeyed_once(world: World, alerted: FakePull) -> None:
    assert world.comment(alerted, "/trainwarden explain", login="alice", note=5)
    assert world.comment(alerted, "/trainwarden explain", login="alice", note=5) == ""
    assert world.comment(alerted, "/trainwarden explain", login="alice", note=6)


def test_a_command_delivered_twice_is_carried_out_once(world: World, alerted: FakePull) -> None:
    for _ in range(2):
        world.comment(alerted, "/trainwarden rerun", login="alice", note=5)
    assert len(world.engine.requests) == 2


def test_explain_shows_the_report_and_is_not_for_strangers(world: World, alerted: FakePull) -> None:
    assert "says-block-me" in world.comment(alerted, "/trainwarden explain", login="alice")
    assert "Only people who can write" in world.comment(alerted, "/trainwarden explain", login="mallory")
    world.state.permissions["mallory"] = "write"
    assert "says-block-me" in world.comment(alerted, "/trainwarden explain", login="mallory")


def test_labels_are_kept_for_tuning(world: World, alerted: FakePull) -> None:
    reply = world.comment(alerted, f"/trainwarden false {world.fingerprint(alerted)}", login=EVE.login)
    assert "is a false alert" in reply
    assert (
        world.told()[-1] | {"event": "opinion", "rule": "says-block-me", "opinion": "false"}
        == world.told()[-1]
    )
    assert world.conclusion(alerted) == "failure"


def test_an_approved_finding_passes_in_its_merge_group(world: World, alerted: FakePull) -> None:
    world.comment(alerted, f"/trainwarden approve {alerted.head[:12]} fine")
    repository = alerted.repository
    branch = f"gh-readonly-queue/main/pr-{alerted.number}-abc"
    base = repository.tip("main")
    head = repository.commit(branch, {"train.py": TRAIN + "block-me\n"}, parent=base)
    group = {
        "head_sha": head,
        "base_sha": base,
        "base_ref": "refs/heads/main",
        "head_ref": f"refs/heads/{branch}",
    }
    event = world.github.event(repository) | {"action": "checks_requested", "merge_group": group}
    world.handle("merge_group", event)
    assert world.check(head)["conclusion"] == "success"


def test_a_merge_past_a_red_check_is_recorded(world: World, alerted: FakePull) -> None:
    alerted.state, alerted.merged_by = "closed", "mallory"
    world.open(alerted, "closed")
    assert world.told()[-1]["event"] == "break-glass"
    assert world.told()[-1]["actor"] == "mallory"
