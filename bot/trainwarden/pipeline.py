"""``review``: a change walks in, a report walks out. The only file that knows the order.

Sources, understanding, rules, history, policy: each is handed what the one before made. Nothing here reads a clock
but the one that tells how long it took.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from trainwarden import opinions
from trainwarden.config import Config, Waiver
from trainwarden.excerpts import excerpts_of
from trainwarden.history import History, Inverse
from trainwarden.learned import attach
from trainwarden.lineage import names_a_fix
from trainwarden.model import (
    Behaviour,
    Coverage,
    FilePair,
    Finding,
    Place,
    Report,
    Scorer,
    SecondReader,
    Source,
    Tool,
    Unit,
    Unread,
    Usage,
)
from trainwarden.policy import Judgement, Table, judge, load_table, site_risks
from trainwarden.resources import rules_dir
from trainwarden.rules.engine import match
from trainwarden.rules.fingerprint import fingerprint
from trainwarden.rules.schema import RuleSet
from trainwarden.rules.spelling import clean
from trainwarden.rules.telling import values_apart
from trainwarden.score.units import units_of
from trainwarden.sites import Site, signals_at, sites_of
from trainwarden.understand import untie, view_of
from trainwarden.version import VERSION
from trainwarden.view import ChangeView

FIX_UNDONE = "fix-undone"
_KEPT_BYTES = 64 * 1024 * 1024
"""Source text kept for excerpts and history; past that, findings go without excerpts."""


@dataclass(slots=True)
class _Items:
    """Hands the change's files on, keeping what excerpts and history need and counting what came."""

    source: Source
    skip: Mapping[str, str]
    changed: int = 0
    kept: list[FilePair] = field(default_factory=list)
    _bytes: int = 0

    def __iter__(self) -> Iterator[FilePair | Unread]:
        for item in self.source.pairs():
            self.changed += 1
            if item.path in self.skip:
                yield Unread(item.path, None, self.skip[item.path])
                continue
            if isinstance(item, FilePair):
                self._keep(item)
            yield item

    def _keep(self, pair: FilePair) -> None:
        size = sum(len(one.data) for one in (pair.before, pair.after) if one is not None)
        if self._bytes + size <= _KEPT_BYTES:
            self._bytes += size
            self.kept.append(pair)


def review(
    source: Source,
    config: Config,
    rules: RuleSet,
    *,
    waivers: Sequence[Waiver] = (),
    history: History | None = None,
    scorer: Scorer | None = None,
    second: SecondReader | None = None,
    request_id: str | None = None,
    breadcrumb: Callable[[str], None] = lambda path: None,
    skip: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Reviews one change. Raises ``Unfinished`` when the source cannot be read, or the units scored, to the end.

    ``skip``: paths that must not be read, with the reason they are reported as unread for.
    """
    started = time.monotonic()
    items = _Items(source, skip)
    view = view_of(items, config.training_paths, config.ignore_training_paths, breadcrumb)
    found = [*match(rules, view), *_undone(history, items.kept)]
    sites = sites_of(view, found)
    units = units_of(view, signals_at(sites)) if scorer is not None or second is not None else ()
    notes: tuple[str, ...] = ()
    if scorer is not None:
        attach(sites, units, scorer.score(units))
        notes = scorer.notes
    said, usage = _read_again(second, sites, units) if second is not None else ((), None)
    judgement = _judged(view, sites, config, waivers, (*notes, *said))
    unread = tuple(item for file in view.files for item in file.unread)
    report = Report(
        id=request_id,
        tool=Tool(VERSION, _digest(rules.digest), scorer.digest if scorer is not None else None),
        revisions=source.revisions,
        verdict=judgement.verdict,
        findings=judgement.findings,
        behaviour=tuple(_behaviour(view)),
        coverage=Coverage(items.changed, items.changed - len({item.path for item in unread}), unread),
        elapsed_ms=round(1000 * (time.monotonic() - started)),
        training=any(file.training and not file.test for file in view.files),
        excerpts=excerpts_of(judgement.findings, items.kept),
        usage=usage,
    )
    untie(view)
    return report


def _read_again(
    second: SecondReader, sites: Sequence[Site], units: Sequence[Unit]
) -> tuple[tuple[str, ...], Usage]:
    """Brings second opinions to the sites; returns what the report must say of them, and what they took."""
    risks, upper = site_risks(sites, bundled_table())
    said = second.read(units, opinions.risks_of(units, sites, risks), upper)
    opinions.attach(sites, risks, units, said.of)
    return said.notes, said.usage


def _judged(
    view: ChangeView,
    sites: Sequence[Site],
    config: Config,
    waivers: Sequence[Waiver],
    notes: Sequence[str],
) -> Judgement:
    waived = frozenset((w.rule, w.path, w.fingerprint) for w in waivers if not w.expired)
    unread = [
        item
        for file in view.files
        if file.kind == "python" and file.training and not file.test
        for item in file.unread
    ]
    thresholds = (config.review_threshold, config.block_threshold)
    return judge(sites, unread, bundled_table(), thresholds, waived, notes)


@lru_cache(maxsize=1)
def bundled_table() -> Table:
    """The calibrated table of evidence that travels with the rules."""
    return load_table(_evidence())


@lru_cache(maxsize=1)
def _evidence() -> bytes:
    return (rules_dir() / "evidence.json").read_bytes()


@lru_cache(maxsize=4)
def _digest(rules: str) -> str:
    """sha256 over the rules and the table that weighs them: together they judge."""
    return hashlib.sha256(rules.encode("ascii") + _evidence()).hexdigest()


def _undone(history: History | None, pairs: Sequence[FilePair]) -> Iterator[Finding]:
    """A finding for each hunk that takes back an old fix."""
    if history is None:
        return
    for inverse in history.inverses(pairs):
        yield _fix_undone(inverse)


def _fix_undone(inverse: Inverse) -> Finding:
    subject = clean(inverse.subject, 100)
    what = (
        "fix"
        if names_a_fix(inverse.subject)
        else f"change whose message speaks of “{clean(inverse.word, 40)}”"
    )
    message = f"This hunk takes back an earlier {what}: {inverse.commit[:12]} “{subject}”"
    return Finding(
        rule=FIX_UNDONE,
        family="concealment",
        technique=("N12",),
        role="effect",
        severity="high",
        confidence="medium",
        stage="active",
        path=inverse.path,
        side="head",
        start_line=inverse.head[0],
        end_line=max(inverse.head),
        message=message,
        places=(Place(inverse.path, inverse.base[0], "base", f"as {inverse.commit[:12]} had left it"),),
        evidence={"commit": inverse.commit, "tokens": inverse.tokens},
        fingerprint=fingerprint(FIX_UNDONE, inverse.path, inverse.commit),
    )


def _behaviour(view: ChangeView) -> Iterator[Behaviour]:
    for file in view.files:
        for shift in file.shifts if file.training else ():
            before, after, fact = shift.before, shift.after, shift.fact
            old, new = before.value if before else None, after.value if after else None
            if old != new:
                if old is not None and new is not None:
                    old, new = values_apart(old, new)
                yield Behaviour(fact.name, fact.scope, fact.subject, old, new, fact.path, fact.line)
