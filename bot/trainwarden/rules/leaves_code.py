"""The conditions about code: ``edit`` and ``delta``, and ``lost`` for patterns.

In: a leaf of a rule in canonical form (``grammar.EDIT``, ``grammar.DELTA``). Out: a condition over the
edits of the files in its region. Cheap tests come first, patterns last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trainwarden.model import Lines, Side
from trainwarden.parse.nodes import Node
from trainwarden.rules import telling
from trainwarden.rules.captures import Captures
from trainwarden.rules.combine import guard_evidence, guard_site
from trainwarden.rules.contexts import EditTest, context_tests, together
from trainwarden.rules.fingerprint import code_key
from trainwarden.rules.hits import Ask, Condition, Hit, Site
from trainwarden.rules.index import EditIndex, FileIndex, SideIndex, Some, new_guards
from trainwarden.rules.numbers import number_of, value_test
from trainwarden.rules.patterns import Pattern, pattern
from trainwarden.rules.spelling import spell
from trainwarden.rules.values import comparison, globs, member_globs, ratio_either_way
from trainwarden.view import Delta, Edit, Guard

Spec = Mapping[str, Any]


def patterns_of(spec: Spec, *keys: str) -> list[Pattern]:
    """The compiled patterns behind some keys of a leaf."""
    return [pattern(text) for key in keys for text in spec.get(key, ())]


# -- edit


def edit_leaf(spec: Spec, label: str) -> Condition:
    """Edits of some kinds in some context whose statements hold, lose or gain code."""
    some = Some(frozenset(spec.get("kind", ())), frozenset(spec.get("statement", ())))
    tests = context_tests(spec, without=("statement",))
    if "from_member" in spec:
        tests.append(_from_member(spec["from_member"]))
    stands, code = together(tests), _code_test(spec)
    hints = _hints(spec)
    gone, vanished = spec.get("gone_elsewhere", False), patterns_of(spec, "loses", "before", "pattern")
    wanted_guards = frozenset(spec.get("new_guards", spec.get("guards", ())))

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            for edit in file.edits_with(hints, some):
                if not stands(file, edit) or not _within(ask, file, edit):
                    continue
                captures = code(edit, ask.captures)
                if captures is None or (gone and not _is_gone(ask, edit, vanished)):
                    continue
                hit = Hit((edit_site(file, edit),), captures, (_edit_evidence(label, edit),))
                yield with_guards(hit, wanted_guards)

    return hits


def _within(ask: Ask, file: FileIndex, edit: EditIndex) -> bool:
    """Whether an edit lies in the region; most regions are whole files, of which no place need be known."""
    return ask.region.anchor is None or ask.region.holds(edit_site(file, edit))


def _hints(spec: Spec) -> list[Pattern]:
    """Patterns of which one must occur for the leaf to hold: the key with the best words."""
    for key in ("loses", "gains", "pattern", "before", "after"):
        found = patterns_of(spec, key)
        if found and all(one.words for one in found):
            return found
    return []


def _from_member(wanted: Sequence[str]) -> EditTest:
    like = member_globs(wanted)
    return lambda file, edit: edit.edit.moved_from is not None and like(edit.edit.moved_from[1])


def _code_test(spec: Spec) -> Callable[[EditIndex, Captures], Captures | None]:
    here, banned = patterns_of(spec, "pattern"), patterns_of(spec, "not_pattern")
    before, after = patterns_of(spec, "before"), patterns_of(spec, "after")
    loses, gains = patterns_of(spec, "loses"), patterns_of(spec, "gains")

    def test(edit: EditIndex, captures: Captures) -> Captures | None:
        found: Captures | None = captures
        for side, wanted in ((edit.side, here), (edit.before, before), (edit.after, after)):
            if wanted and found is not None:
                found = _any_match(side, wanted, found)
        if loses and found is not None:
            found = _only_in(edit.before, edit.after, loses, found)
        if gains and found is not None:
            found = _only_in(edit.after, edit.before, gains, found)
        if found is not None and banned and _any_match(edit.side, banned, found) is not None:
            return None
        return found

    return test


def _any_match(side: SideIndex | None, wanted: Sequence[Pattern], captures: Captures) -> Captures | None:
    if side is None:
        return None
    for one in wanted:
        if side.may_hold(one):
            found = one.search(side.nodes, captures)
            if found is not None:
                return found
    return None


def _only_in(
    here: SideIndex | None, there: SideIndex | None, wanted: Sequence[Pattern], captures: Captures
) -> Captures | None:
    """The captures of a match on one side that the other side does not have with the same captures."""
    for one in wanted:
        if here is None or not here.may_hold(one):
            continue
        for found in one.all(here.nodes, captures):
            if there is None or not there.may_hold(one) or one.search(there.nodes, found) is None:
                return found
    return None


def _is_gone(ask: Ask, edit: EditIndex, vanished: Sequence[Pattern]) -> bool:
    """Whether what the edit took away does not come back anywhere in the change."""
    if not vanished:
        return not ask.change.reappears(edit)
    held = [one for one in vanished if _any_match(edit.before, [one], {}) is not None]
    return bool(held) and ask.change.balance(vanished) < 0


def edit_site(file: FileIndex, edit: EditIndex, delta: Delta | None = None) -> Site:
    """Where an edit is shown: its head lines, those of the differing part, or the line after the gap."""
    name = 0 if delta is None else id(delta)  # the edit holds its deltas
    found: Site | None = edit.sites.get(name)
    if found is None:
        found = edit.sites[name] = _edit_site(file, edit, delta)
    return found


def _edit_site(file: FileIndex, edit: EditIndex, delta: Delta | None) -> Site:
    inner = edit.edit
    side: Side = file.view.side
    lines = _delta_lines(inner, delta) or (inner.start, inner.end)
    if side == "base" and inner.base_lines is not None:
        lines = inner.base_lines
    loop = inner.context.loop
    caption, code = _told(edit, "caption", _caption), _told(edit, "code", lambda _: code_key(edit))
    if delta is not None:
        caption = telling.of_delta(delta)
    return Site(file, side, *lines, caption, edit.members, loop, edit, inner.base_lines, None, code, delta)


def _told(edit: EditIndex, what: str, tell: Callable[[Edit], str]) -> str:
    if what not in edit.told:
        edit.told[what] = tell(edit.edit)
    return edit.told[what]


def _delta_lines(edit: Edit, delta: Delta | None) -> Lines | None:
    """The lines of the differing part, where it stands in the statement's own text on the head side."""
    if delta is None or not edit.start <= delta.line <= edit.end:
        return None
    node = delta.after
    end = node.end_line if node is not None and node.line == delta.line else delta.line
    return delta.line, min(end, edit.end)


def _caption(edit: Edit) -> str:
    words = {"added": "added", "removed": "removed", "changed": "changed", "moved": "moved"}
    return f"{words.get(edit.kind, 'moved and changed')}: {spell(edit.node, 80)}"


def _edit_evidence(label: str, edit: EditIndex) -> dict[str, object]:
    inner = edit.edit
    found: dict[str, object] = {"condition": label, "edit": inner.kind}
    if inner.before is not None:
        found["before"] = _told(edit, "before", _before)
    if inner.after is not None:
        found["after"] = _told(edit, "after", _after)
    found["change"] = _told(edit, "change", telling.of_edit)
    if inner.context.guards:
        found["guards"] = sorted(inner.context.guard_kinds)
    return found


def _before(edit: Edit) -> str:
    return telling.sides(edit.before, edit.after)[0]


def _after(edit: Edit) -> str:
    return telling.sides(edit.before, edit.after)[1]


def with_guards(hit: Hit, kinds: frozenset[str]) -> Hit:
    """Adds the place of the condition that was asked for: new ones before old ones."""
    site = hit.sites[0]
    if not kinds or site.edit is None or site.edit.edit.after_context is None:
        return hit
    guards = (*new_guards(site.file, site.edit.edit), *site.edit.edit.after_context.guards)
    guard: Guard | None = next((one for one in guards if one.kinds & kinds), None)
    if guard is None:
        return hit
    return hit.joined(Hit((guard_site(site, guard),), {}, (guard_evidence(guard, kinds),)))


# -- delta


def delta_leaf(spec: Spec, label: str) -> Condition:
    """Differences of some kinds, by what was there, what is there now, and where in the statement."""
    kinds = frozenset(spec.get("kind", ()))
    stands, delta_tests = together(context_tests(spec, without=("roles", "not_roles"))), _delta_tests(spec)
    code = _delta_code(spec)
    wanted_guards = frozenset(spec.get("new_guards", spec.get("guards", ())))

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files:
            for edit, delta in file.deltas_of(kinds):
                if not stands(file, edit) or not all(test(delta) for test in delta_tests):
                    continue
                captures = code(delta, ask.captures)
                if captures is None:
                    continue
                site = edit_site(file, edit, delta)
                if ask.region.holds(site):
                    hit = Hit((site,), captures, (_delta_evidence(label, delta),))
                    yield with_guards(hit, wanted_guards)

    return hits


def _delta_tests(spec: Spec) -> list[Callable[[Delta], bool]]:
    tests: list[Callable[[Delta], bool]] = []
    if "roles" in spec:
        roles = frozenset(spec["roles"])
        tests.append(lambda delta: bool(delta.roles & roles))
    if "not_roles" in spec:
        banned = frozenset(spec["not_roles"])
        tests.append(lambda delta: not delta.roles & banned)
    if "inside" in spec:
        inside = globs(spec["inside"])
        tests.append(lambda delta: inside(delta.inside) or inside(delta.inside.rpartition(".")[2]))
    if "slot" in spec:
        slot = globs(spec["slot"])
        tests.append(lambda delta: slot(delta.slot))
    if "renamed" in spec:
        renamed = spec["renamed"]
        tests.append(lambda delta: (_last_name(delta.before) != _last_name(delta.after)) is renamed)
    return [*tests, *_number_tests(spec)]


def _last_name(node: Node | None) -> str:
    """``cos`` of ``numpy.cos``, of ``cos`` imported from it, and of ``x.cos``."""
    if node is None:
        return ""
    return node.value if node.kind == "attribute" else (node.name or node.value).rpartition(".")[2]


def _number_tests(spec: Spec) -> Iterator[Callable[[Delta], bool]]:
    if "ratio" in spec:
        compare = comparison(spec["ratio"])
        yield lambda delta: (pair := _numbers(delta)) is not None and compare(ratio_either_way(*pair))
    if "direction" in spec:
        up = spec["direction"] == "up"
        yield lambda delta: (pair := _numbers(delta)) is not None and (pair[0] < pair[1]) is up
    if "sign_change" in spec:
        wanted = spec["sign_change"]
        yield lambda delta: (pair := _numbers(delta)) is not None and (pair[0] * pair[1] < 0) is wanted
    if spec.get("near_one"):
        yield _near_one


def _numbers(delta: Delta) -> tuple[float, float] | None:
    before, after = number_of(delta.before), number_of(delta.after)
    return None if before is None or after is None else (before, after)


def _near_one(delta: Delta) -> bool:
    pair = _numbers(delta)
    times = ratio_either_way(*pair) if pair is not None else number_of(delta.after)
    return times is not None and times != 1 and 0.9 <= times <= 1.12


def _delta_code(spec: Spec) -> Callable[[Delta, Captures], Captures | None]:
    before, after = patterns_of(spec, "before"), patterns_of(spec, "after")
    was = value_test(spec["from"]) if "from" in spec else None
    now = value_test(spec["to"]) if "to" in spec else None

    def test(delta: Delta, captures: Captures) -> Captures | None:
        found: Captures | None = captures
        for node, exact, wanted in ((delta.before, was, before), (delta.after, now, after)):
            if exact is not None and found is not None:
                found = exact(node, found)
            if wanted and found is not None:
                found = _any_match(SideIndex(node) if node is not None else None, wanted, found)
        return found

    return test


def _delta_evidence(label: str, delta: Delta) -> dict[str, object]:
    found: dict[str, object] = {"condition": label, "delta": delta.kind}
    for key, words in zip(("before", "after"), telling.sides(delta.before, delta.after), strict=True):
        if words:
            found[key] = words
    found["change"] = telling.of_delta(delta)
    pair = _numbers(delta)
    if pair is not None:
        times = ratio_either_way(*pair)
        found["ratio"] = round(times, 6) if times != float("inf") else "infinite"
    if delta.inside:
        found["inside"] = delta.inside
    if delta.roles:
        found["roles"] = sorted(delta.roles)
    return found


# -- lost


def lost_pattern_leaf(spec: Spec, label: str) -> Condition:
    """Removed or changed statements that held code of which the whole change has less afterwards."""
    stands = together(context_tests(spec))
    wanted = patterns_of(spec, "pattern")

    def hits(ask: Ask) -> Iterator[Hit]:
        for file in ask.region.files if ask.change.balance(wanted) < 0 else ():
            for edit in file.edits_with(wanted):
                captures = _only_in(edit.before, edit.after, wanted, ask.captures)
                if captures is None or not stands(file, edit):
                    continue
                site = edit_site(file, edit)
                if ask.region.holds(site):
                    yield Hit((site,), captures, (_edit_evidence(label, edit),))

    return hits
