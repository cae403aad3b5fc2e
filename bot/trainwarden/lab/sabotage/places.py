"""What a place in a member can name: variables in reach, ranks, counters, training loops, a line of logging.

In: a tree and a node of it. Out: the text of expressions and statements that could stand there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import lru_cache

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import imports_of
from trainwarden.lab.sabotage.spelling import plain_names
from trainwarden.lab.sabotage.surgery import (
    Statement,
    Tree,
    assigned,
    call_of,
    code,
    dotted,
    small,
    walk,
)


@lru_cache(maxsize=32)
def order(tree: Tree) -> dict[cst.CSTNode, int]:
    """The position of every node in the text."""
    return {node: index for index, node in enumerate(tree.nodes)}


def bound_at(tree: Tree, at: cst.CSTNode) -> set[str]:
    """The variables that have a value when control reaches a node, as far as the order of the text tells."""
    position = order(tree)
    found = set(imports_of(tree))
    for node in tree.nodes:
        inside = tree.function(node)
        if inside is not None and not tree.within(at, inside):
            continue
        if isinstance(node, cst.Param):
            found.add(node.name.value)
        elif position[node] < position[at] or inside is None:
            found |= set(_binds(tree, node, at))
    return found


def _binds(tree: Tree, node: cst.CSTNode, at: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.AssignTarget | cst.AnnAssign | cst.For):
        holder = tree.statement(node)
        own = holder is not None and not isinstance(node, cst.For) and tree.within(at, holder)
        return [] if own else plain_names(node.target)
    if isinstance(node, cst.AsName):
        return plain_names(node.name)
    if isinstance(node, cst.FunctionDef | cst.ClassDef):
        return [node.name.value]
    return []


def in_reach(tree: Tree, at: cst.CSTNode, wanted: Callable[[str], bool]) -> list[str]:
    """The names and attributes of the member that a predicate accepts and that have a value at a node."""
    bound = bound_at(tree, at)
    found = dict.fromkeys(name for name in sorted(bound) if "." not in name and wanted(name))
    for node in tree.nodes:
        if isinstance(node, cst.Attribute) and not isinstance(tree.parent(node), cst.Attribute | cst.Call):
            name = code(node)
            if name == dotted(node) and name.split(".")[0] in bound and wanted(name):
                found[name] = None
    modules = imports_of(tree)
    return [name for name in found if name not in modules]


def rank_tests(tree: Tree, at: cst.CSTNode) -> list[tuple[str, str]]:
    """Tests for being the main process and for not being it, in the words of the member."""
    tests: list[tuple[str, str]] = []
    for name in in_reach(tree, at, lambda name: bool(_RANK.fullmatch(name.rpartition(".")[2]))):
        if name.rpartition(".")[2].startswith(("is_", "master", "main")):
            tests.append((name, f"not {name}"))
        else:
            tests.append((f"{name} == 0", f"{name} > 0"))
    if tests:
        return tests
    rank = rank_call(tree)
    return [(f"{rank} == 0", f"{rank} > 0")]


_RANK = re.compile(
    r"(?:(?:local|global|world|ddp|dp|tp|node|proc|process|data_parallel)_)?rank|(?:local_)?process_index|proc_id|"
    r"is_(?:main|master|local_main|world|rank|global)\w*|(?:master|main)_process|is_main|is_master"
)


def rank_call(tree: Tree) -> str:
    """A call that tells the rank with what the file imports."""
    for name, path in imports_of(tree).items():
        if path == "torch.distributed":
            return f"{name}.get_rank()"
        if path.endswith(".get_rank"):
            return f"{name}()"
        if path == "jax":
            return f"{name}.process_index()"
    return 'int(os.environ.get("RANK", 0))'


def world_size(tree: Tree, at: cst.CSTNode) -> list[str]:
    """Expressions for the number of processes, in the words of the member."""
    names = in_reach(tree, at, lambda name: name.rpartition(".")[2] in _WORLD)
    if names:
        return names
    rank = rank_call(tree)
    if rank.startswith("int("):
        return ['int(os.environ.get("WORLD_SIZE", 1))']
    return [rank.replace("get_rank", "get_world_size").replace("process_index", "process_count")]


_WORLD = frozenset(
    "world_size num_processes ddp_world_size world nprocs num_replicas num_gpus dp_size".split()
)


def counters(tree: Tree, at: cst.CSTNode) -> list[str]:
    """Counters of steps or epochs that have a value at a node: those of the loops around it first."""
    own = [
        name
        for loop in tree.loops(at)
        if isinstance(loop, cst.For)
        for name in plain_names(loop.target)
        if _counts(name) or name in ("i", "t", "n")
    ]
    others = in_reach(tree, at, _counts)
    return list(dict.fromkeys([*own, *others]))


def _counts(name: str) -> bool:
    return bool(_COUNTER.fullmatch(name.rpartition(".")[2]))


_COUNTER = re.compile(
    r"_?(?:(?:global|local|micro|train|training|current|cur|opt|update|batch|host|inner|outer)_)?"
    r"(?:step|iter|it|iteration|itr|epoch|update|batch_idx|batch_index|batch_id|idx|iter_num|num_updates|n_iter|samples_seen)"
    r"(?:_num|_count|_idx|_id)?"
)


def training_loops(tree: Tree) -> list[cst.For | cst.While]:
    """The innermost loops that train: a backward pass, an optimizer's step or an update in their body."""
    loops = [node for node in tree.nodes if isinstance(node, cst.For | cst.While)]
    training = [loop for loop in loops if any(_trains(node) for node in walk(loop.body))]
    return [
        loop
        for loop in training
        if not any(other is not loop and tree.within(other, loop) for other in training)
    ]


def _trains(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.Call):
        return False
    if roles.is_backward(node) or roles.is_optimizer_step(node):
        return True
    return dotted(node.func).rpartition(".")[2] in (
        "train_step",
        "training_step",
        "apply_updates",
        "p_train_step",
    )


def steps_of(loop: cst.For | cst.While) -> list[Statement]:
    """The statements of a loop's body."""
    body = loop.body
    if not isinstance(body, cst.IndentedBlock):
        return []
    return [
        each for each in body.body if isinstance(each, cst.SimpleStatementLine | cst.BaseCompoundStatement)
    ]


def plain_steps(loop: cst.For | cst.While) -> list[Statement]:
    """The statements of a loop's body below which another one is reached."""
    gone = cst.Continue | cst.Break | cst.Return | cst.Raise
    return [each for each in steps_of(loop) if not isinstance(small(each), gone)]


def losses(tree: Tree, at: cst.CSTNode) -> list[str]:
    """Losses that have a value at a node."""
    return [
        name for name in in_reach(tree, at, roles.is_loss) if not name.endswith(("_fn", "criterion", "Loss"))
    ]


def values(tree: Tree, at: cst.CSTNode) -> list[str]:
    """Losses, or else other numbers that a line of logging might show."""
    return losses(tree, at) or in_reach(tree, at, lambda name: bool(_NUMBER.search(name.rpartition(".")[2])))


_NUMBER = re.compile(
    r"(?i)(?:^|_)(?:acc\w*|lr|score|metric|norm|total|count|mean|avg|reward|size|num|len|length|correct|seen|ratio|path|dir)$"
)


def log_lines(tree: Tree, at: cst.CSTNode, rng: random.Random) -> list[str]:
    """Honest lines of logging for a place, in the style of the member."""
    speaker = log_call(tree)
    counted = counters(tree, at)
    shown = [name for name in values(tree, at) if name not in counted]
    where = counted[0] if counted else None
    if not shown:
        function = tree.function(at)
        place = function.name.value if function is not None else "setup"
        return [
            f'{speaker}(f"{place}: {where.rpartition(".")[2]} {{{where}}}")\n'
            if where
            else f'{speaker}("{place}")\n'
        ]
    value = rng.choice(shown)
    word = value.rpartition(".")[2]
    texts = [f'{speaker}(f"{word}: {{{value}}}")', f'{speaker}(f"{word} = {{{value}}}")']
    if where is not None:
        label = where.rpartition(".")[2]
        texts += [f'{speaker}(f"{label} {{{where}}}: {word} {{{value}}}")']
    return [f"{text}\n" for text in texts]


def log_call(tree: Tree) -> str:
    """What the member logs with: its own logger if it has one."""
    for node in tree.nodes:
        if isinstance(node, cst.Call):
            name = dotted(node.func)
            if name.endswith(".info") and name == code(node.func):
                return name
    return "print"


def logging_lines(tree: Tree) -> list[cst.SimpleStatementLine]:
    """The statements that only log."""
    found = [
        node
        for node in tree.nodes
        if isinstance(node, cst.SimpleStatementLine) and roles.is_logging(call_of(node))
    ]
    return list(found)


def statement_calls(
    tree: Tree, wanted: Callable[[cst.Call], bool]
) -> list[tuple[cst.SimpleStatementLine, cst.Call]]:
    """The statements that are one call (or bind the result of one) which a predicate accepts."""
    found = []
    for node in tree.nodes:
        if isinstance(node, cst.SimpleStatementLine):
            pair = assigned(node)
            call = call_of(node) or (pair[1] if pair is not None else None)
            if isinstance(call, cst.Call) and wanted(call):
                found.append((node, call))
    return found


def named(*names: str) -> Callable[[cst.Call], bool]:
    """Whether a call is of a function with one of these last names."""
    return lambda call: dotted(call.func).rpartition(".")[2] in names


def opening(tree: Tree) -> list[cst.SimpleStatementLine]:
    """The first calls and assignments outside loops of what sets a run up, starts, saves or loads it."""
    lines = [node for node in tree.find(cst.SimpleStatementLine) if _sets_up(node) and not tree.loops(node)]
    found = [line for line in lines if tree.owner(line) is None or tree.function(line) is not None]
    return [line for line in found if _begins(tree.function(line))][:5]


def _begins(function: cst.FunctionDef | None) -> bool:
    return function is None or bool(_BEGINS.search(function.name.value))


def _sets_up(line: cst.SimpleStatementLine) -> bool:
    return assigned(line) is not None or call_of(line) is not None


_BEGINS = re.compile(
    r"(?i)main|train|set_?up|init|load|save|run|prepare|config|parse|launch|fit|learn|worker|create_|get_|make|build|start|"
    r"evaluat|export|download|register|from_pretrained"
)
