"""The reconciler: what GitHub says is true, and whatever is missing is queued."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from github_fake import FakePull, Fault
from github_world import TRAIN, World

from trainwarden.github.dispatch import Dispatcher
from trainwarden.github.events import Job
from trainwarden.github.jobs import Active
from trainwarden.github.reconcile import EXECUTOR, Reconciler


class OrphanQueue:
    """The list queue, with jobs of an executor that fell silent."""

    def __init__(self, world: World) -> None:
        self._list = world.queue
        self.running: list[Active] = []
        self.cancelled: list[str] = []

    def orphans(self, executors: list[str]) -> list[Active]:
        return [active for active in self.running if active.executor in executors]

    def exhausted(self) -> list[Active]:
        return []

    def prune(self, seconds: float) -> int:
        return 0

    def cancel(self, ids: object) -> None:
        self.cancelled += list(ids)  # type: ignore[call-overload]
        self._list.cancel(self.cancelled)

    def __getattr__(self, name: str) -> object:
        return getattr(self._list, name)


@pytest.fixture
def queue(world: World) -> OrphanQueue:
    return OrphanQueue(world)


@pytest.fixture
def reconciler(world: World, queue: OrphanQueue) -> Reconciler:
    dispatcher = Dispatcher(world.room.store, world.room.ledger, queue)  # type: ignore[arg-type]
    return Reconciler(world.room, queue, dispatcher)  # type: ignore[arg-type]


def queued(world: World) -> list[tuple[str, int]]:
    return sorted((job.kind, job.number) for job in world.queue.jobs.values())


def run_all(world: World) -> None:
    while world.queue.jobs:
        _, job = world.queue.jobs.popitem()
        world.run(job)


@pytest.fixture
def pull(world: World) -> Iterator[FakePull]:
    yield world.pull(world.repository(), "topic", "x = 1\n")


def test_nothing_is_queued_on_a_good_day(world: World, reconciler: Reconciler, pull: FakePull) -> None:
    world.open(pull)
    reconciler.run()
    assert queued(world) == []


def test_an_open_pull_request_without_a_check_is_queued(
    world: World, reconciler: Reconciler, pull: FakePull
) -> None:
    reconciler.run()
    assert queued(world) == [("pull", pull.number)]
    run_all(world)
    assert world.conclusion(pull) == "success"
    reconciler.run()
    assert queued(world) == []


def test_it_is_queued_once_while_its_job_waits(world: World, reconciler: Reconciler, pull: FakePull) -> None:
    reconciler.run()
    reconciler.run()
    assert queued(world) == [("pull", pull.number)]


def test_a_check_of_another_app_is_no_finished_check(
    world: World, reconciler: Reconciler, pull: FakePull
) -> None:
    forged = {"id": 5, "app": {"id": 1}, "repo": pull.repository.full_name, "name": "trainwarden"}
    forged |= {"head_sha": pull.head, "status": "completed", "conclusion": "success"}
    world.state.checks.append(forged)
    reconciler.run()
    assert queued(world) == [("pull", pull.number)]


def test_a_lost_retarget_is_noticed(world: World, reconciler: Reconciler) -> None:
    repository = world.repository()
    repository.commit("harmless", {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    pull = world.pull(
        repository, "topic", "block-me\n", start=repository.tip("harmless"), base_ref="harmless"
    )
    world.open(pull)
    assert world.conclusion(pull) == "success"
    pull.base_ref = "main"
    reconciler.run()
    run_all(world)
    assert world.conclusion(pull) == "failure"


def test_a_lost_second_pull_request_with_the_same_head_is_noticed(
    world: World, reconciler: Reconciler
) -> None:
    repository = world.repository()
    repository.commit("harmless", {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    pull = world.pull(
        repository, "topic", "block-me\n", start=repository.tip("harmless"), base_ref="harmless"
    )
    world.open(pull)
    world.github.pull(repository, "topic", "main")
    reconciler.run()
    run_all(world)
    assert world.conclusion(pull) == "failure"


def test_our_memory_may_be_lost_because_github_knows(
    world: World, reconciler: Reconciler, pull: FakePull
) -> None:
    world.open(pull)
    with world.room.store.engine.begin() as c:
        c.exec_driver_sql("DELETE FROM tw_heads")
    reconciler.run()
    assert queued(world) == []


def test_failed_deliveries_are_asked_for_again_a_few_times(world: World, reconciler: Reconciler) -> None:
    statuses = [("a", 202), ("b", 502), ("c", 503), ("c", 202), ("d", 401)]
    for number, (guid, status) in enumerate(statuses):
        item = {"id": number + 1, "guid": guid, "event": "ping", "payload": {}, "status_code": status}
        world.state.deliveries.append(item)
    reconciler.run()
    attempts = [path for verb, path, _ in world.state.requests if path.endswith("/attempts")]
    assert attempts == ["/app/hook/deliveries/2/attempts"]
    for _ in range(8):
        # The fake tries again in a thread of its own and fails, for nobody listens.
        time.sleep(0.1)
        reconciler.run()
    attempts = [path for verb, path, _ in world.state.requests if path.endswith("/attempts")]
    assert len(attempts) == 5


def test_all_pages_of_deliveries_are_read(world: World, reconciler: Reconciler) -> None:
    for number in range(250):
        item = {"id": number + 1, "guid": f"g{number}", "event": "ping", "payload": {}, "status_code": 200}
        world.state.deliveries.append(item | ({"status_code": 502} if number == 3 else {}))
    reconciler.run()
    assert any(path == "/app/hook/deliveries/4/attempts" for _, path, _ in world.state.requests)


def test_jobs_of_a_silent_executor_are_queued_again_and_cancelled(
    world: World, reconciler: Reconciler, queue: OrphanQueue, pull: FakePull
) -> None:
    job = Job("pull", 77, pull.repository.id, "octo", "models", number=pull.number, head=pull.head)
    queue.running = [
        Active("pull/100/1/guid", job, True, "dead"),
        Active("pull/100/2/guid", job, True, "alive"),
    ]
    world.room.store.lease(EXECUTOR + "alive", "alive", 60)
    world.room.store.lease(EXECUTOR + "dead", "dead", -1)
    reconciler.adopt()
    assert queue.cancelled == ["pull/100/1/guid"]
    assert queued(world) == [("pull", pull.number)]
    assert world.room.store.silent(EXECUTOR) == []


def test_a_job_taken_over_again_and_again_is_queued_each_time(
    world: World, reconciler: Reconciler, queue: OrphanQueue, pull: FakePull
) -> None:
    job = Job("command", 77, pull.repository.id, "octo", "models", number=pull.number, note=3)
    taken = [f"{job.subject}/{'a' * 36}"]
    for _ in range(5):
        queue.running = [Active(taken[-1], job, True, "the-host-that-ends-again")]
        world.room.store.lease(EXECUTOR + "the-host-that-ends-again", "it", -1)
        reconciler.adopt()
        taken += world.queue.jobs
    assert len(taken) == len(set(taken)) == 6


def test_a_check_left_in_progress_is_finished(world: World, reconciler: Reconciler, pull: FakePull) -> None:
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    world.state.faults.append(Fault("PATCH", "/check-runs/", (500, {}), times=1))
    world.run(job)
    assert world.check(pull.head)["status"] == "in_progress"
    with world.room.store.engine.begin() as c:
        c.exec_driver_sql("UPDATE tw_heads SET at = 0")
    reconciler.run()
    run_all(world)
    assert world.check(pull.head)["conclusion"] == "success"


def test_one_failing_part_does_not_stop_the_others(
    world: World, reconciler: Reconciler, pull: FakePull
) -> None:
    world.state.faults.append(Fault("GET", "/hook/deliveries$", (500, {})))
    reconciler.run()
    assert queued(world) == [("pull", pull.number)]


def test_an_installation_queues_what_is_open(world: World, pull: FakePull) -> None:
    event = {"action": "created", "installation": {"id": 77}, "repositories": []}
    world.handle("installation", event)
    assert world.conclusion(pull) == "success"


def test_a_repository_taken_away_takes_its_mirror_along(world: World, pull: FakePull) -> None:
    world.open(pull)
    mirror = world.settings.data / "mirrors" / f"{pull.repository.id}.git"
    assert mirror.exists()
    gone = [{"id": pull.repository.id, "name": "models"}]
    event = {"action": "removed", "installation": {"id": 77}, "repositories_removed": gone}
    world.handle("installation_repositories", event)
    assert not mirror.exists()
