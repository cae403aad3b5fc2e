"""Python text through libcst, the parser of record: the same node table as tree-sitter's, or why there is
none.

In: text with ``\\n`` line ends. Out: a ``module`` node with positions. libcst is loaded on first use (it
costs more than reading most changes) and dies on deep nesting, so depth is measured by tree-sitter before
libcst sees the text. Source of the grammar: https://docs.python.org/3/reference/grammar.html
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tree_sitter import Node as Syntax

from trainwarden.parse import treesitter
from trainwarden.parse.nodes import Node

if TYPE_CHECKING:
    from libcst import Module

MAX_DEPTH = 2 * treesitter.MAX_DEPTH
"""Levels of tree-sitter's tree that libcst is trusted with; a level of Python is about two of these."""

LONGEST_CHAIN = 800
"""Parts of one chain; libcst raises at a few thousand and was seen to die of 30,000."""
_CHAINS = frozenset(
    {
        "concatenated_string",
        "if_statement",
        "dotted_name",
        "list_comprehension",
        "set_comprehension",
        "dictionary_comprehension",
        "generator_expression",
    }
)

_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


class NotParsed(Exception):
    """libcst has no reading of the text; ``line`` is where it gave up (1 when it cannot say)."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def lower_text(text: str, positions: bool = True, measured: bool = False) -> Node:
    """The ``module`` node of a text. Raises ``NotParsed``.

    ``positions``: without them lines are 0 and the reading costs less; hashes are the same. ``measured``: the
    caller asked ``too_deep`` before.
    """
    if not measured and too_deep(treesitter.parse(text)):
        raise NotParsed(1, "nested too deep")
    module = _parsed(text)
    statements = importlib.import_module("trainwarden.parse.cst_statements")
    try:
        spans = _spans(module) if positions else {}
        node = statements.Statements(spans).module(module)
    except RecursionError as error:
        raise NotParsed(1, "nested too deep") from error
    assert isinstance(node, Node)
    return node


def _parsed(text: str) -> Module:
    import libcst

    try:
        return libcst.parse_module(text)
    except libcst.ParserSyntaxError as error:
        raise NotParsed(error.raw_line, error.message) from error
    except (SyntaxError, UnicodeError, RecursionError, ValueError, LookupError) as error:
        # Refused before parsing: lone surrogates, NUL bytes, a coding cookie that does not exist.
        raise NotParsed(1, type(error).__name__) from error


def _spans(module: Module) -> dict[int, tuple[int, int, int]]:
    positions = importlib.import_module("trainwarden.parse.cst_positions")
    spans: dict[int, tuple[int, int, int]] = positions.spans_of(module)
    return spans


def too_deep(root: Syntax) -> bool:
    """Whether libcst could die of a tree: its levels, chains that are flat here but nested there, open brackets."""
    cursor = root.walk()
    depth = brackets = 0
    while True:
        node = cursor.node
        if node is None or (node.child_count > LONGEST_CHAIN and node.type in _CHAINS):
            return True
        brackets += _BRACKETS.get(node.type, 0)
        if cursor.goto_first_child():
            depth += 1
        elif not cursor.goto_next_sibling():
            while cursor.goto_parent():
                depth -= 1
                if cursor.goto_next_sibling():
                    break
            else:
                return False
        if depth > MAX_DEPTH or brackets > MAX_DEPTH:
            return True
