"""Authentication and transport: app id and key in, one authorised ``Api`` for each installation out.

PyGithub does the HTTP. Its own retries stay off, because it would repeat a POST after a 502 and sleep for up
to an hour in a worker thread; every failure is turned into one of a few errors, and the job is queued again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import jwt
import requests

from github import Auth, Github, GithubException
from trainwarden.github.settings import Secret, Settings
from trainwarden.model import TrainwardenError

TIMEOUT = 20
_TOKEN_MARGIN = 300.0
_PAGE = 100
_MOST_PAGES = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3_600.0
_SKEW_NOTICED = 20.0
_SYNCHRONISE_SECONDS = 600.0


class GitHubError(TrainwardenError):
    """GitHub did not do what was asked."""


class Later(GitHubError):
    """A rate limit, a time-out or a server error: ask again in ``seconds``."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Unavailable(Later):
    """GitHub did not answer, or with a 5xx: what was asked may or may not have happened."""


class Gone(GitHubError):
    """404 or 410: the repository, pull request or branch is not there, or not for us."""


class Revoked(GitHubError):
    """401: the credentials are not accepted (installation removed, key revoked)."""


class Refused(GitHubError):
    """Any other 4xx; ``status`` says which. ``message`` never carries GitHub's text verbatim into a page."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """JSON requests with one credential. Not safe to share between threads."""

    def __init__(
        self, settings: Settings, auth: Auth.Auth, sent: Callable[[str], None] | None = None
    ) -> None:
        self._requester = Github(
            auth=auth,
            base_url=settings.api_url,
            retry=None,
            timeout=TIMEOUT,
            seconds_between_requests=settings.throttle,
            seconds_between_writes=settings.throttle,
            lazy=True,
            user_agent="trainwarden",
        ).requester
        self._sent = sent or (lambda verb: None)

    def call(self, verb: str, path: str, body: object = None, query: Mapping[str, Any] | None = None) -> Any:
        """One request; the decoded answer. Raises a ``GitHubError``."""
        return self.send(verb, path, body, query)[1]

    def send(
        self, verb: str, path: str, body: object = None, query: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], Any]:
        """One request; headers and decoded answer. Raises a ``GitHubError``."""
        self._sent(verb)
        with translated():
            return self._requester.requestJsonAndCheck(verb, path, dict(query or {}) or None, None, body)

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """One GraphQL request; its ``data``. Raises a ``GitHubError``, also when GitHub reports errors."""
        self._sent("POST")
        with translated():
            return self._requester.graphql_query(query, dict(variables))[1]["data"]

    def pages(self, path: str, key: str = "", query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Every item of a list, page by page; ``key`` names the list inside the answer."""
        for page in range(1, _MOST_PAGES + 1):
            answer = self.call("GET", path, None, {**(query or {}), "per_page": _PAGE, "page": page})
            items = answer[key] if key else answer
            yield from items
            if len(items) < _PAGE:
                return


@contextmanager
def translated() -> Iterator[None]:
    """Turn what PyGithub and requests raise into our errors."""
    try:
        yield
    except GithubException as error:
        raise classify(error.status, error.headers or {}, str(error.message or "")) from error
    except (requests.exceptions.RequestException, ConnectionError, TimeoutError) as error:
        raise Unavailable(f"no answer from GitHub ({type(error).__name__})", _FIRST_PAUSE) from error


def classify(status: int, headers: Mapping[str, str], message: str) -> GitHubError:
    """The error for one HTTP answer. Pauses follow ``Retry-After``, then the reset time by GitHub's clock."""
    lowered = {key.lower(): value for key, value in headers.items()}
    limited = status == 429 or (status == 403 and _limited(lowered, message))
    if limited:
        return Later("rate limit", _pause(lowered))
    if status >= 500:
        return Unavailable(f"GitHub answered {status}", _FIRST_PAUSE)
    if status == 401:
        return Revoked("the credentials are not accepted")
    if status in (404, 410, 451):
        return Gone(f"GitHub answered {status}")
    return Refused(f"GitHub answered {status}", status)


def _limited(headers: Mapping[str, str], message: str) -> bool:
    return (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in message.lower()
        or "abuse" in message.lower()
    )


def _pause(headers: Mapping[str, str]) -> float:
    after = headers.get("retry-after", "")
    if after.isdecimal():
        return min(max(float(after), 1.0), _LONGEST_PAUSE)
    reset = headers.get("x-ratelimit-reset", "")
    if reset.isdecimal() and headers.get("x-ratelimit-remaining", "0") == "0":
        return min(max(float(reset) - time.time() - skew(headers) + 1.0, 1.0), _LONGEST_PAUSE)
    return 60.0


def skew(headers: Mapping[str, str]) -> float:
    """Seconds by which GitHub's clock is ahead of ours, by the ``Date`` header; 0 when there is none."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp() - time.time()
    except ValueError:
        return 0.0


@dataclass(slots=True)
class _Token:
    secret: Secret
    expires: float


class App:
    """The App itself: signs its own tokens, mints and keeps installation tokens. Safe to share."""

    def __init__(self, settings: Settings, sent: Callable[[str], None] | None = None) -> None:
        self._settings = settings
        self._sent = sent
        self._lock = threading.Lock()
        self._tokens: dict[int, _Token] = {}
        self._skew = 0.0
        self._slug = ""
        self._synchronised = -_SYNCHRONISE_SECONDS

    def api(self) -> Api:
        """A client that speaks as the App (installations, deliveries of its webhook). Raises a ``GitHubError``."""
        if time.monotonic() > self._synchronised + _SYNCHRONISE_SECONDS:
            self._synchronise()
        return self._own_api()

    def _own_api(self) -> Api:
        return Api(self._settings, Auth.AppAuthToken(self._own_token()), self._sent)

    def _synchronise(self) -> None:
        """Learn how far our clock is off: GitHub refuses signatures from the future or the past."""
        try:
            headers, answer = self._own_api().send("GET", "/app")
            self._skew = skew({key.lower(): value for key, value in headers.items()})
            self._slug = str(answer["slug"])
        except Revoked as error:
            if not self._notice_skew(error):
                raise
        self._synchronised = time.monotonic()

    def installation(self, installation: int) -> Api:
        """A client that speaks as one installation. Raises a ``GitHubError``."""
        return Api(self._settings, Auth.Token(self.token(installation).reveal()), self._sent)

    def token(self, installation: int) -> Secret:
        """An installation token with at least five minutes to live. Raises a ``GitHubError``."""
        with self._lock:
            kept = self._tokens.get(installation)
            if kept is None or kept.expires < time.time() + _TOKEN_MARGIN:
                kept = self._tokens[installation] = self._mint(installation)
            return kept.secret

    def slug(self) -> str:
        """The App's name in addresses; its account is ``<slug>[bot]``. Raises a ``GitHubError``."""
        if not self._slug:
            self._slug = str(self.api().call("GET", "/app")["slug"])
        return self._slug

    def forget(self, installation: int) -> None:
        """Drop a token that GitHub no longer takes, and look at the clock again."""
        with self._lock:
            self._synchronised = -_SYNCHRONISE_SECONDS
            self._tokens.pop(installation, None)

    def _mint(self, installation: int) -> _Token:
        answer = self.api().call("POST", f"/app/installations/{installation}/access_tokens", {})
        # A token lives for an hour on GitHub's clock; counted from now on ours, skew does not matter.
        return _Token(Secret(answer["token"]), time.time() + 3_600.0)

    def _notice_skew(self, error: Revoked) -> bool:
        """A 401 to our own signature may mean that the clocks differ; whether they do."""
        cause = error.__cause__
        headers = cause.headers if isinstance(cause, GithubException) and cause.headers else {}
        found = skew({key.lower(): value for key, value in headers.items()})
        if abs(found - self._skew) < _SKEW_NOTICED:
            return False
        self._skew = found
        return True

    def _own_token(self) -> str:
        now = int(time.time() + self._skew)
        claims = {"iat": now - 60, "exp": now + 300, "iss": str(self._settings.app_id)}
        try:
            return jwt.encode(claims, self._settings.private_key.reveal(), algorithm="RS256")
        except (jwt.exceptions.InvalidKeyError, ValueError, TypeError):
            # Not the cause: its words may quote the key.
            raise Revoked("the private key is no RSA key in PEM") from None
