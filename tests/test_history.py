"""Inverses of old fixes, on real repositories: what is quiet, what is found, what incomplete clones give."""

import re
from contextlib import closing
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_repository import ENVIRONMENT, GitRepository
from trainwarden import history, lineage
from trainwarden import hunks as hunks_module
from trainwarden.git import Repository
from trainwarden.git.process import Git
from trainwarden.history import Inverse, open_history
from trainwarden.hunks import code_lines, differences, hunks
from trainwarden.lineage import names_a_fix, speaks_of_a_fix, word_of_a_fix
from trainwarden.model import FilePair, FileVersion, Misuse
from trainwarden.pipeline import _fix_undone

BUGGY = '''\
"""Trains."""

import torch


def train(loader, model, optimizer, steps):
    for batch in loader:
        optimizer.zero_grad()
        loss = model(batch).sum()
        loss.backward()
        optimizer.step()


def evaluate(loader, model):
    model.eval()
    return [model(batch) for batch in loader]
'''
FIXED = BUGGY.replace("model(batch).sum()", "model(batch).mean() / steps")


def commit(repository, message, files):
    repository.write(files)
    repository.git("add", "-A")
    repository.git("commit", "-q", "--allow-empty", "-m", message)
    return repository.git("rev-parse", "HEAD")


def pair(before, after, path="train.py", old=None):
    return FilePair(
        FileVersion(old or path, 0o100644, before.encode()), FileVersion(path, 0o100644, after.encode())
    )


def inverses(repository, *pairs, tip="HEAD"):
    """What a process says that asks for the first time (about paths), again (reads the line), and then remembers.

    The same must be said whatever git was told to expect before.
    """
    touched = [pair.before.path for pair in pairs if pair.before is not None]
    answers = []
    for expected in ([], touched, [*touched, "README.md", "other.py"], ["other.py"]):
        lineage._PASTS.clear()
        history._KEPT.clear()
        with Repository(str(repository.path)) as opened:
            for _ in range(3):
                with closing(open_history(opened, tip)) as past:
                    past.expect(expected)
                    answers.append((past.inverses(pairs), past.complete))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


@pytest.fixture
def repository(tmp_path):
    """main: the buggy file, its fix, and something unrelated on top."""
    made = GitRepository(tmp_path / "work", {"train.py": BUGGY})
    commit(made, "Fix the loss: it was not divided by the accumulation steps", {"train.py": FIXED})
    commit(made, "Words", {"README.md": "x\n"})
    return made


@pytest.mark.parametrize(
    "message",
    [
        "Add support for bf16",
        "Prefix the metric names",
        'Revert "Fix the loss"',
        "Back out the wrong fix",
        "  reapply fix of the loss",
        "Squash\n\n" + "* wip\n" * 6 + "* fix lint",
        "Debugging",
        "",
    ],
)
def test_does_not_speak_of_a_fix(message):
    assert not speaks_of_a_fix(message)


@pytest.mark.parametrize(
    "message",
    [
        "Fix the loss",
        "bugfix",
        "[trainer] fixes #12",
        "hot-fix for the sampler",
        "Loss was wrong",
        "Correct the scale",
        "Seed should be per rank",
        "Scale\n\nThe loss was off by one.",
        "typo in the mask",
    ],
)
def test_speaks_of_a_fix(message):
    assert speaks_of_a_fix(message)


def test_the_branch_name_of_a_merge_does_not_speak():
    assert not speaks_of_a_fix("Merge pull request #3 from a/fix-loss\n\nAdd bf16", merge=True)
    assert speaks_of_a_fix("Merge pull request #3 from a/loss\n\nFix loss", merge=True)


@pytest.mark.parametrize(
    ("message", "word", "named"),
    [
        ("Fix the loss", "Fix", True),
        ("[trainer] the mask was incorrect", "incorrect", True),
        ("Add flash attention\n\nand treat masks properly", "properly", False),
        ("Add the missing config", "missing", False),
        ("Merge pull request #3 from a/fix-loss\n\nFix loss", "Fix", False),
    ],
)
def test_a_weak_word_is_quoted_and_no_fix_is_named(message, word, named):
    """It fires all the same: only the words differ."""
    subject = message.partition("\n")[0]
    assert (word_of_a_fix(message, merge=message.startswith("Merge")), names_a_fix(subject)) == (word, named)
    told = _fix_undone(Inverse("train.py", (3, 3), (3, 3), "c0ffee" * 6, subject, 9, word)).message
    what = "fix" if named else f"change whose message speaks of “{word}”"
    assert told == f"This hunk takes back an earlier {what}: c0ffeec0ffee “{subject}”"


QUIET = {
    "the fix made again": (BUGGY, FIXED),
    "another value": (FIXED, FIXED.replace("mean() / steps", "mean() / 2")),
    "nothing but a comment": (FIXED, FIXED.replace("loss.backward()", "loss.backward()  # here")),
    "a new file": (None, BUGGY),
    "a deleted file": (FIXED, None),
    "an unrelated removal": (FIXED, FIXED.replace("    model.eval()\n", "")),
}


@pytest.mark.parametrize("name", QUIET)
def test_quiet(repository, name):
    before, after = (
        None if text is None else FileVersion("train.py", 0o100644, text.encode()) for text in QUIET[name]
    )
    assert inverses(repository, FilePair(before, after)) == ((), True)


UNDONE = FIXED.replace("model(batch).mean() / steps", "model(batch).sum()")
FOUND = {
    "as it was": (FIXED, UNDONE, (9, 9)),
    "with other edits beside": (FIXED, UNDONE.replace("model.eval()", "model.train()"), (9, 9)),
    "under a new comment": (
        FIXED,
        UNDONE.replace("        loss =", "        # simpler\n        loss ="),
        (10, 10),
    ),
    "in other white space": (FIXED, UNDONE.replace("loss = model(", "loss=model( "), (9, 9)),
    "after lines were added above": ("x = 1\n" * 9 + FIXED, "x = 1\n" * 9 + UNDONE, (18, 18)),
    "with other line ends": (FIXED.replace("\n", "\r\n"), UNDONE.replace("\n", "\r\n"), (9, 9)),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_fix_taken_back_is_found(repository, name):
    before, after, head = FOUND[name]
    (inverse,), complete = inverses(repository, pair(before, after))
    assert complete
    assert (inverse.path, inverse.head) == ("train.py", head)
    assert inverse.commit == repository.git("rev-parse", "HEAD~1")
    assert inverse.subject == "Fix the loss: it was not divided by the accumulation steps"
    assert inverse.tokens == 22


def test_a_renamed_file_is_followed_to_its_old_name(repository):
    (inverse,), _ = inverses(repository, pair(FIXED, UNDONE, path="new.py", old="train.py"))
    assert inverse.path == "new.py"


@pytest.mark.parametrize("message", ["Divide the loss by the steps", 'Revert "Fix nothing"'])
def test_a_commit_that_speaks_of_no_fix_is_not_one(tmp_path, message):
    made = GitRepository(tmp_path / "work", {"train.py": BUGGY})
    commit(made, message, {"train.py": FIXED})
    assert inverses(made, pair(FIXED, UNDONE)) == ((), True)


def test_a_test_file_is_left_out(tmp_path):
    made = GitRepository(tmp_path / "work", {"tests/test_train.py": BUGGY})
    commit(made, "Fix the loss", {"tests/test_train.py": FIXED})
    assert inverses(made, pair(FIXED, UNDONE, "tests/test_train.py")) == ((), True)


def test_less_than_six_tokens_is_chance(tmp_path):
    made = GitRepository(tmp_path / "work", {"a.py": "x = 1\n"})
    commit(made, "Fix", {"a.py": "x = 1\nstop = False\n"})
    assert inverses(made, pair("x = 1\nstop = False\n", "x = 1\n", "a.py")) == ((), True)


def test_small_hunks_of_one_fix_count_together(tmp_path):
    before, after = "a = 1\nb = 2\nc = 3\n", "a = 9\nb = 2\nc = 8\n"
    made = GitRepository(tmp_path / "work", {"a.py": before})
    commit(made, "Fix", {"a.py": after})
    found, _ = inverses(made, pair(after, before, "a.py"))
    assert [inverse.head for inverse in found] == [(1, 1), (3, 3)]


def test_a_statement_moved_back_is_found(tmp_path):
    fixed = BUGGY.replace("        optimizer.step()\n", "    optimizer.step()\n")
    moved = BUGGY.replace("        optimizer.zero_grad()\n", "").replace(
        "        optimizer.step()\n", "        optimizer.step()\n        optimizer.zero_grad()\n"
    )
    for good in (fixed, moved):
        made = GitRepository(tmp_path / str(len(good)), {"train.py": BUGGY})
        commit(made, "fix the order of steps", {"train.py": good})
        found, _ = inverses(made, pair(good, BUGGY))
        assert found


def test_a_removal_is_placed_on_the_line_after_the_gap(tmp_path):
    clipped = BUGGY.replace("loss.backward()\n", "loss.backward()\n        clip(model.parameters(), 1.0)\n")
    made = GitRepository(tmp_path / "work", {"train.py": BUGGY})
    commit(made, "Fix exploding loss", {"train.py": clipped})
    (inverse,), _ = inverses(made, pair(clipped, BUGGY))
    assert (inverse.base, inverse.head) == ((11, 11), (11, 11))


def test_a_large_commit_is_no_fix(tmp_path):
    many = "".join(f"value_{number} = compute({number})\n" for number in range(70))
    made = GitRepository(tmp_path / "work", {"train.py": BUGGY})
    commit(made, "Fix everything", {"train.py": FIXED + many})
    assert inverses(made, pair(FIXED + many, UNDONE + many)) == ((), True)


def test_only_history_that_the_tip_reaches_is_read(repository):
    first = repository.git("rev-parse", "HEAD~2")
    assert inverses(repository, pair(FIXED, UNDONE), tip=first) == ((), True)


def test_the_newest_fix_is_named(repository):
    commit(repository, "x", {"train.py": BUGGY})
    again = commit(repository, "Fix the loss again", {"train.py": FIXED})
    (inverse,), _ = inverses(repository, pair(FIXED, UNDONE))
    assert inverse.commit == again


def test_a_fix_that_came_by_a_merge_is_found(tmp_path):
    made = GitRepository(tmp_path / "work", {"train.py": BUGGY})
    made.git("checkout", "-q", "-b", "side")
    commit(made, "wip", {"train.py": FIXED})
    made.git("checkout", "-q", "main")
    commit(made, "Words", {"README.md": "x\n"})
    made.git("merge", "-q", "--no-ff", "-m", "Merge branch 'side'\n\nFix the loss", "side")
    (inverse,), _ = inverses(made, pair(FIXED, UNDONE))
    assert inverse.commit == made.git("rev-parse", "HEAD")


def test_the_window_ends(repository, monkeypatch):
    monkeypatch.setattr(lineage, "WINDOW", 1)
    assert inverses(repository, pair(FIXED, UNDONE)) == ((), True)
    monkeypatch.setattr(lineage, "WINDOW", 2)
    assert len(inverses(repository, pair(FIXED, UNDONE))[0]) == 1


def test_a_spent_budget_is_told(repository, monkeypatch):
    monkeypatch.setattr(history, "MOST_VERSIONS", 1)
    assert inverses(repository, pair(FIXED, UNDONE)) == ((), False)


def test_more_files_than_are_looked_at_are_told(repository, monkeypatch):
    pairs = [pair(FIXED, UNDONE, f"{name}.py") for name in "abc"]
    assert inverses(repository, *pairs) == ((), True)
    monkeypatch.setattr(history, "MOST_PATHS", 2)
    assert inverses(repository, *pairs) == ((), False)


def test_a_path_with_pattern_signs_is_taken_literally(tmp_path):
    made = GitRepository(tmp_path / "work", {"a[b]*.py": BUGGY, "ab.py": FIXED})
    commit(made, "Fix the loss", {"a[b]*.py": FIXED})
    assert len(inverses(made, pair(FIXED, UNDONE, "a[b]*.py"))[0]) == 1
    assert inverses(made, pair(FIXED, UNDONE, "ab.py")) == ((), True)


def test_a_shallow_clone_gives_fewer_inverses_and_no_failure(repository, tmp_path):
    repository.git("clone", "-q", "--depth", "1", f"file://{repository.path}", str(tmp_path / "shallow"))
    shallow = GitRepository.__new__(GitRepository)
    shallow.path = tmp_path / "shallow"
    assert inverses(shallow, pair(FIXED, UNDONE)) == ((), False)


def test_a_clone_without_the_old_version_says_that_it_is_incomplete(repository):
    import subprocess

    old = repository.git("rev-parse", "HEAD~2:train.py")
    objects = repository.path / ".git" / "objects" / old[:2] / old[2:]
    objects.unlink()
    assert inverses(repository, pair(FIXED, UNDONE)) == ((), False)
    assert subprocess.run(
        ["git", "-C", str(repository.path), "cat-file", "-e", old], env=ENVIRONMENT, check=False
    ).returncode


def found_now(path, *pairs, tip="HEAD"):
    """What the same process says later on."""
    with Repository(str(path)) as opened:
        past = open_history(opened, tip)
        return [inverse.subject for inverse in past.inverses(pairs)], past.complete


def test_fixes_that_came_after_the_line_was_read_are_found(repository):
    assert len(inverses(repository, pair(FIXED, UNDONE))[0]) == 1
    commit(repository, "Fix the loss once more", {"train.py": UNDONE})
    commit(repository, "Correct the loss", {"train.py": FIXED})
    assert found_now(repository.path, pair(FIXED, UNDONE)) == (["Correct the loss"], True)
    assert found_now(repository.path, pair(FIXED, UNDONE), tip="HEAD~2") == (
        ["Fix the loss: it was not divided by the accumulation steps"],
        True,
    )


def test_history_that_is_fetched_later_is_found(repository, tmp_path):
    url = f"file://{repository.path}"
    repository.git("clone", "-q", "--depth", "1", url, str(tmp_path / "shallow"))
    shallow = GitRepository.__new__(GitRepository)
    shallow.path = tmp_path / "shallow"
    assert inverses(shallow, pair(FIXED, UNDONE)) == ((), False)
    shallow.git("fetch", "-q", "--unshallow", url)
    assert len(found_now(shallow.path, pair(FIXED, UNDONE))[0]) == 1


def test_a_line_of_enormous_commits_is_asked_about_paths(repository, monkeypatch):
    monkeypatch.setattr(lineage, "MOST_CHANGES", 0)
    assert len(inverses(repository, pair(FIXED, UNDONE))[0]) == 1


def test_what_is_remembered_has_an_end(repository, monkeypatch):
    for name in ("REPOSITORIES", "MOST_REMEMBERED"):
        monkeypatch.setattr(lineage, name, 1)
    monkeypatch.setattr(history, "MOST_KEPT", 1)
    commit(
        repository, "Fix the evaluation", {"train.py": FIXED.replace("model.eval()", "model.train(False)")}
    )
    assert len(inverses(repository, pair(FIXED, UNDONE))[0]) == 1
    assert len(lineage._PASTS) == len(history._KEPT) == 1


def test_what_git_was_told_to_expect_is_asked_of_it_once(repository, monkeypatch):
    lineage._PASTS.clear()
    started = []
    monkeypatch.setattr(
        Git,
        "start",
        lambda *words, _start=Git.start, **rest: started.append(words[1]) or _start(*words, **rest),
    )
    with Repository(str(repository.path)) as opened, closing(open_history(opened, "HEAD")) as past:
        past.expect(["train.py"])
        assert started == ["cat-file", "log"]
        assert len(past.inverses([pair(FIXED, UNDONE)])) == 1
    assert started == ["cat-file", "log"]


def test_a_past_that_nobody_asked_for_ends_with_the_review(repository):
    lineage._PASTS.clear()
    with Repository(str(repository.path)) as opened:
        past = open_history(opened, "HEAD")
        past.expect(["train.py"])
        past.close()
        past.close()
        assert past._ahead._process.returncode is not None


def test_an_unknown_tip_is_misuse(repository):
    with pytest.raises(Misuse):
        open_history(str(repository.path), "nowhere")


def test_the_empty_tree_has_no_history(repository):
    with Repository(str(repository.path)) as opened:
        assert open_history(opened, opened.empty_tree).inverses([pair(FIXED, UNDONE)]) == ()


def test_code_is_what_remains_without_words():
    text = b'''"""Doc
import x"""
import torch  # not code
from a import (
    b,  # nor this
    c,
)

def f(x):  # a comment with "quotes"
    r"""More."""
    s = """kept
import inside a string"""
    return x["# kept"]
'''
    assert [(line.number, line.indent, line.source) for line in code_lines(text)] == [
        (9, 0, b"def f(x):"),
        (11, 4, b's = """kept'),
        (13, 4, b'return x["# kept"]'),
    ]


PLAIN = re.compile(
    rb'''"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""|"[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*"|#[^\r\n]*''', re.DOTALL
)
TOKENS = st.sampled_from([b'"""', b'"', b"#", b"\\", b"\n", b"\r\n", b"a", b"  b", b"x = ", b"r", b"(", b")"])


@given(st.lists(TOKENS, max_size=40).map(b"".join))
def test_comments_and_strings_are_told_apart_as_by_reading_one_after_the_other(text):
    """The expression that jumps over code finds the comments and long strings that a plain one finds."""
    plain = [m.span() for m in PLAIN.finditer(text) if m[0][:1] == b"#" or m[0][:3] == b'"""']
    jumped = [m.span(1) for m in hunks_module._QUOTED.finditer(text) if m[1] is not None]
    assert jumped == [(a, b) for a, b in plain if b - a >= 6 or text[a : a + 1] == b"#"]


UNCUT = re.compile(rb"(?!)")
CODE = (
    b"\ndef f():\n",
    b"\n    def g(x):",
    b"\r\ndef h():\r\n",
    b"import (",
    b"\nfrom a import (b,\n",
    b"import c\n",
)
MARKS = (
    b'"""',
    b"'''",
    b'"',
    b"'",
    b"#",
    b"\\",
    b"\n",
    b"\r",
    b"\f",
    b"\0",
    b"\t",
    b"    ",
    b"r",
    b"x = 1",
    b")",
)
PIECES = st.sampled_from([*CODE, *MARKS])
SOUP = st.lists(PIECES, max_size=40).map(b"".join)


@given(SOUP)
def test_pieces_say_what_the_file_says_in_one(text):
    in_pieces = code_lines(text)
    with patch.object(hunks_module, "_CUT", UNCUT):
        assert code_lines(text) == in_pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (b"a\ndef f():\n    def g(): 1\n", 3),
        (b'"""a\ndef f():\n"""\ndef g():\n', 2),
        (b"from a import (\ndef f\n)\nx\ndef g():\n", 2),
        (b'a\n"""\ndef f():\ndef g():\ndef h():\n', 1),
        (b"", 1),
    ],
)
def test_a_file_is_cut_where_nothing_is_torn(text, pieces):
    assert len(list(hunks_module._pieces(text))) == pieces


def test_what_was_read_is_forgotten_before_it_is_too_much():
    read = []
    memory = hunks_module._Memory(lambda text: read.append(text) or text[:1], longest=40, most=250)
    assert [memory[text] for text in (b"ab", b"ab", b"b" * 41, b"b" * 41)] == [b"a", b"a", b"b", b"b"]
    assert read == [b"ab", b"b" * 41, b"b" * 41]
    for number in range(20):
        assert memory[b"%d" % number] == b"%d" % (number // 10 or number)
    assert len(memory) < 5


ITEMS = st.lists(st.sampled_from([(0, b"a"), (4, b"a"), (0, b"b"), (0, b"c")]), max_size=25)


@given(ITEMS, ITEMS)
def test_differences_turn_one_version_into_the_other(old, new):
    built, at = [], 0
    for a, b, c, d in differences(old, new):
        assert at <= a and old[at:a] == new[len(built) : c] if at < a else len(built) == c
        built += old[at:a] + new[c:d]
        at = b
    assert built + old[at:] == new
    assert bool(old != new) == any(differences(old, new))


def read_plainly(old, new):
    """Anchors are the lines that occur once in either whole version; nothing is left out for being common."""
    start = next(
        (n for n, (a, c) in enumerate(zip(old, new, strict=False)) if a != c), min(len(old), len(new))
    )
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    once = [a for a in range(start, len(old) - tail) if old.count(old[a]) == 1 == new.count(old[a])]
    anchors = hunks_module._longest([(a, new.index(old[a])) for a in once])
    at = (start, start)
    for a, c in [*anchors, (len(old), len(new))]:
        yield from hunks_module._gap(old, new, at[0], a, at[1], c)
        at = (a + 1, c + 1)


FEW = st.lists(st.sampled_from("abcdefgh"), max_size=12)


@given(FEW, FEW, FEW, FEW)
def test_differences_are_those_of_a_plain_reading(start, one, other, end):
    old, new = start + one + end, start + other + end
    assert list(differences(old, new)) == list(read_plainly(old, new))


LINES = st.lists(st.sampled_from(["a = 1\n", "b(2)\n", "    c = d\n", "\n", "# x\n"]), max_size=25)


@given(LINES, LINES, st.integers(1, 3))
def test_the_key_does_not_depend_on_the_place(before, after, depth):
    def keys(deep):
        versions = [
            ("q = 0\n" + "".join("    " * deep + line for line in text)).encode() for text in (before, after)
        ]
        return [hunk.key for hunk in hunks(*versions)]

    assert keys(0) == keys(depth)


TEXT = st.lists(st.sampled_from([b"a\n", b"b\n", b"ab", b"\n"]), max_size=12).map(b"".join)


@given(TEXT, TEXT, TEXT, TEXT)
def test_what_differs_leaves_out_only_what_is_common(start, one, other, end):
    left, right = start + one + end, start + other + end
    a, b = history._differing(left, right)
    assert any(
        left[:cut] == right[:cut]
        and left[cut:] == a + left[cut + len(a) :]
        and right[cut:] == b + left[cut + len(a) :]
        for cut in range(len(start) + len(one) + 1 + len(end))
    )
    assert (a == b) == (left == right)


def test_a_rewritten_large_file_is_compared_in_bounded_time():
    old = b"".join(b"x = f(%d)\n" % (number % 7) for number in range(6000))
    new = b"".join(b"x = g(%d)\n" % (number % 5) for number in range(6000))
    assert len(hunks(old, new)) == 1
