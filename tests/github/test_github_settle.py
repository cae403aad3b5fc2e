"""Settling a head: what the check says in each mode, once, for the worst of all open pull requests."""

from __future__ import annotations

import pytest
from github_fake import Fault
from github_world import TRAIN, World

from trainwarden.github.app import Refused


def test_a_harmless_change_passes(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "epochs = 3\n")
    assert world.open(pull) == [None]
    run = world.check(pull.head)
    assert (run["status"], run["conclusion"]) == ("completed", "success")
    assert "epochs" in run["output"]["summary"]


@pytest.mark.parametrize(
    ("mode", "words", "conclusion"),
    [
        ("observe", "x = 1", "neutral"),
        ("observe", "review-me", "neutral"),
        ("observe", "block-me", "neutral"),
        ("advise", "x = 1", "success"),
        ("advise", "review-me", "neutral"),
        ("advise", "block-me", "failure"),
        ("enforce", "x = 1", "success"),
        ("enforce", "review-me", "action_required"),
        ("enforce", "block-me", "failure"),
    ],
)
def test_the_conclusion_follows_mode_and_verdict(
    world: World, mode: str, words: str, conclusion: str
) -> None:
    pull = world.pull(world.repository(config=f"mode: {mode}\n"), "topic", words + "\n")
    world.open(pull)
    assert world.conclusion(pull) == conclusion


def test_without_a_policy_nothing_fails(world: World) -> None:
    pull = world.pull(world.repository(config=None), "topic", "block-me\n")
    world.open(pull)
    assert world.conclusion(pull) == "neutral"


def test_the_check_is_in_progress_before_anything_is_read(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    world.open(pull)
    first = next(
        b for method, path, b in world.state.requests if path.endswith("/check-runs") and method == "POST"
    )
    assert first["status"] == "in_progress"
    assert "conclusion" not in first


def test_the_same_news_twice_makes_one_check_and_one_review(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "block-me\n")
    world.open(pull)
    edits = world.check(pull.head)["edits"]
    world.open(pull, "reopened")
    assert world.check(pull.head)["edits"] == edits
    assert len(world.engine.requests) == 1


def test_a_502_after_the_check_was_created_does_not_create_another(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    world.state.faults.append(Fault("POST", "/check-runs$", (502, {"message": "Bad gateway"}), after=True))
    world.open(pull)
    assert world.conclusion(pull) == "success"


def test_a_502_before_the_check_was_created_is_tried_again(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    world.state.faults.append(Fault("POST", "/check-runs$", (502, {"message": "Bad gateway"})))
    world.open(pull)
    assert world.conclusion(pull) == "success"


def test_a_check_of_our_name_by_another_app_is_not_ours(world: World) -> None:
    repository = world.repository()
    pull = world.pull(repository, "topic", "block-me\n")
    forged = {
        "id": 5,
        "app": {"id": 1},
        "repo": repository.full_name,
        "name": "trainwarden",
        "head_sha": pull.head,
    }
    forged |= {"status": "completed", "conclusion": "success", "annotations": [], "edits": 0}
    world.state.checks.append(forged)
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    assert forged["edits"] == 0


def test_annotations_go_in_batches_of_fifty_the_most_severe_first(world: World) -> None:
    text = "".join(f"note-me {i}\n" for i in range(230)) + "block-me\n"
    pull = world.pull(world.repository(), "topic", text)
    world.open(pull)
    run = world.check(pull.head)
    assert len(run["annotations"]) == 200
    assert run["annotations"][0]["annotation_level"] == "failure"
    assert "31 annotations did not fit" in run["output"]["summary"]


def test_a_second_review_does_not_repeat_annotations(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "block-me\n")
    world.open(pull)
    world.comment(pull, "/trainwarden rerun", login="alice")
    run = world.check(pull.head)
    assert len(run["annotations"]) == 1
    assert len(world.engine.requests) == 2


def test_one_head_in_two_pull_requests_has_one_check_the_worst(world: World) -> None:
    repository = world.repository()
    repository.commit("harmless", {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    first = world.pull(
        repository, "topic", "block-me\n", start=repository.tip("harmless"), base_ref="harmless"
    )
    world.open(first)
    assert world.conclusion(first) == "success"
    second = world.github.pull(repository, "topic", "main")
    assert second.head == first.head
    world.open(second)
    assert world.conclusion(second) == "failure"


def test_a_green_head_is_judged_anew_when_it_is_retargeted(world: World) -> None:
    repository = world.repository()
    repository.commit("harmless", {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    pull = world.pull(
        repository, "topic", "block-me\n", start=repository.tip("harmless"), base_ref="harmless"
    )
    world.open(pull)
    assert world.conclusion(pull) == "success"
    pull.base_ref = "main"
    world.open(pull, "edited", changes={"base": {"ref": {"from": "harmless"}}})
    assert world.conclusion(pull) == "failure"


def test_a_push_to_the_base_judges_its_pull_requests_anew(world: World) -> None:
    repository = world.repository(config="mode: observe\n")
    pull = world.pull(repository, "topic", "block-me\n")
    world.open(pull)
    assert world.conclusion(pull) == "neutral"
    after = repository.commit("main", {".trainwarden.yml": "mode: enforce\n"})
    world.handle("push", world.github.event(repository) | {"ref": "refs/heads/main", "after": after})
    assert world.conclusion(pull) == "failure"


def test_config_changed_in_the_head_does_not_count(world: World) -> None:
    repository = world.repository()
    files = {"train.py": TRAIN + "block-me\n", ".trainwarden.yml": "mode: observe\n"}
    repository.commit("topic", files, parent=repository.tip("main"))
    pull = world.github.pull(repository, "topic")
    world.open(pull)
    assert world.conclusion(pull) == "failure"


def test_an_unprotected_base_with_weaker_config_does_not_rule(world: World) -> None:
    repository = world.repository()
    repository.commit("weak", {".trainwarden.yml": "mode: observe\n"}, parent=repository.tip("main"))
    pull = world.pull(repository, "topic", "block-me\n", start=repository.tip("weak"), base_ref="weak")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    assert world.engine.requests[-1].policy == repository.tip("main")


def test_a_protected_base_rules_itself(world: World) -> None:
    repository = world.repository(config="mode: observe\n")
    repository.commit("release", {".trainwarden.yml": "mode: enforce\n"}, parent=repository.tip("main"))
    repository.protected.add("release")
    pull = world.pull(repository, "topic", "block-me\n", start=repository.tip("release"), base_ref="release")
    world.open(pull)
    assert world.conclusion(pull) == "failure"


def test_an_invalid_policy_is_an_error_not_a_pass(world: World) -> None:
    pull = world.pull(world.repository(config="mode: lenient\n"), "topic", "x = 1\n")
    world.open(pull)
    run = world.check(pull.head)
    assert run["conclusion"] == "failure"
    assert run["output"]["title"] == "Could not finish the review"


def test_without_a_merge_base_the_review_is_an_error(world: World) -> None:
    repository = world.repository()
    repository.commit("alien", {"train.py": "x = 1\n"}, orphan=True)
    pull = world.github.pull(repository, "alien")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    assert "no common ancestor" in world.check(pull.head)["output"]["summary"]


def test_the_organisations_policy_stands_in_for_none(world: World) -> None:
    rules = world.github.repository("octo/policy")
    rules.commit("main", {".trainwarden.yml": "mode: enforce\n"}, orphan=True)
    world.with_settings(policy_repository="octo/policy")
    pull = world.pull(world.repository(config=None), "topic", "block-me\n")
    world.open(pull)
    assert world.conclusion(pull) == "failure"


def test_an_organisations_policy_that_is_not_there_is_an_error(world: World) -> None:
    world.github.repository("octo/policy").commit("main", {"README.md": "Rules.\n"}, orphan=True)
    world.with_settings(policy_repository="octo/policy")
    pull = world.pull(world.repository(config=None), "topic", "x = 1\n")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    assert "octo/policy" in world.check(pull.head)["output"]["summary"]


def test_a_merge_group_is_judged_and_can_be_run_again(world: World) -> None:
    repository = world.repository()
    base = repository.tip("main")
    assert base
    head = repository.commit(
        "gh-readonly-queue/main/pr-1-abc", {"train.py": TRAIN + "block-me\n"}, parent=base
    )
    group = {"head_sha": head, "base_sha": base, "base_ref": "refs/heads/main"}
    group |= {"head_ref": "refs/heads/gh-readonly-queue/main/pr-1-abc"}
    pull = world.pull(repository, "topic", "block-me\n")
    event = world.github.event(repository) | {"action": "checks_requested", "merge_group": group}
    world.handle("merge_group", event)
    assert world.check(head)["conclusion"] == "failure"
    run = {"id": world.check(head)["id"], "head_sha": head, "app": {"id": world.settings.app_id}}
    world.handle("check_run", world.github.event(repository) | {"action": "rerequested", "check_run": run})
    assert len(world.engine.requests) == 2
    assert pull.number == 1


def test_a_new_head_closes_the_check_of_the_old_one(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    old = pull.head
    world.state.faults.append(Fault("GET", "/branches/", (500, {"message": "no"}), times=0))
    remote = world.room.remote(world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0])
    remote.api.call(
        "POST",
        f"{remote.path}/check-runs",
        {"name": "trainwarden", "head_sha": old, "status": "in_progress", "external_id": f"head:{old}"},
    )
    before = world.github.push(pull, {"train.py": TRAIN + "y = 2\n"})
    world.open(pull, "synchronize", before=before)
    assert world.check(old)["conclusion"] == "cancelled"
    assert world.conclusion(pull) == "success"


def test_a_job_that_was_taken_over_says_nothing(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    assert world.run(job, alive=lambda: False) is None
    assert world.github.runs(pull.head) == []


def test_two_workers_do_not_settle_one_head_at_once(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    assert world.room.store.lease(f"head:{pull.repository.id}:{pull.head}", "another", 30)
    again = world.run(job)
    assert again is not None
    assert world.github.runs(pull.head) == []


def test_the_audit_sample_sends_a_passing_change_to_a_person(world: World) -> None:
    from trainwarden.github.settings import Secret

    world.with_settings(audit_rate=1.0, audit_key=Secret("k"))
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    world.open(pull)
    assert world.conclusion(pull) == "action_required"
    assert world.told()[-1]["sampled"] is True
    assert "approved" in world.comment(pull, f"/trainwarden approve {pull.head[:12]} looked at it").lower()
    assert world.conclusion(pull) == "success"


@pytest.mark.parametrize(
    "body",
    [
        {"status": "completed", "conclusion": "splendid"},
        {"status": "completed", "conclusion": "success", "output": {"title": "x", "summary": "y" * 65_536}},
        {
            "status": "in_progress",
            "output": {
                "title": "x",
                "summary": "y",
                "annotations": [
                    {
                        "path": "a",
                        "start_line": 1,
                        "end_line": 1,
                        "annotation_level": "notice",
                        "message": "m",
                    }
                ]
                * 51,
            },
        },
    ],
)
def test_the_validator_refuses_what_github_refuses(world: World, body: dict[str, object]) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    remote = world.room.remote(job)
    with pytest.raises(Refused) as refused:
        remote.api.call("POST", f"{remote.path}/check-runs", {"name": "n", "head_sha": pull.head} | body)
    assert refused.value.status == 422
    assert len(world.state.violations) == 1
    world.state.violations.clear()
