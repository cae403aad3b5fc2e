"""Real payloads of GitHub's events, with the commits of a test put in the place of theirs."""

from __future__ import annotations

import copy
from typing import Any

from github_parts import payloads

NOTHING = "0" * 40


def example(event: str, number: int = 0) -> dict[str, Any]:
    """One of GitHub's own examples."""
    found = [payload for name, payload in payloads() if name == event]
    return copy.deepcopy(found[number])


def pull_request(base: str, head: str, *, fork: bool = False, default: str = "main") -> dict[str, Any]:
    payload = example("pull_request")
    payload["repository"] |= {"full_name": "octo/models", "default_branch": default}
    pull = payload["pull_request"]
    pull["base"] |= {"sha": base, "ref": "main"}
    pull["head"] |= {"sha": head, "ref": "topic"}
    if fork:
        pull["head"]["repo"] |= {"fork": True, "full_name": "mallory/models", "id": 2}
    return payload


def merge_group(base: str, head: str) -> dict[str, Any]:
    payload = example("merge_group")
    payload["repository"] |= {"full_name": "octo/models", "default_branch": "main"}
    payload["merge_group"] |= {"base_sha": base, "head_sha": head}
    return payload


def push(ref: str, before: str, after: str) -> dict[str, Any]:
    payload = example("push")
    payload["repository"] |= {"full_name": "octo/models", "default_branch": "main"}
    return payload | {"ref": ref, "before": before, "after": after, "deleted": after == NOTHING}
