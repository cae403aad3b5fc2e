"""The operator's choice of a server in; where and how it may be spoken to out. Refuses what would leak.

The units that are sent are the company's code, so clear text goes to this machine only, unless the operator says
otherwise, and a token never goes in clear text to another machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from trainwarden.model import Misuse, ScorerChoice

SECURE = {"http": False, "https": True, "grpc": False, "grpcs": True}
PORTS = {"http": 80, "https": 443, "grpc": 8001, "grpcs": 443}
_EXAMPLE = "give it as https://host:8000 or grpcs://host:8001"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server. ``prefix`` goes before ``/v2`` (HTTP only), without a slash at its end."""

    scheme: str
    host: str
    port: int
    prefix: str
    model: str
    token_file: str | None
    ca_file: str | None

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return SECURE[self.scheme]

    @property
    def address(self) -> str:
        """``host:port``, as a report names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def headers(self) -> dict[str, str]:
        """What authorises a request. The token is read each time: it may be replaced. Raises ``Misuse``."""
        if self.token_file is None:
            return {}
        try:
            token = Path(self.token_file).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Misuse(f"cannot read the scorer's token from {self.token_file}: {error}") from error
        if not token or not token.isprintable():
            raise Misuse(
                f"{self.token_file} does not hold a token", "put the bearer token there, on one line"
            )
        return {"authorization": f"Bearer {token}"}


def endpoint(choice: ScorerChoice) -> Endpoint:
    """The server of a choice. Raises ``Misuse`` for a URL that is none, and for code or tokens in clear text."""
    parts, host, port = read_url(choice.url or "")
    found = Endpoint(
        parts.scheme,
        host,
        PORTS[parts.scheme] if port is None else port,
        parts.path.rstrip("/").removesuffix("/v2"),
        choice.model,
        choice.token_file,
        choice.ca_file,
    )
    _refuse_leaks(found, choice.cleartext)
    return found


def read_url(url: str) -> tuple[SplitResult, str, int | None]:
    """The parts of a scorer's URL, its host and its port. Raises ``Misuse`` for one that is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Misuse(f"the scorer's URL {url!r} cannot be read: {error}", _EXAMPLE) from error
    if parts.scheme not in SECURE or not host:
        raise Misuse(f"{url!r} is not the URL of a scorer: {', '.join(SECURE)} are spoken", _EXAMPLE)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Misuse(
            "the scorer's URL may hold a host, a port and a path only", "a token goes into a token_file"
        )
    if parts.path.strip("/") and parts.scheme.startswith("grpc"):
        raise Misuse(f"{url!r}: gRPC knows no path", _EXAMPLE)
    return parts, host, port


def _refuse_leaks(found: Endpoint, allowed: bool) -> None:
    if found.secure or is_here(found.host):
        return
    if not allowed:
        hint = f"use {found.scheme}s, or say `cleartext: true` in the operator's config if the way there is trusted"
        raise Misuse(f"{found.scheme}://{found.address} would send your code in clear text", hint)
    if found.token_file is not None:
        raise Misuse(
            f"{found.scheme}://{found.address} would send the token in clear text", f"use {found.scheme}s"
        )


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
