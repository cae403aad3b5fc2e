"""Durable state and jobs, on SQLite and on PostgreSQL: once each, in lanes, with retries, through crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from github_world import wait_for

from trainwarden.github.dispatch import Dispatcher
from trainwarden.github.events import Job
from trainwarden.github.jobs import Again, DbosQueue, partition
from trainwarden.github.ledger import Ledger
from trainwarden.github.settings import Secret, Settings
from trainwarden.github.store import Delivery, Store, engine

JOB = Job("pull", 1, repo_id=5, owner="octo", name="models", number=1, head="a" * 40)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return Settings(
        app_id=1,
        private_key=Secret("k"),
        webhook_secrets=(Secret("s"),),
        data=tmp_path,
        database_url=Secret(database),
        poll_seconds=0.05,
        executor="one",
        workers=3,
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    made = Store(engine(settings.database_url.reveal()))
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def queue(settings: Settings) -> Iterator[DbosQueue]:
    made = DbosQueue(settings)
    yield made
    made.stop(5)


class Recorder:
    """A handler that remembers what ran when, and how many at once."""

    def __init__(
        self, seconds: float = 0.0, answer: Callable[[Job], Again | None] = lambda job: None
    ) -> None:
        self.seconds = seconds
        self.answer = answer
        self.done: list[Job] = []
        self.at_once: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, job: Job, alive: Callable[[], bool]) -> Again | None:
        lane = partition(job)
        with self._lock:
            self.at_once[lane] = self.at_once.get(lane, 0) + 1
            self.most[lane] = max(self.most.get(lane, 0), self.at_once[lane])
        time.sleep(self.seconds)
        with self._lock:
            self.at_once[lane] -= 1
            self.done.append(job)
        return self.answer(job)


def delivery(number: int, job: Job = JOB) -> Delivery:
    return Delivery(f"guid-{number}", f"{number:064d}", "pull_request", (job,))


# State ------------------------------------------------------------------------------------------------------------


def test_deliveries_are_kept_once_and_in_order(store: Store) -> None:
    assert store.accept([delivery(1), delivery(2), delivery(1)]) == 2
    assert store.accept([delivery(2), delivery(3)]) == 1
    assert [d.id for d in store.waiting()] == ["guid-1", "guid-2", "guid-3"]
    assert store.waiting()[0].jobs == (JOB,)
    store.dispatched(["guid-1", "guid-2"])
    assert store.backlog() == 1


def test_a_replayed_body_is_not_kept_again(store: Store) -> None:
    store.accept([delivery(1)])
    assert store.accept([replace(delivery(1), id="guid-other")]) == 0


def test_many_processes_may_prepare_an_empty_database_at_once(settings: Settings) -> None:
    code = (
        "import sys\n"
        "from trainwarden.github.store import Store, engine\n"
        "sys.stdin.readline()\n"
        "Store(engine(sys.argv[1])).prepare()\n"
    )
    command = [sys.executable, "-c", code, settings.database_url.reveal()]
    starters = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(5)]
    time.sleep(1.5)
    for starter in starters:
        assert starter.stdin
        starter.stdin.write(b"\n")
        starter.stdin.flush()
    assert [starter.wait(60) for starter in starters] == [0] * 5


def test_many_writers_lose_nothing(settings: Settings, store: Store) -> None:
    def write(part: int) -> None:
        mine = Store(engine(settings.database_url.reveal()))
        for i in range(20):
            mine.accept([delivery(part * 100 + i)])
        mine.close()

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert store.backlog() == 80


def test_a_lease_has_one_holder_until_it_runs_out(store: Store) -> None:
    assert store.lease("leader", "one", 0.3)
    assert not store.lease("leader", "two", 0.3)
    assert store.lease("leader", "one", 0.3)
    assert store.silent("lead") == []
    time.sleep(0.4)
    assert store.silent("lead") == ["er"]
    assert not store.holds("leader", "one")
    assert store.lease("leader", "two", 30)
    assert not store.lease("leader", "one", 30)
    store.release("leader", "two")
    assert store.lease("leader", "one", 30)


def test_the_heartbeat_renews_the_leases_of_ones_jobs_only(store: Store) -> None:
    store.lease("head:1:a", "one#boot#job", 0.3)
    store.lease("head:1:b", "two#boot#job", 0.3)
    store.renew("one#boot", 30)
    time.sleep(0.4)
    assert not store.lease("head:1:a", "three", 30)
    assert store.lease("head:1:b", "three", 30)


def test_a_restarted_executor_drops_what_its_former_self_held(store: Store) -> None:
    store.lease("leader", "one#old", 300)
    store.lease("head:1:b", "two#boot", 300)
    store.inherit("one", "one#new")
    assert store.lease("leader", "one#new", 30)
    assert not store.lease("head:1:b", "one#new", 30)


def test_starts_without_an_end_are_counted(store: Store) -> None:
    assert [store.begin("pull/1/1") for _ in range(3)] == [1, 2, 3]
    store.end("pull/1/1")
    assert store.begin("pull/1/1") == 1


def test_a_claim_is_granted_once(store: Store) -> None:
    assert store.claim("command:1")
    assert not store.claim("command:1")


# Jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_runs_once_however_often_it_is_put(queue: DbosQueue) -> None:
    recorder = Recorder()
    queue.start(recorder)
    for _ in range(5):
        queue.put(JOB, "guid-1")
    queue.put(JOB, "guid-2")
    wait_for(lambda: queue.depth() == 0)
    assert recorder.done == [JOB, JOB]


def test_one_pull_request_is_never_reviewed_twice_at_once(queue: DbosQueue) -> None:
    recorder = Recorder(0.1)
    queue.start(recorder)
    for i in range(4):
        queue.put(JOB, f"a{i}")
        queue.put(replace(JOB, number=2), f"b{i}")
    wait_for(lambda: len(recorder.done) == 8)
    assert set(recorder.most.values()) == {1}
    assert len(recorder.most) == 2


def test_a_busy_repository_does_not_hold_up_another(queue: DbosQueue) -> None:
    recorder = Recorder(0.1)
    for i in range(30):
        queue_job = replace(JOB, number=i + 1)
        if i == 0:
            queue.start(recorder)
        queue.put(queue_job, "busy")
    queue.put(replace(JOB, repo_id=6), "calm")
    wait_for(lambda: any(job.repo_id == 6 for job in recorder.done))
    assert len(recorder.done) < 20


def test_the_merge_queue_goes_first(queue: DbosQueue) -> None:
    recorder = Recorder(0.2)
    queue.start(recorder)
    for i in range(20):
        queue.put(replace(JOB, number=i + 1), "busy")
    queue.put(Job("group", 1, repo_id=5, owner="octo", name="models", head="b" * 40), "group")
    wait_for(lambda: any(job.kind == "group" for job in recorder.done))
    assert len(recorder.done) < 10


def test_a_job_put_off_runs_again_later_and_counts_its_tries(queue: DbosQueue) -> None:
    recorder = Recorder(answer=lambda job: Again(0.2, "rate limit") if job.tries < 2 else None)
    queue.start(recorder)
    started = time.monotonic()
    queue.put(JOB, "guid-1")
    wait_for(lambda: len(recorder.done) == 3)
    assert [job.tries for job in recorder.done] == [0, 1, 2]
    assert time.monotonic() - started > 0.4


def test_a_cancelled_job_learns_of_it(queue: DbosQueue) -> None:
    asked: list[bool] = []
    started = threading.Event()

    def handler(job: Job, alive: Callable[[], bool]) -> None:
        asked.append(alive())
        started.set()
        time.sleep(0.5)
        asked.append(alive())

    queue.start(handler)
    job_id = queue.put(JOB, "guid-1")
    started.wait(20)
    queue.cancel([job_id])
    wait_for(lambda: len(asked) == 2)
    assert asked == [True, False]


def test_a_cancelled_job_does_not_come_back_by_trying_again(queue: DbosQueue) -> None:
    runs: list[Job] = []
    started, cancelled = threading.Event(), threading.Event()

    def handler(job: Job, alive: Callable[[], bool]) -> Again:
        runs.append(job)
        started.set()
        cancelled.wait(20)
        return Again(0.1, "rate limit")

    queue.start(handler)
    job_id = queue.put(JOB, "guid-1")
    started.wait(20)
    queue.cancel([job_id])
    cancelled.set()
    time.sleep(1.5)
    assert runs == [JOB]
    assert queue.depth() == 0


def test_the_newest_head_wins(queue: DbosQueue, store: Store) -> None:
    dispatcher = Dispatcher(store, Ledger(store), queue)
    recorder = Recorder()
    heads = [letter * 40 for letter in "abc"]
    store.accept([delivery(i, replace(JOB, head=head, text="pushed")) for i, head in enumerate(heads)])
    # The tables of the engine exist once it was started; nothing runs until the lane is free.
    blocker = threading.Event()
    queue.start(lambda job, alive: blocker.wait(20) and None if job.kind == "moved" else recorder(job, alive))
    queue.put(Job("moved", 1, repo_id=5, ref="x", number=1), "block")
    wait_for(lambda: any(a.running for a in queue.active("moved")))
    assert dispatcher.run() == 3
    blocker.set()
    wait_for(lambda: recorder.done)
    time.sleep(0.3)
    assert [job.head for job in recorder.done] == [heads[2]]
    assert set(recorder.done[0].superseded) == {heads[0], heads[1]}


def test_dispatching_twice_after_a_crash_loses_and_doubles_nothing(queue: DbosQueue, store: Store) -> None:
    recorder = Recorder(0.05)
    queue.start(recorder)
    dispatcher = Dispatcher(store, Ledger(store), queue)
    first, second = delivery(1), delivery(2, replace(JOB, head="b" * 40))
    for one in (first, second, first, second):
        dispatcher.dispatch(one)
    wait_for(lambda: queue.depth() == 0)
    assert recorder.done[-1].head == "b" * 40
    assert len(recorder.done) <= 2


def test_nothing_in_the_job_tables_is_a_pickle(queue: DbosQueue, settings: Settings) -> None:
    recorder = Recorder()
    queue.start(recorder)
    queue.put(JOB, "guid-1")
    wait_for(lambda: recorder.done and queue.depth() == 0)
    schema = "" if settings.jobs_url.startswith("sqlite") else "dbos."
    made = engine(settings.jobs_url)
    with made.connect() as c:
        inputs = c.execute(sa.text(f"SELECT inputs FROM {schema}workflow_input")).scalars().all()
        outputs = c.execute(sa.text(f"SELECT output FROM {schema}workflow_output")).scalars().all()
        steps = c.execute(sa.text(f"SELECT output FROM {schema}operation_outputs")).scalars().all()
    made.dispose()
    assert [json.loads(text)["positionalArgs"][0]["number"] for text in inputs] == [1]
    assert [json.loads(text) for text in (*outputs, *steps)] == ["done", "done"]


WORKER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from trainwarden.github.jobs import DbosQueue
from trainwarden.github.settings import Secret, Settings
data = Path({data!r})
settings = Settings(app_id=1, private_key=Secret("k"), webhook_secrets=(Secret("s"),), data=data,
    database_url=Secret({database!r}), poll_seconds=0.05, executor={executor!r}, workers=2)
def handler(job, alive):
    (data / f"start-{{job.number}}-{{os.getpid()}}").touch()
    if {die!r} and job.number == {die!r}:
        os.kill(os.getpid(), 9)
    time.sleep({seconds!r})
    (data / f"end-{{job.number}}-{{os.getpid()}}").touch()
queue = DbosQueue(settings)
queue.start(handler)
(data / f"ready-{{os.getpid()}}").touch()
time.sleep(600)
"""


def spawn(settings: Settings, executor: str, seconds: float = 0.3, die: int = 0) -> subprocess.Popen[bytes]:
    """A worker process of its own that can be killed."""
    code = WORKER.format(
        tests=str(Path(__file__).parent),
        data=str(settings.data),
        database=settings.database_url.reveal(),
        executor=executor,
        seconds=seconds,
        die=die,
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    wait_for(lambda: (settings.data / f"ready-{process.pid}").exists() or process.poll() is not None)
    return process


def ended(settings: Settings) -> set[int]:
    return {int(p.name.split("-")[1]) for p in settings.data.glob("end-*")}


def test_kill_minus_nine_of_a_worker_loses_no_job(queue: DbosQueue, settings: Settings) -> None:
    process = spawn(settings, "one")
    for number in range(1, 9):
        queue.put(replace(JOB, number=number), "k")
    wait_for(lambda: list(settings.data.glob("start-*")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    again = spawn(settings, "one")
    try:
        wait_for(lambda: ended(settings) == set(range(1, 9)))
    finally:
        again.kill()
        again.wait(10)


def test_the_jobs_of_an_executor_that_is_gone_for_good_are_taken_over(
    queue: DbosQueue, settings: Settings
) -> None:
    gone = spawn(settings, "gone", seconds=30.0)
    for number in range(1, 7):
        queue.put(replace(JOB, number=number), "k")
    wait_for(lambda: len(list(settings.data.glob("start-*"))) == 2)
    os.kill(gone.pid, signal.SIGKILL)
    gone.wait(10)
    other = spawn(settings, "other", seconds=0.05)
    try:
        time.sleep(1.0)
        assert len(ended(settings)) < 6  # the dead executor's jobs hold their lanes
        for active in queue.orphans(["gone"]):
            queue.put(active.job, "adopted")
            queue.cancel([active.id])
        wait_for(lambda: ended(settings) == set(range(1, 7)))
    finally:
        other.kill()
        other.wait(10)
