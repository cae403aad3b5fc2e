"""From hits to findings: the message, the captioned places, the evidence and the fingerprint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from trainwarden.model import Finding, Place
from trainwarden.rules import telling
from trainwarden.rules.captures import text_of
from trainwarden.rules.fingerprint import fingerprint
from trainwarden.rules.hits import Hit, Site
from trainwarden.rules.schema import Rule
from trainwarden.rules.spelling import clean

MOST_PLACES = 12
_SLOT = re.compile(r"\{([A-Za-z_]\w*)\}")
_BECAME = re.compile(r"\{before\} (?:is now|became|gave way to|is counted as) \{after\}")
_LAST = re.compile(r":\s*\{(\w+)\}$")
BUILT_IN = frozenset(
    {
        "before", "after", "member", "path", "fact", "subject", "value", "ratio", "guard", "guards", "detail",
        "reason", "edit", "delta", "inside", "count", "change",
    }
)  # fmt: skip
"""Words a message may hold in braces beside captures and parameters."""


def slots(text: str) -> list[str]:
    """The words in braces of a message or a condition."""
    return _SLOT.findall(text)


def merged(hits: Sequence[Hit]) -> Hit:
    """Several hits as one: the first one's place, everything the others add."""
    sites = {site.key: site for hit in hits for site in hit.sites}
    ordered = [hits[0].sites[0], *(site for site in sites.values() if site.key != hits[0].sites[0].key)]
    captures = {name: found for hit in reversed(hits) for name, found in hit.captures.items()}
    evidence = {str(part): part for hit in hits for part in hit.evidence}
    return Hit(tuple(ordered), captures, tuple(evidence.values()))


def finding(rule: Rule, hit: Hit) -> Finding:
    """The finding of one hit."""
    site = hit.sites[0]
    view = site.file.view
    return Finding(
        rule=rule.id,
        family=rule.family,
        technique=rule.technique,
        role=rule.role,
        severity=rule.severity,
        confidence=rule.confidence,
        stage=rule.stage,
        path=view.path,
        side=site.side,
        start_line=site.start,
        end_line=max(site.start, site.end),
        message=_message(rule, hit),
        member=_member(site),
        places=tuple(_places(hit))[:MOST_PLACES],
        evidence=_evidence(hit),
        fingerprint=fingerprint(rule.id, view.path, site.code or site.caption),
    )


def _member(site: Site) -> str:
    if site.edit is not None:
        return site.edit.edit.context.member
    return site.fact.scope if site.fact is not None else ""


# -- words


def _message(rule: Rule, hit: Hit) -> str:
    words = _words(rule, hit)
    template = _one_sided(rule.message or rule.title, words)
    return clean(_SLOT.sub(lambda m: words.get(m.group(1), _missing(m.group(1))), template), 400)


def _one_sided(template: str, words: Mapping[str, str]) -> str:
    """The template for what one side only has: no "it is now " with nothing behind it, no colon at the end.

    ``{before}{after}`` is for whichever there is; of both, the new one.
    """
    before, after = bool(words.get("before")), bool(words.get("after"))
    template = template.replace("{before}{after}", "{after}" if after else "{before}")
    if before and not after:
        template = _BECAME.sub("{before} is gone", template)
    elif after and not before:
        template = _BECAME.sub("{after} is new", template)
    last = _LAST.search(template)
    gone = last is not None and last.group(1) in BUILT_IN and not words.get(last.group(1))
    return _LAST.sub("", template) if gone else template


def _missing(name: str) -> str:
    """What an addition has for ``{before}`` is nothing; a capture of another branch was at least something."""
    return "" if name in BUILT_IN else "…"


def _words(rule: Rule, hit: Hit) -> dict[str, str]:
    site = hit.sites[0]
    words = {name: str(value) for name, value in rule.parameters.items()}
    for part in reversed(hit.evidence):
        words.update({key: _shown(value) for key, value in part.items() if key in BUILT_IN})
    words["change"] = _change(hit)
    words.update({"member": _member(site), "path": site.file.view.path})
    words.update({name: text_of(found) for name, found in hit.captures.items()})
    return words


def _change(hit: Hit) -> str:
    """What the first condition saw; of a changed statement, the (one or two) differences that were asked for."""
    told = [part for part in hit.evidence if part.get("change")]
    deltas = [part for part in told if "delta" in part]
    if deltas and (told[0] is deltas[0] or told[0].get("edit") in ("changed", "moved-changed")):
        words = dict.fromkeys(str(part["change"]) for part in deltas)
        return clean("; ".join(list(words)[:2]), 300)
    return clean(str(told[0]["change"]), 300) if told else ""


def _shown(value: object) -> str:
    return clean(", ".join(map(str, value)) if isinstance(value, list) else str(value))


# -- places


def _places(hit: Hit) -> Iterator[Place]:
    """The base lines of what was removed, changed or moved; then every other site."""
    seen: set[tuple[str, int, str]] = set()
    apart = {id(site.edit) for site in hit.sites if site.delta is not None}
    for number, site in enumerate(hit.sites):
        for place in _of_site(site, number == 0, site.delta is None and id(site.edit) in apart):
            key = (place.path, place.line, place.side)
            if key not in seen:
                seen.add(key)
                yield place


def _of_site(site: Site, primary: bool, told: bool) -> Iterator[Place]:
    """The places of a site. ``told``: a difference of the same statement is a site too, and says more."""
    view = site.file.view
    if told and site.fact is None:
        return
    if not primary:
        yield Place(view.path, site.start, site.side, clean(site.caption))
    if site.base_lines is None or site.side == "base":
        return
    path = view.old_path or view.path
    edit = site.edit.edit if site.edit is not None else None
    line, caption = site.base_lines[0], "before"
    if edit is not None and edit.before is not None and edit.base_lines is not None:
        told_at, caption = telling.base_place(edit, site.delta)
        line = told_at if site.fact is None else line
        path = edit.moved_from[0] if edit.moved_from else path
    elif site.fact is not None:
        caption = f"before: {telling.what(site.fact.name)}"
    yield Place(path, line, "base", clean(caption))


# -- evidence


def _evidence(hit: Hit) -> Mapping[str, object]:
    """Plain values: what the first condition saw, the captures, and what further conditions saw."""
    parts = [{key: value for key, value in part.items() if key != "change"} for part in hit.evidence]
    found: dict[str, object] = parts[0] if parts else {}
    if hit.captures:
        found["captures"] = {name: text_of(one) for name, one in sorted(hit.captures.items())}
    if len(parts) > 1:
        found["also"] = parts[1:6]
    return found
