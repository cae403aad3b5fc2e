"""The whole App as its operator runs it: server and workers as processes, the real reviewer, kill -9 anywhere.

Whatever is killed, every delivery ends in exactly one finished check.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from github_fake import FakeGitHub, FakePull
from github_parts import Postgres, free_pair, free_port
from github_world import SECRET, wait_for

TRAIN = """import torch

def main(model, data):
    torch.manual_seed(17)
    opt = torch.optim.AdamW(model.parameters(), lr=3e-4)
    for batch in data:
        loss = model(batch)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
"""
HONEST = TRAIN.replace("import torch\n", "import torch\n\n# Trains one model.\n", 1)
SABOTAGE = (
    TRAIN.replace("import torch\n", "import time\n\nimport torch\n", 1)
    .replace("manual_seed(17)", "manual_seed(int(time.time()))")
    .replace("loss = model(batch)", "loss = -model(batch)")
    .replace("        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n", "")
)


class Process:
    """One ``trainwarden serve`` of its own, with its environment and its output kept."""

    def __init__(self, environment: dict[str, str], log: Path, role: str) -> None:
        self.log = log
        self._environment = environment
        self._role = role
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "trainwarden.github.command", "serve", "--role", self._role],
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(20)

    def stop(self) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(60)


class Installation:
    """An App that runs: processes over one data directory and one database."""

    def __init__(self, github: FakeGitHub, directory: Path, key: str, database: str) -> None:
        self.github = github
        self.directory = directory
        self.port, self.metrics_port = free_port(), free_pair()
        self._key = key
        self._database = database
        self._processes: list[Process] = []
        directory.mkdir()
        github.webhook = f"http://127.0.0.1:{self.port}/webhook"

    def environment(self, **more: str) -> dict[str, str]:
        settings = {
            "APP_ID": "4242",
            "PRIVATE_KEY": self._key,
            "WEBHOOK_SECRET": SECRET,
            "DATA": str(self.directory),
            "GITHUB_URL": self.github.url,
            "API_URL": f"{self.github.url}/api/v3",
            "BIND": f"127.0.0.1:{self.port}",
            "METRICS_BIND": f"127.0.0.1:{self.metrics_port}",
            "DATABASE_URL": self._database,
            "EXECUTOR": "one",
            "POLL_SECONDS": "0.05",
            "LEASE_SECONDS": "3",
            "THROTTLE_SECONDS": "0",
            "RECONCILE_SECONDS": "4",
            "WORKERS": "2",
            "MODEL": "no",
            **more,
        }
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory)} | {
            f"TRAINWARDEN_{name}": value for name, value in settings.items()
        }

    def run(self, role: str = "all", **more: str) -> Process:
        name = more.get("EXECUTOR", "one")
        process = Process(self.environment(**more), self.directory / f"{role}-{name}.log", role)
        self._processes.append(process)
        if role != "worker":
            self.wait_ready()
        return process

    def wait_ready(self) -> None:
        wait_for(self._ready, 60)

    def _ready(self) -> bool:
        try:
            address = f"http://127.0.0.1:{self.metrics_port}/ready"
            with urllib.request.urlopen(address, timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def close(self) -> None:
        for process in self._processes:
            if process.popen.poll() is None:
                process.kill()

    def output(self) -> str:
        return "".join(p.read_text("utf-8", "replace") for p in self.directory.glob("*.log"))


@pytest.fixture(params=["sqlite", "postgres"])
def installed(
    request: pytest.FixtureRequest, github: FakeGitHub, tmp_path: Path, keys: tuple[str, str]
) -> Iterator[Installation]:
    """An App on each kind of database; its output never holds a secret."""
    directory = tmp_path / "app"
    database = f"sqlite:///{directory / 'state.sqlite'}"
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        database = server.database(f"e{uuid.uuid4().hex[:12]}")
    made = Installation(github, directory, keys[0], database)
    yield made
    made.close()
    output = made.output()
    assert only_json(output)
    for secret in (SECRET, keys[0].splitlines()[3], *github.state.tokens):
        assert secret not in output
        assert base64.b64encode(f"x-access-token:{secret}".encode()).decode() not in output


def pulls(github: FakeGitHub, count: int, name: str = "octo/models", text: str = HONEST) -> list[FakePull]:
    repository = github.state.repositories.get(name) or github.repository(name)
    if repository.tip("main") is None:
        files = {"train.py": TRAIN, ".trainwarden.yml": "mode: enforce\n"}
        repository.commit("main", files, orphan=True)
    made = []
    for _ in range(count):
        branch = f"topic-{uuid.uuid4().hex[:8]}"
        repository.commit(
            branch, {"train.py": text, f"{branch}.py": "x = 1\n"}, parent=repository.tip("main")
        )
        made.append(github.pull(repository, branch))
    return made


def finished(github: FakeGitHub, wanted: list[FakePull]) -> bool:
    return all(
        run["status"] == "completed" for p in wanted for run in github.runs(p.head) or [{"status": ""}]
    )


def exactly_one_finished_check_each(github: FakeGitHub, wanted: list[FakePull], seconds: float = 90) -> None:
    wait_for(lambda: finished(github, wanted), seconds)
    for pull in wanted:
        runs = github.runs(pull.head)
        assert [run["conclusion"] for run in runs] == ["success"], (pull.number, runs)


def only_json(output: str) -> int:
    """Logs and audit events are one JSON object a line, whatever happened; how many lines there are."""
    for line in output.splitlines():
        assert line.startswith("{") and isinstance(json.loads(line), dict), line
    return len(output.splitlines())


def metrics_of(installed: Installation) -> str:
    """The worker's own numbers, one port above the server's."""
    address = f"http://127.0.0.1:{installed.metrics_port + 1}/metrics"
    with urllib.request.urlopen(address, timeout=5) as reply:
        return str(reply.read().decode())


def test_a_pull_request_is_reviewed_and_sabotage_is_held_back(installed: Installation) -> None:
    process = installed.run()
    github = installed.github
    (honest,) = pulls(github, 1)
    (bad,) = pulls(github, 1, text=SABOTAGE)
    for pull in (honest, bad):
        assert github.send("pull_request", github.pull_event(pull, "opened")) == 202
    wait_for(lambda: finished(github, [honest, bad]), 90)
    assert github.runs(honest.head)[0]["conclusion"] == "success"
    assert github.runs(bad.head)[0]["conclusion"] in ("failure", "action_required")
    wait_for(
        lambda: 'trainwarden_checks_total{conclusion="success",verdict="pass"} 1' in metrics_of(installed)
    )
    assert process.stop() == 0
    events = [json.loads(line) for line in installed.output().splitlines() if '"trainwarden/audit/1"' in line]
    assert {e["head"] for e in events} == {honest.head, bad.head}


def test_kill_minus_nine_of_everything_in_the_middle(installed: Installation) -> None:
    process = installed.run()
    github = installed.github
    wanted = pulls(github, 8)
    statuses: list[int] = []

    def send() -> None:
        for pull in wanted:
            statuses.append(github.send("pull_request", github.pull_event(pull, "opened"), timeout=10))
            time.sleep(0.15)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.6)
    process.kill()
    time.sleep(0.3)
    process.start()
    installed.wait_ready()
    sender.join(60)
    assert 0 in statuses or 202 in statuses
    exactly_one_finished_check_each(github, wanted)


def worker_of(server: int) -> int:
    """The process id of the worker that a server supervises."""
    for children in Path(f"/proc/{server}/task").glob("*/children"):
        for child in children.read_text().split():
            if b"worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise AssertionError("the server has no worker")


def test_kill_minus_nine_of_the_worker_alone(installed: Installation) -> None:
    installed.run()
    github = installed.github
    wanted = pulls(github, 6)
    for pull in wanted:
        assert github.send("pull_request", github.pull_event(pull, "opened")) == 202
    wait_for(lambda: any(github.runs(p.head) for p in wanted))
    os.kill(worker_of(installed._processes[0].popen.pid), signal.SIGKILL)
    exactly_one_finished_check_each(github, wanted)


def test_one_of_two_workers_goes_for_good(installed: Installation) -> None:
    installed.run("web")
    first = installed.run("worker", EXECUTOR="first", METRICS_BIND=f"127.0.0.1:{free_port()}")
    installed.run("worker", EXECUTOR="second", METRICS_BIND=f"127.0.0.1:{free_port()}")
    github = installed.github
    wanted = pulls(github, 4) + pulls(github, 4, "octo/other")
    for pull in wanted:
        assert github.send("pull_request", github.pull_event(pull, "opened")) == 202
    wait_for(lambda: any(github.runs(p.head) for p in wanted))
    first.kill()
    exactly_one_finished_check_each(github, wanted)


def test_the_newest_head_wins(installed: Installation) -> None:
    installed.run()
    github = installed.github
    (pull,) = pulls(github, 1)
    heads = [pull.head]
    assert github.send("pull_request", github.pull_event(pull, "opened")) == 202
    for i in range(4):
        before = github.push(pull, {"train.py": HONEST, "more.py": f"y = {i}\n"})
        heads.append(pull.head)
        event = github.pull_event(pull, "synchronize", before=before, after=pull.head)
        assert github.send("pull_request", event) == 202
    exactly_one_finished_check_each(github, [pull])
    wait_for(lambda: all(r["status"] == "completed" for h in heads for r in github.runs(h)), 40)
    assert all(len(github.runs(head)) <= 1 for head in heads)


def test_deliveries_github_could_not_make_are_asked_for_again(installed: Installation) -> None:
    github = installed.github
    wanted = pulls(github, 3)
    for pull in wanted:
        assert github.send("pull_request", github.pull_event(pull, "opened"), timeout=2) == 0
    lost = pulls(github, 1)
    installed.run()
    exactly_one_finished_check_each(github, wanted + lost)


def test_kill_minus_nine_of_the_database(github: FakeGitHub, tmp_path: Path, keys: tuple[str, str]) -> None:
    server = Postgres()
    server.start()
    installed = Installation(github, tmp_path / "app", keys[0], server.database("app"))
    try:
        installed.run()
        wanted = pulls(github, 6)
        for pull in wanted[:3]:
            assert github.send("pull_request", github.pull_event(pull, "opened")) == 202
        server.kill()
        for pull in wanted[3:]:
            assert github.send("pull_request", github.pull_event(pull, "opened"), timeout=40) in (503, 0)
        server.start()
        exactly_one_finished_check_each(github, wanted, 120)
    finally:
        installed.close()
        server.stop()
    assert only_json(installed.output())


def test_the_server_is_killed_between_store_and_answer(installed: Installation, tmp_path: Path) -> None:
    """The delivery is on disk and GitHub saw no answer: it comes again and is done once."""
    code = (
        "import os, sys\n"
        "from trainwarden.github import store\n"
        "kept = store.Store.accept\n"
        "def accept(self, deliveries):\n"
        "    kept(self, deliveries)\n"
        "    os.kill(os.getpid(), 9)\n"
        "store.Store.accept = accept\n"
        "from trainwarden.github.command import main\n"
        "main(['serve', '--role', 'web'])\n"
    )
    github = installed.github
    (pull,) = pulls(github, 1)
    with (installed.directory / "dying.log").open("wb") as output:
        dying = subprocess.Popen(
            [sys.executable, "-c", code], env=installed.environment(), stdout=output, stderr=output
        )
    installed.wait_ready()
    guid = str(uuid.uuid4())
    event = github.pull_event(pull, "opened")
    assert github.send("pull_request", event, guid) == 0
    assert dying.wait(20) == -signal.SIGKILL
    installed.run()
    assert github.send("pull_request", event, guid) == 202
    exactly_one_finished_check_each(github, [pull])
    time.sleep(1.0)
    assert github.runs(pull.head)[0]["edits"] <= 2


def test_a_change_that_kills_its_worker_ends_in_an_error_check(
    github: FakeGitHub, tmp_path: Path, keys: tuple[str, str]
) -> None:
    """The reviewer of this test reads in the worker itself, without the child that would die instead."""
    directory = tmp_path / "app"
    installed = Installation(github, directory, keys[0], f"sqlite:///{directory / 'state.sqlite'}")
    (poison,) = pulls(github, 1, text=HONEST + "# kill-me\n")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from github_engine import WordEngine\n"
        "from trainwarden.github import settings, worker\n"
        "worker.run(settings.load(), WordEngine())\n"
    )
    ends = []
    installed.run("web")
    assert github.send("pull_request", github.pull_event(poison, "opened")) == 202
    environment = installed.environment(METRICS_BIND=f"127.0.0.1:{free_port()}", RECONCILE_SECONDS="300")
    try:
        while not finished(github, [poison]) and len(ends) < 8:
            with (directory / "poisoned.log").open("ab") as output:
                worker = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=output)
            wait_for(lambda worker=worker: worker.poll() is not None or finished(github, [poison]), 60)
            ends.append(worker.poll())
            worker.kill()
            worker.wait(10)
    finally:
        installed.close()
    (run,) = github.runs(poison.head)
    assert run["conclusion"] == "failure"
    assert "ended its worker" in run["output"]["summary"]
    assert ends == [-signal.SIGKILL] * 3 + [None]
