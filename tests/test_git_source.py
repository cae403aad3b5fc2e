"""Changes through every door, on real repositories: what is paired, what is read, what is named as unread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from git_scratch import Contents, Scratch, brief, items, run
from trainwarden.git import open_source
from trainwarden.git import trees as trees_module
from trainwarden.git.objects import MAX_BLOB
from trainwarden.model import FilePair, FileVersion, Misuse, Overlay, Request, Unfinished, Unread

TEXT = "".join(f"line {number}\n" for number in range(40))
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


@pytest.fixture(params=["sha1", "sha256"])
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "repo", request.param)


@pytest.fixture
def plain(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "repo")


def by_range(scratch: Scratch, change: Contents) -> Request:
    base = scratch.git("rev-parse", "HEAD")
    return scratch.request("range", base=base, head=scratch.commit(change))


def by_overlay(scratch: Scratch, change: Contents) -> Request:
    files = {
        path: None if data is None else (0o100644, data.encode() if isinstance(data, str) else data)
        for path, data in change.items()
    }
    return scratch.request("overlay", base="HEAD", head="HEAD", overlay=Overlay(files))


def by_index(scratch: Scratch, change: Contents) -> Request:
    scratch.write(change)
    scratch.git("add", "-A")
    return scratch.request("staged")


def by_worktree(scratch: Scratch, change: Contents) -> Request:
    scratch.write(change)
    return scratch.request("worktree")


def by_files(scratch: Scratch, change: Contents) -> Request:
    scratch.write(change)
    return scratch.request("files", files=tuple(change))


def by_patch(scratch: Scratch, change: Contents) -> Request:
    base = scratch.git("rev-parse", "HEAD")
    head = scratch.commit(change)
    arguments = ("diff", "--binary", "--full-index", "--output=../change.patch", base, head)
    scratch.git(*arguments)
    scratch.git("reset", "-q", "--hard", base)
    return scratch.request("patch", patch=(scratch.path.parent / "change.patch").read_bytes())


Door = Callable[[Scratch, Contents], Request]
DOORS: tuple[Door, ...] = (by_range, by_overlay, by_index, by_worktree, by_files, by_patch)


BEFORE: Contents = {
    "kept.py": "x = 1\n",
    "gone.py": "y = 2\n",
    "old name.py": TEXT,
    "edited.py": TEXT.replace("line", "row"),
    "crlf.py": b"a\r\nb\r\n",
    "bytes.bin": b"\0\x01",
    "empty.py": b"",
}
CHANGE: Contents = {
    "gone.py": None,
    "old name.py": None,
    'dir/new "name".py': TEXT.replace("line 7\n", "line seven\n"),
    "edited.py": TEXT.replace("line", "row") + "no final newline",
    "crlf.py": b"a\rb\r\n",
    "bytes.bin": b"\0\x02",
    "a\nb.py": "line break in the name\n",
    "caf\u00e9 \u4e2d.py": "non-ASCII name\n",
    "\udcff\udcfe.py": "not UTF-8 name\n",
    "back\\slash\t*.py": "q\n",
    "-dash.py": "w\n",
    "empty2.py": b"",
    "edited copy.py": TEXT.replace("line", "row") + "more\n",
}


def expected_of_change() -> list[FilePair]:
    pairs: list[FilePair] = []
    sources = {'dir/new "name".py': "old name.py", "edited copy.py": "edited.py"}
    for path, data in CHANGE.items():
        old_path = sources.get(path, path)
        before, after = version(old_path, BEFORE.get(old_path)), version(path, data)
        if path != "old name.py":
            pairs.append(FilePair(before, after, path == "edited copy.py"))
    return sorted(pairs, key=lambda pair: pair.path)


def version(path: str, data: str | bytes | None) -> FileVersion | None:
    if data is None:
        return None
    return FileVersion(path, 0o100644, data.encode() if isinstance(data, str) else data)


@pytest.mark.parametrize("door", DOORS)
def test_nothing_changed(plain: Scratch, door: Door) -> None:
    plain.commit(BEFORE)
    request = door(plain, {"kept.py": "x = 1\n"})
    assert items(request) == []


@pytest.mark.parametrize("door", DOORS)
def test_every_door_sees_the_same_change(scratch: Scratch, door: Door) -> None:
    """One change with renames, copies, removals and odd names is the same list of pairs through each door."""
    scratch.commit(BEFORE)
    assert items(door(scratch, CHANGE)) == expected_of_change()


def test_an_executable_bit_alone_is_a_change(scratch: Scratch) -> None:
    base = scratch.commit({"run.py": "x\n"})
    (scratch.path / "run.py").chmod(0o755)
    expected = [FilePair(FileVersion("run.py", 0o100644, b"x\n"), FileVersion("run.py", 0o100755, b"x\n"))]
    assert items(scratch.request("worktree")) == expected
    head = scratch.commit({})
    assert items(scratch.request("range", base=base, head=head)) == expected


class TestBases:
    def test_the_empty_tree(self, scratch: Scratch) -> None:
        scratch.commit({"a.py": "x\n"})
        assert brief(scratch.request("range", base="empty", head="HEAD")) == [(None, "a.py", False)]
        assert brief(scratch.request("range", base="HEAD", head="empty")) == [("a.py", None, False)]

    def test_a_branch_called_empty_does_not_stand_for_it(self, plain: Scratch) -> None:
        plain.commit({"a.py": "x\n"})
        plain.git("branch", "empty")
        assert brief(plain.request("range", base="empty", head="HEAD")) == [(None, "a.py", False)]
        assert brief(plain.request("range", base="refs/heads/empty", head="HEAD")) == []

    def test_unrelated_histories_are_two_trees(self, plain: Scratch) -> None:
        base = plain.commit({"a.py": "x\n", "b.py": "y\n"})
        plain.git("checkout", "-q", "--orphan", "other")
        head = plain.commit({"a.py": "z\n"})
        assert brief(plain.request("range", base=base, head=head)) == [("a.py", "a.py", False)]

    def test_trees_tags_and_expressions(self, plain: Scratch) -> None:
        base = plain.commit({"a.py": "x\n"})
        plain.git("tag", "-a", "-m", "t", "v1")
        plain.commit({"a.py": "y\n"})
        for name in (base, base[:10], "HEAD~1", "v1", "v1^{tree}", "HEAD^"):
            assert brief(plain.request("range", base=name, head="HEAD")) == [("a.py", "a.py", False)]
        source = open_source(plain.request("range", base="v1", head="HEAD", policy="HEAD"))
        head = plain.git("rev-parse", "HEAD")
        assert (source.revisions.base, source.revisions.head, source.revisions.policy) == (base, head, head)
        source.close()

    def test_a_repository_without_commits(self, scratch: Scratch) -> None:
        scratch.write({"a.py": "x\n"})
        assert brief(scratch.request("worktree")) == [(None, "a.py", False)]
        scratch.git("add", "-A")
        assert brief(scratch.request("staged")) == [(None, "a.py", False)]

    def test_staged_against_another_base(self, plain: Scratch) -> None:
        base = plain.commit({"a.py": "x\n", "b.py": "1\n"})
        plain.commit({"a.py": "y\n"})
        plain.write({"b.py": "2\n"})
        plain.git("add", "-A")
        expected = [("a.py", "a.py", False), ("b.py", "b.py", False)]
        assert brief(plain.request("staged", base=base)) == expected
        assert brief(plain.request("worktree", base=base)) == expected


class TestUnread:
    def test_links(self, scratch: Scratch) -> None:
        scratch.write({"a.py": "x\n", "b.py": "y\n"})
        (scratch.path / "link").symlink_to("one")
        (scratch.path / "was_link.py").symlink_to("b.py")
        base = scratch.commit({})
        for name in ("link", "a.py", "was_link.py"):
            (scratch.path / name).unlink()
        (scratch.path / "link").symlink_to("../two\n\x1b[31m")
        (scratch.path / "a.py").symlink_to("b.py")
        scratch.write({"was_link.py": "z\n"})
        expected = [
            ("a.py", None, False),
            ("a.py", "file -> symbolic link to 'b.py'"),
            ("link", r"symbolic link to 'one' -> symbolic link to '../two\n\x1b[31m'"),
            ("was_link.py", "symbolic link to 'b.py' -> file"),
            (None, "was_link.py", False),
        ]
        assert brief(scratch.request("worktree")) == expected
        assert brief(scratch.request("range", base=base, head=scratch.commit({}))) == expected

    def test_submodules(self, scratch: Scratch) -> None:
        width = len(scratch.commit({"a.py": "x\n"}))
        one, two = "1" * width, "2" * width
        commits = ["HEAD"]
        for change in (f"160000,{one},sub", f"160000,{two},sub", None):
            scratch.git("rm", "-q", "--cached", "-f", "--ignore-unmatch", "sub")
            if change:
                scratch.git("update-index", "--add", "--cacheinfo", change)
            commits.append(scratch.commit_tree(scratch.git("write-tree")))
        reasons = [brief(scratch.request("range", base=base, head=head)) for base, head in pairwise(commits)]
        assert reasons == [
            [("sub", f"nothing -> submodule at commit {one}")],
            [("sub", f"submodule at commit {one} -> submodule at commit {two}")],
            [("sub", f"submodule at commit {two} -> nothing")],
        ]

    def test_lfs_pointers(self, plain: Scratch) -> None:
        base = plain.commit({"w.pt": LFS, "run.sh": "true\n", "x.py": "1\n"})
        change = {"w.pt": LFS.replace("a", "b", 1), "run.sh": LFS + "curl example.org\n", "x.py": LFS}
        found = items(plain.request("range", base=base, head=plain.commit(change)))
        script, weights, code = found
        assert isinstance(script, FilePair) and script.after is not None
        assert script.after.data.endswith(b"curl example.org\n")
        assert isinstance(weights, Unread) and isinstance(code, Unread)
        assert "Git LFS pointer, content not here" in code.reason and "12345 bytes" in code.reason

    def test_a_large_file_is_not_loaded_and_the_rest_is(self, plain: Scratch) -> None:
        change: Contents = {"big.bin": bytes(MAX_BLOB + 1), "fits.bin": bytes(MAX_BLOB), "z.py": "x\n"}
        plain.commit({"a.py": "x\n"})
        big, fits, last = items(by_range(plain, change))
        reason = f"the file after the change was not read: {MAX_BLOB + 1} bytes, more than the {MAX_BLOB}"
        assert isinstance(big, Unread) and big.reason.startswith(reason)
        assert isinstance(fits, FilePair) and fits.after is not None and len(fits.after.data) == MAX_BLOB
        assert last == FilePair(None, FileVersion("z.py", 0o100644, b"x\n"), False)

    def test_an_unfinished_merge(self, plain: Scratch) -> None:
        plain.commit({"a.py": "1\n"})
        plain.git("checkout", "-q", "-b", "side")
        plain.commit({"a.py": "2\n"})
        plain.git("checkout", "-q", "main")
        plain.commit({"a.py": "3\n"})
        with pytest.raises(Exception, match="merge"):
            plain.git("merge", "side")
        assert brief(plain.request("staged")) == [
            ("a.py", None, False),
            ("a.py", "file -> an unfinished merge"),
        ]
        assert brief(plain.request("worktree")) == [("a.py", "a.py", False)]


def loose_object(scratch: Scratch, name: str) -> Path:
    return scratch.path / ".git" / "objects" / name[:2] / name[2:]


class TestDamage:
    def test_a_missing_blob_is_unread_and_the_rest_is_read(self, scratch: Scratch) -> None:
        base = scratch.commit({"a.py": "x\n", "b.py": "y\n"})
        head = scratch.commit({"a.py": "xx\n", "b.py": "yy\n"})
        loose_object(scratch, scratch.git("rev-parse", f"{base}:a.py")).unlink()
        first, second = brief(scratch.request("range", base=base, head=head))
        assert first == ("a.py", "the file before the change was not read: the object is missing")
        assert second == ("b.py", "b.py", False)

    def test_a_corrupt_blob_is_unread_and_the_rest_is_read(self, scratch: Scratch) -> None:
        base = scratch.commit({"a.py": "x\n", "b.py": "y\n"})
        head = scratch.commit({"a.py": "xx\n", "b.py": "yy\n"})
        damaged = loose_object(scratch, scratch.git("rev-parse", f"{head}:a.py"))
        damaged.chmod(0o644)
        damaged.write_bytes(b"garbage")
        first, second = brief(scratch.request("range", base=base, head=head))
        assert first[0] == "a.py" and "the file after the change was not read" in str(first[1])
        assert second == ("b.py", "b.py", False)

    def test_a_missing_tree_cannot_be_finished(self, scratch: Scratch) -> None:
        base = scratch.commit({"d/a.py": "x\n"})
        head = scratch.commit({"d/a.py": "y\n"})
        loose_object(scratch, scratch.git("rev-parse", f"{base}:d")).unlink()
        with pytest.raises(Unfinished, match=r"tree [0-9a-f]+ cannot be read: the object is missing"):
            items(scratch.request("range", base=base, head=head))

    @pytest.mark.parametrize("rows", [("a", "a"), ("..",), (".git",), (".GIT",)])
    def test_malformed_trees_cannot_be_finished(self, plain: Scratch, rows: tuple[str, ...]) -> None:
        base = plain.commit({"x": "1"})
        blob = bytes.fromhex(plain.git("rev-parse", "HEAD:x"))
        data = b"".join(b"100644 " + row.encode() + b"\0" + blob for row in rows)
        tree = plain.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)
        with pytest.raises(Unfinished, match=r"malformed|holds an entry named"):
            items(plain.request("range", base=base, head=plain.commit_tree(tree)))

    def test_a_slash_in_a_name_is_malformed(self) -> None:
        with pytest.raises(Unfinished, match="malformed"):
            trees_module.parse_tree(b"100644 a/b\0" + bytes(20), "1" * 40)
        with pytest.raises(Unfinished, match="malformed"):
            trees_module.parse_tree(b"100644 a\0" + bytes(19), "1" * 40)

    def test_a_tree_bomb_cannot_be_finished(self, plain: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ten levels of trees that hold the next one ten times: 10**10 files in eleven objects."""
        monkeypatch.setattr(trees_module, "MAX_CHANGES", 1000)
        base = plain.commit({"x": "1"})
        mode, name = "100644 blob", plain.git("rev-parse", "HEAD:x")
        for _ in range(10):
            rows = "".join(f"{mode} {name}\t{digit}\n" for digit in range(10))
            mode, name = "040000 tree", plain.git("mktree", stdin=rows.encode())
        with pytest.raises(Unfinished, match="more than 1000 changed files"):
            items(plain.request("range", base=base, head=plain.commit_tree(name)))

    def test_a_bomb_of_empty_trees_cannot_be_finished(
        self, plain: Scratch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trees_module, "MAX_TREES", 1000)
        base, name = plain.commit({"x": "1"}), plain.git("mktree")
        for _ in range(10):
            rows = "".join(f"040000 tree {name}\t{digit}\n" for digit in range(10))
            name = plain.git("mktree", stdin=rows.encode())
        with pytest.raises(Unfinished, match="too deep or too wide"):
            items(plain.request("range", base=base, head=plain.commit_tree(name)))

    def test_a_very_deep_tree_cannot_be_finished(self, plain: Scratch) -> None:
        base = plain.commit({"x": "1"})
        plain.git("fast-import", "--quiet", stdin=deep_import(3000))
        with pytest.raises(Unfinished, match="too deep or too wide"):
            items(plain.request("range", base=base, head="refs/heads/deep"))


def deep_import(depth: int) -> bytes:
    path = "/".join(["d"] * depth) + "/f"
    commit = "commit refs/heads/deep\ncommitter A <a@example.org> 0 +0000\ndata 0\n"
    return f"{commit}M 100644 inline {path}\ndata 1\nx\n".encode()


class TestMany:
    def test_five_thousand_changed_files(self, plain: Scratch) -> None:
        before = {f"d{number % 50}/f{number}.py": f"value = {number}\n" for number in range(5000)}
        base = self.import_commit(plain, "one", before)
        head = self.import_commit(plain, "two", {path: data + "more = 1\n" for path, data in before.items()})
        found = items(plain.request("range", base=base, head=head))
        assert len(found) == 5000
        assert [item.path for item in found] == sorted(before)
        assert all(isinstance(item, FilePair) and item.before and item.after for item in found)

    def test_five_thousand_moved_files(self, plain: Scratch) -> None:
        """Half of them alike to the byte among themselves, the other half edited on the way."""
        before = {f"old/{number % 50}/f{number}.py": self.body(number) for number in range(5000)}
        after = {
            path.replace("old/", "new/"): data + "extra = 1\n" * (int(path.partition("/f")[2][:-3]) % 2)
            for path, data in before.items()
        }
        base, head = self.import_commit(plain, "one", before), self.import_commit(plain, "two", after)
        found = brief(plain.request("range", base=base, head=head))
        assert found == [(path.replace("new/", "old/"), path, False) for path in sorted(after)]

    @staticmethod
    def body(number: int) -> str:
        return "".join(f"line_{row} = {number * (number % 2)}\n" for row in range(8))

    @staticmethod
    def import_commit(scratch: Scratch, branch: str, files: dict[str, str]) -> str:
        stream = [f"commit refs/heads/{branch}\ncommitter A <a@example.org> 0 +0000\ndata 0\n"]
        stream += [f"M 100644 inline {path}\ndata {len(data)}\n{data}\n" for path, data in files.items()]
        scratch.git("fast-import", "--quiet", stdin="".join(stream).encode())
        return scratch.git("rev-parse", branch)


class TestClones:
    @pytest.fixture
    def origin(self, plain: Scratch) -> Iterator[Scratch]:
        plain.commit({"d/a.py": "1\n", "b.py": "x\n"}, "first")
        plain.commit({"d/a.py": "2\n"}, "second")
        plain.commit({"d/a.py": "3\n"}, "third")
        plain.git("config", "uploadpack.allowFilter", "true")
        yield plain

    def clone(self, origin: Scratch, *options: str) -> Path:
        target = origin.path.parent / "clone"
        run(
            origin.path.parent, "clone", "-q", "--no-checkout", *options, f"file://{origin.path}", str(target)
        )
        return target

    @pytest.mark.parametrize("options", [(), ("--bare",), ("--mirror",)])
    def test_bare_and_whole_clones(self, origin: Scratch, options: tuple[str, ...]) -> None:
        path = self.clone(origin, *options)
        assert brief(Request(str(path), "range", "HEAD~1", "HEAD")) == [("d/a.py", "d/a.py", False)]

    def test_a_bare_clone_has_no_worktree(self, origin: Scratch) -> None:
        path = self.clone(origin, "--bare")
        for request in (Request(str(path), "worktree"), Request(str(path), "files", files=("b.py",))):
            with pytest.raises(Misuse, match="is not in a worktree") as caught:
                open_source(request)
            assert "--base" in caught.value.hint

    def test_a_shallow_clone_reads_what_it_has(self, origin: Scratch) -> None:
        path = self.clone(origin, "--depth=2")
        assert brief(Request(str(path), "range", "HEAD~1", "HEAD")) == [("d/a.py", "d/a.py", False)]
        with pytest.raises(Misuse, match="unknown revision 'HEAD~2'") as caught:
            open_source(Request(str(path), "range", "HEAD~2", "HEAD"))
        assert "--unshallow" in caught.value.hint

    def test_a_partial_clone_is_never_completed(self, origin: Scratch) -> None:
        path = self.clone(origin, "--filter=blob:none")
        run(path, "config", "protocol.file.allow", "always")
        missing = run(path, "rev-list", "--objects", "--missing=print", "--all")
        (row,) = brief(Request(str(path), "range", "HEAD~1", "HEAD"))
        assert row[0] == "d/a.py" and "missing here (partial clone)" in str(row[1])
        assert run(path, "rev-list", "--objects", "--missing=print", "--all") == missing
        assert "?" in missing

    def test_a_clone_without_trees_cannot_be_finished(self, origin: Scratch) -> None:
        path = self.clone(origin, "--filter=tree:0")
        with pytest.raises(Unfinished, match="partial clone"):
            items(Request(str(path), "range", "HEAD~1", "HEAD"))

    def test_borrowed_objects_are_found(self, origin: Scratch) -> None:
        path = self.clone(origin, "--shared")
        assert brief(Request(str(path), "range", "HEAD~1", "HEAD")) == [("d/a.py", "d/a.py", False)]


class TestTheRestOfASource:
    def test_policy_messages_and_presence(self, scratch: Scratch) -> None:
        policy = scratch.commit({".trainwarden.yml": "mode: enforce\n", "a.py": "1\n"}, "base")
        scratch.commit({".trainwarden.yml": "mode: observe\n"}, "soften\n\nbody")
        scratch.commit({"d/b.py": "2\n"}, "add")
        with_default = open_source(scratch.request("range", base="HEAD~1", head="HEAD"), policy)
        by_base = open_source(scratch.request("range", base="HEAD~1", head="HEAD"))
        assert with_default.trusted(".trainwarden.yml") == b"mode: enforce\n"
        assert by_base.trusted(".trainwarden.yml") == b"mode: observe\n"
        assert by_base.trusted("d/b.py") is None and by_base.trusted("d") is None
        assert by_base.head_exists("d/b.py") and not by_base.head_exists("d")
        assert not by_base.head_exists("b.py") and not by_base.head_exists("a.py/x")
        assert by_base.messages() == ("add\n",)
        for source in (with_default, by_base):
            source.close()
            source.close()

    def test_messages_of_the_empty_base_are_all(self, plain: Scratch) -> None:
        plain.commit({"a": "1"}, "one")
        plain.commit({"a": "2"}, "two")
        source = open_source(plain.request("range", base="empty", head="HEAD"))
        assert source.messages() == ("two\n", "one\n")
        source.close()

    def test_an_overlay_removes_and_adds(self, plain: Scratch) -> None:
        plain.commit({"a.py": "1\n", "b.py": "2\n"})
        head = plain.commit({"b.py": "3\n", "c.py": "4\n"})
        files = {"c.py": None, "b.py": (0o100644, b"2\n"), "d.py": (0o100755, b"5\n")}
        source = open_source(plain.request("overlay", base="HEAD~1", head=head, overlay=Overlay(files)))
        assert list(source.pairs()) == [FilePair(None, FileVersion("d.py", 0o100755, b"5\n"))]
        assert source.head_exists("d.py") and source.head_exists("a.py") and not source.head_exists("c.py")
        source.close()


class TestMisuse:
    @pytest.mark.parametrize(
        ("kind", "fields", "message"),
        [
            ("range", {}, "range needs base and head"),
            ("range", {"base": "HEAD"}, "range needs head"),
            ("staged", {"head": "HEAD"}, "staged does not go with head"),
            ("worktree", {"patch": b""}, "worktree does not go with patch"),
            ("patch", {"files": ("a",)}, "patch needs patch"),
            ("files", {}, "files needs files"),
            ("overlay", {"base": "HEAD", "head": "HEAD"}, "overlay needs overlay"),
            ("other", {}, "unknown kind of request 'other'"),
            ("range", {"base": "nope", "head": "HEAD"}, "unknown revision 'nope'"),
            ("range", {"base": "HEAD", "head": ""}, "unknown revision ''"),
            ("range", {"base": "HEAD", "head": "HEAD\nHEAD"}, r"unknown revision 'HEAD\nHEAD'"),
            ("range", {"base": "HEAD", "head": "--all"}, "unknown revision '--all'"),
            ("range", {"base": "HEAD", "head": "HEAD:a.py"}, "unknown revision 'HEAD:a.py'"),
            ("range", {"base": "1" * 40, "head": "HEAD"}, f"unknown revision '{'1' * 40}'"),
            ("staged", {"policy": "nope"}, "unknown revision 'nope'"),
        ],
    )
    def test_requests_that_make_no_sense(
        self, plain: Scratch, kind: str, fields: dict[str, object], message: str
    ) -> None:
        plain.commit({"a.py": "x\n"})
        with pytest.raises(Misuse) as caught:
            open_source(plain.request(kind, **fields))
        assert message in str(caught.value)
        assert caught.value.hint
        assert "\n" not in str(caught.value) + caught.value.hint

    def test_not_a_repository(self, tmp_path: Path) -> None:
        with pytest.raises(Misuse, match="is not a git repository"):
            open_source(Request(str(tmp_path), "staged"))
        with pytest.raises(Misuse, match="is not a directory"):
            open_source(Request(str(tmp_path / "nope"), "staged"))

    def test_a_broken_repository(self, plain: Scratch) -> None:
        plain.commit({"a": "1"})
        (plain.path / ".git" / "config").write_text("[core\n")
        with pytest.raises(Misuse, match="cannot be opened: bad config line 1"):
            open_source(plain.request("staged"))

    def test_no_git(self, plain: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copy("/bin/true", plain.path / "git")
        monkeypatch.chdir(plain.path)
        monkeypatch.setenv("PATH", f".{os.pathsep}")
        with pytest.raises(Misuse, match="git is not installed"):
            open_source(plain.request("staged"))
