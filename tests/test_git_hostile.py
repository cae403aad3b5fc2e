"""Repositories and environments that try to run a program or to bend what is read: none of it takes effect.

Every trap touches a file of its own. The traps are shown to be sharp with plain git first, and to spring when
the settings or the environment in ``trainwarden.git.process`` are removed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from git_scratch import ENVIRONMENT, Scratch, brief, items, run
from trainwarden.git import Repository, open_source, process
from trainwarden.model import FilePair, FileVersion, Misuse, Overlay, Request, Unread


class Traps:
    """Programs that leave a file behind when they are run."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "programs"
        self.sprung = directory / "sprung"
        self.programs.mkdir(parents=True)
        self.sprung.mkdir()

    def program(self, name: str) -> str:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n: > '{self.sprung / name}'\nexit 1\n")
        path.chmod(0o755)
        return str(path)

    def names(self) -> set[str]:
        return {path.name for path in self.sprung.iterdir()}


@pytest.fixture
def traps(tmp_path: Path) -> Traps:
    return Traps(tmp_path / "traps")


@pytest.fixture
def armed(tmp_path: Path, traps: Traps) -> Scratch:
    """A repository whose every door has a trap on it, with a change of each kind waiting."""
    scratch = Scratch(tmp_path / "repo")
    attributes = "*.py diff=trap filter=trap\n"
    scratch.commit({".gitattributes": attributes, "a.py": "x = 1\n", "b.py": "y = 1\n"}, "first")
    scratch.commit({"a.py": "x = 2\n"}, "second")
    sign(scratch)
    config = {
        "core.fsmonitor": traps.program("fsmonitor"),
        "core.hooksPath": str(traps.programs),
        "core.pager": traps.program("pager"),
        "core.sshCommand": traps.program("ssh"),
        "diff.external": traps.program("external"),
        "diff.trap.command": traps.program("command"),
        "diff.trap.textconv": traps.program("textconv"),
        "filter.trap.clean": traps.program("clean"),
        "filter.trap.smudge": traps.program("smudge"),
        "gpg.program": traps.program("gpg"),
        "log.showSignature": "true",
        "alias.cat-file": "!" + traps.program("alias"),
        "alias.log": "!" + traps.program("alias"),
    }
    for hook in ("post-index-change", "pre-auto-gc", "post-checkout", "reference-transaction"):
        traps.program(hook)
    with (scratch.path / ".git" / "config").open("a") as file:
        for name, value in config.items():
            section, _, key = name.rpartition(".")
            kind, _, what = section.partition(".")
            file.write(f'[{kind} "{what}"]\n' if what else f"[{kind}]\n")
            file.write(f'\t{key} = "{value}"\n')
    for path in (scratch.path / "a.py", scratch.path / "b.py"):
        path.write_text(path.read_text().replace("= ", "= 1"))
    return scratch


def sign(scratch: Scratch) -> None:
    """Gives HEAD a (worthless) signature, so that git would call gpg to check it."""
    body = scratch.git("cat-file", "commit", "HEAD").encode()
    head, message = body.split(b"\n\n", 1)
    mark = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----"
    data = head + b"\n" + mark + b"\n\n" + message + b"\n"
    name = scratch.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data)
    scratch.git("update-ref", "HEAD", name)


PATCH = b"--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-y = 1\n+y = 3\n"


def everything(scratch: Scratch) -> None:
    """All that the git room can do with a repository."""
    overlay = Overlay({"b.py": (0o100644, b"z\n")})
    requests = (
        scratch.request("range", base="HEAD~1", head="HEAD"),
        scratch.request("overlay", base="HEAD~1", head="HEAD", overlay=overlay),
        scratch.request("staged"),
        scratch.request("worktree"),
        scratch.request("files", files=("a.py", "b.py")),
        scratch.request("patch", patch=PATCH),
    )
    for request in requests:
        source = open_source(request)
        assert [item for item in source.pairs() if isinstance(item, FilePair)] or request.kind == "staged"
        source.messages()
        source.trusted("a.py")
        source.head_exists("a.py")
        source.close()
    with Repository(str(scratch.path)) as repository:
        assert list(repository.history()) and repository.first_parent_commits()


def test_nothing_of_the_repository_runs(armed: Scratch, traps: Traps) -> None:
    everything(armed)
    assert traps.names() == set()


def test_the_traps_are_sharp(armed: Scratch, traps: Traps) -> None:
    """Plain git, called as a careless tool would, springs them."""
    for words in (
        ("status",),
        ("diff",),
        ("diff", "--no-ext-diff", "HEAD~1", "HEAD"),
        ("log", "-1"),
        ("add", "a.py"),
        ("checkout", "-f", "HEAD", "--", "b.py"),
    ):
        subprocess.run(["git", *words], cwd=armed.path, env=ENVIRONMENT, capture_output=True, check=False)
    expected = {"command", "textconv", "gpg", "post-index-change", "fsmonitor", "smudge", "clean"}
    assert traps.names() >= expected


@pytest.mark.parametrize(
    ("settings", "sprung"),
    [
        ({"core.fsmonitor"}, "fsmonitor"),
        ({"core.hooksPath"}, "post-index-change"),
        ({"log.showSignature", "gpg.program"}, "gpg"),
    ],
)
def test_without_its_setting_a_trap_springs(
    armed: Scratch, traps: Traps, monkeypatch: pytest.MonkeyPatch, settings: set[str], sprung: str
) -> None:
    kept = tuple(each for each in process._SETTINGS if each.partition("=")[0] not in settings)
    assert len(kept) == len(process._SETTINGS) - len(settings)
    monkeypatch.setattr(process, "_SETTINGS", kept)
    everything(armed)
    assert traps.names() == {sprung}


class TestLazyFetch:
    @pytest.fixture
    def partial(self, tmp_path: Path, traps: Traps) -> Path:
        """A partial clone whose remote is a program, and whose config allows that."""
        origin = Scratch(tmp_path / "origin")
        origin.commit({"a.py": "1\n"})
        origin.commit({"a.py": "2\n"})
        origin.git("config", "uploadpack.allowFilter", "true")
        path = tmp_path / "clone"
        run(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{origin.path}", str(path))
        run(path, "config", "remote.origin.url", f"ext::{traps.program('remote')}")
        run(path, "config", "protocol.ext.allow", "always")
        return path

    def test_is_off(self, partial: Path, traps: Traps) -> None:
        assert [type(each) for each in items(Request(str(partial), "range", "HEAD~1", "HEAD"))] == [Unread]
        assert traps.names() == set()

    def test_would_run_the_remote(self, partial: Path, traps: Traps, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL"):
            monkeypatch.delitem(process._ENVIRONMENT, name)
        items(Request(str(partial), "range", "HEAD~1", "HEAD"))
        assert traps.names() == {"remote"}


@pytest.fixture
def two(tmp_path: Path) -> Scratch:
    scratch = Scratch(tmp_path / "repo")
    scratch.commit({"a.py": "1\n", "b.py": "same\n"}, "first")
    scratch.commit({"a.py": "2\n"}, "second")
    return scratch


CHANGED = [FilePair(FileVersion("a.py", 0o100644, b"1\n"), FileVersion("a.py", 0o100644, b"2\n"))]


def seen(scratch: Scratch) -> list[FilePair | Unread]:
    return items(scratch.request("range", base="HEAD~1", head="HEAD"))


class TestEnvironment:
    def test_the_callers_variables_have_no_effect(
        self, two: Scratch, traps: Traps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Scratch(tmp_path / "other")
        other.commit({"a.py": "other\n"})
        variables = {
            "GIT_DIR": str(other.path / ".git"),
            "GIT_COMMON_DIR": str(other.path / ".git"),
            "GIT_WORK_TREE": str(other.path),
            "GIT_OBJECT_DIRECTORY": str(other.path / ".git" / "objects"),
            "GIT_NAMESPACE": "other",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.fsmonitor",
            "GIT_CONFIG_VALUE_0": traps.program("fsmonitor"),
            "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
            "GIT_EXTERNAL_DIFF": traps.program("external"),
            "GIT_SSH_COMMAND": traps.program("ssh"),
            "GIT_PAGER": traps.program("pager"),
            "GIT_TRACE": str(traps.sprung / "trace"),
            "GIT_TRACE2": str(traps.sprung / "trace2"),
            "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
            "GIT_ICASE_PATHSPECS": "1",
            "GIT_CEILING_DIRECTORIES": str(tmp_path),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert seen(two) == CHANGED
        two.write({"b.py": "new\n"})
        assert brief(two.request("worktree")) == [("b.py", "b.py", False)]
        assert traps.names() == set()

    def test_the_callers_own_config_has_no_effect(
        self, two: Scratch, traps: Traps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        (home / "ignored").write_text("c.py\n")
        (home / ".gitconfig").write_text(
            f"[core]\n\tfsmonitor = {traps.program('fsmonitor')}\n\tbare = true\n"
            f"\texcludesFile = {home / 'ignored'}\n"
        )
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
        two.write({"b.py": "new\n", "c.py": "hidden from git status\n"})
        assert [name for _, name, *_ in brief(two.request("worktree"))] == ["b.py", "c.py"]
        assert traps.names() == set()

    def test_an_index_outside_the_repository_is_not_used(
        self, two: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        two.write({"b.py": "new\n"})
        two.git("add", "-A", GIT_INDEX_FILE=str(tmp_path / "index"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
        assert brief(two.request("staged")) == []
        (two.path / ".git" / "linked").symlink_to(tmp_path / "index")
        monkeypatch.setenv("GIT_INDEX_FILE", str(two.path / ".git" / "linked"))
        assert brief(two.request("staged")) == []

    def test_an_index_inside_the_repository_is_used(
        self, two: Scratch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        two.write({"b.py": "new\n"})
        index = str(two.path / ".git" / "index.lock")
        two.git("read-tree", "HEAD", GIT_INDEX_FILE=index)
        two.git("add", "-A", GIT_INDEX_FILE=index)
        monkeypatch.setenv("GIT_INDEX_FILE", index)
        assert brief(two.request("staged")) == [("b.py", "b.py", False)]
        monkeypatch.chdir(two.path)
        monkeypatch.setenv("GIT_INDEX_FILE", ".git/index.lock")
        assert brief(two.request("staged")) == [("b.py", "b.py", False)]


class TestBentObjects:
    def test_replacements_are_not_followed(self, two: Scratch) -> None:
        head = two.git("rev-parse", "HEAD")
        kinds = ("a.py", "")
        names = [two.git("rev-parse", f"HEAD{side}:{kind}") for kind in kinds for side in ("", "~1")]
        two.git("replace", names[0], names[1])
        two.git("replace", names[2], names[3])
        assert two.git("cat-file", "blob", "HEAD:a.py") == "1"
        assert seen(two) == CHANGED
        assert open_source(two.request("range", base="HEAD~1", head=head)).messages() == ("second\n",)

    def test_grafts_are_not_followed(self, two: Scratch) -> None:
        two.commit({"a.py": "3\n"}, "third")
        head, first = two.git("rev-parse", "HEAD"), two.git("rev-parse", "HEAD~2")
        grafts = two.path / ".git" / "info" / "grafts"
        grafts.parent.mkdir(exist_ok=True)
        grafts.write_text(f"{head} {first}\n")
        assert two.git("rev-list", "--count", "HEAD") == "2"
        with Repository(str(two.path)) as repository:
            assert len(list(repository.history())) == 3
            assert len(repository.first_parent_commits()) == 3
            assert repository.messages(first, head) == ("third\n", "second\n")

    def test_submodules_cannot_be_hidden(self, two: Scratch) -> None:
        two.commit({".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = x\n\tignore = all\n'})
        two.git("config", "diff.ignoreSubmodules", "all")
        two.git("config", "submodule.s.ignore", "all")
        base = two.git("rev-parse", "HEAD")
        two.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},s")
        expected = [("s", f"nothing -> submodule at commit {'1' * 40}")]
        assert brief(two.request("staged")) == expected
        head = two.commit_tree(two.git("write-tree"), base)
        assert brief(two.request("range", base=base, head=head)) == expected
        with Repository(str(two.path)) as repository:
            assert [change.path for change in next(repository.history(head)).changes] == ["s"]

    def test_attributes_and_diff_settings_do_not_hide_or_change(self, two: Scratch) -> None:
        (two.path / ".git" / "info").mkdir(exist_ok=True)
        (two.path / ".git" / "info" / "attributes").write_text(
            "* -diff text eol=crlf working-tree-encoding=UTF-16\n"
        )
        for name in ("diff.orderFile", "diff.relative", "core.quotePath", "diff.noprefix", "core.autocrlf"):
            two.git("config", name, "true")
        assert seen(two) == CHANGED

    def test_a_worktree_elsewhere_is_not_read(self, two: Scratch, tmp_path: Path) -> None:
        (tmp_path / "secret").mkdir()
        two.git("config", "core.worktree", str(tmp_path / "secret"))
        for request in (two.request("worktree"), two.request("files", files=("a.py",))):
            with pytest.raises(Misuse, match="worktree"):
                open_source(request)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a repository to another user")
class TestOwnership:
    @pytest.fixture
    def foreign(self, two: Scratch) -> Scratch:
        for path in (two.path, two.path / ".git"):
            os.chown(path, 12345, 12345)
        return two

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "home").mkdir()
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("SUDO_UID", raising=False)
        return tmp_path / "home"

    @pytest.mark.usefixtures("home")
    def test_anothers_repository_is_refused(self, foreign: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
        with pytest.raises(Misuse, match="belongs to another user") as caught:
            open_source(foreign.request("staged"))
        assert "safe.directory" in caught.value.hint

    def test_the_operator_can_allow_it(self, foreign: Scratch, home: Path) -> None:
        (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {foreign.path}\n")
        assert seen(foreign) == CHANGED
        foreign.write({"b.py": "new\n"})
        assert brief(foreign.request("worktree")) == [("b.py", "b.py", False)]
        (home / ".gitconfig").write_text("[safe]\n\tdirectory = /elsewhere\n")
        with pytest.raises(Misuse, match="belongs to another user"):
            seen(foreign)
