"""Findings and edits brought together: each edit is one site, with the rules that fired on it and its own signals.

In: a ``ChangeView`` and the rules' findings. Out: ``Site``s. An edit that looks like sabotage by its kind and place
alone, and that no rule names, gets a finding of its own here: ``sensitive-edit``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from trainwarden.evidence import signals
from trainwarden.model import Finding, Opinion, Place
from trainwarden.rules.fingerprint import alpha, fingerprint
from trainwarden.rules.spelling import clean
from trainwarden.rules.telling import base_place, foremost, of_edit
from trainwarden.view import ChangeView, Edit, FileView

SENSITIVE = "sensitive-edit"
_FAMILIES = (
    ("execute", "execution"),
    ("grad", "gradient"),
    ("loss", "loss"),
    ("optimizer", "optimizer"),
    ("schedule", "optimizer"),
    ("ema", "optimizer"),
    ("reward", "reinforcement"),
    ("seed", "randomness"),
    ("label", "data"),
    ("mask", "loss"),
    ("checkpoint", "checkpoint"),
    ("distributed", "distributed"),
    ("metric", "evaluation"),
    ("data", "data"),
    ("precision", "numerics"),
    ("normalise", "numerics"),
    ("model", "model"),
    ("param", "model"),
    ("steps", "configuration"),
)
_ROLE_WORDS = {
    "grad": "gradients",
    "loss": "the loss",
    "optimizer": "the optimizer",
    "schedule": "the learning-rate schedule",
    "ema": "averaged weights",
    "reward": "returns and rewards",
    "seed": "randomness",
    "label": "labels",
    "mask": "masks",
    "checkpoint": "checkpoints",
    "distributed": "distributed work",
    "metric": "evaluation",
    "data": "the data",
    "precision": "precision",
    "normalise": "normalisation",
    "model": "the model",
    "param": "parameters",
    "steps": "the length of training",
    "execute": "running other code",
}


@dataclass(frozen=True, slots=True)
class Learned:
    """What the classifier said: log-odds of the edit's unit and of its own line, and the taxonomy's letter or ""."""

    risk: float
    line: float
    family: str = ""


@dataclass(slots=True)
class Site:
    """One edit with everything said about it; ``edit`` is None for findings that lie on no edit."""

    file: FileView | None
    edit: Edit | None
    signals: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    learned: Learned | None = None
    opinion: Opinion | None = None

    @property
    def member(self) -> tuple[str, str]:
        """(path, member) it stands in."""
        if self.edit is not None and self.file is not None:
            return self.file.path, self.edit.context.member
        return self.findings[0].path, self.findings[0].member


def sites_of(view: ChangeView, findings: Iterable[Finding]) -> list[Site]:
    """Every edit of the change as a site, in path and line order, then the findings that lie on none."""
    made: list[Site] = []
    by_path: dict[str, list[Site]] = defaultdict(list)
    for file in view.files:
        for edit in file.edits:
            site = Site(file, edit, signals(file, edit))
            made.append(site)
            by_path[file.path].append(site)
    for finding in findings:
        home = _home(finding, by_path.get(finding.path, []))
        if home is None:
            made.append(Site(None, None, frozenset(), [finding]))
        else:
            home.findings.append(finding)
    return made


def signals_at(sites: Iterable[Site]) -> Callable[[FileView, Edit], frozenset[str]]:
    """The signals of the edits of these sites, as ``evidence.signals`` told them when the sites were made."""
    known = {id(site.edit): site.signals for site in sites if site.edit is not None}
    return lambda _, edit: known[id(edit)]


def _home(finding: Finding, sites: list[Site]) -> Site | None:
    """The smallest edit that covers the finding's first line, of its own member if there is one."""
    best: tuple[bool, int, int] | None = None
    home = None
    for place, site in enumerate(sites):
        assert site.edit is not None
        first, last = span(site.edit)
        if first <= finding.start_line <= max(last, site.edit.end):
            rank = (site.edit.context.member != finding.member, last - first, place)
            if best is None or rank < best:
                best, home = rank, site
    return home


def span(edit: Edit) -> tuple[int, int]:
    """The head lines an edit is about: those of its differences, else of the whole statement."""
    lines = [delta.line for delta in edit.deltas if delta.line]
    if edit.kind in ("changed", "moved-changed") and lines:
        return min(lines), max(lines)
    return edit.start, edit.end


def sensitive_edit(site: Site) -> Finding:
    """The finding of an edit that no rule names but whose signals weigh."""
    assert site.edit is not None and site.file is not None
    edit, file = site.edit, site.file
    roles = _roles(edit)
    family = next((family for role, family in _FAMILIES if role in roles), "model")
    first, last = span(edit)
    return Finding(
        rule=SENSITIVE,
        family=family,
        technique=(),
        role="effect",
        severity="medium",
        confidence="low",
        stage="active",
        path=file.path,
        side=file.side,
        start_line=first,
        end_line=min(last, first + 11),
        message=_message(edit, roles),
        member=edit.context.member,
        places=tuple(_places(file, edit)),
        evidence={"signals": sorted(site.signals)},
        fingerprint=fingerprint(SENSITIVE, file.path, _identity(edit)),
    )


def _roles(edit: Edit) -> frozenset[str]:
    inner = frozenset().union(*(delta.roles for delta in edit.deltas)) if edit.deltas else frozenset()
    return inner | edit.context.roles


def _identity(edit: Edit) -> str:
    return "\0>\0".join(alpha(node) if node is not None else "" for node in (edit.before, edit.after))


def _places(file: FileView, edit: Edit) -> Iterator[Place]:
    if edit.before is None or edit.base_lines is None or file.side != "head":
        return
    path = edit.moved_from[0] if edit.moved_from else file.old_path or file.path
    seen: set[int] = set()
    for delta in foremost(edit) or (None,):
        line, caption = base_place(edit, delta)
        if line not in seen:
            seen.add(line)
            yield Place(path, line, "base", caption)


def _message(edit: Edit, roles: frozenset[str]) -> str:
    about = [words for role, words in _ROLE_WORDS.items() if role in roles][:2]
    where = f"In code about {' and '.join(about)}: " if about else ""
    return clean(where + of_edit(edit), 300)
