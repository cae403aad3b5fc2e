"""Statements of libcst's tree, lowered into the node table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import libcst as cst

from trainwarden.parse.cst_expressions import HANDLERS, Expressions, Handler, word_of
from trainwarden.parse.nodes import Node


class Statements(Expressions):
    """Lowers statements, blocks and modules."""

    def module(self, syntax: cst.Module) -> Node:
        children = self.statements(syntax.body)
        first, last = (children[0].line, children[-1].end_line) if children else (1, 1)
        return Node("module", "", children, first, last)

    def statements(self, syntaxes: Iterable[cst.CSTNode]) -> tuple[Node, ...]:
        """Statements in order; those that share a line are statements of their own."""
        found: list[Node] = []
        for syntax in syntaxes:
            if isinstance(syntax, cst.SimpleStatementLine):
                found.extend(self.node(part) for part in syntax.body)
            else:
                found.append(self.node(syntax))
        return tuple(found)

    def block(self, syntax: cst.BaseSuite, kind: str = "block") -> Node:
        if isinstance(syntax, cst.SimpleStatementSuite):
            children = self.nodes(syntax.body)
        else:
            children = self.statements(syntax.body)
        first, last = (children[0], children[-1]) if children else (None, None)
        span = (first.line, last.end_line, first.column) if first and last else (0, 0, 0)
        return Node(kind, "", children, *span)

    # -- simple statements

    def expression(self, syntax: cst.Expr) -> Node:
        inner = self.node(syntax.value)
        if inner.kind == "string":
            return self.make(syntax, "docstring", inner.value)
        return self.make(syntax, "expr", "", (inner,))

    def assign(self, syntax: cst.Assign) -> Node:
        targets = self.nodes(part.target for part in syntax.targets)
        return self.make(syntax, "assign", "", (*targets, self.node(syntax.value)))

    def annotated(self, syntax: cst.AnnAssign) -> Node:
        value = () if syntax.value is None else (self.node(syntax.value),)
        head = (self.node(syntax.target), self.annotation(syntax.annotation))
        return self.make(syntax, "annassign", "", (*head, *value))

    def augmented(self, syntax: cst.AugAssign) -> Node:
        word = word_of(syntax.operator).removesuffix("=")
        return self.make(syntax, "augassign", word, (self.node(syntax.target), self.node(syntax.value)))

    def returned(self, syntax: cst.Return) -> Node:
        return self.make(syntax, "return", "", () if syntax.value is None else (self.node(syntax.value),))

    def raised(self, syntax: cst.Raise) -> Node:
        parts = [] if syntax.exc is None else [self.node(syntax.exc)]
        if syntax.cause is not None:
            parts.append(self.node(syntax.cause.item))
        return self.make(syntax, "raise", "", parts)

    def asserted(self, syntax: cst.Assert) -> Node:
        message = () if syntax.msg is None else (self.node(syntax.msg),)
        return self.make(syntax, "assert", "", (self.node(syntax.test), *message))

    def deleted(self, syntax: cst.Del) -> Node:
        inner = self.node(syntax.target)
        return self.make(syntax, "delete", "", inner.children if inner.kind == "tuple" else (inner,))

    def word(self, syntax: cst.Pass | cst.Break | cst.Continue) -> Node:
        return self.make(syntax, type(syntax).__name__.lower())

    def scope(self, syntax: cst.Global | cst.Nonlocal) -> Node:
        names = " ".join(item.name.value for item in syntax.names)
        return self.make(syntax, type(syntax).__name__.lower(), names)

    def imported(self, syntax: cst.Import | cst.LazyImport) -> Node:
        return self.make(syntax, "import", "", [self._alias(part) for part in syntax.names])

    def imported_from(self, syntax: cst.ImportFrom | cst.LazyImportFrom) -> Node:
        module = "." * len(syntax.relative) + _dotted(syntax.module)
        if isinstance(syntax.names, cst.ImportStar):
            aliases = [self.make(syntax.names, "alias", "*")]
        else:
            aliases = [self._alias(part) for part in syntax.names]
        return self.make(syntax, "import_from", module, aliases)

    def _alias(self, syntax: cst.ImportAlias) -> Node:
        name = () if syntax.asname is None else (self.node(syntax.asname.name),)
        return self.make(syntax, "alias", _dotted(syntax.name), name)

    def type_alias(self, syntax: cst.TypeAlias) -> Node:
        parameters = self._type_parameters(syntax.type_parameters)
        return self.make(
            syntax, "type_alias", "", (self.node(syntax.name), *parameters, self.node(syntax.value))
        )

    # -- compound statements

    def condition(self, syntax: cst.If) -> Node:
        otherwise: tuple[Node, ...] = ()
        if isinstance(syntax.orelse, cst.If):
            inner = self.condition(syntax.orelse)
            otherwise = (Node("else", "", (inner,), inner.line, inner.end_line, inner.column),)
        elif syntax.orelse is not None:
            otherwise = (self.otherwise(syntax.orelse),)
        return self.make(syntax, "if", "", (self.node(syntax.test), self.block(syntax.body), *otherwise))

    def otherwise(self, syntax: cst.Else) -> Node:
        return self.make(syntax, "else", "", self.block(syntax.body).children)

    def _else(self, syntax: cst.Else | None) -> tuple[Node, ...]:
        return () if syntax is None else (self.otherwise(syntax),)

    def loop(self, syntax: cst.For) -> Node:
        parts = (self.node(syntax.target), self.node(syntax.iter), self.block(syntax.body))
        return self.make(syntax, "for", _async(syntax), (*parts, *self._else(syntax.orelse)))

    def repeated(self, syntax: cst.While) -> Node:
        parts = (self.node(syntax.test), self.block(syntax.body))
        return self.make(syntax, "while", "", (*parts, *self._else(syntax.orelse)))

    def context(self, syntax: cst.With) -> Node:
        items = [self._item(part) for part in syntax.items]
        return self.make(syntax, "with", _async(syntax), (*items, self.block(syntax.body)))

    def _item(self, syntax: cst.WithItem) -> Node:
        name = () if syntax.asname is None else (self.node(syntax.asname.name),)
        return self.make(syntax, "withitem", "", (self.node(syntax.item), *name))

    def attempt(self, syntax: cst.Try | cst.TryStar) -> Node:
        handlers = [self._handler(part) for part in syntax.handlers]
        final = () if syntax.finalbody is None else (self._final(syntax.finalbody),)
        star = "star" if isinstance(syntax, cst.TryStar) else ""
        parts = (self.block(syntax.body), *handlers, *self._else(syntax.orelse), *final)
        return self.make(syntax, "try", star, parts)

    def _handler(self, syntax: cst.ExceptHandler | cst.ExceptStarHandler) -> Node:
        kinds = () if syntax.type is None else (self.node(syntax.type),)
        name = syntax.name.name if syntax.name is not None else None
        word = name.value if isinstance(name, cst.Name) else ""
        return self.make(syntax, "handler", word, (*kinds, self.block(syntax.body)))

    def _final(self, syntax: cst.Finally) -> Node:
        return self.make(syntax, "finally", "", self.block(syntax.body).children)

    def matched(self, syntax: cst.Match) -> Node:
        cases = [self._case(part) for part in syntax.cases]
        return self.make(syntax, "match", "", (self.node(syntax.subject), *cases))

    def _case(self, syntax: cst.MatchCase) -> Node:
        guard: tuple[Node, ...] = ()
        if syntax.guard is not None:
            guard = (self.make(syntax.guard, "guard", "", (self.node(syntax.guard),)),)
        return self.make(syntax, "case", "", (self.node(syntax.pattern), *guard, self.block(syntax.body)))

    # -- definitions

    def definition(self, syntax: cst.FunctionDef) -> Node:
        asynchronous = () if syntax.asynchronous is None else (self.make(syntax, "async"),)
        returns = () if syntax.returns is None else (self.annotation(syntax.returns, "returns"),)
        head = (*self._decorators(syntax.decorators), self.parameters(syntax.params), *asynchronous)
        inner = (*head, *self._type_parameters(syntax.type_parameters), *returns, self.block(syntax.body))
        return self._decorated(self.make(syntax, "function", syntax.name.value, inner))

    def type(self, syntax: cst.ClassDef) -> Node:
        arguments = [self.argument(part) for part in (*syntax.bases, *syntax.keywords)]
        span = (arguments[0].line, arguments[-1].end_line, arguments[0].column) if arguments else (0, 0, 0)
        bases = Node("bases", "", tuple(arguments), *span)
        head = (*self._decorators(syntax.decorators), bases)
        inner = (*head, *self._type_parameters(syntax.type_parameters), self.block(syntax.body))
        return self._decorated(self.make(syntax, "class", syntax.name.value, inner))

    def _decorators(self, syntaxes: Sequence[cst.Decorator]) -> list[Node]:
        return [self.make(part, "decorator", "", (self.node(part.decorator),)) for part in syntaxes]

    def _decorated(self, node: Node) -> Node:
        """A definition begins where its first decorator does."""
        if node.children and node.children[0].kind == "decorator":
            node.line, node.column = node.children[0].line, node.children[0].column
        return node

    def _type_parameters(self, syntax: cst.TypeParameters | None) -> tuple[Node, ...]:
        if syntax is None:
            return ()
        return (self.make(syntax, "typeparams", "", [self._type_parameter(part) for part in syntax.params]),)

    def _type_parameter(self, syntax: cst.TypeParam) -> Node:
        inner = syntax.param
        stars = {"TypeVarTuple": "*", "ParamSpec": "**"}.get(type(inner).__name__, "")
        extra = []
        if isinstance(inner, cst.TypeVar) and inner.bound is not None:
            extra.append(self.make(inner, "annotation", "", (self.node(inner.bound),)))
        if syntax.default is not None:
            extra.append(self.make(syntax, "default", "", (self.node(syntax.default),)))
        return self.make(syntax, "typeparam", stars + inner.name.value, extra)


def _async(syntax: cst.For | cst.With) -> str:
    return "" if syntax.asynchronous is None else "async"


def _dotted(syntax: cst.BaseExpression | None) -> str:
    words: list[str] = []
    while isinstance(syntax, cst.Attribute):
        words.append(syntax.attr.value)
        syntax = syntax.value
    if isinstance(syntax, cst.Name):
        words.append(syntax.value)
    return ".".join(reversed(words))


_STATEMENTS: dict[str, Handler] = {
    "Module": Statements.module,
    "Expr": Statements.expression,
    "Assign": Statements.assign,
    "AnnAssign": Statements.annotated,
    "AugAssign": Statements.augmented,
    "Return": Statements.returned,
    "Raise": Statements.raised,
    "Assert": Statements.asserted,
    "Del": Statements.deleted,
    "Pass": Statements.word,
    "Break": Statements.word,
    "Continue": Statements.word,
    "Global": Statements.scope,
    "Nonlocal": Statements.scope,
    "Import": Statements.imported,
    "LazyImport": Statements.imported,
    "ImportFrom": Statements.imported_from,
    "LazyImportFrom": Statements.imported_from,
    "TypeAlias": Statements.type_alias,
    "If": Statements.condition,
    "For": Statements.loop,
    "While": Statements.repeated,
    "With": Statements.context,
    "Try": Statements.attempt,
    "TryStar": Statements.attempt,
    "Match": Statements.matched,
    "FunctionDef": Statements.definition,
    "ClassDef": Statements.type,
}
HANDLERS.update(_STATEMENTS)
