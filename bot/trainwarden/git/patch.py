"""A unified diff and a base tree in, the tree with the diff applied out.

Git itself applies the diff (renames, modes, binary literals and deltas, quoting), but to a scratch index and a
scratch object directory outside the repository, which lends its objects and is given none.
"""

from __future__ import annotations

import os
from pathlib import Path

from trainwarden.git.process import Git, complaint
from trainwarden.git.repository import Repository
from trainwarden.model import Misuse


def scratch_variables(repository: Repository, directory: str) -> dict[str, str]:
    """Environment variables that make git write objects and index below ``directory`` only."""
    objects = repository.git.output("rev-parse", "--git-path", "objects").removesuffix(b"\n")
    lent = Path(repository.git_dir, os.fsdecode(objects))
    scratch = Path(directory, "objects")
    scratch.mkdir()
    return {
        "GIT_OBJECT_DIRECTORY": str(scratch),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str(lent)),
        "GIT_INDEX_FILE": str(Path(directory, "index")),
    }


def _quoted(path: str) -> str:
    """A path as an element of a colon-separated list of object directories (man git, same variable)."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def apply(git: Git, tree: str, patch: bytes) -> str:
    """The name of the tree that ``patch`` makes of ``tree``; ``git`` must point at a scratch index.

    A patch of white space only changes nothing. Raises ``Misuse`` when the patch does not apply exactly.
    """
    if not patch.strip():
        return tree
    git.output("read-tree", tree)
    done = git.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch)
    if done.returncode != 0:
        raise Misuse(
            f"the patch does not apply: {complaint(done.stderr)}",
            "Give the revision it was made on with --base, and write it with git diff --binary --full-index.",
        )
    return git.output("write-tree", "--missing-ok").decode("ascii").strip()
