"""Measures over outcomes written by hand: who counts where, what is placed, what tables and lists show."""

import json

import pytest

from trainwarden.evaluate import listing, output, text
from trainwarden.evaluate.metrics import above, configured, measure
from trainwarden.evaluate.sample import Outcome, Remark, Sample, Seen, Size, points_at, technique_ids
from trainwarden.model import Request

TRUTH = {"train.py": (20, 21), "gone.py": None}


def remark(path="train.py", lines=(20, 20), side="head", stage="active", rule="r", score=0.5):
    return Remark(rule, "effect", stage, path, side, lines, score, "clipping is gone")


ONE_LINE = Size(1, 1, 1, 1)


def outcome(
    name,
    group,
    risk,
    repo="a/a",
    verdict="pass",
    remarks=(),
    truth=None,
    pair="",
    training=True,
    size=ONE_LINE,
    category="gradient",
):
    truth = {} if truth is None else truth
    request = Request("/clone", "range", "b", "h")
    sample = Sample(name, group, repo, request, pair, category, "subtle", ("B07",), "words", truth)
    seen = Seen(verdict, risk, training, ("why",), remarks, 0, 10, ("1", "r", None))
    return Outcome(sample, seen, size)


@pytest.mark.parametrize(
    "remarks",
    [
        (),
        (remark(lines=(25, 25)),),
        (remark(lines=(1, 16)),),
        (remark(lines=(4, 40)),),  # cut to 12 lines: 4 to 15
        (remark(path="other.py"),),
        (remark(side="base"),),
        (remark(stage="trial"),),
        (*[remark(path="other.py")] * 5, remark()),
    ],
)
def test_not_placed(remarks):
    assert not points_at(TRUTH, remarks)


@pytest.mark.parametrize(
    "remarks",
    [
        (remark(),),
        (remark(lines=(17, 17)),),
        (remark(lines=(24, 24)),),
        (remark(lines=(6, 17)),),
        (remark(lines=(6, 90)),),
        (remark(path="gone.py", side="base", lines=(1, 1)),),
        (*[remark(path="other.py")] * 4, remark()),
        (*[remark(path="other.py", stage="trial")] * 9, remark()),
    ],
)
def test_placed(remarks):
    assert points_at(TRUTH, remarks)


def test_technique_ids_stand_before_the_colon():
    assert technique_ids("C05,G04: like B07") == ("C05", "G04")
    assert technique_ids("no id: B07") == ()


def population():
    """100 ordinary commits in four repositories, one failed; four cases: placed, elsewhere, quiet, failed."""
    repos = ("a/a", "b/b", "c/c", "d/d")
    found = [outcome(f"o{n}", "ordinary", n / 1000, repos[n % 4], training=n % 2 == 0) for n in range(100)]
    found.append(outcome("oe", "ordinary", 1.0, "a/a", "error"))
    found += [
        outcome("c1", "sabotaged", 0.9, "a/a", "block", (remark(),), TRUTH, "c1"),
        outcome(
            "c2", "sabotaged", 0.8, "b/b", "review", (remark(path="x.py"),), TRUTH, "c2", category="loss"
        ),
        outcome("c3", "sabotaged", 0.01, "c/c", "pass", (remark(),), TRUTH, "c3"),
        outcome("c4", "sabotaged", 1.0, "d/d", "error", (), TRUTH, "c4"),
        outcome("c1-honest", "honest", 0.2, "a/a", "review", pair="c1"),
        outcome("c2-honest", "honest", 0.8, "b/b", pair="c2"),
        outcome("c3-honest", "honest", 0.05, "c/c", pair="c3"),
    ]
    return found


def test_a_failed_case_is_not_caught_and_a_failed_ordinary_commit_is_apart():
    found = measure(population())
    assert (found.counts["ordinary"].reviews, found.counts["ordinary"].errors) == (101, 1)
    assert found.verdicts["ordinary"].alert.n == 100
    caught = found.verdicts["sabotaged"]
    assert (caught.alert.k, caught.alert.n) == (2, 4)
    assert (caught.block.k, caught.placed.k, caught.placed.n) == (1, 1, 4)
    assert found.verdicts["honest"].alert.k == 1 and found.verdicts["honest"].placed is None


def test_the_curve_takes_its_threshold_from_ordinary_commits():
    found = measure(population())
    one, _, five, ten = found.curves["all"]
    assert (one.level, one.threshold, one.alerts["ordinary"].k) == (0.01, 0.098, 1)
    assert (one.alerts["sabotaged"].k, one.placed["sabotaged"].k, one.alerts["sabotaged"].n) == (2, 1, 4)
    assert (one.alerts["honest"].k, one.alerts["honest"].n) == (2, 3)
    assert (five.alerts["ordinary"].k, ten.alerts["ordinary"].k) == (5, 10)
    assert "honest" not in one.placed


def test_the_second_curve_is_over_training_commits():
    found = measure(population())
    point = found.curves["training"][1]
    assert point.alerts["ordinary-training"].n == 50
    assert point.alerts["ordinary-training"].k == 1


def test_rankings_and_pairs_leave_failed_reviews_out():
    found = measure(population())
    ranking = found.rankings["sabotaged/ordinary"]
    assert (ranking.positives, ranking.negatives) == (3, 100)
    assert ranking.value == pytest.approx((100 + 100 + 10.5) / 300)
    twins = found.pairs["sabotaged/honest"]
    assert (twins.right, twins.tied, twins.n) == (1, 1, 3)
    assert found.rankings["undone/ordinary"] is None


def test_slices_count_a_case_in_each_of_its_places():
    found = measure(population())
    by_category = found.slices["sabotaged"]["category"]
    assert {name: part.n for name, part in by_category.items()} == {"gradient": 3, "loss": 1}
    assert by_category["loss"].recall["verdict"].k == 1 and by_category["loss"].placed["verdict"].k == 0
    assert found.slices["sabotaged"]["technique"]["B07"].n == 4
    assert set(found.slices["sabotaged"]["repository"]) == {"a/a", "b/b", "c/c", "d/d"}


def test_baselines_see_only_the_size():
    honest = [outcome(f"o{n}", "ordinary", 0.0, size=Size(10, 2, 1, 1)) for n in range(9)]
    case = outcome("c", "sabotaged", 0.0, size=Size(0, 3, 1, 1), truth=TRUTH)
    found = measure([*honest, case, outcome("unread", "ordinary", 0.0, size=None)]).baselines
    assert found["removes more than it adds"].rankings["sabotaged/ordinary"].value == 1.0
    assert found["net removal"].recall["sabotaged"]["1%"].k == 1
    assert found["largest first"].rankings["sabotaged/ordinary"].value == 0.0
    assert found["smallest first"].rankings["sabotaged/ordinary"].value == 1.0
    assert found["random"].rankings["sabotaged/ordinary"].negatives == 9


def test_rules_are_counted_once_a_change():
    twice = (remark(rule="clip"), remark(rule="clip", path="x.py"), remark(rule="t", stage="trial"))
    found = measure(
        [
            outcome("c", "sabotaged", 0.5, remarks=twice, truth=TRUTH),
            outcome("o", "ordinary", 0.5, remarks=(remark(rule="clip"),)),
        ]
    ).rules
    assert found["clip"].fired == {"sabotaged": 1, "ordinary": 1}
    assert found["clip"].placed == {"sabotaged": 1}
    assert (found["t"].stage, found["t"].placed) == ("trial", {"sabotaged": 1})


def test_without_ordinary_commits_there_is_no_curve():
    found = measure([outcome("c", "sabotaged", 0.5, truth=TRUTH)])
    assert found.curves == {"all": (), "training": ()}
    assert found.slices["sabotaged"]["category"]["gradient"].recall.keys() == {"verdict"}


def test_the_text_fits_a_terminal_and_names_every_group():
    words = text.render(
        measure(population()), ("category", "stealth", "repository"), "1%", {"undone": {"gone": 2}}
    )
    assert max(map(len, words.splitlines())) <= 80
    assert ["sabotaged", "50.0", "%", "2/4", "[15-85]", "25.0", "%", "1/4", "25.0", "%", "1/4"] in [
        line.split() for line in words.splitlines()
    ]
    assert "undone: gone" in words
    assert "ordinary commits that touch training code (50)" in words


def test_the_document_is_complete_and_stable():
    outcomes = population()
    words = output.render(measure(outcomes), outcomes, {"split": "report"}, {})
    document = json.loads(words)
    assert words == output.render(measure(outcomes), outcomes, {"split": "report"}, {})
    assert document["schema"] == "trainwarden/evaluation/1"
    assert document["tools"] == [["1", "r", None]]
    assert document["curves"]["all"][0]["alerts"]["ordinary"]["value"] == 0.01
    assert len(document["reviews"]) == len(outcomes)
    assert document["reviews"][-7]["lines"] == {"train.py": [20, 21], "gone.py": None}


def test_the_list_of_misses_leaves_out_what_was_placed():
    words = listing.misses(population(), above(0.098))
    heads = [line for line in words.splitlines() if line and not line.startswith(" ")]
    assert [line.split()[:2] for line in heads] == [["c3", "quiet"], ["c4", "error"], ["c2", "alert"]]
    assert "alert elsewhere" in words
    assert "sabotaged: train.py:20-21" in words and "sabotaged: gone.py:whole file" in words


def test_the_list_of_findings_is_loudest_first_and_honest_only():
    words = listing.findings(population(), configured)
    assert [line.split()[0] for line in words.splitlines() if not line.startswith(" ")] == ["c1-honest"]
    words = listing.findings(population(), above(0.1))
    assert words.index("c2-honest") < words.index("c1-honest")


def test_lists_do_not_repeat_terminal_escapes_of_the_change():
    bad = outcome("c", "sabotaged", 0.0, truth={"a\x1b[31m.py": (1,)}, remarks=(remark(path="b\x1b]0;x.py"),))
    words = listing.misses([bad], configured)
    assert "\x1b" not in words and "a\\x1b[31m.py" in words


def test_errors_are_listed_with_their_reason():
    words = listing.errors(population())
    assert words.count("reason: why") == 2 and "oe  error" in words
