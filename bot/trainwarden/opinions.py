"""Second opinions, brought to the edits they are about.

In: the sites of a change, its units, and what a language model said of some of them. Out: the site that an opinion
points at (or the riskiest of its unit) knows it; one that no rule names gets a finding of its own, ``second-opinion``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainwarden.learned import Key, flagged, key_of, keys_of
from trainwarden.model import Finding, Opinion, Unit
from trainwarden.rules.spelling import clean
from trainwarden.score.units import line_of
from trainwarden.sites import Site

SECOND = "second-opinion"


def risks_of(units: Sequence[Unit], sites: Sequence[Site], risks: Sequence[float]) -> list[float]:
    """The risk of each unit: that of the riskiest site in it. ``risks`` are those of the sites."""
    highest: dict[Key, float] = {}
    for site, risk in zip(sites, risks, strict=True):
        if (key := key_of(site)) is not None:
            highest[key] = max(highest.get(key, 0.0), risk)
    return [max((highest.get(key, 0.0) for key in keys_of(unit)), default=0.0) for unit in units]


def attach(
    sites: Sequence[Site], risks: Sequence[float], units: Sequence[Unit], opinions: Mapping[int, Opinion]
) -> None:
    """Tells one site of each unit what was said: the one at the line that was named, else the riskiest."""
    ranked = sorted(zip(risks, sites, strict=True), key=lambda pair: -pair[0])
    for place, opinion in opinions.items():
        keys = set(keys_of(units[place]))
        own = [site for _, site in ranked if key_of(site) in keys]
        named = [site for site in own if site.edit is not None and line_of(site.edit) == opinion.line]
        for site in (named or own)[:1]:
            if site.opinion is None or site.opinion.nats < opinion.nats:
                site.opinion = opinion


def told(opinion: Opinion) -> dict[str, object]:
    """An opinion as evidence of a finding. The model's words are cleaned again and escaped by every report."""
    names = ("as_it_is", "anonymised", "sides_exchanged")
    chances = zip(names, opinion.probabilities, strict=True)
    said: dict[str, object] = {
        name: round(chance, 3) if chance is not None else None for name, chance in chances
    }
    said |= {"nats": round(opinion.nats, 3), "by": clean(opinion.by)}
    return {SECOND: said | {"says": clean(opinion.reason, 200)}}


def second_opinion(site: Site) -> Finding:
    """The finding of an edit that no rule names but a second opinion flags."""
    assert site.opinion is not None
    return flagged(site, SECOND, "A second opinion", site.opinion.technique, told(site.opinion))
