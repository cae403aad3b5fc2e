"""What crosses the pipe between the supervisor and the killable child, as length-prefixed frames.

Supervisor to child: a pickle of our own plain data (the supervisor is trusted). Child to supervisor: JSON
only, with a size cap, because the child has read hostile bytes and what it says is checked like any other
input.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from trainwarden.model import Misuse, Report

HELLO, PATH, REPORT, REFUSAL, CRASH, REQUEST = b"H", b"P", b"R", b"F", b"X", b"Q"
HEADER = 5
LARGEST_ANSWER = 64 * 1024 * 1024


class Garbled(ValueError):
    """The other end sent something that is not a frame, not JSON, or not a report."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame: a kind byte, the length in four bytes (big endian), the payload."""
    return kind + len(payload).to_bytes(4, "big") + payload


def write(descriptor: int, data: bytes) -> None:
    """Writes all of ``data`` to a blocking descriptor. Raises ``OSError``."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Inbox:
    """Bytes in, frames out. ``limit`` is the largest payload accepted, in bytes."""

    def __init__(self, limit: int = LARGEST_ANSWER) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Adds what was read from the descriptor."""
        self._buffer += data

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Every whole frame so far, as (kind, payload). Raises ``Garbled`` when one is too large."""
        while len(self._buffer) >= HEADER:
            length = int.from_bytes(self._buffer[1:HEADER], "big")
            if length > self._limit:
                raise Garbled(f"an answer of {length} bytes")
            if len(self._buffer) < HEADER + length:
                return
            kind, payload = bytes(self._buffer[:1]), bytes(self._buffer[HEADER : HEADER + length])
            del self._buffer[: HEADER + length]
            yield kind, payload


def encode_report(report: Report, retire: bool) -> bytes:
    """A report as JSON bytes, with what only our own processes exchange.

    ``retire`` tells the supervisor that the child has grown and wants to be replaced.
    """
    from trainwarden.report.json import to_dict

    return json.dumps({"report": to_dict(report, private=True), "retire": retire}).encode("ascii")


def decode_report(payload: bytes) -> tuple[Report, bool]:
    """The report and whether the child wants to retire. Raises ``Garbled`` for anything else."""
    from trainwarden.report.json import from_dict

    try:
        answer = json.loads(payload)
        return from_dict(answer["report"]), bool(answer["retire"])
    except (Misuse, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Garbled(f"not a report: {error}") from error


def encode_words(**words: str) -> bytes:
    """A flat dictionary of words as JSON bytes."""
    return json.dumps(words).encode("ascii")


def decode_words(payload: bytes) -> dict[str, str]:
    """A flat dictionary of words. Raises ``Garbled``."""
    try:
        words = json.loads(payload)
        return {str(key): str(value) for key, value in words.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise Garbled(f"not words: {error}") from error


def encode_path(path: str) -> bytes:
    """A path as git spells it: UTF-8 with undecodable bytes kept."""
    return path.encode("utf-8", "surrogateescape")


def decode_path(payload: bytes) -> str:
    """The path a breadcrumb names."""
    return payload.decode("utf-8", "surrogateescape")
