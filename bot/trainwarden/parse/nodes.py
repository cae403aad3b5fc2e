"""The node table: one small tree per member, the same whichever parser read it.

A parser lowers source text into ``Node``s; edits, facts and patterns read nothing else. Formatting does not
survive the lowering: parentheses, quotes, number spelling, trailing commas and implicit string concatenation
are gone, so two spellings of one program have equal hashes.

Kinds and their children (``?`` marks an optional child, absent rather than None):

statements
    module [statement...]            block [statement...]
    class(name) [decorator... , bases, typeparams?, block]      bases [expression | keyword ...]
    function(name) [decorator..., params, async?, typeparams?, returns?, block]
    typeparams [typeparam(name) [annotation?, default?]...]
    params [param | star_param | doublestar_param | posonly | kwonly ...]
    param(name) [annotation?, default?]            (annotation and default are kinds with one child)
    if [test, block, else?]          else [statement...]; ``elif`` is an ``if`` alone in an ``else``
    for(async?) [target, iterable, block, else?]   while [test, block, else?]
    with(async?) [withitem..., block]              withitem [expression, target?]
    try(star?) [block, handler..., else?, finally?]             handler(name or "") [type?, block]
    match [subject, case...]         case [pattern, guard?, block]    guard [test]
    return [x?]  raise [x?, cause?]  assert [test, message?]  delete [x...]  pass  break  continue
    global(names)  nonlocal(names)   expr [x]      docstring(text)
    import [alias...]                import_from(module) [alias...]    alias(dotted name) [asname?]
    assign [target..., value]        annassign [target, annotation, value?]     augassign(op) [target, value]
    type_alias [name, typeparams?, value]          error(text)   for what the parser could not read
expressions
    name(id)  attribute(attr) [object]   call [function, argument...]   keyword(name) [value]
    star [x]  doublestar [x]   subscript [object, index...]   slice [lower, upper, step] (``none`` where absent)
    number(canonical)  string(value)  bytes(value)  fstring(t for templates) [string | interpolation ...]
    interpolation(conversion and format) [x, interpolation of the format...]
    constant(True|False|None|...)    tuple [...]  list [...]  set [...]  dict [pair | doublestar ...]  pair [key, value]
    unary(op) [x]  binary(op) [left, right]  boolop(and|or) [x...]  compare(ops joined by space) [x...]
    ternary [then, test, otherwise]  lambda [params, body]  await [x]  yield [x?]  yield_from [x]
    namedexpr [name, value]          listcomp | setcomp | dictcomp | genexp [element, comp_for...]
    comp_for(async?) [target, iterable, test...]   none
patterns
    a capture is a name, a sequence a list, a mapping a dict, a class a call,
    ``P as x`` a namedexpr, ``A | B`` a boolop(|)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

STATEMENTS = frozenset(
    "class function if for while with try match return raise assert delete pass break continue global nonlocal "
    "expr docstring import import_from assign annassign augassign type_alias error".split()
)
BLOCKS = frozenset({"module", "block", "else", "finally"})
_SHORT = 120
"""Characters of what is hashed of a node, up to which the hash is remembered."""


def _digest(said: str) -> str:
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


# Most nodes are names and small expressions that occur again and again, above all on the other side of a change.
_remembered = lru_cache(maxsize=2**14)(_digest)


class Node:
    """One node of the table.

    ``line`` and ``end_line`` are 1-based lines of the file as stored, both inclusive. ``hash`` covers kind, value
    and children, never positions. ``name`` is the resolved dotted name (``torch.manual_seed``) where resolution
    found one, else "". ``parent`` is None at the root of a member.
    """

    __slots__ = ("children", "column", "end_line", "hash", "kind", "line", "name", "parent", "size", "value")

    def __init__(
        self,
        kind: str,
        value: str = "",
        children: tuple[Node, ...] = (),
        line: int = 0,
        end_line: int = 0,
        column: int = 0,
    ) -> None:
        self.kind = kind
        self.value = value
        self.size: int
        self.hash: str
        self.children = children
        self.line = line
        self.end_line = end_line
        self.column = column
        self.parent: Node | None = None
        self.name = ""
        size = 1
        said = f"{kind}\0{value}"
        for child in children:
            child.parent = self
            size += child.size
            said += f"\0{child.hash}"
        self.size = size
        self.hash = _remembered(said) if len(said) <= _SHORT else _digest(said)

    def twin(self, lower: int) -> Node:
        """The same code ``lower`` lines further down: a tree of its own, without a parent and resolved names."""
        twin = Node.__new__(Node)  # size and hash are known
        twin.kind = self.kind
        twin.value = self.value
        twin.size = self.size
        twin.hash = self.hash
        twin.line = self.line + lower
        twin.end_line = self.end_line + lower
        twin.column = self.column
        twin.parent = None
        twin.name = ""
        twin.children = tuple([child.twin(lower) for child in self.children]) if self.children else ()
        for child in twin.children:
            child.parent = twin
        return twin

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self.children))
        return f"{self.kind}({self.value})[{inner}]" if self.value else f"{self.kind}[{inner}]"

    def walk(self) -> Iterator[Node]:
        """This node and everything below it, in source order, without recursion."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if node.children:
                stack += node.children[::-1]

    def untie(self) -> None:
        """Unties everything below from what is above it, so that nothing has to look for cycles to free the tree."""
        for node in self.walk():
            node.parent = None

    @property
    def root(self) -> Node:
        """The node of the whole member."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    def ancestors(self) -> Iterator[Node]:
        """The parent, its parent, and so on to the root of the member."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def child(self, kind: str) -> Node | None:
        """The first child of that kind."""
        for child in self.children:
            if child.kind == kind:
                return child
        return None

    def statement(self) -> Node:
        """The innermost statement this node belongs to (itself if it is one)."""
        node = self
        while node.kind not in STATEMENTS and node.parent is not None:
            node = node.parent
        return node

    @property
    def function(self) -> Node:
        """The callee of a call."""
        return self.children[0]
