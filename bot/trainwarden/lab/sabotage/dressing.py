"""A new expression in the clothes of the old one: parentheses where they are needed, arguments where they stood.

In: the old node, what is above it, the new expression. Out: the new expression (``dressed``).
"""

from __future__ import annotations

import libcst as cst

from trainwarden.lab.sabotage.pattern import ATOM, COMPARISON, LOOSE, binding, is_loose
from trainwarden.lab.sabotage.spelling import with_args_added, with_value, without_argument
from trainwarden.lab.sabotage.surgery import code, same


def dressed(above: cst.CSTNode | None, old: cst.CSTNode, new: cst.BaseExpression) -> cst.BaseExpression:
    """New code in the clothes of the old: its parentheses where they are needed, its line breaks between arguments."""
    if isinstance(old, cst.Call) and isinstance(new, cst.Call):
        new = _merged(old, new)
    if getattr(old, "lpar", ()) and is_loose(new):
        return new.with_changes(lpar=old.lpar, rpar=old.rpar)  # type: ignore[attr-defined]
    if is_loose(new) and binding(new) <= _asked(above, old) and not _binds_alike(above, old, new):
        return new.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return new


def _asked(above: cst.CSTNode | None, old: cst.CSTNode) -> int:
    """How loosely an operand may bind at most to need parentheses here."""
    if isinstance(above, cst.Attribute | cst.Await) or (isinstance(above, cst.Call) and above.func is old):
        return ATOM
    if isinstance(above, cst.Subscript) and above.value is old:
        return ATOM
    if isinstance(above, cst.ComparisonTarget):
        return COMPARISON
    return binding(above) if isinstance(above, LOOSE) and not isinstance(above, cst.Tuple) else -1


def _binds_alike(above: cst.CSTNode | None, old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """A left operand may bind as its operator does: ``a + b`` in ``a + b - c``."""
    if not isinstance(above, cst.BinaryOperation | cst.BooleanOperation) or isinstance(
        above.operator, cst.Power
    ):
        return False
    return above.left is old and binding(new) == binding(above)


def _merged(old: cst.Call, new: cst.Call) -> cst.Call:
    """The new call as the smallest change of the old one: arguments that stay keep their place and layout."""
    before, after = _keyed(old), _keyed(new)
    if {key: code(arg.value) for key, arg in before.items()} == {
        key: code(arg.value) for key, arg in after.items()
    }:
        return _reordered(old, list(after)) if same(old.func, new.func) else old.with_changes(func=new.func)
    if {key for key in before if not key.isidentifier()} != {key for key in after if not key.isidentifier()}:
        return _spread(old, new)
    made = old.with_changes(func=new.func)
    for key, arg in before.items():
        if key not in after:
            made = without_argument(made, _keyed(made)[key])
        elif not same(arg.value, after[key].value):
            made = with_value(made, _keyed(made)[key], after[key].value)
    return (
        with_args_added(made, *added)
        if (added := [plain(after[key]) for key in after if key not in before])
        else made
    )


def _reordered(call: cst.Call, keys: list[str]) -> cst.Call:
    """The call with its arguments in another order; as it is where comments stand between them."""
    if any("#" in code(arg) for arg in call.args):
        return call
    known, args = _keyed(call), call.args
    between, last = args[0], args[-1]
    made = [plain(known[key]).with_changes(comma=between.comma) for key in keys]
    made[-1] = made[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    return call.with_changes(args=made)


def _keyed(call: cst.Call) -> dict[str, cst.Arg]:
    """The arguments by keyword, or by their place among the others."""
    plain = (arg for arg in call.args if arg.keyword is None and not arg.star)
    found = {str(i): arg for i, arg in enumerate(plain)}
    found |= {arg.keyword.value: arg for arg in call.args if arg.keyword}
    found |= {arg.star + code(arg.value): arg for arg in call.args if arg.star}
    order = {id(arg): i for i, arg in enumerate(call.args)}
    return dict(sorted(found.items(), key=lambda item: order[id(item[1])]))


def plain(arg: cst.Arg) -> cst.Arg:
    """An argument without the layout of its place."""
    return arg.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=cst.SimpleWhitespace(""))


def _spread(old: cst.Call, new: cst.Call) -> cst.Call:
    """The new call one argument a line where the old one is."""
    if old.whitespace_before_args.empty or len(old.args) < 2 or not new.args:
        return new
    first, last = old.args[0], old.args[-1]
    args = [plain(arg).with_changes(comma=first.comma) for arg in new.args]
    args[-1] = args[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    return new.with_changes(args=args, whitespace_before_args=old.whitespace_before_args)
