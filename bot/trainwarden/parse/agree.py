"""Several parsers on one text: libcst reads what tree-sitter could not, and what tree-sitter read is checked.

tree-sitter is fast and never dies, libcst follows Python's grammar. Where tree-sitter finds errors, libcst's reading
of the whole file is taken if it has one; changed members that tree-sitter read without errors are read again, and any
difference is told, because code that two readers understand differently may be meant to be. Python's own parser is
asked first; libcst, which takes ten times as long, has the last word on what that one does not confirm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tree_sitter import Node as Syntax

from trainwarden.parse import cpython, outline, python, treesitter
from trainwarden.parse.nodes import Node
from trainwarden.parse.outline import Lowered, Member, MemberKind, Outline

MOST_LINES = 20_000
"""Files longer than this are left to tree-sitter: libcst takes about 10 ms and 1 MB per 100 lines."""
_PYTHON_2 = frozenset({"print_statement", "exec_statement"})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A statement the parsers understand differently; ``line`` is its first line, ``detail`` says how."""

    line: int
    detail: str


def read(text: str) -> Outline:
    """The outline of a file: tree-sitter's, or libcst's where only that one can read it. Never raises."""
    first = outline.read(text)
    if not first.errors or first.lines > MOST_LINES:
        return first
    try:
        module = python.lower_text(text)
    except python.NotParsed:
        return first
    collector = _Collector(text.split("\n"))
    collector.run("", module.children)
    return Outline(first.lines, collector.members, collector.imports, ())


def check(member: Member, lines: Sequence[str], keep: Collection[bytes] = ()) -> tuple[Disagreement, ...]:
    """Reads a member's statements a second time. ``lines``: those of its file; ``keep``: texts to leave out."""
    found: list[Disagreement] = []
    if member.name.endswith("(bases)"):
        return _check_head(member)
    for syntax in member.syntaxes:
        if isinstance(syntax, Lowered) or (syntax.text or b"") in keep:
            continue
        detail = _difference(_wrapped(syntax, lines), syntax, member)
        if detail:
            found.append(Disagreement(syntax.start_point.row + 1, detail))
    return tuple(found)


def _difference(source: str, syntax: Syntax, member: Member) -> str:
    """How another reading of a statement differs from tree-sitter's; "" when it does not."""
    try:
        ours = member.part(syntax)
        if cpython.agrees(source, ours) or python.too_deep(syntax):
            return ""
        module = python.lower_text(source, positions=False, measured=True)
    except treesitter.TooDeep:
        return ""  # is unread as a whole
    except python.NotParsed as error:
        return "" if _is_python_2(syntax) else f"libcst cannot read it: {_brief(error.reason)}"
    statements = module.children
    if source.startswith(cpython.OPEN) and statements:
        statements = statements[0].children[-1].children
    if len(statements) == 1 and statements[0].hash == ours.hash:
        return ""
    theirs = statements[0] if len(statements) == 1 else module
    return f"the parsers differ: {_first_difference(ours, theirs)}"


def _brief(reason: str) -> str:
    return reason.partition(", expected")[0].partition(": expected")[0][:100]


def _wrapped(syntax: Syntax, lines: Sequence[str]) -> str:
    """A statement with the indentation of its first line, in a block of its own where it has one."""
    line = lines[syntax.start_point.row]
    indent = line[: len(line) - len(line.lstrip(" \t\f"))]
    text = (syntax.text or b"").decode("utf-8", "surrogatepass")
    return f"{cpython.OPEN}{indent}{text}\n" if indent else f"{text}\n"


def _is_python_2(syntax: Syntax) -> bool:
    """Statements that no Python 3 can run are no evasion."""
    stack = [syntax]
    while stack:
        part = stack.pop()
        if part.type in _PYTHON_2:
            return True
        stack.extend(part.named_children)
    return False


def _check_head(member: Member) -> tuple[Disagreement, ...]:
    """Decorators, bases and type parameters of a class: read as those of an empty class."""
    parts = [syntax for syntax in member.syntaxes if not isinstance(syntax, Lowered)]
    texts = dict.fromkeys(("decorator", "type_parameter", "argument_list"), "")
    for part in parts:
        texts[part.type] += (part.text or b"").decode("utf-8", "surrogatepass")
        texts[part.type] += "\n" if part.type == "decorator" else ""
    source = f"{texts['decorator']}class _{texts['type_parameter']}{texts['argument_list']}: pass\n"
    try:
        ours = {treesitter.lower(part).hash for part in parts}
        theirs = {part.hash for part in python.lower_text(source, positions=False).children[0].children}
    except (python.NotParsed, treesitter.TooDeep) as error:
        return (Disagreement(member.line, f"libcst cannot read it: {_brief(str(error))}"),)
    return () if ours <= theirs else (Disagreement(member.line, "the parsers differ on the head of a class"),)


def _first_difference(ours: Node, theirs: Node) -> str:
    """The smallest pair of nodes that differ, in words."""
    while (
        ours.kind == theirs.kind and ours.value == theirs.value and len(ours.children) == len(theirs.children)
    ):
        pairs = zip(ours.children, theirs.children, strict=True)
        ours, theirs = next(((a, b) for a, b in pairs if a.hash != b.hash), (ours, theirs))
        if ours.hash == theirs.hash:
            break
    return f"{_named(ours)} against {_named(theirs)}"


def _named(node: Node) -> str:
    return f"{node.kind} {node.value[:40]!r}" if node.value else node.kind


class _Collector:
    """Members of a lowered module, cut as ``outline`` cuts them."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.members: dict[str, Member] = {}
        self.imports: list[Node] = []
        self._lines = lines

    def run(self, prefix: str, statements: Iterable[Node]) -> None:
        rest: list[Node] = []
        for node in statements:
            if node.kind == "function":
                self._add(prefix + node.value, "function", [node])
            elif node.kind == "class":
                self._class(prefix + node.value, node)
            else:
                rest.append(node)
                self.imports.extend(_imports(node))
        if rest:
            self._add(prefix.removesuffix(".") or "<module>", "class" if prefix else "module", rest)

    def _class(self, name: str, node: Node) -> None:
        self.run(name + ".", node.children[-1].children)
        head = [part for part in node.children[:-1] if part.children]
        if head:
            self._add(f"{name}(bases)", "class", head)

    def _add(self, name: str, kind: MemberKind, nodes: Sequence[Node]) -> None:
        unique, count = name, 2
        while unique in self.members:
            unique, count = f"{name}#{count}", count + 1
        parts = [Lowered(self._text(node), node) for node in nodes]
        raw = b"\n".join(part.text for part in parts)
        self.members[unique] = Member(unique, kind, nodes[0].line, nodes[-1].end_line, raw, parts)

    def _text(self, node: Node) -> bytes:
        """The lines of a node from its first column on, encoded."""
        rows = [line.encode("utf-8", "surrogatepass") for line in self._lines[node.line - 1 : node.end_line]]
        rows[0] = rows[0][node.column :]
        return b"\n".join(rows).rstrip()


def _imports(statement: Node, depth: int = 3) -> Iterable[Node]:
    """Imports among statements, also those under ``try`` and ``if``."""
    if statement.kind in ("import", "import_from"):
        yield statement
    elif depth and statement.kind in ("try", "if", "block", "else", "handler", "finally"):
        for child in statement.children:
            yield from _imports(child, depth - 1)
