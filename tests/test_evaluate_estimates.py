"""Estimates on numbers that can be worked out by hand, and the properties they must have."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.evaluate import estimates
from trainwarden.evaluate.estimates import auroc, pairs, recall_intervals, threshold, wilson

scores = st.lists(st.floats(0, 1).map(lambda x: round(x, 2)), min_size=1, max_size=60)


def test_wilson_of_nothing_is_empty():
    assert wilson(0, 0) == estimates.Rate(0, 0, 0.0, 0.0)
    assert wilson(0, 0).value == 0.0


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_published_intervals(k, n, low, high):
    rate = wilson(k, n)
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


def test_threshold_of_no_scores_is_an_error():
    with pytest.raises(ValueError, match="no scores"):
        threshold([], 0.01)


@given(scores, st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.5]))
def test_no_more_than_the_level_lies_above_the_threshold_and_no_lower_one_does(values, level):
    limit = threshold(values, level)
    assert sum(value > limit for value in values) <= level * len(values) + 1e-9
    lower = [value for value in values if value < limit]
    if lower:
        assert sum(value > max(lower) for value in values) > level * len(values) + 1e-9


def test_two_of_two_hundred_alert_at_one_percent():
    values = [number / 200 for number in range(200)]
    assert sum(value > threshold(values, 0.01) for value in values) == 2


def test_auroc_needs_both_sides():
    assert auroc([], [("a", 1.0)]) is None
    assert auroc([("a", 1.0)], []) is None


def test_auroc_by_hand():
    positives = [("a", 0.9), ("b", 0.5), ("c", 0.1)]
    negatives = [("a", 0.5), ("b", 0.2), ("d", 0.0)]
    # 0.9 beats 3; 0.5 beats 2 and ties 1; 0.1 beats 1
    ranking = auroc(positives, negatives)
    assert math.isclose(ranking.value, (3 + 2.5 + 1) / 9)
    assert (ranking.positives, ranking.negatives) == (3, 3)
    assert ranking.low <= ranking.value <= ranking.high


def test_one_repository_gives_no_interval():
    ranking = auroc([("a", 1.0)], [("a", 0.0)])
    assert (ranking.value, ranking.low, ranking.high) == (1.0, 0.0, 1.0)


def test_the_interval_is_wider_when_repositories_disagree():
    alike = [(name, score) for name in "abcdef" for score in (0.2, 0.8)]
    apart = [(name, 0.8 if name in "abc" else 0.2) for name in "abcdef" for _ in range(2)]
    negatives = [(name, 0.5) for name in "abcdef"]
    one, other = auroc(alike, negatives), auroc(apart, negatives)
    assert one.value == other.value == 0.5
    assert other.high - other.low > one.high - one.low


@given(scores, scores)
def test_auroc_turns_around_with_its_sides(left, right):
    one = auroc([("a", x) for x in left], [("a", x) for x in right])
    other = auroc([("a", x) for x in right], [("a", x) for x in left])
    assert math.isclose(one.value + other.value, 1.0)


def test_pairs_count_ties_as_half():
    found = pairs([("a", 0.9, 0.1), ("b", 0.5, 0.5), ("c", 0.1, 0.9), ("d", 0.2, 0.1)])
    assert (found.right, found.tied, found.n, found.share) == (2, 1, 4, 0.625)
    assert found.low <= found.share <= found.high
    assert pairs([]) is None


def test_recall_intervals_move_with_the_threshold():
    ordinary = [(name, number / 100) for name in "abcd" for number in range(100)]
    caught = [(name, 0.995) for name in "abcd"]
    missed = [(name, 0.5) for name in "abcd"]
    totals = [dict.fromkeys("abcd", 1)] * 2
    sure, never = recall_intervals([caught, missed], totals, ordinary, 0.01)
    assert sure == (1.0, 1.0) and never == (0.0, 0.0)


def test_recall_intervals_count_what_was_not_scored():
    ordinary = [(name, 0.0) for name in "abcd"]
    caught = [(name, 1.0) for name in "abcd"]
    (interval,) = recall_intervals([caught], [dict.fromkeys("abcd", 2)], ordinary, 0.01)
    assert interval == (0.5, 0.5)


def test_recall_intervals_need_repositories():
    assert recall_intervals([[("a", 1.0)]], [{"a": 1}], [("a", 0.0)], 0.01) == [None]


def test_the_bootstrap_is_the_same_every_time():
    assert list(estimates.draws("abc", 5)) == list(estimates.draws("cab", 5))
