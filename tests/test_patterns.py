"""Code patterns: what they leave alone, what they match and capture."""

from __future__ import annotations

import keyword
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.model import Misuse
from trainwarden.parse import names, outline
from trainwarden.parse.nodes import Node
from trainwarden.rules.captures import text_of
from trainwarden.rules.patterns import Pattern
from trainwarden.rules.shapes import own_nodes

QUIET = [
    ("torch.manual_seed($S)", "import numpy as torch2\ntorch2.manual_seed(3)"),
    ("torch.manual_seed($S)", "def f():\n    torch = load()\n    torch.manual_seed(3)"),
    ("f(lr=$L)", "f(b=3, lr=4)"),
    ("f($X)", "f()"),
    ("f($X)", "f(1, 2)"),
    ("f($X, $Y)", "f(x=1, y=2)"),
    ("$X - $X", "z = a.b - a.c"),
    ("$X - $Y", "z = a + b"),
    ("$X / 2", "z = 2 / x"),
    ("$X < 0", "if x > 0: pass"),
    ("f(1)", "f(True)"),
    ("f('1')", "f(1)"),
    ("f('ab')", "f('a' + c)"),
    ("$X *= $Y", "x = y * 3"),
    ("eval($X)", "model.eval(x)"),
    ("eval($X)", "def f(m):\n    eval = m.run\n    eval(3)"),
    ("$OBJ.step()", "step()"),
    ("~.step()", "opt.stepper()"),
    ("torch.optim.$N(...)", "import torch\ntorch.optim.lr_scheduler.StepLR(o)"),
    ("if $C: raise $E", "if bad:\n    log()\n    raise E()"),
    ("try: ...\nexcept $E: pass", "try:\n    a()\nexcept ValueError:\n    log()"),
    ("with torch.no_grad(): ...", "import torch\nwith torch.enable_grad():\n    f()"),
    ("assert $X", "check(x)"),
    ("import pickle", "import pickle5"),
    ("{'lr': $V}", "x = {'lr': 1, 'eps': 2}"),
    ("f(..., $X, 3)", "f(1, 2)"),
    ("lambda: $X", "g(lambda x: x)"),
]
MATCHING = [
    ("torch.nn.utils.clip_grad_norm_($P, ...)",
     "from torch.nn.utils import clip_grad_norm_ as c\nc(m.p(), 1.0)",
     {"P": "m.p()"}),
    ("torch.manual_seed($S)", "import torch as t\ngetattr(t, 'manual' + '_seed')(3)", {"S": "3"}),
    ("torch.manual_seed($S)", "def f():\n    import torch\n    s = torch.manual_seed\n    s(7)", {"S": "7"}),
    ("torch.manual_seed($S)", "__import__('torch').manual_seed(1)", {"S": "1"}),
    ("$O.clip_grad_norm_(...)", "from torch.nn.utils import clip_grad_norm_\nclip_grad_norm_(x)",
     {"O": "torch.nn.utils"}),
    ("$O.step()", "getattr(opt, 'step')()", {"O": "opt"}),
    ("~.step()", "a.b().step()", {}),
    ("~.step()", "from m import step\nstep()", {}),
    ("torch.optim.$N($$A)", "from torch.optim import AdamW\no = AdamW(p, lr=3)",
     {"N": "AdamW", "A": "p, lr=3"}),
    ("f(..., lr=$L)", "f(1, 2, b=3, lr=4)", {"L": "4"}),
    ("f(lr=$L, b=$B)", "f(b=3, lr=4)", {"L": "4", "B": "3"}),
    ("f($K=$V)", "f(lr=4)", {"K": "lr", "V": "4"}),
    ("f(..., $X)", "f(1, 2, 3)", {"X": "3"}),
    ("f(..., 2, ...)", "f(1, 2, 3)", {}),
    ("f($X, *$A, **$K)", "f(1, *a, **k)", {"X": "1", "A": "a", "K": "k"}),
    ("$X * 0.5 + $Y", "z = w + 5e-1 * q", {"X": "q", "Y": "w"}),
    ("f(0.0001)", "f(1e-4)", {}),
    ("f('ab')", "f('a' + 'b')", {}),
    ("$X - $X", "z = a.b - a.b", {"X": "a.b"}),
    ("0 < $X", "if a > 0: pass", {"X": "a"}),
    ("$X == None", "if None == a: pass", {"X": "a"}),
    ("$X *= $Y", "x = x * 3", {"X": "x", "Y": "3"}),
    ("$X = $X * $Y", "x *= 3", {"X": "x", "Y": "3"}),
    ("$X = $Y", "x: int = 3", {"X": "x", "Y": "3"}),
    ("$X = $Y", "x = y = 3", {"X": "x", "Y": "3"}),
    ("$X.grad = $V", "p.grad = None", {"X": "p", "V": "None"}),
    ("torch.backends.cudnn.benchmark = $V", "from torch.backends import cudnn\ncudnn.benchmark = True",
     {"V": "True"}),
    ("with torch.no_grad(): ...", "import torch\nwith open('x') as f, torch.no_grad():\n    pass", {}),
    ("if $C: ...", "if a > 3:\n    b()\nelse:\n    c()", {"C": "a > 3"}),
    ("if $C: raise $E", "if bad:\n    raise E()", {"C": "bad", "E": "E()"}),
    ("for $X in $Y: ...", "for a in b:\n    c()", {"X": "a", "Y": "b"}),
    ("try: ...\nexcept $E: pass", "try:\n    a()\nexcept Exception:\n    pass", {"E": "Exception"}),
    ("def $F(self, $$P): ...", "class A:\n    def __reduce__(self, x=1):\n        return 1",
     {"F": "__reduce__", "P": "x=1"}),
    ("@$D\ndef $F($$P): ...", "@a\n@b\ndef f(x): pass", {"D": "a", "F": "f", "P": "x"}),
    ("class $C(torch.autograd.Function): ...",
     "import torch\nclass F(torch.autograd.Function):\n  def f(s): pass", {}),
    ("{'lr': $V, ...}", "x = {'a': 1, 'lr': 3}", {"V": "3"}),
    ("[..., $X]", "x = [1, 2]", {"X": "2"}),
    ("$X[..., :-1]", "y = x[..., :-1]", {"X": "x"}),
    ("import $M", "import os, pickle", {"M": "os"}),
    ("from torch import $M", "from torch import nn", {"M": "nn"}),
    ("assert $X", "assert ok(x), 'no'", {"X": "ok(x)"}),
    ("return $X", "def f(a):\n    return 3", {"X": "3"}),
    ("$A if $C else $B", "z = x if k else y", {"A": "x", "C": "k", "B": "y"}),
    ("lambda $X: $Y", "f(lambda q: 3)", {"X": "q", "Y": "3"}),
    ("del $X", "del a[0]", {"X": "a[0]"}),
    ("eval($X)", "\uff45val(y)", {"X": "y"}),
]  # fmt: skip


def own_nodes_of(code: str) -> dict[str, list[Node]]:
    """Every node of every member, by kind, names resolved."""
    read = outline.read(code)
    table = names.import_table(read.imports)
    nodes: dict[str, list[Node]] = defaultdict(list)
    for member in read.members.values():
        root = member.node()
        names.resolve(root, table, lexical=member.kind != "function")
        for node in root.walk():
            nodes[node.kind].append(node)
    return nodes


def found(pattern: str, code: str) -> dict[str, str] | None:
    """What a pattern captures in some code, as text; None when it does not match."""
    captures = Pattern(pattern).search(own_nodes_of(code))
    return None if captures is None else {name: text_of(one) for name, one in captures.items()}


@pytest.mark.parametrize(("pattern", "code"), QUIET)
def test_leaves_alone(pattern: str, code: str) -> None:
    """Near misses."""
    assert found(pattern, code) is None


@pytest.mark.parametrize(("pattern", "code", "captures"), MATCHING)
def test_matches(pattern: str, code: str, captures: dict[str, str]) -> None:
    """The match and what the metavariables stand for."""
    assert found(pattern, code) == captures


@pytest.mark.parametrize(("pattern", "code", "captures"), MATCHING)
def test_words_are_necessary(pattern: str, code: str, captures: dict[str, str]) -> None:
    """What the prefilter looks for is in every statement that matches."""
    nodes = own_nodes_of(code)
    wanted = Pattern(pattern)
    hits = [node for some in nodes.values() for node in some if wanted.match(node) is not None]
    assert hits
    for node in hits:
        words = set()
        for inner in own_nodes(node.statement()):
            words |= {names.normal(inner.value).rpartition(".")[2], inner.name.rpartition(".")[2]}
        assert wanted.words <= words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("f(", "does not parse"),
        ("", "does not parse"),
        ("a; b", "2 statements"),
        ("f(..., $X, ..., $Y, ...)", "more than 2 runs"),
    ],
)
def test_refuses(text: str, words: str) -> None:
    """A snippet that is no pattern is the author's error, said in words."""
    with pytest.raises(Misuse, match=words):
        Pattern(text)


def test_captures_bind_across_patterns() -> None:
    """A metavariable that already stands for something only matches equal code."""
    nodes = own_nodes_of("f(a.b)\ng(a.b)\ng(a.c)")
    captures = Pattern("f($X)").search(nodes)
    assert captures is not None
    assert len(list(Pattern("g($X)").all(nodes, captures))) == 1
    assert len(list(Pattern("g($X)").all(nodes))) == 2


def test_a_block_is_not_searched_from_its_header() -> None:
    """A compound statement is its header: what its blocks hold belongs to other statements."""
    root = own_nodes_of("if a:\n    b()")["if"][0]
    assert [node.kind for node in own_nodes(root)] == ["if", "name"]


@given(st.integers(1, 300), st.integers(0, 300))
def test_runs_are_found_anywhere_in_long_lists(length: int, place: int) -> None:
    """Two runs around one item cost no more than one pass."""
    code = "f(" + ", ".join("y" if n == place else "x" for n in range(length)) + ")"
    matched = found("f(..., y, ...)", code) is not None
    assert matched is (place < length)


RESERVED = {*keyword.kwlist, *keyword.softkwlist, "print", "exec"}
IDENTIFIER = st.from_regex(r"[a-z]{1,6}", fullmatch=True).filter(lambda word: word not in RESERVED)


@given(IDENTIFIER, IDENTIFIER, st.integers(-5, 10**6))
def test_any_call_matches_itself(function: str, name: str, number: int) -> None:
    """A pattern without metavariables matches the code it is written as."""
    code = f"{function}({name}={number})"
    assert found(code, code) == {}


def test_long_lists_are_matched_in_one_pass() -> None:
    """A call of many arguments, as an author under review might write one, is not a way to hide or to stall."""
    nodes = own_nodes_of("f(" + ", ".join(["x"] * 4000 + ["y"]) + ")")
    seen = []

    class Counting(Node):
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            if name == "kind":
                seen.append(name)
            return super().__getattribute__(name)

    for argument in nodes["call"][0].children[1:]:
        argument.__class__ = Counting
    for text in ("f(..., y)", "f(..., y, ...)", "f($$A, y)"):
        assert Pattern(text).search(nodes) is not None
    assert len(seen) < 20 * 4001
