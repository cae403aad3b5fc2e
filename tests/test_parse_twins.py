"""What was lowered for one side of a change is not lowered again for the other, and says the same all the same."""

from __future__ import annotations

import inspect
import json.decoder
import textwrap

import pytest

from trainwarden.parse import outline, treesitter
from trainwarden.parse.nodes import Node

BEFORE = '''
def train(model, data, rate=0.1):
    """Trains."""
    for step, batch in enumerate(data):
        if step % 100 == 0:
            print(f"{step}: {rate:.3f}",
                  end="")
        loss = model(batch)
    return {"a": [1, 2], "b": lambda x: x + 1}
'''
SOURCES = [BEFORE, *(inspect.getsource(module) for module in (textwrap, json.decoder, inspect))]


def told(root: Node) -> list[tuple[object, ...]]:
    """All that a tree says, positions included; what is above a node is where it stands in the walk."""
    above = {id(child): number for number, node in enumerate(root.walk()) for child in node.children}
    return [
        (
            node.kind,
            node.value,
            node.line,
            node.end_line,
            node.column,
            node.size,
            node.hash,
            above.get(id(node)),
        )
        for node in root.walk()
        if node.parent is None or any(child is node for child in node.parent.children)
    ]


def lowered(text: str, known: treesitter.Known | None = None) -> list[list[tuple[object, ...]]]:
    return [told(member.node(None, known)) for member in outline.read(text).members.values()]


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
@pytest.mark.parametrize(
    "old, new", [("", ""), ("\n", "\n\n\n"), ("return", "yield"), ("    if ", "    while ")]
)
def test_a_twin_says_what_lowering_would_have_said(source, old, new):
    known: treesitter.Known = {}
    lowered(source, known)
    changed = source.replace(old, new, 5) if old else source
    assert lowered(changed, known) == lowered(changed)
    assert known


def test_a_statement_at_another_depth_or_column_is_no_twin():
    known: treesitter.Known = {}
    lowered("def f():\n    x = 1\n", known)
    lowered("def f():\n    if y:\n        x = 1\n", known)
    lowered("def f():\n  x = 1\n", known)
    assert sum(key[-1] == b"x = 1" for key in known) == 3


def test_what_has_errors_is_read_anew():
    known: treesitter.Known = {}
    lowered("def f():\n    x = = 1\n", known)
    assert not known


def test_too_deep_is_too_deep_on_the_other_side_too():
    known: treesitter.Known = {}
    inner = "x = " + "[" * 200 + "]" * 200
    lowered(f"def f():\n    {inner}\n", known)
    deeper = "".join(" " * level + "if y:\n" for level in range(1, 40)) + " " * 40 + inner
    with pytest.raises(treesitter.TooDeep):
        lowered(f"def f():\n{deeper}\n", known)


def test_an_untied_tree_knows_no_parents():
    root = treesitter.lower(treesitter.parse(BEFORE))
    assert all(child.parent is node for node in root.walk() for child in node.children)
    root.untie()
    assert all(node.parent is None for node in root.walk())
