"""The worktree and the index as doors: what counts as changed, and that no path leads out of the worktree."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from git_scratch import Scratch, brief, items, run
from trainwarden.git import open_source
from trainwarden.git import worktree as worktree_module
from trainwarden.git.index import IndexEntry, Stat
from trainwarden.git.objects import MAX_BLOB
from trainwarden.git.trees import Entry
from trainwarden.model import FilePair, FileVersion, Misuse, Request, Unfinished, Unread


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / "repo")
    made.commit({"a.py": "1\n", "d/b.py": "2\n", "d/c.py": "3\n", ".gitignore": "*.log\n"})
    return made


def worktree(scratch: Scratch) -> list[tuple[object, ...]]:
    return brief(scratch.request("worktree"))


class TestQuiet:
    def test_touched_rewritten_and_ignored_files(self, scratch: Scratch) -> None:
        os.utime(scratch.path / "a.py", (1, 1))
        scratch.write({"d/b.py": "2\n", "x.log": "noise\n"})
        assert worktree(scratch) == []

    def test_a_sparse_checkout_removes_nothing(self, scratch: Scratch) -> None:
        scratch.git("sparse-checkout", "set", "--no-cone", "/a.py")
        assert not (scratch.path / "d").exists()
        assert worktree(scratch) == []

    def test_a_submodule_as_committed_or_not_checked_out(self, scratch: Scratch) -> None:
        inner = self.with_submodule(scratch)
        assert worktree(scratch) == []
        scratch.git("submodule", "deinit", "-q", "-f", "sub")
        assert not (inner.path / ".git").exists()
        assert worktree(scratch) == []

    @staticmethod
    def with_submodule(scratch: Scratch) -> Scratch:
        other = Scratch(scratch.path.parent / "other")
        other.commit({"x": "1"})
        allowed = ("-c", "protocol.file.allow=always")
        scratch.git(*allowed, "submodule", "add", "-q", str(other.path), "sub")
        scratch.commit({})
        inner = Scratch.__new__(Scratch)
        inner.path = scratch.path / "sub"
        return inner

    def test_a_moved_submodule_is_not_quiet(self, scratch: Scratch) -> None:
        inner = self.with_submodule(scratch)
        old, new = inner.git("rev-parse", "HEAD"), inner.commit({"x": "2"})
        assert worktree(scratch) == [("sub", f"submodule at commit {old} -> submodule at commit {new}")]


class TestChanged:
    def test_staged_unstaged_untracked_and_removed(self, scratch: Scratch) -> None:
        scratch.write({"a.py": "staged\n"})
        scratch.git("add", "a.py")
        scratch.write({"a.py": "unstaged\n", "d/b.py": None, "new dir/n.py": "4\n"})
        scratch.git("rm", "-q", "--cached", "d/c.py")
        found = items(scratch.request("worktree"))
        assert found == [
            FilePair(FileVersion("a.py", 0o100644, b"1\n"), FileVersion("a.py", 0o100644, b"unstaged\n")),
            FilePair(FileVersion("d/b.py", 0o100644, b"2\n"), None),
            FilePair(None, FileVersion("new dir/n.py", 0o100644, b"4\n")),
        ]

    def test_staged_content_is_not_the_worktrees(self, scratch: Scratch) -> None:
        scratch.write({"a.py": "staged\n"})
        scratch.git("add", "a.py")
        scratch.write({"a.py": "unstaged\n", "new.py": "x\n"})
        scratch.git("add", "-N", "new.py")
        (pair,) = items(scratch.request("staged"))
        assert isinstance(pair, FilePair) and pair.after == FileVersion("a.py", 0o100644, b"staged\n")
        assert brief(scratch.request("worktree")) == [("a.py", "a.py", False), (None, "new.py", False)]

    @pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
    def test_index_flags_hide_nothing(self, scratch: Scratch, flag: str) -> None:
        scratch.git("update-index", flag, "a.py")
        scratch.write({"a.py": "other\n"})
        assert worktree(scratch) == [("a.py", "a.py", False)]

    def test_same_size_and_forged_time(self, scratch: Scratch) -> None:
        before = (scratch.path / "a.py").stat()
        scratch.write({"a.py": "7\n"})
        os.utime(scratch.path / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert worktree(scratch) == [("a.py", "a.py", False)]

    def test_a_file_as_young_as_the_index_is_read(self) -> None:
        """Git's "racy" entries: written twice within one tick of the clock, the stat tells nothing."""
        stat = Stat(ctime=5, mtime=5, inode=1, size=2)
        entry = IndexEntry("a.py", Entry(0o100644, "1" * 40), 0, stat, 0)
        assert worktree_module._is_clean(entry, stat, indexed_at=6)
        assert not worktree_module._is_clean(entry, stat, indexed_at=5)

    def test_a_linked_worktree_is_its_own(self, scratch: Scratch) -> None:
        other = scratch.path.parent / "linked"
        scratch.git("worktree", "add", "-q", str(other))
        (other / "a.py").write_text("linked\n")
        assert worktree(scratch) == []
        assert brief(Request(str(other), "worktree")) == [("a.py", "a.py", False)]
        run(other, "add", "-A")
        assert brief(Request(str(other), "staged")) == [("a.py", "a.py", False)]

    def test_from_a_directory_inside(self, scratch: Scratch) -> None:
        scratch.write({"a.py": "x\n", "d/b.py": "y\n"})
        expected = [("a.py", "a.py", False), ("d/b.py", "d/b.py", False)]
        assert brief(Request(str(scratch.path / "d"), "worktree")) == expected
        scratch.git("add", "-A")
        assert brief(Request(str(scratch.path / "d"), "staged")) == expected

    def test_head_exists_looks_at_the_right_side(self, scratch: Scratch) -> None:
        scratch.write({"new.py": "x\n"})
        staged, current = open_source(scratch.request("staged")), open_source(scratch.request("worktree"))
        assert staged.head_exists("a.py") and current.head_exists("a.py")
        assert not staged.head_exists("new.py") and current.head_exists("new.py")
        assert not staged.head_exists("d") and not current.head_exists("d")
        staged.close()
        current.close()


class TestWaysOut:
    """Links, devices and nested repositories in place of files."""

    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "b.py").write_text("secret\n")
        return tmp_path / "secret"

    def test_a_directory_that_became_a_link(self, scratch: Scratch, secret: Path) -> None:
        for name in ("b.py", "c.py"):
            (scratch.path / "d" / name).unlink()
        (scratch.path / "d").rmdir()
        (scratch.path / "d").symlink_to(secret)
        found = items(scratch.request("worktree"))
        assert "secret\\n" not in repr(found).replace(str(secret), "")
        assert [(item.path, type(item)) for item in found] == [
            ("d", Unread),
            ("d/b.py", FilePair),
            ("d/c.py", FilePair),
        ]

    def test_a_directory_moved_behind_a_link(self, scratch: Scratch) -> None:
        """Its files keep their stat, yet the tracked paths are gone."""
        (scratch.path / "d").rename(scratch.path / "e")
        (scratch.path / "d").symlink_to("e")
        assert worktree(scratch) == [
            ("d", "nothing -> symbolic link to 'e'"),
            ("d/b.py", "e/b.py", False),
            ("d/c.py", "e/c.py", False),
        ]

    def test_a_pipe_and_a_socket_in_place_of_files(self, scratch: Scratch) -> None:
        scratch.write({"a.py": None, "d/b.py": None})
        os.mkfifo(scratch.path / "a.py")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(scratch.path / "d" / "b.py"))
            found = brief(scratch.request("worktree"))
        first, second = found
        assert first == ("a.py", "the file after the change was not read: not a regular file")
        assert second[0] == "d/b.py" and "was not read" in str(second[1])

    def test_a_large_file(self, scratch: Scratch) -> None:
        with (scratch.path / "big.bin").open("wb") as file:
            file.truncate(MAX_BLOB + 1)
        ((path, reason),) = worktree(scratch)
        assert path == "big.bin" and f"{MAX_BLOB + 1} bytes, more than" in str(reason)

    def test_a_nested_repository(self, scratch: Scratch) -> None:
        nested = Scratch(scratch.path / "nested")
        assert worktree(scratch) == [("nested", "nothing -> submodule at commit unknown")]
        commit = nested.commit({"x": "1"})
        assert worktree(scratch) == [("nested", f"nothing -> submodule at commit {commit}")]

    def test_a_file_that_became_a_directory(self, scratch: Scratch) -> None:
        scratch.write({"a.py": None, "a.py/x.py": "1\n"})
        assert worktree(scratch) == [("a.py", "a.py/x.py", False)]

    @pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", "d/../../x", ".git/config", "sly/b.py"])
    def test_named_files_outside_are_refused(self, scratch: Scratch, secret: Path, name: str) -> None:
        (scratch.path / "sly").symlink_to(secret)
        with pytest.raises(Misuse, match="lies outside the worktree"):
            open_source(scratch.request("files", files=(name,)))


def test_too_many_files_cannot_be_finished(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree_module, "MAX_CHANGES", 3)
    scratch.write({f"n{number}.py": "" for number in range(4)})
    with pytest.raises(Unfinished, match="more than 3 changed files"):
        worktree(scratch)


class TestNamedFiles:
    def test_only_the_named_are_compared(self, scratch: Scratch) -> None:
        scratch.write({"a.py": "x\n", "d/b.py": "y\n", "new.py": "z\n"})
        assert brief(scratch.request("files", files=("a.py", "./a.py", "d/c.py"))) == [
            ("a.py", "a.py", False)
        ]
        absolute = str(scratch.path / "d" / "b.py")
        assert brief(scratch.request("files", files=(absolute,))) == [("d/b.py", "d/b.py", False)]
        inside = Request(str(scratch.path / "d"), "files", files=("b.py", "../new.py"))
        assert brief(inside) == [("d/b.py", "d/b.py", False), (None, "new.py", False)]

    def test_a_removed_file_is_a_removal(self, scratch: Scratch) -> None:
        scratch.write({"a.py": None})
        assert brief(scratch.request("files", files=("a.py",))) == [("a.py", None, False)]

    def test_a_file_that_never_was_is_misuse(self, scratch: Scratch) -> None:
        with pytest.raises(Misuse, match=r"no such file: nope\.py"):
            open_source(scratch.request("files", files=("nope.py",)))

    def test_a_directory_is_misuse(self, scratch: Scratch) -> None:
        with pytest.raises(Misuse, match="no such file: d"):
            open_source(scratch.request("files", files=("d",)))


def test_a_file_that_changes_while_it_is_read(scratch: Scratch) -> None:
    """Between listing and reading the file is rewritten: neither content is passed off as the other."""
    scratch.write({"a.py": "listed\n"})
    source = open_source(scratch.request("files", files=("a.py",)))
    scratch.write({"a.py": "read\n"})
    (found,) = source.pairs()
    assert isinstance(found, Unread) and "changed while it was read" in found.reason
    (scratch.path / "a.py").unlink()
    (found,) = source.pairs()
    assert isinstance(found, Unread) and "disappeared while it was read" in found.reason
    source.close()
