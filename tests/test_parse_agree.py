"""Two parsers on one text: who is believed, and what is told when they differ."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from trainwarden.parse import agree, outline
from trainwarden.parse.names import import_table

PLAIN = """
    import a.b as c
    try:
        from d import e
    except ImportError:
        e = None
    X = 1

    @c.dec
    class Model(Base, metaclass=Meta):
        '''doc'''
        rate = 0.1

        def step(self, x):
            return x * 2

        @property
        def size(self):
            return 1

    def main(): pass
"""
NEW = "\n\n    def fresh[T = int](x: T) -> T:\n        return x\n"


def lines_of(text: str) -> list[str]:
    return text.split("\n")


def test_tree_sitter_is_enough_for_what_it_reads() -> None:
    """Without errors its outline is the outline."""
    text = textwrap.dedent(PLAIN)
    assert agree.read(text).members.keys() == outline.read(text).members.keys()


def test_libcst_reads_what_tree_sitter_cannot() -> None:
    """Members, lines, texts, imports and hashes are those tree-sitter gives for the rest of the file."""
    plain, new = textwrap.dedent(PLAIN), textwrap.dedent(PLAIN + NEW)
    assert outline.read(new).errors
    ours, theirs = outline.read(plain), agree.read(new)
    assert theirs.errors == ()
    assert theirs.members.keys() == ours.members.keys() | {"fresh"}
    for name, member in ours.members.items():
        other = theirs.members[name]
        assert (other.kind, other.line, other.end_line) == (member.kind, member.line, member.end_line)
        assert other.raw == member.raw or name.endswith(
            "(bases)"
        )  # the brackets are not part of libcst's bases
        assert other.node().hash == member.node().hash
        assert (other.node().line, other.node().end_line) == (member.node().line, member.node().end_line)
    assert import_table(theirs.imports) == import_table(ours.imports) == {"c": "a.b", "e": "d.e"}


def test_shared_statements_are_left_out_whoever_read_them() -> None:
    """A run read by libcst leaves out what both sides share, as one read by tree-sitter does."""
    member = agree.read(textwrap.dedent(PLAIN + NEW)).members["<module>"]
    shared = {part.text for part in member.syntaxes} - {b"X = 1"}
    assert [node.kind for node in member.node(shared).children] == ["assign"]


def test_what_nobody_reads_stays_broken() -> None:
    """Errors remain where libcst gives up as well."""
    assert agree.read("def f(:\n    pass\n").errors


def told(text: str, name: str) -> list[tuple[int, str]]:
    """Line and detail of every disagreement on a member."""
    read = outline.read(text)
    return [(found.line, found.detail) for found in agree.check(read.members[name], lines_of(text))]


@pytest.mark.parametrize("name", ["<module>", "Model", "Model(bases)", "Model.step", "Model.size", "main"])
def test_agreement_is_silent(name: str) -> None:
    """Ordinary members, nested, decorated and in runs, read the same."""
    assert told(textwrap.dedent(PLAIN), name) == []


SILENT = [
    ("tabs", "class A:\n\tdef f(self):\n\t\tif a:\n\t\t\tb\n\t\tc\n", "A.f"),
    ("a string over lines", 'class A:\n    def f(self):\n        """a\n  b\n"""\n        return """\nc"""\n', "A.f"),
    ("statements on one line", "def f():\n    a; b; return c\n", "f"),
    ("a run with several on one line", "class A:\n    x = 1; y = 2\n", "A"),
    ("comments at odd places", "def f():\n  # a\n    b  # c\n# d\n    e\n", "f"),
    ("Python 2", "def f():\n    print 'x'\n", "f"),
    ("a long literal", "X = (" + "'a'\n" * 3000 + ")\n", "<module>"),
    ("a decorator over lines", "class A:\n    @d(\n        1)\n    class B(C[int], k=1):\n        x\n", "A.B(bases)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name"), [row[1:] for row in SILENT], ids=[row[0] for row in SILENT])
def test_odd_but_honest(text: str, name: str) -> None:
    """Layout, old code and size are no disagreement."""
    assert told(text, name) == []


TOLD = [
    ("an annotated name in brackets", "def f():\n    a\n    (b): int\n", "f", 1, "libcst cannot read it"),
    ("a call that is assigned to", "x = 1\ntype (y) = z\n", "<module>", 2, "libcst cannot read it"),
    ("async as a name", "def f():\n    async = 3\n", "f", 1, "libcst cannot read it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "line", "words"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD]
)
def test_disagreement_is_told(text: str, name: str, line: int, words: str) -> None:
    """What one parser reads and the other refuses is told at its statement."""
    assert not outline.read(text).errors
    found = told(text, name)
    assert [place for place, _ in found] == [line]
    assert found[0][1].startswith(words)


def test_a_difference_is_named() -> None:
    """Two readings that differ are told by the smallest pair that differs."""
    member = outline.read("x = 1\nreturn_(a + b)\n").members["<module>"]
    other = outline.read("x = 1\nreturn_(a - b)\n").members["<module>"]
    assert agree.check(member, lines_of("x = 1\nreturn_(a + b)\n")) == ()
    member.syntaxes = [member.syntaxes[0], _Mixed(member.syntaxes[1], other.syntaxes[1])]
    told = agree.check(member, lines_of("x = 1\nreturn_(a + b)\n"))
    assert told == (agree.Disagreement(2, "the parsers differ: binary '+' against binary '-'"),)


class _Mixed:
    """tree-sitter's node of one statement with the text of another, as if the parsers had read different things."""

    def __init__(self, node: Any, text: Any) -> None:
        self._node = node
        self.text = text.text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


def test_kept_statements_are_not_read_again() -> None:
    """What both sides of a change share is left out."""
    text = "(b): int\nx = 1\n"
    member = outline.read(text).members["<module>"]
    assert agree.check(member, lines_of(text), {b"(b): int"}) == ()
    assert len(agree.check(member, lines_of(text))) == 1
