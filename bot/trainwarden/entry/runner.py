"""The GitHub Actions runner's environment and files: what it told us comes in, outputs and summary go out.

Names and file formats: https://docs.github.com/actions/reference/workflows-and-actions/variables and
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands (environment files).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trainwarden.model import Misuse

MOST_PAYLOAD = 32 * 2**20
"""Bytes of an event's payload; GitHub's own limit is 25 MB."""

_REPOSITORY = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}\Z", re.ASCII)
_LOCAL = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Runner:
    """What the runner says of itself and of the event. ``url`` is the address to fetch the repository from."""

    event: str
    payload: Path
    url: str
    temporary: Path
    output: Path
    summary: Path
    workspace: Path | None

    def read_payload(self) -> object:
        """The event's payload. Raises ``Misuse`` when it cannot be read or is not JSON."""
        try:
            with self.payload.open("rb") as file:
                data = file.read(MOST_PAYLOAD + 1)
            if len(data) > MOST_PAYLOAD:
                raise Misuse(
                    "the event's payload is too long", "GITHUB_EVENT_PATH must name the runner's file"
                )
            return json.loads(data)
        except OSError as error:
            raise Misuse(f"the event's payload cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise Misuse("the event's payload is not JSON") from error

    def set_output(self, name: str, value: str) -> None:
        """Sets an output of the step; a later value replaces an earlier one.

        The delimiter cannot be guessed, so no value can end early and set an output of its own choice.
        """
        mark = f"end_{secrets.token_hex(16)}"
        _append(self.output, f"{name}<<{mark}\n{value}\n{mark}\n")

    def add_summary(self, markdown: str) -> None:
        """Adds to the summary page of the job."""
        _append(self.summary, markdown)


def of_environment(environment: Mapping[str, str]) -> Runner:
    """Reads the runner's variables. Raises ``Misuse`` naming one that is missing or not usable."""
    read = _Reader(environment)
    workspace = environment.get("GITHUB_WORKSPACE", "")
    return Runner(
        event=read.text("GITHUB_EVENT_NAME"),
        payload=Path(read.text("GITHUB_EVENT_PATH")),
        url=f"{read.server()}/{read.repository()}.git",
        temporary=Path(read.text("RUNNER_TEMP")),
        output=Path(read.text("GITHUB_OUTPUT")),
        summary=Path(read.text("GITHUB_STEP_SUMMARY")),
        workspace=Path(workspace) if workspace else None,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    environment: Mapping[str, str]

    def text(self, name: str) -> str:
        value = self.environment.get(name, "")
        if not value:
            raise Misuse(f"{name} is not set", "this command is for the steps of a GitHub Actions job")
        return value

    def repository(self) -> str:
        value = self.text("GITHUB_REPOSITORY")
        if not _REPOSITORY.match(value):
            raise Misuse("GITHUB_REPOSITORY is not owner/name")
        return value

    def server(self) -> str:
        value = self.text("GITHUB_SERVER_URL").rstrip("/")
        parts = urlsplit(value)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        if not safe or parts.username or parts.query or parts.fragment:
            raise Misuse("GITHUB_SERVER_URL is not an https address", "a token is not sent in the clear")
        return value


def _append(path: Path, text: str) -> None:
    try:
        with path.open("ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise Misuse(f"the runner's file cannot be written: {error.strerror}") from error
