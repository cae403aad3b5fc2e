"""Collectives, process groups, wrappers of the model, synchronisation, and arithmetic with ranks and world size."""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, bare, every, words
from trainwarden.parse.nodes import Node

_COLLECTIVES = {
    "all_reduce": "tensor op group async_op",
    "allreduce": "tensor op",
    "reduce": "tensor dst op group",
    "all_gather": "tensor_list tensor group",
    "all_gather_into_tensor": "output_tensor input_tensor group",
    "all_gather_object": "object_list obj group",
    "allgather": "tensor",
    "reduce_scatter": "output input_list op group",
    "reduce_scatter_tensor": "output input op group",
    "broadcast": "tensor src group",
    "broadcast_object_list": "object_list src group",
    "broadcast_parameters": "params root_rank",
    "broadcast_optimizer_state": "optimizer root_rank",
    "all_to_all": "output_tensor_list input_tensor_list group",
    "all_to_all_single": "output input",
    "scatter": "tensor scatter_list src group",
    "gather": "tensor gather_list dst group",
    "gather_for_metrics": "tensor",
    "barrier": "group",
    "monitored_barrier": "group timeout",
    "wait_for_everyone": "",
    "synchronize": "",
    "pmean": "x axis_name",
    "psum": "x axis_name",
    "pmax": "x axis_name",
    "pmin": "x axis_name",
}
_ROOTS = re.compile(
    r"(^|\.)(dist|distributed|torch\.distributed|hvd|horovod|jax|lax|comm|nccl|accelerator|fabric|deepspeed|mpu|utils|xm"
    r"|process_group|misc|strategy|trainer|multihost_utils|distributed_utils|comms?)(\.|$)"
)
_AMBIGUOUS = words("reduce scatter gather broadcast synchronize")


def _collective(reading: Reading, call: Call) -> None:
    owner = call.name.rpartition(".")[0]
    if call.last in _AMBIGUOUS and not _ROOTS.search(owner):
        return
    if call.last == "synchronize" and "cuda" in owner:
        return
    shown = f"{call.last}({reading.arguments(call)})"
    reading.add("collective.call", call.node, shown, call.last)
    for word, value in call.named(tuple(_COLLECTIVES[call.last].split())):
        if word in ("op", "group", "src", "root_rank", "axis_name"):
            reading.say(f"collective.{_RENAMED.get(word, word)}", value, value, call.last)


_RENAMED = {"root_rank": "src", "axis_name": "group"}

_WRAPPERS = (
    "DistributedDataParallel DDP DataParallel FullyShardedDataParallel FSDP fully_shard"
    " convert_sync_batchnorm initialize prepare prepare_model setup_module DistributedModel"
    " ShardedDataParallel pmap shard_map replicate"
)


def _wrap(reading: Reading, call: Call) -> None:
    if call.last == "initialize" and not call.name.startswith(("deepspeed", "amp", "apex", "jax")):
        return
    if call.last in ("prepare", "prepare_model", "setup_module", "replicate") and not re.search(
        r"accelerat|fabric|strategy|jax_utils", f"{call.name} {reading.role(call.owner)}".lower()
    ):
        return
    subject = bare(call.name)
    reading.add("distributed.wrap", call.node, ", ".join(map(reading.text, call.positional)), subject)
    for word, value in call.keywords.items():
        reading.say("distributed.option", value, value, f"{call.last} {word}")


def _no_sync(reading: Reading, call: Call) -> None:
    owner = reading.text(call.owner) if call.owner is not None else ""
    reading.add("distributed.no_sync", call.node, f"{call.last}({reading.arguments(call)})", owner)


def _init(reading: Reading, call: Call) -> None:
    reading.add("distributed.group", call.node, reading.arguments(call), call.last)


def _comm_hook(reading: Reading, call: Call) -> None:
    reading.add("distributed.comm_hook", call.node, reading.arguments(call), call.last)


def _assigned(reading: Reading, node: Node) -> None:
    for target in node.children[:-1]:
        if target.kind == "attribute" and target.value in _FLAGS:
            reading.say("distributed.no_sync", node, node.children[-1], target.value)


_FLAGS = frozenset({"require_backward_grad_sync", "requires_gradient_sync", "require_forward_param_sync"})

# -- ranks and world size in arithmetic

_RANK = re.compile(
    r"(^|[._\[])(global_|local_|dp_|data_parallel_|tp_|node_)?rank\b(\(\))?$|get_rank\(\)$|process_index(\(\))?$|\[(LOCAL_)?RANK\]$"
)
_WORLD = re.compile(
    r"world_size(\(\))?$|get_world_size\(\)$|num_replicas$|num_processes$|device_count\(\)$|process_count\(\)$|n_?gpus?$"
    r"|data_parallel_size$|\[WORLD_SIZE\]$|dp_size$|num_gpus$|num_devices$|local_device_count\(\)$"
)
_ARITHMETIC = words("+ - * / // %")


def _binary(reading: Reading, node: Node) -> None:
    if node.value not in _ARITHMETIC:
        return
    for part in node.children:
        name = part.name
        kind = "rank" if _RANK.search(name) else "world_size" if _WORLD.search(name) else ""
        if kind and part.kind not in ("binary", "ternary"):
            reading.add("distributed.arithmetic", node, reading.value(node), kind)
            return


def _augmented(reading: Reading, node: Node) -> None:
    value = node.children[1]
    name = value.name
    if node.value in _ARITHMETIC and (_RANK.search(name) or _WORLD.search(name)):
        kind = "rank" if _RANK.search(name) else "world_size"
        shown = f"{reading.text(node.children[0])} {node.value}= {reading.text(value)}"
        reading.add("distributed.arithmetic", node, shown, kind)


def _operation(reading: Reading, node: Node) -> None:
    """``ReduceOp.AVG`` wherever it stands; as the ``op`` of a collective it is told there."""
    if node.value in _OPERATIONS and node.name.endswith(f"ReduceOp.{node.value}"):
        parent = node.parent
        if parent is None or not (parent.kind == "keyword" and parent.value == "op"):
            reading.add("collective.op", node, node.name, "ReduceOp")


_OPERATIONS = frozenset({"SUM", "AVG", "PRODUCT", "MIN", "MAX", "PREMUL_SUM"})

EXTRACTOR = Extractor(
    name="distributed",
    facts=(
        FactKind(
            "collective.call",
            "values are exchanged between processes; subject: the collective",
            "call",
            watched=True,
        ),
        FactKind("collective.op", "how values are combined (SUM, AVG, MAX); subject: the collective"),
        FactKind("collective.group", "among which processes; subject: the collective"),
        FactKind("collective.src", "from which process; subject: the collective", "rank"),
        FactKind("distributed.wrap", "a model is wrapped or prepared; subject: the wrapper", "arguments"),
        FactKind("distributed.option", "an option of the wrapper; subject: wrapper and option"),
        FactKind("distributed.no_sync", "gradients are not synchronised; subject: of what", "call or flag"),
        FactKind(
            "distributed.group", "process groups are made or joined; subject: the function", "arguments"
        ),
        FactKind("distributed.comm_hook", "a hook changes how gradients are communicated", "arguments"),
        FactKind(
            "distributed.arithmetic", "arithmetic with rank or world size; subject: which", "expression"
        ),
    ),
    calls={
        **dict.fromkeys(_COLLECTIVES, _collective),
        **every(_WRAPPERS, _wrap),
        **every("no_sync no_backward_sync set_requires_gradient_sync", _no_sync),
        **every(
            "init_process_group new_group init_device_mesh initialize_model_parallel destroy_process_group",
            _init,
        ),
        **every("register_comm_hook", _comm_hook),
    },
    kinds={"binary": _binary, "augassign": _augmented, "assign": _assigned, "attribute": _operation},
)
