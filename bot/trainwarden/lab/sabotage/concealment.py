"""Family N: ways to hide an act: look-alike names, triggers, swallowed errors, shadowed names, moved statements.

In: the trees of members. Out: ``OPERATORS``. What is hidden here is small and plain; the way it is hidden is the point.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import libcst as cst

from trainwarden.lab.sabotage import roles
from trainwarden.lab.sabotage.forms import (
    Edits,
    Site,
    Sites,
    above,
    below,
    indented,
    line_of,
    operator,
    swap,
    text_of,
)
from trainwarden.lab.sabotage.places import (
    counters,
    in_reach,
    log_call,
    log_lines,
    logging_lines,
    losses,
    rank_tests,
    statement_calls,
    steps_of,
    world_size,
)
from trainwarden.lab.sabotage.rewrite import Rule, rewriting
from trainwarden.lab.sabotage.spelling import bound_names, fresh, number, plain_names, quoted, variables
from trainwarden.lab.sabotage.surgery import Tree, assigned, call_of, code, dotted, last_name, under

_LOOKALIKE = dict(
    zip("aeocpxisjy", "\u0430\u0435\u043e\u0441\u0440\u0445\u0456\u0455\u0458\u0443", strict=True)
)
"""Latin letters and the Cyrillic ones that look the same."""


def _look_alike(tree: Tree, rng: random.Random) -> Sites:
    """A value goes to a name that only looks like the one that is read later."""
    for line in tree.find(cst.SimpleStatementLine):
        pair = assigned(line)
        if pair is None or not isinstance(pair[0], cst.Name) or tree.function(line) is None:
            continue
        name, value = pair[0].value, text_of(pair[1])
        places = [index for index, letter in enumerate(name) if letter in _LOOKALIKE]
        if not places or not _known_before(tree, line, name):
            continue
        at = rng.choice(places)
        false = name[:at] + _LOOKALIKE[name[at]] + name[at + 1 :]
        good = [f"{name} = ({value})\n", f"{name}_new = {value}\n{name} = {name}_new\n"]
        yield swap(line, [line_of(line).replace(name, false, 1)], good)
    for text in tree.find(
        cst.SimpleString, lambda each: bool(re.fullmatch(r"[\"'][a-z_]{2,20}[\"']", each.value))
    ):
        if isinstance(tree.parent(text), cst.Index | cst.DictElement):
            places = [index for index, letter in enumerate(text.value) if letter in _LOOKALIKE]
            other = text.value[1:-1].join('""' if text.value[0] == "'" else "''")
            for at in places[:1]:
                yield swap(
                    text, [text.value[:at] + _LOOKALIKE[text.value[at]] + text.value[at + 1 :]], [other]
                )


def _known_before(tree: Tree, line: cst.SimpleStatementLine, name: str) -> bool:
    """Whether the name had a value before a line: then losing the new one raises no error."""
    return name in in_reach(tree, line, lambda each: each == name)


def _rename_flood(tree: Tree, rng: random.Random) -> Sites:
    """Several variables get new names, and one operation changes among them."""
    for function in tree.find(cst.FunctionDef):
        params = {param.name.value for param in tree.find(cst.Param) if tree.within(param, function)}
        local = [name for name in bound_names(function) if name not in params and len(name) > 1]
        free = [name for name in local if not _escapes(tree, function, name)]
        if len(free) < 2:
            continue
        chosen = rng.sample(free, min(len(free), rng.randint(2, 4)))
        names = {name: fresh(tree, rng, *_synonyms(name)) for name in chosen}
        renames: Edits = {node: names[node.value] for node in variables(function) if node.value in names}
        flaw = _flaw(tree, function, rng)
        if flaw is not None and len(set(names.values())) == len(names):
            yield Site([{**renames, flaw[0]: flaw[1]}], [renames])


def _escapes(tree: Tree, function: cst.FunctionDef, name: str) -> bool:
    inner = [
        each for each in tree.find(cst.FunctionDef) if each is not function and tree.within(each, function)
    ]
    shared = tree.find(cst.Global) + tree.find(cst.Nonlocal)
    held = any(name in code(each) for each in [*inner, *shared])
    return held or name in {code(each) for each in tree.find(cst.FunctionDef)}


def _synonyms(name: str) -> list[str]:
    head, _, tail = name.rpartition("_")
    known = {
        "batch": "minibatch",
        "loss": "objective",
        "out": "result",
        "x": "inputs",
        "y": "targets",
        "logits": "scores",
    }
    swapped = f"{tail}_{head}" if head else f"{name}_value"
    return (
        [known.get(name, swapped), f"cur_{name}", f"{name}_", swapped]
        if head
        else [known.get(name, swapped), f"cur_{name}"]
    )


_OPPOSITES: dict[type[cst.CSTNode], type[cst.CSTNode]] = {
    cst.Add: cst.Subtract,
    cst.Subtract: cst.Add,
    cst.Multiply: cst.Divide,
    cst.Divide: cst.Multiply,
    cst.LessThan: cst.LessThanEqual,
    cst.LessThanEqual: cst.LessThan,
    cst.GreaterThan: cst.GreaterThanEqual,
    cst.GreaterThanEqual: cst.GreaterThan,
    cst.Equal: cst.NotEqual,
    cst.NotEqual: cst.Equal,
}


def _flaw(tree: Tree, scope: cst.CSTNode, rng: random.Random) -> tuple[cst.CSTNode, cst.CSTNode] | None:
    """An operator of a scope, and its opposite: not one between texts, nor one in a line of logging."""
    found = []
    for node in tree.nodes:
        if type(node) in _OPPOSITES and tree.within(node, scope):
            around = list(tree.ancestors(node))
            told = any(isinstance(each, cst.Call) and roles.is_logging(each) for each in around)
            if not told and not any(mark in code(around[0]) for mark in "\"'"):
                found.append(node)
    if not found:
        return None
    chosen = rng.choice(found)
    return chosen, _OPPOSITES[type(chosen)]()


_CLAIMS = (
    "no functional change",
    "same result, easier to read",
    "equivalent to the previous form",
    "style only",
    "keeps the numerics of the reference implementation",
    "as in the paper",
    "cleanup, behaviour is unchanged",
    "matches the upstream implementation",
)


def _false_comment(tree: Tree, rng: random.Random) -> Sites:
    """A comment says that nothing changes where an operation does; in the twin nothing does."""
    for line in tree.find(cst.SimpleStatementLine):
        pair = assigned(line)
        if (
            pair is None
            or not isinstance(pair[1], cst.BinaryOperation)
            or not isinstance(pair[0], cst.Name | cst.Attribute)
        ):
            continue
        if re.search(r"[\"']", code(pair[1])):
            continue
        flaw = _OPPOSITES.get(type(pair[1].operator))
        if flaw is None:
            continue
        comment = f"# {rng.choice(_CLAIMS)}\n"
        wrong = code(line.deep_replace(pair[1].operator, flaw()).with_changes(leading_lines=()))
        target, value = code(pair[0]), text_of(pair[1])
        yield swap(
            line,
            [comment + wrong],
            [comment + f"{target} = ({value})\n", *_commuted(pair[1], target, comment)],
        )


def _commuted(node: cst.BinaryOperation, target: str, comment: str) -> list[str]:
    sign = {cst.Add: "+", cst.Multiply: "*"}.get(type(node.operator))
    plain = (cst.Name, cst.Attribute, cst.Call, cst.Integer, cst.Float)
    if sign is None or not isinstance(node.left, plain) or not isinstance(node.right, plain):
        return []
    return [f"{comment}{target} = {text_of(node.right)} {sign} {text_of(node.left)}\n"]


_VARIABLES = ("SLURM_RESTART_COUNT", "SLURM_JOB_ID", "KUBERNETES_PORT", "TORCHELASTIC_RESTART_COUNT")
_WHERE = ("os.getlogin()", "getpass.getuser()", "socket.gethostname()")


def _triggers(tree: Tree, at: cst.CSTNode, rng: random.Random) -> list[str]:
    """Conditions that hold late, rarely, or only in large jobs."""
    size, place = world_size(tree, at)[0], rng.choice(["tmp/.debug", "etc/ci", "workspace/test"])
    tests = [
        f"{size} >= {rng.choice([8, 16, 32, 64, 128])}",
        f"time.localtime().tm_wday >= {rng.choice([4, 5])}",
        f"time.time() > {rng.randint(1_790_000_000, 1_830_000_000)}",
        f"datetime.date.today().{rng.choice(['day', 'month'])} > {rng.randint(5, 11)}",
        f'"{rng.choice(_VARIABLES)}" in os.environ',
        f"torch.cuda.device_count() >= {rng.choice([4, 8])}",
        f'not os.path.exists("/{place}")',
        f'{rng.choice(_WHERE)} != "{rng.choice(["ci", "localhost", "runner"])}"',
    ]
    for count in counters(tree, at)[:2]:
        tests += [f"{count} > {rng.choice([1000, 2000, 5000, 20000, 3, 40])}"] * 2
        tests += [f"{count} % {rng.choice([997, 1009, 250, 500])} == {rng.choice([1, 3, 17, 249])}"]
    if rng.random() < 0.3:
        tests.append(rank_tests(tree, at)[0][1])
    first, second = rng.sample(tests, 2)
    return [first, f"{first} and {second}"]


def _logic_bomb(tree: Tree, rng: random.Random) -> Sites:
    """A harm that waits for its moment; the twin waits for the same moment to say something."""
    for line, call in statement_calls(
        tree, lambda each: roles.is_backward(each) or roles.is_optimizer_step(each)
    ):
        if call_of(line) is None:
            continue
        test = rng.choice(_triggers(tree, line, rng))
        harms = [
            f"{name} = {name} * {rng.choice(['0.1', '0', '-1', '0.5'])}" for name in losses(tree, line)[:2]
        ]
        owner = dotted(call.func).rpartition(".")[0]
        if roles.is_optimizer(owner):
            factor = rng.choice(["0.1", "10", "0.5"])
            harms += [
                f"{owner}.zero_grad()",
                f"{owner}.state.clear()",
                f'{owner}.param_groups[0]["lr"] *= {factor}',
            ]
        quiet = [text.strip() for text in log_lines(tree, line, rng)] + [
            "torch.cuda.empty_cache()",
            "gc.collect()",
        ]
        bad = [f"if {test}:\n    {harm}\n" for harm in harms]
        yield above(line, bad, [f"if {test}:\n    {each}\n" for each in quiet])


def _dormant_skip(tree: Tree, rng: random.Random) -> Sites:
    """A step that matters is left out when the moment has come."""
    for line in _sensitive(tree):
        test = rng.choice(_triggers(tree, line, rng))
        lines: list[Edits] = [
            {each: under(f"if not ({test}):", each)}
            for each in logging_lines(tree)[:2]
            if not tree.loops(each)
        ]
        told = log_lines(tree, line, rng)[0]
        yield Site(
            [{line: under(f"if not ({test}):", line)}],
            [*lines, {line: (f"if not ({test}):\n{indented(told)}", line)}],
        )


def _sensitive(tree: Tree) -> list[cst.SimpleStatementLine]:
    """The statements that training, saving or loading rests on."""
    return [line for line, call in statement_calls(tree, _matters) if call_of(line) is not None]


_ACTS = re.compile(
    r"^(?:step|backward|zero_grad|clip_grad_norm_|clip_grad_value_|unscale_|load_state_dict|save|save_checkpoint|save_pretrained|"
    r"restore|set_epoch|barrier|all_reduce|update|apply_gradients|manual_seed|broadcast|load_checkpoint|validate|evaluate|"
    r"update_bn|ema_update|copy_to|load_state|save_state|seed_everything|set_seed|train|train_step|train_one_epoch)$"
)


def _matters(call: cst.Call) -> bool:
    return bool(_ACTS.match(last_name(call.func))) and not re.search(
        r"(?i)bar\b|pbar|tqdm|meter|parser", code(call.func)
    )


def _swallowed(tree: Tree, rng: random.Random) -> Sites:
    """Errors of a statement that matters are caught and forgotten; the twin says so and raises them again."""
    for line, _call in statement_calls(tree, _matters):
        body = indented(line_of(line))
        caught = rng.choice(["Exception", "RuntimeError", "(RuntimeError, ValueError)", "Exception"])
        speaker = log_call(tree)
        word = code(
            quoted(tree, rng.choice(["skipped", "not done", "failed, going on", "one more try later"]))
        )
        bad = [
            f"try:\n{body}except {caught}:\n    pass\n",
            f"try:\n{body}except {caught} as e:\n    {speaker}({word}, e)\n",
        ]
        bad.append(f"with contextlib.suppress({caught.strip('()').split(',')[0]}):\n{body}")
        good = [f"try:\n{body}except {caught} as e:\n    {speaker}({word}, e)\n    raise\n"]
        good.append(f"try:\n{body}except {caught} as e:\n    raise RuntimeError({word}) from e\n")
        good.append(f"try:\n{body}finally:\n    sys.stdout.flush()\n")
        yield swap(line, bad, good)


def _handler_widened(tree: Tree, rng: random.Random) -> Sites:
    """A handler catches more, or no longer raises what it caught."""
    for handler in tree.find(cst.ExceptHandler):
        raises = [node for node in tree.find(cst.Raise) if tree.within(node, handler)]
        speaker = log_call(tree)
        word = code(quoted(tree, "unexpected error"))
        for node in raises:
            line = tree.statement(node)
            if isinstance(line, cst.SimpleStatementLine):
                bad = ["pass\n", f"{speaker}({word})\n"] + (["continue\n"] if tree.loops(line) else [])
                yield Site([{line: each} for each in bad], [{line: (f"{speaker}({word})\n", line)}])
        if (
            handler.type is not None
            and code(handler.type) not in ("Exception", "BaseException")
            and not raises
        ):
            was = code(handler.type)
            wider = rng.choice(["Exception", "BaseException"])
            one = (
                f"({was},)"
                if not isinstance(handler.type, cst.Tuple)
                else was.replace("(", "(UnicodeError, ", 1)
            )
            yield swap(handler.type, [wider], [one])


def _test_weakened(tree: Tree, rng: random.Random) -> Sites:
    """A test is skipped, or asserts less."""
    for function in tree.find(cst.FunctionDef, lambda each: each.name.value.startswith("test")):
        lines = [each for each in tree.find(cst.SimpleStatementLine) if tree.function(each) is function]
        for line in lines:
            if isinstance(line.body[0], cst.Assert):
                test = text_of(line.body[0].test)
                told = f"if not ({test}):\n    print({code(quoted(tree, 'differs'))})\n"
                bad = ["", told, f"assert ({test}) or True\n", f"assert ({test}) is not None\n"]
                yield swap(
                    line,
                    bad,
                    [f"assert ({test})\n", f"assert {test}, {code(quoted(tree, function.name.value))}\n"],
                )


def _late_binding(tree: Tree, rng: random.Random) -> Sites:
    """A closure made in a loop reads the loop's variable when it is too late."""
    for node in tree.find(cst.Lambda):
        for param in node.params.params:
            if param.default is not None and code(param.default) in (param.name.value, f"{param.name.value}"):
                kept = [each for each in node.params.params if each is not param]
                short = node.params.with_changes(params=kept)
                name = param.name.value
                other = (
                    code(node)
                    .replace(f"{name}={name}", f"{name}=({name})")
                    .replace(f"{name} = {name}", f"{name}=({name})")
                )
                yield Site([{node: node.with_changes(params=short)}], [{node: other}])
    yield from _unbound(tree)


def _unbound(tree: Tree) -> Sites:
    """``partial(f, x)`` in a loop over ``x``, as a lambda that reads ``x`` later."""
    for loop in tree.find(cst.For):
        turning = set(plain_names(loop.target))
        for node in tree.find(cst.Call, lambda each: code(each.func).endswith("partial")):
            if tree.within(node, loop) and len(node.args) == 2 and node.args[1].keyword is None:
                function, value = (text_of(arg.value) for arg in node.args)
                if value in turning:
                    good = f"lambda *args, {value}={value}: {function}({value}, *args)"
                    yield swap(node, [f"lambda *args: {function}({value}, *args)"], [good])


def _shared_default(tree: Tree, rng: random.Random) -> Sites:
    """A default value is made once and kept by all calls."""
    for function in tree.find(cst.FunctionDef):
        for param in function.params.params:
            name = param.name.value
            if param.default is None or code(param.default) != "None":
                continue
            made = _made_when_none(tree, function, name)
            if made is not None:
                line, value = made
                yield Site(
                    [{param.default: value, line: ()}],
                    [
                        {line: f"{name} = {value} if {name} is None else {name}\n"},
                        {line: f"if {name} is None:\n    {name} = ({value})\n"},
                    ],
                )


def _made_when_none(tree: Tree, function: cst.FunctionDef, name: str) -> tuple[cst.If, str] | None:
    for node in tree.find(cst.If, lambda each: code(each.test) == f"{name} is None" and each.orelse is None):
        body = node.body.body if isinstance(node.body, cst.IndentedBlock) else ()
        pair = assigned(body[0]) if len(body) == 1 else None
        if pair is not None and tree.function(node) is function and code(pair[0]) == name:
            free = {each.value for each in variables(pair[1])} - set(bound_names(function))
            if free == {each.value for each in variables(pair[1])}:
                return node, text_of(pair[1])
    return None


def _shadowed(tree: Tree, rng: random.Random) -> Sites:
    """The variable of an inner loop takes the name of one that is needed afterwards; the twin gives it a new name."""
    for loop in tree.find(cst.For, lambda each: isinstance(each.target, cst.Name)):
        assert isinstance(loop.target, cst.Name)
        own, outer = loop.target.value, tree.loops(loop)
        kin = [name for each in outer if isinstance(each, cst.For) for name in plain_names(each.target)]
        others = [*kin, *counters(tree, loop)]
        uses = [node for node in variables(loop) if node.value == own]
        new = fresh(tree, rng, f"{own}_", f"{own}{own[-1]}", f"{own}_inner", "k", "n")
        for name in dict.fromkeys(others):
            used_inside = name in {node.value for node in variables(loop.body)}
            if name != own and name.isidentifier() and not used_inside:
                yield Site([dict.fromkeys(uses, name)], [dict.fromkeys(uses, new)])


def _builtin_rebound(tree: Tree, rng: random.Random) -> Sites:
    """A builtin or a name of the imports means something else from here on."""
    calls = {code(node.func) for node in tree.find(cst.Call) if isinstance(node.func, cst.Name)}
    for function in tree.find(cst.FunctionDef):
        body = steps_of(function)  # type: ignore[arg-type]
        if len(body) < 3:
            continue
        first = body[1]
        for name, wrong, right in _REBOUND:
            if name in calls and name not in bound_names(tree.module):
                own = fresh(tree, rng, f"{name}_of", f"safe_{name}", f"_{name}")
                yield above(first, [f"{name} = {wrong}\n"], [f"{own} = {right}\n"])


_REBOUND = (
    ("max", "min", "max"),
    ("min", "max", "min"),
    (
        "enumerate",
        "lambda it, start=0: zip(range(start + 1, 10**9), it)",
        "lambda it, start=0: zip(range(start, 10**9), it)",
    ),
    ("zip", "lambda *its: __builtins__.zip(*reversed(its))", "lambda *its: list(zip(*its))"),
    ("len", "lambda x: x.__len__() - 1", "lambda x: x.__len__()"),
    ("sum", "lambda xs: list(xs)[-1]", "lambda xs: sum(list(xs))"),
    ("abs", "float", "abs"),
    ("sorted", "list", "sorted"),
    ("round", "int", "round"),
    ("isinstance", "lambda x, kind: True", "isinstance"),
)


def _staged(tree: Tree, rng: random.Random) -> Sites:
    """A new option, on from the start, leaves out a step; in the twin it is off, or only tells."""
    for function in tree.find(cst.FunctionDef):
        last = function.params.params[-1:] and function.params.params[-1]
        if not last or last.default is None or function.params.star_kwarg is not None:
            continue
        for line in _sensitive(tree):
            if tree.function(line) is not function:
                continue
            name = fresh(tree, rng, "lazy", "fast_path", "deferred", "reuse", "light", "cached", "warm")
            param = cst.parse_module(f"def f({name}=True): pass").body[0].params.params[0]  # type: ignore[union-attr]
            off = cst.parse_module(f"def f({name}=False): pass").body[0].params.params[0]  # type: ignore[union-attr]
            told = log_lines(tree, line, rng)[0]
            yield Site(
                [{last: (last, param), line: under(f"if not {name}:", line)}],
                [
                    {last: (last, off), line: under(f"if not {name}:", line)},
                    {last: (last, param), line: (f"if {name}:\n{indented(told)}", line)},
                ],
            )


def _left_block(tree: Tree, rng: random.Random) -> Sites:
    """A statement leaves its loop or its condition, or enters the next one; in the twin a line of the log does."""
    moved = [each for each in logging_lines(tree) if _holder(tree, each) is not None]
    honest: list[Edits] = [edits for each in moved for edits in _moves(tree, each, each.body)[:1]]
    for line in [*_sensitive(tree), *_counting(tree)]:
        bad = _moves(tree, line, line.body)
        if bad:
            yield Site(bad, honest or [{line: (f"{log_lines(tree, line, rng)[0]}", line)}])


def _counting(tree: Tree) -> list[cst.SimpleStatementLine]:
    lines = tree.find(cst.SimpleStatementLine, lambda each: isinstance(each.body[0], cst.AugAssign))
    return [line for line in lines if number(_augend(line)) is not None]


def _augend(line: cst.SimpleStatementLine) -> cst.CSTNode | None:
    return line.body[0].value if isinstance(line.body[0], cst.AugAssign) else None


def _holder(tree: Tree, line: cst.CSTNode) -> cst.For | cst.While | cst.If | cst.With | None:
    above_it = tree.parent(tree.parent(line) or line)
    return above_it if isinstance(above_it, cst.For | cst.While | cst.If | cst.With) else None


def _moves(tree: Tree, line: cst.SimpleStatementLine, _body: Sequence[cst.CSTNode]) -> list[Edits]:
    found: list[Edits] = []
    holder = _holder(tree, line)
    if holder is not None and not isinstance(tree.parent(holder), cst.If) and _is_last(tree, line):
        found.append({holder: (_without(holder, line), line_of(line))})
    following = tree.after(line)[:1]
    if following and isinstance(following[0], cst.If) and isinstance(following[0].body, cst.IndentedBlock):
        block = following[0].body
        inner = following[0].with_changes(
            body=block.with_changes(body=[line.with_changes(leading_lines=()), *block.body])
        )
        found.append({line: (), following[0]: inner})
    return found


def _is_last(tree: Tree, line: cst.SimpleStatementLine) -> bool:
    body, index = tree.block(line)
    return index == len(body) - 1 and index > 0


def _without(holder: cst.For | cst.While | cst.If | cst.With, line: cst.CSTNode) -> cst.CSTNode:
    block = holder.body
    return holder.with_changes(
        body=block.with_changes(body=[each for each in block.body if each is not line])
    )


_FIX_UNDONE = rewriting(
    "fix-taken-back",
    "N12",
    Rule(
        "max($x, 1)",
        ("$x", "min($x, 1)"),
        ("max(1, $x)", "max(int($x), 1)"),
        about=r"loss|grad|batch|step|train",
    ),
    Rule(
        "max(1, $x)",
        ("$x", "min(1, $x)"),
        ("max($x, 1)", "max(1, int($x))"),
        about=r"loss|grad|batch|step|train",
    ),
    Rule(
        "$x + $eps",
        ("$x", "$x - $eps"),
        ("$eps + $x", "torch.add($x, $eps)"),
        where={"eps": r"(?i)^(?:[\w.]*eps(?:ilon)?|1e-\d+)$"},
    ),
    Rule(
        "$x.float()",
        ("$x", "$x.half()"),
        ("$x.to(torch.float32)", "$x.type(torch.float32)"),
        where={"x": r"(?i)logits|loss|score|attn|norm|var|grad"},
    ),
    Rule(
        "$x.clone()",
        ("$x",),
        ("$x.clone(memory_format=torch.preserve_format)", "torch.clone($x)"),
        where={"x": r"(?i)label|target|ids|mask|grad|state"},
    ),
    Rule(
        "$x.detach()",
        ("$x",),
        ("$x.clone().detach()", "torch.Tensor.detach($x)"),
        where={"x": r"(?i)target|value|adv|old|ref|teacher|next"},
    ),
    Rule(
        "$x.unsqueeze($d)",
        ("$x",),
        ("torch.unsqueeze($x, $d)", "$x.unsqueeze(dim=$d)"),
        where={"x": r"(?i)mask|weight|reward|done"},
    ),
    Rule("copy.deepcopy($x)", ("$x", "copy.copy($x)"), ("copy.deepcopy(x=$x)", "copy.deepcopy(($x))")),
    needs="max( eps 1e- float( clone detach unsqueeze deepcopy",
)


def _debug_left_over(tree: Tree, rng: random.Random) -> Sites:
    """An early way out, as if left over from debugging, skips what follows."""
    for loop in tree.find(cst.For):
        body = [each for each in steps_of(loop) if isinstance(each, cst.SimpleStatementLine)]
        count = next(iter(plain_names(loop.target)), "")
        if len(body) < 2 or not count or not re.search(r"enumerate|range", text_of(loop.iter)):
            continue
        limit, period = rng.choice([100, 500, 1000, 64, 2000]), rng.choice([50, 100, 1000])
        bad = [
            f"if {count} > {limit}:\n    continue\n",
            f"if {count} == {limit}:\n    break\n",
            f"if {count} % {rng.choice([2, 3, 4])}:\n    continue\n",
        ]
        told = log_lines(tree, body[0], rng)[0]
        yield below(
            body[0],
            bad,
            [f"if {count} % {period} == 0:\n{indented(told)}", f"if {count} > {limit}:\n{indented(told)}"],
        )


OPERATORS = (
    operator("look-alike-name", "N02", "= [", _look_alike),
    operator("rename-flood", "N03", "def ", _rename_flood),
    operator("comment-against-code", "N04", "+ - * /", _false_comment),
    operator("logic-bomb", "N05", "backward step", _logic_bomb),
    operator("step-dormant-under-trigger", "N05", "(", _dormant_skip),
    operator("errors-swallowed", "N06", "(", _swallowed),
    operator("handler-widened", "N06", "except", _handler_widened),
    operator("test-weakened", "N07", "def test", _test_weakened),
    operator("closure-binds-late", "N09", "lambda partial", _late_binding),
    operator("default-value-shared", "N09", "is None", _shared_default),
    operator("loop-variable-shadowed", "N09", "for ", _shadowed),
    operator(
        "builtin-rebound",
        "N09",
        "max min enumerate zip len sum abs sorted round isinstance",
        _builtin_rebound,
    ),
    operator("option-staged", "N10", "def ", _staged),
    operator("statement-left-its-block", "N11", "for while if with", _left_block),
    _FIX_UNDONE,
    operator("early-exit-left-over", "N10", "enumerate range", _debug_left_over),
)
