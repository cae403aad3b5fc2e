"""Thresholds from a team's own history: never more alerts than the budget, and a config that still loads."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_repository import ENVIRONMENT, SABOTAGE, TRAIN
from trainwarden import config
from trainwarden.entry.cli import main
from trainwarden.entry.model_calibrate import edited, share, spelled, thresholds
from trainwarden.model import Misuse

LINE = "thresholds: {review: 0.42, block: 0.80}"


@given(st.lists(st.floats(0, 0.98), min_size=200, max_size=400), st.sampled_from([0.01, 0.02, 0.1]))
def test_no_more_alerts_than_the_budget(risks: list[float], budget: float) -> None:
    review, block = thresholds(risks, budget)
    assert 0 < review <= block < 1
    assert sum(risk >= review for risk in risks) <= budget * len(risks)
    assert sum(risk >= block for risk in risks) <= budget * len(risks) / 10


def test_the_threshold_is_no_higher_than_it_must_be() -> None:
    risks = [number / 1000 for number in range(1000)]
    review, _ = thresholds(risks, 0.1)
    assert sum(risk >= review for risk in risks) > 85


def test_too_few_reviews_are_refused() -> None:
    with pytest.raises(Misuse, match="199 reviews are too few") as refused:
        thresholds([0.1] * 199, 0.01)
    assert refused.value.hint == "review 200 or more"


@pytest.mark.parametrize("text", ["", "0", "-1%", "51%", "nan", "1%%", "many"])
def test_a_budget_is_a_share(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        share(text)


def test_a_budget_may_be_written_both_ways() -> None:
    assert share("1%") == share("0.01") == 0.01


@pytest.mark.parametrize(
    "before",
    [
        "",
        "mode: advise\n",
        "thresholds: {review: 0.3, block: 0.9}  # ours\nmode: advise\n",
        "mode: advise\nthresholds:\n  review: 0.3\n  block: 0.9\npaths: {training: ['src/**']}\n",
    ],
)
def test_a_config_is_edited_in_place(before: str) -> None:
    after = edited(before, LINE)
    loaded = config.load(after.encode(), "test")
    assert (loaded.review_threshold, loaded.block_threshold) == (0.42, 0.8)
    assert after.count("thresholds") == 1
    assert loaded.mode == config.load(before.encode() or None, "test").mode


def test_a_config_that_does_not_load_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(Misuse):
        edited("nonsense: 1\n", LINE)


def test_the_command_reviews_history_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)

    git("init", "--quiet")
    for text in ("x = 1\n", TRAIN, SABOTAGE, TRAIN, "x = 2\n"):
        (tmp_path / "train.py").write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", "a change")
    asked = ["model", "calibrate", "--repo", str(tmp_path), "--no-history", "--no-model", "--jobs", "1"]
    assert main([*asked, "--budget", "50%", "--write", str(tmp_path / "rules.yml")]) == 0
    said = capsys.readouterr()
    assert "5 commits reviewed" in said.out
    loaded = config.load((tmp_path / "rules.yml").read_bytes(), "test")
    assert spelled(loaded.review_threshold, loaded.block_threshold) in said.out
    assert main([*asked, "--budget", "1%"]) == 2
    assert "too few" in capsys.readouterr().err
