"""What the fake GitHub knows, as plain data that a test reads and changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from github_hosting import HostedRepository

APP_ID = 4242
SLUG = "trainwarden"
INSTALLATION = 77
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Fault:
    """Goes wrong for the next ``times`` requests that match; ``after`` means the deed is done all the same."""

    method: str
    path: str
    answer: Answer
    times: int = 1
    after: bool = False
    delay: float = 0.0


@dataclass
class FakePull:
    """A pull request."""

    number: int
    repository: HostedRepository
    head_ref: str
    base_ref: str
    head: str
    opener: str
    fork: bool = False
    state: str = "open"
    merged_by: str = ""


@dataclass
class State:
    """Everything this GitHub knows."""

    repositories: dict[str, HostedRepository] = field(default_factory=dict)
    pulls: list[FakePull] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    review_comments: list[dict[str, Any]] = field(default_factory=list)
    resolved: set[int] = field(default_factory=set)
    labels: dict[int, set[str]] = field(default_factory=dict)
    requested_teams: list[tuple[int, str]] = field(default_factory=list)
    sarifs: list[dict[str, Any]] = field(default_factory=list)
    teams: dict[str, set[str]] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    activity: list[tuple[str, str]] = field(default_factory=list)
    commits_page: int = 100
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    skew: float = 0.0
    serial: int = 1000
