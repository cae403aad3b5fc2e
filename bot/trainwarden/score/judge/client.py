"""Texts in, completions out, from a server of OpenAI's chat protocol over HTTP.

The readings of one unit are sent side by side, each over its own connection, and then read: the server works on all of
them at once, and no thread is needed. No redirects, no proxy from the environment, bounded answers, and one deadline
for everything. Protocol: https://platform.openai.com/docs/api-reference/chat (2025), as vLLM and llama.cpp speak it.
"""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from trainwarden.model import JudgeChoice, Misuse, ScorerChoice
from trainwarden.rules.spelling import clean
from trainwarden.score.endpoint import Endpoint, endpoint, is_here
from trainwarden.score.judge.answer import Completion, completion
from trainwarden.score.judge.prompt import FORMATS, body
from trainwarden.score.remote_http import left, read_body
from trainwarden.score.transport import Failure

LARGEST_ANSWER = 1 << 20
ATTEMPTS = 2
FIRST_PAUSE = 0.2
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED = frozenset({400, 404, 415, 422, 501})
"""How servers refuse a form of answer. It may mean other things: then they refuse the last form too."""
_LONGEST_WORDS = 120


def judge_endpoint(choice: JudgeChoice) -> Endpoint:
    """The server of a choice. Raises ``Misuse`` for a URL that is none, and for code or keys in clear text."""
    url = choice.url or ""
    if not url.startswith(("http://", "https://")):
        raise Misuse(f"{url!r} is not the URL of a judge", "give it as https://host:8000/v1")
    plain = ScorerChoice(
        url=url.rstrip("/").removesuffix("/v1"),
        model=choice.model,
        cleartext=choice.cleartext,
        token_file=choice.key_file,
        ca_file=choice.ca_file,
    )
    found = endpoint(plain)
    if choice.key is not None and not found.secure and not is_here(found.host):
        raise Misuse(f"http://{found.address} would send the judge's key in clear text", "use https")
    return found


class Client:
    """Asks one server. For one thread."""

    def __init__(self, choice: JudgeChoice, pause: Callable[[float], None] = time.sleep) -> None:
        self._endpoint = judge_endpoint(choice)
        self._choice = choice
        self._context = _trust(self._endpoint)
        self._pause = pause
        self._connections: list[HTTPConnection | None] = []
        self._pid = os.getpid()
        self._form = 0
        self.latencies: list[float] = []
        """Seconds that each request took that was answered or failed, of the last call of ``ask``."""

    @property
    def address(self) -> str:
        """``host:port``, as a report names it."""
        return self._endpoint.address

    def ask(self, texts: Sequence[str], seconds: float) -> list[Completion]:
        """One completion a text, in order, within so many seconds. What failed says why; nothing is raised for it."""
        deadline = time.monotonic() + seconds
        self.latencies = []
        found: dict[int, Completion] = {}
        for attempt in range(ATTEMPTS):
            places = [place for place in range(len(texts)) if _again(found.get(place))]
            wait = random.uniform(0, FIRST_PAUSE * 2**attempt) if attempt else 0.0
            if not places or time.monotonic() + wait >= deadline:
                break
            if wait:
                self._pause(wait)
            said = self._in_some_form([texts[place] for place in places], deadline)
            found.update(zip(places, said, strict=True))
        late = _failed(Failure(f"did not answer within {seconds:.1f} s", again=True))
        return [found.get(place, late) for place in range(len(texts))]

    def close(self) -> None:
        """Hangs up."""
        for connection in self._connections:
            if connection is not None:
                connection.close()
        self._connections = []

    def _in_some_form(self, texts: Sequence[str], deadline: float) -> list[Completion]:
        """Asks for the strictest form of answer that the server takes, and remembers which that is."""
        said: list[Completion] = []
        for form in range(self._form, len(FORMATS)):
            said = self._together([self._body(text, FORMATS[form]) for text in texts], deadline)
            if not all(isinstance(one.answer, _Refusal) for one in said):
                self._form = form
                break
        return said

    def _body(self, text: str, form: str) -> bytes:
        asked = body(text, self._choice.model, form, self._choice.answer_tokens)
        return json.dumps(asked, separators=(",", ":")).encode("ascii")

    def _together(self, bodies: Sequence[bytes], deadline: float) -> list[Completion]:
        """Sends all, then reads all."""
        self._fit(len(bodies))
        headers = {"content-type": "application/json", "accept": "application/json", **self._authority()}
        started = time.monotonic()
        sent = [self._guarded(place, self._send, one, headers, deadline) for place, one in enumerate(bodies)]
        said = []
        for place, failure in enumerate(sent):
            said.append(failure or self._guarded(place, self._receive, deadline))
            self.latencies.append(time.monotonic() - started)
        return [one if one is not None else _failed(Failure("did not answer", again=True)) for one in said]

    def _authority(self) -> Mapping[str, str]:
        if self._choice.key is not None:
            return {"authorization": f"Bearer {self._choice.key}"}
        return self._endpoint.headers()

    def _fit(self, count: int) -> None:
        if self._pid != os.getpid():  # the connections are the parent's
            self._connections, self._pid = [], os.getpid()
        self._connections += [None] * (count - len(self._connections))

    def _guarded(
        self, place: int, job: Callable[..., Completion | None], *arguments: object
    ) -> Completion | None:
        """Runs one half of an exchange; a connection that failed is never used again."""
        try:
            return job(place, *arguments)
        except Failure as failure:
            return self._dropped(place, failure)
        except TimeoutError:
            return self._dropped(place, Failure("did not answer in time", again=True))
        except ssl.SSLCertVerificationError:
            return self._dropped(place, Failure("has a certificate that is not trusted", again=False))
        except (HTTPException, OSError, ValueError):
            return self._dropped(place, Failure("did not answer", again=True))

    def _dropped(self, place: int, failure: Failure) -> Completion:
        connection = self._connections[place]
        if connection is not None:
            connection.close()
        self._connections[place] = None
        return _failed(failure)

    def _send(self, place: int, data: bytes, headers: Mapping[str, str], deadline: float) -> None:
        connection = self._connections[place]
        if connection is None or connection.sock is None or _is_stale(connection):
            connection = self._connections[place] = self._connect(left(deadline))
            connection.connect()
        connection.sock.settimeout(left(deadline))
        connection.request("POST", f"{self._endpoint.prefix}/v1/chat/completions", data, dict(headers))

    def _receive(self, place: int, deadline: float) -> Completion:
        connection = self._connections[place]
        assert connection is not None
        wire = connection.sock
        wire.settimeout(left(deadline))
        response = connection.getresponse()
        data = read_body(response, wire, deadline, LARGEST_ANSWER)
        if response.status == 200:
            return completion(data)
        words = f"answered {response.status}{_words(data)}"
        if response.status in _REFUSED:
            return _failed(_Refusal(words, again=False))
        return _failed(Failure(words, again=response.status in _BUSY))

    def _connect(self, seconds: float) -> HTTPConnection:
        end = self._endpoint
        if not end.secure:
            return HTTPConnection(end.host, end.port, timeout=seconds)
        return HTTPSConnection(end.host, end.port, timeout=seconds, context=self._context)


class _Refusal(Failure):
    """The server does not take the request as it is."""


def _trust(end: Endpoint) -> ssl.SSLContext | None:
    """Whom to believe. Raises ``Misuse`` for certificates that cannot be read."""
    if not end.secure:
        return None
    try:
        return ssl.create_default_context(cafile=end.ca_file)
    except OSError as error:
        raise Misuse(f"cannot read the certificates in {end.ca_file}: {error}") from error


def _failed(failure: Failure) -> Completion:
    return Completion(failure, None, None)


def _again(said: Completion | None) -> bool:
    return said is None or (isinstance(said.answer, Failure) and said.answer.again)


def _is_stale(connection: HTTPConnection) -> bool:
    """Whether the server has hung up, or said something unasked, since the last answer."""
    plain = connection.sock
    if isinstance(plain, ssl.SSLSocket):  # has records of its own after a handshake: only use tells
        return False
    plain.settimeout(0)
    try:
        return plain.recv(1, socket.MSG_PEEK) is not None
    except BlockingIOError:
        return False
    except OSError:
        return True


def _words(data: bytes) -> str:
    """What a server says of its error, on one line and short."""
    try:
        said: Any = json.loads(data)
        error = said.get("error")
        text = error.get("message") if isinstance(error, dict) else error or said.get("detail")
    except (ValueError, AttributeError, RecursionError):
        text = None
    return f" ({clean(text, _LONGEST_WORDS)})" if isinstance(text, str) and text.strip() else ""
