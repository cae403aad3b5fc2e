"""What an attacker or a tired user may hand in, through the real command line.

Misuse is one clear line with a way out and exit code 2. What cannot be read is ``Unread``, a training file
that is not read whole is never green, and the sabotage beside it is still told.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from git_repository import TRAIN, GitRepository
from trainwarden.entry import cli

COMMAND = str(Path(sys.executable).with_name("trainwarden"))
SABOTAGED = TRAIN.replace("torch.optim.SGD", "torch.optim.Adam").replace("lr=0.1", "lr=7.5")


def run(capfd, *words):
    code = cli.main([str(word) for word in words])
    out, err = capfd.readouterr()
    return code, out, err


def scan(capfd, repo, *words, base=None, head=None):
    """Exit code and report of ``scan --format json``; stdout must be valid JSON."""
    revisions = ("--base", base or repo.first, "--head", head or "HEAD")
    code, out, err = run(capfd, "scan", "--repo", repo.path, "--format", "json", *revisions, *words)
    return code, json.loads(out), err


def refused(capfd, *words):
    """The error line of a command that must exit with 2, print nothing, and say what to do."""
    code, out, err = run(capfd, *words)
    assert (code, out) == (2, "")
    error, hint = err.splitlines()
    assert error.startswith("trainwarden: error: ")
    assert hint.startswith("hint: ")
    return error


def accounted(report):
    """Every changed file was read whole or is listed as not read."""
    coverage = report["coverage"]
    unread = {entry["path"] for entry in coverage["unread"]}
    return coverage["changed"] == coverage["read"] + len(unread)


@pytest.fixture
def repo(tmp_path):
    return GitRepository(tmp_path / "repo")


def test_not_a_repository(capfd, tmp_path):
    assert "not a git repository" in refused(capfd, "scan", "--repo", tmp_path, "--staged")
    assert "not a git repository" in refused(capfd, "sweep", "--repo", tmp_path, "--commits", "1")


@pytest.mark.parametrize(
    "revision", ["no-such-branch", "--output=/tmp/x", "", "deadbeef" * 5, "HEAD~99", "a b\nc"]
)
def test_unknown_revision(capfd, repo, revision):
    error = refused(capfd, "scan", "--repo", repo.path, f"--base={revision}", "--head", "HEAD")
    assert "revision" in error


def test_a_tree_is_a_revision_and_a_blob_is_not(capfd, repo):
    blob = repo.git("rev-parse", "HEAD:train.py")
    refused(capfd, "scan", "--repo", repo.path, "--base", "HEAD", "--head", blob)
    tree = repo.git("rev-parse", "HEAD^{tree}")
    assert scan(capfd, repo, head=tree)[1]["coverage"]["changed"] == 0


def test_empty_change(capfd, repo):
    code, report, err = scan(capfd, repo)
    assert (code, report["verdict"], report["risk"]) == (0, "pass", 0.0)
    assert "nothing changed" in err


def test_unrelated_histories_are_two_trees_as_given(capfd, repo):
    repo.git("checkout", "-q", "--orphan", "other")
    repo.git("rm", "-q", "-rf", ".")
    head = repo.commit({"train.py": SABOTAGED, "note.md": "x\n"})
    code, report, _ = scan(capfd, repo, head=head)
    assert code in (0, 1)
    assert report["coverage"]["changed"] == 2
    assert accounted(report)
    assert any("lr" in row["fact"] for row in report["behaviour"])


def test_a_patch_that_does_not_apply(capfd, repo, tmp_path):
    patch = tmp_path / "p"
    patch.write_text("--- a/none.py\n+++ b/none.py\n@@ -1,1 +1,1 @@\n-x\n+y\n")
    refused(capfd, "scan", "--repo", repo.path, "--patch", patch)


RULES = {
    "not YAML": b"id: [unclosed",
    "not UTF-8": b"id: \xff\xfe\x00",
    "unknown key": b"id: x\nseverty: high\n",
    "a list": b"- 1\n- 2\n",
    "alias bomb": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
    "deep": b"when: " + b"[" * 200_000,
    "empty": b"",
}


@pytest.mark.parametrize("content", RULES.values(), ids=RULES)
def test_unreadable_rule_file(capfd, repo, tmp_path, content):
    pack = tmp_path / "pack" / "gradient"
    pack.mkdir(parents=True)
    (pack / "my-rule.yml").write_bytes(content)
    error = refused(capfd, "scan", "--repo", repo.path, "--staged", "--rules", pack.parent)
    assert "my-rule.yml" in error


CONFIGS = {
    "unknown key": (b"modus: enforce\n", "modus"),
    "unknown inner key": (b"thresholds: {reviw: 0.2}\n", "reviw"),
    "wrong type": (b"thresholds: soft\n", "thresholds"),
    "not YAML": (b"mode: [", ".trainwarden.yml"),
    "not UTF-8": (b"mode: \xff", ".trainwarden.yml"),
    "alias bomb": (b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n", ".trainwarden.yml"),
    "deep": (b"[" * 200_000, ".trainwarden.yml"),
}


@pytest.mark.parametrize(("content", "word"), CONFIGS.values(), ids=CONFIGS)
def test_bad_config_in_the_policy_revision(capfd, tmp_path, content, word):
    repo = GitRepository(tmp_path / "repo", {"train.py": TRAIN, ".trainwarden.yml": content})
    repo.commit({"train.py": SABOTAGED})
    error = refused(capfd, "scan", "--repo", repo.path, "--base", repo.first, "--head", "HEAD")
    assert word in error


@pytest.mark.parametrize(("content", "word"), CONFIGS.values(), ids=CONFIGS)
def test_bad_config_of_the_operator(capfd, repo, tmp_path, content, word):
    path = tmp_path / "my.trainwarden.yml"
    path.write_bytes(content)
    error = refused(capfd, "scan", "--repo", repo.path, "--staged", "--config", path)
    assert word in error


def nested(depth):
    return "import torch\nx = " + "[" * depth + "]" * depth + "\n"


FILES = {
    "a 10 MB line": ("import torch\nx = '" + "y" * 10_000_000 + "'\n").encode(),
    "a 10 MB line of code": ("import torch\nx = [" + "1," * 5_000_000 + "]\n").encode(),
    "1,500 nested brackets": nested(1_500).encode(),
    "100,000 nested brackets": nested(100_000).encode(),
    "100,000 unclosed brackets": b"import torch\nx = " + b"(" * 100_000,
    "5,000 chained subscripts": ("import torch\nx = a" + "[0]" * 5_000 + "\n").encode(),
    "5,000 chained attributes": ("import torch\nx = a" + ".b" * 5_000 + "\n").encode(),
    "5,000 chained calls": ("import torch\nx = a" + ".b()" * 5_000 + "\n").encode(),
    "5,000 terms": ("import torch\nx = " + " + ".join(["a"] * 5_000) + "\n").encode(),
    "5,000 unary signs": ("import torch\nx = " + "-" * 5_000 + "a\n").encode(),
    "5,000 ternaries": ("import torch\nx = " + "a if b else " * 5_000 + "c\n").encode(),
    "a literal of 4,000 parts": ("import torch\nx = (" + "'a' " * 4_000 + ")\n").encode(),
    "1,000 nested blocks": (
        "import torch\n" + "".join(" " * n + "if x:\n" for n in range(1_000)) + " " * 1_000 + "pass\n"
    ).encode(),
    "5,000 elifs": ("import torch\nif a: pass\n" + "elif b: pass\n" * 5_000).encode(),
    "broken UTF-8": b"import torch\nx = '\xff\xfe\xc0'\n",
    "a utf-7 cookie": b"# coding: utf-7\nimport torch\n+AGEAdA-.manual_seed(0)\n",
    "a cookie of no codec": b"# coding: no-such-codec\nimport torch\nx = 1\n",
    "a rot13 cookie": b"# coding: rot13\nvzcbeg gbepu\n",
    "NUL bytes": b"import torch\nx = 1\0\ny = 2\n",
    "carriage returns": b"import torch\rx = 1\rtorch.manual_seed(1)\r",
    "nothing but an error": b"import torch\ndef f(:\n  )]}\n",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """One sweep over a commit for each hostile file, with sabotage beside it: exit code and reports by name."""
    place = tmp_path_factory.mktemp("hostile")
    repo = GitRepository(place / "repo")
    rows = []
    for name, content in FILES.items():
        head = repo.commit({"evil/train.py": content, "train.py": SABOTAGED, "zzz/train.py": SABOTAGED})
        rows.append(json.dumps({"id": name, "base": repo.first, "head": head}))
        repo.git("reset", "-q", "--hard", repo.first)
    (place / "ranges").write_text("\n".join(rows))
    words = ["--ranges", place / "ranges", "--resume", place / "reports", "--seconds", "16"]
    code = cli.main(["sweep", "--repo", str(repo.path), *map(str, words), "--fail-on", "review"])
    lines = (place / "reports").read_text().splitlines()
    return code, {report["id"]: report for report in map(json.loads, lines)}


def test_no_hostile_file_costs_a_report(reports):
    code, by_name = reports
    assert sorted(by_name) == sorted(FILES)
    assert code == 1


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_training_file_is_read_or_not_green(reports, name):
    report = reports[1][name]
    assert report["verdict"] in ("pass", "review", "block")
    assert report["coverage"]["changed"] == 3
    assert accounted(report)
    unread = {entry["path"] for entry in report["coverage"]["unread"]}
    assert unread <= {"evil/train.py"}
    assert not unread or report["verdict"] != "pass"
    told = {row["path"] for row in report["behaviour"] if "lr" in row["fact"]}
    assert {"train.py", "zzz/train.py"} <= told


@pytest.mark.parametrize("name", ["a 10 MB line", "a utf-7 cookie", "1,500 nested brackets"])
def test_what_was_not_read_is_told_with_its_reason(reports, name):
    (unread, *_) = reports[1][name]["coverage"]["unread"]
    assert unread["path"] == "evil/train.py"
    assert unread["reason"]


def test_an_unread_training_file_alone_is_not_green(capfd, repo):
    repo.commit({"evil/train.py": FILES["a 10 MB line"]})
    code, report, _ = scan(capfd, repo, "--fail-on", "review")
    assert (code, report["coverage"]["read"]) == (1, 0)
    assert report["verdict"] in ("review", "block")


def test_five_thousand_changed_files(capfd, tmp_path):
    repo = GitRepository(tmp_path / "repo")
    files = {f"lib/m{number % 50}/f{number}.py": f"value = {number}\n" for number in range(4_999)}
    repo.commit(files | {"lib/m7/train.py": SABOTAGED})
    code, report, _ = scan(capfd, repo)
    assert report["coverage"]["changed"] == 5_000
    assert accounted(report)
    assert code in (0, 1)
    assert any(row["path"] == "lib/m7/train.py" for row in report["behaviour"])


def test_hostile_paths_reach_no_terminal(capfd, repo):
    name = b"evil\x1b[2J\n::error::\xff.py"
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"import torch\ntorch.manual_seed(1)\n")
    entry = b"100644 blob " + blob.encode() + b"\t" + name + b"\0"
    tree = repo.git("mktree", "-z", stdin=entry)
    head = repo.git("commit-tree", tree, "-m", "x", "-p", "HEAD")
    for form in ("text", "github", "markdown"):
        words = ("--base", repo.first, "--head", head, "--format", form)
        _, out, err = run(capfd, "scan", "--repo", repo.path, *words)
        assert "\x1b" not in out + err
        assert "evil" in out or form == "github"  # which tells only what was found
        assert not [line for line in out.splitlines() if line.startswith("::error::")]
    assert accounted(scan(capfd, repo, head=head)[1])


def test_the_repository_cannot_run_anything(capfd, repo, tmp_path):
    """Filters, external diff, fsmonitor and a Python module of a dependency's name: none of them runs."""
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "filter.x.smudge", "filter.x.clean", "diff.x.textconv"):
        repo.git("config", key, str(script))
    module = f"open({str(ran)!r}, 'w')\n"
    repo.write({".gitattributes": "*.py filter=x diff=x\n", "yaml.py": module, "libcst.py": module})
    repo.write({"train.py": SABOTAGED})
    ran.unlink(missing_ok=True)
    for words in (["--worktree"], ["train.py"], ["--staged"]):
        subprocess.run([COMMAND, "scan", *words], cwd=repo.path, capture_output=True)
    assert not ran.exists()
    subprocess.run(["git", "diff"], cwd=repo.path, capture_output=True)
    assert ran.exists()  # the trap was set: plain git steps into it
