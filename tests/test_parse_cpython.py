"""Python's own parser agrees with what it reads the same, and with nothing else."""

from __future__ import annotations

import copy
import random

import pytest

from test_parse_python import SYNTAX, standard_library
from trainwarden.parse import cpython, treesitter
from trainwarden.parse.nodes import STATEMENTS, Node

SINGLE = {
    source: lowered.children[0]
    for source in SYNTAX
    if len((lowered := treesitter.lower(treesitter.parse(source))).children) == 1
}
# Where the ast module has no word for it, or another one in some version of Python.
LEFT_TO_LIBCST = (
    "match a", "match *a", "match (a)", "type X", "class B[", "@a\nclass B[", "def f[", "t'{a}'",
    "print >>", "f'{a=", "a[*b", "def f(*args: *T)",
)  # fmt: skip


@pytest.mark.parametrize("source", SINGLE)
def test_nearly_all_syntax_is_agreed_on(source: str) -> None:
    """Shapes are those of the node table; the rest is asked of libcst, which must then say the same."""
    assert cpython.agrees(source, SINGLE[source]) or source.startswith(LEFT_TO_LIBCST)


@pytest.mark.parametrize("indent", ["    ", "\t", " \t"])
def test_statements_in_a_block_are_read_in_one(indent: str) -> None:
    source = f"{indent}if a:\n{indent}    return b\n{indent}else:\n{indent}    c"
    node = treesitter.lower(treesitter.parse(source.lstrip())).children[0]
    wrapped = cpython.OPEN + source
    lowered = treesitter.lower(treesitter.parse(wrapped)).children[0].children[-1].children[0]
    assert cpython.agrees(wrapped + "\n", lowered)
    assert not cpython.agrees(wrapped + "\n", node.children[0])


def test_different_programs_are_never_agreed_on() -> None:
    """Pieces of syntax against the nodes of forty others each."""
    assert len(SINGLE) > 150
    choice = random.Random(0)
    for source, own in SINGLE.items():
        for other, node in choice.sample(list(SINGLE.items()), 40):
            if node.hash != own.hash:
                assert not cpython.agrees(source, node), (source, other)


def altered(node: Node, choice: random.Random) -> Node | None:
    """The node with one thing below it changed as an attacker would; None where there was nothing to change."""
    twin = copy.deepcopy(node)
    places = [inner for inner in twin.walk() if inner.children or inner.value]
    if not places:
        return None
    place = choice.choice(places)
    kind = choice.randrange(4)
    if kind == 0 and place.value:
        place.value += "x"
    elif kind == 1 and len(place.children) > 1 and place.children[0].hash != place.children[-1].hash:
        place.children = (place.children[-1], *place.children[1:-1], place.children[0])
    elif kind == 2 and place.children:
        place.children = place.children[:-1]
    elif kind == 3 and place.children:
        place.children = (*place.children, place.children[0])
    else:
        return None
    return twin


def test_a_real_statement_is_agreed_on_and_an_altered_one_is_not() -> None:
    """Statements of the standard library as they are, and with a value, an order or a part changed."""
    choice = random.Random(0)
    agreed = told = 0
    for path in standard_library(12):
        for syntax in treesitter.parse(path.read_text(encoding="utf-8")).named_children:
            node = treesitter.lower(syntax)
            if node.kind not in STATEMENTS or node.size > 300 or any(n.kind == "match" for n in node.walk()):
                continue
            text = (syntax.text or b"").decode() + "\n"
            assert cpython.agrees(text, node), text
            agreed += 1
            other = altered(node, choice)
            if other is not None:
                assert not cpython.agrees(text, other), text
                told += 1
    assert min(agreed, told) > 50


@pytest.mark.parametrize(
    ("text", "kind", "value", "agreed"),
    [
        ("\uff45val", "name", "\uff45val", True),
        ("eval", "name", "evil", False),
        ("'\uff45'", "docstring", "\uff45", True),
        ("'e'", "docstring", "\uff45", False),
    ],
)
def test_only_identifiers_are_normalised(text: str, kind: str, value: str, agreed: bool) -> None:
    """A full-width identifier is the plain one to Python; a string is not."""
    node = Node(kind, value)
    assert cpython.agrees(text, node if kind == "docstring" else Node("expr", "", (node,))) is agreed


@pytest.mark.parametrize(
    "source", ["", "a\nb", "a = = 1", "x = 1\x00", "x = '\ud800'", "(" * 3000, "a" + ".b" * 5000, "9" * 5000]
)
def test_what_is_no_statement_is_not_agreed_on(source: str) -> None:
    assert not cpython.agrees(source, Node("expr", "", (Node("name", "a"),)))
