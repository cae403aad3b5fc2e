"""`app register` and `app doctor`, against the fake GitHub; and what the commands say to a person."""

from __future__ import annotations

import argparse
import io
import json
import re
import stat
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from github_fake import FakeGitHub, Fault
from github_parts import free_port
from github_world import World

from trainwarden.github import command, doctor, register
from trainwarden.github.permissions import EVENTS, PERMISSIONS
from trainwarden.github.settings import Secret
from trainwarden.model import Misuse, Unfinished


@pytest.fixture
def flow(github: FakeGitHub) -> Iterator[register.Flow]:
    arguments = argparse.Namespace(
        organization="octo", name="Trainwarden", webhook_url="https://hooks.example.org/webhook", port=0
    )
    made = register.Flow(arguments, github.url, f"{github.url}/api/v3")
    thread = threading.Thread(target=lambda: made.answer is None and made.wait(), daemon=True)
    thread.start()
    yield made
    made.answer = made.answer or {}
    visit(made, "/nothing")
    thread.join(10)


def visit(flow: register.Flow, path: str, host: str = "") -> tuple[int, str]:
    request = urllib.request.Request(flow.address + path, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_the_page_carries_a_manifest_with_the_least_permissions(
    flow: register.Flow, github: FakeGitHub
) -> None:
    status, page = visit(flow, "/")
    assert status == 200
    assert f'action="{github.url}/organizations/octo/settings/apps/new?state={flow.state}"' in page
    found = re.search(r'name="manifest" value="([^"]*)"', page)
    assert found
    import html

    manifest = json.loads(html.unescape(found.group(1)))
    assert manifest["public"] is False
    assert manifest["hook_attributes"]["url"] == "https://hooks.example.org/webhook"
    assert set(manifest["default_events"]) == set(EVENTS)
    assert "security_events" not in manifest["default_permissions"]
    assert manifest["default_permissions"]["checks"] == "write"


def test_the_code_is_exchanged_once_for_the_right_state(flow: register.Flow) -> None:
    assert visit(flow, "/callback?code=goodcode&state=forged")[0] == 400
    assert visit(flow, f"/callback?code=../../user&state={flow.state}")[0] == 400
    assert flow.answer is None
    assert visit(flow, f"/callback?code=goodcode&state={flow.state}")[0] == 200
    assert flow.answer
    assert flow.answer["pem"] == "the key"


def test_a_code_can_be_tried_again_when_github_did_not_answer(
    flow: register.Flow, github: FakeGitHub
) -> None:
    github.state.faults.append(Fault("POST", "/conversions$", (500, {"message": "no"})))
    status, words = visit(flow, f"/callback?code=goodcode&state={flow.state}")
    assert (status, flow.answer) == (502, None)
    assert "Load this page again" in words
    assert visit(flow, f"/callback?code=goodcode&state={flow.state}")[0] == 200


def test_a_port_in_use_is_misuse(flow: register.Flow, github: FakeGitHub) -> None:
    port = int(flow.address.rpartition(":")[2])
    arguments = argparse.Namespace(organization="", name="x", webhook_url="https://x.example.org", port=port)
    with pytest.raises(Misuse, match="in use"):
        register.Flow(arguments, github.url, github.url)


def test_a_page_of_another_name_is_not_served(flow: register.Flow) -> None:
    assert visit(flow, "/", host="evil.example.org")[0] == 403


def test_the_credentials_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "credentials.json"
    answer = {"id": 7, "pem": "k", "webhook_secret": "s", "client_secret": "not kept"}
    register.store(path, answer)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "not kept" not in path.read_text()
    with pytest.raises(Misuse):
        register.store(path, answer)


@pytest.mark.parametrize("name", ["id", "pem", "webhook_secret"])
def test_credentials_that_are_not_whole_are_not_stored(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data" / "credentials.json"
    with pytest.raises(Unfinished, match=name):
        register.store(path, {"id": 7, "pem": "k", "webhook_secret": "s"} | {name: None})
    assert not path.exists()


@pytest.fixture
def healthy(world: World) -> World:
    world.repository()
    github = world.github
    github.permissions = {p.name: p.access for p in PERMISSIONS}
    github.events = list(EVENTS)
    github.hook = {"url": "https://hooks.example.org/webhook", "content_type": "json", "insecure_ssl": "0"}
    github.hook["secret"] = "********"
    github.required = {"octo/models": [{"context": "trainwarden", "integration_id": 4242}]}
    github.state.deliveries = [{"id": 1, "guid": "g", "event": "ping", "payload": {}, "status_code": 202}]
    from trainwarden.github.settings import Bind

    return world.with_settings(metrics_bind=Bind("127.0.0.1", free_port()), speak=frozenset({"sarif"}))


def examined(world: World) -> tuple[int, str]:
    out = io.StringIO()
    return doctor.run(world.settings, out), out.getvalue()


def test_a_healthy_app_has_nothing_to_fix(healthy: World) -> None:
    code, text = examined(healthy)
    assert code == 0, text
    assert "required and pinned to this App" in text


@pytest.mark.parametrize(
    "key", ["", "a key", "-----BEGIN RSA PRIVATE KEY-----\nbm90aGluZw==\n-----END RSA PRIVATE KEY-----"]
)
def test_a_private_key_that_is_none_is_named(healthy: World, key: str) -> None:
    code, text = examined(healthy.with_settings(private_key=Secret(key)))
    assert code == 1
    assert "the private key is no RSA key in PEM" in text


def test_the_doctor_makes_nothing(healthy: World) -> None:
    code, text = examined(healthy)
    assert code == 0
    assert "there is no database yet" in text
    assert not (healthy.settings.data / "state.sqlite").exists()


def without(world: World, name: str) -> None:
    world.github.permissions.pop(name)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda w: w.github.permissions.pop("checks"), "permission checks: write is missing"),
        (lambda w: w.github.permissions.update(checks="read"), "permission checks: write is missing"),
        (lambda w: w.github.permissions.pop("security_events"), "permission security_events"),
        (lambda w: w.github.events.remove("merge_group"), "event merge_group"),
        (lambda w: setattr(w.state, "skew", 400.0), "the clock is"),
        (lambda w: w.github.hook.update(content_type="form"), "content type"),
        (lambda w: w.github.hook.update(insecure_ssl="1"), "verify TLS"),
        (lambda w: w.github.hook.update(url="http://x.example.org"), "not https"),
        (lambda w: w.github.hook.pop("secret"), "no webhook secret"),
        (lambda w: w.state.deliveries[0].update(status_code=401), "webhook secret differs"),
        (lambda w: w.state.deliveries[0].update(status_code=502), "reachable from GitHub"),
        (lambda w: w.github.required["octo/models"][0].update(integration_id=None), "not pinned to this App"),
        (
            lambda w: w.github.required["octo/models"][0].update(integration_id=15368),
            "not pinned to this App",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(healthy: World, harm: object, words: str) -> None:
    harm(healthy)  # type: ignore[operator]
    code, text = examined(healthy)
    assert code == 1
    assert any(line.startswith("fix") and words in line for line in text.splitlines()), text


def test_a_check_pinned_by_classic_branch_protection_counts(healthy: World) -> None:
    healthy.github.required = {}
    healthy.github.protection = {"octo/models": [{"context": "trainwarden", "app_id": 4242}]}
    assert "required and pinned" in examined(healthy)[1]
    healthy.github.protection = {"octo/models": [{"context": "trainwarden", "app_id": None}]}
    assert examined(healthy)[0] == 1


def test_a_check_that_is_not_required_is_worth_a_note(healthy: World) -> None:
    healthy.github.required = {}
    code, text = examined(healthy)
    assert code == 0
    assert "is not required on main" in text


def test_serve_without_a_secret_ends_with_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINWARDEN_APP_ID", "7")
    monkeypatch.setenv("TRAINWARDEN_PRIVATE_KEY", "k")
    monkeypatch.delenv("TRAINWARDEN_WEBHOOK_SECRET", raising=False)
    assert command.main(["serve"]) == 2
    said = capsys.readouterr().err
    assert "no webhook secret is set" in said
    assert "Traceback" not in said


def test_register_needs_an_https_webhook(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINWARDEN_DATA", str(tmp_path))
    assert command.main(["app", "register", "--webhook-url", "http://x.example.org"]) == 2
    assert "not https" in capsys.readouterr().err
