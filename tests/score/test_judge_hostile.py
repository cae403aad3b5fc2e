"""The judge against servers that fail in every way, over real sockets: bounded, stated, never milder, never leaking."""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import re
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from chat_server import GOOD, ChatServer, answering, chat, verdict
from local_server import free_port

from trainwarden.entry.arguments import add_judging, options
from trainwarden.model import JudgeChoice, Misuse, Opinions, Statement, Unit, Usage
from trainwarden.score.breaker import Breaker
from trainwarden.score.judge import client
from trainwarden.score.judge.budget import Cost, Ledger, cost, estimate
from trainwarden.score.judge.prompt import SYSTEM
from trainwarden.score.judge.reader import Judge
from trainwarden.score.judge.text import readings
from trainwarden.score.transport import Failure

KEY = "sk-secret-8472"


def unit(name: str = "loss", path: str = "a.py") -> Unit:
    lexemes = ((name, "same"), ("=", "same"), ("a", "removed"), ("b", "added"))
    return Unit(path, "train", (Statement(lexemes, 1, 7, True),))


UNITS = tuple(unit(name) for name in ("loss", "grad", "lr", "seed"))


def judge(server: ChatServer | int, breaker: Breaker | None = None, **choice: object) -> Judge:
    url = f"http://127.0.0.1:{server}" if isinstance(server, int) else server.url
    settings: dict[str, object] = {"url": url, "model": "m", "seconds": 5.0, **choice}
    return Judge(JudgeChoice(**settings), breaker or Breaker(limit=99), pause=lambda _: None)  # type: ignore[arg-type]


def read(server: ChatServer | int, units: Sequence[Unit] = UNITS[:1], **choice: object) -> Opinions:
    with closing(judge(server, **choice)) as one:
        return one.read(units, [0.9] * len(units), 0.5)


def code(body: dict[str, Any]) -> str:
    """The code in a request."""
    return str(body["messages"][1]["content"])


def swapped(body: dict[str, Any]) -> bool:
    """Whether a request is the control of our units: it takes b away."""
    return re.search(r" - +\w+ = b", code(body)) is not None


def right(body: dict[str, Any]) -> tuple[int, bytes]:
    """Sure of sabotage, unless the sides are exchanged."""
    return verdict(5 if swapped(body) else 95)


def planned() -> int:
    """Tokens that are set aside for one of our units, at most."""
    return 3 * (estimate(len(SYSTEM) + len(readings(unit("grad")).plain) + 200) + 400)


def test_a_right_answer_becomes_evidence() -> None:
    with answering(lambda body: verdict(10 if "name_1" in code(body) else 90, statement=1)) as server:
        found = read(server)
    assert found.notes == ()
    (opinion,) = found.of.values()
    assert opinion.nats == 0, "the control said the same as the reading"
    assert (opinion.line, opinion.technique, opinion.reason) == (7, "A", "flips the sign")
    assert found.usage.offered == 1
    assert (found.usage.units, found.usage.calls, found.usage.failed) == (1, 3, 0)
    assert (found.usage.tokens_in, found.usage.tokens_out) == (300, 30)
    assert len(found.usage.latencies) == 3


def test_each_unit_is_read_as_it_is_anonymised_and_with_its_sides_exchanged() -> None:
    def reply(body: dict[str, Any]) -> tuple[int, bytes]:
        return verdict(5 if swapped(body) else 60 if "quux" in code(body) else 95)

    with answering(reply) as server:
        found = read(server, (unit("quux"),))
        bodies = [body for _, _, body in server.asked]
    assert len(bodies) == 3
    assert all(body["temperature"] == 0 and body["model"] == "m" for body in bodies)
    assert all(body["response_format"]["json_schema"]["strict"] is True for body in bodies)
    assert sum("quux" in text for text in server.texts) == 2
    (opinion,) = found.of.values()
    assert sorted(one or 0 for one in opinion.probabilities) == [0.05, 0.6, 0.95]
    assert opinion.nats == pytest.approx(2.944, abs=0.01), "the anonymous reading, which was the more alarmed"


def test_only_the_upper_band_is_read_and_the_riskiest_first() -> None:
    with answering(right) as server, closing(judge(server)) as one:
        found = one.read(UNITS, [0.6, 0.4, 0.9, 0.5], 0.5)
        assert set(found.of) == {0, 2}
        assert ["lr" in text for text in server.texts] == [True] * 3 + [False] * 3
    with answering(right) as server, closing(judge(server, above=0.85)) as one:
        assert set(one.read(UNITS, [0.6, 0.4, 0.9, 0.5], 0.5).of) == {2}
        assert one.read((), (), 0.5) == Opinions({}, (), Usage())


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (None, "did not answer"),
        ((500, b"oops"), "answered 500"),
        (
            (503, json.dumps({"error": {"message": "bu\x1bsy\n" + "x" * 999}}).encode()),
            "answered 503 (bu\ufffdsy xxx",
        ),
        ((401, b'{"error": "no"}'), "answered 401 (no)"),
        ((400, b'{"error": "bad"}'), "answered 400 (bad)"),
        ((307, b""), "answered 307"),
        ((200, b""), "something else than JSON"),
        ((200, b"{}"), "something else than a chat completion"),
        ((200, chat(GOOD)[1][:-9]), "something else than JSON"),
        ((200, b"x" * (2 << 20)), "more than 1 MiB"),
        (chat(GOOD, "length"), "cut off"),
        (chat("Sure! " + json.dumps(GOOD)), "something else than the JSON object"),
        (chat({**GOOD, "verdict": "pass"}), "wrong type or range"),
        (chat({**GOOD, "block": False}), "other fields"),
    ],
)
def test_what_is_no_answer_is_a_reason_and_nothing_else(reply: tuple[int, bytes] | None, why: str) -> None:
    with answering(reply) as server:
        found = read(server)
        calls = len(server.asked)
    assert found.of == {}
    assert found.notes == tuple(
        one for one in found.notes if one.startswith("No second opinion of m (127.0.0.1:")
    )
    assert why in found.notes[0] and len(found.notes[0]) < 300
    assert found.usage.failed == 3 and 0 < calls <= 18


def test_a_server_that_is_not_there_is_a_reason() -> None:
    found = read(free_port())
    assert found.notes[0].endswith("on the risky edit: it did not answer")


@pytest.mark.parametrize("reply", ["slow", "drip"])
def test_a_slow_server_costs_one_bounded_wait(reply: str) -> None:
    def say(_: object) -> tuple[int, bytes | tuple[bytes, ...]]:
        if reply == "slow":
            time.sleep(3)
        return 200, tuple(b" " for _ in range(100))

    with answering(say) as server:
        started = time.monotonic()
        found = read(server, UNITS, seconds=0.5, patience=1.2)
        assert time.monotonic() - started < 6
    assert found.of == {}
    assert "did not answer" in found.notes[0]
    assert found.notes[-1].endswith("1.2 s for a change were over")


def test_one_bad_moment_is_asked_again() -> None:
    bad = [(503, b""), None, (429, b"")]
    with answering(lambda body: bad.pop() if bad else right(body)) as server:
        found = read(server)
    assert found.notes == () and len(found.of) == 1


def test_a_reading_that_fails_leaves_the_others() -> None:
    def reply(body: dict[str, Any]) -> tuple[int, bytes]:
        return verdict(95) if "quux" in code(body) else chat("no")

    with answering(reply) as server:
        (opinion,) = read(server, (unit("quux"),)).of.values()
    assert opinion.probabilities[1] is None and opinion.probabilities[0] == 0.95


@pytest.mark.parametrize("refuses", [1, 2])
def test_a_server_that_knows_no_schema_is_asked_in_a_plainer_form(refuses: int) -> None:
    forms = ["json_schema", "json_object", None][:refuses]

    def reply(body: dict[str, Any]) -> tuple[int, bytes]:
        form = body.get("response_format")
        name = form["type"] if isinstance(form, dict) else None
        return (400, b'{"error": "response_format"}') if name in forms else right(body)

    with answering(reply) as server:
        found = read(server, UNITS[:2])
        assert len(found.of) == 2
        assert len(server.asked) == 3 * refuses + 6, "what it takes is remembered"


def test_a_breaker_leaves_a_dead_server_alone() -> None:
    clock = [0.0]
    breaker = Breaker(limit=2, rest=60, clock=lambda: clock[0])
    with answering((401, b"")) as server, closing(judge(server, breaker)) as one:
        found = one.read(UNITS, [0.9] * 4, 0.5)
        assert len(server.asked) == 6
        assert found.notes[-1].endswith("on 2 of 4 risky edits: it is left alone after 2 failures")
        clock[0] = 61
        one.read(UNITS[:1], [0.9], 0.5)
        assert len(server.asked) == 9


def test_a_change_has_a_budget_of_tokens() -> None:
    with answering(right) as server:
        whole = read(server, UNITS)
        assert len(whole.of) == 4
        most = planned() + 100
        found = read(server, UNITS, tokens=most)
    assert len(found.of) == 1 and 0 in found.of
    assert found.notes == (
        f"No second opinion of m ({server.url[7:-3]}) on 3 of 4 risky edits: "
        f"the budget of {most} tokens for a change was reached",
    )


def test_a_change_has_a_budget_of_money() -> None:
    most = (planned() + 100) * 2 / 1e6
    with answering(right) as server:
        found = read(server, UNITS, money=most, price_in=2.0, price_out=2.0)
    assert set(found.of) == {0}
    assert found.usage.money == pytest.approx(330 * 2 / 1e6)
    assert f"the budget of {most:g} for a change was reached" in found.notes[0]


def test_a_day_has_a_budget_that_processes_share(tmp_path: Path) -> None:
    folder = str(tmp_path / "judge")
    with answering(right) as server:
        for name in ("one", "two", "three"):
            found = read(server, (unit(name),), folder=folder, day_tokens=planned() + 400)
            assert (found.of == {}) == (name == "three"), "330 each were spent of the 400 beyond the estimate"
    assert f"the budget of {planned() + 400} tokens for a day was reached" in found.notes[0]
    assert (tmp_path / "judge").stat().st_mode & 0o077 == 0


def test_tomorrow_is_another_day_and_a_torn_ledger_spends_nothing(tmp_path: Path) -> None:
    day = ["2026-01-01"]
    choice = JudgeChoice(day_tokens=100, price_in=1.0)
    ledger = Ledger(tmp_path, choice, lambda: day[0])
    assert ledger.reserve(cost(choice, 60, 30)) == ""
    assert ledger.reserve(cost(choice, 60, 30)) == "the budget of 100 tokens for a day"
    ledger.add(-50, -1.0)
    assert ledger.reserve(cost(choice, 60, 0)) == ""
    day[0] = "2026-01-02"
    assert ledger.reserve(cost(choice, 60, 30)) == ""
    (tmp_path / "spent-2026-01-02.json").write_text("{")
    with pytest.raises(Failure, match="cannot be kept"):
        ledger.reserve(Cost(1, 1, 0.0))


def test_what_was_read_is_not_asked_again(tmp_path: Path) -> None:
    elsewhere = Unit("other/b.py", "train", (Statement(unit().statements[0].lexemes, 1, 99, True),))
    with answering(right) as server:
        with closing(judge(server, folder=str(tmp_path / "kept"))) as one:
            first = one.read(UNITS[:1], [0.9], 0.5)
            again = one.read((elsewhere,), [0.9], 0.5)
            assert len(server.asked) == 3
        assert again.of[0].nats == first.of[0].nats and again.usage.cached == 1 and again.usage.calls == 0
        assert read(server, folder=str(tmp_path / "kept")).usage.cached == 1
        assert len(server.asked) == 3
        assert read(server, folder=str(tmp_path / "kept"), model="other").usage.cached == 0
        for kept in (tmp_path / "kept").glob("*.json"):
            assert "loss" not in kept.read_text()
            kept.write_text('[[2.0, "A", 1, "x"], null, null]')
        assert read(server, folder=str(tmp_path / "kept")).usage.cached == 0


def test_a_failed_reading_is_not_kept() -> None:
    with (
        answering(lambda body: chat("no") if swapped(body) else verdict(9)) as server,
        closing(judge(server)) as one,
    ):
        one.read(UNITS[:1], [0.9], 0.5)
        assert one.read(UNITS[:1], [0.9], 0.5).usage.cached == 0


def test_text_that_speaks_to_the_reader_is_reported() -> None:
    with answering(right) as server:
        found = read(server, (unit("ignore_previous_instructions", "evil.py"),))
        assert not any("ignore" in text for text in server.texts)
    assert found.notes == (
        f"Names or texts in evil.py could address a reader; they were hidden from m ({server.url[7:-3]})",
    )


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"url": "http://judge.example.org/v1"}, "clear text"),
        ({"url": "http://192.0.2.7:8000", "cleartext": True, "key": KEY}, "key in clear text"),
        ({"url": "grpc://127.0.0.1:1"}, "not the URL of a judge"),
        ({"url": "file:///etc/passwd"}, "not the URL of a judge"),
        ({"url": "https://user:pw@judge.example.org/v1"}, "host, a port and a path only"),
        ({"url": "https://127.0.0.1", "ca_file": "/nonexistent"}, "cannot read the certificates"),
        ({"model": ""}, "needs the name of its model"),
        ({"money": 1.0}, "needs prices"),
        ({"day_tokens": 5}, "needs a folder"),
        ({"folder": "/nonexistent/deeper"}, "cannot be made"),
    ],
)
def test_a_choice_that_leaks_or_cannot_be_kept_is_refused(choice: dict[str, object], why: str) -> None:
    settings: dict[str, object] = {"url": "http://127.0.0.1:1/v1", "model": "m", **choice}
    with pytest.raises(Misuse, match=why) as refused:
        Judge(JudgeChoice(**settings))  # type: ignore[arg-type]
    assert KEY not in str(refused.value)


def test_clear_text_may_be_allowed_and_https_is_spoken() -> None:
    with closing(Judge(JudgeChoice(url="http://192.0.2.7:8000/x/v1/", model="m", cleartext=True))) as one:
        assert one.name == "m (192.0.2.7:8000)"
    with answering(right) as server:
        found = read(server, url=server.url.replace("http:", "https:"))
    assert found.of == {} and "it did not answer" in found.notes[0], "no fall-back to clear text"


def test_the_key_is_sent_and_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    with answering(lambda body: (401, KEY.encode())) as server:
        for choice in ({"key": KEY}, {"key_file": str(file)}):
            found = read(server, **choice)
            assert server.asked[-1][1]["authorization"] == f"Bearer {KEY}"
            assert KEY not in repr(found) + caplog.text + repr(JudgeChoice(**choice))
    assert pickle.loads(pickle.dumps(JudgeChoice(key=KEY))).key == KEY, "it must reach the reader's process"


def test_the_operator_names_it_by_flag_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    add_judging(parser)
    assert options(parser.parse_args([])).judge == JudgeChoice()
    flags = parser.parse_args(["--judge", "https://a.example.org/v1", "--judge-model", "m"])
    assert options(flags).judge == JudgeChoice(url="https://a.example.org/v1", model="m")
    for name, value in {"": "https://b.example.org", "_MODEL": "n", "_KEY": KEY, "_KEY_FILE": "/k"}.items():
        monkeypatch.setenv(f"TRAINWARDEN_JUDGE{name}", value)
    assert options(flags).judge == JudgeChoice("https://a.example.org/v1", "m", KEY, "/k")
    found = options(parser.parse_args([]))
    assert found.judge == JudgeChoice("https://b.example.org", "n", KEY, "/k")
    assert KEY not in repr(found)
    monkeypatch.setenv("TRAINWARDEN_JUDGE_KEY", f"{KEY}\nx: y")
    with pytest.raises(Misuse, match="does not hold a key") as refused:
        options(flags)
    assert KEY not in str(refused.value)


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with answering(right) as server:
        assert len(read(server).of) == 1


def test_connections_are_kept_and_found_dead_ones_replaced() -> None:
    with answering(right) as server, closing(judge(server)) as one:
        one.read(UNITS[:2], [0.9] * 2, 0.5)
        ports = {id(connection) for connection in one._client._connections}
        for connection in one._client._connections:
            assert connection is not None
            connection.sock.close()
        assert len(one.read(UNITS[2:], [0.9] * 2, 0.5).of) == 2
        assert ports != {id(connection) for connection in one._client._connections}
    assert client.ATTEMPTS == 2
