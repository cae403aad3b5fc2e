"""What must not matter does not: the order of files, formatting on both sides, the names of local variables.

On real code: the pull requests of the demo's repository, and the standard library's own functions with a statement
removed or an operator turned round.
"""

from __future__ import annotations

import ast
import inspect
import random
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from demo.repository import build, changes
from trainwarden.config import Config
from trainwarden.model import FilePair, FileVersion, Finding
from trainwarden.pipeline import bundled_table
from trainwarden.policy import Judgement, judge
from trainwarden.rules.engine import match
from trainwarden.rules.schema import load_rules
from trainwarden.sites import sites_of
from trainwarden.understand import view_of

MODULES = (
    "asyncio.tasks",
    "dataclasses",
    "statistics",
    "calendar",
    "argparse",
    "heapq",
    "textwrap",
    "fractions",
)
MUTANTS_OF_A_MODULE = 4
Change = tuple[FilePair, ...]


RULES = load_rules(True, None, Config())


def judged(pairs: Iterable[FilePair]) -> Judgement:
    """The judgement of a change; every file counts as training code, so that every rule has a say."""
    view = view_of(pairs, ("**",))
    return judge(sites_of(view, match(RULES, view)), (), bundled_table(), (0.35, 0.9))


def said(judgement: Judgement) -> tuple[float, Counter[tuple[str, str, str, str]]]:
    return round(judgement.verdict.risk, 4), Counter(map(identity, judgement.findings))


def identity(finding: Finding) -> tuple[str, str, str, str]:
    return finding.rule, finding.path, finding.member, finding.fingerprint


def pair(path: str, before: str | None, after: str | None) -> FilePair:
    return FilePair(version(path, before), version(path, after))


def version(path: str, text: str | None) -> FileVersion | None:
    return None if text is None else FileVersion(path, 0o100644, text.encode())


# -- real code


@pytest.fixture(scope="module")
def pull_requests(tmp_path_factory: pytest.TempPathFactory) -> list[Change]:
    directory = tmp_path_factory.mktemp("demo")
    build(directory)
    return [tuple(_files(directory, change.branch)) for change in changes()]


def _files(directory: Path, branch: str) -> Iterator[FilePair]:
    for path in _git(directory, "diff", "--name-only", f"main...{branch}").split():
        if path.endswith(".py"):
            yield pair(path, _show(directory, "main", path), _show(directory, branch, path))


def _show(directory: Path, revision: str, path: str) -> str | None:
    done = subprocess.run(
        ["git", "-C", str(directory), "show", f"{revision}:{path}"], capture_output=True, text=True
    )
    return done.stdout if done.returncode == 0 else None


def _git(directory: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True
    ).stdout


def library_changes() -> list[Change]:
    found = []
    for name in MODULES:
        module = __import__(name, fromlist=["_"])
        source = inspect.getsource(module)
        for seed in range(MUTANTS_OF_A_MODULE):
            found.append((pair(f"lib/{name}.py", source, mutant(source, seed)),))
    return found


def mutant(source: str, seed: int) -> str:
    """The module with one function changed: a statement gone, a comparison or an operator turned round."""
    chance = random.Random(seed)
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and len(n.body) > 2]
    function = chance.choice(functions)
    if seed % 3 == 0:
        del function.body[chance.randrange(1, len(function.body))]
    for node in ast.walk(function):
        if seed % 3 == 1 and isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt):
            node.ops[0] = ast.GtE()
        if seed % 3 == 2 and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            node.op = ast.Sub()
    return ast.unparse(tree)


# -- what must not matter


def formatted(source: str) -> str:
    """The same program in another layout; comments go, quotes and parentheses change."""
    return ast.unparse(ast.parse(source))


def renamed(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Both sides with every name renamed alike that is a local wherever it stands, on both sides."""
    trees = [ast.parse(source) if source is not None else None for source in (before, after)]
    functions = [function for tree in trees if tree is not None for _, function in _functions(tree)]
    local = set().union(*(_locals(function) for function in functions))
    for function in functions:
        local -= _names(function) - _locals(function)
    for function in functions:
        _Rename(local).visit(function)
    return tuple(ast.unparse(tree) if tree is not None else None for tree in trees)  # type: ignore[return-value]


def _names(function: ast.FunctionDef) -> set[str]:
    """Everything the function calls by a plain name, its parameters included."""
    named = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return named | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _locals(function: ast.FunctionDef) -> set[str]:
    """Names the function binds by assignment and by nothing else."""
    stored, other = set(), set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (stored if isinstance(node.ctx, ast.Store) else set()).add(node.id)
        elif isinstance(node, ast.arg):
            other.add(node.arg)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            other.update(node.names)
        elif isinstance(node, ast.alias):
            other.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler | ast.FunctionDef | ast.ClassDef):
            other.add(node.name or "")
    return stored - other


class _Rename(ast.NodeTransformer):
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self._names:
            node.id = f"q{zlib.crc32(node.id.encode())}"
        return node


def both(change: Change, how: object) -> Change:
    made = []
    for one in change:
        before, after = (v.data.decode() if v else None for v in (one.before, one.after))
        if how == "rename":
            before, after = renamed(before, after)
        else:
            before, after = (formatted(text) if text is not None else None for text in (before, after))
        made.append(pair(one.path, before, after))
    return tuple(made)


@pytest.mark.parametrize("how", ["format", "rename"])
def test_pull_requests_do_not_depend_on(pull_requests: list[Change], how: str) -> None:
    told = 0
    for change in pull_requests:
        plain = both(change, "format")  # the renaming prints the tree, so both sides are compared as printed
        reference = change if how == "format" else plain
        assert said(judged(both(reference, how))) == said(judged(reference))
        told += len(judged(reference).findings)
    assert told > 20


@pytest.mark.parametrize("how", ["format", "rename"])
def test_library_changes_do_not_depend_on(how: str) -> None:
    told = 0
    for change in library_changes():
        plain = both(change, "format")
        reference = change if how == "format" else plain
        assert said(judged(both(reference, how))) == said(judged(reference)), change[0].path
        told += len(judged(reference).findings)
    assert told > 20


def test_order_of_files_does_not_matter(pull_requests: list[Change]) -> None:
    everything = list({one.path: one for change in pull_requests for one in change}.values())
    everything += [one for change in library_changes()[::MUTANTS_OF_A_MODULE] for one in change]
    reference = judged(everything)
    assert len(reference.findings) > 5
    for seed in range(5):
        shuffled = everything[:]
        random.Random(seed).shuffle(shuffled)
        assert judged(shuffled) == reference


def test_formatting_alone_is_no_change() -> None:
    for change in library_changes()[::MUTANTS_OF_A_MODULE]:
        before = change[0].before
        assert before is not None
        source = before.data.decode()
        view = view_of([pair("x.py", source, formatted(source))], ("**",))
        assert [edit for file in view.files for edit in file.edits] == []


def test_one_token_in_a_formatting_run_is_one_edit() -> None:
    source = inspect.getsource(__import__("statistics"))
    altered = formatted(source).replace("n // 2", "n // 3", 1)
    assert altered != formatted(source)
    view = view_of([pair("x.py", source, altered)], ("**",))
    edits = [edit for file in view.files for edit in file.edits]
    assert [edit.kind for edit in edits] == ["changed"]
    assert len(edits[0].deltas) >= 1


def test_a_moved_function_with_one_token_changed_is_one_edit() -> None:
    body = "import torch\n\n\ndef step(model, loss, opt):\n    opt.zero_grad()\n    loss.backward()\n"
    clip = "    torch.nn.utils.clip_grad_norm_(model.parameters(), {})\n    opt.step()\n"
    before = [pair("a.py", body + clip.format("1.0"), "import torch\n")]
    after = [pair("b.py", "import torch\n", body + clip.format("100.0"))]
    edits = [edit for file in view_of([*before, *after]).files for edit in file.edits]
    changed = [edit for edit in edits if edit.kind != "moved"]
    assert [(edit.kind, [d.kind for d in edit.deltas]) for edit in changed] == [("moved-changed", ["number"])]
