"""Runs with real workers on real repositories: groups, kept reviews, fixes undone, drawing, exit codes."""

import json
from collections import Counter
from pathlib import Path

import pytest

from git_repository import GitRepository
from trainwarden.entry.cli import main
from trainwarden.evaluate import fixes, ordinary
from trainwarden.evaluate import run as running
from trainwarden.evaluate.assembly import Material, Selection, assemble
from trainwarden.evaluate.keep import Keep, tool_digest
from trainwarden.evaluate.mirrors import Mirrors
from trainwarden.evaluate.run import measure_size, run
from trainwarden.model import Misuse, Options, Request, ScorerChoice
from trainwarden.sweep import sweep

TARGET = "evaluate_target:review"
QUICK = Options(seconds=20.0, megabytes=512)

BUGGY = "import torch\n\n\ndef train(loss, n):\n    loss = loss * n\n    return loss\n\n\nclip = 1\n"
FIXED = BUGGY.replace("loss * n", "loss / n")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two clones; example/one holds a fix that can be undone two commits later, and one that cannot."""
    folder = tmp_path_factory.mktemp("clones")
    one = GitRepository(folder / "example+one", {"train.py": BUGGY, "notes.md": "a\n"})
    shas = {"fix": one.commit({"train.py": FIXED})}
    shas["docs"] = one.commit({"notes.md": "b\n"})
    shas["tail"] = one.commit({"train.py": FIXED.replace("clip = 1", "clip = 2")})
    shas["second"] = one.commit({"train.py": FIXED.replace("clip = 1", "clip = 3"), "new.py": "x = 1\n"})
    shas["rewrite"] = one.commit({"train.py": FIXED.replace("clip = 1", "clip = 4")})
    shas["end"] = one.commit({"train.py": FIXED.replace("clip = 1", "clip = 5")})
    two = GitRepository(folder / "example+two", {"a.py": "a = 1\n"})
    for number in range(2, 8):
        two.commit({"a.py" if number % 2 else "b.txt": f"a = {number}\n"})
    return folder, shas


@pytest.fixture(autouse=True)
def _workers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def table(shas, *rows):
    lines = ["repo\tsha\tdate\ttechnique\tfiles\tbug_if_undone"]
    lines += [f"example/one\t{shas[name]}\t2026-01-01\tB06\t{files}\twords" for name, files in rows]
    return ("\n".join(lines) + "\n").encode()


def case(sha, old, new, name="one", honest="4"):
    return f"""\
- id: {name}
  repo: example/one
  head: {sha}
  category: gradient
  technique: 'B07: x'
  stealth: subtle
  effect: y
  edits: [{{path: train.py, op: sub, line: 9, old: "{old}", new: "{new}"}}]
  honest: [{{path: train.py, op: sub, line: 9, old: "{old}", new: "{honest}"}}]
"""


def test_a_fix_undone_has_the_lines_of_the_bug(world):
    folder, shas = world
    listed = fixes.parse(table(shas, ("fix", "train.py"), ("second", "new.py")), "fixes.tsv")
    skipped = Counter()
    with Mirrors(folder) as mirrors:
        undone, gone = fixes.undone(listed, mirrors, skipped)
        forward, _ = fixes.honest(listed, mirrors, "forward")
    assert undone.request.base == undone.request.head == shas["fix"]
    assert undone.request.overlay.files == {"train.py": (0o100644, BUGGY.encode())}
    assert undone.truth == {"train.py": (5,)}
    assert gone.request.overlay.files == {"new.py": None} and gone.truth == {"new.py": None}
    assert (forward.request.kind, forward.request.head, forward.truth) == ("range", shas["fix"], {})
    assert undone.pair == forward.pair and not skipped


def test_a_fix_undone_later_keeps_what_came_between(world):
    folder, shas = world
    listed = fixes.parse(
        table(shas, ("fix", "train.py"), ("tail", "train.py"), ("end", "train.py")), "fixes.tsv"
    )
    skipped = Counter()
    with Mirrors(folder) as mirrors:
        (sample,) = fixes.undone_later(listed, mirrors, 2, skipped)
    assert sample.request.base == shas["tail"]
    data = sample.request.overlay.files["train.py"][1]
    assert data == BUGGY.replace("clip = 1", "clip = 2").encode()
    assert sample.truth == {"train.py": (5,)}
    assert skipped == {"it can no longer be taken back": 1, "fewer than 2 commits follow": 1}


def test_a_commit_of_a_merged_branch_is_found_on_the_first_parent_line(tmp_path):
    work = GitRepository(tmp_path / "example+one", {"a.py": "a = 1\n"})
    work.git("checkout", "-q", "-b", "side")
    side = work.commit({"b.py": "b = 1\n"})
    work.git("checkout", "-q", "main")
    work.commit({"c.py": "c = 1\n"})
    work.git("merge", "-q", "--no-ff", "-m", "Merge", "side")
    with Mirrors(tmp_path) as mirrors:
        clone = mirrors.clone("example/one")
        assert len(clone.line) == 3
        assert clone.place(side) == 2 and clone.place(work.first) == 0
        assert clone.place("0" * 40) is None


@pytest.mark.parametrize("data", [b"", b"repo\tsha\n", b"repo\tsha\tdate\ttechnique\tfiles\tx\na/b\tc\n"])
def test_a_table_of_another_shape_is_refused(data):
    with pytest.raises(Misuse, match=r"fixes\.tsv"):
        fixes.parse(data, "fixes.tsv")


def test_every_group_is_reviewed_and_measured(world, tmp_path, monkeypatch, capsys):
    folder, shas = world
    monkeypatch.setattr(running, "sweep", lambda *given: sweep(*given[:3], TARGET))
    (tmp_path / "cases.yaml").write_text(
        case(shas["tail"], "2", "2 ** 9  # sabotage") + case(shas["end"], "5", "7  # crash", "two")
    )
    (tmp_path / "fixes.tsv").write_bytes(table(shas, ("fix", "train.py")))
    (tmp_path / "alike.tsv").write_bytes(table(shas, ("docs", "notes.md")))
    (tmp_path / "ordinary.txt").write_text(
        f"# drawn\nexample/one {shas['docs']}\nexample/one {shas['tail']}\n"
    )
    arguments = ["evaluate", "--mirrors", str(folder), "--cases", str(tmp_path / "cases.yaml")]
    arguments += ["--fixes", str(tmp_path / "fixes.tsv"), "--later", "2", "--format", "json", "--jobs", "2"]
    arguments += ["--lookalikes", str(tmp_path / "alike.tsv"), "--ordinary", str(tmp_path / "ordinary.txt")]
    arguments += ["--misses", str(tmp_path / "misses.txt"), "--keep", str(tmp_path / "keep.jsonl")]

    assert main(arguments) == 1  # one review crashed
    first = capsys.readouterr()
    document = json.loads(first.out)
    verdicts = {review["id"]: review["verdict"] for review in document["reviews"]}
    assert verdicts["one"] == "review" and verdicts["two"] == "error"
    assert verdicts["one-clean"] == verdicts["one-honest"] == "pass"
    groups = Counter(review["group"] for review in document["reviews"])
    assert groups == {
        "sabotaged": 2, "clean": 2, "honest": 2, "undone": 1, "undone-later": 1, "forward": 1, "lookalike": 1,
        "ordinary": 2,
    }  # fmt: skip
    assert document["verdicts"]["sabotaged"]["placed"] == {
        "value": 0.5, "k": 1, "n": 2, "low": pytest.approx(0.094531), "high": pytest.approx(0.905469)
    }  # fmt: skip
    assert document["counts"]["sabotaged"]["errors"] == 1
    assert "1 reviews ended in error, the first of them two" in first.err
    listed = (tmp_path / "misses.txt").read_text().splitlines()
    missed = {tuple(line.split()[:2]) for line in listed if not line.startswith(" ")}
    fix = f"example/one@{shas['fix'][:12]}"
    assert missed == {("two", "error"), (f"undone:{fix}", "quiet"), (f"undone-later:{fix}", "quiet")}

    kept = (tmp_path / "keep.jsonl").read_text().splitlines()
    assert len(kept) == len(document["reviews"]) - 1
    assert main(arguments) == 1
    again = json.loads(capsys.readouterr().out)
    assert again == document
    assert (tmp_path / "keep.jsonl").read_text().splitlines() == kept


def samples_of(world):
    folder, shas = world
    with Mirrors(folder) as mirrors:
        commits = [("example/one", shas[name]) for name in ("docs", "tail", "second")]
        return assemble(Material(ordinary=tuple(commits)), Selection(), mirrors).samples


def test_kept_reviews_are_taken_only_for_the_same_tool(world, tmp_path):
    samples = samples_of(world)
    reviewed = []
    for tool in ("one", "one", "two"):
        keep = Keep(tmp_path / "keep.jsonl", tool)
        done = []
        outcomes = run(samples, QUICK, 1, keep, done.append, TARGET)
        keep.close()
        assert [outcome.sample.id for outcome in outcomes] == [sample.id for sample in samples]
        reviewed.append(len(done))
    assert reviewed == [3, 0, 3]


def test_a_line_torn_by_an_interruption_is_done_again(world, tmp_path):
    samples, path = samples_of(world), tmp_path / "keep.jsonl"
    keep = Keep(path, "tool")
    whole = run(samples, QUICK, 1, keep, target=TARGET)
    keep.close()
    path.write_bytes(path.read_bytes()[:-20])
    keep, done = Keep(path, "tool"), []
    assert {o.sample.id: o.seen.risk for o in run(samples, QUICK, 1, keep, done.append, TARGET)} == {
        o.sample.id: o.seen.risk for o in whole
    }
    keep.close()
    assert len(done) == 1
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3


def test_another_file_is_not_taken_for_kept_reviews(tmp_path):
    (tmp_path / "notes.md").write_text("# Notes\n")
    with pytest.raises(Misuse, match=r"notes\.md:1"):
        Keep(tmp_path / "notes.md", "tool")


def test_options_and_operator_rules_change_the_tool(tmp_path):
    (tmp_path / "f").mkdir()
    rule = tmp_path / "f" / "a.yml"
    rule.write_text("id: a\n")
    operator = Options(rules_dir=str(tmp_path))
    digests = {tool_digest(Options()), tool_digest(Options(history=False)), tool_digest(operator)}
    rule.write_text("id: b\n")
    assert len(digests | {tool_digest(operator)}) == 4
    assert tool_digest(Options()) == tool_digest(Options(seconds=1.0))
    assert tool_digest(Options()) == tool_digest(Options(scorer=ScorerChoice(workers=8, threads=1)))
    assert tool_digest(Options()) != tool_digest(Options(scorer=ScorerChoice(url="https://a.example.org")))


def test_the_size_of_a_change_does_not_count_moved_lines(world):
    folder, shas = world
    size = measure_size(Request(str(folder / "example+one"), "range", shas["tail"], shas["second"]))
    assert (size.added, size.removed, size.files, size.python) == (2, 1, 2, 2)
    assert measure_size(Request(str(folder / "nowhere"), "range", "a", "b")) is None


def test_selection_by_split_python_category_and_technique(world):
    folder, shas = world
    from trainwarden.evaluate import casefile

    cases = casefile.parse(case(shas["tail"], "2", "3").encode(), "c.yaml")
    listed = fixes.parse(table(shas, ("fix", "train.py"), ("docs", "notes.md")), "f.tsv")
    material = Material(cases=cases, fixes=listed, ordinary=(("example/one", shas["docs"]),))

    def ids(**wanted):
        with Mirrors(folder) as mirrors:
            return {sample.group for sample in assemble(material, Selection(**wanted), mirrors).samples}

    everything = {"sabotaged", "clean", "honest", "undone", "forward", "ordinary"}
    assert ids() == everything
    assert ids(repos=frozenset({"example/two"})) == set()
    assert ids(techniques=frozenset({"B06"})) == {"undone", "forward", "ordinary"}
    assert ids(categories=frozenset({"gradient"})) == {"sabotaged", "clean", "honest", "ordinary"}
    with Mirrors(folder) as mirrors:
        python = assemble(material, Selection(python=True), mirrors).samples
    assert [s.repo for s in python if s.group == "undone"] == ["example/one"]


def draw(folder, *words):
    (folder / "repos.txt").write_text("example/one\tchoose\nexample/two\tchoose\nexample/three\treport\n")
    fixed = ["--mirrors", str(folder), "--repos", str(folder / "repos.txt"), "--split", "choose"]
    return main(["evaluate", *fixed, *words])


def test_drawing_is_spread_capped_and_the_same_for_a_seed(world, capsys):
    folder, shas = world
    (folder / "fixes.tsv").write_bytes(table(shas, ("fix", "train.py")))
    taken = ["--fixes", str(folder / "fixes.tsv")]
    assert draw(folder, "--draw", "6", "--seed", "3", *taken) == 0
    first = capsys.readouterr().out
    commits = ordinary.parse(first.encode(), "drawn")
    assert Counter(repo for repo, _ in commits) == {"example/one": 3, "example/two": 3}
    assert shas["fix"] not in first
    assert draw(folder, "--draw", "6", "--seed", "3", *taken) == 0
    assert capsys.readouterr().out == first
    assert draw(folder, "--draw", "50", "--cap", "2", *taken) == 0
    said = capsys.readouterr()
    assert Counter(line.split()[0] for line in said.out.splitlines()) == {"example/one": 2, "example/two": 2}
    assert "gave 4 commits instead of 50" in said.err


def test_drawing_gives_the_wanted_share_of_python(world, capsys):
    folder, shas = world
    assert draw(folder, "--draw", "4", "--python-share", "0") == 0
    drawn = {sha for _, sha in ordinary.parse(capsys.readouterr().out.encode(), "drawn")}
    assert shas["docs"] in drawn
    assert drawn.isdisjoint({shas["fix"], shas["tail"], shas["second"], shas["rewrite"], shas["end"]})


@pytest.mark.parametrize("text", ["example/one", "example/one main", "one " + "a" * 40])
def test_a_line_that_is_no_commit_is_refused(text):
    with pytest.raises(Misuse, match=r"ordinary\.txt:1"):
        ordinary.parse(text.encode(), "ordinary.txt")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "nothing to measure"),
        (("--cases", "nowhere.yaml"), 2, "cannot read nowhere.yaml"),
        (("--draw", "3"), 2, "--draw needs --repos"),
        (("--split", "choose"), 2, "--split needs --repos"),
        (("--by", "colour"), 2, "invalid choice"),
    ],
)
def test_misuse_has_its_exit_code(world, capsys, words, code, said):
    assert main(["evaluate", "--mirrors", str(world[0]), *words]) == code
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == ""


def test_a_case_that_does_not_apply_fails_the_run_before_any_review(world, tmp_path, capsys):
    (tmp_path / "cases.yaml").write_text(case(world[1]["tail"], "77", "78"))
    assert main(["evaluate", "--mirrors", str(world[0]), "--cases", str(tmp_path / "cases.yaml")]) == 1
    captured = capsys.readouterr()
    assert "one (" in captured.err and "does not hold '77'" in captured.err and captured.out == ""


def test_the_same_id_twice_is_refused(world, tmp_path, capsys):
    (tmp_path / "cases.yaml").write_text(case(world[1]["tail"], "2", "3") * 2)
    assert main(["evaluate", "--mirrors", str(world[0]), "--cases", str(tmp_path / "cases.yaml")]) == 2
    assert "'one' is given 2 times" in capsys.readouterr().err
