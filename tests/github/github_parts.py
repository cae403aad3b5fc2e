"""The real parts the App is tested against, found on this machine or skipped with a reason.

With ``TRAINWARDEN_REQUIRE_ALL=1`` a missing part fails the test instead, so that CI cannot skip in silence.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

NODE = Path(__file__).parent / "node"
MODULES = NODE / "node_modules"
PATHS = (
    "/app",
    "/app/hook/config",
    "/app/hook/deliveries",
    "/app/hook/deliveries/{delivery_id}/attempts",
    "/app/installations",
    "/app/installations/{installation_id}/access_tokens",
    "/app-manifests/{code}/conversions",
    "/installation/repositories",
    "/orgs/{org}/teams/{team_slug}/memberships/{username}",
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/activity",
    "/repos/{owner}/{repo}/branches/{branch}",
    "/repos/{owner}/{repo}/branches/{branch}/protection/required_status_checks",
    "/repos/{owner}/{repo}/check-runs",
    "/repos/{owner}/{repo}/check-runs/{check_run_id}",
    "/repos/{owner}/{repo}/code-scanning/sarifs",
    "/repos/{owner}/{repo}/collaborators/{username}/permission",
    "/repos/{owner}/{repo}/commits/{ref}/check-runs",
    "/repos/{owner}/{repo}/contents/{path}",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/issues/{issue_number}/labels",
    "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/pulls/{pull_number}/comments",
    "/repos/{owner}/{repo}/pulls/{pull_number}/commits",
    "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}",
    "/repos/{owner}/{repo}/rules/branches/{branch}",
)


def missing(reason: str) -> None:
    """Skip the test, or fail it where every part is required."""
    if os.environ.get("TRAINWARDEN_REQUIRE_ALL") == "1":
        pytest.fail(f"a required part is missing: {reason}", pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port of loopback that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def free_pair() -> int:
    """The first of two neighbouring free ports."""
    for _ in range(100):
        port = free_port()
        with socket.socket() as neighbour:
            try:
                neighbour.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two neighbouring ports are free")


def payloads() -> list[tuple[str, dict[str, Any]]]:
    """Every webhook payload of ``@octokit/webhooks-examples``: (event, payload)."""
    path = MODULES / "@octokit" / "webhooks-examples" / "api.github.com" / "index.json"
    if not path.exists():
        missing("npm package @octokit/webhooks-examples is not installed (npm ci in tests/github/node)")
    return [(e["name"], p) for e in json.loads(path.read_text("utf-8")) for p in e["examples"]]


def _subset() -> Path:
    """GitHub's own OpenAPI description, cut to the paths we call and whatever they refer to."""
    whole = MODULES / "@octokit" / "openapi" / "generated" / "api.github.com.json"
    if not whole.exists():
        missing("npm package @octokit/openapi is not installed (npm ci in tests/github/node)")
    cut = MODULES / ".trainwarden-openapi.json"
    stamp = json.dumps(PATHS)
    if cut.exists() and json.loads(cut.read_text("utf-8"))["x-paths"] == stamp:
        return cut
    spec = json.loads(whole.read_text("utf-8"))
    kept = {path: spec["paths"][path] for path in PATHS}
    components: dict[str, dict[str, Any]] = {}
    waiting: list[Any] = [kept]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/components/"):
                _, _, kind, name = reference.split("/", 3)
                name = name.replace("~1", "/").replace("~0", "~")
                if name not in components.setdefault(kind, {}):
                    components[kind][name] = spec["components"][kind][name]
                    waiting.append(components[kind][name])
            waiting += [item for key, item in value.items() if key != "$ref"]
    head = {key: spec[key] for key in ("openapi", "info", "servers") if key in spec}
    temporary = cut.with_suffix(f".{os.getpid()}")
    text = json.dumps(head | {"paths": kept, "components": components, "x-paths": stamp})
    temporary.write_text(text, "utf-8")
    temporary.replace(cut)
    return cut


@contextmanager
def prism() -> Iterator[str]:
    """Stoplight's Prism serving the description above: its address. It validates every request.

    One that runs already is named by ``TRAINWARDEN_TEST_PRISM``: it keeps nothing, so many may share it.
    """
    if running := os.environ.get("TRAINWARDEN_TEST_PRISM"):
        yield running
        return
    program = MODULES / ".bin" / "prism"
    if shutil.which("node") is None or not program.exists():
        missing("node or npm package @stoplight/prism-cli is not installed (npm ci in tests/github/node)")
    port = free_port()
    command = [str(program), "mock", "-h", "127.0.0.1", "-p", str(port), "-v", "error", str(_subset())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_http(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_http(address: str, process: subprocess.Popen[bytes], seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, "the program ended before it listened"
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens at {address}")


class Postgres:
    """A throw-away PostgreSQL cluster of Debian's packages on loopback, run as its own user."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            missing("PostgreSQL is not installed (apt-get install postgresql)")
        self._bin = found[-1].parent
        # Not below pytest's directory, which only its own user may enter.
        self._home = Path(tempfile.mkdtemp(prefix="trainwarden-postgres-"))
        self._home.chmod(0o755)
        self._data = self._home / "cluster"
        self._data.mkdir()
        self._port = free_port()
        self._as_root = os.geteuid() == 0
        if self._as_root:
            shutil.chown(self._data, "postgres", "postgres")
        made = self._command(
            "initdb", "-D", str(self._data), "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"
        )
        subprocess.run(made, check=True, capture_output=True, cwd="/", timeout=120)

    @property
    def url(self) -> str:
        """The maintenance database's address."""
        return f"postgresql://tester@127.0.0.1:{self._port}/postgres"

    def _command(self, program: str, *arguments: str) -> list[str]:
        """A PostgreSQL program's command line; it refuses to run as root."""
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if self._as_root else []
        return [*user, str(self._bin / program), *arguments]

    def start(self) -> None:
        """Start the server as a child of ours; it answers when this returns."""
        settings = (
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=80",
            "fsync=off",
        )
        options = [part for setting in settings for part in ("-c", setting)]
        command = self._command("postgres", "-D", str(self._data), "-p", str(self._port), *options)
        with (self._home / "log").open("ab") as log:
            self._server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        for _ in range(600):
            if (
                subprocess.run(
                    [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)], check=False
                ).returncode
                == 0
            ):
                return
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not answer")

    def kill(self) -> None:
        """``kill -9`` of the server and its children, as the worst day would."""
        pid = self._server.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._server.wait(30)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop at once, whether or not it still runs, and clear away."""
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)

    def database(self, name: str) -> str:
        """A fresh database: its address."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://tester@127.0.0.1:{self._port}/{name}"
