"""Findings and signals in, a verdict out: evidence adds up at each place, and the places of a change are weighed.

Pure. At one site (an edit and the rules that fired on it) evidence is a sum in nats: the calibrated weights of its
signals and rules, and a bonus where effect, trigger and concealment meet in one member. Over the sites of a change it
is a self-weighted mean (Lehmer), so that a long honest change is not risky for its length; padding a change with
harmless edits takes no more than ``most_lost`` nats. A few findings (``stands_alone``) alert whatever surrounds them.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from trainwarden.evidence import Weights
from trainwarden.learned import learned_risk
from trainwarden.model import Finding, Level, Misuse, Role, Unread, Verdict, VerdictName
from trainwarden.opinions import second_opinion, told
from trainwarden.sites import Learned, Site, sensitive_edit

_SEVERITY: Mapping[Level, float] = {"low": 0.5, "medium": 1.2, "high": 2.3, "critical": 3.2}
_CONFIDENCE: Mapping[Level, float] = {"low": 0.5, "medium": 1.0, "high": 1.6, "critical": 1.6}
_ROLE: Mapping[Role, float] = {"effect": 1.0, "trigger": 1.0, "concealment": 0.8}
_MEETING = 0.8
"""Nats for each further role that meets another in one member."""
_MOST_UNNAMED = 5
"""Edits without a rule that are reported, the weightiest first."""
_LEAST_SHARE = 0.02
MOST_LEARNED = 6.0
"""Log-odds of the classifier that count at most, either way: it may be sure of itself, we are not."""

UPPER_RULES = 0.057
"""The 90th percentile of the 183,000 edits of 5,710 ordinary commits, judged by rules and signals."""
UPPER_LEARNED = 0.062
"""The same with the classifier, whose word raised the percentile by half a hundredth over the ordinary commits of the
tuning repositories."""


@dataclass(frozen=True, slots=True)
class Join:
    """How evidence adds up when the classifier has spoken: ``rules/evidence.json``, ``learned``.

    At a site: ``named`` x the evidence of signals and rules, ``risk`` and ``line`` x the classifier's log-odds (cut at
    ``MOST_LEARNED``), and ``intercept``. Never negative factors: more of either is never less risk. ``slope`` and
    ``offset`` as in ``Table``, whose own hold when there is no classifier.
    """

    named: float
    risk: float
    line: float
    intercept: float
    slope: float
    offset: float

    def of(self, named: float, learned: Learned) -> float:
        """The evidence of a site in nats."""
        return (
            self.named * named
            + self.risk * cut(learned.risk)
            + self.line * cut(learned.line)
            + self.intercept
        )


def cut(logit: float) -> float:
    """The classifier's log-odds as far as they count."""
    return max(-MOST_LEARNED, min(MOST_LEARNED, logit))


MOST_BY_LEARNED = 0.85
"""The most a change's risk can come to by the classifier: it sends to a person, and blocks nothing by itself."""


@dataclass(frozen=True, slots=True)
class Upper:
    """The risk above which an edit is in the upper tenth of ordinary ones: what a second opinion reads.

    ``rules``: judged by rules and signals; ``learned``: with the classifier. ``upper`` in ``rules/evidence.json``.
    """

    rules: float = UPPER_RULES
    learned: float = UPPER_LEARNED


@dataclass(frozen=True, slots=True)
class Table:
    """Calibrated evidence: what ``rules/evidence.json`` holds.

    ``edits``: weights of signals; ``rules``: nats of a rule, for rules that were measured (others take the default
    table). ``power`` and ``size``: exponent of the Lehmer mean and nats lost for each factor e of edits;
    ``most_lost``: nats that surroundings can take from the weightiest site at most, however much padding there is.
    ``slope`` and ``offset``: from the change's evidence to the logit of its risk.
    """

    edits: Weights
    rules: Mapping[str, float] = field(default_factory=dict)
    power: float = 1.25
    size: float = 0.2
    most_lost: float = 3.0
    slope: float = 1.0
    offset: float = 0.0
    learned: Join | None = None
    upper: Upper = Upper()


def default_weight(finding: Finding) -> float:
    """Nats of a finding whose rule has not been measured: severity x confidence x role."""
    return _SEVERITY[finding.severity] * _CONFIDENCE[finding.confidence] * _ROLE[finding.role]


def load_table(data: bytes) -> Table:
    """Reads ``evidence.json``. Raises ``Misuse`` when it is not such a table."""
    try:
        plain = json.loads(data)
        edits = Weights(float(plain["intercept"]), {str(k): float(v) for k, v in plain["signals"].items()})
        numbers = {key: float(plain[key]) for key in ("power", "size", "most_lost", "slope", "offset")}
        rules = {str(k): float(v) for k, v in plain["rules"].items()}
        upper = Upper(**{str(k): float(v) for k, v in plain.get("upper", {}).items()})
        return Table(edits, rules, **numbers, learned=_join(plain.get("learned")), upper=upper)
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise Misuse(f"evidence.json is not a table of evidence: {wrong!r}") from wrong


def _join(plain: Mapping[str, float] | None) -> Join | None:
    if plain is None:
        return None
    join = Join(**{field.name: float(plain[field.name]) for field in fields(Join)})
    if min(join.named, join.risk, join.line, join.slope) < 0:
        raise ValueError("a factor is negative")
    return join


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says: the verdict and the findings in the order of their share of the risk."""

    verdict: Verdict
    findings: tuple[Finding, ...]


def judge(
    sites: Sequence[Site],
    unread: Sequence[Unread],
    table: Table,
    thresholds: tuple[float, float],
    waived: frozenset[tuple[str, str, str]] = frozenset(),
    notes: Sequence[str] = (),
) -> Judgement:
    """Weighs the sites of a change. ``thresholds``: risks from which on it is ``review`` and ``block``.

    ``waived``: (rule, path, fingerprint) of findings that are accepted; they are shown and never counted. ``notes`` go
    to the reasons as they are. A second opinion adds to its site and counts only where that raises the risk.
    """
    for site in sites:
        site.findings = [_waive(finding, waived) for finding in site.findings]
    alone = [_alone(finding) for site in sites for finding in site.findings]
    reading = max((_read(sites, one) for one in _tables(sites, table)), key=lambda one: one.risk)
    risk = max([reading.risk, *alone])
    findings = _shared(sites, reading.evidence, risk, reading.table)
    return Judgement(_verdict(risk, thresholds, findings, unread, notes), findings)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a change comes to under one table: nats of each site, and the risk."""

    table: Table
    evidence: Sequence[float]
    risk: float


def _tables(sites: Sequence[Site], table: Table) -> list[Table]:
    """Without the classifier, and with it where it spoke: the higher risk counts, so that it can never acquit."""
    join = table.learned
    found = [replace(table, learned=None)]
    if join is not None and any(site.learned is not None for site in sites):
        found.append(replace(table, slope=join.slope, offset=join.offset))
    return found


def _read(sites: Sequence[Site], table: Table) -> _Reading:
    evidence = _evidence(sites, table)
    raised = [one + _added(site) for site, one in zip(sites, evidence, strict=True)]
    risk = _risk(max(_total(evidence, table), _total(raised, table)), table)
    return _Reading(table, raised, risk if table.learned is None else min(risk, MOST_BY_LEARNED))


def site_risks(sites: Sequence[Site], table: Table) -> tuple[list[float], float]:
    """The risk of a change that had nothing but one site, for each, and the ``Upper`` that holds for them."""
    tables = _tables(sites, table)
    read = [[_risk(nats, one) for nats in _evidence(sites, one)] for one in tables]
    upper = table.upper.learned if len(tables) > 1 else table.upper.rules
    return [max(risks) for risks in zip(*read, strict=True)], upper


def _evidence(sites: Sequence[Site], table: Table) -> list[float]:
    """The nats of each site without second opinions."""
    weights = [_weight(site, table) for site in sites]
    bonus = _meetings(sites, table)
    return [weight + bonus.get(site.member, 0.0) for site, weight in zip(sites, weights, strict=True)]


def _added(site: Site) -> float:
    return max(site.opinion.nats, 0.0) if site.opinion is not None else 0.0


def _waive(finding: Finding, waived: frozenset[tuple[str, str, str]]) -> Finding:
    if (finding.rule, finding.path, finding.fingerprint) not in waived:
        return finding
    return replace(finding, stage="trial", evidence={**finding.evidence, "waived": True})


# -- weights


def counted(site: Site) -> dict[str, Finding]:
    """The active findings of a site, one a rule: what counts as evidence."""
    return {finding.rule: finding for finding in site.findings if finding.stage == "active"}


def rule_weight(finding: Finding, table: Table) -> float:
    """Nats of one finding: measured for its rule, else from the default table."""
    return table.rules.get(finding.rule, default_weight(finding))


def _weight(site: Site, table: Table) -> float:
    rules = math.fsum(rule_weight(finding, table) for _, finding in sorted(counted(site).items()))
    named = table.edits.of(site.signals) + rules
    return table.learned.of(named, site.learned) if table.learned and site.learned else named


def _meetings(sites: Iterable[Site], table: Table) -> dict[tuple[str, str], float]:
    """A bonus for members in which findings of several roles meet."""
    roles: dict[tuple[str, str], set[Role]] = defaultdict(set)
    for site in sites:
        for finding in counted(site).values():
            if rule_weight(finding, table) > 0:
                roles[site.member].add(finding.role)
    return {member: _MEETING * (len(found) - 1) for member, found in roles.items() if len(found) > 1}


def _total(evidence: Sequence[float], table: Table) -> float:
    if not evidence:
        return -math.inf
    upper = _log_sum(table.power * one for one in evidence)
    lower = _log_sum((table.power - 1) * one for one in evidence)
    mean = upper - lower - table.size * math.log(len(evidence))
    return max(mean, max(evidence) - table.most_lost)


def _log_sum(values: Iterable[float]) -> float:
    listed = sorted(values)
    return listed[-1] + math.log(math.fsum(math.exp(value - listed[-1]) for value in listed))


def _risk(total: float, table: Table) -> float:
    logit = table.slope * total + table.offset
    return 0.0 if logit < -40 else 1.0 / (1.0 + math.exp(-logit))


def _alone(finding: Finding) -> float:
    """The least risk of a change with this finding: execution, kill and concealment of high confidence alone."""
    return {"critical": 0.95, "high": 0.6}.get(finding.severity, 0.0) if stands_alone(finding) else 0.0


def stands_alone(finding: Finding) -> bool:
    """Whether a finding alerts without further evidence."""
    kind = finding.family == "execution" or finding.role == "concealment" or "H07" in finding.technique
    return finding.stage == "active" and finding.confidence == "high" and kind


# -- what is shown


def _shared(
    sites: Sequence[Site], evidence: Sequence[float], risk: float, table: Table
) -> tuple[Finding, ...]:
    """The findings with their weights and shares of the risk, the largest share first."""
    if not sites:
        return ()
    powered = [table.power * one for one in evidence]
    whole = _log_sum(powered)
    ranked = sorted(range(len(sites)), key=lambda i: (-evidence[i], *_place(sites[i])))
    unnamed = [i for i in ranked if not counted(sites[i]) and sites[i].edit is not None]
    shown = set(unnamed[:_MOST_UNNAMED])
    found: list[Finding] = []
    for i in ranked:
        share = math.exp(powered[i] - whole) * risk
        found.extend(
            _of_site(sites[i], evidence[i], share, i in shown and share >= _LEAST_SHARE * risk, table)
        )
    return tuple(sorted(found, key=_order))


def _of_site(site: Site, evidence: float, share: float, show: bool, table: Table) -> list[Finding]:
    counts = counted(site)
    weighed = {rule: max(rule_weight(finding, table), 0.01) for rule, finding in counts.items()}
    whole = math.fsum(weighed.values()) or 1.0
    found = []
    for finding in site.findings:
        part = weighed.get(finding.rule, 0.0) / whole if finding.stage == "active" else 0.0
        score = max(share * part, _alone(finding) * share)
        weight = rule_weight(finding, table)
        said = _said(site, finding)
        found.append(replace(finding, evidence_weight=weight, score=round(score, 6), evidence=said))
    if show and not counts:
        found.append(replace(_unnamed(site, table), evidence_weight=evidence, score=round(share, 6)))
    return found


def _said(site: Site, finding: Finding) -> Mapping[str, object]:
    """A finding's evidence, with the second opinion on its site if that adds to it."""
    if site.opinion is None or _added(site) <= 0 or finding.stage != "active":
        return finding.evidence
    return {**finding.evidence, **told(site.opinion)}


def _unnamed(site: Site, table: Table) -> Finding:
    """The finding of an edit without a rule, by whoever raised it the most visibly."""
    if _added(site) > 0:
        return second_opinion(site)
    return learned_risk(site) if _carried(site, table) else sensitive_edit(site)


def _carried(site: Site, table: Table) -> bool:
    """Whether the classifier raised the evidence of this site."""
    named = table.edits.of(site.signals)
    return bool(site.learned and table.learned) and _weight(site, table) > named


def _place(site: Site) -> tuple[str, int]:
    if site.edit is not None and site.file is not None:
        return site.file.path, site.edit.start
    return site.findings[0].path, site.findings[0].start_line


def _order(finding: Finding) -> tuple[float, float, str, int, str, str]:
    alone = -_alone(finding)
    return alone, -finding.score, finding.path, finding.start_line, finding.rule, finding.fingerprint


def _verdict(
    risk: float,
    thresholds: tuple[float, float],
    findings: Sequence[Finding],
    unread: Sequence[Unread],
    notes: Sequence[str],
) -> Verdict:
    review, block = thresholds
    name: VerdictName = "block" if risk >= block else "review" if risk >= review else "pass"
    if unread and name == "pass":
        name, risk = "review", max(risk, review)
    return Verdict(name, round(risk, 6), (*_reasons(findings, unread, name), *notes))


def _reasons(findings: Sequence[Finding], unread: Sequence[Unread], name: VerdictName) -> list[str]:
    reasons = [f"{item.path} was not read: {item.reason}" for item in unread[:3]]
    if len(unread) > 3:
        reasons.append(f"{len(unread) - 3} more training files were not read")
    if name == "pass":
        return reasons
    active = [finding for finding in findings if finding.stage == "active"]
    for finding in active[:3]:
        reasons.append(f"{finding.message} ({finding.path}:{finding.start_line})")
    return reasons
