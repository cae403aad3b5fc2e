"""From rows to a sealed model with its card: one run published, another compared with it on the same units."""

from __future__ import annotations

import argparse
import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lab.torch.test_training import material, write
from trainwarden.entry import model_train
from trainwarden.lab import publish, train
from trainwarden.lab.aims import Bars, against_the_marks
from trainwarden.lab.measure import Changes as Compared
from trainwarden.lab.measure import area, auroc, pairs_right
from trainwarden.score import artifact
from trainwarden.score.embedded import Embedded

REPOS = {
    "pytorch/examples": "choose",
    "huggingface/pytorch-image-models": "choose",
    "karpathy/minGPT": "report",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lab")
    (made / "repos.txt").write_text("".join(f"{repo}\t{split}\n" for repo, split in REPOS.items()))
    for repo in REPOS:
        write(made / "rows", repo)
    return made


def published(folder: Path, name: str, steps: int, *more: str) -> Path:
    where = ["--rows", str(folder / "rows"), "--repos", str(folder / "repos.txt")]
    run, to = folder / f"run-{name}", folder / name / "change-risk"
    sizes = ["--width", "64", "--depth", "1", "--tokens", "640", "--mutations", "1", "--jobs", "1"]
    lengths = ["--pretrain-steps", "2", "--mutation-steps", "2", "--steps", str(steps)]
    assert train.main([*where, "--out", str(run), *sizes, *lengths]) == 0
    assert publish.main([*where, "--run", str(run), "--out", str(to), *more]) == 0
    return to


def test_a_model_is_published_and_the_next_is_compared_with_it(folder: Path) -> None:
    notes = folder / "notes.md"
    notes.write_text("## Told by hand\n")
    first = published(folder, "first", 2)
    second = published(folder, "second", 120, "--before", str(first), "--notes", str(notes))
    one, two = artifact.load(first), artifact.load(second)
    assert one.digest != two.digest
    card = (second / "card.md").read_text()
    assert "| | classifier | bag of tokens | removes more than it adds | the model before |" in card
    assert "nothing to measure" in card, "there are no fixes among the rows"
    assert card.rstrip().endswith("## Told by hand")
    units = [row.unit for row in material(20, 9)]
    scores = Embedded(two).score(units)
    assert all(0 <= score.risk <= 1 for score in scores)
    bad = np.array([score.logit for score in scores[0::2]])
    good = np.array([score.logit for score in scores[1::2]])
    assert auroc(bad, good) > 0.8, "it learned, and what was exported is what was trained"


def test_every_step_of_the_command_is_a_program_that_takes_its_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = argparse.ArgumentParser()
    model_train.add_arguments(parser)
    given = [
        "--mirrors",
        "clones",
        "--repos",
        "repos.txt",
        "--out",
        "build",
        "--cases",
        "a.yaml",
        "--fixes",
        "b",
    ]
    lengths = ["--tokens", "1", "--pretrain-steps", "1", "--mutation-steps", "1", "--steps", "1"]
    asked = list(model_train.steps(parser.parse_args([*given, *lengths])))
    programs = {command[0] for _, command in asked}
    assert programs == {"corpus", "rows", "crafted", "members", "train", "publish"}
    for _, (program, *words) in asked:
        with pytest.raises(SystemExit):
            import_module(f"trainwarden.lab.{program}").main(["--help"])
        told = capsys.readouterr().out
        assert [word for word in words if word.startswith("--") and word not in told] == []


def test_nothing_to_measure_is_no_figure() -> None:
    none = np.zeros(0)
    assert math.isnan(auroc(none, np.ones(3))) and str(area(np.ones(2), none)) == "nothing to measure"
    empty = np.zeros(0, np.int64)
    assert math.isnan(pairs_right(Compared(none, empty, empty, empty)).value)


def test_marks_are_judged_by_what_was_found() -> None:
    good = Bars(
        {"classifier": 0.95, "bag of tokens": 0.6, "removes more than it adds": 0.7},
        {"classifier": 0.9},
        {"classifier": 0.9},
    )
    bad = Bars(
        {"classifier": math.nan, "bag of tokens": 0.6, "removes more than it adds": 0.5},
        {"classifier": 0.5},
        {"classifier": 0.5},
    )
    told = against_the_marks(good, bad, good)
    assert "| operators held out against ordinary edits: AUROC | 0.90 | 0.95 | reached |" in told
    assert "| fixes undone against forward: balanced pairs right | 0.70 | 0.50 | missed |" in told
    assert "above the better baseline | 0.10 | - | nothing to measure |" in told
