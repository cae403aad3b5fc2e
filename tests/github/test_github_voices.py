"""What is said beside the check: one review, labels, the team, SARIF; and that nothing in it is mark-up of theirs."""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from github_fake import FakePull, Fault, signature
from github_world import TRAIN, World

from trainwarden.github.app import Unavailable
from trainwarden.github.settings import Secret


@pytest.fixture
def loud(world: World) -> World:
    return world.with_settings(speak=frozenset({"comments", "labels", "team", "sarif"}))


def alerted(world: World, text: str = "block-me\n") -> FakePull:
    pull = world.pull(world.repository(), "topic", text)
    world.open(pull)
    return pull


def test_nothing_is_said_unless_asked_for(world: World) -> None:
    alerted(world)
    assert world.state.reviews == []
    assert world.state.labels == {}
    assert world.state.sarifs == []


def test_nothing_is_said_while_observing(loud: World) -> None:
    pull = loud.pull(loud.repository(config="mode: observe\n"), "topic", "block-me\n")
    loud.open(pull)
    assert loud.state.reviews == []


def test_a_harmless_change_gets_no_review(loud: World) -> None:
    alerted(loud, "x = 1\n")
    assert loud.state.reviews == []


def test_one_review_with_a_comment_on_the_line(loud: World) -> None:
    alerted(loud)
    assert len(loud.state.reviews) == 1
    assert [(c["path"], c["line"]) for c in loud.state.review_comments] == [("train.py", 3)]


def test_the_review_is_updated_and_never_repeated(loud: World) -> None:
    pull = alerted(loud)
    loud.github.push(pull, {"train.py": TRAIN + "block-me\nreview-me\n"})
    loud.open(pull, "synchronize")
    assert len(loud.state.reviews) == 1
    assert "says-review-me" in loud.state.reviews[0]["body"]
    assert len(loud.state.review_comments) == 2
    loud.open(pull, "reopened")
    assert len(loud.state.review_comments) == 2


def test_the_thread_of_a_finding_that_went_is_resolved(loud: World) -> None:
    pull = alerted(loud)
    loud.github.push(pull, {"train.py": TRAIN + "x = 1\n"})
    loud.open(pull, "synchronize")
    assert loud.state.resolved == {loud.state.review_comments[0]["id"]}
    assert "pass" in loud.state.reviews[0]["body"]


def test_a_review_that_only_bears_our_mark_is_not_ours(loud: World) -> None:
    pull = loud.pull(loud.repository(), "topic", "block-me\n")
    forged = {
        "id": 1,
        "number": pull.number,
        "body": "<!-- trainwarden:review -->",
        "user": {"login": "mallory"},
    }
    loud.state.reviews.append(forged)
    loud.open(pull)
    assert len(loud.state.reviews) == 2
    assert forged["body"] == "<!-- trainwarden:review -->"


def test_lines_github_does_not_show_leave_the_words(loud: World) -> None:
    unprocessable = (422, {"message": "pull_request_review_thread.line must be part of the diff"})
    loud.state.faults.append(Fault("POST", "/pulls/1/reviews$", unprocessable))
    alerted(loud)
    assert len(loud.state.reviews) == 1
    assert loud.state.review_comments == []


def test_labels_follow_the_standing(loud: World) -> None:
    pull = alerted(loud)
    loud.state.labels[1].add("theirs")
    assert "trainwarden: block" in loud.state.labels[1]
    loud.github.push(pull, {"train.py": TRAIN + "review-me\n"})
    loud.open(pull, "synchronize")
    assert loud.state.labels[1] == {"trainwarden: review", "theirs"}
    loud.github.push(pull, {"train.py": TRAIN})
    loud.open(pull, "synchronize")
    assert loud.state.labels[1] == {"theirs"}


def test_the_security_team_is_asked_for_a_review(loud: World) -> None:
    alerted(loud)
    assert loud.state.requested_teams == [(1, "guardians")]


def test_sarif_is_uploaded_for_the_head(loud: World) -> None:
    pull = alerted(loud)
    upload = loud.state.sarifs[0]
    assert (upload["commit_sha"], upload["ref"]) == (pull.head, "refs/pull/1/head")
    log = json.loads(gzip.decompress(base64.b64decode(upload["sarif"])))
    assert log["runs"][0]["results"][0]["ruleId"] == "says-block-me"


def test_a_voice_that_fails_does_not_touch_the_check(loud: World) -> None:
    refused = (403, {"message": "Advanced Security must be enabled"})
    loud.state.faults.append(Fault("POST", "/sarifs$", refused))
    pull = alerted(loud)
    assert loud.conclusion(pull) == "failure"


HOSTILE_NAME = "a`](javascript:x)<img src=x onerror=y>@octo\n# forged.py"
HOSTILE_LINE = "block-me </details><script>z</script> ![p](https://example.org/p) @octo/team #1 <!-- x"


def test_mark_up_of_the_change_is_shown_not_obeyed(loud: World) -> None:
    repository = loud.repository()
    message = "fix <script>m</script> ![x](https://example.org/m)"
    files = {HOSTILE_NAME: HOSTILE_LINE + "\n", "train.py": TRAIN + HOSTILE_LINE + "\n"}
    repository.commit("topic", files, parent=repository.tip("main"), message=message)
    pull = loud.github.pull(repository, "topic")
    loud.open(pull)
    run = loud.check(pull.head)
    texts = [run["output"]["summary"], *(r["body"] for r in loud.state.reviews)]
    texts += [c["body"] for c in loud.state.review_comments]
    texts.append(loud.comment(pull, "/trainwarden explain", login="alice"))
    assert len(texts) >= 4
    for text in texts:
        bare = without_code(text)
        for sign in ("<script", "<img", "</details><", "![", "](", "@octo", "javascript:"):
            assert sign not in bare, (sign, bare)
    for annotation in run["annotations"]:
        assert "\n" not in annotation["path"] + annotation["title"]
    assert "\n# forged" not in run["output"]["title"]


def without_code(text: str) -> str:
    """Markdown as a browser would obey it: rendered to HTML by an independent parser, its code taken out."""
    import re

    from markdown_it import MarkdownIt

    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    return re.sub(r"<code[^>]*>.*?</code>", "", html, flags=re.DOTALL)


def test_a_hostile_reason_is_shown_not_obeyed(world: World) -> None:
    pull = alerted(world)
    world.comment(pull, f"/trainwarden approve {pull.head[:12]} <script>r</script> ![x](https://example.org)")
    summary = world.check(pull.head)["output"]["summary"]
    assert "Approved by" in summary
    assert "<script" not in without_code(summary)
    assert "<img" not in without_code(summary)


class Listener:
    """A log system that takes signed events, refusing the first ones."""

    def __init__(self, refuse: int) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.refuse = refuse
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 500 if listener.refuse > 0 else 204
                listener.refuse -= 1
                if status == 204:
                    listener.received.append((body, self.headers["X-Trainwarden-Signature-256"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/audit"


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener(refuse=1)
    yield made
    made.server.shutdown()


def test_events_reach_the_companys_log_signed(world: World, listener: Listener) -> None:
    world.with_settings(audit_url=listener.url, audit_secret=Secret("audit-secret"))
    pull = world.pull(world.repository(), "topic", "block-me\n")
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    world.run(job)
    (letter,) = world.queue.jobs.values()
    again = world.run(letter)
    assert again is not None
    assert world.run(letter) is None
    ((body, signed),) = listener.received
    assert signed == signature(body, "audit-secret")
    event = json.loads(body)
    assert (event["event"], event["head"], event["rules"]) == ("block", pull.head, ["says-block-me"])
    assert "block-me\n" not in body.decode()


def test_a_log_system_that_is_down_is_tried_again(world: World) -> None:
    world.with_settings(audit_url="http://127.0.0.1:9/x", audit_secret=Secret("s"))
    job = world.jobs("pull_request", world.github.pull_event(alerted(world), "opened"))[0]
    with pytest.raises(Unavailable):
        world.room.audit.send(job)
