"""One App under test with its GitHub: settings, the parts wired together, and a few deeds that tests share."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from github_engine import WordEngine
from github_fake import APP_ID, INSTALLATION, FakeGitHub, FakePull
from github_hosting import ALICE, BOB, EVE, MALLORY, HostedRepository

from trainwarden.github import events
from trainwarden.github.app import App
from trainwarden.github.audit import Audit
from trainwarden.github.events import Job
from trainwarden.github.handle import Handler
from trainwarden.github.jobs import Active, Again
from trainwarden.github.ledger import Ledger
from trainwarden.github.metrics import Metrics
from trainwarden.github.mirror import Mirrors
from trainwarden.github.reading import Room
from trainwarden.github.server import webhook_application
from trainwarden.github.settings import Bind, Secret, Settings
from trainwarden.github.store import Store, engine

SECRET = "a-secret-of-the-tests"
TRAIN = "lr = 3e-4\nseed = 1\n"


class ListQueue:
    """The job port as a list, for tests that run jobs themselves."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}

    def put(self, job: Job, key: str, delay: float = 0.0) -> str:
        self.jobs.setdefault(f"{job.subject}/{key}", job)
        return f"{job.subject}/{key}"

    def known(self, job: Job, key: str) -> bool:
        return f"{job.subject}/{key}" in self.jobs

    def active(self, subject: str) -> list[Active]:
        return [Active(i, j, False) for i, j in self.jobs.items() if i.startswith(f"{subject}/")]

    def cancel(self, ids: Any) -> None:
        for job_id in list(ids):
            self.jobs.pop(job_id, None)

    def orphans(self, executors: Any) -> list[Active]:
        return []

    def depth(self) -> int:
        return len(self.jobs)


class World:
    """Settings, store, room and handler over one fake GitHub; nothing runs by itself here."""

    def __init__(self, github: FakeGitHub, data: Path, key: str, database: str = "") -> None:
        self.github = github
        self.state = github.state
        self.state.accounts = {p.email: p.login for p in (ALICE, BOB, EVE, MALLORY)}
        self.settings = Settings(
            app_id=APP_ID,
            private_key=Secret(key),
            webhook_secrets=(Secret(SECRET),),
            data=data,
            database_url=Secret(database or f"sqlite:///{data / 'state.sqlite'}"),
            github_url=github.url,
            api_url=f"{github.url}/api/v3",
            security_team="guardians",
            lease_seconds=3.0,
            poll_seconds=0.05,
            throttle=0.0,
            executor="one",
        )
        self.engine = WordEngine()
        self.metrics = Metrics()
        self.audit = io.StringIO()
        self.queue = ListQueue()
        self.state.teams = {"guardians": {"bob", "eve"}}
        self._opened: list[Store] = []

    def with_settings(self, **changes: Any) -> World:
        """Change settings before the room is used."""
        self.settings = replace(self.settings, **changes)
        return self

    @property
    def room(self) -> Room:
        if not self._opened:
            store = Store(engine(self.settings.database_url.reveal()))
            store.prepare()
            self._opened.append(store)
        store = self._opened[0]
        if not hasattr(self, "_app"):
            self._app = App(self.settings)
        mirrors = Mirrors(
            self.settings.data / "mirrors", self.settings.mirror_bytes, self.settings.github_url
        )
        audit = Audit(self.settings, self.queue.put, self.audit)
        ledger = Ledger(store)
        return Room(
            self.settings, self._app, store, ledger, mirrors, self.engine, audit, self.metrics, "one#test"
        )

    @property
    def handler(self) -> Handler:
        return Handler(self.room, self.queue)

    def close(self) -> None:
        for store in self._opened:
            store.close()

    # Deeds --------------------------------------------------------------------------------------------------

    def repository(
        self, name: str = "octo/models", config: str | None = "mode: enforce\n"
    ) -> HostedRepository:
        """A repository with one training file, and a policy on its protected default branch."""
        repository = self.github.repository(name)
        files = {"train.py": TRAIN} | ({".trainwarden.yml": config} if config is not None else {})
        repository.commit("main", files, orphan=True)
        return repository

    def pull(self, repository: HostedRepository, branch: str, text: str, **more: Any) -> FakePull:
        """A pull request that appends ``text`` to the training file."""
        start = more.pop("start", None) or repository.tip(more.get("base_ref", "main"))
        repository.commit(branch, {"train.py": TRAIN + text}, parent=start)
        return self.github.pull(repository, branch, **more)

    def jobs(self, event: str, payload: dict[str, Any]) -> tuple[Job, ...]:
        return events.jobs(event, events.decode(json.dumps(payload).encode()), APP_ID)

    def handle(self, event: str, payload: dict[str, Any]) -> list[Again | None]:
        """Run the jobs of a payload to their end, and the jobs they queue."""
        answers = [self.run(job) for job in self.jobs(event, payload)]
        while self.queue.jobs:
            _, job = self.queue.jobs.popitem()
            answers.append(self.run(job))
        return answers

    def run(self, job: Job, alive: Callable[[], bool] = lambda: True) -> Again | None:
        return self.handler(job, alive)

    def open(self, pull: FakePull, action: str = "opened", **more: Any) -> list[Again | None]:
        return self.handle("pull_request", self.github.pull_event(pull, action, **more))

    def comment(
        self, pull: FakePull, text: str, login: str = "bob", at: str = "", kind: str = "User", note: int = 0
    ) -> str:
        """Comment on a pull request; the App's reply."""
        self.state.serial += 1
        event = self.github.event(pull.repository, login) | {
            "action": "created",
            "issue": {"number": pull.number, "pull_request": {"url": ""}},
            "comment": {
                "id": note or self.state.serial,
                "body": text,
                "user": {"login": login, "type": kind},
                "created_at": at or self.github.stamp(),
            },
        }
        before = len(self.state.comments)
        self.handle("issue_comment", event)
        new = self.state.comments[before:]
        return str(new[0]["body"]) if new else ""

    def press(self, pull: FakePull, button: str, login: str = "bob") -> None:
        """Press a button of the head's check run."""
        run = self.check(pull.head)
        event = self.github.event(pull.repository, login) | {
            "action": "requested_action",
            "check_run": {"id": run["id"], "head_sha": pull.head, "app": {"id": APP_ID}},
            "requested_action": {"identifier": button},
        }
        self.handle("check_run", event)

    def check(self, head: str) -> dict[str, Any]:
        """The one check run of ours on a head."""
        runs = self.github.runs(head)
        assert len(runs) == 1, [(r["status"], r["conclusion"]) for r in runs]
        return runs[0]

    def conclusion(self, pull: FakePull) -> str:
        return str(self.check(pull.head)["conclusion"])

    def told(self) -> list[dict[str, Any]]:
        """Every audit event so far."""
        return [json.loads(line) for line in self.audit.getvalue().splitlines()]

    def fingerprint(self, pull: FakePull) -> str:
        """The fingerprint of the first finding of a head, as the check run's summary gives it."""
        report = self.room.ledger.reports(pull.repository.id, pull.head)[0]
        return report.findings[0].fingerprint


class DoorThread:
    """The webhook application on a real socket, in a thread."""

    def __init__(self, settings: Settings, metrics: Metrics, store: Store | None = None) -> None:
        self.store = store or Store(engine(settings.database_url.reveal()))
        self.store.prepare()
        application = webhook_application(settings, self.store, metrics)
        config = uvicorn.Config(application, port=0, log_config=None, lifespan="on", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/webhook"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self.store.close()


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, every: float = 0.02) -> Any:
    """Wait until a condition holds; its value. Fails loudly when it never does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError("waited in vain")


__all__ = ["ALICE", "BOB", "EVE", "INSTALLATION", "MALLORY", "SECRET", "TRAIN", "Bind", "DoorThread", "World"]
