"""``trainwarden app doctor``: settings in, one line for each thing examined out, with what to do about it.

It changes nothing. What it cannot see it says; exit code 1 when something needs to be done.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError

from trainwarden.git.process import program
from trainwarden.github.app import App, GitHubError, Gone, Refused, skew
from trainwarden.github.permissions import EVENTS, PERMISSIONS, enough
from trainwarden.github.settings import Settings
from trainwarden.github.settings import check as checked
from trainwarden.github.store import Store, engine
from trainwarden.model import Misuse
from trainwarden.report.visible import visible

Level = Literal["good", "note", "fix"]
MOST_REPOSITORIES = 100
_MOST_SKEW = 30.0
_OLDEST_GIT = (2, 34)


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing examined: ``fix`` needs to be done, ``note`` is worth knowing."""

    level: Level
    text: str


def run(settings: Settings, out: TextIO | None = None) -> int:
    """Examine everything and print the remarks; 1 when any of them is ``fix``."""
    stream = out or sys.stdout
    worst = 0
    for remark in examine(settings):
        stream.write(f"{remark.level:4}  {visible(remark.text)}\n")
        worst = max(worst, int(remark.level == "fix"))
    return worst


def examine(settings: Settings) -> Iterator[Remark]:
    """Every remark, local things first."""
    yield from _local(settings)
    app = App(settings)
    parts: tuple[Callable[[App, Settings], Iterator[Remark]], ...] = (_identity, _webhook, _required_checks)
    for part in parts:
        try:
            yield from part(app, settings)
        except GitHubError as error:
            yield Remark("fix", f"GitHub was asked and did not answer well: {error}")
            return


def _local(settings: Settings) -> Iterator[Remark]:
    try:
        checked(settings)
        yield Remark("good", "the settings fit together")
    except Misuse as error:
        yield Remark("fix", f"{error}: {error.hint}")
    if not settings.security_team:
        yield Remark("note", "TRAINWARDEN_SECURITY_TEAM is not set: nobody can approve a finding")
    if settings.mode is None:
        yield Remark("note", "each repository's policy sets its mode; without one nothing fails (observe)")
    yield _git()
    yield _database(settings)
    yield _readiness(settings)


def _git() -> Remark:
    words = subprocess.run([program(), "version"], capture_output=True, check=False).stdout.decode().split()
    numbers = tuple(int(part) for part in words[2].split(".")[:2]) if len(words) > 2 else (0, 0)
    if numbers < _OLDEST_GIT:
        return Remark("fix", "git is older than 2.34: install a newer one")
    return Remark("good", f"git {words[2]}")


def _database(settings: Settings) -> Remark:
    url = settings.database_url.reveal()
    if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).exists():
        # Made by the server: a file of the account that examines would be of no use to it.
        return Remark("note", "there is no database yet: the server makes it when it starts")
    store = Store(engine(url))
    try:
        store.reached()
    except SQLAlchemyError as error:
        return Remark(
            "fix", f"the database is not reached ({type(error).__name__}): check TRAINWARDEN_DATABASE_URL"
        )
    finally:
        store.close()
    return Remark("good", "the database is reached")


def _readiness(settings: Settings) -> Remark:
    address = f"http://{settings.metrics_bind.host}:{settings.metrics_bind.port}/ready"
    try:
        with urllib.request.urlopen(address, timeout=5):
            return Remark("good", "the server is ready")
    except urllib.error.HTTPError as error:
        return Remark("fix", f"the server is not ready: {error.read(50).decode('utf-8', 'replace').strip()}")
    except OSError:
        return Remark("note", f"no server answers at {address}: start `trainwarden serve`")


def _identity(app: App, settings: Settings) -> Iterator[Remark]:
    headers, answer = app.api().send("GET", "/app")
    ahead = skew({key.lower(): value for key, value in headers.items()})
    if abs(ahead) > _MOST_SKEW:
        yield Remark("fix", f"the clock is {abs(ahead):.0f} s off GitHub's: synchronise it (NTP)")
    else:
        yield Remark("good", "the clock agrees with GitHub's")
    granted = answer.get("permissions") or {}
    lacking = [
        p
        for p in PERMISSIONS
        if (not p.voice or p.voice in settings.speak) and not enough(granted.get(p.name, ""), p.access)
    ]
    for permission in lacking:
        yield Remark(
            "fix", f"permission {permission.name}: {permission.access} is missing: {permission.reason}"
        )
    if not lacking:
        yield Remark("good", "every permission is granted")
    known = {p.name for p in PERMISSIONS}
    for name in sorted(set(granted) - known):
        yield Remark("note", f"permission {name} is granted and never used: take it away")
    deaf = sorted(set(EVENTS) - set(answer.get("events") or ()))
    for event in deaf:
        yield Remark("fix", f"event {event} is not subscribed to")
    if not deaf:
        yield Remark("good", "every event is subscribed to")


def _webhook(app: App, settings: Settings) -> Iterator[Remark]:
    config = app.api().call("GET", "/app/hook/config")
    if not str(config.get("url", "")).startswith("https://"):
        yield Remark("fix", "the webhook address of the App is not https")
    if config.get("content_type") != "json":
        yield Remark("fix", "the webhook's content type is not json: set it to application/json")
    if str(config.get("insecure_ssl", "0")) != "0":
        yield Remark("fix", "the webhook does not verify TLS certificates: switch verification on")
    if not config.get("secret"):
        yield Remark("fix", "the App has no webhook secret: set the one the server knows")
    yield from _deliveries(app.api().call("GET", "/app/hook/deliveries", None, {"per_page": 50}))


def _deliveries(items: list[dict[str, Any]]) -> Iterator[Remark]:
    """The last deliveries tell whether GitHub reaches us and whether both know the same secret."""
    codes = [int(item["status_code"]) for item in items]
    if not codes:
        yield Remark("note", "GitHub has delivered nothing yet: redeliver the ping from the App's settings")
    elif codes[0] == 401:
        yield Remark("fix", "the newest delivery was refused (401): the webhook secret differs from GitHub's")
    elif 200 <= codes[0] < 300:
        yield Remark("good", "the newest delivery arrived")
    else:
        yield Remark("fix", f"the newest delivery failed ({codes[0]}): is the address reachable from GitHub?")


def _required_checks(app: App, settings: Settings) -> Iterator[Remark]:
    seen = 0
    for installation in app.api().pages("/app/installations"):
        api = app.installation(int(installation["id"]))
        for repository in api.pages("/installation/repositories", "repositories"):
            seen += 1
            if seen > MOST_REPOSITORIES:
                yield Remark("note", f"only the first {MOST_REPOSITORIES} repositories were looked at")
                return
            yield _required(api, settings, repository)
    if not seen:
        yield Remark("note", "the App is installed nowhere yet")


def _required(api: Any, settings: Settings, repository: dict[str, Any]) -> Remark:
    name, branch = repository["full_name"], repository["default_branch"]
    try:
        pinned = list(_pins(api, f"/repos/{name}", quote(branch, safe=""), settings.check_name))
    except Refused:
        return Remark("note", f"{name}: branch protection cannot be seen (permission administration: read)")
    if not pinned:
        return Remark("note", f"{name}: the check {settings.check_name} is not required on {branch}")
    if settings.app_id not in pinned:
        return Remark(
            "fix",
            f"{name}: the required check {settings.check_name} is not pinned to this App: anyone who can write "
            f"can post a status of that name; choose this App as its source (id {settings.app_id})",
        )
    return Remark("good", f"{name}: the check is required and pinned to this App")


def _pins(api: Any, path: str, branch: str, check_name: str) -> Iterator[int | None]:
    """The App each requirement of our check is pinned to (None: any), from rulesets and branch protection."""
    for rule in api.pages(f"{path}/rules/branches/{branch}"):
        if rule.get("type") == "required_status_checks":
            for required in (rule.get("parameters") or {}).get("required_status_checks") or ():
                if required.get("context") == check_name:
                    yield required.get("integration_id")
    try:
        protection = api.call("GET", f"{path}/branches/{branch}/protection/required_status_checks")
    except Gone:
        return
    for required in protection.get("checks") or ():
        if required.get("context") == check_name:
            yield required.get("app_id")
