"""Edits: what is nothing, what moved, what changed and by how little; the quiet table first."""

from __future__ import annotations

import pytest

from snippets import deltas, edits, inside, pair, view
from trainwarden.model import FilePair, FileVersion
from trainwarden.understand import view_of

QUIET = {
    "layout": ("x = f(a, b)", "x = f(\n    a,\n    b,\n)"),
    "quotes": ("x = {'a': 1}", 'x = {"a": 1}'),
    "parentheses": ("x = a + b * c", "x = (a + (b * c))"),
    "number spelling": ("x = 1e-4", "x = 0.0001"),
    "implicit concatenation": ("x = 'ab'", "x = 'a' 'b'"),
    "comment": ("x = 1", "x = 1  # one"),
    "keyword order": ("f(a=1, b=2)", "f(b=2, a=1)"),
    "positional to keyword": ("f(labels, 3)", "f(labels, dim=3)"),
    "and reordered": ("if a and b:\n    f()", "if b and a:\n    f()"),
    "sum reordered": ("x = a + b", "x = b + a"),
    "comparison mirrored": ("if a < b:\n    f()", "if b > a:\n    f()"),
    "not of the complement": ("if a >= b:\n    f()", "if not a < b:\n    f()"),
    "not of both": ("if not (labels and rank):\n    f()", "if not rank or not labels:\n    f()"),
    "local renamed": ("y = f(labels)\ng(y)", "z = f(labels)\ng(z)"),
    "entry as attribute": ("x = model['head']['lr'] * 2", "x = model.head.lr * 2"),
    "moved function": ("x = torch.nn.functional.tanh(labels)", "x = torch.tanh(labels)"),
    "text put together": ("x = 'a/' + labels + '.pt'", "x = f'a/{labels}.pt'"),
    "text filled in": ("x = 'a/{}.pt'.format(labels)", "x = f'a/{labels}.pt'"),
    "device by name": ("x = labels.cuda()", "x = labels.to('cuda')"),
    "device of a neighbour": ("x = labels.cuda(non_blocking=True)", "x = labels.to(model.device)"),
    "precise near nought": ("x = torch.log(1 + labels)", "x = torch.log1p(labels)"),
    "a number is detached anyway": ("x = labels.item()", "x = labels.detach().item()"),
    "identity of types": ("x = type(labels) == type(opt)", "x = type(labels) is type(opt)"),
    "identity of nothing": ("x = labels != None", "x = labels is not None"),
    "docstring": ("'''One.'''\nf()", "'''Two.'''\nf()"),
}


@pytest.mark.parametrize("name", QUIET)
def test_nothing_changed(name: str) -> None:
    before, after = QUIET[name]
    assert deltas(before, after) == []
    assert [edit.kind for edit in edits(inside(before), inside(after))] == []


NOT_THE_SAME = {
    "a method of dictionaries": ("x = model['values']", "x = model.values"),
    "another entry": ("x = model['head']['lr']", "x = model.head.wd"),
    "another text": ("x = 'a/' + labels + '.pt'", "x = f'b/{labels}.pt'"),
    "another value in a text": ("x = 'a/' + labels + '.pt'", "x = f'a/{rank}.pt'"),
    "a format": ("x = f'{labels:3}' + 'b'", "x = f'{labels:4}b'"),
    "a sum of two values": ("x = labels + rank", "x = f'{labels}{rank}'"),
    "a type for a device": ("x = labels.cuda()", "x = labels.to(torch.float16)"),
    "a device and a type": ("x = labels.cuda()", "x = labels.to('cuda', torch.float16)"),
    "nothing added": ("x = torch.log(2 + labels)", "x = torch.log1p(labels)"),
    "identity of numbers": ("x = labels == 1", "x = labels is 1"),
    "detached and no number": ("x = labels.sum()", "x = labels.detach().sum()"),
    "another number": ("x = labels.item()", "x = opt.detach().item()"),
    "another exit": ("raise SystemExit(1)", "raise SystemExit(0)"),
    "another object": ("x = model['lr']", "x = opt.lr"),
    "a variable that once held the function": (
        "act = torch.tanh\nact = opt\nx = torch.nn.functional.tanh(labels)",
        "act = torch.tanh\nact = opt\nx = act(labels)",
    ),
}


@pytest.mark.parametrize("name", NOT_THE_SAME)
def test_what_only_looks_the_same(name: str) -> None:
    before, after = NOT_THE_SAME[name]
    assert deltas(before, after)


def test_a_function_under_its_new_name_is_the_same() -> None:
    imports = "import numpy as np\nimport jax\nfrom jax import tree_util\n"
    before = "x = tree_util.tree_map(f, model, np.float)"
    assert not edits(inside(before, imports), inside("x = jax.tree.map(f, model, float)", imports))
    assert edits(inside(before, imports), inside("x = jax.tree.map(f, model, int)", imports))


def test_an_import_under_another_name_changes_no_statement() -> None:
    old, new = "import torch.nn.functional as F\n", "from torch import nn\n"
    after = inside("x = nn.functional.elu(labels)", new)
    assert {e.node.kind for e in edits(inside("x = F.elu(labels)", old), after)} <= {"import", "import_from"}
    assert "assign" in {e.node.kind for e in edits(inside("x = F.relu6(labels)", old), after)}
    taken = inside("nn = model\nx = nn.functional.elu(labels)", new)
    assert "assign" in {e.node.kind for e in edits(inside("x = F.elu(labels)", old), taken)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("raise ValueError(f'bad {rank}')", "raise ValueError(f'no {rank}')"),
        ("assert rank > 0, 'loss'", "assert rank > 0, 'lost'"),
    ],
)
def test_the_words_of_an_error_are_only_told(before: str, after: str) -> None:
    assert {role for delta in deltas(before, after) for role in delta.roles} == {"log"}


def test_in_place_or_not_adds_the_same() -> None:
    kinds = [
        [delta.kind for edit in edits(inside(before), inside(after)) for delta in edit.deltas]
        for before, after in (
            ("x = f(1)\nx = x + labels", "x = f(1)\nx += labels"),
            ("x = f(1)\nx *= labels", "x = f(1)\nx = labels * x"),
            ("x = f(1)\nx += labels.item()", "x = f(1)\nx = labels.sum().item()"),
        )
    ]
    assert kinds == [["mutated"], ["rebound"], ["operator", "wrapped", "unused"]]


def test_a_renamed_parameter_changes_the_signature_only() -> None:
    code = "def f({0}, top):\n    x = {0} / top\n    return x * {0}\n"
    found = edits(code.format("iter"), code.format("it"))
    assert [edit.node.kind for edit in found] == ["params"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(a, b):\n    return a - b\n", "def f(b, a):\n    return b - b\n"),
        ("def f(a):\n    return a - b\n", "def f(b):\n    return b - b\n"),
        ("def f(x, w=1, **more):\n    return x * w\n", "def f(x, v=1, **more):\n    return x * v\n"),
    ],
)
def test_a_parameter_that_takes_a_name_in_use_is_no_renaming(before: str, after: str) -> None:
    assert "return" in [edit.node.kind for edit in edits(before, after)]


DELTAS = {
    "operator": ("x = a * b", "x = a / b", ["operator"]),
    "sign": ("x = a - b", "x = a + b", ["sign"]),
    "minus": ("x = loss(a)", "x = -loss(a)", ["sign"]),
    "comparison": ("if a < b:\n    f()", "if a <= b:\n    f()", ["operator"]),
    "complement": ("if a < b:\n    f()", "if a >= b:\n    f()", ["negated"]),
    "complement of another": (
        "if model.a is not None:\n    f()",
        "if model.b is None:\n    f()",
        ["operator", "name"],
    ),
    "complement of a renamed local": (
        "a = f(labels)\nif a < 3:\n    g(model, rank, labels)",
        "b = f(labels)\nif b >= 3:\n    g(model, rank, labels)",
        ["negated"],
    ),
    "not of another": ("if not model.ready():\n    f()", "if rank == 'a':\n    f()", ["replaced"]),
    "turned as a whole": ("x = labels and rank", "x = not labels or not rank", ["negated"]),
    "not added": ("if a:\n    f()", "if not a:\n    f()", ["negated"]),
    "name": ("f(model)", "f(opt)", ["name"]),
    "attribute chain": ("f(self.a.b)", "f(self.a.c)", ["name"]),
    "string key": ("f(labels['x'])", "f(labels['y'])", ["name"]),
    "callee": ("x = torch.max(a)", "x = torch.min(a)", ["callee"]),
    "number": ("f(1.0)", "f(2.0)", ["number"]),
    "constant": ("f(x=True)", "f(x=False)", ["constant"]),
    "argument dropped": ("f(a, b, c)", "f(a, b)", ["argument-removed"]),
    "keyword added": ("f(a)", "f(a, strict=False)", ["argument-added"]),
    "arguments swapped": ("f(a, b)", "f(b, a)", ["argument-swapped"]),
    "difference swapped": ("x = a - b", "x = b - a", ["argument-swapped"]),
    "factor added": ("x = a + b", "x = a + b * 0.5", ["operand-added"]),
    "divisor dropped": ("x = a / n", "x = a", ["operand-removed"]),
    "condition narrowed": ("if a or b:\n    f()", "if a:\n    f()", ["operand-removed"]),
    "wrapped": ("x = f(model(a))", "x = f(model(a).detach())", ["wrapped"]),
    "unwrapped": ("x = g(f(a).clone())", "x = g(f(a))", ["unwrapped"]),
    "slice": ("x = a[:, :-1]", "x = a[:, :-2]", ["index"]),
    "element": ("x = [a, b, c]", "x = [a, c]", ["element-removed"]),
    "dictionary key": ("save({'m': a, 'o': b})", "save({'m': a})", ["element-removed"]),
    "second target": ("x = f(a)", "x = y.z = f(a)", ["element-added"]),
    "in place": ("x += a", "x -= a", ["sign"]),
    "hard-coded": ("f(self.lr)", "f(0.1)", ["replaced"]),
}


@pytest.mark.parametrize("name", DELTAS)
def test_smallest_difference(name: str) -> None:
    before, after, expected = DELTAS[name]
    assert [delta.kind for delta in deltas(before, after)] == expected


LOOP = """
for x, y in loader:
    opt.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    opt.step()
"""


def test_a_removed_statement_lies_on_the_line_after_the_gap() -> None:
    (edit,) = edits(inside(LOOP), inside(LOOP.replace("    opt.zero_grad()\n", "")))
    assert (edit.kind, edit.start, edit.base_lines) == ("removed", 6, (6, 6))
    assert edit.context.loop == 1


def test_a_statement_that_leaves_the_loop_is_a_move() -> None:
    moved = LOOP.replace("    opt.zero_grad()\n", "").replace("for x", "opt.zero_grad()\nfor x")
    (edit,) = edits(inside(LOOP), inside(moved))
    assert edit.kind == "moved"
    assert edit.before_context is not None
    assert edit.after_context is not None
    assert (edit.before_context.loop, edit.after_context.loop) == (1, 0)


def test_a_statement_put_under_a_condition_is_a_move_under_a_new_guard() -> None:
    guarded = LOOP.replace("    opt.step()\n", "    if rank == 0:\n        opt.step()\n")
    found = {edit.kind: edit for edit in edits(inside(LOOP), inside(guarded))}
    assert set(found) == {"added", "moved"}
    assert found["added"].node.kind == "if"
    assert found["moved"].context.guard_kinds == {"rank"}


def test_a_function_moved_to_another_file_is_not_removed_code() -> None:
    body = inside(LOOP)
    files = view_of([pair(body, "import torch\n", "a.py"), pair("import torch\n", body, "b.py")]).files
    assert [edit.kind for file in files for edit in file.edits if edit.node.kind != "import"] == []


CHOICE = "if rank == 1:\n    f(model)\n{0}else:\n    {1}"
MORE = "elif rank == 2:\n    g(model)\n"


def test_a_branch_before_the_one_that_raises_is_an_addition() -> None:
    short, long = (inside(CHOICE.format(more, "raise ValueError(rank)")) for more in ("", MORE))
    assert [edit.kind for edit in edits(short, long)] == ["added", "added"]
    assert [edit.kind for edit in edits(long, short)] == ["removed", "removed"]


def test_what_an_inserted_branch_takes_its_condition_from_is_moved() -> None:
    short, long = (inside(CHOICE.format(more, "opt.step(rank)")) for more in ("", MORE))
    assert [edit.kind for edit in edits(short, long)] == ["added", "added", "moved"]


TYPED = {
    "a local": ("    x: int = f(labels)", "    x: float = f(labels)"),
    "a local that had none": ("    x = f(labels)", "    x: float = f(labels)"),
    "a parameter and the result": (
        "    pass\ndef g(a):\n    f(a)",
        "    pass\ndef g(a: int) -> float:\n    f(a)",
    ),
    "an alias": ("    pass\nA = t.Callable[[int], int]", "    pass\nA = t.Callable[[float], torch.Tensor]"),
    "a field": ("    pass\nclass C:\n    a: int = 1", "    pass\nclass C:\n    a: torch.Tensor = 1"),
}
AT_RUN_TIME = {
    "a default": ("    pass\ndef g(a: int = 1):\n    f(a)", "    pass\ndef g(a: float = 2):\n    f(a)"),
    "a call in an annotation": ("    x: int = f(labels)", "    x: g() = f(labels)"),
    "what can be checked against": ("    pass\nA = t.Union[int, str]", "    pass\nA = t.Union[int, float]"),
    "the value of a field": (
        "    pass\nclass C:\n    a: int = 1",
        "    pass\nclass C:\n    a: torch.Tensor = 2",
    ),
    "what settings are read as": (
        "    pass\nclass C:\n    a: float = 1",
        "    pass\nclass C:\n    a: int = 1",
    ),
    "no field any more": (
        "    pass\nclass C:\n    a: int = 1",
        "    pass\nclass C:\n    a: t.ClassVar[int] = 1",
    ),
}


def typed(body: str) -> str:
    return f"import torch\nimport typing as t\ndef train(labels):\n{body}\n"


@pytest.mark.parametrize("name", TYPED)
def test_a_type_is_nothing_that_is_computed(name: str) -> None:
    assert edits(*map(typed, TYPED[name])) == ()


@pytest.mark.parametrize("name", AT_RUN_TIME)
def test_what_is_read_at_run_time_counts(name: str) -> None:
    assert [delta for edit in edits(*map(typed, AT_RUN_TIME[name])) for delta in edit.deltas]


AROUND = {
    "a value nobody reads": ("n = f(rank)\ng(n)", "n = f(rank)\ng(3)", "unused"),
    "a parameter nobody reads": ("g(labels)", "g(3)", "unused"),
    "a variable overwritten": ("x = f()\ng(x)", "x = f()\nx = x * 0.5\ng(x)", "rebound"),
    "a parameter overwritten": ("g(labels)", "labels = labels.roll(1)\ng(labels)", "rebound"),
    "an element written": ("g(labels)", "labels[0] = 1\ng(labels)", "mutated"),
    "an in-place call": ("g(model)", "model.weight.mul_(0.9)\ng(model)", "mutated"),
    "one of two siblings": (
        "a = f(labels[:, 1:], model.out)\nb = f(labels[:, 1:], model.aux)",
        "a = f(labels[:, 2:], model.out)\nb = f(labels[:, 1:], model.aux)",
        "one-sided",
    ),
}


@pytest.mark.parametrize("name", AROUND)
def test_what_an_edit_does_around_it(name: str) -> None:
    before, after, kind = AROUND[name]
    found = [delta.kind for edit in edits(inside(before), inside(after)) for delta in edit.deltas]
    assert kind in found


def test_a_new_variable_overwrites_nothing() -> None:
    found = edits(inside("g(labels)"), inside("n = f(rank)\ng(labels)"))
    assert [delta for edit in found for delta in edit.deltas] == []


def test_nesting_past_the_limit_is_unread() -> None:
    deep = "x = " + "[" * 300 + "]" * 300
    (file,) = view(inside("f()"), inside(deep)).files
    assert [item.path for item in file.unread] == ["train.py"]


def test_a_deleted_file_is_placed_on_the_base_side() -> None:
    (file,) = view(inside(LOOP), None).files
    assert file.side == "base"
    assert {edit.kind for edit in file.edits} == {"removed"}
    assert min(edit.start for edit in file.edits) == 5


def test_a_rename_takes_nothing_out_of_sight() -> None:
    old = FilePair(FileVersion("train.py", 0o100644, inside(LOOP).encode()), None)
    for path in ("train.txt", "tests/train.py"):
        after = FileVersion(path, 0o100644, inside(LOOP.replace("    opt.step()\n", "")).encode())
        (file,) = view_of([FilePair(old.before, after)]).files
        assert (file.kind, file.training, file.test) == ("python", True, False)
        assert [edit.kind for edit in file.edits] == ["removed"]
