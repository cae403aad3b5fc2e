"""The webhook door: what is refused, what is stored, and that nothing is acknowledged before it is on disk."""

from __future__ import annotations

import http.client
import json
import logging
import sqlite3
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from github_fake import post, signature
from github_parts import payloads
from github_world import SECRET, DoorThread, wait_for

from trainwarden.github import events
from trainwarden.github.logs import JsonFormatter, note, scrub
from trainwarden.github.metrics import Metrics
from trainwarden.github.settings import Secret, Settings, check, load
from trainwarden.github.signature import valid
from trainwarden.model import Misuse

SHA = "a" * 40


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        app_id=29310,
        private_key=Secret("unused"),
        webhook_secrets=(Secret(SECRET), Secret("the-previous-one")),
        data=tmp_path,
        database_url=Secret(f"sqlite:///{tmp_path / 'state.sqlite'}"),
        body_bytes=2_000_000,
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def door(settings: Settings, metrics: Metrics) -> Iterator[DoorThread]:
    made = DoorThread(settings, metrics)
    yield made
    made.close()


def pull_request(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "action": "opened",
        "installation": {"id": 1},
        "repository": {"id": 5, "name": "models", "owner": {"login": "octo"}},
        "sender": {"login": "alice"},
        "pull_request": {
            "number": number,
            "head": {"sha": SHA},
            "base": {"sha": "b" * 40, "ref": "main"},
        },
    } | more


def deliver(
    door: DoorThread, body: bytes, secret: str = SECRET, event: str = "pull_request", guid: str = ""
) -> int:
    return post(door.url, event, body, guid or str(uuid.uuid4()), secret)


def raw(door: DoorThread, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(door.url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def stored(door: DoorThread) -> int:
    return door.store.backlog()


def test_a_signed_delivery_is_on_disk_when_it_is_acknowledged(door: DoorThread, settings: Settings) -> None:
    assert deliver(door, json.dumps(pull_request()).encode()) == 202
    path = settings.database_url.reveal().removeprefix("sqlite:///")
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM tw_deliveries").fetchone() == (1,)


def test_it_is_not_acknowledged_when_it_cannot_be_stored(door: DoorThread) -> None:
    with door.store.engine.begin() as c:
        c.exec_driver_sql("DROP TABLE tw_deliveries")
    assert deliver(door, json.dumps(pull_request()).encode()) == 503


def test_the_previous_secret_still_counts_while_it_is_rotated(door: DoorThread) -> None:
    assert deliver(door, json.dumps(pull_request()).encode(), "the-previous-one") == 202


@pytest.mark.parametrize("secret", ["wrong", "", SECRET + "x"])
def test_a_wrong_signature_is_refused(door: DoorThread, secret: str) -> None:
    assert deliver(door, json.dumps(pull_request()).encode(), secret) == 401
    assert stored(door) == 0


@pytest.mark.parametrize("header", [None, "", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, "\xe9"])
def test_a_missing_or_odd_signature_is_refused(door: DoorThread, header: str | None) -> None:
    body = json.dumps(pull_request()).encode()
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "pull_request"}
    headers |= {"X-GitHub-Delivery": str(uuid.uuid4())}
    assert raw(door, body, headers | ({} if header is None else {"X-Hub-Signature-256": header})) == 401
    assert stored(door) == 0


def test_the_signature_covers_every_byte(door: DoorThread) -> None:
    body = json.dumps(pull_request()).encode()
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "pull_request"}
    headers |= {"X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": signature(body, SECRET)}
    assert raw(door, body + b" ", headers) == 401
    assert raw(door, body, headers) == 202


def test_an_empty_secret_never_validates() -> None:
    assert not valid(b"x", signature(b"x", ""), [Secret("")])


def test_the_same_delivery_twice_is_stored_once(door: DoorThread) -> None:
    body, guid = json.dumps(pull_request()).encode(), str(uuid.uuid4())
    assert [deliver(door, body, guid=guid) for _ in range(3)] == [202, 202, 202]
    assert stored(door) == 1


def test_a_replayed_body_under_another_id_is_stored_once(door: DoorThread) -> None:
    body = json.dumps(pull_request()).encode()
    assert deliver(door, body) == deliver(door, body) == 202
    assert stored(door) == 1


def connection_to(door: DoorThread) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(door.url.split(":")[2].split("/")[0]), timeout=10)


def test_an_oversized_body_is_refused_by_its_length_before_it_comes(door: DoorThread) -> None:
    connection = connection_to(door)
    connection.putrequest("POST", "/webhook")
    connection.putheader("Content-Length", "99999999999")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert stored(door) == 0


def test_a_body_that_never_comes_is_given_up(door: DoorThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainwarden.github.server._SLOWEST_BODY", 0.2)
    connection = connection_to(door)
    connection.putrequest("POST", "/webhook")
    connection.putheader("Content-Length", "50")
    connection.endheaders(b"only this")
    assert connection.getresponse().status == 408
    connection.close()


def test_an_oversized_body_without_a_length_is_refused_while_it_arrives(door: DoorThread) -> None:
    import http.client

    connection = http.client.HTTPConnection(
        "127.0.0.1", int(door.url.split(":")[2].split("/")[0]), timeout=10
    )
    parts = (b"y" * 65_536 for _ in range(100))
    try:
        connection.request(
            "POST", "/webhook", parts, {"Content-Type": "application/json"}, encode_chunked=True
        )
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        connection.close()
    assert stored(door) == 0


def test_bodies_of_all_connections_together_are_bounded(
    door: DoorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainwarden.github.server._MOST_HELD", 100_000)
    waiting = connection_to(door)
    waiting.putrequest("POST", "/webhook")
    waiting.putheader("Content-Length", "99999")
    waiting.endheaders(b"z" * 90_000)
    body = json.dumps(pull_request(padding="y" * 20_000)).encode()
    wait_for(lambda: deliver(door, body) == 503)
    waiting.close()
    wait_for(lambda: deliver(door, body) == 202)


def test_a_failure_of_one_batch_is_no_end(door: DoorThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever storing raised, the waiting are told and the next delivery is stored."""
    body = json.dumps(pull_request()).encode()
    with monkeypatch.context() as broken:
        broken.setattr("trainwarden.github.store.Store.insert", lambda self, table: 1 // 0)
        assert deliver(door, body) == 500
    assert deliver(door, body) == 202


@pytest.mark.parametrize(("depth", "status"), [(64, 202), (65, 400), (100_000, 400)])
def test_a_deeply_nested_body_is_refused(door: DoorThread, depth: int, status: int) -> None:
    assert deliver(door, b'{"a":' * depth + b"1" + b"}" * depth, event="ping") == status


def test_brackets_in_strings_are_not_nesting() -> None:
    assert events.decode(json.dumps({"a": "[" * 500 + '\\"{'}).encode())


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[1]", b"\xff\xfe", b'{"a":' + b"9" * 5000 + b"}", b"null"]
)
def test_what_is_not_a_json_object_is_refused(door: DoorThread, body: bytes) -> None:
    assert deliver(door, body) == 400


def test_a_form_is_refused(door: DoorThread) -> None:
    body = b"payload=%7B%7D"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-GitHub-Event": "push"}
    headers |= {"X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": signature(body, SECRET)}
    assert raw(door, body, headers) == 415


@pytest.mark.parametrize(
    "name", ["..", ".", "../../etc", "a/b", "a b", "", "x" * 101, "a\x00b", "a\nb", 7, None]
)
def test_a_repository_name_that_cannot_be_is_refused(door: DoorThread, name: object) -> None:
    body = pull_request(repository={"id": 5, "name": name, "owner": {"login": "octo"}})
    assert deliver(door, json.dumps(body).encode()) == 400


@pytest.mark.parametrize("owner", ["..", "-x", "a/b", "a.b", ""])
def test_an_owner_that_cannot_be_is_refused(door: DoorThread, owner: str) -> None:
    body = pull_request(repository={"id": 5, "name": "models", "owner": {"login": owner}})
    assert deliver(door, json.dumps(body).encode()) == 400


@pytest.mark.parametrize(
    "ref", ["--upload-pack=x", "a..b", "a:b", "a\nb", "a^b", "x.lock", "/a", "a//b", "@{-1}"]
)
def test_a_branch_that_cannot_be_is_refused(door: DoorThread, ref: str) -> None:
    pull = {"number": 1, "head": {"sha": SHA}, "base": {"sha": SHA, "ref": ref}}
    assert deliver(door, json.dumps(pull_request(pull_request=pull)).encode()) == 400


@pytest.mark.parametrize("sha", ["--all", "a" * 39, "A" * 40, "a" * 40 + "\n", 5])
def test_an_object_name_that_cannot_be_is_refused(door: DoorThread, sha: object) -> None:
    pull = {"number": 1, "head": {"sha": sha}, "base": {"sha": SHA, "ref": "main"}}
    assert deliver(door, json.dumps(pull_request(pull_request=pull)).encode()) == 400


def test_every_payload_github_publishes_is_answered(door: DoorThread, metrics: Metrics) -> None:
    found = payloads()
    assert len(found) == 329
    answers = [deliver(door, json.dumps(payload).encode(), event=event) for event, payload in found]
    assert set(answers) == {202}
    outcomes = {o: metrics.value("webhooks_total", outcome=o, status="202") for o in OUTCOMES}
    assert sum(outcomes.values()) == 329
    assert outcomes["unknown_event"] > 150


OUTCOMES = ("stored", "nothing_to_do", "unknown_event")


def test_published_payloads_we_act_on_become_the_right_jobs() -> None:
    made: dict[str, list[str]] = {}
    for event, payload in payloads():
        for job in events.jobs(event, payload, 29310):
            made.setdefault(f"{event} {payload.get('action', '')}".strip(), []).append(job.kind)
            assert events.Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job
    assert {what: set(kinds) for what, kinds in made.items()} == {
        "pull_request opened": {"pull"},
        "pull_request reopened": {"pull"},
        "pull_request synchronize": {"pull"},
        "pull_request ready_for_review": {"pull"},
        "pull_request closed": {"closed"},
        "push": {"moved"},
        "merge_group checks_requested": {"group"},
        "check_suite rerequested": {"head"},
        "installation created": {"installed"},
        "installation unsuspend": {"installed"},
        "installation new_permissions_accepted": {"installed"},
        "installation deleted": {"removed"},
        "installation_repositories added": {"installed"},
        "installation_repositories removed": {"removed"},
    } | {k: v for k, v in {w: set(s) for w, s in made.items()}.items() if k in MAYBE}


# Published examples of these carry no installation or another App's id; our own tests send them.
MAYBE = ("check_run rerequested", "check_run requested_action", "pull_request ready_for_review")


def test_logs_hold_one_line_each_and_no_credentials() -> None:
    import io

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("trainwarden.test-logs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    hostile = 'x\n{"level": "info", "message": "forged"}\r\x1b[2J'
    note(logger, "said", repo=hostile, token="ghs_0123456789abcdefghij", header="Bearer abcdefghijklmnop")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert "\n" not in line["repo"]
    assert "\x1b" not in line["repo"]
    assert line["token"] == line["header"] == "[removed]"


@pytest.mark.parametrize(
    "text",
    [
        "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0123456789_abcdefghij",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0In0.c2lnbmF0dXJlc2ln",
        "https://x-access-token:ghs_abcdefghijklmnop@example.org/a",
        "Authorization: Basic eC1hY2Nlc3MtdG9rZW46Z2hz",
    ],
)
def test_what_looks_like_a_credential_is_removed(text: str) -> None:
    assert "[removed]" in scrub(f"failed with {text} there")


def test_an_exception_is_named_and_not_quoted() -> None:
    import io

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("trainwarden.test-exceptions")
    logger.addHandler(handler)
    try:
        raise ValueError("lr = 3e-4 of a private file")
    except ValueError as error:
        logger.error("failed", exc_info=error)
    line = json.loads(stream.getvalue())
    assert line["exception"] == "ValueError"
    assert "private" not in stream.getvalue()


def test_metrics_are_prometheus_text(metrics: Metrics) -> None:
    metrics.count("things_total", "Things", kind='a"b\n')
    metrics.observe("seconds", "Seconds", 0.03)
    text = metrics.render()
    assert 'trainwarden_things_total{kind="a\\"b\\n"} 1' in text
    assert 'trainwarden_seconds_bucket{le="0.05"} 1' in text
    assert 'trainwarden_seconds_bucket{le="0.025"} 0' in text


GOOD = {"TRAINWARDEN_APP_ID": "7", "TRAINWARDEN_PRIVATE_KEY": "k", "TRAINWARDEN_WEBHOOK_SECRET": "s"}


def test_the_settings_are_read_from_the_environment() -> None:
    loaded = check(
        load(GOOD | {"TRAINWARDEN_GITHUB_URL": "https://git.example.org/", "TRAINWARDEN_SPEAK": "labels"})
    )
    assert loaded.api_url == "https://git.example.org/api/v3"
    assert loaded.speak == {"labels"}
    assert "k" not in repr(loaded.private_key)


@pytest.mark.parametrize(
    "change",
    [
        {"TRAINWARDEN_WEBHOOK_SECRET": ""},
        {"TRAINWARDEN_WEBHOOK_SECRET": "  "},
        {"TRAINWARDEN_PRIVATE_KEY": ""},
        {"TRAINWARDEN_APP_ID": "x"},
        {"TRAINWARDEN_MODE": "lenient"},
        {"TRAINWARDEN_SPEAK": "shout"},
        {"TRAINWARDEN_BIND": "8080"},
        {"TRAINWARDEN_GITHUB_URL": "http://git.example.org"},
        {"TRAINWARDEN_GITHUB_URL": "https://me:secret@git.example.org"},
        {"TRAINWARDEN_AUDIT_RATE": "2"},
        {"TRAINWARDEN_AUDIT_RATE": "0.1"},
        {"TRAINWARDEN_AUDIT_URL": "https://log.example.org"},
        {"TRAINWARDEN_POLICY_REPOSITORY": "no-slash"},
        {"TRAINWARDEN_SCORER": "ftp://models.example.org"},
        {"TRAINWARDEN_SCORER": "https://me:secret@models.example.org"},
        {"TRAINWARDEN_MODEL_DIR": "relative"},
        {"TRAINWARDEN_MODEL_DIR": "/nowhere/at/all"},
    ],
)
def test_bad_settings_stop_the_start(change: dict[str, str]) -> None:
    with pytest.raises(Misuse):
        check(load(GOOD | change))


def test_a_credentials_file_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"app_id": "7", "private_key": "k", "webhook_secret": "s"}))
    file.chmod(0o600)
    assert load({"TRAINWARDEN_DATA": str(tmp_path)}).app_id == 7
    file.chmod(0o640)
    with pytest.raises(Misuse):
        load({"TRAINWARDEN_DATA": str(tmp_path)})


@pytest.mark.parametrize("text", ["[]", "{", '{"webhook_secret": null}', '{"app_id": 7}'])
def test_a_credentials_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(Misuse):
        load(GOOD | {"TRAINWARDEN_DATA": str(tmp_path)})
