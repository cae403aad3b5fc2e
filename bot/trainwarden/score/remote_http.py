"""The Open Inference Protocol v2 over HTTP with JSON tensors, which every server of it reads.

The standard library's client is enough: two requests, no redirects, no proxy from the environment, and time-outs that
hold for the whole answer. Protocol: https://github.com/open-inference/open-inference-protocol (2024).
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NoReturn
from urllib.parse import quote

from trainwarden.model import Misuse
from trainwarden.score.batches import OUTPUTS
from trainwarden.score.endpoint import Endpoint
from trainwarden.score.transport import Failure, Metadata, Tensor

LARGEST_ANSWER = 64 << 20
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WORDS = 160


class HttpTransport:
    """Keeps one connection open. May be used by several threads, one at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._path = f"{endpoint.prefix}/v2/models/{quote(endpoint.model, safe='')}"
        self._connection: HTTPConnection | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def metadata(self, seconds: float) -> Metadata:
        """``GET v2/models/NAME``. Anything but an answer means that the choice is wrong, or the server busy."""
        status, data = self._exchange("GET", self._path, None, seconds)
        if status != 200:
            self._refused(status, data, wrong=400 <= status < 500)
        document = _json(data)
        try:
            versions = tuple(str(version) for version in document.get("versions") or ())
            inputs, outputs = (
                {str(tensor["name"]): str(tensor["datatype"]) for tensor in document[side]}
                for side in ("inputs", "outputs")
            )
        except (KeyError, TypeError, AttributeError):
            raise Failure("did not say what its model reads and writes", again=False) from None
        return Metadata(versions, inputs, outputs)

    def infer(
        self, tensors: Mapping[str, Sequence[Sequence[int]]], request_id: str, seconds: float
    ) -> Mapping[str, Tensor]:
        """``POST v2/models/NAME/infer``."""
        body = {
            "id": request_id,
            "inputs": [_input(name, rows) for name, rows in tensors.items()],
            "outputs": [{"name": name} for name in OUTPUTS],
        }
        data = json.dumps(body, separators=(",", ":")).encode("ascii")
        status, answer = self._exchange("POST", f"{self._path}/infer", data, seconds)
        if status != 200:
            self._refused(status, answer, wrong=status in (401, 403, 404))
        document = _json(answer)
        try:
            return {str(output["name"]): _tensor(output) for output in document["outputs"]}
        except (KeyError, TypeError, ValueError):
            raise Failure("answered with something else than tensors", again=False) from None

    def close(self) -> None:
        """Hangs up."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _exchange(self, method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        deadline = time.monotonic() + seconds
        with self._lock:
            if self._pid != os.getpid():  # the connection is the parent's
                self._connection, self._pid = None, os.getpid()
            kept = self._connection is not None
            while True:
                try:
                    return self._once(method, path, body, deadline)
                except Failure:
                    self.close()
                    raise
                except (HTTPException, OSError) as error:
                    self.close()
                    # A server may hang up on an idle connection at any time: that says nothing about it.
                    if not kept or isinstance(error, TimeoutError):
                        self._silent(error, seconds)
                    kept = False

    def _once(self, method: str, path: str, body: bytes | None, deadline: float) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect(left(deadline))
        connection = self._connection
        if connection.sock is None:
            connection.connect()
        socket = connection.sock
        socket.settimeout(left(deadline))
        headers = {
            "content-type": "application/json",
            "accept": "application/json",
            **self._endpoint.headers(),
        }
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, read_body(response, socket, deadline, LARGEST_ANSWER)

    def _connect(self, seconds: float) -> HTTPConnection:
        end = self._endpoint
        if not end.secure:
            return HTTPConnection(end.host, end.port, timeout=seconds)
        try:
            context = ssl.create_default_context(cafile=end.ca_file)
        except OSError as error:
            raise Misuse(f"cannot read the certificates in {end.ca_file}: {error}") from error
        return HTTPSConnection(end.host, end.port, timeout=seconds, context=context)

    def _silent(self, error: Exception, seconds: float) -> NoReturn:
        if isinstance(error, ssl.SSLCertVerificationError):
            hint = "name the authority's certificates with `ca_file` in the operator's config"
            raise Misuse(f"the certificate of {self._endpoint.address} is not trusted", hint) from error
        if isinstance(error, TimeoutError):
            raise Failure(f"did not answer within {seconds:.1f} s", again=True) from error
        raise Failure("did not answer", again=True) from error

    def _refused(self, status: int, data: bytes, wrong: bool) -> NoReturn:
        words = f"answered {status}{_words(data)}"
        if 300 <= status < 400:
            hint = "give the final URL: requests are not sent on to other places"
            raise Misuse(f"the scorer {self._endpoint.address} {words}", hint)
        if wrong:
            asked = f"the scorer {self._endpoint.address}, asked for the model {self._endpoint.model!r},"
            raise Misuse(
                f"{asked} {words}",
                "see that the name is right, that it is loaded, and that the token is good",
            )
        raise Failure(words, again=status in _BUSY)


def left(deadline: float) -> float:
    """Seconds until a deadline. Raises ``TimeoutError`` when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def read_body(response: HTTPResponse, socket: Any, deadline: float, most: int) -> bytes:
    """The whole body by the deadline, however slowly it drips. Raises ``Failure`` when it is beyond ``most`` bytes."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > most:
            raise Failure(f"answered with more than {most >> 20} MiB", again=False)
        socket.settimeout(left(deadline))
    response.close()  # read to its end, it would still count as open, and the connection as busy
    return b"".join(parts)


def _input(name: str, rows: Sequence[Sequence[int]]) -> dict[str, object]:
    flat = [value for row in rows for value in row]
    return {"name": name, "shape": [len(rows), len(rows[0])], "datatype": "INT64", "data": flat}


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Failure("answered with something else than JSON", again=False) from None


def _tensor(output: Any) -> Tensor:
    return Tensor(
        str(output["datatype"]),
        tuple(int(size) for size in output["shape"]),
        [float(value) for value in _flat(output["data"])],
    )


def _flat(data: Any) -> list[Any]:
    """Tensors may come nested or flat."""
    while data and isinstance(data[0], list):
        data = [value for row in data for value in row]
    return list(data)


def _words(data: bytes) -> str:
    """What a server says of its error, on one line and short."""
    try:
        said = json.loads(data)
        text = str(said.get("error") or said.get("detail") or "")
    except (ValueError, AttributeError, RecursionError):
        text = ""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_WORDS]).split())
    return f" ({clean[:_LONGEST_WORDS]})" if clean else ""
