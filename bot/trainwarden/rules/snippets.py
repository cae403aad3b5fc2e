"""Reads the text of a pattern: metavariables become placeholder names, the rest is ordinary Python.

In: a snippet. Out: its lowered node, and answers about placeholders in it.
"""

from __future__ import annotations

import re

from trainwarden.model import Misuse
from trainwarden.parse import treesitter
from trainwarden.parse.nodes import Node

ANYWHERE = "twany_"
"""What ``~`` becomes: the owner of a name that may have any."""
_ONE, _MANY = "tw1_", "twn_"
_METAVARIABLE = re.compile(r"(\$\$|\$)([A-Za-z_][A-Za-z0-9_]*)")
_OPEN_DICT = re.compile(r"([{,]\s*)\.\.\.(\s*})")
_TILDE = re.compile(r"~\s*\.")
_METAVARIABLE_BACK = re.compile(f"{_ONE}|{_MANY}")


def parse_snippet(text: str) -> Node:
    """The lowered node of a snippet. Raises ``Misuse`` when it is not one statement or expression."""
    source = _OPEN_DICT.sub(r"\1**...\2", text.strip())
    source = _TILDE.sub(ANYWHERE + ".", source)
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


def metavariable(word: str) -> str | None:
    """The name of the metavariable that a name stands for, else None."""
    return word[len(_ONE) :] if word.startswith(_ONE) else None


def run_of(node: Node) -> str | None:
    """The name of a run of nodes: ``_`` for ``...``, ``X`` for ``$$X``, None for anything else."""
    inner = node
    while inner.kind in ("expr", "doublestar", "param") and inner.children and inner.kind != "param":
        inner = inner.children[0]
    if inner.kind == "constant" and inner.value == "...":
        return "_"
    if inner.kind in ("name", "param") and inner.value.startswith(_MANY):
        return inner.value[len(_MANY) :]
    return None


def dotted_name(node: Node) -> str | None:
    """``a.b.c`` for a chain of plain names (first part maybe ``~``, last a metavariable), else None."""
    parts: list[str] = []
    while node.kind == "attribute":
        parts.append(node.value)
        node = node.children[0]
    if node.kind != "name" or node.value.startswith((_ONE, _MANY)):
        return None
    if any(part.startswith(_ONE) for part in parts[1:]):
        return None
    return ".".join(reversed([*parts, node.value]))


def original(text: str) -> str:
    """Text of a string literal in a snippet, with what looked like metavariables put back."""
    return _METAVARIABLE_BACK.sub(lambda found: "$$" if found.group() == _MANY else "$", text)
