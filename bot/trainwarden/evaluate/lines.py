"""Line arithmetic on bytes: what two versions of a file have in common, and the lines of one that are new.

Lines end with LF, CRLF or CR, as editors and reports number them.
"""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher

from trainwarden.hunks import common


def split(data: bytes) -> list[bytes]:
    """The lines of a file with their ends."""
    return data.splitlines(keepends=True)


def changed(before: bytes, after: bytes) -> tuple[int, ...]:
    """The new or replaced lines of ``after`` (1-based), and for a removal the line after the gap."""
    old, new = split(before), split(after)
    head = common(old, new)
    old, new = old[head:], new[head:]
    tail = common(old[::-1], new[::-1])
    old, new = old[: len(old) - tail], new[: len(new) - tail]
    last = max(1, head + len(new) + tail)
    hit: set[int] = set()
    for tag, _, _, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            hit.update(range(head + start + 1, head + max(end, start + 1) + 1))
    return tuple(sorted({min(line, last) for line in hit}))


def moved(before: bytes, after: bytes) -> tuple[int, int]:
    """How many lines are added and removed, order aside: a moved line counts as neither."""
    old, new = Counter(split(before)), Counter(split(after))
    return (new - old).total(), (old - new).total()
