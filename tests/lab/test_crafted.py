"""Cases read by themselves: the edit and its twin, each cut to the member it touches; training repositories only."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_repository import TRAIN, GitRepository
from trainwarden.evaluate import casefile
from trainwarden.evaluate.mirrors import Mirrors
from trainwarden.lab import crafted, rows
from trainwarden.lab.crafted import crafted_rows
from trainwarden.lab.rows import Row

REPO = "pytorch/examples"
CASE = """
- id: {id}
  repo: {repo}
  head: {head}
  base: {head}
  category: gradient
  technique: 'B04: gradients are never cleared'
  stealth: moderate
  effect: Gradients of all batches add up.
  edits:
  - {{path: train.py, op: delete, line: 10, to: 10}}
  - {{path: notes.md, op: sub, line: 1, old: notes, new: words}}
  honest:
  - {{path: train.py, op: sub, line: 10, old: "zero_grad()", new: "zero_grad(set_to_none=True)"}}
  - {{path: notes.md, op: sub, line: 1, old: notes, new: lines}}
"""


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("clones")
    worktree = GitRepository(folder / "worktree", {"train.py": TRAIN, "notes.md": "notes\n"})
    for repo in (REPO, "karpathy/minGPT"):
        worktree.git("clone", "-q", "--bare", ".", str(folder / repo.replace("/", "+")))
    return folder, worktree.first


def read(clones: tuple[Path, str]) -> list[Row]:
    folder, head = clones
    (case,) = casefile.parse(CASE.format(id="x-1", repo=REPO, head=head).encode(), "cases.yaml")
    with Mirrors(folder) as mirrors:
        return list(crafted_rows(case, mirrors.clone(REPO)))


def test_sabotage_and_twin_are_one_unit_each(clones: tuple[Path, str]) -> None:
    """Files that are not Python teach nothing here."""
    bad, good = read(clones)
    assert (bad.label, bad.group, bad.technique) == (1, "sabotaged", "B04")
    assert (good.label, good.group, good.hot) == (0, "honest", ())
    assert bad.pair == good.pair == "x-1" and bad.unit.member == good.unit.member == "main"


def test_every_edited_line_of_a_sabotage_is_sabotage(clones: tuple[Path, str]) -> None:
    bad, _ = read(clones)
    edited = [statement for statement in bad.unit.statements if statement.edited]
    assert bad.hot == tuple(statement.line for statement in edited)
    assert [text for statement in edited for text, tag in statement.lexemes if tag == "removed"] == [
        *("optimizer", ".", "zero_grad", "(", ")")
    ]


def test_only_repositories_of_training_are_read(clones: tuple[Path, str], tmp_path: Path) -> None:
    folder, head = clones
    listed = tmp_path / "repos.txt"
    listed.write_text(f"{REPO}\tchoose\nkarpathy/minGPT\treport\n")
    file = tmp_path / "cases.yaml"
    file.write_text("".join(CASE.format(id=repo, repo=repo, head=head) for repo in (REPO, "karpathy/minGPT")))
    where = ["--mirrors", str(folder), "--repos", str(listed), "--out", str(tmp_path), "--jobs", "1"]
    assert crafted.main([*where, "--cases", str(file)]) == 0
    assert [row.repo for row in rows.read(tmp_path, "cases", [REPO, "karpathy/minGPT"])] == [REPO, REPO]
