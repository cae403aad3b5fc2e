"""A remote address, a token and object names in; a bare repository that holds the objects out.

The remote exists only in the environment of the fetching process. Neither its address nor the token is in an
argument list, in the repository's config or in an error, so whoever reads the repository later has no remote
to go to: an object that was left out is simply missing.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainwarden.git.process import Git, clean_environment
from trainwarden.model import Unfinished

SECONDS = 900.0

# How this machine reaches the network at all; git would otherwise be told nothing of it.
_NETWORK = (
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
)
_FLAGS = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap=")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to fetch from (an address without credentials), the token to show there, and what to leave out.

    ``blobs`` is a filter of partial clones, such as ``blob:none`` (https://git-scm.com/docs/git-rev-list).
    """

    url: str
    token: str = field(repr=False)
    blobs: str = "blob:limit=1m"

    def fetch(self, git: Git, arguments: Sequence[str], stdin: bytes = b"") -> None:
        """Runs ``git fetch`` with the given refspecs (or ``--stdin``). Raises ``Unfinished``."""
        words = ["fetch", *_FLAGS, "--no-recurse-submodules", f"--filter={self.blobs}"]
        try:
            done = subprocess.run(
                git.command([*words, *arguments]),
                input=stdin,
                capture_output=True,
                cwd=git.directory,
                env={**clean_environment(), **git.extra, **self._environment()},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unfinished(f"git fetch did not end within {SECONDS:.0f} s") from None
        if done.returncode != 0:
            raise _failure(done.stderr.decode("utf-8", "replace"))

    def _environment(self) -> dict[str, str]:
        scheme = self.url.partition(":")[0]
        network = {name: os.environ[name] for name in _NETWORK if name in os.environ}
        return {
            **network,
            "GIT_ALLOW_PROTOCOL": scheme if scheme in ("https", "http") else "none",
            **_numbered(self._settings()),
        }

    def _settings(self) -> dict[str, str]:
        settings = {
            "remote.origin.url": self.url,
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": self.blobs,
            # A redirect would carry the token elsewhere, a bundle would come from an address of its choice.
            "http.followRedirects": "false",
            "transfer.bundleURI": "false",
        }
        if self.token:
            credential = base64.b64encode(f"x-access-token:{self.token}".encode()).decode("ascii")
            settings[f"http.{self.url}.extraHeader"] = f"Authorization: Basic {credential}"
        return settings


def _numbered(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as ``GIT_CONFIG_KEY_<n>`` and ``GIT_CONFIG_VALUE_<n>`` (https://git-scm.com/docs/git-config)."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for position, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{position}": key, f"GIT_CONFIG_VALUE_{position}": value}
    return variables


def _failure(stderr: str) -> Unfinished:
    """What a failed fetch means, by git's own words, which go no further: a server chooses part of them."""
    text = stderr.lower()
    if "authentication failed" in text or "could not read username" in text or "error: 40" in text:
        return Unfinished(
            "the repository is not there or the token may not read it",
            "give the job `permissions: contents: read` and pass its token",
        )
    if "couldn't find remote ref" in text or "not our ref" in text:
        return Unfinished(
            "a commit of the change is no longer on the server", "run the job of the newest head"
        )
    return Unfinished("git fetch failed", "look whether the server can be reached from here")
