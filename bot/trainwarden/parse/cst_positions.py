"""Where libcst's nodes stand: one pass of its code generator that counts lines instead of building text.

libcst keeps no positions; its own provider costs twice as much because it builds text and objects for every
token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import libcst as cst
from libcst._nodes.internal import CodegenState

from trainwarden.parse.cst_expressions import Span


class _Counter(CodegenState):
    """A code generator's state that remembers where each node begins and ends."""

    def __init__(self, module: cst.Module) -> None:
        super().__init__(default_indent=module.default_indent, default_newline=module.default_newline)
        self.line = 1
        self.column = 0
        self.spans: dict[int, Span] = {}
        self._starts: list[tuple[int, int]] = []

    def add_indent_tokens(self) -> None:
        self.column += sum(map(len, self.indent_tokens))

    def add_token(self, value: str) -> None:
        lines = value.count("\n")
        if lines:
            self.line += lines
            value = value[value.rindex("\n") + 1 :]
            self.column = 0
        self.column += len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))

    def pop_trailing_newline(self) -> None:
        """Nothing was kept that could be taken back."""

    def before_codegen(self, node: cst.CSTNode) -> None:
        self._starts.append((self.line, self.column))

    def after_codegen(self, node: cst.CSTNode) -> None:
        line, column = self._starts.pop()
        self.spans.setdefault(id(node), (line, self.line, column))

    @contextmanager
    def record_syntactic_position(
        self, node: cst.CSTNode, *, start_node: cst.CSTNode | None = None, end_node: cst.CSTNode | None = None
    ) -> Iterator[None]:
        line, column = self.line, self.column
        yield
        if start_node is not None:
            line, _, column = self.spans[id(start_node)]
        last = self.line if end_node is None else self.spans[id(end_node)][1]
        self.spans[id(node)] = (line, last, column)


def spans_of(module: cst.Module) -> dict[int, Span]:
    """``id`` of every node of the module -> first line, last line, column of the first (in bytes)."""
    counter = _Counter(module)
    module._codegen(counter)
    return counter.spans
