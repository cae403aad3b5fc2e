"""The payload of a GitHub event comes in; which commits to compare, and whose policy rules, goes out. Pure.

A payload is full of text that the author of the change chose (titles, branch names). Only object names and
the name of the default branch are taken from it, and both are checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainwarden.git.repository import EMPTY_WORD
from trainwarden.model import Misuse

EVENTS = ("pull_request", "pull_request_target", "merge_group", "push")

_NAME = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
# The rules of git-check-ref-format(1), for the part below refs/heads/.
_BRANCH = re.compile(
    r"(?!/)(?!.*(?://|/\.|\.\.|@\{|\.lock(?:/|\Z)))(?!\.)[^\x00-\x20\x7f~^:?*\[\\]{1,255}(?<![/.])\Z"
)


@dataclass(frozen=True, slots=True)
class Change:
    """Which commits an event is about.

    ``head`` is an object name. ``target`` and ``policy`` are object names, references (``refs/heads/...``) or
    ``empty``. The base is the merge-base of target and head, or the target itself when ``exact``.
    """

    head: str
    target: str
    policy: str
    exact: bool = False


def change_of(event: str, payload: object) -> Change:
    """The change an event reports. Raises ``Misuse`` for events without one and for what is no such payload."""
    if event == "push":
        return _push(payload)
    if event == "merge_group":
        head, base = _name(payload, "merge_group", "head_sha"), _name(payload, "merge_group", "base_sha")
        return Change(head, base, _default(payload))
    if event in ("pull_request", "pull_request_target"):
        head, base = (_name(payload, "pull_request", side, "sha") for side in ("head", "base"))
        return Change(head, base, _default(payload))
    raise Misuse(f"the event {event!r} brings no change to review", f"run on one of {', '.join(EVENTS)}")


def _push(payload: object) -> Change:
    before, after = _name(payload, "before"), _name(payload, "after")
    default = _default(payload)
    if _is_nothing(after):
        raise Misuse("the branch was deleted, so there is nothing to review", "leave out events of deletion")
    if _text(payload, "ref") != default:
        # Against the default branch and not against the push before: or else a harmless second push would
        # turn a branch green whose first push was red.
        return Change(after, default, default)
    # What was pushed is the default branch itself, so the policy is that of before the push.
    base = EMPTY_WORD if _is_nothing(before) else before
    return Change(after, base, base, exact=True)


def _default(payload: object) -> str:
    branch = _text(payload, "repository", "default_branch")
    if not _BRANCH.match(branch):
        raise _wrong("repository.default_branch")
    return f"refs/heads/{branch}"


def _is_nothing(name: str) -> bool:
    return not name.strip("0")


def _name(payload: object, *path: str) -> str:
    text = _text(payload, *path)
    if not _NAME.match(text):
        raise _wrong(".".join(path))
    return text


def _text(payload: object, *path: str) -> str:
    value = payload
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, str):
        raise _wrong(".".join(path))
    return value


def _wrong(name: str) -> Misuse:
    return Misuse(
        f"the event's payload has no usable {name}", "GITHUB_EVENT_PATH must name the runner's own file"
    )
