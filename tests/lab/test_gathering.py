"""From a repository's history to labelled units: what is gathered, what is held out, and who is who's counterpart."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from git_repository import ENVIRONMENT, TRAIN
from snippets import pair
from trainwarden.git import Repository
from trainwarden.lab import corpus, rows, splits
from trainwarden.lab.corpus import Piece
from trainwarden.lab.reading import units_between
from trainwarden.lab.sabotage.catalogue import OPERATORS
from trainwarden.score.units import units_of
from trainwarden.understand import view_of

FIXED = TRAIN.replace("clip_grad_norm_(model.parameters(), 1.0)", "clip_grad_norm_(model.parameters(), 0.5)")


def history(tmp_path: Path, *versions: tuple[str, str]) -> Path:
    """A repository in which train.py had these (message, text) versions."""
    import subprocess

    folder = tmp_path / "repository"
    folder.mkdir()

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)

    git("init", "--quiet")
    for message, text in versions:
        (folder / "train.py").write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", message)
    return folder


def gathered(folder: Path) -> list[Piece]:
    with Repository(str(folder)) as repository:
        return list(corpus.pieces(repository, "owner/name", 100))


def piece(before: str, after: str, fix: bool = False) -> Piece:
    return Piece("owner/name", "0" * 40, "train.py", "main", before, after, True, fix)


# -- pieces


def test_a_piece_is_one_member_with_the_imports_of_its_file(tmp_path: Path) -> None:
    other = "\n\ndef other():\n    return 1\n"
    folder = history(tmp_path, ("begin", TRAIN + other), ("Tune", FIXED + other))
    (one,) = gathered(folder)
    assert one.member == "main" and one.training and not one.fix
    assert one.before is not None and one.before.startswith("import torch\nfrom torch import nn\n")
    assert "def other" not in one.before


def test_a_small_commit_that_speaks_of_a_fix_is_one(tmp_path: Path) -> None:
    assert [one.fix for one in gathered(history(tmp_path, ("begin", TRAIN), ("Fix clipping", FIXED)))] == [
        True
    ]


def test_what_was_gathered_once_is_not_gathered_again(tmp_path: Path) -> None:
    folder = history(tmp_path, ("begin", TRAIN), ("a", FIXED), ("b", TRAIN), ("c", FIXED))
    assert len(gathered(folder)) == 2  # there and back


def test_a_method_keeps_its_class(tmp_path: Path) -> None:
    text = "import torch\n\n\nclass Trainer:\n    def step(self, loss):\n        loss.backward()\n"
    folder = history(
        tmp_path, ("begin", text), ("Scale", text.replace("loss.backward", "(loss * 2).backward"))
    )
    (one,) = gathered(folder)
    assert one.after is not None and "class Trainer:\n    def step(self, loss):\n" in one.after


# -- units


def test_the_lab_reads_what_a_review_reads() -> None:
    assert units_between(TRAIN, FIXED, "train.py", True) == units_of(view_of([pair(TRAIN, FIXED)], ("**",)))


def test_a_fix_is_honest_and_taken_back_it_is_sabotage() -> None:
    found = list(rows.ordinary_rows(piece(TRAIN, FIXED, fix=True)))
    assert [(row.group, row.label) for row in found] == [("ordinary", 0), ("mined", 1)]
    assert found[0].pair == found[1].pair and found[1].hot


def test_planted_sabotage_has_a_twin_and_says_its_lines() -> None:
    used: Counter[str] = Counter()
    found = list(rows.planted_rows(piece(TRAIN, FIXED), 6, False, used))
    by_pair: dict[str, set[str]] = {}
    for row in found:
        by_pair.setdefault(row.pair, set()).add(row.group)
        assert bool(row.hot) == bool(row.label) == (row.group == "planted")
    assert by_pair and all("planted" in groups for groups in by_pair.values())
    assert sum("twin" in groups for groups in by_pair.values()) > len(by_pair) / 2
    assert used.total() == len({row.pair for row in found if row.label}) or used.total() >= len(by_pair)


# -- what is held out


def test_what_is_held_out_is_never_planted_for_learning() -> None:
    import random

    learned = rows.arsenal(random.Random(1), False, Counter())
    assert learned and not any(splits.held_out(one.technique, one.id) for one in learned)
    measured = [rows.arsenal(random.Random(seed), True, Counter()) for seed in range(20)]
    assert any(splits.held_out(one.technique, one.id) for some in measured for one in some)


def test_a_fifth_of_the_other_operators_and_two_families_are_held_out() -> None:
    others = [one for one in OPERATORS if one.technique[0] not in splits.HELD_OUT_FAMILIES]
    share = sum(splits.held_out(one.technique, one.id) for one in others) / len(others)
    assert 0.1 < share < 0.3
    assert all(splits.held_out(family + "01") for family in splits.HELD_OUT_FAMILIES)


def test_repositories_are_split_by_the_list_and_by_their_names() -> None:
    listed = {"a/report": "report", **{f"owner/name{number}": "choose" for number in range(200)}}
    kinds = Counter(splits.split_of(repo, listed) for repo in listed)
    assert kinds["report"] == 1 and 5 < kinds["tune"] < 45


@given(st.text(), st.text())
def test_a_name_always_falls_to_the_same_side(name: str, other: str) -> None:
    assert 0 <= splits.share(name) < 1
    assert (splits.share(name) == splits.share(other)) == (name == other)


def test_the_name_of_a_piece_is_that_of_its_code() -> None:
    one = piece(TRAIN, FIXED)
    assert one.id == replace(one, sha="1" * 40, repo="another/one").id != replace(one, after=TRAIN).id


# -- what is kept of it


def test_the_manifest_lists_every_piece_and_no_code(tmp_path: Path) -> None:
    listed = {"owner/name": "choose"}
    mirrors = tmp_path / "mirrors"
    mirrors.mkdir()
    history(tmp_path, ("begin", TRAIN), ("Fix clipping", FIXED)).rename(mirrors / "owner+name")
    names = tmp_path / "repos.txt"
    names.write_text("owner/name\tchoose\n")
    out, kept = tmp_path / "out", tmp_path / "manifest.tsv.gz"
    asked = ["--mirrors", str(mirrors), "--repos", str(names), "--out", str(out), "--manifest", str(kept)]
    assert corpus.main([*asked, "--jobs", "1"]) == 0
    with gzip.open(kept, "rt") as lines:
        header, row = (line.rstrip("\n").split("\t") for line in lines)
    assert header == ["repository", "commit", "path", "member", "label", "split"]
    assert (row[0], row[2:5]) == ("owner/name", ["train.py", "main", "fix"])
    assert row[5] == splits.split_of("owner/name", listed)
    first = kept.read_bytes()
    assert corpus.main([*asked, "--jobs", "1"]) == 0 and kept.read_bytes() == first
