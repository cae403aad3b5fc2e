"""Imitates the GitHub Actions runner: runs the steps of ``action.yml`` with its variables and files.

What it does is written in the source of actions/runner (``ActionCommand.cs``, ``FileCommandManager.cs``) and in
GitHub's reference of workflow syntax: bash with ``-eo pipefail``, ``${{ }}`` replaced before the shell sees
anything, outputs read from a file with delimiters, commands obeyed wherever a line of the log starts with ``::``
or holds ``##[``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from action_server import TOKEN

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
INSTALL, REVIEW = ACTION["runs"]["steps"]
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_COMMAND = re.compile(r"\s*::([a-zA-Z-]+)(?: ([^:]*))?::(.*)\Z|.*?##\[([a-zA-Z-]+)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A workflow command as the runner understood it, its text unescaped."""

    name: str
    properties: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Step:
    """How a step ended."""

    status: int
    log: str
    outputs: Mapping[str, str]
    summary: str

    @property
    def commands(self) -> list[Command]:
        return [found for line in self.log.split("\n") if (found := parse_command(line)) is not None]


def parse_command(line: str) -> Command | None:
    """A command in a line of the log, in either of the two syntaxes."""
    found = _COMMAND.match(line)
    if found is None:
        return None
    if found[4]:
        return Command(found[4], {}, found[5])
    pairs = (pair.split("=", 1) for pair in (found[2] or "").split(",") if "=" in pair)
    return Command(found[1], {key: _unescape(value) for key, value in pairs}, _unescape(found[3]))


def _unescape(text: str) -> str:
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def parse_outputs(text: str) -> dict[str, str]:
    """``name=value`` lines and ``name<<delimiter`` blocks; the later of two wins. Raises like the runner."""
    outputs: dict[str, str] = {}
    lines = text.split("\n")
    while lines:
        line = lines.pop(0)
        if not line:
            continue
        equals, block = line.find("="), line.find("<<")
        if equals >= 0 and (block < 0 or equals < block):
            outputs[line[:equals]] = line[equals + 1 :]
            continue
        if block <= 0:
            raise ValueError(f"invalid format {line!r}")
        name, delimiter = line[:block], line[block + 2 :]
        end = lines.index(delimiter)
        outputs[name] = "\n".join(lines[:end])
        del lines[: end + 1]
    return outputs


class Job:
    """A fresh runner with one job. ``variables`` may be changed before a step runs."""

    def __init__(self, home: Path, server_url: str) -> None:
        self.workspace, self.temporary = home / "work" / "models" / "models", home / "work" / "_temp"
        for directory in (self.workspace, self.temporary, home / "home"):
            directory.mkdir(parents=True)
        files = {name: home / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")}
        for file in files.values():
            file.touch()
        self._payload = home / "event.json"
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(home / "home"),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_REPOSITORY": "octo/models",
            "GITHUB_SERVER_URL": server_url,
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_PATH": str(self._payload),
            "RUNNER_TEMP": str(self.temporary),
            "RUNNER_OS": "Linux",
        } | {name: str(file) for name, file in files.items()}

    def use_this_environment(self) -> None:
        """Stands for the step that installs: the tests' own environment in its place."""
        (self.temporary / "trainwarden-python").symlink_to(sys.prefix)

    def event(self, name: str, payload: Any) -> None:
        self.variables["GITHUB_EVENT_NAME"] = name
        self._payload.write_text(payload if isinstance(payload, str) else json.dumps(payload), "utf-8")

    def review(self, token: str = TOKEN, **inputs: str) -> Step:
        """Runs the step that reviews, as after an installation."""
        if not (self.temporary / "trainwarden-python").exists():
            self.use_this_environment()
        return self.run(REVIEW, {"token": token} | {k.replace("_", "-"): v for k, v in inputs.items()})

    def run(self, step: Mapping[str, Any], inputs: Mapping[str, str] | None = None) -> Step:
        given = {name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()} | dict(
            inputs or {}
        )
        environment = self.variables | {k: _evaluate(v, given) for k, v in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", _evaluate(step["run"], given)],
            cwd=self.workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        log = done.stdout.decode("utf-8", "replace")
        output, summary = (Path(self.variables[n]) for n in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"))
        return Step(
            done.returncode, log, parse_outputs(output.read_text("utf-8")), summary.read_text("utf-8")
        )


def _evaluate(text: str, inputs: Mapping[str, str]) -> str:
    """Replaces expressions as the runner does: with the raw text, whatever is in it."""

    def value(found: re.Match[str]) -> str:
        expression = found[1]
        if expression == "github.token":
            return TOKEN
        return inputs[expression.removeprefix("inputs.")]

    return _EXPRESSION.sub(value, text)
