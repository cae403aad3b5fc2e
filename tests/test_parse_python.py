"""libcst and tree-sitter give one table: on every syntax, on the standard library's own files, with positions."""

# Many snippets a line, so that the grammar is seen at a glance.
# ruff: noqa: E501

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from trainwarden.parse import python, treesitter
from trainwarden.parse.nodes import STATEMENTS

SYNTAX = [
    # simple statements
    "a", "a,", "a, b", "a = 1", "a = b = c", "a, *b = c", "(a) = 1", "(a,) = 1", "[(a), b] = c", "a: int", "a: list[int] = []",
    "a.b: x.y[z] = 1", "a += 1", "a @= b", "a >>= 2", "del a", "del a, b[0]", "del (a, b)", "assert a", "assert a, 'm'",
    "raise", "raise E", "raise E from e", "global a, b", "def f():\n    nonlocal a", "pass; pass", "import a", "import a.b as c, d",
    "from . import a", "from ..a.b import (c as d, e)", "from a import *", "from __future__ import annotations",
    "type X = int", "type X[T: int, *U, **V] = list[T]", "type = 1", "type(a).b = 1", "type(a)[0].b = 1", "type(a).b: int = 1", "type[a] = 1",
    "match = 1", "match.a(b)", "match[a] = b", "case = 2", "print(a)", "print", "print >> a, b", "print >> a", "exec(a)", "_ = 1",
    # numbers and strings
    "1_000", "0xFF", "1e-4", "0.0001", "1j", "-1", "- -1", "+1", "~a", "'a'", '"""a"""', "r'\\d'", "b'a\\x00'", "'a' 'b'", "b'a' b'b'",
    "f'a'", "f''", "f'{a}'", "f'{a!r:>{b}.{c}}'", "f'{a=}'", "f'{a=!r:x}'", "f'{{a}}{b}'", "f'\\x41{a}\\n'", "rf'\\d{a}'", "f'{a:=1}'", "f'{(a:=1)}'",
    "'a' f'{b}' 'c'", "f'{a}' f'{b}'", "f'{a}' ''", "f'{a[\"b\"]}'", "t'{a}'", "f'''\n{a}\n'''", "x = ('a'\n     'b')",
    # operators
    "a + b * c", "a & b ^ c | d", "a ^ b & c", "(a ^ b) & c", "a & (b ^ c)", "~1 ^ 1 & 1 | 1 & 1 ^ -1", "a ** -b", "a @ b", "a // b % c", "a << b >> c",
    "a and b and c", "a and (b and c)", "a or b and not c", "not not a", "a < b <= c != d", "a is not b", "a not in b", "a in b is c",
    "a if b else c", "a if b else c if d else e", "(a := 1)", "lambda: 0", "lambda a, /, b=1, *c, d, e=2, **f: a", "lambda *, a: a",
    # objects
    "a.b.c", "a[0]", "a[0, 1]", "a[(0, 1)]", "a[0,]", "a[1:2]", "a[::2, ...]", "a[:, 1:]", "a[*b]", "a[*b.c]", "a()()[0].b", "a(b, *c, d=e, **f)",
    "a(b for b in c)", "a(*b.c(), **d.e())", "[*a.b(), c]", "{**a.b(), 'c': 1}", "{*a, b}", "*a.b, c", "[*a | b]", "(a, (b,), ())", "{}", "{a: b, c: d}",
    "[a for b in c if d if e for f in g]", "{a for a in b}", "{a: b for a, b in c}", "(a for (b) in c)", "[a async for a in b]",
    "a = yield", "a = yield b, c", "yield from a", "yield *a.b, c", "await a", "async def f():\n    await a.b()",
    # line continuations and comments
    "a = b \\\n    + c", "from a import b, \\\n    c", "a and \\\n    b", "f(a,  # one\n  b)", "[\n    # nothing\n]", "x = 1  # tail",
    # blocks
    "if a: b", "if a:\n    b\nelif c:\n    d\nelif e:\n    f\nelse:\n    g", "for a in b:\n    c\nelse:\n    d", "for a, in b: c", "for a, (b, c) in d, e: f",
    "while a:\n    b\nelse:\n    c", "with a: b", "with a as b, c: d", "with (a as b, c as d,): e", "with (a, b): c", "with (a): b", "with (a, b) as c: d",
    "with a as (b, c): d", "with a as b.c: d", "async def f():\n    async with a as b: c\n    async for d in e: g",
    "try:\n    a\nexcept:\n    b", "try:\n    a\nexcept E:\n    b\nexcept (F, G) as e:\n    c\nelse:\n    d\nfinally:\n    f", "try:\n    a\nfinally:\n    b",
    "try:\n    a\nexcept* E as e:\n    b",
    "match a:\n    case 1 | -1 | 1.5 | 1-2j | -1+2j: b\n    case 'a' 'b' | None | True: c\n    case _: d",
    "match a, b:\n    case x, y: c", "match a:\n    case [x, *_] | (x, *y): b\n    case (x): c\n    case (x,): d\n    case x,: e\n    case []: f",
    "match a:\n    case {'k': v, b.c: 1, -1: w, **r} if v > 1: b", "match a:\n    case P(1, x, y=-2, z=Q()) as q: b\n    case a.b.C(): c\n    case (A() | B()) as d: e",
    "match a:\n    case b.c.d: e", "match *a, b:\n    case x: y", "match (a):\n    case {}: b",
    # definitions
    "def f(): pass", "def f(a, /, b: int = 1, *c: int, d, e: str = '', **f) -> int: return a", "def f(*, a): ...", "def f(*args: *T): ...",
    "@a\n@b.c(1)\ndef f():\n    '''doc'''\n    return 1", "@a\nasync def f(): ...", "class A: pass", "class A(B, metaclass=M, **k):\n    x: int = 1\n    def f(self): ...",
    "@a\nclass B[T](C[T]): ...", "def f[T: (int, str), *U, **V](a: T) -> T: ...", "def f(a: int | None, b: 'X', c: a.b[c, d], d: Callable[[int], str]): ...", "def f(a: b | c[d] | e.f | None): ...", "a: (b | c) | (d | e)", "a: b | (c | d)",
    "def f():\n    def g():\n        return 1\n    return g", "if a:\n    class B:\n        def c(self): pass", "\n\n# first\n\na\n\n# last\n",
]  # fmt: skip


@pytest.mark.parametrize("source", SYNTAX)
def test_one_table(source: str) -> None:
    """Kinds, values and children are equal, whichever parser read."""
    root = treesitter.parse(source)
    assert not root.has_error
    assert repr(python.lower_text(source)) == repr(treesitter.lower(root))
    assert python.lower_text(source, positions=False).hash == treesitter.lower(root).hash


DIFFERENT = [
    ("a", "a,"), ("a[b]", "a[b,]"), ("a[b, c]", "a[(b, c)]"), ("def f(): pass", "async def f(): pass"), ("for a in b: c", "async for a in b: c"),
    ("with a: b", "async with a: b"), ("f'{a}'", "t'{a}'"), ("f'{a}'", "f'{a!r}'"), ("f'{a:{b}}'", "f'{a:{c()}}'"), ("a and b or c", "a and (b or c)"),
    ("try:\n a\nexcept E:\n b", "try:\n a\nexcept* E:\n b"), ("def f[T: int](): ...", "def f[T: str](): ...", ), ("[*a.b]", "[(*a,).b]"),
    ("a & b ^ c", "a & (b ^ c)"), ("match a:\n case 1: b", "match a:\n case -1: b"), ("match a:\n case [b]: c", "match a:\n case b: c"),
    ("type(a).b = c", "type (b) = c"), ("(a) = b", "(a,) = b"), ("lambda: a", "lambda a: a"), ("a if b else c", "b if a else c"), ("not a in b", "not (a) not in b"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_programs_differ(one: str, other: str) -> None:
    """What Python reads differently never has the same hash."""
    assert treesitter.lower(treesitter.parse(one)).hash != treesitter.lower(treesitter.parse(other)).hash


EQUAL = [
    ("a = 'b'", 'a = "b"'), ("(a)", "a"), ("f(a, b,)", "f(a, b)"), ("1e-4", "0.0001"), ("'a' 'b'", "'ab'"), ("f'a{b}' 'c'", "f'a{b}c'"), ("f'\\x41'", "'A'"),
    ("del a, b", "del (a, b)"), ("with (a as b): c", "with a as b: c"), ("a and (b and c)", "a and b and c"), ("a & b ^ c", "(a & b) ^ c"), ("if a: b", "if a:\n    b"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_formatting_does_not_survive(one: str, other: str) -> None:
    """Two spellings of one program have one hash."""
    assert treesitter.lower(treesitter.parse(one)).hash == treesitter.lower(treesitter.parse(other)).hash


def standard_library(count: int) -> list[Path]:
    """Modules of the running interpreter's standard library, every size and age, always the same ones."""
    names = sorted(
        name
        for name in sys.stdlib_module_names
        if not name.startswith(("_", "idlelib", "antigravity", "this"))
    )
    paths = []
    for name in names:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None and found.origin.endswith(".py"):
            paths.append(Path(found.origin))
    return [path for path in paths if path.stat().st_size < 60_000][:count]


def test_the_standard_library_reads_the_same() -> None:
    """150 real modules: equal tables, and statements begin where both say."""
    paths = standard_library(150)
    assert len(paths) >= 100
    for path in paths:
        source = path.read_text(encoding="utf-8")
        root = treesitter.parse(source)
        ours, theirs = treesitter.lower(root), python.lower_text(source)
        assert not root.has_error, path
        assert ours.hash == theirs.hash, path
        begins = [
            [(n.line, n.column) for n in side.walk() if n.kind in STATEMENTS] for side in (ours, theirs)
        ]
        assert begins[0] == begins[1], path


REFUSED = [
    ("def f(:\n    pass", 2), ("a = 1\nb = = 2\n", 2), ("x = '\ud800'", 1), ("x = 1\x00", 1), ("(" * 3000, 1), ("[" * 600 + "]" * 600, 1), ("a" + ".b" * 5000, 1), ("x = " + "'a' " * 5000, 1),
    ("if a: pass\n" + "elif b: pass\n" * 30000, 1), ("import " + "a." * 30000 + "a", 1),
]  # fmt: skip


@pytest.mark.parametrize(("source", "line"), REFUSED, ids=[f"{source[:12]!r}" for source, _ in REFUSED])
def test_what_cannot_be_read_is_refused(source: str, line: int) -> None:
    """Broken, hostile and enormous text raises ``NotParsed`` with a line and a reason, and kills nothing."""
    with pytest.raises(python.NotParsed) as caught:
        python.lower_text(source)
    assert caught.value.line == line
    assert caught.value.reason


NEW = [
    "def f[T = int](a: T): pass",
    "class A[T = int, *U = X]: pass",
    "lazy import a",
    "lazy from a import b",
]


@pytest.mark.parametrize("source", NEW)
def test_newer_syntax_than_the_grammar_knows(source: str) -> None:
    """What tree-sitter cannot read yet, libcst can."""
    assert treesitter.parse(source).has_error
    assert all(node.kind != "error" for node in python.lower_text(source).walk())
