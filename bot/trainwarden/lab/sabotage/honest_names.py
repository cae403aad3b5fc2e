"""Honest edits of names: renames, extracted and inlined variables, annotations, arguments given by keyword.

In: a place to be near. Out: ``NAME_EDITS``.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping

import libcst as cst

from trainwarden.lab.sabotage import roles, spelling
from trainwarden.lab.sabotage.edit import HonestEdit, Pick
from trainwarden.lab.sabotage.surgery import (
    Statement,
    assigned,
    bare,
    children,
    choose,
    clone,
    code,
    dotted,
    expression,
    small,
    statement,
    tree_of,
    walk,
)

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "x": ("inputs", "feats", "hidden"), "y": ("targets", "labels"), "out": ("output", "preds"),
    "output": ("out", "preds", "logits"), "outputs": ("out", "preds"), "loss": ("total_loss", "step_loss"),
    "batch": ("data", "samples", "minibatch"), "data": ("batch", "inputs"), "target": ("labels", "gt"),
    "i": ("idx", "step", "batch_idx"), "p": ("param", "weight"), "k": ("key", "name"), "v": ("value", "val"),
    "n": ("count", "num", "size"), "res": ("result", "ret"), "ret": ("result", "res"), "tmp": ("buffer", "scratch"),
    "logits": ("scores", "preds"), "bs": ("bsz",), "lr": ("learning_rate", "cur_lr"), "opt": ("optimizer",),
    "model": ("net", "network"), "args": ("opts", "cfg"), "device": ("dev",), "mask": ("keep", "valid"),
    "acc": ("accuracy",), "cfg": ("config",), "idx": ("index", "i"), "f": ("fh", "handle"), "params": ("weights",),
}  # fmt: skip


def _local_names(scope: cst.FunctionDef) -> list[str]:
    """Locals that may be renamed: bound by assignment or loop, not declared global, not seen by name from outside."""
    params = set(spelling.bound_names(scope.params))
    nodes = list(walk(scope.body))
    outer = {
        item.name.value
        for node in nodes
        if isinstance(node, cst.Global | cst.Nonlocal)
        for item in node.names
    }
    calls = {dotted(node.func) for node in nodes if isinstance(node, cst.Call)}
    if calls & {"locals", "vars", "eval", "exec"}:
        return []
    return [name for name in spelling.bound_names(scope.body) if name not in params | outer]


def _rename_local(pick: Pick) -> cst.Module | None:
    scope = pick([each for each in pick.tree.find(cst.FunctionDef) if _local_names(each)])
    if scope is None:
        return None
    name = pick.rng.choice(_local_names(scope))
    return spelling.renamed(pick.tree, scope, name, new_name(pick, name))


def new_name(pick: Pick, name: str) -> str:
    """Another good name for a variable."""
    forms = [f"{name}_", f"cur_{name}", f"{name}_t", f"_{name}", f"{name}_value", f"this_{name}"]
    short = [name.rpartition("_")[2], name.partition("_")[0], "".join(part[:1] for part in name.split("_"))]
    forms += [each for each in short if len(each) > 2]
    candidates = list(_SYNONYMS.get(name, ())) or forms
    taken = spelling.words(pick.tree)
    free = [
        each
        for each in candidates
        if each not in taken and each.isidentifier() and not hasattr(builtins, each)
    ]
    return choose(pick.rng, free) or spelling.fresh(pick.tree, pick.rng, f"{name}_")


def _extractable(pick: Pick) -> list[cst.BaseExpression]:
    """Expressions that may be computed one line earlier: evaluated once in any case, in a line of a function."""
    found: list[cst.BaseExpression] = []
    for line in pick.tree.find(cst.SimpleStatementLine):
        only = small(line)
        if pick.tree.function(line) is None or not isinstance(
            only, cst.Assign | cst.Expr | cst.Return | cst.AugAssign
        ):
            continue
        if only.value is not None:
            found.extend(_always(only.value, top=True))
    return found


def _always(node: cst.CSTNode, top: bool = False) -> list[cst.BaseExpression]:
    lazy = (
        cst.Lambda | cst.BaseComp | cst.IfExp | cst.BooleanOperation | cst.Await | cst.Yield | cst.NamedExpr
    )
    if isinstance(node, lazy | cst.FormattedString):
        return []
    worth = cst.Call | cst.BinaryOperation | cst.Subscript
    own = [node] if isinstance(node, worth) and not top else []
    inner = [node.value] if isinstance(node, cst.Attribute) else children(node)
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name | cst.Attribute):
        inner = [*([node.func.value] if isinstance(node.func, cst.Attribute) else []), *node.args]
    return [*own, *(each for child in inner for each in _always(child))]


def _extract_variable(pick: Pick) -> cst.Module | None:
    node = pick(_extractable(pick))
    line = pick.tree.statement(node) if node is not None else None
    if node is None or line is None:
        return None
    name = _name_for(pick, node)
    new = statement(f"{name} = value")
    made = small(new)
    assert isinstance(made, cst.Assign), "as written"
    bound = new.with_changes(body=[made.with_changes(value=clone(node).with_changes(lpar=[], rpar=[]))])
    if "\n" in code(node):
        bound = new.with_changes(body=[made.with_changes(value=bracketed(node))])
    changed = pick.tree.edit({node: cst.Name(name)})
    lines = _line_at(pick, line, changed)
    return pick.tree.edit({line: (bound, bare(lines))}) if lines is not None else None


def bracketed(node: cst.BaseExpression) -> cst.BaseExpression:
    """A copy of an expression in brackets."""
    copy = clone(node)
    return copy if copy.lpar else copy.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _line_at(pick: Pick, line: Statement, changed: cst.Module) -> Statement | None:
    """The line of the changed module that stands where a line stood."""
    known = set(pick.tree.nodes)
    return (
        next(
            (
                each
                for each in walk(changed)
                if isinstance(each, cst.SimpleStatementLine) and each not in known
            ),
            None,
        )
        if isinstance(line, cst.SimpleStatementLine)
        else None
    )


def _name_for(pick: Pick, node: cst.BaseExpression) -> str:
    parent = pick.tree.parent(node)
    if isinstance(parent, cst.Arg) and parent.keyword is not None:
        return spelling.fresh(pick.tree, pick.rng, f"{parent.keyword.value}_", f"new_{parent.keyword.value}")
    word = dotted(node).rpartition(".")[2].lower() if not isinstance(node, cst.BinaryOperation) else ""
    names = ["value", "term", "result", "tmp", "val"]
    return spelling.fresh(
        pick.tree, pick.rng, *((f"{word}_out", f"{word}_value", f"{word}s") if word else names)
    )


def _inline_variable(pick: Pick) -> cst.Module | None:
    homes = {}
    for line in pick.tree.find(cst.SimpleStatementLine):
        use = _only_use(pick, line)
        if use is not None:
            homes[line] = use
    home = pick(list(homes))
    bound = assigned(home)
    if home is None or bound is None:
        return None
    value = (
        bound[1]
        if isinstance(bound[1], cst.Name | cst.Attribute | cst.Call | cst.Subscript)
        else bracketed(bound[1])
    )
    return pick.tree.edit({home: (), homes[home]: clone(value)})


def _only_use(pick: Pick, line: Statement) -> cst.Name | None:
    bound = assigned(line)
    scope = pick.tree.function(line)
    after = pick.tree.after(line)
    if bound is None or scope is None or not isinstance(bound[0], cst.Name) or not after:
        return None
    uses = [name for name in spelling.variables(scope) if name.value == bound[0].value]
    if (
        len(uses) != 2
        or not pick.tree.within(uses[1], after[0])
        or not isinstance(after[0], cst.SimpleStatementLine)
    ):
        return None
    if any(isinstance(each, cst.Lambda | cst.BaseComp) for each in pick.tree.ancestors(uses[1])):
        return None
    return (
        uses[1]
        if not isinstance(
            pick.tree.parent(uses[1]), cst.AssignTarget | cst.AugAssign | cst.FormattedStringExpression
        )
        else None
    )


def _annotate(pick: Pick) -> cst.Module | None:
    functions = [each for each in pick.tree.find(cst.FunctionDef) if _bare_params(each)]
    function = pick(functions)
    if function is None:
        return None
    changes: dict[cst.CSTNode, cst.CSTNode] = {}
    for param in _bare_params(function):
        kind = _type_of(param)
        if kind and pick.rng.random() < 0.8:
            equal = cst.AssignEqual() if param.default is not None else param.equal
            note = cst.Annotation(expression(kind))
            changes[param] = param.with_changes(annotation=note, equal=equal)
    return pick.tree.edit(changes) if changes else None


def _bare_params(function: cst.FunctionDef) -> list[cst.Param]:
    return [
        each
        for each in function.params.params
        if each.annotation is None and each.name.value not in ("self", "cls")
    ]


def _type_of(param: cst.Param) -> str:
    if isinstance(param.default, cst.Integer):
        return "int"
    if isinstance(param.default, cst.Float):
        return "float"
    if spelling.truth(param.default) is not None:
        return "bool"
    if isinstance(param.default, cst.SimpleString) or param.name.value in (
        "path",
        "name",
        "filename",
        "split",
    ):
        return "str"
    if roles.is_step(param.name.value) or roles.is_epoch(param.name.value):
        return "int"
    return "float" if roles.is_learning_rate(param.name.value) else ""


_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": ("input", "target"), "mse_loss": ("input", "target"),
    "clip_grad_norm_": ("parameters", "max_norm"),
    "DataLoader": ("dataset", "batch_size"), "Linear": ("in_features", "out_features"), "Dropout": ("p",),
    "Embedding": ("num_embeddings", "embedding_dim"), "cat": ("tensors", "dim"), "stack": ("tensors", "dim"),
    "softmax": ("", "dim"), "log_softmax": ("", "dim"), "clamp": ("", ""), "LayerNorm": ("normalized_shape",),
    "dropout": ("input", "p"), "StepLR": ("optimizer", "step_size"), "Normalize": ("mean", "std"),
    "Adam": ("params", "lr"), "AdamW": ("params", "lr"), "SGD": ("params", "lr"), "GradScaler": ("",),
    "Conv2d": ("in_channels", "out_channels", "kernel_size"), "BatchNorm2d": ("num_features",), "load": ("f",),
    "full": ("size", "fill_value"), "CosineAnnealingLR": ("optimizer", "T_max"),
    "binary_cross_entropy_with_logits": ("input", "target"),
}  # fmt: skip


def _name_arguments(pick: Pick) -> cst.Module | None:
    call = pick([each for each in pick.tree.find(cst.Call) if _nameable(each)])
    if call is None:
        return None
    names = _KEYWORDS[dotted(call.func).rpartition(".")[2]]
    last = len(spelling.positional(call)) - 1
    return pick.tree.edit(
        {call.args[last]: call.args[last].with_changes(keyword=cst.Name(names[last]), equal=_TIGHT)}
    )


def _nameable(call: cst.Call) -> bool:
    owner, _, name = dotted(call.func).rpartition(".")
    plain = spelling.positional(call)
    if name not in _KEYWORDS or not plain or (not owner and name.islower()):
        return False
    last = len(plain) - 1
    return (
        last < len(_KEYWORDS[name]) and bool(_KEYWORDS[name][last]) and not any(arg.star for arg in call.args)
    )


_TIGHT = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


def _repeated_attribute(pick: Pick) -> cst.Module | None:
    """An attribute a function reads more than once goes into a local: ``device = self.device``."""
    for function in pick.tree.find(cst.FunctionDef):
        found = _read_twice(pick, function)
        if found and isinstance(function.body, cst.IndentedBlock) and function.get_docstring() is None:
            text = pick.rng.choice(sorted(found))
            name = spelling.fresh(
                pick.tree,
                pick.rng,
                text.rpartition(".")[2].lstrip("_") or "value",
                f"{text.rpartition('.')[2]}_",
            )
            first = function.body.body[0]
            changed = pick.tree.edit({node: cst.Name(name) for node in found[text]})
            return _first_line_added(changed, function.name.value, statement(f"{name} = {text}"), first)
    return None


def _read_twice(pick: Pick, function: cst.FunctionDef) -> dict[str, list[cst.Attribute]]:
    params = set(spelling.bound_names(function.params)) - set(spelling.bound_names(function.body))
    uses: dict[str, list[cst.Attribute]] = {}
    written: set[str] = set()
    for node in walk(function.body):
        if isinstance(node, cst.AssignTarget | cst.AugAssign):
            written.add(dotted(node.target))
        if (
            isinstance(node, cst.Attribute)
            and isinstance(node.value, cst.Name)
            and node.value.value in params
        ):
            above = pick.tree.parent(node)
            if isinstance(above, cst.Call) and above.func is node:
                written.add(dotted(node))
            uses.setdefault(dotted(node), []).append(node)
    return {text: nodes for text, nodes in uses.items() if len(nodes) > 1 and text not in written}


def _first_line_added(
    module: cst.Module, function: str, line: Statement, near: cst.CSTNode
) -> cst.Module | None:
    tree = tree_of(module)
    home = next((each for each in tree.find(cst.FunctionDef) if each.name.value == function), None)
    if home is None or not isinstance(home.body, cst.IndentedBlock):
        return None
    return tree.edit({home.body.body[0]: (line, home.body.body[0])})


def _literal_to_name(pick: Pick) -> cst.Module | None:
    """A number of a statement gets a name on the line above."""
    numbers = [
        each
        for each in spelling.numbers(pick.tree)
        if _in_simple_line(pick, each) and spelling.number(each) not in (0, 1, 2, None)
    ]
    node = pick(numbers)
    line = pick.tree.statement(node) if node is not None else None
    if node is None or line is None:
        return None
    parent = pick.tree.parent(node)
    hint = parent.keyword.value if isinstance(parent, cst.Arg) and parent.keyword is not None else "factor"
    name = spelling.fresh(pick.tree, pick.rng, hint, f"{hint}_value", f"default_{hint}")
    changed = _line_at(pick, line, pick.tree.edit({node: cst.Name(name)}))
    return (
        pick.tree.edit({line: (statement(f"{name} = {code(node)}"), bare(changed))})
        if changed is not None
        else None
    )


def _in_simple_line(pick: Pick, node: cst.CSTNode) -> bool:
    line = pick.tree.statement(node)
    return isinstance(line, cst.SimpleStatementLine) and pick.tree.function(line) is not None


def _rename_private(pick: Pick) -> cst.Module | None:
    """A private attribute that the member sets and reads gets another name throughout."""
    attributes = pick.tree.find(
        cst.Attribute, lambda each: isinstance(each.value, cst.Name) and each.value.value == "self"
    )
    names = sorted(
        {
            each.attr.value
            for each in attributes
            if each.attr.value.startswith("_") and not each.attr.value.startswith("__")
        }
    )
    name = choose(pick.rng, names)
    if name is None:
        return None
    new = new_name(pick, name.lstrip("_")).lstrip("_")
    return pick.tree.edit({each.attr: cst.Name(f"_{new}") for each in attributes if each.attr.value == name})


NAME_EDITS: tuple[HonestEdit, ...] = (
    HonestEdit("local-renamed", "swap", _rename_local),
    HonestEdit("variable-extracted", "insertion", _extract_variable),
    HonestEdit("variable-inlined", "deletion", _inline_variable),
    HonestEdit("parameters-annotated", "swap", _annotate),
    HonestEdit("arguments-named", "swap", _name_arguments),
    HonestEdit("attribute-in-local", "insertion", _repeated_attribute),
    HonestEdit("number-named", "insertion", _literal_to_name),
    HonestEdit("private-attribute-renamed", "swap", _rename_private),
)
"""Edits of names, each with its shape."""
