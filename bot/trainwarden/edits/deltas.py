"""The smallest differences between two expressions or statement headers.

In: two nodes of one alignment and the scopes of their sides. Out: ``view.Delta``s, each with the call it is an
argument of and the roles of the code around it. Reorderings that mean the same (``a and b``, ``a + b``, ``a < b`` as
``b > a``, keyword order, a positional argument now passed by name) leave no delta.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from trainwarden.edits import synonyms
from trainwarden.parse.names import Scope, is_alias, is_inert, normal
from trainwarden.parse.nodes import Node
from trainwarden.roles import roles_of_text, words_of
from trainwarden.view import Delta, DeltaKind

_COMMUTATIVE = frozenset({"+", "*", "&", "|", "^"})
_COMPLEMENT = {
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "==": "!=",
    "!=": "==",
    "is": "is_not",
    "in": "not_in",
}
_COMPLEMENT |= {"is_not": "is", "not_in": "in"}
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_ATOMS: dict[str, DeltaKind] = {
    "number": "number",
    "string": "string",
    "bytes": "string",
    "constant": "constant",
}
_ELEMENTS = frozenset({"list", "tuple", "set", "dict", "fstring"})


@dataclass(frozen=True, slots=True)
class Sides:
    """The scopes of both sides, for roles and for telling locals from other names."""

    before: Scope
    after: Scope


@dataclass(frozen=True, slots=True)
class _Where:
    """The call around a difference, the lines that its enclosing expression has on both sides, and their scopes."""

    sides: Sides
    inside: str = ""
    slot: str = ""
    before: Node | None = None
    after: Node | None = None

    def head_line(self, before: Node | None, after: Node | None) -> int:
        """Where the difference shows on the head side: for something removed, about where it would stand."""
        if after is not None or self.after is None:
            return after.line if after is not None else 0
        offset = before.line - self.before.line if before is not None and self.before is not None else 0
        return min(self.after.line + max(offset, 0), self.after.end_line)


def deltas(before: Node, after: Node, sides: Sides, words: str = "") -> list[Delta]:
    """The differences between two nodes. ``words``: vocabulary of the statement around them, for the roles."""
    found = list(_diff(before, after, _Where(sides, before=before, after=after)))
    return [_with_roles(delta, words, sides) for delta in found]


def _with_roles(delta: Delta, words: str, sides: Sides) -> Delta:
    texts = [words, delta.inside, delta.slot]
    if delta.before is not None:
        texts.append(words_of(delta.before, sides.before, 25))
    if delta.after is not None:
        texts.append(words_of(delta.after, sides.after, 25))
    return replace(delta, roles=roles_of_text(" ".join(texts)))


def is_dotted(node: Node) -> bool:
    """A name, or a chain of attributes on one."""
    while node.kind == "attribute":
        node = node.children[0]
    return node.kind == "name"


def is_key(node: Node) -> bool:
    """A subscript by a constant string: ``batch["labels"]`` names a thing as an attribute does."""
    if node.kind != "subscript" or len(node.children) != 2 or node.children[1].kind != "string":
        return False
    return is_dotted(node.children[0]) or is_key(node.children[0])


def _names_something(node: Node) -> bool:
    return is_dotted(node) or is_key(node)


def _delta(kind: DeltaKind, before: Node | None, after: Node | None, where: _Where) -> Delta:
    return Delta(kind, before, after, where.inside, where.slot, frozenset(), where.head_line(before, after))


def _diff(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    if before.hash == after.hash:
        return
    if _names_something(before) and _names_something(after):
        yield _delta("name", before, after, where)
        return
    wrapped = _wrapping(before, after, where)
    if wrapped is not None:
        yield from wrapped
        return
    if _is_condition(before, after):
        if _meaning(before) == _meaning(after):
            return
        if _meaning(before) == _meaning(after, turned=True):
            yield _delta("negated", before, after, where)
            return
    if before.kind != after.kind:
        yield from _different_kinds(before, after, where)
        return
    handler = _BY_KIND.get(before.kind)
    if before.kind in _ATOMS:
        yield _delta(_ATOMS[before.kind], before, after, where)
    elif handler is not None:
        yield from handler(before, after, where)
    elif before.kind in _ELEMENTS:
        yield from _elements(before.children, after.children, where)
    else:
        yield from _children(before, after, where)


def _different_kinds(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    stripped_before, stripped_after = _without_not(before), _without_not(after)
    if (stripped_before is before) == (stripped_after is after):
        yield _delta("replaced", before, after, where)
        return
    inner = list(_diff(stripped_before, stripped_after, where))
    if "negated" in [delta.kind for delta in inner]:  # ``not a < b`` is ``a >= b``
        yield from (delta for delta in inner if delta.kind != "negated")
    elif all(_is_renamed(delta.before, delta.after, where.sides) for delta in inner):
        yield _delta("negated", before, after, where)
        yield from inner
    else:  # ``not ready(x)`` and ``y == 2``: another condition, and no opposite
        yield _delta("replaced", before, after, where)
        yield from (delta for delta in inner if delta.kind != "replaced")


def _without_not(node: Node) -> Node:
    return node.children[0] if node.kind == "unary" and node.value == "not" and node.children else node


def _is_condition(before: Node, after: Node) -> bool:
    """Whether one side has a ``not``, ``and`` or ``or`` at its top, and both are short enough to be read whole."""
    if before.size + after.size > _LONG:
        return False
    return any((node.kind, node.value) in _CONNECTIVES for node in (before, after))


_LONG = 200
_CONNECTIVES = frozenset({("unary", "not"), ("boolop", "and"), ("boolop", "or")})
_TURNED = {"and": "or", "or": "and"}
_SYMMETRIC = frozenset({"==", "!="})
_Meaning = tuple[str | tuple[object, ...], ...]


def _meaning(node: Node, turned: bool = False) -> _Meaning:
    """A condition with every ``not`` brought down to its parts; ``turned``: that of the opposite condition.

    Equal for ``not (a and b)`` and ``not b or not a``, ``not a < b`` and ``b <= a``.
    """
    if node.kind == "unary" and node.value == "not":
        return _meaning(node.children[0], not turned)
    if node.kind == "boolop" and node.value in _TURNED:
        word = _TURNED[node.value] if turned else node.value
        return (word, *sorted((_meaning(child, turned) for child in node.children), key=repr))
    if node.kind == "compare" and len(node.children) == 2 and node.value in _COMPLEMENT:
        word = _COMPLEMENT[node.value] if turned else node.value
        left, right = (child.hash for child in node.children)
        if word in (">", ">=") or (word in _SYMMETRIC and right < left):
            word, left, right = _MIRROR[word], right, left
        return (word, left, right)
    return ("not" if turned else "", node.hash)


def _wrapping(before: Node, after: Node, where: _Where) -> list[Delta] | None:
    """Deltas when one side contains the other whole; None when neither does."""
    if before.size == after.size:
        return None
    small, large = (before, after) if before.size < after.size else (after, before)
    if small.kind in ("number", "constant", "string", "none", "block"):
        return None
    if large.kind in (
        "assign",
        "augassign",
        "annassign",
        "expr",
        "return",
        "keyword",
        "pair",
        "slice",
        "params",
    ):
        return None
    inner = next((node for node in large.walk() if node.hash == small.hash), None)
    if inner is None:
        return None
    grew = small is before
    kind = _wrap_kind(inner, large, grew)
    return [_delta(kind, before, after, where)]


def _wrap_kind(inner: Node, large: Node, grew: bool) -> DeltaKind:
    parent = inner.parent
    if (parent is not None and parent is large) or large.kind in ("binary", "boolop"):
        if large.kind == "unary":
            return "negated" if large.value == "not" else "sign"
        if large.kind in ("binary", "boolop"):
            return "operand-added" if grew else "operand-removed"
    return "wrapped" if grew else "unwrapped"


def _children(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    if before.value != after.value or len(before.children) != len(after.children):
        if before.value == after.value and before.kind in (
            "return",
            "raise",
            "assert",
            "delete",
            "with",
            "yield",
        ):
            yield from _elements(before.children, after.children, where)
        else:
            yield _delta("replaced", before, after, where)
        return
    for left, right in zip(before.children, after.children, strict=True):
        yield from _diff(left, right, where)


# -- kinds with an order or names of their own


def _call(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    rest = synonyms.same_call(before, after)
    if rest is not None:
        yield from _diff(*rest, where)
        return
    old, new = before.function, after.function
    if old.hash != new.hash:
        if old.kind == new.kind == "attribute" and old.value == new.value:
            yield from _diff(
                old.children[0], new.children[0], _Where(where.sides, new.name, "", before, after)
            )
        elif _same_receiver(old, new) or (is_dotted(old) and is_dotted(new)):
            yield _delta("callee", old, new, where)
        else:
            yield from _diff(old, new, where)
    yield from _arguments(before, after, _Where(where.sides, new.name or old.name, "", before, after))


def _same_receiver(old: Node, new: Node) -> bool:
    return old.kind == new.kind == "attribute" and old.children[0].hash == new.children[0].hash


def _arguments(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    named_before = {a.value: a for a in before.children[1:] if a.kind == "keyword"}
    named_after = {a.value: a for a in after.children[1:] if a.kind == "keyword"}
    plain_before = [a for a in before.children[1:] if a.kind != "keyword"]
    plain_after = [a for a in after.children[1:] if a.kind != "keyword"]
    gone = {k: v for k, v in named_before.items() if k not in named_after}
    come = {k: v for k, v in named_after.items() if k not in named_before}
    _pass_by_name(plain_before, come)
    _pass_by_name(plain_after, gone)
    for name in sorted(named_before.keys() & named_after.keys()):
        slotted = replace(where, slot=name)
        yield from _diff(named_before[name].children[0], named_after[name].children[0], slotted)
    yield from _listed(plain_before, plain_after, where, ("argument-added", "argument-removed"))
    for name, node in sorted(gone.items()):
        yield _delta("argument-removed", node, None, replace(where, slot=name))
    for name, node in sorted(come.items()):
        yield _delta("argument-added", None, node, replace(where, slot=name))


def _pass_by_name(plain: list[Node], named: dict[str, Node]) -> None:
    """Drops pairs of a positional argument on one side and the same value as a keyword on the other."""
    for argument in list(plain):
        for name, keyword in list(named.items()):
            if keyword.children[0].hash == argument.hash and argument in plain:
                plain.remove(argument)
                del named[name]
                break


def _elements(before: Sequence[Node], after: Sequence[Node], where: _Where) -> Iterator[Delta]:
    keyed_before = {p.children[0].hash: p for p in before if p.kind == "pair" and p.children}
    keyed_after = {p.children[0].hash: p for p in after if p.kind == "pair" and p.children}
    for key in [k for k in keyed_before if k in keyed_after]:
        old, new = keyed_before[key], keyed_after[key]
        slot = old.children[0].value
        yield from _diff(old.children[-1], new.children[-1], replace(where, slot=slot))
    rest_before = [
        n for n in before if not (n.kind == "pair" and n.children and n.children[0].hash in keyed_after)
    ]
    rest_after = [
        n for n in after if not (n.kind == "pair" and n.children and n.children[0].hash in keyed_before)
    ]
    yield from _listed(rest_before, rest_after, where, ("element-added", "element-removed"))


def _listed(
    before: Sequence[Node], after: Sequence[Node], where: _Where, kinds: tuple[DeltaKind, DeltaKind]
) -> Iterator[Delta]:
    old, new = [n.hash for n in before], [n.hash for n in after]
    if Counter(old) == Counter(new):
        first = next((i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b), None)
        if first is not None:
            slotted = replace(where, slot=where.slot or str(first))
            yield _delta("argument-swapped", before[first], after[first], slotted)
        return
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        paired = min(i2 - i1, j2 - j1)
        for step in range(paired):
            slotted = replace(where, slot=where.slot or str(j1 + step))
            yield from _diff(before[i1 + step], after[j1 + step], slotted)
        for node in before[i1 + paired : i2]:
            yield _delta(kinds[1], node, None, where)
        for node in after[j1 + paired : j2]:
            yield _delta(kinds[0], None, node, where)


def _binary(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    (a, b), (c, d) = before.children[:2], after.children[:2]
    if before.value == after.value:
        if a.hash == d.hash and b.hash == c.hash:
            if before.value not in _COMMUTATIVE:
                yield _delta("argument-swapped", before, after, where)
            return
        yield from _diff(a, c, where)
        yield from _diff(b, d, where)
        return
    same = a.hash == c.hash and b.hash == d.hash
    flipped = {before.value, after.value} == {"+", "-"}
    yield _delta("sign" if flipped else "operator", before, after, where)
    if not same:
        yield from _diff(a, c, where)
        yield from _diff(b, d, where)


def _boolop(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    if before.value != after.value:
        yield _delta("operator", before, after, where)
    counts = Counter(n.hash for n in before.children)
    counts_after = Counter(n.hash for n in after.children)
    old = [n for n in before.children if n.hash not in counts_after]
    new = [n for n in after.children if n.hash not in counts]
    paired = min(len(old), len(new))
    for left, right in zip(old[:paired], new[:paired], strict=True):
        yield from _diff(left, right, where)
    for node in old[paired:]:
        yield _delta("operand-removed", node, None, where)
    for node in new[paired:]:
        yield _delta("operand-added", None, node, where)


def _compare(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    if len(before.children) != 2 or len(after.children) != 2:
        yield from _children(before, after, where)
        return
    (a, b), (c, d) = before.children, after.children
    mirrored = a.hash == d.hash and b.hash == c.hash and _MIRROR.get(before.value) == after.value
    if mirrored or synonyms.same_comparison(before, after):
        return
    inner = [*_diff(a, c, where), *_diff(b, d, where)]
    if before.value != after.value:
        opposite = _COMPLEMENT.get(before.value) == after.value
        same = all(_is_renamed(delta.before, delta.after, where.sides) for delta in inner)
        yield _delta("negated" if opposite and same else "operator", before, after, where)
    yield from inner


def _is_renamed(before: Node | None, after: Node | None, sides: Sides) -> bool:
    """Whether two names may be one variable under two names: each is bound on its own side only."""
    if before is None or after is None or not before.kind == after.kind == "name":
        return False
    old, new = normal(before.value), normal(after.value)
    return _is_own(old, sides.before, sides.after) and _is_own(new, sides.after, sides.before)


def _is_own(name: str, scope: Scope, other: Scope) -> bool:
    bound = scope.is_local(name) or name in scope.parameters
    return bound and not other.is_local(name) and name not in other.parameters


def _unary(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    if before.value != after.value:
        yield _delta(
            "sign" if {before.value, after.value} <= {"-", "+"} else "operator", before, after, where
        )
    yield from _diff(before.children[0], after.children[0], where)


def _subscript(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    yield from _diff(before.children[0], after.children[0], where)
    old, new = before.children[1:], after.children[1:]
    if [n.hash for n in old] != [n.hash for n in new]:
        yield _delta("index", before, after, where)


def _augassign(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    if before.value != after.value:
        flipped = {before.value, after.value} == {"+", "-"}
        yield _delta("sign" if flipped else "operator", before, after, where)
    for left, right in zip(before.children, after.children, strict=True):
        yield from _diff(left, right, where)


def _assign(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    old, new = before.children, after.children
    if where.sides.after.lexical and is_alias(old[-1]) and is_alias(new[-1]):
        old, new = old[:-1], new[:-1]
    if len(old) == len(new):
        for left, right in zip(old, new, strict=True):
            yield from _diff(left, right, where)
    else:
        yield from _listed(old[:-1], new[:-1], where, ("element-added", "element-removed"))
        yield from _diff(old[-1], new[-1], where)


_COERCED = frozenset({"int", "float", "bool", "str"})
_OF_FIELDS = frozenset({"ClassVar", "InitVar"})


def _annassign(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    """An annotation counts where it runs code, or where the fields of a class are read from it."""
    old, new = before.children, after.children
    yield from _diff(old[0], new[0], where)
    if not (is_inert(old[1]) and is_inert(new[1])) or (
        where.sides.after.lexical and _is_told(old[1], new[1])
    ):
        yield from _diff(old[1], new[1], where)
    if len(old) == len(new) == 3:
        if where.sides.after.lexical and is_alias(old[2]) and is_alias(new[2]):
            return
        yield from _diff(old[2], new[2], where)
    elif len(old) != len(new):
        yield _delta("replaced", before, after, where)


def _is_told(before: Node, after: Node) -> bool:
    """Whether parsers of settings read another field: one basic type for another, or a field that is none."""
    if all(len(one.children) == 1 and one.children[0].value in _COERCED for one in (before, after)):
        return True
    words = [{inner.value for inner in one.walk()} & _OF_FIELDS for one in (before, after)]
    return words[0] != words[1]


def _params(before: Node, after: Node, where: _Where) -> Iterator[Delta]:
    old = {(p.kind, normal(p.value)): p for p in before.children}
    new = {(p.kind, normal(p.value)): p for p in after.children}
    kept_before, kept_after = [k for k in old if k in new], [k for k in new if k in old]
    if kept_before != kept_after:
        first = next(i for i, (a, b) in enumerate(zip(kept_before, kept_after, strict=True)) if a != b)
        yield _delta("argument-swapped", old[kept_before[first]], new[kept_after[first]], where)
    for key in kept_before:
        was, now = old[key].child("default"), new[key].child("default")
        slot = key[1]
        if was is not None and now is not None:
            yield from _diff(
                was.children[0], now.children[0], _Where(where.sides, "default", slot, before, after)
            )
        elif was is not None or now is not None:
            kind: DeltaKind = "element-removed" if now is None else "element-added"
            yield _delta(kind, was, now, _Where(where.sides, "default", slot, before, after))
    for key in [k for k in old if k not in new]:
        yield _delta(
            "element-removed", old[key], None, _Where(where.sides, "parameter", key[1], before, after)
        )
    for key in [k for k in new if k not in old]:
        yield _delta("element-added", None, new[key], _Where(where.sides, "parameter", key[1], before, after))


_BY_KIND = {
    "call": _call,
    "binary": _binary,
    "boolop": _boolop,
    "compare": _compare,
    "unary": _unary,
    "subscript": _subscript,
    "augassign": _augassign,
    "assign": _assign,
    "annassign": _annassign,
    "params": _params,
}
