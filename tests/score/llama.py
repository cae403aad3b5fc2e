"""Starts a real server of the chat protocol (that of llama.cpp, in its own environment) on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from oip_server import ROOT, free_port

PYTHON = ROOT / ".venv-judge" / "bin" / "python"
PROGRAM = Path(__file__).parent / "judge_runtime" / "llama_server.py"
NAME = "tiny"
START_SECONDS = 120


class Llama:
    """A server of a tiny model with random weights."""

    def __init__(self, folder: Path, key: str = "") -> None:
        self._folder, self._key = folder, key
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PYTHON), "-I", str(PROGRAM), str(self._folder), str(self._port), self._key],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise AssertionError((self._folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
        self._process = None

    def pause(self) -> None:
        """Stops it: connections are taken, and nothing is answered."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def _ready(self) -> bool:
        try:
            urllib.request.urlopen(self.url.removesuffix("/v1") + "/health", timeout=2).close()
        except OSError:
            return False
        return True
