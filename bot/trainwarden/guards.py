"""Under which conditions a statement runs, and on what those conditions depend.

In: a resolved member's nodes. Out: ``view.Guard``s, innermost first, from branches, loops' tests, handlers and early
exits. Kinds are read from resolved names and provenance, never from the spelling of a local variable.
"""

from __future__ import annotations

import re
from functools import lru_cache

from trainwarden.parse.names import COUNTER, Scope, normal
from trainwarden.parse.nodes import BLOCKS, Node
from trainwarden.view import Guard

_WORDS: tuple[tuple[str, str], ...] = (
    (
        "clock",
        r"\btime\.(time|monotonic|perf_counter|localtime|gmtime|strftime)|datetime|\.now\(|\.today\(|weekday",
    ),
    ("host", r"gethostname|getfqdn|platform\.node|uname|hostname|HOSTNAME|SLURMD_NODENAME|SLURM_NODEID"),
    ("user", r"getpass|getlogin|getuid|\[USER\]|\[LOGNAME\]|\busername\b"),
    (
        "rank",
        r"\b(?!(assert|matrix)_rank\b)(\w+_)?rank(_id)?\b|get_rank|is_(main|local_main|last)_process|is_master|master_process|process_index"
        r"|is_(global|local|world_process|rank)_zero|rank_zero|\[(LOCAL_)?RANK\]|SLURM_PROCID",
    ),
    (
        "world",
        r"world_size|num_processes|device_count|process_count|WORLD_SIZE|\bn_?gpus?\b|num_(gpus|nodes|devices)|nnodes"
        r"|data_parallel_size|SLURM_(NTASKS|NNODES)",
    ),
    (
        "random",
        r"\brandom(\(|\.(?!(SeedSequence|PRNGKey|key|split|fold_in|wrap_key_data)\b))|\brand(int|n|om|perm)?\(|uniform|bernoulli|\bsecrets\.|urandom|\bchoice\(|getrandbits",
    ),
    ("environment", r"os\.environ|getenv|\benviron\b"),
    ("file", r"path\.(exists|isfile|isdir)|\.exists\(|\.is_file\(|os\.access|os\.stat|getmtime|os\.listdir"),
    (
        "step",
        r"\b(?!(step|iter|update)\()(\w+_)?(global_)?(step|iteration|iter|epoch|update)s?(_num|_idx|_count|_id)?\b"
        r"|\bnum_(steps|updates|epochs)|batch_(idx|i|num)\b|iter_num|n_iter|counter\(\)",
    ),
    (
        "config",
        r"\b(args|cfg|config|conf|hparams|flags|FLAGS|opts?|options|settings|\w+_args|\w+_config)\b(?=[.\[])",
    ),
    ("mode", r"\.training\b|is_train(ing)?\b|\btrain(ing)?\b|\.eval\b"),
)
_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in _WORDS)
# A check that raises guards nothing: what follows runs whenever the run goes on at all.
_EXITS = frozenset({"return", "continue", "break"})
_LOOPS = frozenset({"for", "while"})


@lru_cache(maxsize=1024)  # most conditions stand on both sides of a change
def kinds_of_words(words: str) -> frozenset[str]:
    """The kinds that resolved names speak of."""
    kinds = {kind for kind, pattern in _KINDS if pattern.search(words)}
    if "random" in kinds and "random_state" in words and "random(" not in words:
        kinds.discard("random")
    return frozenset(kinds)


def classify(test: Node, scope: Scope) -> frozenset[str]:
    """The guard kinds of a condition; ``other`` when nothing speaks."""
    known = scope.guard_kinds.get(id(test))
    if known is None:
        known = scope.guard_kinds[id(test)] = _classified(test, scope)
    return known


def _classified(test: Node, scope: Scope) -> frozenset[str]:
    kinds = kinds_of_words(" ".join(_vocabulary(test, scope)))
    if _is_none_check(test):
        kinds |= {"none-check"}
    return kinds or frozenset({"other"})


def _vocabulary(test: Node, scope: Scope) -> list[str]:
    """Every resolved name in the condition; of locals also where they come from, a step deep."""
    words = []
    for node in test.walk():
        if node.kind == "name":
            words.append(node.name)
            word = normal(node.value)
            if scope.is_local(word) and any(scope.bound(*b) == COUNTER for b in scope.bindings(word)):
                words.append(COUNTER)
            for _, value in _reaching(test, scope.bindings(word)):
                words.extend(inner.name for inner in value.walk() if inner.name and not _is_called(inner))
        elif node.name and not _is_called(node):
            words.append(node.name)
    return words


def _is_called(node: Node) -> bool:
    """``sched.step`` in ``sched.step()``: the call has the name, and is no counter."""
    call = node.parent
    return call is not None and call.kind == "call" and call.function is node and bool(call.name)


def _reaching(test: Node, bindings: list[tuple[str, Node]]) -> list[tuple[str, Node]]:
    """The first bindings of a name that its test may see: not the default in ``if x is None: x = torch.randn()``."""
    branch = test.parent
    if not bindings or branch is None or branch.kind != "if":
        return bindings[:3]
    if _is_passed_once(branch):
        return [one for one in bindings if one[1].line <= branch.line][:3]
    if _is_none_check(test):
        return [one for one in bindings if not branch.line <= one[1].line <= branch.end_line][:3]
    return bindings[:3]


def _is_passed_once(node: Node) -> bool:
    """Neither in a loop nor in a nested function, so that what stands below it cannot come before it."""
    return not any(
        above.kind in _LOOPS or (above.kind == "function" and above.parent is not None)
        for above in node.ancestors()
    )


def _is_none_check(test: Node) -> bool:
    inner = test.children[0] if test.kind == "unary" and test.value == "not" and test.children else test
    ends_none = inner.kind == "compare" and inner.children[-1].kind == "constant"
    return ends_none and inner.children[-1].value == "None" and inner.value in ("is", "is_not", "==", "!=")


def loop_depth(node: Node) -> int:
    """How many loops of the same function surround a statement (comprehensions do not count)."""
    depth, below = 0, node
    for above in node.ancestors():
        if above.kind == "function":
            break
        if above.kind in _LOOPS and below.kind == "block":
            depth += 1
        below = above
    return depth


def guards_of(node: Node, scope: Scope) -> tuple[Guard, ...]:
    """The conditions that dominate a statement, innermost first, up to the function it stands in."""
    found: list[Guard] = []
    below = node
    for above in node.ancestors():
        found.extend(_early_exits(above, below, scope))
        found.extend(_branch(above, below, scope))
        if above.kind == "function":
            break
        below = above
    return tuple(found)


def _branch(above: Node, below: Node, scope: Scope) -> list[Guard]:
    if above.kind == "if" and below is not above.children[0]:
        return [Guard(classify(above.children[0], scope), above.children[0], below.kind == "else")]
    if above.kind == "while" and below.kind == "block":
        return _while(above, scope)
    if above.kind == "handler":
        return [Guard(frozenset({"exception"}), above)]
    if above.kind == "case":
        return [Guard(frozenset({"other"}), above.children[0] if above.children else None)]
    if above.kind == "ternary" and below is not above.children[1]:
        return [Guard(classify(above.children[1], scope), above.children[1], below is above.children[2])]
    return []


_UPPER = {"<": 0, "<=": 0, ">": 1, ">=": 1}
"""Which operand of a comparison is the smaller one."""
_OF_A_BOUND = frozenset({"step", "config", "mode", "other"})


def _while(loop: Node, scope: Scope) -> list[Guard]:
    """The test of a ``while``. How long training goes on is no more of a condition than the range of a ``for``.

    Not so below another loop, where the body runs at most once (such a ``while`` is an ``if``), and where it does not
    itself move what the test asks for.
    """
    test = loop.children[0]
    kinds = classify(test, scope)
    if _goes_on(test, scope) and loop_depth(loop) == 0 and not _runs_once(loop) and _moves(loop):
        kinds -= _OF_A_BOUND
        if not kinds:
            return []
    return [Guard(kinds | {"loop"}, test)]


def _goes_on(test: Node, scope: Scope) -> bool:
    """``step < most``, ``epoch <= last and not done``: a counter that has not come to its end."""
    if test.kind == "boolop" and test.value == "and":
        return all(_goes_on(part, scope) for part in test.children)
    if test.kind == "unary" and test.value == "not":
        return _is_plain(test.children[0])
    if test.kind != "compare" or len(test.children) != 2 or test.value not in _UPPER:
        return False
    counter = test.children[_UPPER[test.value]]
    return _is_plain(counter) and "step" in classify(counter, scope)


def _is_plain(node: Node) -> bool:
    while node.kind in ("attribute", "subscript"):
        node = node.children[0]
    return node.kind == "name"


def _moves(loop: Node) -> bool:
    """Whether the body assigns to something that the test of the loop asks for."""
    asked = {node.hash for node in loop.children[0].walk() if _is_plain(node)}
    targets = (node.children[0] for node in loop.walk() if node.kind in ("assign", "augassign"))
    return any(target.hash in asked for target in targets)


def _runs_once(loop: Node) -> bool:
    """Whether the body ends in a ``break``, ``return`` or ``raise`` that nothing but ``with`` or ``try`` is around."""
    return any(block.kind == "block" and _stops(block) for block in loop.children)


def _stops(block: Node) -> bool:
    for statement in block.children:
        if statement.kind in ("break", "return", "raise"):
            return True
        if statement.kind in ("with", "try") and any(
            _stops(c) for c in statement.children if c.kind in BLOCKS
        ):
            return True
    return False


def _early_exits(block: Node, below: Node, scope: Scope) -> list[Guard]:
    """``if test: continue`` before a statement guards it, negated."""
    if block.kind not in BLOCKS:
        return []
    exits = scope.exits.get(id(block))
    if exits is None:
        exits = scope.exits[id(block)] = [child for child in block.children if _is_exit(child)]
    earlier = (child for child in exits if child.line < below.line)
    return [Guard(classify(child.children[0], scope), child.children[0], True) for child in earlier]


def _is_exit(statement: Node) -> bool:
    return statement.kind == "if" and len(statement.children) == 2 and _leaves(statement.children[1])


def _leaves(block: Node) -> bool:
    return bool(block.children) and block.children[-1].kind in _EXITS
