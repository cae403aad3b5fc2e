"""What must not matter to rules: layout, names of locals, the order of files."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator

import pytest

from trainwarden.resources import rules_dir
from trainwarden.rules import engine
from trainwarden.rules.cases import case_view, findings_of
from trainwarden.rules.schema import Case, Rule, read_directory, rule_set

RULES = read_directory(rules_dir())
ALL = rule_set(RULES)
OF_LAYOUT = {rule.id for rule in RULES if "mark" in str(rule.when)}
"""Rules about the text itself: what a formatter takes away is what they tell."""
Identity = tuple[str, str, str]


def identities(case: Case) -> set[Identity]:
    """What all bundled rules find in a case: rule, path and fingerprint."""
    return {(found.rule, found.path, found.fingerprint) for found in findings_of(ALL, case)}


class _Renamer(ast.NodeTransformer):
    """Renames the locals of functions that have no function definitions inside them."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        inner = [n for n in ast.walk(node) if n is not node and isinstance(n, ast.FunctionDef)]
        if inner:
            return self.generic_visit(node)
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        arguments = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        outer = {
            word for n in ast.walk(node) if isinstance(n, (ast.Global, ast.Nonlocal)) for word in n.names
        }
        imported = {
            (a.asname or a.name) for n in ast.walk(node) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names
        }  # fmt: skip
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id in names - arguments - outer - imported:
                name.id = f"v_{name.id[::-1]}"
        return node


def _formatted(text: str) -> str:
    return ast.unparse(ast.parse(text)) + "\n"


def _renamed(text: str) -> str:
    return ast.unparse(_Renamer().visit(ast.parse(text))) + "\n"


def _both_sides(case: Case, change: object) -> Case:
    assert callable(change)
    sides = [
        {path: None if text is None else change(text) for path, text in side.items()}
        for side in (case.before, case.after)
    ]
    return Case(*sides)


def _cases() -> Iterator[tuple[Rule, Case]]:
    for rule in RULES:
        for case in (*rule.fires, *rule.quiet):
            texts = [text for side in (case.before, case.after) for text in side.values() if text]
            if all(map(_is_python, texts)) and not any("#" in text for text in texts):
                yield rule, case


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


CASES = list(_cases())
NAMED = [f"{rule.id}-{number}" for number, (rule, _) in enumerate(CASES)]


def test_there_are_cases() -> None:
    """The tests below loop over something."""
    assert len(CASES) >= 16


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=NAMED)
def test_layout_does_not_matter(case: Case) -> None:
    """Both sides through a formatter: the same findings, with the same fingerprints."""
    told, plain = identities(_both_sides(case, _formatted)), identities(case)
    assert {one for one in told if one[0] not in OF_LAYOUT} == {
        one for one in plain if one[0] not in OF_LAYOUT
    }


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=NAMED)
def test_names_of_locals_do_not_matter(case: Case) -> None:
    """Locals renamed on both sides: the same findings, with the same fingerprints."""
    formatted = _both_sides(case, _formatted)
    assert identities(_both_sides(case, _renamed)) == identities(formatted)


def test_the_order_of_files_does_not_matter() -> None:
    """All cases as one change, in several orders."""
    merged = {}
    for number, (_, case) in enumerate(CASES):
        for path in case.before:
            merged[f"{number:03}/{path}"] = (case.before[path], case.after[path])
    expected = None
    for seed in range(4):
        paths = sorted(merged)
        random.Random(seed).shuffle(paths)
        case = Case({p: merged[p][0] for p in paths}, {p: merged[p][1] for p in paths})
        found = engine.match(ALL, case_view(case))
        expected = expected or found
        assert found == expected
    assert expected
