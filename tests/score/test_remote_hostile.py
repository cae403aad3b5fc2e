"""Servers that drip, stall, redirect, lie or talk nonsense, over real sockets; URLs and tokens that would leak."""

import json
import shutil
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from local_server import free_port
from oip_server import TENSORS

from trainwarden.model import Misuse, ScorerChoice, Unfinished
from trainwarden.score import probe, remote_http
from trainwarden.score.breaker import Breaker
from trainwarden.score.endpoint import endpoint
from trainwarden.score.remote import ATTEMPTS, Remote

METADATA = json.dumps(
    {
        "name": "change-risk",
        **{
            side: [{"name": n, "datatype": t, "shape": [-1, -1]} for n, t in TENSORS[side].items()]
            for side in TENSORS
        },
    }
).encode()


@contextmanager
def answering(infer, metadata=(200, METADATA)):
    """A server whose answers are those of ``infer(request)`` -> (status, body); counts what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.reply(metadata)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            server.asked.append((self.path, dict(self.headers), json.loads(body)))
            self.reply(infer(server.asked[-1]) if callable(infer) else infer)

        def reply(self, answer):
            if answer is None:  # hangs up
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            if status in (301, 307):
                self.send_header("location", "http://127.0.0.1:1/")
            self.send_header(
                "content-length", str(sum(map(len, body)) if isinstance(body, tuple) else len(body))
            )
            self.end_headers()
            for part in body if isinstance(body, tuple) else (body,):
                self.wfile.write(part)
                self.wfile.flush()
                if isinstance(body, tuple):
                    time.sleep(0.2)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked = []
    server.handle_error = lambda *_: None  # clients that hang up are expected here
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def scorer(model, server, **choice):
    port = server if isinstance(server, int) else server.server_address[1]
    pauses = []
    made = Remote(
        model, ScorerChoice(url=f"http://127.0.0.1:{port}", **choice), None, Breaker(limit=99), pauses.append
    )
    made.pauses = pauses
    return closing(made)


def tensors(request, **changed):
    """A right answer to a request, with some outputs changed."""
    count, length = request[2]["inputs"][0]["shape"]
    outputs = {
        "risk": ([count], [0.5] * count),
        "family": ([count, 15], [0.0] * (15 * count)),
        "lines": ([count, length], [0.0] * (length * count)),
    } | changed
    listed = [
        {"name": name, "datatype": "FP32", "shape": value[0], "data": value[1]}
        for name, value in outputs.items()
        if value
    ]
    return 200, json.dumps({"outputs": listed}).encode()


def test_a_right_answer_is_taken(askable, units):
    with answering(tensors) as server, scorer(askable, server) as remote:
        found = remote.score(units)
        assert {score.logit for score in found} == {askable.calibration.logit(0.5)}
        assert remote.name.endswith(f"127.0.0.1:{server.server_address[1]})"), "no version was given"
        assert all(request[2]["id"] for request in server.asked)
        assert len({request[2]["id"] for request in server.asked}) == len(server.asked)


def test_a_network_of_other_weights_is_refused(folder, model, units, tmp_path):
    """A server that was forgotten at an upgrade: right names, right shapes, wrong numbers."""
    copy = shutil.copytree(folder, tmp_path / "change-risk")
    probe.write(copy)
    with answering(tensors) as server:
        ours = replace(model, files={**model.files, probe.PROBE: (copy / probe.PROBE).read_bytes()})
        with (
            scorer(ours, server) as remote,
            pytest.raises(Misuse, match="another network than ours") as refused,
        ):
            remote.score(units[:1])
        assert "serve the folder" in refused.value.hint
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"ids": [[1]], "tags": [[1]], "signals": [[]], "risk": [1.0]}']
)
def test_a_probe_that_is_none_is_refused(data):
    with pytest.raises(Misuse, match="cannot be read"):
        probe.read({probe.PROBE: data})


def test_nested_tensors_are_read_as_flat_ones(askable, units):
    def nested(request):
        status, data = tensors(request)
        document = json.loads(data)
        family = document["outputs"][1]
        family["data"] = [family["data"][i : i + 15] for i in range(0, len(family["data"]), 15)]
        return status, json.dumps(document).encode()

    with answering(nested) as server, scorer(askable, server) as remote:
        assert len(remote.score(units)) == len(units)


def test_a_busy_server_is_asked_again_after_a_growing_pause(askable, units):
    answers = iter([(503, b'{"error": "loading"}'), (429, b"")])
    with (
        answering(lambda request: next(answers, None) or tensors(request)) as server,
        scorer(askable, server) as remote,
    ):
        assert remote.score(units[:1])
        assert len(server.asked) == 3
        assert len(remote.pauses) == 2
        assert 0 <= remote.pauses[0] <= remote_pause(0) and 0 <= remote.pauses[1] <= remote_pause(1)


def remote_pause(attempt):
    from trainwarden.score.remote import FIRST_PAUSE

    return FIRST_PAUSE * 2**attempt


@pytest.mark.parametrize(
    ("infer", "said", "asked"),
    [
        ((500, b'{"error": "out of memory"}'), r"answered 500 \(out of memory\)", ATTEMPTS),
        ((500, b"\x1b[31mred"), "answered 500$", ATTEMPTS),
        ((400, b'{"error": "bad\\u001b[31m shape"}'), r"answered 400 \(bad \[31m shape\)", 1),
        ((422, b'{"detail": [1]}'), r"answered 422 \(\[1\]\)", 1),
        (None, "did not answer", None),
        ((200, b"<html>"), "something else than JSON", 1),
        ((200, b"[" * 100_000), "something else than JSON", 1),
        ((200, b'{"outputs": 3}'), "something else than tensors", 1),
        ((200, b'{"outputs": [{"name": "risk"}]}'), "something else than tensors", 1),
        (lambda r: tensors(r, lines=None), "left lines out", 1),
        (lambda r: tensors(r, risk=([9], [0.0] * 9)), r"answered risk as FP32 \[9\]", 1),
        (lambda r: tensors(r, risk=([1], [0.0] * 9)), "answered 9 numbers of risk where 1 were due", 1),
        (lambda r: tensors(r, risk=([1], ["x"])), "something else than tensors", 1),
        (lambda r: tensors(r, risk=([1], [float("nan")])), "not finite", 1),
    ],
    ids=range(14),
)
def test_a_wrong_answer_is_no_score(askable, units, infer, said, asked):
    with answering(infer) as server, scorer(askable, server) as remote:
        with pytest.raises(Unfinished, match=said):
            remote.score(units[:1])
        assert asked is None or len(server.asked) == asked


@pytest.mark.parametrize(
    ("status", "said"),
    [(301, "answered 301"), (401, "answered 401"), (403, "answered 403"), (404, "answered 404")],
)
def test_a_wrong_choice_is_misuse_and_followed_nowhere(askable, units, status, said):
    with answering((status, b"")) as server, scorer(askable, server) as remote:
        with pytest.raises(Misuse, match=said) as refused:
            remote.score(units[:1])
        assert refused.value.hint
        assert len(server.asked) == 1


@pytest.mark.parametrize("metadata", [(200, b"{}"), (200, b"[]"), (200, b'{"inputs": 1, "outputs": 1}')])
def test_a_server_that_does_not_say_what_it_serves_is_not_asked(askable, units, metadata):
    with answering(tensors, metadata) as server, scorer(askable, server) as remote:
        with pytest.raises(Unfinished, match="did not say"):
            remote.score(units[:1])
        assert server.asked == []


def test_an_answer_that_drips_is_cut_off(askable, units):
    drops = (200, tuple(b" " for _ in range(500)))
    with answering(drops) as server, scorer(askable, server, seconds=1.0) as remote:
        started = time.monotonic()
        with pytest.raises(Unfinished, match="did not answer within"):
            remote.score(units[:1])
        assert time.monotonic() - started < 20


def test_an_answer_without_end_is_cut_off(askable, units, monkeypatch):
    monkeypatch.setattr(remote_http, "LARGEST_ANSWER", 1 << 20)
    with (
        answering((200, b" " * (3 << 20))) as server,
        scorer(askable, server) as remote,
        pytest.raises(Unfinished, match="more than 1 MiB"),
    ):
        remote.score(units[:1])


def test_nobody_there(askable, units):
    with scorer(askable, free_port()) as remote, pytest.raises(Unfinished, match="did not answer") as failed:
        remote.score(units[:1])
    assert failed.value.hint


def test_the_token_is_sent_and_read_each_time(askable, units, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    with answering(tensors) as server, scorer(askable, server, token_file=str(token)) as remote:
        remote.score(units[:1])
        token.write_text("second\n")
        remote.score(units[:1])
        assert [headers["authorization"] for _, headers, _ in server.asked] == [
            "Bearer first",
            "Bearer second",
        ]
        token.write_text("a\nb: c")
        with pytest.raises(Misuse, match="does not hold a token"):
            remote.score(units[:1])
        token.unlink()
        with pytest.raises(Misuse, match="cannot read the scorer's token"):
            remote.score(units[:1])


def test_a_prefix_goes_before_the_path(askable, units):
    with answering(tensors) as server:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        for given in (f"{base}/serving", f"{base}/serving/v2/"):
            with closing(Remote(askable, ScorerChoice(url=given), None)) as remote:
                remote.score(units[:1])
        assert {path for path, _, _ in server.asked} == {"/serving/v2/models/change-risk/infer"}


# -- URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://localhost:8000",
        "http://[::1]:8000",
        "grpc://127.8.8.8:9",
        "https://a.example.org",
        "grpcs://192.0.2.1",
    ],
)
def test_code_goes_to_this_machine_or_encrypted(url):
    assert endpoint(ScorerChoice(url=url)).host in url


@pytest.mark.parametrize(
    "url", ["http://a.example.org", "grpc://192.0.2.1:8001", "http://localhost.example.org", "http://0.0.0.0"]
)
def test_code_in_clear_text_needs_to_be_allowed(url):
    with pytest.raises(Misuse, match="in clear text") as refused:
        endpoint(ScorerChoice(url=url))
    assert "cleartext: true" in refused.value.hint
    assert endpoint(ScorerChoice(url=url, cleartext=True))
    with pytest.raises(Misuse, match="the token in clear text"):
        endpoint(ScorerChoice(url=url, cleartext=True, token_file="token"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://a:b@127.0.0.1",
        "http://127.0.0.1/?a=b",
        "grpc://127.0.0.1/path",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_url_of_a_scorer_is_refused(url):
    with pytest.raises(Misuse):
        endpoint(ScorerChoice(url=url))


# -- the breaker


def test_a_breaker_opens_rests_probes_and_closes():
    now = [0.0]
    breaker = Breaker(limit=2, rest=10, clock=lambda: now[0])
    assert breaker.allows()
    breaker.failed()
    assert breaker.allows()
    breaker.succeeded()
    breaker.failed()
    assert breaker.allows(), "failures count in a row only"
    breaker.failed()
    assert not breaker.allows()
    now[0] = 10.0
    assert breaker.allows()
    assert not breaker.allows(), "one probe at a time"
    breaker.failed()
    now[0] = 19.9
    assert not breaker.allows()
    now[0] = 20.0
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.allows()
