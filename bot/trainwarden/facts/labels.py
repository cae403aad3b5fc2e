"""What the model is asked and told: writes to labels and batches, label masks, tokenisation.

Labels are known by parameter, attribute, key or keyword; a local by what it holds and where it is passed.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, bare, every, last_part, words
from trainwarden.parse.nodes import Node

_LABEL = re.compile(
    r"(^|[\s_.])(labels?|targets?|gts?|ground_truth|label_ids|one_?hot|\[labels?\])(\[\*\])?([\s_]|$)"
    r"|\[(labels?|targets?|y)\]$"
)
_BATCH = re.compile(
    r"(^|[\s_])(batch|inputs?|input_ids|images?|pixel_values|samples?|features|attention_mask|x)(\[|\s|$)"
)
_MASKED = "-100"

# -- writes


def _assigned(reading: Reading, node: Node) -> None:
    operator = f"{node.value}= " if node.kind == "augassign" else ""
    value = node.children[-1]
    for target in node.children[:-1]:
        if target.kind == "attribute" and target.value in _TOKENIZER:
            reading.say(f"tokenizer.{target.value}", node, value, reading.text(target.children[0]))
        elif target.kind == "subscript" or (target.kind == "name" and operator):
            _written(reading, node, target, operator)
        elif target.kind == "name" and _rewrites(reading, target, value):
            reading.add("label.write", node, reading.value(value))


def _written(reading: Reading, node: Node, target: Node, operator: str) -> None:
    whole = target.children[0] if target.kind == "subscript" else target
    about = f"{reading.role(whole)} {target.name.lower()}"
    shown = reading.text(node.children[-1])
    if _LABEL.search(about):
        name = "label.mask" if shown == _MASKED else "label.write"
        reading.add(name, node, f"{operator}{shown}", reading.text(target))
    elif target.kind == "subscript" and _BATCH.search(about):
        reading.add("batch.write", node, f"{operator}{shown}", reading.text(target))


def _rewrites(reading: Reading, target: Node, value: Node) -> bool:
    """``labels = labels.flip(0)``, ``y = 1 - labels``: labels made from labels, other than moved or reshaped."""
    if value.kind == "call" and last_part(value.function.name) in _CARRIED:
        return False
    if value.kind not in ("call", "binary", "subscript", "ternary"):
        return False
    made_from = any(inner.kind == "name" and _is_label(reading, inner) for inner in value.walk())
    return made_from and _is_label(reading, target)


def _is_label(reading: Reading, node: Node) -> bool:
    return bool(_LABEL.search(reading.role(node)))


_CARRIED = words(
    "to cuda cpu long int float view reshape flatten squeeze unsqueeze contiguous clone detach type astype"
    " numpy item tolist device_put asarray array as_tensor tensor expand repeat cat concat concatenate stack"
    " pad_sequence gather all_gather one_hot half bool double argmax next"
)


def _masked_fill(reading: Reading, call: Call) -> None:
    value = call.argument("value", len(call.positional) - 1)
    if value is not None and reading.text(value) == _MASKED:
        subject = reading.text(call.owner) if call.owner is not None else ""
        reading.add("label.mask", call.node, reading.arguments(call), subject)


def _where(reading: Reading, call: Call) -> None:
    if any(reading.text(part) == _MASKED for part in call.positional):
        reading.add("label.mask", call.node, f"{call.last}({reading.arguments(call)})")


def _in_place(reading: Reading, call: Call) -> None:
    """In-place methods: ``labels.fill_(0)``, ``y.random_(0, 10)``, ``images[mask].copy_(patch)``."""
    if call.owner is None:
        return
    whole = call.owner.children[0] if call.owner.kind == "subscript" else call.owner
    role = reading.role(whole)
    name = "label.write" if _LABEL.search(role) else "batch.write" if _BATCH.search(role) else ""
    if name:
        shown = f"{call.last}({reading.arguments(call)})"
        reading.add(name, call.node, shown, reading.text(call.owner))


# -- tokenisation

_TOKENIZER = words(
    "padding_side truncation_side pad_token pad_token_id eos_token eos_token_id bos_token bos_token_id"
    " unk_token unk_token_id mask_token mask_token_id sep_token cls_token model_max_length chat_template"
    " add_eos_token add_bos_token"
)
_KEYWORDS = words(
    "truncation padding padding_side truncation_side add_special_tokens add_generation_prompt chat_template"
    " max_length max_seq_length model_max_length skip_special_tokens pad_token_id eos_token_id bos_token_id"
    " add_eos_token add_bos_token use_fast"
)
_RENAMED = {"max_seq_length": "max_length", "model_max_length": "max_length"}


def _keyword(reading: Reading, node: Node) -> None:
    call = node.parent
    if node.value not in _KEYWORDS or call is None or call.kind != "call":
        return
    value = node.children[0]
    last = last_part(call.function.name)
    layer = (
        node.value == "padding" and value.kind not in ("string", "constant") and "token" not in last.lower()
    )
    if not layer and last != "add_argument":
        reading.say(f"tokenizer.{_RENAMED.get(node.value, node.value)}", node, value, bare(last))


_SPECIAL = re.compile(r"^(eos|bos|pad|unk|mask|sep|cls)(_token(_id)?|_id|_index|_idx)?$")


def _token(reading: Reading, node: Node) -> None:
    """A special token that is read: ``tokenizer.eos_token_id``."""
    if _SPECIAL.search(node.value) and "_" in node.value and not _is_stored(node):
        reading.add("tokenizer.token", node, node.value, reading.text(node.children[0]))


def _is_stored(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.kind == "assign" and parent.children[-1] is not node


def _token_call(reading: Reading, call: Call) -> None:
    """``dictionary.eos()``."""
    if call.owner is not None and not call.given:
        reading.add("tokenizer.token", call.node, call.last, reading.text(call.owner))


EXTRACTOR = Extractor(
    name="labels",
    facts=(
        FactKind("label.write", "labels are written, or made anew from labels; subject: which", watched=True),
        FactKind(
            "label.mask", "labels are set to -100 so that they do not count; subject: which", watched=True
        ),
        FactKind("batch.write", "inputs of a batch are written; subject: which", watched=True),
        FactKind(
            "tokenizer.*", "an option of the tokenizer by its name (padding_side, truncation, eos_token)"
        ),
    ),
    calls={
        **every("masked_fill masked_fill_", _masked_fill),
        **every("where", _where),
        **every("eos bos pad unk", _token_call),
        **every(
            "fill_ zero_ random_ scatter_ index_fill_ copy_ masked_scatter_ uniform_ normal_ bernoulli_",
            _in_place,
        ),
    },
    kinds={"keyword": _keyword, "assign": _assigned, "augassign": _assigned, "attribute": _token},
)
