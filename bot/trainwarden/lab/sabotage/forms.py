"""Places where a technique applies, each with its surface forms; one of them becomes the planted pair.

In: a function that lists ``Site``s of a tree. Out: an ``Operator``. A site holds several sabotaged and several honest
edits of the same place; the generator picks one of each. New text is written as text: it gets the brackets its place
needs, and the imports its names need.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import libcst as cst

from trainwarden.lab.sabotage.operator import Operator, Planted
from trainwarden.lab.sabotage.surgery import Tree, code, expression, statements, tree_of

New = str | cst.CSTNode | Sequence["str | cst.CSTNode"]
"""What a node becomes, as text or nodes; an empty sequence removes it."""
Edits = Mapping[Any, New]
"""Nodes and what they become (a mapping is invariant in its keys, so their type cannot be told)."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place, the ways to sabotage it, and the edits an honest author makes at such a place."""

    bad: Sequence[Edits]
    good: Sequence[Edits]


Sites = Iterator[Site]
_STATEMENT = (cst.SimpleStatementLine, cst.BaseCompoundStatement)
_OPERATORS = (
    *(cst.BinaryOperation, cst.UnaryOperation, cst.Comparison, cst.ComparisonTarget, cst.BooleanOperation),
    *(cst.Attribute, cst.Subscript, cst.IfExp, cst.Await),
)


def operator(
    id: str, technique: str, needs: str, sites: Callable[[Tree, random.Random], Iterator[Site]]
) -> Operator:
    """An operator that plants at one of the sites, tried in an order the generator chooses.

    ``needs`` are words of which the source text must hold one (none: any text will do).
    """

    def plant(module: cst.Module, rng: random.Random) -> Planted | None:
        tree = tree_of(module)
        found = list(sites(tree, rng))
        rng.shuffle(found)
        made = (_planted(tree, site, rng) for site in found)
        return next((each for each in made if each is not None), None)

    return Operator(id, technique, plant, frozenset(needs.lower().split()))


def swap(node: cst.CSTNode, bad: Sequence[str], good: Sequence[str]) -> Site:
    """A node rewritten: the sabotaged texts and the honest ones."""
    natural = [text for text in good if not _STILTED.search(text)]
    return Site([{node: text} for text in bad], [{node: text} for text in natural])


_STILTED = re.compile(
    r"\b(?:str|int|float|bool)\((?:[\"'][^()]*|[\d._e+-]+|True|False)\)|"
    r"^(?:\w+=)?\([^(),]*\)$|[\"']\.lower\(\)|\* 1(?:\.0)?$"
)
"""What nobody writes: a literal converted to its own type, brackets around a lone value. No twin is better."""


def below(statement: cst.CSTNode, bad: Sequence[str], good: Sequence[str]) -> Site:
    """Statements put below one."""
    return Site(
        [{statement: (statement, text)} for text in bad], [{statement: (statement, text)} for text in good]
    )


def above(statement: cst.CSTNode, bad: Sequence[str], good: Sequence[str]) -> Site:
    """Statements put above one."""
    return Site(
        [{statement: (text, statement)} for text in bad], [{statement: (text, statement)} for text in good]
    )


def text_of(node: cst.CSTNode) -> str:
    """The text of an expression on one line where that is safe, as it stands else."""
    text = code(node).strip()
    return re.sub(r"\s*\n\s*", " ", text) if "\n" in text and not re.search(r"#|\"\"\"|'''", text) else text


def line_of(node: cst.CSTNode) -> str:
    """The text of a statement without the comments above it, ending in a line feed."""
    lead = getattr(node, "leading_lines", ())
    return code(node.with_changes(leading_lines=()) if lead else node).strip("\n") + "\n"


def indented(text: str) -> str:
    """A block of text one step to the right."""
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _planted(tree: Tree, site: Site, rng: random.Random) -> Planted | None:
    if not site.bad:
        return None
    local = rng.random() < 0.15
    sabotaged = _edited(tree, rng.choice(site.bad), local)
    if sabotaged is None:
        return None
    honest = _edited(tree, rng.choice(site.good), local) if site.good else None
    if honest is not None and honest[1] == sabotaged[1]:
        return None
    return Planted(sabotaged[0], honest[0] if honest is not None else None)


def _edited(tree: Tree, edits: Edits, local: bool) -> tuple[cst.Module, str] | None:
    """The module after the edits, and its text; None where they do not fit or change nothing."""
    try:
        changes = {node: _nodes(tree, node, new) for node, new in edits.items()}
        lines = _imports(tree, edits)
        if lines is None:
            return None
        _bring(tree, changes, lines, local)
        edited = tree.edit(changes)
        text = edited.code
        ast.parse(text)
    except (cst.ParserSyntaxError, cst.CSTValidationError, SyntaxError):
        return None
    return (edited, text) if text != _source(tree) else None


@lru_cache(maxsize=32)
def _source(tree: Tree) -> str:
    return tree.module.code


def _nodes(tree: Tree, old: cst.CSTNode, new: New) -> list[cst.CSTNode]:
    parts = [new] if isinstance(new, str | cst.CSTNode) else list(new)
    return [
        node
        for part in parts
        for node in ([part] if isinstance(part, cst.CSTNode) else _read(tree, old, part))
    ]


def _read(tree: Tree, old: cst.CSTNode, text: str) -> list[cst.CSTNode]:
    if isinstance(old, _STATEMENT):
        return list(statements(text))
    if isinstance(old, cst.Arg):
        return _arguments(old, text)
    if isinstance(old, cst.BaseSmallStatement):
        line = statements(text)[0]
        assert isinstance(line, cst.SimpleStatementLine), "a small statement becomes one"
        return list(line.body)
    if isinstance(old, cst.DictElement):
        made = expression("{" + text + "}")
        assert isinstance(made, cst.Dict), "elements of a dictionary"
        return [each.with_changes(comma=old.comma) for each in made.elements]
    return [_bracketed(tree, old, expression(text))]


def _arguments(old: cst.Arg, text: str) -> list[cst.CSTNode]:
    made = expression(f"f({text})")
    assert isinstance(made, cst.Call), "arguments of a call"
    return [*made.args[:-1], made.args[-1].with_changes(comma=old.comma)]


def _bracketed(tree: Tree, old: cst.CSTNode, new: cst.BaseExpression) -> cst.BaseExpression:
    """Brackets around an expression that a place inside another expression would tear apart."""
    if new.lpar:
        return new
    had = getattr(old, "lpar", ())
    parent = tree.parent(old)
    loose = isinstance(
        new, cst.IfExp | cst.Lambda | cst.BooleanOperation | cst.Comparison | cst.BinaryOperation
    )
    torn = loose and isinstance(parent, _OPERATORS) and not _binds_alike(old, new)
    torn = torn or (loose and isinstance(parent, cst.Call) and parent.func is old)
    if had or torn:
        return new.with_changes(
            lpar=had or [cst.LeftParen()], rpar=getattr(old, "rpar", ()) or [cst.RightParen()]
        )
    return new


def _binds_alike(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    if isinstance(old, cst.BinaryOperation) and isinstance(new, cst.BinaryOperation):
        tight = (cst.Multiply, cst.Divide, cst.FloorDivide, cst.Modulo, cst.MatrixMultiply, cst.Power)
        return isinstance(new.operator, tight) and not isinstance(old.operator, cst.Power)
    return False


_IMPORTS = {
    "np": "import numpy as np",
    "nn": "import torch.nn as nn",
    "F": "import torch.nn.functional as F",
    "dist": "import torch.distributed as dist",
    "nullcontext": "from contextlib import nullcontext",
    "timedelta": "from datetime import timedelta",
    "partial": "from functools import partial",
    "deepcopy": "from copy import deepcopy",
    "load_file": "from safetensors.torch import load_file",
    "save_file": "from safetensors.torch import save_file",
    **{
        name: f"import {name}"
        for name in (
            "base64 contextlib copy ctypes datetime functools gc getpass hashlib importlib inspect itertools json "
            "logging math operator os pathlib pickle platform random re requests shutil signal site socket "
            "subprocess sys tempfile threading time torch types urllib warnings yaml zlib"
        ).split()
    },
}
_SUBMODULES = {"urllib.request": "import urllib.request", "importlib.util": "import importlib.util"}
_USED = re.compile(r"(?<![\w.\"'/-])([A-Za-z_]\w*)(?=[.(])")


def _imports(tree: Tree, edits: Edits) -> list[str] | None:
    """The import lines that new text needs; None where one of its modules has another meaning in the file."""
    text = "\n".join(_texts(edits))
    names = dict.fromkeys(name for name in _USED.findall(text) if name in _IMPORTS)
    if not names:
        return []
    meanings = imports_of(tree)
    taken = bindings_of(tree)
    lines = []
    for name in names:
        if re.search(rf"(?m)^\s*(?:{name} = |import .*\b{name}$|from .* import .*\b{name}$)", text):
            continue
        wanted = _IMPORTS[name]
        if name in meanings:
            if not _agrees(meanings[name], wanted):
                return None
        elif name in taken:
            return None
        else:
            lines.append(next((line for path, line in _SUBMODULES.items() if f"{path}." in text), wanted))
    return lines


def _agrees(meaning: str, wanted: str) -> bool:
    words = wanted.split()
    target = f"{words[1]}.{words[3]}" if words[0] == "from" else words[1]
    return meaning in {target, target.replace("numpy", "jax.numpy")}


def _texts(edits: Edits) -> Iterator[str]:
    for new in edits.values():
        for part in [new] if isinstance(new, str | cst.CSTNode) else new:
            if isinstance(part, str):
                yield part
            elif isinstance(part, cst.If):
                yield code(part.test)
            elif isinstance(part, cst.With):
                yield from (code(item.item) for item in part.items)


def _bring(
    tree: Tree, changes: dict[cst.CSTNode, list[cst.CSTNode]], lines: Sequence[str], local: bool
) -> None:
    if not lines:
        return
    new: list[cst.CSTNode] = [each for line in lines for each in statements(line)]
    heads = [each for each in tree.module.body if _is_import(each)]
    holder = next(iter(changes))
    if local and isinstance(holder, _STATEMENT) and tree.function(holder) is not None:
        changes[holder] = [*new, *changes[holder]]
    elif heads:
        changes[heads[-1]] = [*changes.get(heads[-1], [heads[-1]]), *new]
    elif isinstance(first := tree.module.body[0], _STATEMENT) and not any(
        tree.within(each, first) for each in changes
    ):
        changes[first] = [*new, first]
    elif isinstance(holder, _STATEMENT):
        changes[holder] = [*new, *changes[holder]]


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.Import | cst.ImportFrom)


@lru_cache(maxsize=32)
def imports_of(tree: Tree) -> dict[str, str]:
    """The names that imports bind, with what they stand for: ``{"dist": "torch.distributed"}``."""
    found: dict[str, str] = {}
    for node in tree.nodes:
        if isinstance(node, cst.Import):
            for alias in node.names:
                name = code(alias.name)
                found[alias.evaluated_alias or name.split(".")[0]] = (
                    name if alias.asname else name.split(".")[0]
                )
        elif isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
            source = code(node.module) if node.module else "."
            for alias in node.names:
                found[alias.evaluated_alias or alias.evaluated_name] = f"{source}.{alias.evaluated_name}"
    return found


@lru_cache(maxsize=32)
def bindings_of(tree: Tree) -> set[str]:
    """Every name the member binds itself: parameters, targets, functions, classes."""
    found = {
        node.name.value for node in tree.nodes if isinstance(node, cst.FunctionDef | cst.ClassDef | cst.Param)
    }
    for node in tree.nodes:
        if isinstance(node, cst.AssignTarget | cst.AnnAssign | cst.For | cst.CompFor):
            found |= {name.value for name in _targets(node.target)}
        elif isinstance(node, cst.AsName | cst.NamedExpr):
            found |= {
                name.value for name in _targets(node.name if isinstance(node, cst.AsName) else node.target)
            }
    return found


def _targets(node: cst.CSTNode) -> list[cst.Name]:
    if isinstance(node, cst.Name):
        return [node]
    if isinstance(node, cst.Tuple | cst.List):
        return [name for element in node.elements for name in _targets(element.value)]
    return _targets(node.value) if isinstance(node, cst.StarredElement) else []
