"""Git commands in, bytes out, with an environment that neither the caller nor the repository can bend.

A repository under review is hostile: its own config could name programs (fsmonitor, hooks, external diff,
textconv, filters, signature checkers, remote helpers), and the caller's environment could point git
elsewhere. So every command runs with an environment built from nothing, with the settings below on the
command line, where they win over the repository's config (https://git-scm.com/docs/git-config#SCOPES), and
only commands that need none of those programs are used at all: no checkout, no porcelain status, no worktree
diff.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from trainwarden.model import Misuse, Unfinished

SECONDS = 120.0

_NOWHERE = os.devnull
_SETTINGS = (
    f"core.hooksPath={_NOWHERE}",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    f"core.attributesFile={_NOWHERE}",
    "core.commitGraph=false",
    "core.useReplaceRefs=false",
    "core.pager=cat",
    "core.askPass=",
    "core.sshCommand=false",
    "core.gitProxy=",
    "credential.helper=",
    "diff.external=",
    "diff.ignoreSubmodules=none",
    "diff.renames=false",
    "log.showSignature=false",
    "log.showRoot=false",
    "log.mailmap=false",
    "gpg.program=false",
    "protocol.allow=never",
    "apply.whitespace=nowarn",
    "apply.ignoreWhitespace=no",
    "gc.auto=0",
    "maintenance.auto=false",
    # Small windows keep large packs inside the address-space limit of the reviewing process.
    "core.packedGitWindowSize=32m",
    "core.packedGitLimit=256m",
)
_ENVIRONMENT = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "HOME": _NOWHERE,
    "XDG_CONFIG_HOME": _NOWHERE,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": _NOWHERE,
    "GIT_CONFIG_GLOBAL": _NOWHERE,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": _NOWHERE,
    "GIT_NO_LAZY_FETCH": "1",
    # Unlike protocol.allow, this also wins over protocol.<name>.allow=always in the repository's config.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_SSH_COMMAND": "false",
    "GIT_PAGER": "cat",
}


def program() -> str:
    """The absolute path of git, looked up in absolute PATH entries only. Raises ``Misuse`` without one."""
    found = _program(_search_path())
    if found is None:
        raise Misuse("git is not installed", "Install git 2.34 or newer and put it on PATH.")
    return found


@cache
def _program(path: str) -> str | None:
    return shutil.which("git", path=path)


def _search_path() -> str:
    return _absolute_entries(os.environ.get("PATH", os.defpath))


@cache
def _absolute_entries(path: str) -> str:
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if Path(entry).is_absolute())


def clean_environment() -> dict[str, str]:
    """The environment of every git command: nothing of the caller's but PATH and the temporary directory."""
    kept = {name: os.environ[name] for name in ("TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {"PATH": _search_path(), **kept, **_ENVIRONMENT}


@dataclass(frozen=True, slots=True)
class Git:
    """How to call git in one place; ``extra`` is added to the clean environment (such as GIT_DIR)."""

    directory: str
    extra: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    def with_environment(self, **extra: str) -> Git:
        """The same place with more environment variables."""
        return Git(self.directory, {**self.extra, **extra}, self.settings)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The whole argument vector for ``arguments``."""
        settings = [part for setting in (*_SETTINGS, *self.settings) for part in ("-c", setting)]
        return [program(), "--no-pager", *settings, *arguments]

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Runs one command to its end, whatever its exit status. Raises ``Unfinished`` after ``SECONDS``."""
        try:
            return subprocess.run(
                self.command(arguments),
                input=stdin,
                capture_output=True,
                cwd=self.directory,
                env={**clean_environment(), **self.extra},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unfinished(f"git {arguments[0]} did not end within {SECONDS:.0f} s") from None

    def output(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Like ``run``, but gives standard output and raises ``Unfinished`` when the command fails."""
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise Unfinished(f"git {arguments[0]} failed: {complaint(done.stderr)}")
        return done.stdout

    def start(self, *arguments: str, stderr: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Starts a command that is talked to through its pipes."""
        return subprocess.Popen(
            self.command(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=self.directory,
            env={**clean_environment(), **self.extra},
        )


def complaint(stderr: bytes) -> str:
    """The most telling line of git's error output, as one line of printable text."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines or ["no message"]
    text = telling[0].removeprefix("fatal:").removeprefix("error:").strip()
    return "".join(character if character.isprintable() else "?" for character in text)[:300]
