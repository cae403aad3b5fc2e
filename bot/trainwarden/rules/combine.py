"""How conditions are put together: all, any, not, count and guard.

In: conditions (closures). Out: conditions. ``all`` asks its parts in turn, each with the captures of those
before it and, with ``within``, only near the first place found; what is negative in it only filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainwarden.rules.hits import Ask, Condition, Hit, Site, first
from trainwarden.rules.index import new_guards
from trainwarden.rules.spelling import spell
from trainwarden.view import Guard


def all_of(parts: Sequence[Condition], within: str | None, near: int | None) -> Condition:
    """Every part holds, with the same captures, in the asked region (narrowed by ``within`` and ``near``).

    Depth first, and nothing is left out: however many places satisfy the first part, each is tried.
    """

    def joined(ask: Ask, hit: Hit, place: int) -> Iterator[Hit]:
        if place == len(parts):
            yield hit
            return
        for more in parts[place](_next(ask, hit, within, near)):
            yield from joined(ask, hit.joined(more), place + 1)

    def hits(ask: Ask) -> Iterator[Hit]:
        wide = ask.within("change", ask.region.anchor) if within == "change" else ask
        yield from joined(wide, Hit(), 0)

    return hits


def _next(ask: Ask, hit: Hit, within: str | None, near: int | None) -> Ask:
    """The question to the next part: with the captures so far, near the first place if that was asked."""
    given = ask.given(hit)
    if not hit.sites:
        return given
    if within in (None, "change") and near is None:
        return given.anchored(hit.sites[0])
    return given.within(within, hit.sites[0], near)


def any_of(parts: Sequence[Condition], within: str | None) -> Condition:
    """The hits of every part that holds."""

    def hits(ask: Ask) -> Iterator[Hit]:
        where = ask.within(within, ask.region.anchor)
        for part in parts:
            yield from part(where)

    return hits


def none_of(part: Condition, within: str | None) -> Condition:
    """One empty hit when the part holds nowhere in the region."""

    def hits(ask: Ask) -> Iterator[Hit]:
        if next(part(ask.within(within, ask.region.anchor)), None) is None:
            yield Hit()

    return hits


def count_conditions(parts: Sequence[Condition], least: int, within: str | None) -> Condition:
    """At least ``least`` of the parts hold; their first hits together."""

    def hits(ask: Ask) -> Iterator[Hit]:
        where = ask.within(within, ask.region.anchor)
        found = [hit for hit in (next(part(where), None) for part in parts) if hit is not None]
        if len(found) >= least:
            yield _together(found, {"count": len(found)})

    return hits


def count_places(part: Condition, least: int, within: str | None) -> Condition:
    """The part holds in at least ``least`` different places; all of them together."""

    def hits(ask: Ask) -> Iterator[Hit]:
        found: dict[object, Hit] = {}
        for hit in first(part(ask.within(within, ask.region.anchor))):
            if hit.sites:
                found.setdefault(hit.sites[0].key, hit)
        if len(found) >= least:
            yield _together(list(found.values()), {"count": len(found)})

    return hits


def _together(found: Sequence[Hit], evidence: dict[str, object]) -> Hit:
    total = found[0]
    for hit in found[1:]:
        total = total.joined(Hit(hit.sites, {}, hit.evidence))
    return Hit(total.sites, total.captures, ({**evidence}, *total.evidence))


def guarded(kinds: frozenset[str], over: Condition, new: bool) -> Condition:
    """What ``over`` finds, where a (new) condition of one of these kinds dominates it."""

    def hits(ask: Ask) -> Iterator[Hit]:
        for hit in over(ask):
            site = hit.sites[0] if hit.sites else None
            guard = _dominating(site, kinds, new) if site is not None else None
            if guard is not None and site is not None:
                yield hit.joined(_trigger(site, guard, kinds))

    return hits


def _dominating(site: Site, kinds: frozenset[str], new: bool) -> Guard | None:
    if site.edit is None or site.edit.edit.after_context is None:
        return None
    edit = site.edit.edit
    assert edit.after_context is not None
    guards = new_guards(site.file, edit) if new else edit.after_context.guards
    return next((guard for guard in guards if guard.kinds & kinds), None)


def _trigger(site: Site, guard: Guard, kinds: frozenset[str]) -> Hit:
    return Hit((guard_site(site, guard),), {}, (guard_evidence(guard, kinds),))


def guard_site(site: Site, guard: Guard) -> Site:
    """The line of a condition, captioned with what it depends on."""
    line = guard.node.line if guard.node is not None else site.start
    words = ", ".join(sorted(guard.kinds))
    return Site(site.file, "head", line, line, f"runs only under this condition ({words})", site.members)


def guard_evidence(guard: Guard, kinds: frozenset[str]) -> dict[str, object]:
    """The condition's text and the kinds that were asked for."""
    text = spell(guard.node) if guard.node is not None and guard.node.kind not in ("handler", "case") else ""
    text = f"not ({text})" if text and guard.negated else text
    return {"guard": text, "guards": sorted(guard.kinds & kinds or guard.kinds)}
