"""What a condition finds: sites with captures and evidence, inside a region of the change.

Conditions are closures ``Ask -> hits``. An ``Ask`` carries the prepared change, the region that may be
looked at and what metavariables already stand for; a ``Hit`` carries the sites that satisfied the
condition, the first one being the place a finding will be put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trainwarden.model import Fact, Lines, Side
from trainwarden.rules.captures import Captures
from trainwarden.rules.index import ChangeIndex, EditIndex, FileIndex
from trainwarden.view import Delta

MOST_HITS = 200
"""Hits followed up within one rule and file; more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place: lines of a file on a side, with the edit or member it belongs to.

    ``base_lines`` are those of what was removed or changed; ``code`` identifies it for the fingerprint. ``delta``: the
    one difference of the edit that is meant, None for the whole statement.
    """

    file: FileIndex
    side: Side
    start: int
    end: int
    caption: str = ""
    members: frozenset[str] = frozenset()
    loop: int = 0
    edit: EditIndex | None = None
    base_lines: Lines | None = None
    fact: Fact | None = None
    code: str = ""
    delta: Delta | None = None

    @property
    def key(self) -> tuple[int, str, int, int]:
        """Equal for sites at the same lines."""
        return self.file.place, self.side, self.start, self.end


@dataclass(frozen=True, slots=True)
class Hit:
    """Sites that satisfied a condition, what metavariables stand for, and evidence in plain values."""

    sites: tuple[Site, ...] = ()
    captures: Captures = field(default_factory=dict)
    evidence: tuple[Mapping[str, object], ...] = ()

    def joined(self, other: Hit) -> Hit:
        """Both at once; this hit's first site stays the primary one."""
        return Hit(
            self.sites + other.sites, {**self.captures, **other.captures}, self.evidence + other.evidence
        )


@dataclass(frozen=True, slots=True)
class Region:
    """Where conditions may look: some files, and there what is ``within`` reach of ``anchor``."""

    files: Sequence[FileIndex]
    within: str = "file"
    anchor: Site | None = None
    near: int | None = None

    def holds(self, site: Site) -> bool:
        """Whether a site lies in the region."""
        anchor = self.anchor
        if anchor is None:
            return True
        if self.near is not None and not _close(anchor, site, self.near):
            return False
        if self.within in ("file", "change"):
            return True
        if site.file is not anchor.file:
            return False
        if self.within == "edit":
            return _same_edit(anchor, site)
        if anchor.members and site.members and not anchor.members & site.members:
            return False
        return self.within == "member" or (anchor.loop > 0 and site.loop > 0)


def _close(one: Site, two: Site, distance: int) -> bool:
    if one.file is not two.file or one.side != two.side:
        return False
    return max(one.start, two.start) - min(one.end, two.end) <= distance


def _same_edit(one: Site, two: Site) -> bool:
    if one.edit is not None and two.edit is not None:
        return one.edit is two.edit
    return one.side == two.side and one.start <= two.end and two.start <= one.end


@dataclass(frozen=True, slots=True)
class Ask:
    """One question put to a condition."""

    change: ChangeIndex
    region: Region
    captures: Captures

    def within(self, within: str | None, anchor: Site | None, near: int | None = None) -> Ask:
        """The same question about another region: relative to ``anchor``, or to the whole change."""
        if within is None and near is None:
            return self
        if within == "change":
            return replace(self, region=Region(self.change.files, "change", anchor, near))
        anchor = anchor or self.region.anchor
        files = (anchor.file,) if anchor is not None else self.region.files
        return replace(self, region=Region(files, within or "file", anchor, near))

    def anchored(self, site: Site) -> Ask:
        """The same question, with a place from which ``within`` can be reckoned further down."""
        if self.region.anchor is not None and self.region.within not in ("file", "change"):
            return self
        return replace(self, region=replace(self.region, anchor=site))

    def given(self, hit: Hit) -> Ask:
        """The same question with the captures of a hit."""
        return replace(self, captures={**self.captures, **hit.captures}) if hit.captures else self


Condition = Callable[[Ask], Iterator[Hit]]


def first(hits: Iterable[Hit], most: int = MOST_HITS) -> list[Hit]:
    """At most ``most`` hits, the others dropped: evidence, not an inventory."""
    found: list[Hit] = []
    for hit in hits:
        found.append(hit)
        if len(found) >= most:
            break
    return found
