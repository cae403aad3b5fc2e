"""Where a node stands in a parsed member, and edits of single nodes that leave every other node as it is.

In: a libcst module. Out: places and new modules (``Tree``), nodes made from text, dotted names. Names, numbers and
arguments are in ``spelling``; what a name is about is in ``roles``.

libcst's transformers rebuild every node they pass. An edit here copies the path from the root to the edited nodes and
shares the rest, so that a hundred thousand plantings stay cheap and a changed statement is found by identity.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TypeVar, cast

import libcst as cst

N = TypeVar("N", bound=cst.CSTNode)
T = TypeVar("T")
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Change = cst.CSTNode | Sequence[cst.CSTNode]
"""What a node becomes: another node, or for a member of a sequence any number of nodes."""

_LAYOUT = frozenset(
    "lpar rpar lbracket rbracket lbrace rbrace comma semicolon "
    "equal dot colon first_colon second_colon leading_lines "
    "lines_after_decorators lines_after_module_docstring header footer trailing_whitespace indent encoding "
    "default_indent default_newline has_trailing_newline asynchronous posonly_ind".split()
)
_ORDER: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.Arg: ("keyword", "value"),
    cst.IfExp: ("body", "test", "orelse"),
    cst.FunctionDef: ("decorators", "name", "params", "returns", "body"),
    cst.ClassDef: ("decorators", "name", "bases", "keywords", "body"),
    cst.DictComp: ("key", "value", "for_in"),
}
"""Where the order of the fields is not that of the text."""


class Tree:
    """A module with a way up from every node. Make it with ``tree_of``."""

    def __init__(self, module: cst.Module) -> None:
        self.module = module
        self.nodes: list[cst.CSTNode] = []
        """Every node but layout, in the order of the text."""
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self._found: dict[object, list[cst.CSTNode]] = {}
        self._positions: dict[cst.CSTNode, int] = {}
        self._walk(module)

    def _walk(self, root: cst.CSTNode) -> None:
        stack = [root]
        while stack:
            node = stack.pop()
            self.nodes.append(node)
            inner = children(node)
            for child in inner:
                self._parents[child] = node
            stack.extend(reversed(inner))

    def find(self, kind: type[N], wanted: Callable[[N], bool] | None = None) -> list[N]:
        """The nodes of a type that a predicate accepts, in the order of the text."""
        if kind not in self._found:
            self._found[kind] = [node for node in self.nodes if isinstance(node, kind)]
        found = cast("list[N]", self._found[kind])
        return [node for node in found if wanted(node)] if wanted is not None else list(found)

    def position(self, node: cst.CSTNode) -> int:
        """How many nodes stand before a node in the text; 0 for a node of another tree."""
        if not self._positions:
            self._positions.update((each, index) for index, each in enumerate(self.nodes))
        return self._positions.get(node, 0)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that holds this one; None for the module."""
        return self._parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around this one, from the nearest to the module."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def statement(self, node: cst.CSTNode) -> Statement | None:
        """The innermost statement that stands in a block and holds this node (or is it)."""
        here: cst.CSTNode | None = node
        while here is not None:
            above = self._parents.get(here)
            if isinstance(above, cst.IndentedBlock | cst.Module) and isinstance(here, _STATEMENT):
                return here
            here = above
        return None

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """The innermost function around a node (not the node itself)."""
        return next((above for above in self.ancestors(node) if isinstance(above, cst.FunctionDef)), None)

    def owner(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """The innermost class around a node."""
        return next((above for above in self.ancestors(node) if isinstance(above, cst.ClassDef)), None)

    def loops(self, node: cst.CSTNode) -> list[cst.For | cst.While]:
        """The loops of the same function whose body holds this node, the innermost first."""
        found: list[cst.For | cst.While] = []
        below = node
        for above in self.ancestors(node):
            if isinstance(above, cst.FunctionDef | cst.ClassDef | cst.Lambda):
                break
            if isinstance(above, cst.For | cst.While) and above.body is below:
                found.append(above)
            below = above
        return found

    def block(self, statement: cst.CSTNode) -> tuple[list[Statement], int]:
        """The statements of the block a statement stands in, and its index among them."""
        holder = self._parents[statement]
        assert isinstance(holder, cst.IndentedBlock | cst.Module), "not a statement of a block"
        body = [each for each in holder.body if isinstance(each, _STATEMENT)]
        return body, next(index for index, each in enumerate(body) if each is statement)

    def after(self, statement: cst.CSTNode) -> list[Statement]:
        """The statements that follow in the same block."""
        body, index = self.block(statement)
        return body[index + 1 :]

    def before(self, statement: cst.CSTNode) -> list[Statement]:
        """The statements that precede in the same block."""
        body, index = self.block(statement)
        return body[:index]

    def within(self, node: cst.CSTNode, around: cst.CSTNode) -> bool:
        """Whether a node is another or inside it."""
        return node is around or any(above is around for above in self.ancestors(node))

    def edit(self, changes: Mapping[cst.CSTNode, Change]) -> cst.Module:
        """The module with some nodes replaced; no node may lie inside another one of the changes.

        A statement may become several or none (an empty block gets ``pass``). The comments above a replaced statement
        stay above what replaces it.
        """
        touched = {above for node in changes for above in self.ancestors(node)}
        rebuilt = _rebuilt(self.module, changes, touched)
        assert isinstance(rebuilt, cst.Module), "the module stays a module"
        return rebuilt

    def replace(self, node: cst.CSTNode, *new: cst.CSTNode) -> cst.Module:
        """The module with one node replaced (by several, if it is one of a sequence)."""
        return self.edit({node: new})

    def insert_before(self, statement: cst.CSTNode, *new: cst.CSTNode) -> cst.Module:
        """The module with statements put above one of its own."""
        return self.edit({statement: (*new, statement)})

    def insert_after(self, statement: cst.CSTNode, *new: cst.CSTNode) -> cst.Module:
        """The module with statements put below one of its own."""
        return self.edit({statement: (statement, *new)})

    def remove(self, *doomed: cst.CSTNode) -> cst.Module:
        """The module without some of its statements."""
        return self.edit(dict.fromkeys(doomed, ()))

    def move(self, statement: Statement, to: Statement, *, below: bool = False) -> cst.Module:
        """The module with a statement put above (or below) another one, which does not lie inside it."""
        moved = bare(statement)
        return self.edit({statement: (), to: (to, moved) if below else (moved, to)})

    def wrap(self, doomed: Sequence[Statement], header: str) -> cst.Module:
        """The module with neighbouring statements under ``if x:``, ``with y:`` or ``for a in b:``."""
        return self.edit({doomed[0]: under(header, *doomed), **dict.fromkeys(doomed[1:], ())})


@lru_cache(maxsize=32)
def tree_of(module: cst.Module) -> Tree:
    """The tree of a module; the last few are kept, since many operators read the same one."""
    return Tree(module)


_STATEMENT = (cst.SimpleStatementLine, cst.BaseCompoundStatement)


@lru_cache(maxsize=512)
def node_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a type of node that may hold code, in the order of the text."""
    if kind in _ORDER:
        return _ORDER[kind]
    names = (field.name for field in fields(kind))
    return tuple(name for name in names if name not in _LAYOUT and not name.startswith("whitespace"))


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes directly inside a node, without layout, in the order of the text."""
    found: list[cst.CSTNode] = []
    for name in node_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            found.append(value)
        elif isinstance(value, tuple | list):
            found.extend(each for each in value if isinstance(each, cst.CSTNode))
    return found


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and everything inside it but layout, in the order of the text."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(reversed(children(here)))


def _rebuilt(
    node: cst.CSTNode, changes: Mapping[cst.CSTNode, Change], touched: set[cst.CSTNode]
) -> cst.CSTNode:
    new: dict[str, object] = {}
    for name in node_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            if value in changes or value in touched:
                became = _became(value, changes, touched)
                new[name] = became[0] if became else None
        elif isinstance(value, tuple | list) and any(each in changes or each in touched for each in value):
            sequence = [after for each in value for after in _became(each, changes, touched)]
            new[name] = sequence or _empty(node)
    return node.with_changes(**new)


def _became(
    node: cst.CSTNode, changes: Mapping[cst.CSTNode, Change], touched: set[cst.CSTNode]
) -> Sequence[cst.CSTNode]:
    if node in changes:
        change = changes[node]
        sequence = [change] if isinstance(change, cst.CSTNode) else list(change)
        return _with_comments_of(node, sequence)
    return [_rebuilt(node, changes, touched)] if node in touched else [node]


def _with_comments_of(old: cst.CSTNode, new: list[cst.CSTNode]) -> list[cst.CSTNode]:
    """The blank lines and comments above a replaced statement go to what replaces it."""
    if not isinstance(old, _STATEMENT) or not new or any(each is old for each in new):
        return new
    lead = getattr(old, "leading_lines", ())
    if lead and not any(getattr(each, "leading_lines", ()) for each in new):
        new[0] = new[0].with_changes(leading_lines=lead)
    return new


def _empty(holder: cst.CSTNode) -> list[cst.CSTNode]:
    if isinstance(holder, cst.IndentedBlock):
        return [cst.SimpleStatementLine([cst.Pass()])]
    return [cst.Pass()] if isinstance(holder, cst.SimpleStatementLine | cst.SimpleStatementSuite) else []


_BLANK = cst.Module([])


def choose(rng: random.Random, among: Sequence[T]) -> T | None:
    """One of them; None if there is none."""
    return rng.choice(among) if among else None


@lru_cache(maxsize=20_000)
def code(node: cst.CSTNode) -> str:
    """The text of a node; a statement's ends in a line feed and starts with the comments above it.

    Kept by the identity of the node, which never changes: a hundred operators ask for the same text.
    """
    return _BLANK.code_for_node(node)


def same(one: cst.CSTNode, other: cst.CSTNode) -> bool:
    """Whether two nodes have the same text."""
    return one is other or code(one).strip() == code(other).strip()


def expression(text: str) -> cst.BaseExpression:
    """An expression from its text."""
    return cst.parse_expression(text)


def statements(text: str) -> list[Statement]:
    """Statements from their text (indented by four spaces; in a module they take its own indentation)."""
    return [each for each in cst.parse_module(text).body if isinstance(each, _STATEMENT)]


def statement(text: str) -> Statement:
    """One statement from its text."""
    return statements(text)[0]


def under(header: str, *inner: cst.CSTNode) -> Statement:
    """A compound statement: ``under("if rank == 0:", a, b)``. The first statement's comments go above the header."""
    made = statement(f"{header}\n    pass\n")
    block = cst.IndentedBlock([bare(inner[0]), *inner[1:]])  # type: ignore[list-item]
    return made.with_changes(body=block, leading_lines=getattr(inner[0], "leading_lines", ()))


def bare(node: N) -> N:
    """A statement without the blank lines and comments above it."""
    return node.with_changes(leading_lines=()) if getattr(node, "leading_lines", ()) else node


def clone(node: N) -> N:
    """A copy to stand at a second place: a node may occur only once in a tree."""
    return node.deep_clone()


def small(node: cst.CSTNode | None) -> cst.BaseSmallStatement | None:
    """The only small statement of a line (``x = 1``); None for compound statements and ``a; b``."""
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        return node.body[0]
    return None


def call_of(node: cst.CSTNode | None) -> cst.Call | None:
    """The call of a statement that is only a call (``optimizer.step()``), or that awaits one."""
    only = small(node)
    value = only.value if isinstance(only, cst.Expr) else None
    if isinstance(value, cst.Await):
        value = value.expression
    return value if isinstance(value, cst.Call) else None


def assigned(node: cst.CSTNode | None) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """Target and value of a line with one plain or annotated assignment (``x = y``, ``x: int = y``)."""
    only = small(node)
    if isinstance(only, cst.Assign) and len(only.targets) == 1:
        return only.targets[0].target, only.value
    if isinstance(only, cst.AnnAssign) and only.value is not None:
        return only.target, only.value
    return None


def dotted(node: cst.CSTNode | None) -> str:
    """``self.opt.step`` for a name, attribute, call or subscript of such; calls and subscripts add nothing; else ""."""
    parts: list[str] = []
    while True:
        if isinstance(node, cst.Name):
            return ".".join([node.value, *reversed(parts)])
        if isinstance(node, cst.Attribute):
            parts.append(node.attr.value)
            node = node.value
        elif isinstance(node, cst.Call):
            node = node.func
        elif isinstance(node, cst.Subscript):
            node = node.value
        else:
            return ".".join(["", *reversed(parts)]) if parts else ""


def last_name(node: cst.CSTNode | None) -> str:
    """The last word of a dotted name: ``step`` of ``self.opt.step(...)``."""
    return dotted(node).rpartition(".")[2]
