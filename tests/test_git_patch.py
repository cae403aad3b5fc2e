"""Patches as a door: what applies is read, what does not is misuse, and the repository is left as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from git_scratch import Scratch, brief, items, run
from trainwarden.git import open_source
from trainwarden.model import FilePair, FileVersion, Misuse, Request

LINES = "".join(f"{number}\n" for number in range(20))


@pytest.fixture(params=["sha1", "sha256"])
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / 're:po "x', request.param)
    made.commit({"a.py": LINES, "data.bin": bytes(range(256)) * 8, "run": "x\n"})
    return made


def patch_of(scratch: Scratch, *options: str) -> bytes:
    """What is staged, as a patch, and the index put back."""
    target = scratch.path.parent / "patch"
    scratch.git("diff", "--cached", f"--output={target}", *options, "HEAD")
    scratch.git("reset", "-q", "--hard")
    return target.read_bytes()


def files_below(path: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_binary_deltas_modes_renames_and_links(scratch: Scratch) -> None:
    scratch.write({"data.bin": bytes(range(256)) * 8 + b"more", "new.bin": b"\0\1\2", "a.py": None})
    scratch.write({"b.py": LINES.replace("7\n", "seven\n")})
    (scratch.path / "run").chmod(0o755)
    (scratch.path / "link").symlink_to("run")
    scratch.git("add", "-A")
    patch = patch_of(scratch, "--binary", "-M")
    assert b"GIT binary patch" in patch and b"rename from" in patch and b"old mode" in patch
    before = files_below(scratch.path)
    found = items(scratch.request("patch", patch=patch))
    assert found[0] == FilePair(
        FileVersion("a.py", 0o100644, LINES.encode()),
        FileVersion("b.py", 0o100644, LINES.replace("7\n", "seven\n").encode()),
    )
    assert brief(scratch.request("patch", patch=patch))[1:] == [
        ("data.bin", "data.bin", False),
        ("link", "nothing -> symbolic link to 'run'"),
        (None, "new.bin", False),
        ("run", "run", False),
    ]
    assert files_below(scratch.path) == before


@pytest.mark.parametrize("patch", [b"", b"\n \n"])
def test_an_empty_patch_changes_nothing(scratch: Scratch, patch: bytes) -> None:
    assert items(scratch.request("patch", patch=patch)) == []


def test_a_plain_diff_without_git_headers(scratch: Scratch) -> None:
    patch = b"--- a/run\n+++ b/run\n@@ -1 +1,2 @@\n x\n+y\n\\ No newline at end of file\n"
    (pair,) = items(scratch.request("patch", patch=patch))
    assert isinstance(pair, FilePair) and pair.after == FileVersion("run", 0o100644, b"x\ny")


def test_on_another_base_and_in_a_bare_clone(scratch: Scratch, tmp_path: Path) -> None:
    base = scratch.git("rev-parse", "HEAD")
    scratch.write({"run": "y\n"})
    scratch.git("add", "-A")
    patch = patch_of(scratch)
    scratch.commit({"run": "z\n", "other.py": "1\n"})
    with pytest.raises(Misuse, match="the patch does not apply"):
        open_source(scratch.request("patch", patch=patch))
    bare = tmp_path / "bare.git"
    run(tmp_path, "clone", "-q", "--bare", "--shared", str(scratch.path), str(bare))
    for path in (scratch.path, bare):
        source = open_source(Request(str(path), "patch", base, patch=patch))
        assert (source.revisions.base, source.revisions.head) == (base, "patch")
        assert [item.path for item in source.pairs()] == ["run"]
        assert source.head_exists("a.py") and not source.head_exists("other.py")
        assert source.trusted("run") == b"x\n" and source.messages() == ()
        source.close()


@pytest.mark.parametrize(
    "patch",
    [
        b"no patch at all\n",
        b"--- a/nope\n+++ b/nope\n@@ -1 +1 @@\n-x\n+y\n",
        b"--- a/run\n+++ b/run\n@@ -1 +1 @@\n-other\n+y\n",
        b"--- a/run\n+++ b/run\n@@ -1,9 +1 @@\n-x\n+y\n",
        b"--- a/../../out\n+++ b/../../out\n@@ -0,0 +1 @@\n+y\n",
        b"--- /dev/null\n+++ b/.git/hooks/pre-commit\n@@ -0,0 +1 @@\n+y\n",
        b"diff --git a/data.bin b/data.bin\nindex 1111111..2222222 100644\nBinary files differ\n",
    ],
)
def test_what_does_not_apply_is_misuse(scratch: Scratch, patch: bytes) -> None:
    with pytest.raises(Misuse, match="the patch does not apply: ") as caught:
        open_source(scratch.request("patch", patch=patch))
    assert "--base" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_white_space_settings_of_the_repository_change_nothing(scratch: Scratch) -> None:
    scratch.git("config", "apply.whitespace", "fix")
    scratch.git("config", "apply.ignoreWhitespace", "change")
    patch = b"--- a/run\n+++ b/run\n@@ -1 +1,2 @@\n x\n+y  \t\n"
    (pair,) = items(scratch.request("patch", patch=patch))
    assert isinstance(pair, FilePair) and pair.after and pair.after.data == b"x\ny  \t\n"


def test_context_must_match_to_the_blank(scratch: Scratch) -> None:
    scratch.git("config", "apply.ignoreWhitespace", "change")
    scratch.commit({"run": "if x:\n    y\n"})
    patch = b"--- a/run\n+++ b/run\n@@ -1,2 +1,3 @@\n if x:\n   y\n+z\n"
    with pytest.raises(Misuse, match="the patch does not apply"):
        open_source(scratch.request("patch", patch=patch))


def test_scratch_files_are_removed(scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch_directory = tmp_path / "scratch"
    scratch_directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch_directory))
    source = open_source(scratch.request("patch", patch=b""))
    assert len(list(scratch_directory.iterdir())) == 1
    source.close()
    with pytest.raises(Misuse):
        open_source(scratch.request("patch", patch=b"garbage"))
    assert list(scratch_directory.iterdir()) == []
