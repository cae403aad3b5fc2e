"""Load on the App, on loopback and bounded: how fast deliveries are acknowledged, and that none is lost.

``burst``: signed deliveries over many repositories from several connections, with a ``kill -9`` of the whole App
in the middle and a restart. ``latency``: commits of a real repository as pull requests, one delivery a second.
Comes in: counts, and for ``latency`` a bare clone. Goes out: Markdown on stdout for docs/operations.md; exit code 1
when a delivery was lost or done twice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "github"))

from github_fake import FakeGitHub, FakePull, signature  # noqa: E402  # beside the tests, not installed
from github_hosting import HostedRepository  # noqa: E402
from github_parts import Postgres, free_pair, free_port  # noqa: E402

SECRET = "a-secret-of-the-benchmark"
TRAIN = "import torch\n\nlr = 3e-4\n"
CONNECTIONS = 8
DEADLINE = 480.0


@dataclass
class Ack:
    """One delivery: which, when sent, how long the answer took, and the status (0: no answer)."""

    guid: str
    started: float
    seconds: float
    status: int


class Installation:
    """An App of processes before a GitHub of ours."""

    def __init__(self, directory: Path, database: str) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        # Requests are validated in the tests; here the validator would take the cores from what is measured.
        self.github = FakeGitHub(directory / "hosted", "", public.decode(), SECRET)
        self.port, self.metrics_port = free_port(), free_pair()
        self.log = directory / "app.log"
        data = directory / "data"
        data.mkdir()
        settings = {
            "APP_ID": "4242",
            "PRIVATE_KEY": private,
            "WEBHOOK_SECRET": SECRET,
            "DATA": str(data),
            "GITHUB_URL": self.github.url,
            "API_URL": f"{self.github.url}/api/v3",
            "BIND": f"127.0.0.1:{self.port}",
            "METRICS_BIND": f"127.0.0.1:{self.metrics_port}",
            "EXECUTOR": "one",
            "THROTTLE_SECONDS": "0",
            "RECONCILE_SECONDS": "10",
            "LEASE_SECONDS": "6",
            "MODEL": "no",
        } | ({"DATABASE_URL": database} if database else {})
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(data)}
        self._environment |= {f"TRAINWARDEN_{name}": value for name, value in settings.items()}
        self.github.webhook = f"http://127.0.0.1:{self.port}/webhook"
        self.start()

    def start(self) -> None:
        """Start the App and wait until it is ready."""
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "trainwarden.github.command", "serve"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/ready", timeout=5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the App did not start")

    def kill(self) -> None:
        """The worst end there is."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """A graceful end."""
        self.process.terminate()
        self.process.wait(60)
        self.github.close()


class Sender:
    """Connections that are kept open, as GitHub's are; one thread each."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()

    def send(self, event: str, payload: dict[str, Any], guid: str) -> Ack:
        """One signed delivery, timed from the first byte sent to the last received."""
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": guid}
        headers["X-Hub-Signature-256"] = signature(body, SECRET)
        connection: HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.connect()
            except OSError:
                self._local.connection = None
                return Ack(guid, time.monotonic(), 0.0, 0)
        started = time.monotonic()
        try:
            connection.request("POST", "/webhook", body, headers)
            reply = connection.getresponse()
            reply.read()
        except (OSError, ValueError):
            connection.close()
            self._local.connection = None
            return Ack(guid, started, 0.0, 0)
        return Ack(guid, started, time.monotonic() - started, reply.status)


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def padded(payload: dict[str, Any]) -> dict[str, Any]:
    """A payload of the size GitHub's have: about 22 KB."""
    return payload | {
        "padding": [{"url": "https://api.example.org/" + "x" * 60, "id": i} for i in range(190)]
    }


def burst(arguments: argparse.Namespace) -> int:
    """See the module."""
    with tempfile.TemporaryDirectory(prefix="trainwarden-burst-") as name:
        server = Postgres() if arguments.postgres else None
        if server is not None:
            server.start()
        app = Installation(Path(name), server.database("burst") if server is not None else "")
        try:
            return _burst(app, arguments)
        finally:
            app.stop()
            if server is not None:
                server.stop()


def _burst(app: Installation, arguments: argparse.Namespace) -> int:
    """Each pull request is opened and pushed to; only its newest head may end in a check that says pass."""
    github = app.github
    pulls: list[FakePull] = []
    letters: list[tuple[str, dict[str, Any], str]] = []
    older: set[str] = set()
    for number in range(arguments.repositories):
        repository = github.repository(f"octo/r{number}")
        repository.commit("main", {"train.py": TRAIN, ".trainwarden.yml": "mode: enforce\n"}, orphan=True)
        for i in range(arguments.deliveries // arguments.repositories // 2):
            pull, before = _pull(github, repository, i)
            older.add(before)
            opened = github.pull_event(pull, "opened")
            opened["pull_request"]["head"]["sha"] = before
            pushed = github.pull_event(pull, "synchronize", before=before, after=pull.head)
            letters += [("pull_request", padded(p), str(uuid.uuid4())) for p in (opened, pushed)]
            pulls.append(pull)
    sender = Sender(app.port)
    acks: list[Ack] = []
    middle = len(letters) // 2
    started = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        acks += pool.map(lambda letter: sender.send(*letter), letters[:middle])
        doomed = [pool.submit(sender.send, *letter) for letter in letters[middle : middle + 2 * CONNECTIONS]]
        app.kill()
        acks += [future.result() for future in doomed]
        app.start()
        acks += pool.map(lambda letter: sender.send(*letter), letters[middle + 2 * CONNECTIONS :])
    sent = time.monotonic() - started
    unanswered = {ack.guid for ack in acks if ack.status != 202}
    for event, payload, guid in letters:
        # GitHub keeps what it could not deliver, and the App asks for it.
        status = 502 if guid in unanswered else 202
        entry = {"id": len(github.state.deliveries) + 1, "guid": guid, "event": event, "payload": payload}
        github.state.deliveries.append(entry | {"status_code": status})
    waited = _wait(github, pulls)
    return _judge(github, pulls, older, acks, (sent, waited))


def _pull(github: FakeGitHub, repository: HostedRepository, number: int) -> tuple[FakePull, str]:
    branch = f"topic{number}"
    files = {"train.py": TRAIN + f"epochs = {number}\n", "name.txt": repository.name}
    repository.commit(branch, files, parent=repository.tip("main"))
    pull = github.pull(repository, branch)
    return pull, github.push(pull, {"train.py": TRAIN + f"epochs = {number + 1}\n"})


def _wait(github: FakeGitHub, pulls: list[FakePull]) -> float:
    started = time.monotonic()
    while time.monotonic() - started < DEADLINE:
        with github.lock:
            done = {c["head_sha"] for c in github.state.checks if c["status"] == "completed"}
            running = any(c["status"] != "completed" for c in github.state.checks)
        if not running and all(pull.head in done for pull in pulls):
            return time.monotonic() - started
        time.sleep(0.2)
    return DEADLINE


def _judge(
    github: FakeGitHub, pulls: list[FakePull], older: set[str], acks: list[Ack], times: tuple[float, float]
) -> int:
    runs: dict[str, list[str]] = {}
    for check in github.state.checks:
        runs.setdefault(check["head_sha"], []).append(check["conclusion"] or check["status"])
    lost = [pull.head for pull in pulls if "success" not in runs.get(pull.head, [])]
    twice = [head for head, said in runs.items() if len(said) > 1]
    green = [head for head in older if "success" in runs.get(head, [])]
    answered = [ack.seconds * 1000 for ack in acks if ack.status == 202]
    row = {
        "deliveries": len(acks),
        "acknowledged": len(answered),
        "p50 ms": round(statistics.median(answered), 1),
        "p99 ms": round(percentile(answered, 0.99), 1),
        "slowest ms": round(max(answered), 1),
        "burst s": round(times[0], 1),
        "all checks after s": round(times[1], 1),
        "lost": len(lost),
        "twice": len(twice),
        "older heads green": len(green),
        "errors": sum(check["conclusion"] == "failure" for check in github.state.checks),
    }
    _table(row)
    return int(bool(lost or twice or green))


def _table(row: dict[str, object]) -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print("| " + " | ".join(row) + " |")
    print("|" + " --- |" * len(row))
    print("| " + " | ".join(str(value) for value in row.values()) + " |\n")


def latency(arguments: argparse.Namespace) -> int:
    """Real commits as pull requests, one a second: seconds from delivery to finished check."""
    with tempfile.TemporaryDirectory(prefix="trainwarden-latency-") as name:
        app = Installation(Path(name), "")
        try:
            return _latency(app, arguments)
        finally:
            app.stop()


def _latency(app: Installation, arguments: argparse.Namespace) -> int:
    github = app.github
    repository = _cloned(github, arguments.repository)
    heads = repository.git(
        "log", "--first-parent", "--no-merges", f"-{arguments.commits}", "--format=%H %P", "main"
    )
    pairs = [line.split(" ")[:2] for line in heads.splitlines() if " " in line]
    sender = Sender(app.port)
    sent: dict[str, float] = {}
    for number, (head, parent) in enumerate(pairs, 1):
        for branch, commit in ((f"base{number}", parent), (f"topic{number}", head)):
            repository.git("update-ref", f"refs/heads/{branch}", commit)
        pull = github.pull(repository, f"topic{number}", f"base{number}")
        sent[pull.head] = time.time()
        sender.send("pull_request", github.pull_event(pull, "opened"), str(uuid.uuid4()))
        time.sleep(1.0)
    _wait(github, github.state.pulls)
    taken = [c["finished"] - sent[c["head_sha"]] for c in github.state.checks if c.get("finished")]
    if arguments.warm_up:
        # The first fetch clones the whole history; it happens once for each repository.
        taken = taken[arguments.warm_up :]
    row = {
        "pull requests": len(taken),
        "median s": round(statistics.median(taken), 2),
        "p95 s": round(percentile(taken, 0.95), 2),
        "slowest s": round(max(taken), 2),
        "unfinished": len(pairs) - arguments.warm_up - len(taken),
    }
    _table(row)
    return int(row["unfinished"] != 0)


def _cloned(github: FakeGitHub, source: str) -> HostedRepository:
    repository = github.repository("octo/real")
    tip = subprocess.run(
        ["git", "-C", source, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    repository.git("fetch", "--quiet", "--no-tags", source, f"{tip.stdout.strip()}:refs/heads/main")
    return repository


def main() -> int:
    """Run one of the two loads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    loads = parser.add_subparsers(dest="load", required=True)
    one = loads.add_parser("burst")
    one.add_argument("--deliveries", type=int, default=500)
    one.add_argument("--repositories", type=int, default=50)
    one.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    other = loads.add_parser("latency")
    other.add_argument("repository", help="a bare clone of a real repository")
    other.add_argument("--commits", type=int, default=60)
    other.add_argument("--warm-up", type=int, default=1, help="leave out the first ones (the clone)")
    arguments = parser.parse_args()
    return burst(arguments) if arguments.load == "burst" else latency(arguments)


if __name__ == "__main__":
    sys.exit(main())
