"""A repository opened for reading: names, files, objects, history and commit lists, against plain git's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_scratch import Scratch, run
from trainwarden.git import Repository
from trainwarden.git.log import LONGEST_TOKEN
from trainwarden.git.objects import Found, Objects, Unavailable
from trainwarden.git.trees import Entry, RawChange
from trainwarden.model import Misuse, Unfinished


@pytest.fixture(params=["sha1", "sha256"])
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / "repo", request.param)
    made.commit({"a.py": "1\n", "d/e/f g.py": "2\n", "\udcff\n.py": "3\n"}, "first")
    return made


class TestReading:
    def test_resolve(self, scratch: Scratch) -> None:
        head, tree = scratch.git("rev-parse", "HEAD"), scratch.git("rev-parse", "HEAD^{tree}")
        scratch.git("tag", "-a", "-m", "t", "v1")
        with Repository(str(scratch.path)) as repository:
            assert (
                repository.resolve("HEAD") == repository.resolve("v1") == repository.resolve(head[:8]) == head
            )
            assert repository.resolve(tree) == repository.resolve("HEAD^{tree}") == tree
            assert repository.resolve("empty") == scratch.git("mktree")
            with pytest.raises(Misuse, match=r"unknown revision 'HEAD:a\.py'"):
                repository.resolve("HEAD:a.py")

    def test_read(self, scratch: Scratch) -> None:
        (scratch.path / "link").symlink_to("a.py")
        head = scratch.commit({})
        with Repository(str(scratch.path / "d")) as repository:
            for revision in ("HEAD", head, f"{head}^{{tree}}"):
                assert repository.read(revision, "d/e/f g.py") == b"2\n"
                assert repository.read(revision, "\udcff\n.py") == b"3\n"
                assert repository.read(revision, "link") == b"a.py"
                for absent in ("nope", "d", "d/e", "a.py/x", "", "d//e", "./a.py", "../a.py"):
                    assert repository.read(revision, absent) is None

    def test_a_file_whose_contents_are_missing(self, scratch: Scratch) -> None:
        name = scratch.git("rev-parse", "HEAD:a.py")
        (scratch.path / ".git" / "objects" / name[:2] / name[2:]).unlink()
        with Repository(str(scratch.path)) as repository:
            with pytest.raises(Unfinished, match=r"a\.py cannot be read: the object is missing"):
                repository.read("HEAD", "a.py")
            assert repository.blob(name) == Unavailable("the object is missing", missing=True)
            assert repository.blob(scratch.git("rev-parse", "HEAD:d/e/f g.py")) == b"2\n"
            assert repository.blob(scratch.git("rev-parse", "HEAD:d")) == Unavailable("the object is a tree")

    def test_objects_over_the_limit_are_left_alone(self, scratch: Scratch) -> None:
        data = bytes(3_000_000)
        name = scratch.git("hash-object", "-w", "--stdin", stdin=data)
        with Repository(str(scratch.path)) as repository:
            assert repository.blob(name, 1000) == Unavailable(
                "3000000 bytes, more than the 1000 that are read"
            )
            assert repository.blob(name) == data
            assert repository.blob(name, 1000) != data
            repository.close()
            assert repository.blob(name) == data

    def test_a_killed_process_is_replaced(self, scratch: Scratch) -> None:
        with Repository(str(scratch.path)) as repository:
            repository.resolve("HEAD")
            process = repository.objects._process
            assert process is not None
            process.kill()
            process.wait()
            assert repository.read("HEAD", "a.py") == b"1\n"

    def test_names_that_would_confuse_the_protocol(self, scratch: Scratch) -> None:
        with Repository(str(scratch.path)) as repository:
            objects: Objects = repository.objects
            for name in ("HEAD\nHEAD", "", "a\0b", "HEAD HEAD", "HEAD:a b", " ", "missing", "%(objectname)"):
                found = objects.get(name)
                assert isinstance(found, Unavailable) and found.missing
            assert isinstance(objects.get("HEAD"), Found)


class TestHistory:
    def test_raw_changes_are_gits(self, scratch: Scratch) -> None:
        width = len(scratch.git("rev-parse", "HEAD"))
        second = scratch.commit({"a.py": "9\n", "d/e/f g.py": None, "n\new.py": "2\n"}, "second\n\nline: 2\n")
        with Repository(str(scratch.path)) as repository:
            newest, oldest = repository.history()
        assert (newest.sha, newest.parents) == (second, (oldest.sha,))
        assert (newest.message, newest.author_email, newest.time) == (
            "second\n\nline: 2\n",
            "a@example.org",
            1767225600,
        )
        two = Entry(0o100644, scratch.git("rev-parse", "HEAD:n\new.py"))
        assert newest.changes == (
            RawChange(
                "a.py",
                Entry(0o100644, scratch.git("rev-parse", "HEAD~1:a.py")),
                Entry(0o100644, scratch.git("rev-parse", "HEAD:a.py")),
            ),
            RawChange("d/e/f g.py", two, None),
            RawChange("n\new.py", None, two),
        )
        assert oldest.changes == () and len(oldest.sha) == width

    def test_odd_messages_and_empty_commits(self, scratch: Scratch) -> None:
        messages = ["", ":100644 100644 a b M", "\n\n:x", "caf\u00e9", "two\n\n\nthree"]
        for message in messages:
            tree, parent = scratch.git("rev-parse", "HEAD^{tree}"), scratch.git("rev-parse", "HEAD")
            name = scratch.git("commit-tree", tree, "-p", parent, stdin=message.encode())
            scratch.git("update-ref", "HEAD", name)
        with Repository(str(scratch.path)) as repository:
            found = [commit.message.strip("\n") for commit in repository.history(limit=len(messages))]
        assert found == [message.strip("\n") for message in reversed(messages)]

    def test_messages_in_other_encodings(self, scratch: Scratch) -> None:
        tree, parent = scratch.git("rev-parse", "HEAD^{tree}"), scratch.git("rev-parse", "HEAD")
        words = ("-c", "i18n.commitEncoding=latin-1", "commit-tree", tree, "-p", parent)
        latin = scratch.git(*words, stdin="caf\u00e9".encode("latin-1"))
        broken = scratch.git("commit-tree", tree, "-p", latin, stdin=b"caf\xe9")
        with Repository(str(scratch.path)) as repository:
            assert repository.messages(parent, broken) == ("caf\u00e9", "caf\u00e9")

    def test_a_huge_message_is_cut(self, scratch: Scratch) -> None:
        parent = scratch.git("rev-parse", "HEAD")
        tree = scratch.git("rev-parse", "HEAD^{tree}")
        head = scratch.git("commit-tree", tree, "-p", parent, stdin=b"word " * 1_000_000)
        with Repository(str(scratch.path)) as repository:
            (message,) = repository.messages(parent, head)
            assert len(message) == LONGEST_TOKEN and message.startswith("word word ")
            assert [commit.sha for commit in repository.history(head)] == [head, parent]

    def test_merges_and_limits(self, scratch: Scratch) -> None:
        first = scratch.git("rev-parse", "HEAD")
        scratch.git("checkout", "-q", "-b", "side")
        side = scratch.commit({"side.py": "1\n"})
        scratch.git("checkout", "-q", "main")
        main = scratch.commit({"a.py": "2\n"})
        scratch.git("merge", "-q", "-m", "merge", "side")
        last = scratch.commit({"a.py": "3\n"})
        merge = scratch.git("rev-parse", "HEAD~1")
        with Repository(str(scratch.path)) as repository:
            assert {commit.sha for commit in repository.history()} == {first, side, main, last}
            assert [commit.sha for commit in repository.history(limit=1)] == [last]
            assert [commit.sha for commit in repository.history("side")] == [side, first]
            empty = scratch.git("mktree")
            assert repository.first_parent_commits() == [(merge, last), (first, main), (empty, first)]
            assert repository.first_parent_commits(1) == [(merge, last)]
            assert repository.first_parent_commits(tip="side") == [(first, side), (empty, first)]

    def test_a_shallow_clone_lists_what_it_can_compare(self, scratch: Scratch, tmp_path: Path) -> None:
        for number in range(3):
            scratch.commit({"a.py": f"{number}{number}\n"})
        path = tmp_path / "clone.git"
        run(tmp_path, "clone", "-q", "--bare", "--depth=2", f"file://{scratch.path}", str(path))
        base, head = scratch.git("rev-parse", "HEAD~1"), scratch.git("rev-parse", "HEAD")
        with Repository(str(path)) as repository:
            assert repository.first_parent_commits() == [(base, head)]
            assert [(commit.sha, len(commit.changes)) for commit in repository.history()] == [
                (head, 1),
                (base, 0),
            ]

    def test_a_history_with_holes_cannot_be_finished(self, scratch: Scratch) -> None:
        gone = scratch.git("rev-parse", "HEAD")
        scratch.commit({"a.py": "2\n"})
        (scratch.path / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
        with (
            Repository(str(scratch.path)) as repository,
            pytest.raises(Unfinished, match="history cannot be read"),
        ):
            list(repository.history())


class TestSince:
    @pytest.mark.parametrize(
        "since",
        [
            "yesterdayish",
            "2026",
            "now; rm",
            "--all",
            "",
            "2026-01-01 \n",
            "3 weeks",
            "9999 years ago",
            "2026-02-30",
        ],
    )
    def test_what_git_would_read_as_now_is_misuse(self, scratch: Scratch, since: str) -> None:
        with Repository(str(scratch.path)) as repository, pytest.raises(Misuse, match="is not a date"):
            repository.first_parent_commits(since=since)

    @pytest.mark.parametrize(
        ("since", "count"),
        [
            ("2025-12-31", 1),
            ("2026-01-01T00:00:00Z", 1),
            ("2026-01-02", 0),
            ("2026-01-01T01:00:00+02:00", 1),
            ("2026-01-01T00:00:01", 0),
            ("99 years ago", 1),
        ],
    )
    def test_dates(self, scratch: Scratch, since: str, count: int) -> None:
        with Repository(str(scratch.path)) as repository:
            assert len(repository.first_parent_commits(since=since)) == count
