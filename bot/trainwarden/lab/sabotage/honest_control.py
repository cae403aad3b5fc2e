"""Honest edits of branches, loops and ``with`` that leave what runs as it is.

In: a place to be near. Out: ``CONTROL_EDITS``.
"""

from __future__ import annotations

import libcst as cst

from trainwarden.lab.sabotage import spelling
from trainwarden.lab.sabotage.edit import HonestEdit, Pick
from trainwarden.lab.sabotage.honest_names import bracketed
from trainwarden.lab.sabotage.surgery import (
    assigned,
    call_of,
    code,
    dotted,
    small,
    statement,
)


def _split_condition(pick: Pick) -> cst.Module | None:
    found = [
        each
        for each in pick.tree.find(cst.If)
        if each.orelse is None and _is_and(each.test) and _is_top(pick, each)
    ]
    node = pick(found)
    if node is None or not isinstance(node.test, cst.BooleanOperation):
        return None
    inner = cst.If(node.test.right, node.body)
    return pick.tree.replace(node, node.with_changes(test=node.test.left, body=cst.IndentedBlock([inner])))


def _is_top(pick: Pick, node: cst.If) -> bool:
    return isinstance(pick.tree.parent(node), cst.IndentedBlock | cst.Module)


def _is_and(node: cst.CSTNode) -> bool:
    return (
        isinstance(node, cst.BooleanOperation)
        and isinstance(node.operator, cst.And)
        and not isinstance(node.lpar, cst.LeftParen)
    )


def _drop_else(pick: Pick) -> cst.Module | None:
    """``if c: return a else: b`` loses its ``else``."""
    node = pick([each for each in pick.tree.find(cst.If) if _leaves(each) and _is_top(pick, each)])
    if (
        node is None
        or not isinstance(node.orelse, cst.Else)
        or not isinstance(node.orelse.body, cst.IndentedBlock)
    ):
        return None
    return pick.tree.replace(node, node.with_changes(orelse=None), *node.orelse.body.body)


def _leaves(node: cst.If) -> bool:
    if not isinstance(node.orelse, cst.Else) or not isinstance(node.body, cst.IndentedBlock):
        return False
    return isinstance(small(node.body.body[-1]), cst.Return | cst.Raise | cst.Continue | cst.Break)


def _unfold_ternary(pick: Pick) -> cst.Module | None:
    lines = [each for each in pick.tree.find(cst.SimpleStatementLine) if _ternary(each) is not None]
    line = pick(lines)
    node, bound = _ternary(line), assigned(line)
    if line is None or node is None or bound is None:
        return None
    target = code(bound[0]).strip()
    test, yes, no = (_flat(each) for each in (node.test, node.body, node.orelse))
    return pick.tree.replace(line, statement(f"if {test}:\n    {target} = {yes}\nelse:\n    {target} = {no}"))


def _flat(node: cst.BaseExpression) -> str:
    return code(bracketed(node) if "\n" in code(node) else node).strip()


def _ternary(line: cst.CSTNode | None) -> cst.IfExp | None:
    bound = assigned(line)
    return (
        bound[1]
        if bound is not None and isinstance(bound[1], cst.IfExp) and isinstance(small(line), cst.Assign)
        else None
    )


def _comprehension(pick: Pick) -> cst.Module | None:
    """A list built by ``append`` in a loop becomes a comprehension."""
    loops = {loop: text for loop in pick.tree.find(cst.For) if (text := _as_comprehension(pick, loop))}
    loop = pick(list(loops))
    if loop is None:
        return None
    return pick.tree.edit({pick.tree.before(loop)[-1]: (), loop: statement(loops[loop])})


def _as_comprehension(pick: Pick, loop: cst.For) -> str:
    if loop.orelse is not None or not isinstance(loop.body, cst.IndentedBlock) or len(loop.body.body) != 1:
        return ""
    if not isinstance(pick.tree.parent(loop), cst.IndentedBlock | cst.Module) or not pick.tree.before(loop):
        return ""
    call, bound = call_of(loop.body.body[0]), assigned(pick.tree.before(loop)[-1])
    if call is None or bound is None or len(call.args) != 1 or not isinstance(bound[0], cst.Name):
        return ""
    if dotted(call.func) != f"{bound[0].value}.append" or code(bound[1]) != "[]" or "await" in code(call):
        return ""
    return f"{bound[0].value} = [{_flat(call.args[0].value)} for {code(loop.target).strip()} in {_flat(loop.iter)}]"


def _unused_index(pick: Pick) -> cst.Module | None:
    """``for i, x in enumerate(xs)`` where nothing reads ``i``."""
    loop = pick([each for each in pick.tree.find(cst.For) if _counts_in_vain(pick, each)])
    if loop is None or not isinstance(loop.iter, cst.Call) or not isinstance(loop.target, cst.Tuple):
        return None
    target = loop.target.elements[1].value
    return pick.tree.edit({loop.target: target, loop.iter: loop.iter.args[0].value})


def _counts_in_vain(pick: Pick, loop: cst.For) -> bool:
    called = (
        isinstance(loop.iter, cst.Call) and dotted(loop.iter.func) == "enumerate" and len(loop.iter.args) == 1
    )
    if not called or not isinstance(loop.target, cst.Tuple) or len(loop.target.elements) != 2:
        return False
    index = loop.target.elements[0].value
    scope = pick.tree.function(loop)
    if scope is None or not isinstance(index, cst.Name):
        return False
    return sum(name.value == index.value for name in spelling.variables(scope)) == 1


def _join_withs(pick: Pick) -> cst.Module | None:
    """``with a: with b:`` on one line."""
    outer = pick([each for each in pick.tree.find(cst.With) if _only_with(each) is not None])
    inner = _only_with(outer) if outer is not None else None
    if outer is None or inner is None:
        return None
    items = [*(item.with_changes(comma=cst.MaybeSentinel.DEFAULT) for item in outer.items), *inner.items]
    return pick.tree.replace(outer, outer.with_changes(items=items, body=inner.body))


def _only_with(node: cst.With) -> cst.With | None:
    body = node.body.body if isinstance(node.body, cst.IndentedBlock) else []
    inner = body[0] if len(body) == 1 else None
    return (
        inner
        if isinstance(inner, cst.With)
        and not isinstance(node.lpar, cst.LeftParen)
        and not isinstance(inner.lpar, cst.LeftParen)
        and not inner.asynchronous
        else None
    )


CONTROL_EDITS: tuple[HonestEdit, ...] = (
    HonestEdit("condition-split", "guard", _split_condition),
    HonestEdit("else-dropped", "deletion", _drop_else),
    HonestEdit("ternary-unfolded", "guard", _unfold_ternary),
    HonestEdit("loop-to-comprehension", "deletion", _comprehension),
    HonestEdit("unused-index-dropped", "swap", _unused_index),
    HonestEdit("withs-joined", "deletion", _join_withs),
)
"""Edits of control flow, each with its shape."""
