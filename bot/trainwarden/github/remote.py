"""Questions about one repository on GitHub: an ``Api`` in, small frozen answers out. Nothing here writes.

What a webhook payload says is only a hint; everything a review or an approval depends on is asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from trainwarden.github.app import Api, Gone, Refused
from trainwarden.github.events import OWNER, SHA

# GitHub itself is the committer of what is merged or edited on its pages; it is nobody's account.
PLATFORM = "web-flow"
MOST_COMMITS = 250
_MOST_COMMIT_PAGES = 3


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as GitHub knows it now. ``base_ref`` is a branch name; ``fork`` means a foreign head."""

    number: int
    open: bool
    head: str
    base_ref: str
    base: str
    opener: str
    fork: bool
    head_ref: str = ""
    merged: bool = False
    merged_by: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check run of ours. ``completed`` is a time in ISO 8601, empty while it runs."""

    id: int
    status: str
    conclusion: str
    external_id: str
    completed: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who made a change: logins in lower case, and in words whoever could not be named."""

    logins: frozenset[str]
    unknown: tuple[str, ...] = ()


def _pull(value: Any) -> Pull:
    head_repo = value["head"].get("repo") or {}
    return Pull(
        number=value["number"],
        open=value["state"] == "open",
        head=value["head"]["sha"],
        base_ref=value["base"]["ref"],
        base=value["base"]["sha"],
        opener=(value.get("user") or {}).get("login", ""),
        fork=head_repo.get("id") != value["base"]["repo"]["id"],
        head_ref=value["head"].get("ref", ""),
        merged=bool(value.get("merged_at")),
        merged_by=(value.get("merged_by") or {}).get("login", ""),
    )


def views(pulls: Iterable[Pull]) -> str:
    """From where one head is looked at, as a short text: a change of it asks for another conclusion."""
    return ",".join(f"{p.number}:{p.base_ref}" for p in sorted(pulls, key=lambda p: p.number))


class Remote:
    """One repository, asked through one installation. Every method raises a ``GitHubError`` on failure."""

    def __init__(self, api: Api, owner: str, name: str, app_id: int, check_name: str) -> None:
        self.api = api
        self.owner = owner
        self.path = f"/repos/{owner}/{name}"
        self._app_id = app_id
        self._check_name = check_name

    def pull(self, number: int) -> Pull:
        """One pull request. Raises ``Gone`` when there is none."""
        return _pull(self.api.call("GET", f"{self.path}/pulls/{number}"))

    def open_pulls(self, base_ref: str = "") -> Iterator[Pull]:
        """Every open pull request, of one target branch if given."""
        query = {"state": "open"} | ({"base": base_ref} if base_ref else {})
        return map(_pull, self.api.pages(f"{self.path}/pulls", query=query))

    def default_branch(self) -> str:
        """The name of the default branch."""
        return str(self.api.call("GET", self.path)["default_branch"])

    def protected(self, branch: str) -> bool:
        """Whether a branch exists and is protected."""
        try:
            return bool(self.api.call("GET", f"{self.path}/branches/{quote(branch, safe='')}")["protected"])
        except Gone:
            return False

    def checks(self, head: str) -> list[Check]:
        """Our own check runs on a commit, newest first. Those of the same name by other Apps are not ours."""
        query = {"check_name": self._check_name, "app_id": self._app_id, "filter": "all"}
        runs = self.api.pages(f"{self.path}/commits/{head}/check-runs", "check_runs", query)
        ours = [run for run in runs if _is_ours(run, self._app_id, self._check_name)]
        return [_check(run) for run in sorted(ours, key=lambda run: -int(run["id"]))]

    def people(self, pull: Pull) -> People:
        """The opener and every author, committer and co-author of the commits, by GitHub's own mapping."""
        commits = list(self.api.pages(f"{self.path}/pulls/{pull.number}/commits"))
        unknown = [] if len(commits) < MOST_COMMITS else ["more commits than GitHub lists"]
        logins = {pull.opener.lower()}
        for commit in commits:
            for role in ("author", "committer"):
                login = (commit.get(role) or {}).get("login", "").lower()
                if _is_somebody(login):
                    logins.add(login)
                elif not (role == "committer" and _by_platform(commit, login)):
                    unknown.append(f"the {role} of {commit['sha'][:12]} has no account")
        mates, nameless = self._co_authors(pull)
        return People(frozenset(logins | mates), tuple(unknown + nameless))

    def _co_authors(self, pull: Pull) -> tuple[set[str], list[str]]:
        """Authors beyond the first of each commit, mapped to accounts by GitHub (GraphQL only)."""
        logins, nameless = set(), []
        for commit in self._commits(pull):
            people, name = commit["authors"], commit["oid"][:12]
            for author in people["nodes"]:
                login = (author.get("user") or {}).get("login", "").lower()
                if _is_somebody(login):
                    logins.add(login)
                else:
                    nameless.append(f"an author of {name} has no account")
            if people["totalCount"] > len(people["nodes"]):
                nameless.append(f"{name} has more authors than GitHub lists")
        return logins, nameless

    def _commits(self, pull: Pull) -> Iterator[Any]:
        """The commits of a pull request with their authors; GitHub gives a hundred at a time."""
        asked = {"owner": self.owner, "name": self.path.rpartition("/")[2], "number": pull.number}
        after: str | None = None
        for _ in range(_MOST_COMMIT_PAGES):
            answer = self.api.graphql(_AUTHORS, asked | {"after": after})
            found = answer["repository"]["pullRequest"]["commits"]
            yield from (node["commit"] for node in found["nodes"])
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    def pushers(self, pull: Pull) -> set[str]:
        """Who pushed to the head branch lately, where it lies in this repository; best effort."""
        if pull.fork or not pull.head_ref:
            return set()
        query = {"ref": f"refs/heads/{pull.head_ref}"}
        try:
            activity = self.api.call("GET", f"{self.path}/activity", None, {**query, "per_page": 100})
        except (Gone, Refused):
            return set()
        return {(entry.get("actor") or {}).get("login", "").lower() for entry in activity} - {""}

    def in_team(self, team: str, login: str) -> bool:
        """Whether an account is an active member of a team of the owner, asked of the API each time."""
        if not team or not OWNER.fullmatch(login):
            return False
        path = f"/orgs/{self.owner}/teams/{quote(team, safe='')}/memberships/{quote(login, safe='')}"
        try:
            return bool(self.api.call("GET", path)["state"] == "active")
        except Gone:
            return False

    def branch_head(self, branch: str) -> str:
        """The commit a branch points to. Raises ``Gone``."""
        sha = str(self.api.call("GET", f"{self.path}/branches/{quote(branch, safe='')}")["commit"]["sha"])
        if not SHA.fullmatch(sha):
            raise Gone("not an object name")
        return sha


_AUTHORS = """query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { commits(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { commit { oid authors(first: 50) { totalCount nodes { user { login } } } } } } } } }"""


def _is_somebody(login: str) -> bool:
    """Whether a login is a person's or a bot's. An author can claim the platform's address; nobody is behind it."""
    return login not in ("", PLATFORM)


def _by_platform(commit: Any, login: str) -> bool:
    return login == PLATFORM or (commit["commit"].get("committer") or {}).get("email") == "noreply@github.com"


def _is_ours(run: Any, app_id: int, name: str) -> bool:
    return (run.get("app") or {}).get("id") == app_id and run.get("name") == name


def _check(run: Any) -> Check:
    return Check(
        id=run["id"],
        status=run["status"],
        conclusion=run.get("conclusion") or "",
        external_id=run.get("external_id") or "",
        completed=run.get("completed_at") or "",
    )
