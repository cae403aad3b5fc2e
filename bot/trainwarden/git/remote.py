"""A remote address, a token and object names in; a bare repository that holds the objects out.

The only door to a git server: of the App's mirrors and of the Action.

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
from typing import Literal

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

Cause = Literal["refused", "no repository", "no commit", "slow", "unreachable"]
# What a failed fetch means, by git's own words, the first that fits.
_WORDS: tuple[tuple[Cause, tuple[str, ...]], ...] = (
    ("refused", ("authentication failed", "could not read username", "error: 401", "error: 403")),
    ("no commit", ("couldn't find remote ref", "not our ref")),
    ("no repository", ("not found", "error: 404")),
    ("refused", ("error: 40",)),
)
_MEANINGS: Mapping[Cause, tuple[str, str]] = {
    "refused": (
        "the repository is not there or the token may not read it",
        "give the job `permissions: contents: read` and pass its token",
    ),
    "no commit": ("a commit of the change is no longer on the server", "run the job of the newest head"),
    "slow": (f"git fetch did not end within {SECONDS:.0f} s", "look whether the server is overloaded"),
    "unreachable": ("git fetch failed", "look whether the server can be reached from here"),
}


class FetchFailed(Unfinished):
    """A fetch that brought nothing, and why. Nothing of the server's own text is in it."""

    def __init__(self, cause: Cause) -> None:
        # GitHub answers 404 for what a token may not see.
        super().__init__(*_MEANINGS["refused" if cause == "no repository" else cause])
        self.cause: Cause = cause


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to fetch from (an address without credentials), the token to show there, and what to leave out.

    ``blobs`` is a filter of partial clones, such as ``blob:none`` (https://git-scm.com/docs/git-rev-list).
    """

    url: str
    token: str = field(repr=False)
    blobs: str = "blob:limit=1m"

    def fetch(self, git: Git, arguments: Sequence[str], stdin: bytes = b"") -> None:
        """Runs ``git fetch`` with the given refspecs (or ``--stdin``). Raises ``FetchFailed``.

        An object that is named itself comes whatever the filter says.
        """
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
            raise FetchFailed("slow") from None
        if done.returncode != 0:
            raise FetchFailed(_cause(done.stderr.decode("utf-8", "replace")))

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
            **_promisor(self.blobs),
            "remote.origin.url": self.url,
            "fetch.writeCommitGraph": "false",
            # A redirect would carry the token elsewhere, a bundle would come from an address of its choice.
            "http.followRedirects": "false",
            "transfer.bundleURI": "false",
        }
        if self.token:
            credential = base64.b64encode(f"x-access-token:{self.token}".encode()).decode("ascii")
            settings[f"http.{self.url}.extraHeader"] = f"Authorization: Basic {credential}"
        return settings


def knowing_gaps(git: Git, blobs: str) -> Git:
    """The same place for a command (such as ``repack``) that must know that ``blobs`` were left out here.

    Never in the repository's own config: a later command would then have a remote to go to.
    """
    return git.with_environment(**_numbered(_promisor(blobs)))


def _promisor(blobs: str) -> dict[str, str]:
    return {"remote.origin.promisor": "true", "remote.origin.partialclonefilter": blobs}


def _numbered(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as ``GIT_CONFIG_KEY_<n>`` and ``GIT_CONFIG_VALUE_<n>`` (https://git-scm.com/docs/git-config)."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for position, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{position}": key, f"GIT_CONFIG_VALUE_{position}": value}
    return variables


def _cause(stderr: str) -> Cause:
    """The cause in git's complaint, which goes no further: a server chooses part of it."""
    text = stderr.lower()
    return next((cause for cause, words in _WORDS if any(word in text for word in words)), "unreachable")
