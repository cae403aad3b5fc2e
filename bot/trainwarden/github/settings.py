"""The operator's settings: environment variables and the credentials file in, one frozen ``Settings`` out.

Nothing else in this package reads the environment. Secrets are wrapped so that neither a log line, a
traceback nor a ``repr`` shows them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from trainwarden.model import Misuse

Mode = Literal["observe", "advise", "enforce"]
MODES: tuple[Mode, ...] = ("observe", "advise", "enforce")
VOICES = ("comments", "labels", "team", "sarif")
CREDENTIALS = "credentials.json"
DATA = "/var/lib/trainwarden"
PREFIX = "TRAINWARDEN_"
_HOW_SECRET = f"run `trainwarden app register`, or set {PREFIX}WEBHOOK_SECRET or {PREFIX}WEBHOOK_SECRET_FILE"


class Secret:
    """A string that must not be shown. ``reveal()`` is the only way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one call that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class Bind:
    """A host and TCP port to listen on."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can decide about the App. Times are seconds, sizes are bytes.

    ``mode`` overrides the mode of every repository's policy when set. ``speak`` names what is said besides
    the check run (see ``VOICES``). ``throttle`` is the pause between two API requests of one client.
    ``executor`` must differ between workers. A worker that a server supervises shows its metrics one port above
    ``metrics_bind``.
    """

    app_id: int
    private_key: Secret
    webhook_secrets: tuple[Secret, ...]
    data: Path
    database_url: Secret
    github_url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    bind: Bind = Bind("127.0.0.1", 8080)
    metrics_bind: Bind = Bind("127.0.0.1", 9090)
    executor: str = "one"
    workers: int = 2
    mode: Mode | None = None
    check_name: str = "trainwarden"
    security_team: str = ""
    policy_repository: str = ""
    rules_dir: str | None = None
    model: bool = True
    model_dir: str = ""
    scorer_url: str = ""
    speak: frozenset[str] = frozenset()
    audit_rate: float = 0.0
    audit_key: Secret = NO_SECRET
    audit_url: str = ""
    audit_secret: Secret = NO_SECRET
    details_url: str = ""
    mirror_bytes: int = 20 * 2**30
    reconcile_seconds: float = 300.0
    lease_seconds: float = 30.0
    poll_seconds: float = 0.2
    throttle: float = 0.05
    review_seconds: float = 60.0
    body_bytes: int = 25 * 2**20

    @property
    def jobs_url(self) -> str:
        """Where the job engine keeps its tables: a second SQLite file, or the same PostgreSQL database."""
        url = self.database_url.reveal()
        return f"sqlite:///{self.data / 'jobs.sqlite'}" if url.startswith("sqlite") else url


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    ``NAME_FILE`` beside ``NAME`` names a file that holds a secret; the credentials file that ``app register``
    wrote in the data directory is used where neither is set. Raises ``Misuse`` naming the variable at fault.
    """
    reader = _Reader(os.environ if environment is None else environment)
    data = Path(reader.text("DATA", DATA))
    reader.stored = _credentials(data / CREDENTIALS)
    secrets = tuple(
        Secret(text)
        for text in (reader.secret("WEBHOOK_SECRET"), reader.secret("WEBHOOK_SECRET_PREVIOUS"))
        if text
    )
    if not reader.secret("WEBHOOK_SECRET"):
        raise Misuse("no webhook secret is set", _HOW_SECRET)
    github_url = reader.url("GITHUB_URL", "https://github.com")
    return Settings(
        app_id=reader.integer("APP_ID", None),
        private_key=Secret(reader.secret("PRIVATE_KEY", required=True)),
        webhook_secrets=secrets,
        data=data,
        database_url=Secret(reader.secret("DATABASE_URL") or f"sqlite:///{data / 'state.sqlite'}"),
        github_url=github_url,
        api_url=reader.url("API_URL", _api_of(github_url)),
        bind=reader.bind("BIND", Bind("127.0.0.1", 8080)),
        metrics_bind=reader.bind("METRICS_BIND", Bind("127.0.0.1", 9090)),
        executor=reader.text("EXECUTOR", socket.gethostname()),
        workers=reader.integer("WORKERS", 2),
        mode=reader.mode("MODE"),
        check_name=reader.text("CHECK_NAME", "trainwarden"),
        security_team=reader.text("SECURITY_TEAM", ""),
        policy_repository=reader.text("POLICY_REPOSITORY", ""),
        rules_dir=reader.text("RULES", "") or None,
        model=reader.flag("MODEL", True),
        model_dir=reader.directory("MODEL_DIR"),
        scorer_url=reader.scorer("SCORER"),
        speak=reader.voices("SPEAK"),
        audit_rate=reader.rate("AUDIT_RATE"),
        audit_key=Secret(reader.secret("AUDIT_KEY")),
        audit_url=reader.url("AUDIT_URL", ""),
        audit_secret=Secret(reader.secret("AUDIT_SECRET")),
        details_url=reader.text("DETAILS_URL", ""),
        mirror_bytes=reader.integer("MIRROR_GB", 20) * 2**30,
        reconcile_seconds=reader.seconds("RECONCILE_SECONDS", 300.0),
        lease_seconds=reader.seconds("LEASE_SECONDS", 30.0),
        poll_seconds=reader.seconds("POLL_SECONDS", 0.2),
        throttle=reader.seconds("THROTTLE_SECONDS", 0.05, least=0.0),
        review_seconds=reader.seconds("REVIEW_SECONDS", 60.0),
    )


def api_and_data(environment: Mapping[str, str] | None = None) -> tuple[str, str, Path]:
    """GitHub's address, its API's, and the data directory: all that is known before an App is registered."""
    reader = _Reader(os.environ if environment is None else environment)
    github_url = reader.url("GITHUB_URL", "https://github.com")
    return github_url, reader.url("API_URL", _api_of(github_url)), Path(reader.text("DATA", DATA))


def check(settings: Settings) -> Settings:
    """Reject combinations that would fail later or in silence. Raises ``Misuse``."""
    if settings.audit_rate and not settings.audit_key:
        raise Misuse("an audit rate needs a key", f"set {PREFIX}AUDIT_KEY to a long random text")
    if settings.audit_url and not settings.audit_secret:
        raise Misuse("the outgoing audit webhook needs a secret", f"set {PREFIX}AUDIT_SECRET")
    if not all(secret for secret in settings.webhook_secrets) or not settings.webhook_secrets:
        raise Misuse("no webhook secret is set", _HOW_SECRET)
    if settings.policy_repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", settings.policy_repository):
        raise Misuse(
            "the policy repository is not owner/name", f"set {PREFIX}POLICY_REPOSITORY to owner/name"
        )
    return settings


def _api_of(github_url: str) -> str:
    """github.com has its own API host; GitHub Enterprise Server serves it below ``/api/v3``."""
    return "https://api.github.com" if github_url == "https://github.com" else f"{github_url}/api/v3"


def _credentials(path: Path) -> dict[str, str]:
    """The file ``app register`` wrote; refused when others can read it. Raises ``Misuse``."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    if stat.S_IMODE(mode) & 0o077:
        raise Misuse(f"{path} can be read by others", f"chmod 600 {path}")
    try:
        stored = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Misuse(f"{path} cannot be read: {error}", "run `trainwarden app register` again") from error
    if not isinstance(stored, dict) or not all(isinstance(value, str) for value in stored.values()):
        raise Misuse(f"{path} is not what was stored there", "run `trainwarden app register` again")
    return stored


class _Reader:
    """Typed look-ups in one environment; every error names its variable."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.stored: dict[str, str] = {}

    def text(self, name: str, default: str) -> str:
        return self._environment.get(PREFIX + name, "").strip() or default

    def secret(self, name: str, required: bool = False) -> str:
        value = self._environment.get(PREFIX + name, "").strip()
        file = self._environment.get(f"{PREFIX}{name}_FILE", "")
        if not value and file:
            try:
                value = Path(file).read_text("utf-8").strip()
            except OSError as error:
                raise Misuse(f"{PREFIX}{name}_FILE cannot be read: {error.strerror}") from error
        value = value or self.stored.get(name.lower(), "")
        if required and not value:
            raise Misuse(f"{PREFIX}{name} is not set", "run `trainwarden app register`, or set it")
        return value

    def integer(self, name: str, default: int | None) -> int:
        text = self._environment.get(PREFIX + name, "").strip() or self.stored.get(name.lower(), "")
        if not text and default is not None:
            return default
        if not text.isdecimal() or int(text) < 1:
            raise Misuse(f"{PREFIX}{name} is not a positive whole number", "run `trainwarden app register`")
        return int(text)

    def seconds(self, name: str, default: float, least: float = 0.01) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not least <= value <= 86_400:
            raise Misuse(f"{PREFIX}{name} is not a number of seconds", f"give a number from {least} to 86400")
        return value

    def rate(self, name: str) -> float:
        try:
            value = float(self.text(name, "0"))
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise Misuse(f"{PREFIX}{name} is not between 0 and 1")
        return value

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name, "yes" if default else "no").lower()
        if text not in ("yes", "no"):
            raise Misuse(f"{PREFIX}{name} is neither yes nor no")
        return text == "yes"

    def mode(self, name: str) -> Mode | None:
        text = self.text(name, "")
        if text and text not in MODES:
            raise Misuse(f"{PREFIX}{name} is not one of {', '.join(MODES)}")
        return next((mode for mode in MODES if mode == text), None)

    def voices(self, name: str) -> frozenset[str]:
        voices = frozenset(part.strip() for part in self.text(name, "").split(",") if part.strip())
        if unknown := voices - set(VOICES):
            raise Misuse(
                f"{PREFIX}{name} names {', '.join(sorted(unknown))}", f"allowed: {', '.join(VOICES)}"
            )
        return voices

    def bind(self, name: str, default: Bind) -> Bind:
        text = self.text(name, f"{default.host}:{default.port}")
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise Misuse(f"{PREFIX}{name} is not host:port")
        return Bind(host.strip("[]"), int(port))

    def directory(self, name: str) -> str:
        text = self.text(name, "")
        if text and not (Path(text).is_absolute() and Path(text).is_dir()):
            raise Misuse(f"{PREFIX}{name} is not the absolute path of a directory")
        return text

    def scorer(self, name: str) -> str:
        text = self.text(name, "")
        if text:
            from trainwarden.score.endpoint import read_url

            read_url(text)
        return text

    def url(self, name: str, default: str) -> str:
        text = self.text(name, default).rstrip("/")
        if not text:
            return ""
        parts = urlsplit(text)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
            raise Misuse(f"{PREFIX}{name} is not an https address without credentials")
        if parts.scheme == "http" and not local:
            raise Misuse(f"{PREFIX}{name} would send credentials in the clear", "use https")
        return text
