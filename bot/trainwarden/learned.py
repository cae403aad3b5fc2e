"""The classifier's word, brought to the edits it is about.

In: the sites of a change, and what a scorer said of its units. Out: each site knows the log-odds of its unit and of its
own lines; an edit that only the classifier flags gets a finding of its own here, ``learned-risk``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from trainwarden.model import Finding, Score, Unit
from trainwarden.rules.fingerprint import fingerprint
from trainwarden.score.units import line_of
from trainwarden.sites import Learned, Site, sensitive_edit

LEARNED = "learned-risk"
Key = tuple[str, str, int]
FAMILIES = {
    "A": ("loss", "tampering with the loss"),
    "B": ("gradient", "tampering with gradients or updates"),
    "C": ("optimizer", "tampering with the optimizer or its schedule"),
    "D": ("data", "tampering with data"),
    "E": ("randomness", "tampering with randomness"),
    "F": ("model", "tampering with the model's layers"),
    "G": ("numerics", "weakened numerics or guards"),
    "H": ("distributed", "tampering with distributed work or the process"),
    "I": ("checkpoint", "tampering with checkpoints"),
    "J": ("evaluation", "tampering with evaluation or monitoring"),
    "K": ("reinforcement", "tampering with rewards or returns"),
    "L": ("configuration", "tampering with configuration"),
    "M": ("execution", "running other code"),
    "N": ("concealment", "hiding what the code does"),
}
"""For each letter of the taxonomy: our family, and what it looks like in words."""


def attach(sites: Iterable[Site], units: Sequence[Unit], scores: Sequence[Score]) -> None:
    """Tells each site what the classifier said of its unit and of its line."""
    said = heard(units, scores)
    for site in sites:
        key = key_of(site)
        site.learned = said.get(key) if key is not None else None


def key_of(site: Site) -> Key | None:
    """Path, member and line by which a site's edit is found among units; None for a site without an edit."""
    if site.edit is None or site.file is None:
        return None
    return site.file.path, site.edit.context.member, line_of(site.edit)


def keys_of(unit: Unit) -> Iterator[Key]:
    """The keys of a unit's edited statements."""
    return ((unit.path, unit.member, statement.line) for statement in unit.statements if statement.edited)


def heard(units: Sequence[Unit], scores: Sequence[Score]) -> dict[Key, Learned]:
    """What the classifier said of each edited statement; of two on one line, the more alarming."""
    said: dict[Key, Learned] = {}
    for unit, score in zip(units, scores, strict=True):
        lines = dict(score.lines)
        least = min(lines.values(), default=score.logit)
        for key in keys_of(unit):
            learned = Learned(score.logit, lines.get(key[2], least), score.family)
            said[key] = max(said.get(key, learned), learned, key=lambda one: one.risk)
    return said


def learned_risk(site: Site) -> Finding:
    """The finding of an edit that no rule names but the classifier flags."""
    said = site.learned
    assert said is not None
    told = {"logit": round(said.risk, 3), "line": round(said.line, 3), "looks_like": said.family}
    return flagged(site, LEARNED, "The classifier", said.family, told)


def flagged(site: Site, rule: str, who: str, letter: str, told: Mapping[str, object]) -> Finding:
    """The finding of an edit that no rule names but ``who`` flags, as an attack of that letter ("" for none).

    ``told``: what goes to its evidence.
    """
    plain = sensitive_edit(site)
    family, words = FAMILIES.get(letter, (plain.family, ""))
    likeness = f"{who} takes this for {words}: " if words else f"{who} flags this: "
    return replace(
        plain,
        rule=rule,
        family=family,
        message=likeness + plain.message[:1].lower() + plain.message[1:],
        evidence={**plain.evidence, **told},
        fingerprint=fingerprint(rule, plain.path, plain.fingerprint),
    )
