"""The policy: evidence adds up, is monotone, is not length, and some findings need no company."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snippets import inside, view
from trainwarden.evidence import Weights, signals
from trainwarden.model import CONFIDENCES, SEVERITIES, Finding, Level, Misuse, Role, Unread
from trainwarden.policy import Join, Judgement, Table, default_weight, judge, load_table, stands_alone
from trainwarden.sites import SENSITIVE, Learned, Site, sites_of, span

THRESHOLDS = (0.35, 0.9)
TABLE = Table(Weights(-4.0, {"delta=sign": 2.0}), slope=1.0, offset=0.0)


def finding(
    rule: str = "a-rule",
    line: int = 6,
    severity: Level = "high",
    confidence: Level = "medium",
    role: Role = "effect",
    family: str = "loss",
    stage: str = "active",
    technique: str = "A01",
) -> Finding:
    return Finding(
        rule, family, (technique,), role, severity, confidence, stage, "train.py", "head", line, line, rule, "train",
        fingerprint=f"{rule}-{line}",
    )  # fmt: skip


def sites(count: int = 3) -> list[Site]:
    lines = "\n".join(f"f({n})" for n in range(count))
    changed = "\n".join(f"f({n + 100})" for n in range(count))
    return sites_of(view(inside(lines), inside(changed)), [])


def judged(found: Sequence[Site], unread: Sequence[Unread] = (), table: Table = TABLE) -> Judgement:
    return judge(found, unread, table, THRESHOLDS)


def with_findings(*findings: Finding, count: int = 3) -> list[Site]:
    lines = "\n".join(f"f({n})" for n in range(count))
    changed = "\n".join(f"f({n + 100})" for n in range(count))
    return sites_of(view(inside(lines), inside(changed)), findings)


def test_nothing_to_weigh_passes() -> None:
    assert judged([]).verdict.name == "pass"
    assert judged([]).verdict.risk == 0.0


def test_more_evidence_never_lowers_the_risk() -> None:
    risks = [judged(with_findings()).verdict.risk]
    for severity in ("low", "medium", "high", "critical"):
        risks.append(judged(with_findings(finding(severity=severity))).verdict.risk)
    risks.append(judged(with_findings(finding(severity="critical"), finding("b-rule"))).verdict.risk)
    assert risks == sorted(risks)
    assert risks[0] < risks[-1]


def test_trial_and_waived_findings_are_shown_and_not_counted() -> None:
    plain = judged(with_findings()).verdict.risk
    trial = judged(with_findings(finding(stage="trial")))
    assert trial.verdict.risk == plain
    assert [one.rule for one in trial.findings if one.stage == "trial"] == ["a-rule"]
    waived = judge(
        with_findings(finding()), (), TABLE, THRESHOLDS, frozenset({("a-rule", "train.py", "a-rule-6")})
    )
    assert waived.verdict.risk == plain
    assert any(one.evidence.get("waived") for one in waived.findings)


def test_a_long_honest_change_is_not_risky_for_its_length() -> None:
    risks = [judged(sites(count)).verdict.risk for count in (2, 20, 200)]
    assert risks[2] <= risks[0] * 1.5


def test_padding_takes_a_bounded_toll() -> None:
    """However much padding surrounds it, a site keeps all but ``most_lost`` nats."""
    table = Table(Weights(-6.0, {}), {"a-rule": 6.0})

    def logit(count: int) -> float:
        risk = judged(with_findings(finding(), count=count), table=table).verdict.risk
        return math.log(risk / (1 - risk))

    assert logit(1) - logit(100) == pytest.approx(table.most_lost, abs=0.5)
    assert logit(100) == pytest.approx(logit(400))


def test_roles_that_meet_in_a_member_weigh_more_than_their_sum() -> None:
    effect, trigger = finding("a-rule", 5), finding("b-rule", 6, role="trigger")
    apart = judged(with_findings(effect, finding("b-rule", 6)))
    together = judged(with_findings(effect, trigger))
    assert together.verdict.risk > apart.verdict.risk


ALONE = {
    "execution": (finding(family="execution", confidence="high", severity="critical"), "block"),
    "kill": (finding(family="distributed", confidence="high", technique="H07"), "review"),
    "concealment": (finding(role="concealment", confidence="high"), "review"),
}


@pytest.mark.parametrize("name", ALONE)
def test_stands_alone_whatever_surrounds_it(name: str) -> None:
    one, verdict = ALONE[name]
    assert stands_alone(one)
    assert judged(with_findings(one, count=200)).verdict.name == verdict


@pytest.mark.parametrize(
    "one",
    [
        finding(confidence="high"),
        finding(family="execution"),
        finding(family="execution", confidence="high", stage="trial"),
    ],
)
def test_others_do_not_stand_alone(one: Finding) -> None:
    assert not stands_alone(one)


def test_unread_training_code_is_never_green() -> None:
    verdict = judged(sites(), [Unread("train.py", None, "too deep")]).verdict
    assert verdict.name == "review"
    assert verdict.risk >= THRESHOLDS[0]
    assert "train.py was not read: too deep" in verdict.reasons[0]


def test_an_edit_no_rule_names_is_reported_with_its_difference() -> None:
    made = sites_of(view(inside("x = a - b"), inside("x = a + b")), [])
    assert "delta=sign" in made[0].signals
    (first, *_) = judged(made).findings
    assert first.rule == SENSITIVE
    assert "`a - b` became `a + b`" in first.message
    assert first.start_line == 5


def test_findings_come_in_the_order_of_their_share() -> None:
    found = judged(with_findings(finding("a-rule", 5, "low"), finding("b-rule", 6, "critical"))).findings
    assert found[0].rule == "b-rule"
    shares = [one.score for one in found]
    assert shares == sorted(shares, reverse=True)


def test_signals_do_not_speak_of_names() -> None:
    one = view(inside("q = criterion(a)\nq.backward()"), inside("q = -criterion(a)\nq.backward()"))
    other = view(inside("z = criterion(a)\nz.backward()"), inside("z = -criterion(a)\nz.backward()"))
    found = [signals(v.files[0], v.files[0].edits[0]) for v in (one, other)]
    assert found[0] == found[1]
    assert "delta=sign@loss" in found[0]


def test_span_of_a_long_statement_is_its_difference() -> None:
    before = "f(\n    a=1,\n    b=2,\n    c=3,\n)"
    (site,) = sites_of(view(inside(before), inside(before.replace("c=3", "c=4"))), [])
    assert site.edit is not None
    assert span(site.edit) == (8, 8)


def test_default_table_grows_with_severity_and_confidence() -> None:
    assert default_weight(finding(severity="low", confidence="low")) < default_weight(finding())
    assert default_weight(finding(severity="critical", confidence="high")) > default_weight(finding())


def test_the_page_prints_the_default_table() -> None:
    """``docs/judging.md``: severity down, confidence across."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "judging.md").read_text()
    for severity in SEVERITIES:
        found = re.search(rf"^\| {severity}(?: severity)? \|(.+)\|$", page, re.MULTILINE)
        assert found is not None
        told = [float(cell) for cell in found.group(1).split("|")]
        weights = [default_weight(finding(severity=severity, confidence=c)) for c in CONFIDENCES]
        assert told == pytest.approx(weights, abs=0.005)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"intercept": "x"}', json.dumps({"intercept": 1}).encode()]
)
def test_a_broken_table_is_misuse(data: bytes) -> None:
    with pytest.raises(Misuse, match="evidence"):
        load_table(data)


# -- the classifier's word


def site_with(logit: float, line: float) -> Site:
    (found,) = sites_of(view(BEFORE, AFTER), ())
    found.learned = Learned(logit, line, "A")
    return found


BEFORE = "import torch\n\n\ndef train(model, loss):\n    loss.backward()\n"
AFTER = BEFORE.replace("loss.backward()", "(-loss).backward()")
JOINED = replace(TABLE, learned=Join(named=0.8, risk=0.5, line=0.3, intercept=0.0, slope=1.0, offset=0.0))


@given(st.floats(-40, 40), st.floats(-40, 40))
def test_the_classifier_can_raise_a_risk_and_never_lower_it(logit: float, line: float) -> None:
    silent = judge(sites_of(view(BEFORE, AFTER), ()), (), JOINED, THRESHOLDS)
    spoken = judge([site_with(logit, line)], (), JOINED, THRESHOLDS)
    louder = judge([site_with(logit + 1, line + 1)], (), JOINED, THRESHOLDS)
    assert silent.verdict.risk <= spoken.verdict.risk <= louder.verdict.risk


def test_an_edit_that_only_the_classifier_flags_is_a_finding_of_its_own() -> None:
    flagged = judge([site_with(6.0, 6.0)], (), JOINED, THRESHOLDS)
    (finding,) = flagged.findings
    assert (finding.rule, finding.family, finding.start_line) == ("learned-risk", "loss", 5)
    assert "tampering with the loss" in finding.message and flagged.verdict.name != "pass"
    (plain,) = judge([site_with(-6.0, -6.0)], (), JOINED, THRESHOLDS).findings
    assert plain.rule == "sensitive-edit"


def test_the_classifier_is_only_so_sure() -> None:
    far, sure = (judge([site_with(one, one)], (), JOINED, THRESHOLDS).verdict for one in (6.0, 1e6))
    assert far == sure


def test_the_classifier_blocks_nothing_by_itself() -> None:
    sure = replace(JOINED, learned=Join(named=1.0, risk=3.0, line=3.0, intercept=0.0, slope=1.0, offset=0.0))
    verdict = judge([site_with(6.0, 6.0)], (), sure, THRESHOLDS).verdict
    assert (verdict.name, verdict.risk) == ("review", 0.85)


@pytest.mark.parametrize("changed", [{"named": -0.1}, {"risk": -1.0}, {"line": -1.0}, {"slope": -1.0}])
def test_a_join_that_could_acquit_is_refused(changed: dict[str, float]) -> None:
    plain = {"named": 1.0, "risk": 1.0, "line": 1.0, "intercept": 0.0, "slope": 1.0, "offset": 0.0} | changed
    table = {"intercept": 0, "signals": {}, "rules": {}, "power": 1.25, "size": 0.2, "most_lost": 3}
    table |= {"slope": 1, "offset": 0, "learned": plain}
    with pytest.raises(Misuse, match="negative"):
        load_table(json.dumps(table).encode())
