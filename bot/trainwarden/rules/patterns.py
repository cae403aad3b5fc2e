"""Code patterns: a Python snippet with metavariables, matched on the node table and on resolved names.

In: the snippet (``torch.nn.utils.clip_grad_norm_($PARAMS, ...)``) and nodes of a change. Out: captures, or nothing.

    $X      one node; the same name twice must be equal code; also a function, attribute, keyword or class name
    $_      one node that is not captured
    $$ARGS  any number of arguments, elements or statements, captured;  ``...`` the same, not captured
    a.b.c   a dotted name as resolved through imports, aliases and ``getattr``; locals match by what they hold
    ~.f     ``f`` of whatever module or object, also when it was imported by name
    $OBJ.f  the same, with the object captured

Arguments by keyword match in any order; further arguments are allowed only where ``...`` or ``$$X`` stands. Numbers
match by value, ``+`` and ``*`` in either order, a comparison also mirrored, ``x += y`` also as ``x = x + y``. An
expression is searched anywhere in a statement's own text (the header of a compound one); a block that is only ``...``
may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from trainwarden.model import Misuse
from trainwarden.parse import treesitter
from trainwarden.parse.names import fold, normal
from trainwarden.parse.nodes import STATEMENTS, Node
from trainwarden.rules.spelling import clean, spell, spell_all
from trainwarden.rules.values import number

Capture = Node | tuple[Node, ...] | str
"""What a metavariable stands for: a node, a run of nodes (``$$X``), or a name."""
Captures = Mapping[str, Capture]
Matcher = Callable[[Node, Captures], Iterator[Captures]]
ListMatcher = Callable[[Sequence[Node], Captures], Iterator[Captures]]

BODIES = frozenset({"block", "else", "finally", "handler", "case"})
NOTHING: Captures = {}
_ONE, _MANY, _ANY = "tw1_", "twn_", "twany_"
_COMMUTATIVE = frozenset({"+", "*", "&", "|", "^"})
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!=", "is": "is", "is_not": "is_not"}
_IMPORTERS = frozenset({"getattr", "__import__", "importlib.import_module"})
_METAVARIABLE = re.compile(r"(\$\$|\$)([A-Za-z_][A-Za-z0-9_]*)")
_OPEN_DICT = re.compile(r"([{,]\s*)\.\.\.(\s*})")
_TILDE = re.compile(r"~\s*\.")
_MOST_RUNS = 2


def own_nodes(statement: Node) -> Iterator[Node]:
    """The nodes of a statement's own text: everything but the blocks below it."""
    stack = [statement]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(child for child in reversed(node.children) if child.kind not in BODIES)


class Pattern:
    """A compiled pattern.

    ``kinds``: node kinds it can stand at (None: any). ``words``: names that must occur in a statement's own text for
    the pattern to match there; ``metavariables``: the names it captures.
    """

    __slots__ = ("_match", "kinds", "metavariables", "text", "words")

    def __init__(self, text: str) -> None:
        root = _parse(text)
        builder = _Builder(text)
        self.text = text
        self._match = builder.node(root)
        self.kinds = _root_kinds(root)
        self.words = frozenset(builder.words)
        self.metavariables = frozenset(builder.metavariables)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def match(self, node: Node, captures: Captures = NOTHING) -> Captures | None:
        """The captures when the pattern matches this very node, else None."""
        return next(self._match(node, captures), None)

    def search(self, nodes: Mapping[str, Sequence[Node]], captures: Captures = NOTHING) -> Captures | None:
        """The captures of the first match among nodes grouped by kind, else None."""
        return next(self.all(nodes, captures), None)

    def all(self, nodes: Mapping[str, Sequence[Node]], captures: Captures = NOTHING) -> Iterator[Captures]:
        """The captures of every matching node among nodes grouped by kind."""
        for kind in self.kinds if self.kinds is not None else nodes:
            for node in nodes.get(kind, ()):
                found = self.match(node, captures)
                if found is not None:
                    yield found


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """The compiled pattern of a snippet. Raises ``Misuse`` when the snippet is none."""
    return Pattern(text)


def text_of(capture: Capture) -> str:
    """What a metavariable captured, as a line of code."""
    if isinstance(capture, str):
        return clean(capture)
    return spell(capture) if isinstance(capture, Node) else spell_all(capture)


def same(left: Capture, right: Capture) -> bool:
    """Whether two captures are equal code: literally, or by what the names in it resolve to."""
    if isinstance(left, str) or isinstance(right, str):
        return _name_of(left) == _name_of(right)
    one = (left,) if isinstance(left, Node) else left
    two = (right,) if isinstance(right, Node) else right
    if [node.hash for node in one] == [node.hash for node in two]:
        return True
    return [resolved_key(node) for node in one] == [resolved_key(node) for node in two]


def _name_of(capture: Capture) -> str:
    if isinstance(capture, Node):
        return capture.name or capture.value
    return capture if isinstance(capture, str) else ""


def resolved_key(node: Node) -> str:
    """Text that is equal for code that resolves to the same names; unresolved names keep their spelling."""
    parts = []
    for inner in node.walk():
        word = (inner.name or normal(inner.value)) if inner.kind == "name" else inner.value
        parts.append(f"{inner.kind}\0{word}\0{len(inner.children)}")
    return "\1".join(parts)


# -- reading a snippet


def _parse(text: str) -> Node:
    source = _OPEN_DICT.sub(r"\1**...\2", text.strip())
    source = _TILDE.sub(_ANY + ".", source)
    source = _METAVARIABLE.sub(lambda m: (_MANY if m.group(1) == "$$" else _ONE) + m.group(2), source)
    syntax = treesitter.parse(source)
    if syntax.has_error or not source:
        raise Misuse(f"the pattern {text!r} does not parse as Python", "Write one expression or statement.")
    module = treesitter.lower(syntax)
    if len(module.children) != 1:
        raise Misuse(f"the pattern {text!r} has {len(module.children)} statements", "Write one.")
    root = module.children[0]
    if root.kind == "expr":
        return root.children[0]
    return Node("string", root.value) if root.kind == "docstring" else root


def _metavariable(word: str) -> str | None:
    return word[len(_ONE) :] if word.startswith(_ONE) else None


def _run(node: Node) -> str | None:
    """The name of a run of nodes: ``_`` for ``...``, ``X`` for ``$$X``, None for anything else."""
    inner = node
    while inner.kind in ("expr", "doublestar", "param") and inner.children and inner.kind != "param":
        inner = inner.children[0]
    if inner.kind == "constant" and inner.value == "...":
        return "_"
    if inner.kind in ("name", "param") and inner.value.startswith(_MANY):
        return inner.value[len(_MANY) :]
    return None


def _dotted(node: Node) -> str | None:
    """``a.b.c`` for a chain of plain names, its first part possibly ``~`` or its last a metavariable; else None."""
    parts: list[str] = []
    while node.kind == "attribute":
        parts.append(node.value)
        node = node.children[0]
    if node.kind != "name" or node.value.startswith((_ONE, _MANY)):
        return None
    if any(part.startswith(_ONE) for part in parts[1:]):
        return None
    return ".".join(reversed([*parts, node.value]))


def _root_kinds(root: Node) -> frozenset[str] | None:
    if root.kind == "name" and _metavariable(root.value) is not None or _run(root) is not None:
        return None
    if root.kind in ("name", "attribute"):
        return frozenset({"name", "attribute", "call"})
    if root.kind in ("assign", "augassign"):
        return frozenset({"assign", "annassign", "augassign"})
    if root.kind == "string":
        return frozenset({"string", "binary", "fstring", "call", "docstring"})
    return frozenset({root.kind})


def _bind(captures: Captures, name: str, found: Capture) -> Captures | None:
    if name.startswith("_"):
        return captures
    if name in captures:
        return captures if same(captures[name], found) else None
    return {**captures, name: found}


def _bound(captures: Captures, name: str, found: Capture) -> Iterator[Captures]:
    bound = _bind(captures, name, found)
    if bound is not None:
        yield bound


class _Builder:
    """Turns a lowered snippet into nested matchers and collects its words and metavariables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: set[str] = set()
        self.metavariables: set[str] = set()

    def node(self, node: Node) -> Matcher:
        if _run(node) is not None:
            return self._named(_run(node) or "_")
        if node.kind == "name" and _metavariable(node.value) is not None:
            return self._named(_metavariable(node.value) or "_")
        dotted = _dotted(node) if node.kind in ("name", "attribute") else None
        if dotted is not None:
            return self._resolved(dotted)
        builder = _BUILDERS.get(node.kind)
        return builder(self, node) if builder else self._plain(node)

    def _named(self, name: str) -> Matcher:
        self._metavariable(name)
        return lambda found, captures: _bound(captures, name, found)

    def _metavariable(self, name: str) -> None:
        if not name.startswith("_"):
            self.metavariables.add(name)

    # -- names

    def _resolved(self, dotted: str) -> Matcher:
        owner, _, last = dotted.rpartition(".")
        name = _metavariable(last)
        if name is not None:
            return self._member_of(owner, name)
        self.words.add(last)
        if dotted.startswith(_ANY + "."):
            return _suffix(dotted[len(_ANY) + 1 :])
        return lambda found, captures: (
            iter((captures,)) if found.name == dotted and _speaks(found) else iter(())
        )

    def _member_of(self, owner: str, name: str) -> Matcher:
        """``torch.optim.$NAME``: any direct member of a resolved owner."""
        self._metavariable(name)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            prefix, _, last = found.name.rpartition(".")
            if prefix == owner and last.isidentifier() and _speaks(found):
                yield from _bound(captures, name, last)

        return match

    def attribute(self, node: Node) -> Matcher:
        """An attribute of something that is not a plain name."""
        owner, attribute = self.node(node.children[0]), node.value
        captured = _metavariable(node.children[0].value) if node.children[0].kind == "name" else None
        wanted = self._word(attribute)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            place = _attribute_of(found)
            if place is not None:
                for bound in wanted(place[1], captures):
                    yield from owner(place[0], bound)
            elif (
                found.kind == "name" and captured is not None
            ):  # imported or bound by name: ``from m import f``
                prefix, _, last = found.name.rpartition(".")
                for bound in wanted(last, captures) if prefix else ():
                    yield from _bound(bound, captured, prefix)

        return match

    def _word(self, word: str) -> Callable[[str, Captures], Iterator[Captures]]:
        """A test of a bare name (attribute, keyword, function): equal, or captured by a metavariable."""
        name = _metavariable(word)
        if name is not None:
            self._metavariable(name)
            return lambda found, captures: _bound(captures, name, normal(found))
        if word:
            self.words.add(word)
        return lambda found, captures: iter((captures,)) if normal(found) == word else iter(())

    # -- generic shapes

    def _plain(self, node: Node) -> Matcher:
        """Same kind, same value, children one by one (runs allowed)."""
        kind, value = node.kind, self._value(node)
        inner = self.sequence(node.children)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == kind:
                for bound in value(found.value, captures):
                    yield from inner(found.children, bound)

        return match

    def _value(self, node: Node) -> Callable[[str, Captures], Iterator[Captures]]:
        if _metavariable(node.value) is not None:
            return self._word(node.value)
        wanted = node.value
        return lambda found, captures: iter((captures,)) if normal(found) == wanted else iter(())

    def sequence(self, nodes: Sequence[Node]) -> ListMatcher:
        """A list of nodes in order, with at most two runs of any length."""
        runs = [_run(node) for node in nodes]
        if sum(run is not None for run in runs) > _MOST_RUNS:
            raise Misuse(f"the pattern {self.text!r} has more than {_MOST_RUNS} runs (`...`) in one list")
        for run in runs:
            self._metavariable(run or "_")
        items = [None if run is not None else self.node(n) for run, n in zip(runs, nodes, strict=True)]
        return lambda found, captures: _match_list(items, runs, found, captures)

    def number(self, node: Node) -> Matcher:
        wanted, text = number(node.value), node.value

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == "number" and (found.value == text or number(found.value) == wanted is not None):
                yield captures

        return match

    def string(self, node: Node) -> Matcher:
        wanted = _METAVARIABLE_BACK.sub(lambda m: "$$" if m.group() == _MANY else "$", node.value)

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            text = found.value if found.kind in ("string", "docstring") else fold(found)
            if text == wanted:
                yield captures

        return match

    # -- operators

    def binary(self, node: Node) -> Matcher:
        operator, left, right = node.value, self.node(node.children[0]), self.node(node.children[1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind != "binary" or found.value != operator:
                return
            one, two = found.children
            for bound in left(one, captures):
                yield from right(two, bound)
            if operator in _COMMUTATIVE:
                for bound in left(two, captures):
                    yield from right(one, bound)

        return match

    def compare(self, node: Node) -> Matcher:
        if len(node.children) != 2:
            return self._plain(node)
        operator, left, right = node.value, self.node(node.children[0]), self.node(node.children[1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind != "compare" or len(found.children) != 2:
                return
            one, two = found.children
            if found.value == operator:
                for bound in left(one, captures):
                    yield from right(two, bound)
            if _MIRROR.get(found.value) == operator:
                for bound in left(two, captures):
                    yield from right(one, bound)

        return match

    # -- calls

    def call(self, node: Node) -> Matcher:
        function, arguments = self.node(node.children[0]), self._arguments(node.children[1:])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == "call":
                for bound in function(found.children[0], captures):
                    yield from arguments(found.children[1:], bound)

        return match

    def _arguments(self, nodes: Sequence[Node]) -> ListMatcher:
        plain = [node for node in nodes if node.kind != "keyword"]
        named = [(node.value, self._word(node.value), self.node(node.children[0])) for node in nodes
                 if node.kind == "keyword"]  # fmt: skip
        positional = self.sequence(plain)
        is_open = any(_run(node) is not None for node in plain)

        def match(found: Sequence[Node], captures: Captures) -> Iterator[Captures]:
            keywords = [node for node in found if node.kind == "keyword"]
            rest = [node for node in found if node.kind != "keyword"]
            for bound, left in _match_keywords(named, keywords, captures):
                if not left or is_open:
                    yield from positional(rest, bound)

        return match

    def dictionary(self, node: Node) -> Matcher:
        """Pairs in any order; further pairs only with ``...``."""
        items = [self.node(child) for child in node.children if _run(child) is None]
        is_open = any(_run(child) is not None for child in node.children)
        return lambda found, captures: (
            _match_subset(items, found.children, captures, is_open) if found.kind == node.kind else iter(())
        )

    def bases(self, node: Node) -> Matcher:
        inner = self._arguments(node.children)
        return lambda found, captures: inner(found.children, captures) if found.kind == "bases" else iter(())

    # -- statements

    def assign(self, node: Node) -> Matcher:
        targets = [self.node(child) for child in node.children[:-1]]
        value = self.node(node.children[-1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            for parts in _as_assignments(found):
                for bound in _match_subset(targets, parts[:-1], captures, True):
                    yield from value(parts[-1], bound)

        return match

    def augassign(self, node: Node) -> Matcher:
        operator, target, value = node.value, self.node(node.children[0]), self.node(node.children[1])

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            for left, right in _as_augmented(found, operator):
                for bound in target(left, captures):
                    yield from value(right, bound)

        return match

    def imports(self, node: Node) -> Matcher:
        kind, value = node.kind, self._value(node)
        names = [self._alias(child) for child in node.children]

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == kind:
                for bound in value(found.value, captures):
                    yield from _match_subset(names, found.children, bound, True)

        return match

    def _alias(self, node: Node) -> Matcher:
        word = self._word(node.value) if "." not in node.value else self._value(node)
        return lambda found, captures: word(found.value, captures)

    def compound(self, node: Node) -> Matcher:
        """A compound statement: its header, and those of its blocks that the pattern spells out."""
        kind, value = node.kind, self._word(node.value) if node.value else self._value(node)
        groups = _groups(node)
        parts = [self._part(name, nodes) for name, nodes in groups.items()]

        def match(found: Node, captures: Captures) -> Iterator[Captures]:
            if found.kind == kind:
                theirs = _groups(found)
                for bound in value(found.value, captures) if node.value else iter((captures,)):
                    yield from _match_parts(parts, theirs, bound)

        return match

    def _part(self, name: str, nodes: list[Node]) -> tuple[str, ListMatcher]:
        if name in ("block", "else", "finally"):
            words, self.words = self.words, set()  # what stands in blocks is not in the header's words
            inner = self.sequence(nodes[0].children)
            self.words = words
            return name, lambda found, captures: inner(found[0].children, captures) if found else iter(())
        if name in ("decorator", "withitem", "handler"):
            words, self.words = self.words, set() if name == "handler" else self.words
            items = [self.node(node) for node in nodes]
            self.words = words if name == "handler" else self.words
            return name, lambda found, captures: _match_subset(items, found, captures, True)
        return name, self.sequence(nodes)


def _match_list(
    items: Sequence[Matcher | None], runs: Sequence[str | None], found: Sequence[Node], captures: Captures
) -> Iterator[Captures]:
    """Matches ``found`` against items in order; an item of None is a run, named by ``runs``."""
    if not items:
        if not found:
            yield captures
        return
    first = items[0]
    if first is not None:
        if found:
            for bound in first(found[0], captures):
                yield from _match_list(items[1:], runs[1:], found[1:], bound)
        return
    if len(items) == 1:
        yield from _bound(captures, runs[0] or "_", tuple(found))
        return
    for end in range(len(found) + 1):
        for bound in _bound(captures, runs[0] or "_", tuple(found[:end])):
            yield from _match_list(items[1:], runs[1:], found[end:], bound)


def _match_keywords(
    wanted: Sequence[tuple[str, Callable[[str, Captures], Iterator[Captures]], Matcher]],
    keywords: Sequence[Node],
    captures: Captures,
) -> Iterator[tuple[Captures, Sequence[Node]]]:
    """(captures, keywords not asked for) for every way to find the wanted keyword arguments."""
    if not wanted:
        yield captures, keywords
        return
    _, word, value = wanted[0]
    for place, keyword in enumerate(keywords):
        for named in word(keyword.value, captures):
            for bound in value(keyword.children[0], named):
                yield from _match_keywords(wanted[1:], [*keywords[:place], *keywords[place + 1 :]], bound)


def _match_subset(
    items: Sequence[Matcher], found: Sequence[Node], captures: Captures, is_open: bool
) -> Iterator[Captures]:
    """Every item matches another of ``found``, in any order; nothing may be left over unless ``is_open``."""
    if not items:
        if is_open or not found:
            yield captures
        return
    for place, node in enumerate(found):
        for bound in items[0](node, captures):
            yield from _match_subset(items[1:], [*found[:place], *found[place + 1 :]], bound, is_open)


def _match_parts(
    parts: Sequence[tuple[str, ListMatcher]], theirs: Mapping[str, list[Node]], captures: Captures
) -> Iterator[Captures]:
    if not parts:
        yield captures
        return
    name, matcher = parts[0]
    for bound in matcher(theirs.get(name, []), captures):
        yield from _match_parts(parts[1:], theirs, bound)


def _groups(node: Node) -> dict[str, list[Node]]:
    """The children of a compound statement by what they are; header expressions together under ``header``."""
    groups: dict[str, list[Node]] = {}
    named = BODIES | {"decorator", "withitem"}
    for child in node.children:
        if child.kind == "params":
            groups.setdefault("params", []).extend(child.children)
        elif child.kind == "returns" or child.kind == "block" and _is_open(child):
            continue
        else:
            groups.setdefault(child.kind if child.kind in named else "header", []).append(child)
    return groups


def _is_open(block: Node) -> bool:
    return len(block.children) == 1 and _run(block.children[0]) == "_"


def _as_assignments(node: Node) -> Iterator[tuple[Node, ...]]:
    """An assignment as (targets..., value), whichever way it is written."""
    if node.kind == "assign":
        yield node.children
    elif node.kind == "annassign" and len(node.children) == 3:
        yield node.children[0], node.children[2]
    elif node.kind == "augassign":
        binary = Node("binary", node.value)
        binary.children, binary.line, binary.end_line = node.children, node.line, node.end_line
        yield node.children[0], binary


def _as_augmented(node: Node, operator: str) -> Iterator[tuple[Node, Node]]:
    """(target, value) of ``t op= v`` and of ``t = t op v``."""
    if node.kind == "augassign" and node.value == operator:
        yield node.children[0], node.children[1]
    elif node.kind == "assign" and len(node.children) == 2:
        target, value = node.children
        if value.kind == "binary" and value.value == operator:
            if value.children[0].hash == target.hash:
                yield target, value.children[1]
            elif operator in _COMMUTATIVE and value.children[1].hash == target.hash:
                yield target, value.children[0]


def _speaks(node: Node) -> bool:
    """Whether a node's resolved name is its own: a call has its callee's, unless it is ``getattr`` or an import."""
    if node.kind == "call":
        return node.function.name in _IMPORTERS
    return node.kind in ("name", "attribute")


def _suffix(ending: str) -> Matcher:
    dotted = "." + ending

    def match(found: Node, captures: Captures) -> Iterator[Captures]:
        if (found.name == ending or found.name.endswith(dotted)) and _speaks(found):
            yield captures

    return match


def _attribute_of(node: Node) -> tuple[Node, str] | None:
    """(object, attribute) of ``o.a`` and of ``getattr(o, "a")``."""
    if node.kind == "attribute":
        return node.children[0], node.value
    if node.kind == "call" and len(node.children) >= 3 and node.function.name == "getattr":
        word = fold(node.children[2])
        return None if word is None else (node.children[1], word)
    return None


_METAVARIABLE_BACK = re.compile(f"{_ONE}|{_MANY}")
_COMPOUNDS = ("if", "for", "while", "with", "try", "function", "class", "match", "handler", "case")
_BUILDERS: dict[str, Callable[[_Builder, Node], Matcher]] = {
    "attribute": _Builder.attribute,
    "number": _Builder.number,
    "string": _Builder.string,
    "binary": _Builder.binary,
    "compare": _Builder.compare,
    "call": _Builder.call,
    "dict": _Builder.dictionary,
    "set": _Builder.dictionary,
    "bases": _Builder.bases,
    "assign": _Builder.assign,
    "augassign": _Builder.augassign,
    "import": _Builder.imports,
    "import_from": _Builder.imports,
    **dict.fromkeys(_COMPOUNDS, _Builder.compound),
}
assert set(_COMPOUNDS) - {"handler", "case"} <= STATEMENTS
