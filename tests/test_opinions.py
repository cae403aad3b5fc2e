"""A second opinion can raise a verdict or leave it; nothing it says makes one milder."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets import inside, view
from test_policy import TABLE, THRESHOLDS, finding
from trainwarden.model import Finding, Opinion
from trainwarden.opinions import SECOND, attach, risks_of
from trainwarden.policy import Judgement, judge, site_risks
from trainwarden.score.judge.reader import MOST_NATS, evidence
from trainwarden.score.units import units_of
from trainwarden.sites import Site, sites_of

CHANCE = st.one_of(st.none(), st.floats(0, 1))
RANKS = ("pass", "review", "block")
EDITS, FIRST = 3, 5
BEFORE = inside("\n".join(f"f({n})" for n in range(EDITS)))
AFTER = inside("\n".join(f"f({n + 100})" for n in range(EDITS)))


def opinion(nats: float, line: int | None = None, technique: str = "A") -> Opinion:
    return Opinion(nats, line, technique, "it <b>negates</b> the loss", (0.9, 0.8, 0.1), "m (host:1)")


def made(*findings: Finding) -> list[Site]:
    return sites_of(view(BEFORE, AFTER), findings)


def judged(sites: list[Site]) -> Judgement:
    return judge(sites, (), TABLE, THRESHOLDS)


def test_without_answers_nothing_is_added() -> None:
    assert evidence(None, None, None) == 0.0
    assert evidence(None, None, 0.9) == 0.0


def test_the_more_alarmed_reading_counts() -> None:
    assert evidence(0.1, 0.9, 0.1) == evidence(0.9, 0.9, 0.1) == evidence(0.9, None, 0.1) > 2


def test_who_finds_the_undoing_as_bad_has_said_nothing() -> None:
    assert evidence(0.9, 0.9, 0.9) == 0.0
    assert evidence(0.9, 0.8, 0.97) == 0.0
    assert 0 < evidence(0.9, 0.8, 0.7) < evidence(0.9, 0.8, 0.3)


def test_without_the_control_a_reading_counts_half() -> None:
    assert evidence(0.9, 0.9, None) == pytest.approx(evidence(0.9, 0.9, 0.5) / 2)


@settings(max_examples=300)
@given(CHANCE, CHANCE, CHANCE, st.floats(0, 1))
def test_evidence_is_never_negative_and_rises_with_each_reading(
    plain: float | None, anonymous: float | None, swapped: float | None, more: float
) -> None:
    found = evidence(plain, anonymous, swapped)
    assert 0 <= found <= MOST_NATS
    assert evidence(max(plain or 0, more), anonymous, swapped) >= found or plain is None
    assert evidence(plain, max(anonymous or 0, more), swapped) >= found or anonymous is None
    if plain is not None and anonymous is not None:
        assert found >= min(evidence(plain, None, swapped), evidence(None, anonymous, swapped))
        assert found == max(evidence(plain, None, swapped), evidence(None, anonymous, swapped))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-5, 10)), min_size=EDITS, max_size=EDITS),
    st.lists(st.sampled_from(["low", "medium", "high", "critical"]), max_size=3),
    st.booleans(),
)
def test_no_opinion_ever_lowers_a_verdict(
    nats: list[float | None], severities: list[str], alone: bool
) -> None:
    role = "concealment" if alone else "effect"
    findings = [
        finding(f"rule-{place}", FIRST + place, severity, "high" if alone else "medium", role)  # type: ignore[arg-type]
        for place, severity in enumerate(severities)
    ]
    before, after = made(*findings), made(*findings)
    for site, added in zip(after, nats, strict=True):
        site.opinion = None if added is None else opinion(added)
    plain, raised = judged(before).verdict, judged(after).verdict
    assert raised.risk >= plain.risk
    assert RANKS.index(raised.name) >= RANKS.index(plain.name)


def test_a_little_more_on_a_harmless_edit_does_not_thin_the_rest() -> None:
    """The mean over sites is weighted by itself: raising a very low one alone would lower it."""
    worst = finding(line=FIRST, severity="critical", confidence="high")
    plain = judged(made(worst)).verdict.risk
    for nats in (0.2, 1.0, 2.0):
        sites = made(worst)
        sites[2].opinion = opinion(nats)
        assert judged(sites).verdict.risk >= plain


def test_an_opinion_raises_the_risk_and_points_at_its_line() -> None:
    sites = made()
    plain = judged(made())
    sites[1].opinion = opinion(3.0)
    found = judged(sites)
    assert found.verdict.risk > plain.verdict.risk
    first = found.findings[0]
    assert (first.rule, first.family) == (SECOND, "loss")
    assert first.message.startswith("A second opinion takes this for tampering with the loss: ")
    assert "negates" not in first.message, "the model's own words are evidence, not ours"
    said = first.evidence[SECOND]
    assert isinstance(said, dict) and said["by"] == "m (host:1)" and said["sides_exchanged"] == 0.1


def test_beside_a_rule_it_is_evidence_of_the_rule() -> None:
    sites = made(finding(line=FIRST))
    sites[0].opinion = opinion(2.0)
    told = [one for one in judged(sites).findings if one.rule == "a-rule"]
    assert SECOND in told[0].evidence
    assert SECOND not in {one.rule for one in judged(sites).findings}


def test_one_that_adds_nothing_is_not_shown() -> None:
    sites = made(finding(line=FIRST))
    for site in sites:
        site.opinion = opinion(0.0)
    assert judged(sites).findings == judged(made(finding(line=FIRST))).findings


def test_notes_are_reasons_also_of_a_pass() -> None:
    found = judge(made(), (), TABLE, THRESHOLDS, notes=("No second opinion: x",))
    assert (found.verdict.name, found.verdict.reasons) == ("pass", ("No second opinion: x",))


def test_an_opinion_finds_the_edit_it_points_at() -> None:
    changed = view(BEFORE, AFTER)
    sites, units = sites_of(changed, ()), units_of(changed)
    risks, _ = site_risks(sites, TABLE)
    assert risks_of(units, sites, risks) == [max(risks)]
    lines = [site.edit.start for site in sites if site.edit is not None]
    attach(sites, risks, units, {0: opinion(2.0, lines[2])})
    assert [site.opinion is not None for site in sites] == [False, False, True]
    others = sites_of(changed, ())
    attach(others, [0.1, 0.9, 0.2], units, {0: opinion(2.0, None)})
    assert [site.opinion is not None for site in others] == [False, True, False]


def test_the_band_is_that_of_the_table() -> None:
    sites = made(finding(line=FIRST, severity="critical", confidence="high"))
    risks, upper = site_risks(sites, TABLE)
    assert risks[0] > risks[1] == risks[2]
    assert upper == TABLE.upper.rules
