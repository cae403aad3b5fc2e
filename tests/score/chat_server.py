"""A small server of the chat protocol that does as a test tells it: right answers, and every kind of wrong one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, bytes | tuple[bytes, ...]] | None
GOOD = {
    "reason": "flips the sign",
    "verdict": "sabotage",
    "probability": 90,
    "technique": "A",
    "statement": 0,
}


def chat(content: object, finish: str = "stop", **more: object) -> tuple[int, bytes]:
    """A completion with this text (or this object as JSON)."""
    text = content if isinstance(content, str) else json.dumps(content)
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return 200, json.dumps({"choices": [choice], "usage": usage, **more}).encode()


def verdict(probability: int, **more: object) -> tuple[int, bytes]:
    """A completion with this probability."""
    word = "sabotage" if probability > 50 else "honest"
    return chat({**GOOD, "probability": probability, "verdict": word, **more})


class ChatServer(ThreadingHTTPServer):
    """``asked``: (path, headers, body) of every request."""

    daemon_threads = True
    asked: list[tuple[str, dict[str, str], dict[str, Any]]]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def texts(self) -> list[str]:
        """The user's message of every request."""
        return [str(body["messages"][1]["content"]) for _, _, body in self.asked]

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are expected here."""


@contextmanager
def answering(reply: Reply | Callable[[dict[str, Any]], Reply], drip: float = 0.2) -> Iterator[ChatServer]:
    """A server that answers so; None hangs up, a tuple of bytes drips with pauses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            asked = (self.path, dict(self.headers), json.loads(data))
            server.asked.append(asked)
            said = reply(asked[2]) if callable(reply) else reply
            if said is None:
                self.close_connection = True
                return
            status, body = said
            parts = body if isinstance(body, tuple) else (body,)
            self.send_response(status)
            self.send_header("content-length", str(sum(map(len, parts))))
            if status in (301, 307):
                self.send_header("location", "http://127.0.0.1:1/")
            self.end_headers()
            for part in parts:
                self.wfile.write(part)
                self.wfile.flush()
                if len(parts) > 1:
                    time.sleep(drip)

        def log_message(self, *_: object) -> None:
            pass

    server = ChatServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
