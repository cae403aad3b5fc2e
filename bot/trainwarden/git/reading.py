"""Paired entries in, file pairs with contents out, or ``Unread`` with the reason a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from trainwarden.git.objects import Unavailable
from trainwarden.git.renames import Pairing
from trainwarden.git.trees import LINK, SUBMODULE, UNMERGED, Entry
from trainwarden.model import FilePair, FileVersion, Unread

Reader = Callable[[Entry], "bytes | Unavailable"]

_LONGEST_TARGET = 200
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md. The whole file must look so, for a script that
# merely starts like a pointer still runs.
_LFS_POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com/spec/v1|hawser\.github\.com/spec/v1)\n"
    rb"(?:ext-[0-9]-[^\n]{1,200}\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,20})\n?\Z"
)


def describe(pairing: Pairing, read: Reader) -> Iterator[FilePair | Unread]:
    """What to say of one changed path: once, or twice when a file turned into a link or submodule or back."""
    if _is_plain(pairing.old) and _is_plain(pairing.new):
        yield _file_pair(pairing, read)
        return
    if pairing.old is not None and pairing.old.is_file:
        yield _file_pair(Pairing(pairing.old_path, pairing.old, pairing.old_path, None), read)
    yield Unread(pairing.path, None, _in_words(pairing.old, pairing.new, read))
    if pairing.new is not None and pairing.new.is_file:
        yield _file_pair(Pairing(pairing.new_path, None, pairing.new_path, pairing.new), read)


def _is_plain(entry: Entry | None) -> bool:
    return entry is None or entry.is_file


def _file_pair(pairing: Pairing, read: Reader) -> FilePair | Unread:
    before = _version(pairing.old_path, pairing.old, read)
    after = _version(pairing.new_path, pairing.new, read)
    for side, version in (("before", before), ("after", after)):
        if isinstance(version, Unavailable):
            return Unread(pairing.path, None, f"the file {side} the change was not read: {version.reason}")
    assert not isinstance(before, Unavailable) and not isinstance(after, Unavailable)
    return FilePair(before, after, pairing.copied)


def _version(path: str, entry: Entry | None, read: Reader) -> FileVersion | Unavailable | None:
    if entry is None:
        return None
    data = read(entry)
    if isinstance(data, Unavailable):
        return data
    pointer = _LFS_POINTER.match(data)
    if pointer:
        oid, size = pointer[1].decode("ascii"), int(pointer[2])
        return Unavailable(f"Git LFS pointer, content not here (sha256 {oid}, {size} bytes)")
    return FileVersion(path, entry.mode, data)


def _in_words(old: Entry | None, new: Entry | None, read: Reader) -> str:
    return f"{_one_in_words(old, read)} -> {_one_in_words(new, read)}"


def _one_in_words(entry: Entry | None, read: Reader) -> str:
    if entry is None:
        return "nothing"
    if entry.mode == LINK:
        return f"symbolic link to {_target(read(entry))}"
    if entry.mode == SUBMODULE:
        return f"submodule at commit {entry.oid}"
    if entry.mode == UNMERGED:
        return "an unfinished merge"
    return "file" if entry.is_file else f"an entry of unknown mode {entry.mode:o}"


def _target(data: bytes | Unavailable) -> str:
    if isinstance(data, Unavailable):
        return f"an unknown target ({data.reason})"
    return ascii(data[:_LONGEST_TARGET].decode("utf-8", "replace"))
