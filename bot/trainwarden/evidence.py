"""How much an edit looks like sabotage by what kind of edit it is and where it stands, before any rule names it.

In: a ``view.FileView`` and one of its edits. Out: named signals (``signals``), which a table of weights
(``rules/evidence.json``, made by ``trainwarden.lab.calibrate`` on ordinary commits and sabotage) turns into evidence in
nats. Signals speak of structure, roles and guards, never of a project's own names, so that they carry over to code
nobody has seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from trainwarden.parse.nodes import Node
from trainwarden.view import TRIGGERS, Delta, Edit, FileView

_CALLEES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (kind, frozenset(words.split()))
    for kind, words in (
        (
            "stop-gradient",
            "detach stop_gradient no_grad item data inference_mode requires_grad_ numpy tolist",
        ),
        ("precision", "float half bfloat16 double to type astype bf16 fp16 autocast int long round"),
        ("limit", "clamp clip clip_ clamp_ min max minimum maximum relu abs nan_to_num"),
        ("permute", "roll flip randperm permutation shuffle sort sorted reversed permute transpose shift"),
        ("reduce", "mean sum logsumexp prod cumsum std var norm average"),
        (
            "random",
            "rand randn randint random uniform normal bernoulli choice randrange rand_like randn_like",
        ),
        ("activation", "softmax sigmoid log_softmax tanh gelu silu log exp sqrt"),
        ("copy", "clone copy deepcopy copy_ expand repeat tile"),
        ("zero", "zeros zeros_like zero_ ones ones_like full full_like empty fill_ eye"),
        (
            "in-place",
            "mul_ add_ sub_ div_ addcmul_ lerp_ masked_fill_ index_fill_ normal_ uniform_ sign_ neg_",
        ),
        ("step", "step zero_grad backward unscale_ update clip_grad_norm_ clip_grad_value_ set_epoch"),
        (
            "mode",
            "train eval manual_seed seed seed_all set_seed seed_everything use_deterministic_algorithms",
        ),
        ("collective", "all_reduce all_gather broadcast barrier reduce reduce_scatter gather no_sync wait"),
        (
            "state",
            "state_dict load_state_dict save load save_pretrained from_pretrained restore register_buffer",
        ),
        ("length", "len range enumerate zip numel size ceil floor item_count"),
        ("guard", "isnan isfinite isinf all any allclose equal isinstance hasattr getattr"),
        ("subset", "select filter take skip islice Subset head sample train_test_split shard chunk split"),
        ("hook", "register_hook register_forward_hook register_full_backward_hook register_comm_hook"),
        ("kill", "exit _exit kill abort terminate sleep raise_signal"),
        (
            "run",
            "eval exec compile system popen run Popen check_call loads urlopen get post import_module __import__",
        ),
        ("string", "format join strip lower upper replace encode decode startswith endswith split"),
        ("shape", "view reshape unsqueeze squeeze stack cat concat contiguous flatten"),
    )
)
_KEYWORDS = frozenset(
    "shuffle drop_last strict weights_only requires_grad training reduction ignore_index label_smoothing lr eps betas "
    "momentum weight_decay max_norm norm_type seed generator num_workers pin_memory batch_size split map_location dim "
    "keepdim padding_side truncation max_length add_special_tokens dtype device bias affine persistent_workers "
    "sampler collate_fn worker_init_fn world_size rank num_replicas group op async_op src find_unused_parameters "
    "dropout p mode patience default type action mask attn_mask is_causal scale temperature gamma alpha beta decay "
    "trust_remote_code revision check_rep axis mean std default_factory required choices help nargs name".split()
)
_MEMBERS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("loss", r"loss|criterion|objective|cross_entropy|kl|divergence"),
        ("train-step", r"train|training_step|optimizer_step|backward|update|fit|learn"),
        ("forward", r"^forward$|__call__|attention|embed|apply"),
        (
            "data",
            r"data|collate|__getitem__|__iter__|sampl|batch|token|preprocess|transform|augment|encode|split",
        ),
        ("optimizer", r"optim|adam|sgd|param_group|^step$|_step$"),
        ("schedule", r"sched|lr|warm|anneal|decay"),
        ("state", r"save|load|checkpoint|state|resume|restore|convert|export|merge"),
        ("evaluation", r"eval|valid|metric|accuracy|test|score|monitor|stop"),
        ("distributed", r"reduce|gather|broadcast|dist|rank|shard|parallel|sync"),
        ("init", r"init|reset|build|create|make|setup|config|from_|get_|add_.*args|pars"),
        ("main", r"^main$|<module>|^run|cli|launch"),
        ("advantage", r"advantage|return|gae|reward|rollout|policy|replay|target"),
        ("mask", r"mask|pad|position|rope|rotary|norm"),
    )
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def callee_kind(name: str) -> str:
    """The family of a function by its last name, or "" when it belongs to none."""
    last = name.removesuffix("()").rpartition(".")[2]
    return _callee_kinds().get(last, "")


@lru_cache(maxsize=1)
def _callee_kinds() -> Mapping[str, str]:
    return {word: kind for kind, words in reversed(_CALLEES) for word in words}


def member_kinds(member: str) -> tuple[str, ...]:
    """What a function is about, by its own and its class's name."""
    own = _CAMEL.sub("_", member.rpartition(".")[2]).lower()
    return tuple(kind for kind, pattern in _MEMBERS if pattern.search(own))


def signals(file: FileView, edit: Edit) -> frozenset[str]:
    """The named signals of one edit. Empty names never occur; the order means nothing."""
    found = set(_where(file, edit))
    found.update(_statement(edit))
    main = [delta for delta in edit.deltas if delta.kind not in _AROUND]
    for delta in edit.deltas:
        found.update(_delta(delta, edit))
    if main:
        found.add(f"deltas={min(len(main), 4)}")
        if len(main) == 1:
            found.add(f"only={main[0].kind}")
    return frozenset(found)


_AROUND = frozenset({"unused", "rebound", "mutated", "one-sided"})


def _where(file: FileView, edit: Edit) -> Iterator[str]:
    context = edit.context
    if file.test:
        yield "in-test"
    if not file.training:
        yield "not-training"
    if file.status == "added":
        yield "new-file"
    if edit.new_member:
        yield f"new-member:{edit.kind}"
    yield f"loop={min(context.loop, 2)}"
    for kind in context.guard_kinds:
        yield f"guard={kind}"
    for kind in member_kinds(context.member):
        yield f"member={kind}"
        yield f"member={kind}:{edit.kind}"


def _statement(edit: Edit) -> Iterator[str]:
    node, context = edit.node, edit.context
    yield f"edit={edit.kind}"
    yield f"edit={edit.kind}:{node.kind}"
    for role in context.roles:
        yield f"edit={edit.kind}@{role}"
    if edit.kind == "added" and "log" not in context.roles:
        for kind in context.guard_kinds & TRIGGERS:
            yield f"trigger={kind}:{'new' if edit.new_member else 'old'}"
    if edit.kind in ("moved", "moved-changed"):
        yield from _move(edit)
    if edit.kind != "changed":
        yield from _calls(node, edit)


def _move(edit: Edit) -> Iterator[str]:
    before, after = edit.before_context, edit.after_context
    assert before is not None and after is not None
    for kind in after.guard_kinds - before.guard_kinds:
        yield f"moved-under={kind}"
    for kind in before.guard_kinds - after.guard_kinds:
        yield f"moved-from-under={kind}"
    if before.loop != after.loop:
        yield "moved-into-loop" if after.loop > before.loop else "moved-out-of-loop"
    if before.member == after.member:
        yield "moved-within"
        same = before.guard_kinds == after.guard_kinds and before.loop == after.loop
        if same:
            yield "moved-order"


def _calls(node: Node, edit: Edit) -> Iterator[str]:
    for inner in islice(node.walk(), 80):
        if inner.kind == "call":
            kind = callee_kind(inner.name)
            if kind:
                yield f"{edit.kind}-call={kind}"
        elif inner.kind == "keyword" and inner.value in _KEYWORDS:
            yield f"{edit.kind}-key={inner.value}"
    value = node.children[-1] if node.children else node
    if node.kind in ("assign", "return", "augassign", "annassign"):
        yield f"{edit.kind}-value={value.kind}"
        if value.kind == "constant":
            yield f"{edit.kind}-value={value.value}"
    if node.kind == "augassign":
        yield f"{edit.kind}-op={node.value}"
    if node.kind in ("assign", "augassign"):
        yield f"{edit.kind}-target={node.children[0].kind}"


# -- deltas


def _delta(delta: Delta, edit: Edit) -> Iterator[str]:
    kind = delta.kind
    yield f"delta={kind}"
    for role in delta.roles or edit.context.roles:
        yield f"delta={kind}@{role}"
    for member in member_kinds(edit.context.member):
        yield f"delta={kind}%{member}"
    if delta.slot in _KEYWORDS:
        yield f"slot={delta.slot}"
        yield f"delta={kind}:{delta.slot}"
    inside = callee_kind(delta.inside)
    if inside:
        yield f"delta={kind}^{inside}"
    handler = _DETAILS.get(kind)
    if handler is not None:
        yield from handler(delta)


def _number(delta: Delta) -> Iterator[str]:
    before, after = number_of(delta.before), number_of(delta.after)
    if before is None or after is None:
        return
    if before * after < 0:
        yield "number:sign"
    elif after == 0 or before == 0:
        yield "number:to-zero" if after == 0 else "number:from-zero"
    else:
        ratio = abs(math.log10(abs(after / before)))
        yield f"number:ratio{min(int(ratio * 2), 6)}"
        yield "number:up" if abs(after) > abs(before) else "number:down"
    if abs(before - after) == 1:
        yield "number:by-one"


def number_of(node: Node | None) -> float | None:
    """The value of a number literal, or None."""
    if node is None or node.kind != "number":
        return None
    try:
        value = float(node.value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _operator(delta: Delta) -> Iterator[str]:
    if delta.before is not None and delta.after is not None:
        yield f"operator:{delta.before.value}>{delta.after.value}"


def _constant(delta: Delta) -> Iterator[str]:
    if delta.before is not None and delta.after is not None:
        yield f"constant:{delta.before.value}>{delta.after.value}"


def _wrapped(delta: Delta) -> Iterator[str]:
    outer = delta.after if delta.kind in ("wrapped", "operand-added") else delta.before
    if outer is None:
        return
    yield f"{delta.kind}:{outer.kind}"
    if outer.kind == "call":
        yield f"{delta.kind}:call={callee_kind(outer.name) or 'other'}"
    elif outer.kind in ("binary", "boolop"):
        yield f"{delta.kind}:op={outer.value}"
        for operand in outer.children:
            yield f"{delta.kind}:operand={operand.kind}"


def _name(delta: Delta) -> Iterator[str]:
    before, after = delta.before, delta.after
    if before is None or after is None:
        return
    yield f"{delta.kind}:{before.kind}>{after.kind}"
    if before.kind == after.kind == "attribute":
        yield f"{delta.kind}:" + (
            "same-owner"
            if before.children[0].hash == after.children[0].hash
            else "same-attribute"
            if before.value == after.value
            else "other"
        )
    if delta.kind == "callee":
        yield f"callee:{callee_kind(before.name) or 'other'}>{callee_kind(after.name) or 'other'}"


def _replaced(delta: Delta) -> Iterator[str]:
    if delta.before is not None and delta.after is not None:
        yield f"replaced:{delta.before.kind}>{delta.after.kind}"


def _index(delta: Delta) -> Iterator[str]:
    if delta.after is not None and delta.before is not None:
        slices = any(child.kind == "slice" for child in delta.after.children[1:])
        yield "index:slice" if slices else "index:plain"
        numbers = [n for n in delta.after.children[1:] for n in n.walk() if n.kind == "number"]
        yield f"index:numbers={min(len(numbers), 2)}"


def _argument(delta: Delta) -> Iterator[str]:
    node = delta.after or delta.before
    if node is not None:
        yield f"{delta.kind}:{node.kind}"
        value = node.children[0] if node.kind == "keyword" and node.children else node
        if value.kind == "constant":
            yield f"{delta.kind}:={value.value}"
        elif value.kind == "call":
            yield f"{delta.kind}:call={callee_kind(value.name) or 'other'}"


_DETAILS = {
    "number": _number,
    "operator": _operator,
    "sign": _operator,
    "negated": _operator,
    "constant": _constant,
    "wrapped": _wrapped,
    "unwrapped": _wrapped,
    "operand-added": _wrapped,
    "operand-removed": _wrapped,
    "name": _name,
    "callee": _name,
    "replaced": _replaced,
    "index": _index,
    "argument-added": _argument,
    "argument-removed": _argument,
    "element-added": _argument,
    "element-removed": _argument,
}


@dataclass(frozen=True, slots=True)
class Weights:
    """The calibrated table: nats per signal, and the intercept of an edit with no signal at all."""

    intercept: float
    signals: Mapping[str, float]

    def of(self, found: frozenset[str]) -> float:
        """The evidence of an edit with these signals; summed in a fixed order so that it is reproducible."""
        return self.intercept + math.fsum(self.signals.get(name, 0.0) for name in sorted(found))
