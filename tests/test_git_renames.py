"""Which removed and added files are joined, on changes written by hand."""

from __future__ import annotations

import pytest

from trainwarden.git import renames
from trainwarden.git.objects import Unavailable
from trainwarden.git.renames import LARGEST_FILE, pair
from trainwarden.git.trees import LINK, SUBMODULE, Entry, RawChange
from trainwarden.git.worktree import blob_name

BODY = "".join(f"row {number}\n" for number in range(20))
OTHER = "".join(f"other {number}\n" for number in range(20))

_store: dict[str, bytes] = {}


def entry(text: str | bytes, mode: int = 0o100644) -> Entry:
    data = text.encode() if isinstance(text, str) else text
    _store[blob_name(data, 40)] = data
    return Entry(mode, blob_name(data, 40))


def removed(path: str, text: str | bytes) -> RawChange:
    return RawChange(path, entry(text), None)


def added(path: str, text: str | bytes) -> RawChange:
    return RawChange(path, None, entry(text))


def edited(path: str, old: str, new: str) -> RawChange:
    return RawChange(path, entry(old), entry(new))


def rows(*changes: RawChange) -> list[tuple[str | None, str | None, bool]]:
    found = pair(changes, lambda wanted: _store.get(wanted.oid, Unavailable("missing", missing=True)))
    return [(each.old and each.old_path, each.new and each.new_path, each.copied) for each in found]


class TestApart:
    def test_nothing(self) -> None:
        assert rows() == []

    def test_different_files(self) -> None:
        assert rows(removed("a.py", BODY), added("b.py", OTHER)) == [
            ("a.py", None, False),
            (None, "b.py", False),
        ]

    def test_less_than_half_alike(self) -> None:
        mixed = "".join(BODY.splitlines(True)[:8]) + "".join(OTHER.splitlines(True)[:12])
        assert rows(removed("a.py", BODY), added("b.py", mixed))[0] == ("a.py", None, False)

    def test_empty_files(self) -> None:
        assert len(rows(removed("a.py", ""), added("b.py", ""))) == 2

    def test_binaries_that_are_not_identical(self) -> None:
        assert len(rows(removed("a.bin", b"\0" + BODY.encode()), added("b.bin", b"\0x" + BODY.encode()))) == 2

    def test_links_and_submodules(self) -> None:
        for mode in (LINK, SUBMODULE):
            changes = (RawChange("a", entry("t", mode), None), RawChange("b", None, entry("t", mode)))
            assert rows(*changes) == [("a", None, False), (None, "b", False)]

    def test_missing_contents(self) -> None:
        changes = (
            RawChange("a", Entry(0o100644, "1" * 40), None),
            RawChange("b", None, Entry(0o100644, "2" * 40)),
        )
        assert len(rows(*changes)) == 2

    def test_files_too_large_to_compare(self) -> None:
        large = "x" * LARGEST_FILE
        assert len(rows(removed("a.py", large + "1\n"), added("b.py", large + "2\n"))) == 2

    def test_more_lines_than_are_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        changes = [removed("a.py", BODY), added("b.py", BODY + "1\n")]
        assert len(rows(*changes)) == 1
        monkeypatch.setattr(renames, "MOST_LINES", 0)
        assert len(rows(*changes)) == 2


class TestJoined:
    def test_identical_and_edited(self) -> None:
        changes = (
            removed("a.py", BODY),
            added("x/a.py", BODY),
            removed("b.py", OTHER),
            added("c.py", OTHER + "1\n"),
        )
        assert rows(*changes) == [("b.py", "c.py", False), ("a.py", "x/a.py", False)]

    def test_line_ends_do_not_count(self) -> None:
        assert rows(removed("a.py", BODY), added("b.py", BODY.replace("\n", "\r\n"))) == [
            ("a.py", "b.py", False)
        ]

    def test_the_likest_wins(self) -> None:
        near, far = BODY + "1\n", BODY + "".join(f"{number}\n" for number in range(30))
        changes = (removed("a.py", BODY), added("far.py", far), added("near.py", near))
        assert rows(*changes) == [("a.py", "far.py", True), ("a.py", "near.py", False)]

    def test_the_name_decides_between_equals(self) -> None:
        changes = (
            removed("x/a.py", BODY),
            removed("x/b.py", BODY),
            added("y/b.py", BODY),
            added("y/c.py", BODY),
        )
        assert rows(*changes) == [("x/b.py", "y/b.py", False), ("x/a.py", "y/c.py", False)]

    def test_identical_binaries(self) -> None:
        assert rows(removed("a.bin", b"\0\1"), added("b.bin", b"\0\1")) == [("a.bin", "b.bin", False)]

    def test_a_mode_change_on_the_way(self) -> None:
        change = RawChange("b.sh", None, entry(BODY, 0o100755))
        assert rows(removed("a.sh", BODY), change) == [("a.sh", "b.sh", False)]

    def test_a_kept_file_is_copied_not_renamed(self) -> None:
        changes = (edited("a.py", BODY, BODY + "1\n"), added("b.py", BODY), added("c.py", BODY + "2\n"))
        assert rows(*changes) == [("a.py", "a.py", False), ("a.py", "b.py", True), ("a.py", "c.py", True)]

    def test_a_rename_is_preferred_to_a_copy(self) -> None:
        changes = (edited("a.py", BODY, OTHER), removed("z.py", BODY), added("new.py", BODY))
        assert ("z.py", "new.py", False) in rows(*changes)

    def test_many_alike_are_all_joined(self) -> None:
        changes = [removed(f"old/{number}.py", BODY) for number in range(300)]
        changes += [added(f"new/{number}.py", BODY) for number in range(300)]
        assert rows(*changes) == sorted(
            ((f"old/{number}.py", f"new/{number}.py", False) for number in range(300)), key=lambda row: row[1]
        )

    def test_the_order_of_changes_does_not_matter(self) -> None:
        changes = [
            removed("a.py", BODY),
            removed("b.py", BODY),
            added("c.py", BODY + "1\n"),
            added("d.py", BODY),
        ]
        assert rows(*changes) == rows(*reversed(changes))
