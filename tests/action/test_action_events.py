"""Every example of GitHub's own payloads is understood or refused, and ``fail-on`` only ever makes stricter."""

from __future__ import annotations

import pytest
from action_events import NOTHING, merge_group, pull_request, push
from github_parts import payloads

from trainwarden.entry.action import FAIL_ON, exit_code
from trainwarden.entry.event import EVENTS, Change, change_of
from trainwarden.model import Misuse

ONE, TWO = "1" * 40, "2" * 40
CODES = [
    # mode, fail-on, and the codes of pass, review, block, error
    ("observe", "mode", (0, 0, 0, 3)),
    ("advise", "mode", (0, 0, 1, 3)),
    ("enforce", "mode", (0, 1, 1, 3)),
    ("observe", "block", (0, 0, 1, 3)),
    ("observe", "review", (0, 1, 1, 3)),
    ("advise", "block", (0, 0, 1, 3)),
    ("advise", "review", (0, 1, 1, 3)),
    ("enforce", "block", (0, 1, 1, 3)),
    ("enforce", "review", (0, 1, 1, 3)),
]


@pytest.mark.parametrize(("mode", "fail_on", "codes"), CODES)
def test_a_step_fails_by_mode_or_by_wish(mode, fail_on, codes) -> None:
    assert (
        tuple(exit_code(verdict, mode, fail_on) for verdict in ("pass", "review", "block", "error")) == codes
    )


def test_every_mode_is_tried_with_every_wish() -> None:
    assert {(mode, wish) for mode, wish, _ in CODES} == {
        (mode, wish) for mode in ("observe", "advise", "enforce") for wish in FAIL_ON
    }


def test_every_payload_of_github_is_a_change_or_refused() -> None:
    understood = dict.fromkeys(EVENTS, 0)
    refused = 0
    for event, payload in payloads():
        try:
            assert isinstance(change_of(event, payload), Change)
            understood[event] += 1
        except Misuse:
            refused += 1
    assert sum(understood.values()) + refused == len(payloads()) > 300
    assert all(understood[event] for event in ("pull_request", "merge_group", "push"))


def test_a_pull_request_goes_from_its_target_to_its_head() -> None:
    assert change_of("pull_request", pull_request(ONE, TWO)) == Change(TWO, ONE, "refs/heads/main")
    assert change_of("pull_request_target", pull_request(ONE, TWO)) == Change(TWO, ONE, "refs/heads/main")


def test_a_merge_group_goes_from_its_base_to_its_head() -> None:
    assert change_of("merge_group", merge_group(ONE, TWO)) == Change(TWO, ONE, "refs/heads/main")


def test_a_push_to_the_default_branch_is_compared_exactly() -> None:
    assert change_of("push", push("refs/heads/main", ONE, TWO)) == Change(TWO, ONE, ONE, exact=True)
    assert change_of("push", push("refs/heads/main", NOTHING, TWO)) == Change(
        TWO, "empty", "empty", exact=True
    )


@pytest.mark.parametrize("ref", ["refs/heads/topic", "refs/tags/main", "refs/heads/main/x", "main"])
@pytest.mark.parametrize("before", [ONE, NOTHING])
def test_any_other_push_is_compared_with_the_default_branch(ref: str, before: str) -> None:
    wanted = Change(TWO, "refs/heads/main", "refs/heads/main")
    assert change_of("push", push(ref, before, TWO)) == wanted
