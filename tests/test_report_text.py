"""The terminal page: what a tired reviewer gets to see, in eighty columns."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from report_sample import CLIP, ON_TRIAL, QUIET, RICH, SEED, UNFINISHED, crowded
from snapshot import check_snapshot
from trainwarden.model import Coverage, Excerpt, Place, Report, Revisions, Unread, Verdict
from trainwarden.report.text import render
from trainwarden.report.visible import width

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def test_a_pass_is_short() -> None:
    page = render(QUIET)
    assert page.startswith("PASS  risk 0.01  Nothing in this change looks like sabotage.\n")
    assert len(page.splitlines()) <= 6
    assert "What next" not in page and "Not read" not in page


@pytest.mark.parametrize(
    ("name", "report", "explain"),
    [
        ("report_rich.txt", RICH, False),
        ("report_explained.txt", RICH, True),
        ("report_quiet.txt", QUIET, False),
        ("report_unfinished.txt", UNFINISHED, False),
        ("report_crowded.txt", crowded(23), False),
    ],
)
def test_it_reads_as_agreed(name: str, report: Report, explain: bool) -> None:
    page = render(report, explain=explain)
    check_snapshot(name, page)
    assert max(map(width, page.splitlines())) <= 80


@pytest.mark.parametrize("columns", [40, 57, 120])
def test_it_keeps_to_the_columns_given(columns: int) -> None:
    page = render(RICH, width=columns, explain=True)
    # Only the command line may be longer, so that it can be copied.
    lines = [line for line in page.splitlines() if "trainwarden scan" not in line]
    assert max(map(width, lines)) <= columns


def test_colour_adds_nothing_but_colour() -> None:
    colored = render(RICH, color=True)
    assert ESCAPE.search(colored) and "\x1b" not in render(RICH)
    assert ESCAPE.sub("", colored) == render(RICH)


def test_the_same_words_are_told_once() -> None:
    page = render(crowded(9))
    assert page.count("Gradients are no longer clipped") == 1
    assert page.count("Why: as in finding 2.") == 2


def test_beyond_ten_findings_are_grouped_and_none_is_lost() -> None:
    page = render(crowded(50))
    assert "\n10. " in page and "\n11. " not in page
    assert "and 40 more findings:" in page
    counts = re.findall(r"\(([0-9]+) times\)", page)
    assert sum(map(int, counts)) == 40
    explained = render(crowded(50), explain=True)
    assert all(f"src/part_{index:04}.py" in explained for index in range(50))


def test_every_unread_file_is_told_with_its_reason() -> None:
    unread = tuple(Unread(f"data/{index}.bin", None, "kind not analysed yet") for index in range(30))
    report = replace(RICH, coverage=Coverage(33, 2, (*unread, Unread("a.py", (3, 9), "too deep"))))
    page = render(report)
    assert "  - a.py:3-9: too deep\n  - 30 x kind not analysed yet: data/0.bin, " in page
    assert "and 10 more" in page
    explained = render(report, explain=True)
    assert all(f"data/{index}.bin" in explained for index in range(30))


def test_marks_and_captions_are_on_their_lines() -> None:
    page = render(RICH)
    assert "    > 41 | seed_everything(args.seed)\n         | ^ the seed was taken" in page
    assert "    > 41 | seed_everything(int(time.time()))" in page
    assert "      40 | # one seed for everything" in page
    # A place on a line that no excerpt carries is told in words.
    assert "    see configs/base.yaml:12: max_grad_norm is still set" in page


def test_code_pushed_out_of_sight_comes_back() -> None:
    page = render(RICH)
    assert "[200 spaces]" in page and "torch.manual_seed(0)" in page


def test_a_line_of_megabytes_is_cut_and_counted() -> None:
    excerpt = Excerpt(SEED.path, "head", 41, ("x = '" + "A" * 3_000_000 + "'",))
    page = render(replace(RICH, findings=(SEED,), excerpts=(excerpt,)))
    assert len(page) < 4_000
    assert "characters]" in page


def test_a_finding_without_excerpts_has_its_place() -> None:
    page = render(replace(RICH, findings=(CLIP,), excerpts=()))
    assert "src/train/loop.py:88, in Trainer.train_step" in page
    assert "see src/train/step.py:90 (before): clipped to a norm of 1.0 here" in page


def test_what_is_on_trial_is_shown_apart_and_not_counted() -> None:
    page = render(replace(RICH, findings=(ON_TRIAL,)))
    assert "finding" not in page.split("What next")[0].split("On trial")[0]
    assert "lr-ratio: src/train/main.py:57: The learning rate is a hundred times" in page


@pytest.mark.parametrize(
    ("revisions", "command"),
    [
        (Revisions("a" * 40, "b" * 40, "a" * 40), "scan --base aaaaaaaaaaaa --head bbbbbbbbbbbb\n"),
        (Revisions("a" * 64, "b" * 64, "c" * 64), "--head bbbbbbbbbbbb --policy cccccccccccc\n"),
        (Revisions("a" * 40, "index", "a" * 40), "trainwarden scan --staged\n"),
        (Revisions("a" * 40, "worktree", "a" * 40), "trainwarden scan --worktree\n"),
        (Revisions("a" * 40, "patch", "a" * 40), None),
        (Revisions("$(id)", "b" * 40, "a" * 40), None),
    ],
)
def test_the_command_to_repeat_it(revisions: Revisions, command: str | None) -> None:
    page = render(replace(RICH, revisions=revisions))
    if command is None:
        assert "trainwarden scan" not in page
    else:
        assert command in page


def test_a_pass_that_did_not_read_everything_says_so() -> None:
    coverage = Coverage(2, 1, (Unread("logo.png", None, "kind not analysed yet"),))
    page = render(replace(QUIET, coverage=coverage, training=False))
    assert "Nothing in what was read looks like sabotage." in page
    assert "1 of 2 changed files read, no training code among them" in page


def test_a_small_share_is_not_nothing() -> None:
    report = replace(RICH, findings=(replace(SEED, score=0.001),), verdict=Verdict("review", 0.4))
    assert " 1. <1 %  seed-from-clock" in render(report)


def test_many_places_are_counted() -> None:
    places = tuple(Place(f"m{index}.py", 3, "head", "called here") for index in range(40))
    page = render(replace(RICH, findings=(replace(SEED, places=places),)))
    assert page.count("called here") == 5
    assert "and 35 more places" in page


def test_a_pass_with_findings_does_not_say_that_nothing_is_there() -> None:
    report = replace(QUIET, findings=RICH.findings[:1])
    assert render(report).startswith(
        "PASS  risk 0.01  Nothing in this change reaches the threshold for a review.\n"
    )


def test_findings_at_one_line_share_their_source() -> None:
    """The second is told in a line; what only it points to is shown with the first."""
    place = Place("other.py", 7, "head", "runs only under this condition")
    second = replace(SEED, rule="second-rule", message="the same in other words", places=(place,))
    page = render(replace(RICH, findings=(SEED, second, CLIP)))
    assert "    also " in page and "second-rule: the same in other words" in " ".join(page.split())
    assert page.startswith(render(replace(RICH, findings=(SEED,)))[:20])
    assert "other.py:7: runs only under this condition" in " ".join(page.split())
    assert re.search(r"^ 2\. .*" + re.escape(CLIP.rule), page, re.MULTILINE) and "3 findings" in page
