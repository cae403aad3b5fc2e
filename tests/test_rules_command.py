"""`trainwarden rules`: what each action prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from git_repository import TRAIN, GitRepository
from trainwarden.entry.cli import main
from trainwarden.rules.bundle import COMPILED
from trainwarden.rules.scaffold import write_rule
from trainwarden.rules.schema import read_file


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A directory with one rule that works."""
    directory = tmp_path / "rules"
    write_rule(directory, "step-gone", "optimizer")
    return directory


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Exit code and standard output."""
    code = main(["rules", *map(str, words)])
    return code, capsys.readouterr().out


def test_test_passes(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """Exit code 0 and a count."""
    code, out = said(capsys, "test", "--rules", rules)
    assert (code, out) == (0, "1 rules, 2 cases: 1 reported, 1 validated, 0 noisy, 0 missing\n")


def test_test_names_what_is_noisy_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], rules: Path
) -> None:
    """Cases swapped: each is wrong in its own way."""
    path = rules / "optimizer" / "step-gone.yml"
    text = path.read_text().replace("fires:", "swap:").replace("quiet:", "fires:").replace("swap:", "quiet:")
    path.write_text(text.replace("      line: 4\n", ""))
    code, out = said(capsys, "test", "step-gone", "--rules", rules)
    assert code == 1
    assert "missing: step-gone fires 1: nothing was found" in out
    assert "noisy: step-gone quiet 1: line 4: optimizer.step() is gone" in out


def test_test_wants_the_stated_line(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """A finding elsewhere is missing."""
    path = rules / "optimizer" / "step-gone.yml"
    path.write_text(path.read_text().replace("line: 4", "line: 2"))
    code, out = said(capsys, "test", "--rules", rules)
    assert code == 1
    assert "missing: step-gone fires 1: found at line 4-4, expected line 2" in out


def test_test_fails_without_cases(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """A rule nobody can test is not tested."""
    path = rules / "optimizer" / "step-gone.yml"
    text = path.read_text()
    path.write_text(text[: text.index("cases:")] + "cases: {fires: [], quiet: []}\n")
    code, out = said(capsys, "test", "--rules", rules)
    assert code == 1
    assert "missing: step-gone has no firing or no quiet case" in out


def test_check_complains(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """One line for each complaint, with the file."""
    code, out = said(capsys, "check", "--rules", rules)
    assert code == 1
    lines = out.splitlines()
    assert lines[-1] == "1 rules checked, 2 complaints"
    assert all(line.startswith(str(rules)) and "cases; 2 are needed" in line for line in lines[:-1])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("message: \"{before} is gone\"", "message: \"{befor} is gone\"", "names {befor} in its message"),
        ("stage: trial", "stage: trial\nparameters: {most: 1}", "declares the parameter 'most' and does not use it"),
        ("loop: \">=1\"", "loop: \">={most}\"", "uses the parameter {most}, which it does not declare"),
        ("loop: \">=1\"", "roles: [losses]", "asks for the role 'losses', which nothing has (did you mean 'loss'?)"),
        ("edit: {kind: removed", "all: [{shift: {fact: optimiser.lr}}, {edit: {kind: removed", "optimizer.lr"),
        ("edit: {kind: removed", "all: [{order: {was: [clipp, step]}}, {edit: {kind: removed", "event.clip"),
        ("edit: {kind: removed", "all: [{where: {of: $X, is: 1}}, {edit: {kind: removed", "no pattern captures"),
    ],
)  # fmt: skip
def test_check_finds_what_can_never_be(
    capsys: pytest.CaptureFixture[str], rules: Path, old: str, new: str, words: str
) -> None:
    """Mistakes that load but make a rule dumb."""
    path = rules / "optimizer" / "step-gone.yml"
    text = path.read_text()
    assert old in text
    text = text.replace(old, new)
    path.write_text(
        text.replace("gone_elsewhere: true}", "gone_elsewhere: true}}]") if "all: [" in new else text
    )
    code, out = said(capsys, "check", "--rules", rules)
    assert code == 1
    assert words in out


def test_check_finds_families_and_twins(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """A folder that is no family; two rules that are one."""
    odd = rules / "lose" / "step-lost.yml"
    odd.parent.mkdir()
    text = (rules / "optimizer" / "step-gone.yml").read_text()
    odd.write_text(text.replace("id: step-gone", "id: step-lost"))
    _, out = said(capsys, "check", "--rules", rules)
    assert "step-lost lies in the unknown family 'lose' (did you mean 'loss'?)" in out
    assert "step-gone has the same conditions as step-lost" in out


def test_list(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """As lines, and as JSON."""
    code, out = said(capsys, "list", "--rules", rules)
    assert code == 0
    assert out.split() == ["optimizer", "step-gone", "medium", "trial", "Step", "gone"]
    assert said(capsys, "list", "--rules", rules, "--family", "loss") == (0, "")
    _, out = said(capsys, "list", "--rules", rules, "--format", "json")
    assert [one["id"] for one in json.loads(out)] == ["step-gone"]


def test_show(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """With the first firing case as a diff."""
    code, out = said(capsys, "show", "step-gone", "--rules", rules)
    assert code == 0
    assert "-        optimizer.step()" in out
    assert said(capsys, "show", "step-gon", "--rules", rules)[0] == 2


def test_new(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """The path of a rule that loads; twice is misuse."""
    code, out = said(capsys, "new", "seed-lost", "--family", "randomness", "--rules", rules)
    assert code == 0
    assert read_file(Path(out.strip())).id == "seed-lost"
    assert said(capsys, "new", "seed-lost", "--family", "randomness", "--rules", rules)[0] == 2
    assert said(capsys, "new", "Seed Lost", "--family", "randomness", "--rules", rules)[0] == 2


def test_schema_and_compile(capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """A schema that is JSON; a compiled form beside the rules."""
    code, out = said(capsys, "schema")
    assert code == 0
    assert json.loads(out)["title"] == "Trainwarden rule"
    assert said(capsys, "compile", "--rules", rules) == (0, "1 rules compiled\n")
    assert (rules / COMPILED).is_file()


def test_noise_counts_and_writes(capsys: pytest.CaptureFixture[str], rules: Path, tmp_path: Path) -> None:
    """Real history: one commit of three loses the step; the measurement lands in the rule file, once."""
    repository = GitRepository(tmp_path / "repo")
    repository.commit({"train.py": TRAIN.replace("lr=0.1", "lr=0.2")})
    repository.commit({"train.py": TRAIN.replace("        optimizer.step()\n", "")})
    words = ("noise", "--rules", rules, "--repo", repository.path, "--rule", "step-gone", "--write")
    for _ in range(2):
        code, out = said(capsys, *words)
        assert code == 0
        assert out.splitlines() == ["  333.3 in 1,000      1 step-gone", "3 commits"]
    path = rules / "optimizer" / "step-gone.yml"
    assert path.read_text().count("measured:") == 1
    assert read_file(path).measured == {"commits": 3, "fired": 1}
    assert "It fired on 1 of 3 ordinary commits" in said(capsys, "show", "step-gone", "--rules", rules)[1]


def test_misuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """No rules, no such directory, no such repository."""
    assert said(capsys, "check", "--rules", tmp_path)[0] == 2
    assert said(capsys, "check", "--rules", tmp_path / "nowhere")[0] == 2
    assert said(capsys, "noise", "--repo", tmp_path / "nowhere")[0] == 2
    assert said(capsys)[0] == 2
