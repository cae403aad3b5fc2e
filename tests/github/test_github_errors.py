"""GitHub on a bad day: rate limits, revoked tokens, things that are gone, 5xx, time-outs, clocks that differ."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from github_fake import FakePull, Fault
from github_world import TRAIN, World

from trainwarden.github.app import Gone, Later, Refused, Revoked, Unavailable, classify, skew
from trainwarden.github.events import Job
from trainwarden.github.jobs import Again

LIMITED = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}


@pytest.mark.parametrize(
    ("status", "headers", "message", "kind"),
    [
        (403, {"retry-after": "7"}, "", Later),
        (403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded", Later),
        (403, {}, "You have exceeded a secondary rate limit", Later),
        (429, {}, "", Later),
        (403, {"x-ratelimit-remaining": "4000"}, "Resource not accessible by integration", Refused),
        (401, {}, "Bad credentials", Revoked),
        (404, {}, "Not Found", Gone),
        (410, {}, "", Gone),
        (422, {}, "Validation Failed", Refused),
        (500, {}, "", Unavailable),
        (502, {}, "", Unavailable),
        (503, {}, "", Unavailable),
    ],
)
def test_an_answer_has_one_meaning(status: int, headers: dict[str, str], message: str, kind: type) -> None:
    assert type(classify(status, headers, message)) is kind


def test_the_pause_of_a_rate_limit_is_githubs_own() -> None:
    error = classify(403, {"Retry-After": "7"}, "")
    assert isinstance(error, Later)
    assert error.seconds == 7


def test_the_reset_time_is_read_on_githubs_clock() -> None:
    """Our clock is ten minutes behind: the pause is still the one GitHub means."""
    from email.utils import formatdate

    theirs = time.time() + 600
    headers = {"Date": formatdate(theirs, usegmt=True), "X-RateLimit-Remaining": "0"}
    error = classify(403, headers | {"X-RateLimit-Reset": str(int(theirs) + 30)}, "API rate limit exceeded")
    assert isinstance(error, Later)
    assert 25 <= error.seconds <= 35


def test_a_pause_is_never_longer_than_an_hour() -> None:
    error = classify(429, {"Retry-After": "999999"}, "")
    assert isinstance(error, Later)
    assert error.seconds == 3600


def test_a_date_that_is_none_means_no_skew() -> None:
    assert skew({"date": "yesterday"}) == 0.0


def job_of(world: World, text: str = "x = 1\n") -> Job:
    pull = world.pull(world.repository(), "topic", text)
    return world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]


@pytest.mark.parametrize("path", ["/pulls/1$", "/pulls$", "/check-runs$", "/access_tokens$", "/branches/"])
@pytest.mark.parametrize(
    "headers", [{"Retry-After": "42"}, {"Retry-After": "42", "X-RateLimit-Remaining": "0"}]
)
def test_a_rate_limit_puts_the_job_off_and_loses_nothing(
    world: World, path: str, headers: dict[str, str]
) -> None:
    job = job_of(world)
    if path == "/branches/":
        world.github.state.pulls[0].repository.default_branch = "trunk"
        world.github.state.pulls[0].repository.commit(
            "trunk", {".trainwarden.yml": "mode: enforce\n"}, orphan=True
        )
    for method in ("GET", "POST"):
        world.state.faults.append(Fault(method, path, (403, LIMITED, headers)))
    answers = [world.run(job)]
    while isinstance(answers[-1], Again) and len(answers) < 4:
        assert answers[-1] == Again(42.0, "rate limit")
        answers.append(world.run(job))
    assert answers[-1] is None
    assert len(answers) > 1
    assert world.check(job.head)["status"] == "completed"


def test_a_rate_limit_is_waited_out_however_long_it_lasts(world: World) -> None:
    job = replace(job_of(world), tries=500)
    world.state.faults.append(Fault("GET", "/pulls/1$", (403, LIMITED, {"Retry-After": "60"})))
    assert world.run(job) == Again(60.0, "rate limit")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_tried_again(world: World, status: int) -> None:
    job = job_of(world)
    world.state.faults.append(Fault("GET", "/pulls/1$", (status, {"message": "<html>"})))
    assert isinstance(world.run(job), Again)
    assert world.run(replace(job, tries=1)) is None
    assert world.check(job.head)["conclusion"] == "success"


def test_the_pauses_between_tries_grow(world: World) -> None:
    job = job_of(world)
    world.state.faults.append(Fault("GET", "/pulls/1$", (500, {}), times=4))
    pauses = [world.run(replace(job, tries=n)) for n in (0, 2, 4, 8)]
    seconds = [again.seconds for again in pauses if again is not None]
    assert seconds == sorted(seconds)
    assert seconds[-1] == 600.0


def test_after_many_tries_the_check_says_so(world: World) -> None:
    job = replace(job_of(world), tries=10)
    world.state.faults.append(Fault("GET", "/pulls$", (500, {})))
    assert world.run(job) is None
    run = world.check(job.head)
    assert run["conclusion"] == "failure"
    assert "could not be reached" in run["output"]["summary"]


def test_a_time_out_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainwarden.github.app.TIMEOUT", 1)
    job = job_of(world)
    world.state.faults.append(Fault("GET", "/pulls/1$", (200, {}), delay=3.0))
    assert isinstance(world.run(job), Again)
    assert world.run(replace(job, tries=1)) is None


def test_an_expired_token_is_replaced(world: World) -> None:
    job = job_of(world)
    assert world.run(job) is None
    world.state.tokens.clear()
    assert isinstance(world.run(replace(job, force=True)), Again)
    assert world.run(replace(job, force=True, tries=1)) is None


def test_a_revoked_installation_is_let_go(world: World) -> None:
    job = job_of(world)
    denied = (401, {"message": "Bad credentials"})
    world.state.faults.append(Fault("POST", "/access_tokens$", denied, times=20))
    assert isinstance(world.run(job), Again)
    assert world.run(replace(job, tries=2)) is None
    assert world.github.runs(job.head) == []


def test_a_deleted_repository_is_let_go(world: World) -> None:
    job = job_of(world)
    world.state.repositories.clear()
    assert isinstance(world.run(job), Again)
    assert world.run(replace(job, tries=1)) is None
    assert world.github.runs(job.head) == []


def test_a_closed_pull_request_is_let_go(world: World) -> None:
    job = job_of(world)
    world.state.pulls[0].state = "closed"
    assert world.run(job) is None
    assert world.github.runs(job.head) == []


@pytest.mark.parametrize("seconds", [-900.0, 900.0, 7200.0])
def test_a_wrong_clock_is_noticed_and_made_up_for(world: World, seconds: float) -> None:
    world.state.skew = seconds
    job = job_of(world)
    assert world.run(job) is None
    assert world.check(job.head)["conclusion"] == "success"


def test_a_missing_permission_is_shown_in_the_log_and_ends_the_job(world: World) -> None:
    job = job_of(world)
    forbidden = (403, {"message": "Resource not accessible by integration"})
    world.state.faults.append(Fault("POST", "/check-runs$", forbidden, times=9))
    assert world.run(job) is None
    assert world.metrics.value("jobs_failed_total", kind="pull") == 1


def test_a_broken_answer_is_shown_as_an_error(world: World) -> None:
    job = job_of(world)
    world.state.faults.append(Fault("GET", "/branches/|models$", (200, {"surprise": True})))
    assert world.run(job) is None
    run = world.check(job.head)
    assert run["conclusion"] == "failure"
    assert "KeyError" in run["output"]["summary"]


def test_a_job_that_ended_its_worker_three_times_is_an_error_check(world: World) -> None:
    job = job_of(world)
    for _ in range(3):
        world.room.store.begin(job.subject)
    assert world.run(job) is None
    run = world.check(job.head)
    assert run["conclusion"] == "failure"
    assert "ended its worker" in run["output"]["summary"]
    assert world.engine.requests == []
    assert world.run(job) is None


def failed(world: World, pull: FakePull) -> str:
    """The conclusion after a review that ended its worker again and again."""
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    for _ in range(3):
        world.room.store.begin(job.subject)
    world.run(job)
    return world.conclusion(pull)


def two_targets(world: World) -> tuple[FakePull, FakePull]:
    """A pull request onto a protected branch that observes, which was read, and one onto main, which enforces."""
    repository = world.repository()
    repository.commit("lab", {".trainwarden.yml": "mode: observe\n"}, parent=repository.tip("main"))
    repository.protected.add("lab")
    harmless = world.pull(repository, "easy", "x = 1\n", start=repository.tip("lab"), base_ref="lab")
    world.open(harmless)
    assert world.conclusion(harmless) == "neutral"
    return harmless, world.pull(repository, "topic", "y = 1\n")


def test_a_failure_counts_by_the_mode_of_its_own_target(world: World) -> None:
    _, pull = two_targets(world)
    assert failed(world, pull) == "failure"


def test_a_failure_counts_by_the_strictest_target_of_its_head(world: World) -> None:
    _, pull = two_targets(world)
    assert failed(world, world.github.pull(pull.repository, "topic", "lab")) == "failure"


def test_a_failure_after_the_policy_changed_is_red(world: World) -> None:
    repository = world.repository(config="mode: observe\n")
    pull = world.pull(repository, "topic", "x = 1\n")
    world.open(pull)
    pull.state = "closed"
    after = repository.commit("main", {".trainwarden.yml": "mode: enforce\n"})
    world.handle("push", world.github.event(repository) | {"ref": "refs/heads/main", "after": after})
    assert failed(world, world.pull(repository, "next", "y = 1\n")) == "failure"


def test_a_failure_in_an_observing_repository_is_not_red(world: World) -> None:
    pull = world.pull(world.repository(config="mode: observe\n"), "topic", "x = 1\n")
    world.open(pull)
    world.github.push(pull, {"train.py": TRAIN + "y = 1\n"})
    job = world.jobs("pull_request", world.github.pull_event(pull, "synchronize"))[0]
    for _ in range(3):
        world.room.store.begin(job.subject)
    world.run(job)
    assert world.conclusion(pull) == "neutral"
