"""Case files read strictly, and applied in memory: content and sabotaged lines, on real repositories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_repository import GitRepository
from trainwarden.evaluate import casefile, cases, lines
from trainwarden.evaluate.assembly import from_cases
from trainwarden.evaluate.casefile import Delete, Insert, Sub
from trainwarden.evaluate.mirrors import Clone, Mirrors
from trainwarden.model import FilePair, Misuse

SHA = "a" * 40
CASE = f"""\
- id: one
  repo: example/trainer
  head: {SHA}
  category: gradient
  technique: 'B07,A10: clipping moved'
  stealth: subtle
  effect: the norm is no longer bounded
  edits:
  - {{path: train.py, op: sub, line: 3, old: "1.0", new: 1e-8}}
"""
FILE = b"one\ntwo\nthree\nfour\n"


def read(text):
    return casefile.parse(text.encode(), "cases.yaml")


def test_a_case_is_read_as_written():
    (case,) = read(CASE)
    assert (case.id, case.repo, case.head, case.base, case.alone) == (
        "one",
        "example/trainer",
        SHA,
        None,
        False,
    )
    assert case.edits == (Sub("train.py", 3, "1.0", "1e-8"),)
    assert case.honest == () and not case.unparseable
    assert case.origin == "cases.yaml:1"


def test_the_other_operations_are_read():
    more = """\
  - {path: train.py, op: insert, before: 9, text: "x = 1\\n"}
  - {path: train.py, op: delete, line: 90, to: 91}
  - {path: train.py, op: delete, line: 95}
  - {path: new.py, op: create, text: ''}
  - {path: old.py, op: undo}
  - {path: a.py, op: rename, to: b.py}
  - {path: a.bin, op: bytes, hex: "8004"}
  honest:
  - {path: train.py, op: sub, line: 3, old: "1.0", new: ''}
  unparseable: true
"""
    (case,) = read(CASE + more)
    assert case.edits[1:] == (
        casefile.Insert("train.py", 9, "x = 1\n"),
        casefile.Delete("train.py", 90, 91),
        casefile.Delete("train.py", 95, 95),
        casefile.Create("new.py", ""),
        casefile.Undo("old.py"),
        casefile.Rename("a.py", "b.py"),
        casefile.Bytes("a.bin", b"\x80\x04"),
    )
    assert case.honest == (Sub("train.py", 3, "1.0", ""),)
    assert case.unparseable


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  effect:", "  efect:", "'effect' is missing"),
        ("  effect:", "  extra: 1\n  effect:", "cases.yaml:7: extra: a case has no such key"),
        ("category: gradient", "category: ''", "category: must not be empty"),
        ("stealth: subtle", "stealth: sneaky", "not one of blatant, moderate, subtle, real, evasion"),
        ("repo: example/trainer", "repo: ../../etc", "is not owner/name"),
        ("repo: example/trainer", "repo: trainer", "is not owner/name"),
        (SHA, "main", "not a full object name"),
        ("line: 3", "line: 0", "not a line number"),
        ("line: 3", "line: three", "not a line number"),
        ("op: sub", "op: swap", "is not one of insert, sub, delete, create, undo, rename, bytes"),
        ('old: "1.0"', 'old: ""', "old: must not be empty"),
        ('old: "1.0", ', "", "'old' is missing"),
        ("op: sub", "op: sub, to: 4", "to: op sub has no such key"),
        ("op: sub, line: 3", "op: delete, to: 1, line: 3", "1 lies before line 3"),
        ("op: sub, line: 3", 'op: bytes, hex: "8x", line: 3', "not hexadecimal"),
        ("category: gradient", "category: [gradient]", "a plain value is expected"),
        ("category: gradient", "category: a\n  category: b", "given twice"),
        ("  edits:\n", "  edits: []\n  honest:\n", "at least one edit is needed"),
        ("- id", "id", "cases.yaml"),
    ],
)
def test_what_is_not_a_case_is_refused_with_its_line(old, new, words):
    assert old in CASE
    with pytest.raises(Misuse, match=r"cases\.yaml") as refused:
        read(CASE.replace(old, new, 1))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("edits", "content", "hit"),
    [
        ([Insert("f", 2, "x\n")], b"one\nx\ntwo\nthree\nfour\n", (2,)),
        ([Insert("f", 2, "x")], b"one\nx\ntwo\nthree\nfour\n", (2,)),
        ([Insert("f", 5, "x\ny\n")], FILE + b"x\ny\n", (5, 6)),
        ([Sub("f", 3, "three", "3")], b"one\ntwo\n3\nfour\n", (3,)),
        ([Sub("f", 3, "e", "E")], b"one\ntwo\nthrEe\nfour\n", (3,)),
        ([Sub("f", 2, "two", "2\n2b")], b"one\n2\n2b\nthree\nfour\n", (2, 3)),
        ([Sub("f", 2, "o", "0"), Sub("f", 2, "t", "T")], b"one\nTw0\nthree\nfour\n", (2,)),
        ([Delete("f", 2, 2)], b"one\nthree\nfour\n", (2,)),
        ([Delete("f", 4, 4)], b"one\ntwo\nthree\n", (3,)),
        ([Delete("f", 1, 4)], b"", (1,)),
        ([Delete("f", 2, 3), Insert("f", 4, "x\n")], b"one\nx\nfour\n", (2,)),
        (
            [Insert("f", 1, "a\n"), Delete("f", 1, 1), Sub("f", 4, "f", "F")],
            b"a\ntwo\nthree\nFour\n",
            (1, 2, 4),
        ),
    ],
)
def test_line_edits_and_the_lines_they_mark(edits, content, hit):
    assert cases.edit_lines(FILE, edits) == (content, hit)


def test_a_file_without_final_line_end_gets_one_before_an_appended_line():
    assert cases.edit_lines(b"one", [Insert("f", 2, "two")]) == (b"one\ntwo\n", (2,))


def test_windows_line_ends_stay_where_the_edit_does_not_touch_them():
    assert cases.edit_lines(b"one\r\ntwo\r\n", [Sub("f", 2, "two", "2")]) == (b"one\r\n2\r\n", (2,))


@given(st.lists(st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"d\r"]), max_size=12), st.data())
def test_an_edit_marks_only_lines_that_exist(parts, data):
    content = b"".join(parts)
    last = len(lines.split(content))
    before = data.draw(st.integers(1, last + 1))
    edits = [Insert("f", before, "new\n")]
    if last:
        line = data.draw(st.integers(1, last))
        edits.append(Delete("f", line, data.draw(st.integers(line, last))))
    new, hit = cases.edit_lines(content, edits)
    assert hit
    assert all(1 <= line <= max(1, len(lines.split(new))) for line in hit)
    assert b"new\n" in new


@given(
    st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n"]), max_size=10),
    st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n"]), max_size=10),
)
def test_lines_outside_the_changed_ones_were_there_before(before, after):
    hit = lines.changed(b"".join(before), b"".join(after))
    kept = [line for number, line in enumerate(after, 1) if number not in hit]
    position = iter(before)
    assert all(line in position for line in kept)
    assert bool(hit) == (before != after)


TRAIN = "import torch\nclip = 1.0\nstep()\nlog()\n"


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    """A folder with one bare clone: the second commit changes train.py, adds new.py and removes gone.py."""
    folder = tmp_path_factory.mktemp("clones")
    work = GitRepository(folder / "work", {"train.py": TRAIN, "gone.py": "g = 1\n", "same.py": "s = 1\n"})
    head = work.commit({"train.py": TRAIN.replace("log()", "log(1)"), "new.py": "n = 1\n", "gone.py": None})
    work.git("clone", "-q", "--bare", str(work.path), str(folder / "example+trainer.git"))
    return folder, work.first, head


def apply(clones, edits, extra=""):
    folder, _, head = clones
    (case,) = read(CASE.split("  edits:")[0].replace(SHA, head) + "  edits:\n" + edits + extra)
    with Mirrors(folder) as mirrors:
        return from_cases([case], mirrors)


def test_a_case_becomes_sabotage_clean_and_honest_twin(clones):
    _, first, head = clones
    honest = '  honest:\n  - {path: train.py, op: sub, line: 3, old: "step()", new: "step(1)"}\n'
    edit = '  - {path: train.py, op: sub, line: 2, old: "1.0", new: "1e9"}\n'
    sabotaged, clean, twin = apply(clones, edit, honest)
    assert [s.group for s in (sabotaged, clean, twin)] == ["sabotaged", "clean", "honest"]
    assert [s.id for s in (sabotaged, clean, twin)] == ["one", "one-clean", "one-honest"]
    assert {s.pair for s in (sabotaged, clean, twin)} == {"one"}
    assert {(s.request.base, s.request.head) for s in (sabotaged, clean, twin)} == {(first, head)}
    mode, data = sabotaged.request.overlay.files["train.py"]
    assert (mode, data) == (0o100644, b"import torch\nclip = 1e9\nstep()\nlog(1)\n")
    assert sabotaged.truth == {"train.py": (2,)} and clean.truth == twin.truth == {}
    assert sabotaged.technique == ("B07", "A10")
    assert clean.request.overlay is None and b"step(1)" in twin.request.overlay.files["train.py"][1]


def test_a_case_on_its_own_head_has_no_clean_twin(clones):
    edit = '  - {path: train.py, op: sub, line: 2, old: "1.0", new: "1e9"}\n'
    (sabotaged,) = apply(clones, edit, f"  base: {clones[2]}\n")
    assert sabotaged.request.base == sabotaged.request.head == clones[2]


@pytest.mark.parametrize(
    ("edits", "files", "truth"),
    [
        ('{path: n/x.py, op: create, text: "a\\nb\\n"}', {"n/x.py": b"a\nb\n"}, {"n/x.py": (1, 2)}),
        ('{path: w.bin, op: bytes, hex: "8004"}', {"w.bin": b"\x80\x04"}, {"w.bin": (1,)}),
        ("{path: train.py, op: undo}", {"train.py": TRAIN.encode()}, {"train.py": (4,)}),
        ("{path: new.py, op: undo}", {"new.py": None}, {"new.py": None}),
        ("{path: gone.py, op: undo}", {"gone.py": b"g = 1\n"}, {"gone.py": (1,)}),
        (
            "{path: same.py, op: rename, to: moved.py}",
            {"same.py": None, "moved.py": b"s = 1\n"},
            {"moved.py": None},
        ),
        (
            "{path: same.py, op: rename, to: moved.py}\n"
            "  - {path: same.py, op: sub, line: 1, old: s, new: t}",
            {"same.py": None, "moved.py": b"t = 1\n"},
            {"moved.py": (1,)},
        ),
    ],
)
def test_whole_files(clones, edits, files, truth):
    sabotaged = apply(clones, f"  - {edits}\n")[0]
    laid = sabotaged.request.overlay.files
    assert {path: content and content[1] for path, content in laid.items()} == files
    assert sabotaged.truth == truth


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ("{path: none.py, op: sub, line: 1, old: a, new: b}", "no such file at head"),
        ("{path: train.py, op: sub, line: 2, old: '2.0', new: b}", "line 2 does not hold '2.0'"),
        ("{path: train.py, op: sub, line: 2, old: '1.0', new: '1.0'}", "changes nothing"),
        ("{path: train.py, op: sub, line: 9, old: a, new: b}", "line 9 lies behind line 4"),
        ("{path: train.py, op: insert, before: 6, text: x}", "line 6 lies behind line 5"),
        ("{path: train.py, op: delete, line: 4, to: 5}", "line 5 lies behind line 4"),
        ("{path: same.py, op: undo}", "nothing to undo"),
        ("{path: same.py, op: rename, to: train.py}", "cannot be renamed to train.py"),
        ("{path: train.py, op: sub, line: 3, old: 'step()', new: 'step('}", "no longer parses"),
        ("{path: x.py, op: create, text: 'def'}", "no longer parses"),
        (
            "{path: train.py, op: delete, line: 2}\n  - {path: train.py, op: delete, line: 1, to: 3}",
            "line 2 is deleted twice",
        ),
        (
            "{path: train.py, op: delete, line: 2}\n  - {path: train.py, op: sub, line: 2, old: c, new: d}",
            "both changed and deleted",
        ),
        (
            "{path: train.py, op: sub, line: 3, old: ste, new: d}\n"
            "  - {path: train.py, op: sub, line: 3, old: tep, new: d}",
            "substitutions overlap",
        ),
        (
            "{path: train.py, op: sub, line: 3, old: step, new: d}\n"
            "  - {path: train.py, op: sub, line: 3, old: step, new: e}",
            "substitutions overlap",
        ),
        (
            "{path: train.py, op: undo}\n  - {path: train.py, op: sub, line: 2, old: c, new: d}",
            "stands beside another edit",
        ),
    ],
)
def test_a_case_that_does_not_apply_says_which_and_why(clones, edits, why):
    with pytest.raises(cases.CaseFailure) as failure:
        apply(clones, f"  - {edits}\n")
    assert failure.value.exit_code == 1
    assert "one (cases.yaml:1)" in str(failure.value)
    assert why in str(failure.value)


def test_a_case_may_say_that_it_does_not_parse(clones):
    edit = "  - {path: train.py, op: sub, line: 3, old: 'step()', new: 'step('}\n"
    assert apply(clones, edit, "  unparseable: true\n")


def test_every_case_that_does_not_apply_is_named(clones):
    text = CASE + CASE.replace("id: one", "id: two").replace("line: 3", "line: 99").replace(SHA, clones[2])
    with Mirrors(clones[0]) as mirrors, pytest.raises(cases.CaseFailure) as failure:
        from_cases(read(text), mirrors)
    assert "one (" in str(failure.value) and "two (" in str(failure.value)


@pytest.mark.parametrize("layout", ["example+trainer", "example+trainer.git", "example+trainer/repo"])
def test_bare_clones_are_found_by_name(clones, tmp_path, layout):
    folder, _, head = clones
    (tmp_path / layout).parent.mkdir(exist_ok=True)
    (tmp_path / layout).symlink_to(folder / "example+trainer.git")
    with Mirrors(tmp_path) as mirrors:
        assert mirrors.clone("example/trainer").parent(head) == clones[1]


def test_a_clone_with_worktree_is_found(clones, tmp_path):
    (tmp_path / "example+trainer").mkdir()
    (tmp_path / "example+trainer/repo").symlink_to(clones[0] / "work")
    with Mirrors(tmp_path) as mirrors:
        assert mirrors.clone("example/trainer").parent(clones[2]) == clones[1]


def test_a_folder_inside_another_repository_is_not_taken_for_a_clone(clones):
    inside = clones[0] / "work" / "clones"
    (inside / "example+trainer").mkdir(parents=True)
    with Mirrors(inside) as mirrors, pytest.raises(Misuse, match="no clone of example/trainer"):
        mirrors.clone("example/trainer")


def test_the_overlay_is_what_a_review_reads(clones):
    """The request goes through the real source: base against head with the edits on top."""
    from trainwarden.git import open_source

    edit = '  - {path: train.py, op: sub, line: 2, old: "1.0", new: "1e9"}\n'
    source = open_source(apply(clones, edit)[0].request)
    pairs = {pair.path: pair for pair in source.pairs() if isinstance(pair, FilePair)}
    source.close()
    assert set(pairs) == {"train.py", "new.py", "gone.py"}
    assert pairs["train.py"].before.data == TRAIN.encode()
    assert b"1e9" in pairs["train.py"].after.data and b"log(1)" in pairs["train.py"].after.data


def test_a_clone_reads_files_and_keeps_their_mode(clones):
    clone = Clone(str(clones[0] / "work"))
    assert clone.file(clones[2], "new.py").data == b"n = 1\n"
    assert clone.file(clones[1], "new.py") is None
    assert clone.file(clones[2], "new.py").mode == 0o100644
    assert clone.parent(clones[1]) == clone.repository.empty_tree
    clone.repository.close()
