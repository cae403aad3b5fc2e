"""The parts the Action's tests share: a server with repositories, and a runner for one job at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
# Hosted repositories and the list of payloads are shared with the tests of the App.
sys.path[:0] = [str(TESTS), str(TESTS / "github")]

from action_runner import Job  # noqa: E402 - lies on the path just set
from action_server import Server  # noqa: E402


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A git server that asks for a token, with the repository ``octo/models``."""
    made = Server(tmp_path / "hosted")
    yield made
    made.close()


@pytest.fixture
def job(tmp_path: Path, server: Server) -> Job:
    """A job of that repository on a fresh runner."""
    return Job(tmp_path / "runner", server.url)
