"""What the App may do and hears of, each with its reason: the least that its features need.

``register`` asks for these, ``doctor`` compares them with what was granted, the operations page lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Access = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of a GitHub App. ``voice`` names the optional feature that alone needs it, if one does."""

    name: str
    access: Access
    reason: str
    voice: str = ""


PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        "metadata", "read", "GitHub grants it to every App; repositories and write access are read with it"
    ),
    Permission("contents", "read", "commits are fetched, and whether a branch is protected is asked"),
    Permission("checks", "write", "the check run that carries the verdict"),
    Permission(
        "pull_requests", "write", "open pull requests are listed; commands are answered with a comment"
    ),
    Permission("members", "read", "approvals count only from members of the security team"),
    Permission("merge_queues", "read", "merge groups are reviewed before they land"),
    Permission("administration", "read", "the doctor sees whether the required check is pinned to this App"),
    Permission("security_events", "write", "SARIF is uploaded to code scanning", voice="sarif"),
)
EVENTS: tuple[str, ...] = (
    "check_run",
    "check_suite",
    "issue_comment",
    "merge_group",
    "pull_request",
    "pull_request_review",
    "push",
)
_LEVELS = {"": 0, "read": 1, "write": 2, "admin": 3}


def enough(granted: str, needed: Access) -> bool:
    """Whether one level of access covers another."""
    return _LEVELS.get(granted, 0) >= _LEVELS[needed]
