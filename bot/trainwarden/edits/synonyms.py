"""Two spellings of one thing: what may replace what without any effect.

In: a delta and the scopes of its sides. Out: whether both sides name the same. Version migrations move and rename
functions by the hundred; an edit that only does that is none. Only what is the same for every argument is listed.
"""

from __future__ import annotations

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
_NOT_ENTRIES = frozenset(dir(dict))
"""``d["items"]`` is an entry, ``d.items`` is a method."""


def same(delta: Delta, before: Scope, after: Scope) -> bool:
    """Whether a delta only spells a thing in another way: a library's function, or an entry of the same object."""
    old, new = delta.before, delta.after
    if delta.kind not in ("name", "callee") or old is None or new is None:
        return False
    return _same_function(_whole(old), before, _whole(new), after) or _same_entry(old, new)


def _whole(node: Node) -> Node:
    """``tree_util.tree_map`` for the ``tree_util`` in it: a delta is the smallest difference."""
    parent = node.parent
    return parent if parent is not None and parent.kind == "attribute" else node


def _same_function(old: Node, before: Scope, new: Node, after: Scope) -> bool:
    """Told by resolved names, and only of what is imported: a variable may hold something else by now."""
    known = _CANONICAL.get(old.name)
    if known is None or known != _CANONICAL.get(new.name):
        return False
    return _is_imported(old, before) and _is_imported(new, after)


def _is_imported(node: Node, scope: Scope) -> bool:
    while node.kind == "attribute":
        node = node.children[0]
    name = normal(node.value)
    return node.kind == "name" and name not in scope.parameters and not scope.bindings(name)


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
