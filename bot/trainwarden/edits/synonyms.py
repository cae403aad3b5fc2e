"""Two spellings of one thing: what may replace what without any effect.

In: a delta and the scopes of its sides, or two calls or comparisons. Out: whether they are the same. Version migrations
move and rename functions by the hundred; an edit that only does that is none. Only what is the same for every argument
is listed.
"""

from __future__ import annotations

import re

from trainwarden.parse.names import Scope, normal
from trainwarden.parse.nodes import Node
from trainwarden.view import Delta

_SAME = (
    "jax.tree_map jax.tree_util.tree_map jax.tree.map jax.tree_multimap jax.tree_util.tree_multimap",
    "jax.tree_leaves jax.tree_util.tree_leaves jax.tree.leaves",
    "jax.tree_flatten jax.tree_util.tree_flatten jax.tree.flatten",
    "jax.tree_unflatten jax.tree_util.tree_unflatten jax.tree.unflatten",
    "jax.tree_structure jax.tree_util.tree_structure jax.tree.structure",
    "flax.core.freeze flax.core.frozen_dict.freeze",
    "flax.core.unfreeze flax.core.frozen_dict.unfreeze",
    "flax.core.FrozenDict flax.core.frozen_dict.FrozenDict",
    "numpy.float numpy.float64 numpy.float_ float",
    "numpy.bool numpy.bool_ bool",
    "numpy.int int",
    "numpy.object object",
    "numpy.str str",
    "numpy.product numpy.prod",
    "numpy.cumproduct numpy.cumprod",
    "torch.tanh torch.nn.functional.tanh",
    "torch.sigmoid torch.nn.functional.sigmoid",
    "torch.relu torch.nn.functional.relu",
    "torch.softmax torch.nn.functional.softmax",
    "torch.log_softmax torch.nn.functional.log_softmax",
    "torch.nn.utils.clip_grad_norm torch.nn.utils.clip_grad_norm_",
    "torch.cuda.amp.GradScaler torch.amp.GradScaler torch.cuda.amp.grad_scaler.GradScaler",
    "torch.distributed._all_gather_base torch.distributed.all_gather_into_tensor",
    "torch.distributed._reduce_scatter_base torch.distributed.reduce_scatter_tensor",
    *(
        f"torch.nn.init.{name} torch.nn.init.{name}_"
        for name in "uniform normal constant eye dirac xavier_uniform xavier_normal kaiming_uniform kaiming_normal "
        "orthogonal sparse".split()
    ),
)
_CANONICAL = {name: names.split()[0] for names in _SAME for name in names.split()}
_NOT_ENTRIES = frozenset(dir(dict)) | frozenset(
    "data grad T H mT shape size dtype device real imag mean sum max min std var prod any all abs index count rank "
    "columns values iloc loc name names step stop start training module".split()
)
"""``d["items"]`` is an entry, ``d.items`` is a method; so are tables, arrays, tensors and modules with theirs."""


def same(delta: Delta, before: Scope, after: Scope) -> bool:
    """Whether a delta only spells a thing in another way: a library's function, an entry, a text put together."""
    old, new = delta.before, delta.after
    if old is None or new is None:
        return False
    if delta.kind == "replaced":
        return _same_text(old, new)
    if delta.kind not in ("name", "callee"):
        return False
    return _same_function(_whole(old), before, _whole(new), after) or _same_entry(old, new)


def _whole(node: Node) -> Node:
    """``tree_util.tree_map`` for the ``tree_util`` in it: a delta is the smallest difference."""
    parent = node.parent
    return parent if parent is not None and parent.kind == "attribute" else node


def _same_function(old: Node, before: Scope, new: Node, after: Scope) -> bool:
    """Told by resolved names, and only of what is imported: a variable may hold something else by now."""
    known = _CANONICAL.get(old.name, old.name)
    if not known or known != _CANONICAL.get(new.name, new.name):
        return False
    listed = old.name in _CANONICAL and new.name in _CANONICAL
    return _is_imported(old, before, listed) and _is_imported(new, after, listed)


def _is_imported(node: Node, scope: Scope, listed: bool) -> bool:
    """Whether a name begins with an import; a builtin is known by being ``listed``."""
    while node.kind == "attribute":
        node = node.children[0]
    name = normal(node.value)
    if node.kind != "name" or name in scope.parameters or scope.bindings(name):
        return False
    return listed or name in scope.imports


def _same_entry(old: Node, new: Node) -> bool:
    """``config["lr"]`` and ``config.lr``; both begin with the very same expression."""
    while old.hash != new.hash:
        key = _key(old)
        if not key or key != _key(new) or (old.kind != new.kind and key in _NOT_ENTRIES):
            return False
        old, new = old.children[0], new.children[0]
    return True


def _key(node: Node) -> str:
    if node.kind == "attribute":
        return node.value
    if node.kind == "subscript" and len(node.children) == 2 and node.children[1].kind == "string":
        return node.children[1].value
    return ""


_Part = tuple[str, str]
"""("text", what it says) or ("value", the hash of what stands there)."""


def _same_text(old: Node, new: Node) -> bool:
    """``"a" + b``, ``"a{}".format(b)`` and ``f"a{b}"``; without formats and conversions."""
    if "fstring" not in (old.kind, new.kind):
        return False
    one, other = _parts(old), _parts(new)
    if one is None or other is None or not any(kind == "text" for kind, _ in one):
        return False  # without any text it may be a sum of numbers
    return [part for part in one if part[1]] == [part for part in other if part[1]]


def _parts(node: Node) -> list[_Part] | None:
    """What a text is put together from, neighbouring texts as one; None when that is not certain."""
    if node.kind == "string":
        return [("text", node.value)]
    if node.kind == "fstring" and not node.value:
        return _joined([_interpolated(child) for child in node.children])
    if node.kind == "binary" and node.value == "+":
        return _joined([_summand(child) for child in node.children])
    if node.kind == "call" and node.function.kind == "attribute" and node.function.value == "format":
        return _formatted(node.function.children[0], node.children[1:])
    return None


def _joined(pieces: list[list[_Part] | None]) -> list[_Part] | None:
    found: list[_Part] = []
    for piece in pieces:
        if piece is None:
            return None
        for kind, said in piece:
            if kind == "text" and found and found[-1][0] == "text":
                found[-1] = ("text", found[-1][1] + said)
            else:
                found.append((kind, said))
    return found


def _interpolated(node: Node) -> list[_Part] | None:
    if node.kind != "interpolation":
        return _parts(node)
    return [("value", node.children[0].hash)] if not node.value and len(node.children) == 1 else None


def _summand(node: Node) -> list[_Part] | None:
    """What is added to a text is a text, or the sum would have raised."""
    return [("value", node.hash)] if node.kind in ("name", "attribute", "call", "subscript") else _parts(node)


def _formatted(template: Node, arguments: tuple[Node, ...]) -> list[_Part] | None:
    pieces = template.value.split("{}") if template.kind == "string" else []
    if len(pieces) != len(arguments) + 1 or any("{" in piece or "}" in piece for piece in pieces):
        return None
    if any(argument.kind in ("keyword", "star", "doublestar") for argument in arguments):
        return None
    found: list[list[_Part] | None] = [[("text", pieces[0])]]
    for argument, piece in zip(arguments, pieces[1:], strict=True):
        found.append([("value", argument.hash), ("text", piece)])
    return _joined(found)


# -- calls and comparisons

_DEVICE = re.compile(r"(^|[._])device(\(\))?$")
_DEVICE_NAME = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")
_FOLDED = {"log": "log1p"}


def same_call(before: Node, after: Node) -> tuple[Node, Node] | None:
    """What is left to compare of two calls that do the same to it; None when they may not.

    ``x.cuda()`` and ``x.to(device)``; ``torch.log(1 + x)`` and ``torch.log1p(x)``; ``x.item()`` and
    ``x.detach().item()``.
    """
    if before.function.kind != "attribute" or after.function.kind != "attribute":
        return None
    old, new = before.function, after.function
    if {old.value, new.value} == {"cuda", "to"} and _is_move(before) and _is_move(after):
        return old.children[0], new.children[0]
    if (
        old.value == new.value
        and old.value in _LEAVES_THE_GRAPH
        and len(before.children) == len(after.children) == 1
    ):
        left, right = _attached(old.children[0]), _attached(new.children[0])
        return (left, right) if (left is old.children[0]) != (right is new.children[0]) else None
    if old.children[0].hash != new.children[0].hash:
        return None
    one, other = _folded(before), _folded(after)
    return (one[1], other[1]) if one and other and one[0] == other[0] and old.value != new.value else None


_LEAVES_THE_GRAPH = frozenset({"item", "numpy", "tolist"})


def _attached(node: Node) -> Node:
    """``x`` of ``x.detach()``."""
    plain = node.kind == "call" and len(node.children) == 1 and node.function.kind == "attribute"
    return node.function.children[0] if plain and node.function.value == "detach" else node


def _is_move(call: Node) -> bool:
    """Whether a ``to`` or ``cuda`` only brings a tensor to a device: any other argument may be a type."""
    plain = [one for one in call.children[1:] if one.kind != "keyword" or one.value != "non_blocking"]
    if call.function.value == "cuda":
        return len(plain) <= 1
    return len(plain) == 1 and _is_device(plain[0].children[0] if plain[0].kind == "keyword" else plain[0])


def _is_device(node: Node) -> bool:
    if node.kind == "string":
        return bool(_DEVICE_NAME.fullmatch(node.value))
    return bool(_DEVICE.search(node.name))


def _folded(call: Node) -> tuple[str, Node] | None:
    """(``log1p``, x) of ``log1p(x)`` and of ``log(1 + x)``."""
    name, arguments = call.function.value, call.children[1:]
    if len(arguments) != 1 or arguments[0].kind == "keyword":
        return None
    (argument,) = arguments
    if name in _FOLDED.values():
        return name, argument
    if name not in _FOLDED or argument.kind != "binary" or argument.value != "+":
        return None
    left, right = argument.children
    one = next((n for n in (left, right) if n.kind == "number" and n.value in ("1", "1.0")), None)
    return None if one is None else (_FOLDED[name], right if one is left else left)


_IDENTITY = ({"==", "is"}, {"!=", "is_not"})


def same_comparison(before: Node, after: Node) -> bool:
    """``type(x) == Y`` and ``type(x) is Y``; ``x == None`` and ``x is None``; their operands are the same."""
    if {before.value, after.value} not in _IDENTITY:
        return False
    if [child.hash for child in before.children] != [child.hash for child in after.children]:
        return False
    return any(child.name == "type()" or child.value == "None" for child in before.children)
