"""Starts a real server of the chat protocol (that of llama.cpp, in its own environment) on loopback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from local_server import ROOT, LocalServer, free_port

PYTHON = ROOT / ".venv-judge" / "bin" / "python"
PROGRAM = Path(__file__).parent / "judge_runtime" / "llama_server.py"
NAME = "tiny"


class Llama(LocalServer):
    """A server of a tiny model with random weights."""

    start_seconds = 120

    def __init__(self, folder: Path, key: str = "") -> None:
        super().__init__(folder)
        self._key = key
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._port}/v1"

    def _command(self) -> Sequence[str]:
        return [str(PYTHON), "-I", str(PROGRAM), str(self._folder), str(self._port), self._key]

    def _ready_when(self) -> Iterable[str]:
        return [self.url.removesuffix("/v1") + "/health"]
