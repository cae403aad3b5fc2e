"""How a file spells things: its names, numbers, strings and arguments, so that what is planted reads like the rest.

In: nodes and trees. Out: new names, literals in the style of old ones, calls with an argument set or removed.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence

import libcst as cst

from trainwarden.lab.sabotage.surgery import Tree, children, expression, walk


def words(tree: Tree) -> frozenset[str]:
    """Every identifier of the module, attributes and keywords included."""
    return frozenset(node.value for node in tree.nodes if isinstance(node, cst.Name))


def bound_names(scope: cst.CSTNode) -> list[str]:
    """The names a function (or block) binds, in order and once each: parameters, assignments, loops, ``with``."""
    found: dict[str, None] = {}
    for node in walk(scope):
        for name in _binds(node):
            found[name] = None
    return list(found)


def _binds(node: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.Param):
        return [node.name.value]
    if isinstance(node, cst.AssignTarget | cst.AnnAssign | cst.NamedExpr):
        return plain_names(node.target)
    if isinstance(node, cst.For | cst.CompFor):
        return plain_names(node.target)
    if isinstance(node, cst.AsName):
        return plain_names(node.name)
    return []


def plain_names(target: cst.CSTNode) -> list[str]:
    """The names in a target: ``x``, ``(x, y)``, ``x, *rest``; attributes and subscripts bind none."""
    if isinstance(target, cst.Name):
        return [target.value]
    if isinstance(target, cst.Attribute | cst.Subscript):
        return []
    return [name for child in children(target) for name in plain_names(child)]


def names_before(tree: Tree, place: cst.CSTNode) -> list[str]:
    """The variables surely bound where a statement starts: parameters, earlier assignments, targets of its loops."""
    found: dict[str, None] = {}
    below = place
    for above in tree.ancestors(place):
        if isinstance(above, cst.IndentedBlock | cst.Module):
            for earlier in above.body:
                if earlier is below:
                    break
                found.update(dict.fromkeys(_surely_bound(earlier)))
        elif isinstance(above, cst.For) and above.body is below:
            found.update(dict.fromkeys(plain_names(above.target)))
        elif isinstance(above, cst.FunctionDef):
            found.update(dict.fromkeys(bound_names(above.params)))
            break
        below = above
    return list(found)


def _surely_bound(node: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.SimpleStatementLine):
        return bound_names(node)
    if isinstance(node, cst.With):
        return [name for item in node.items for name in bound_names(item)] + [
            name for inner in node.body.body for name in _surely_bound(inner)
        ]
    return []


def used_names(node: cst.CSTNode) -> list[str]:
    """The variables a node reads or binds, in order and once each (no attributes, no keywords)."""
    found: dict[str, None] = {}
    for name in variables(node):
        found[name.value] = None
    return list(found)


def variables(node: cst.CSTNode) -> list[cst.Name]:
    """The name nodes that stand for variables: not attributes, not keywords of calls, not names of definitions."""
    found: list[cst.Name] = []
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, cst.Name):
            found.append(here)
            continue
        inner = children(here)
        if isinstance(here, cst.Attribute | cst.Arg):
            inner = [here.value]
        elif isinstance(here, cst.FunctionDef | cst.ClassDef):
            inner = [child for child in inner if child is not here.name]
        elif isinstance(here, cst.Import | cst.ImportFrom):
            inner = []
        stack.extend(reversed(inner))
    return found


def fresh(tree: Tree, rng: random.Random, *candidates: str) -> str:
    """A name that the module does not use yet: one of the candidates, numbered if all are taken."""
    taken = words(tree)
    free = [name for name in candidates if name not in taken]
    if free:
        return rng.choice(free)
    base = rng.choice(candidates)
    return next(f"{base}_{count}" for count in range(2, 1000) if f"{base}_{count}" not in taken)


def terse(tree: Tree) -> bool:
    """Whether the file likes short names (``bs``, ``lr``) rather than long ones (``batch_size``)."""
    names = bound_names(tree.module)
    return bool(names) and sum(map(len, names)) / len(names) < 6


def renamed(tree: Tree, scope: cst.CSTNode, old: str, new: str) -> cst.Module:
    """The module with a variable renamed throughout a function (or the module): the caller knows it is a local."""
    return tree.edit({name: name.with_changes(value=new) for name in variables(scope) if name.value == old})


def numbers(tree: Tree) -> list[cst.BaseExpression]:
    """The numeric literals of the module."""
    return [*tree.find(cst.Integer), *tree.find(cst.Float)]


def number(node: cst.CSTNode | None) -> float | None:
    """The value of a numeric literal, with its sign; None for anything else."""
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        inner = number(node.expression)
        return None if inner is None else -inner
    if isinstance(node, cst.Integer):
        return float(int(node.value.replace("_", ""), 0))
    if isinstance(node, cst.Float):
        value = float(node.value.replace("_", ""))
        return value if math.isfinite(value) else None
    return None


def number_like(node: cst.CSTNode, value: float) -> cst.BaseExpression:
    """A literal for a value, spelt as another literal is: ``3e-4`` stays scientific, ``0.0003`` decimal."""
    return expression(_spelt(_digits(node), value))


def _digits(node: cst.CSTNode) -> str:
    if isinstance(node, cst.UnaryOperation):
        return _digits(node.expression)
    return node.value if isinstance(node, cst.Integer | cst.Float) else ""


def _spelt(style: str, value: float) -> str:
    if "e" in style.lower() and value and not style.lower().startswith("0x"):
        return _scientific(value, "." in style)
    if value == int(value) and "." not in style and abs(value) < 1e12:
        return f"{int(value):_}" if "_" in style else str(int(value))
    if value and abs(value) < 1e-6:
        return _scientific(value, False)
    text = f"{value:.10g}"
    if "e" in text:
        text = f"{value:.12f}".rstrip("0")
    return text if "." in text else f"{text}.0"


def _scientific(value: float, pointed: bool) -> str:
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    if pointed and "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}e{int(exponent)}"


def text_of(node: cst.CSTNode | None) -> str | None:
    """The value of a plain string literal; None for anything else."""
    if not isinstance(node, cst.SimpleString):
        return None
    value = node.evaluated_value
    return value if isinstance(value, str) else None


def quoted(tree: Tree, text: str) -> cst.SimpleString:
    """A string literal in the quotes the file uses most."""
    strings = tree.find(cst.SimpleString)
    single = sum(node.quote == "'" for node in strings) * 2 > len(strings)
    body = text.replace("\\", "\\\\").replace("\n", "\\n")
    body = body.replace("'", "\\'") if single else body.replace('"', '\\"')
    return cst.SimpleString(f"'{body}'" if single else f'"{body}"')


def string_like(node: cst.SimpleString, text: str) -> cst.SimpleString:
    """A string literal with another value in the quotes and prefix of this one."""
    body = text.replace("\\", "\\\\").replace(node.quote[0], "\\" + node.quote[0])
    if len(node.quote) == 1:
        body = body.replace("\n", "\\n")
    prefix = re.sub("[rR]", "", node.prefix)
    return node.with_changes(value=f"{prefix}{node.quote}{body}{node.quote}")


def truth(node: cst.CSTNode | None) -> bool | None:
    """The value of ``True`` or ``False``; None for anything else."""
    if isinstance(node, cst.Name) and node.value in ("True", "False"):
        return node.value == "True"
    return None


def argument(call: cst.Call, name: str, position: int | None = None) -> cst.Arg | None:
    """The argument given for a parameter: by keyword, or at a position if one is told."""
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == name:
            return arg
    plain = positional(call)
    return plain[position] if position is not None and position < len(plain) else None


def positional(call: cst.Call) -> list[cst.Arg]:
    """The positional arguments before any star."""
    found: list[cst.Arg] = []
    for arg in call.args:
        if arg.star or arg.keyword is not None:
            break
        found.append(arg)
    return found


def with_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """The call with a keyword argument set: changed where it stands, or added behind the others (before ``**``)."""
    for index, arg in enumerate(call.args):
        if arg.keyword is not None and arg.keyword.value == name:
            return _with_args(
                call, [*call.args[:index], arg.with_changes(value=value), *call.args[index + 1 :]]
            )
    keyword = cst.Arg(value, keyword=cst.Name(name), equal=_equal(call))
    return with_args_added(call, keyword)


def with_args_added(call: cst.Call, *new: cst.Arg) -> cst.Call:
    """The call with arguments added behind the others, before ``**kwargs``, one a line where the call has it so."""
    args = list(call.args)
    at = next((index for index, arg in enumerate(args) if arg.star == "**"), len(args))
    if not args:
        return _with_args(call, new)
    between = next((arg.comma for arg in args[:-1]), cst.MaybeSentinel.DEFAULT)
    if at < len(args):
        return _with_args(call, [*args[:at], *(arg.with_changes(comma=between) for arg in new), *args[at:]])
    last = args[-1]
    inner = [last.with_changes(comma=between), *(arg.with_changes(comma=between) for arg in new)]
    inner[-1] = inner[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    if len(args) > 1:
        inner[0] = inner[0].with_changes(whitespace_after_arg=cst.SimpleWhitespace(""))
    return _with_args(call, [*args[:-1], *inner])


def without_argument(call: cst.Call, gone: cst.Arg) -> cst.Call:
    """The call without one of its arguments."""
    args = [arg for arg in call.args if arg is not gone]
    if args and call.args[-1] is gone:
        args[-1] = args[-1].with_changes(comma=gone.comma, whitespace_after_arg=gone.whitespace_after_arg)
    return _with_args(call, args)


def with_value(call: cst.Call, arg: cst.Arg, value: cst.BaseExpression) -> cst.Call:
    """The call with the value of one of its arguments changed."""
    return _with_args(call, [each.with_changes(value=value) if each is arg else each for each in call.args])


def _with_args(call: cst.Call, args: Sequence[cst.Arg]) -> cst.Call:
    return call.with_changes(args=list(args))


def _equal(call: cst.Call) -> cst.AssignEqual:
    for arg in call.args:
        if isinstance(arg.equal, cst.AssignEqual):
            return arg.equal
    return cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
