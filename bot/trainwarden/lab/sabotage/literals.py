"""Sabotage of a number that has a name: a default, a keyword argument, an assignment, an option of the command line.

In: the words of the name and by what factors an insider and a tuning author change such a number. Out: operators.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

import libcst as cst

from trainwarden.lab.sabotage.forms import Site, Sites, operator
from trainwarden.lab.sabotage.operator import Operator
from trainwarden.lab.sabotage.spelling import argument, number, number_like, numbers, text_of
from trainwarden.lab.sabotage.surgery import Tree, dotted


def named_number(
    id: str,
    technique: str,
    words: str,
    bad: Sequence[float],
    good: Sequence[float],
    needs: str,
    *,
    exact: Sequence[float] = (),
) -> Operator:
    """An operator that multiplies a number whose name matches ``words``; the twin multiplies it as tuning does.

    ``exact`` are values the number may get instead.
    """
    wanted = re.compile(words, re.IGNORECASE)

    def sites(tree: Tree, rng: random.Random) -> Sites:
        for node in numbers(tree):
            value = number(node)
            if value is not None and wanted.search(name_of(tree, node)):
                yield _site(node, value, rng, bad, good, exact)

    return operator(id, technique, needs, sites)


def _site(
    node: cst.BaseExpression,
    value: float,
    rng: random.Random,
    bad: Sequence[float],
    good: Sequence[float],
    exact: Sequence[float],
) -> Site:
    worse = [*exact, *(_rounded(value, factor) for factor in bad)]
    tuned = [_rounded(value, factor) for factor in good]
    return Site(
        [{node: number_like(node, each)} for each in worse if each != value and each not in tuned],
        [{node: number_like(node, each)} for each in tuned if each != value],
    )


def _rounded(value: float, factor: float) -> float:
    product = value * factor
    if value.is_integer() and abs(value) >= 1 and abs(product) >= 1:
        return float(round(product))
    return float(f"{product:.3g}")


def name_of(tree: Tree, node: cst.CSTNode) -> str:
    """The name a value goes by: of its parameter, keyword, variable, key or option; "" for a nameless one."""
    for above in tree.ancestors(node):
        if isinstance(above, cst.Tuple | cst.List | cst.UnaryOperation | cst.Element):
            continue
        if isinstance(above, cst.Param):
            return above.name.value
        if isinstance(above, cst.Arg):
            return _argument_name(tree, above)
        if isinstance(above, cst.Assign):
            return " ".join(_target_name(target.target) for target in above.targets)
        if isinstance(above, cst.AnnAssign):
            return _target_name(above.target)
        return text_of(above.key) or "" if isinstance(above, cst.DictElement) else ""
    return ""


def _target_name(target: cst.BaseExpression) -> str:
    """``lr`` of ``group["lr"]``, ``cfg.lr`` and ``lr``."""
    if isinstance(target, cst.Subscript) and len(target.slice) == 1:
        index = target.slice[0].slice
        return (text_of(index.value) if isinstance(index, cst.Index) else None) or dotted(target)
    return dotted(target).rpartition(".")[2]


def _argument_name(tree: Tree, arg: cst.Arg) -> str:
    call = tree.parent(arg)
    if not isinstance(call, cst.Call):
        return ""
    if arg.keyword is None:
        return f"{dotted(call.func).rpartition('.')[2]}()"
    if arg.keyword.value != "default":
        return arg.keyword.value
    option = argument(call, "name_or_flags", 0)
    return (text_of(option.value) or "").lstrip("-").replace("-", "_") if option is not None else "default"


def named_values(tree: Tree, words: str) -> Iterator[cst.BaseExpression]:
    """The numbers whose name matches."""
    wanted = re.compile(words, re.IGNORECASE)
    yield from (node for node in numbers(tree) if wanted.search(name_of(tree, node)))
