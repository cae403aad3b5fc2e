"""The model where it can be harmed quietly: initialisation, dropout, norms, activations, attention, registration."""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, Extractor, FactKind, Reading, every, words
from trainwarden.parse.nodes import Node

_DROPOUT = (
    "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout DropPath StochasticDepth"
    " dropout drop_path"
)
_NORMS = (
    "LayerNorm RMSNorm BatchNorm BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm GroupNorm InstanceNorm2d"
    " FusedLayerNorm FusedRMSNorm layer_norm rms_norm batch_norm group_norm LlamaRMSNorm FrozenBatchNorm2d"
    " BatchNormalization LayerNormalization"
)
_ACTIVATIONS = (
    "ReLU ReLU6 LeakyReLU PReLU ELU SELU GELU SiLU Mish Tanh Sigmoid Softplus Hardswish QuickGELU SwiGLU"
    " GEGLU Softmax LogSoftmax relu relu_ leaky_relu elu gelu silu swish mish tanh sigmoid softplus"
    " log_sigmoid logsigmoid hard_tanh"
)
_NOT_ACTIVATIONS = re.compile(r"^(math|numpy|np)\.")


def _dropout(reading: Reading, call: Call) -> None:
    rate = call.keywords.get("p") or call.keywords.get("rate") or call.keywords.get("drop_prob")
    free = call.last in ("dropout", "drop_path")
    place = 1 if free else 0
    if rate is None and len(call.positional) > place:
        rate = call.positional[place]
    subject = reading.target(call.node) or call.last
    if rate is not None:
        reading.say("layer.dropout", call.node, rate, subject)
    else:
        reading.add("layer.dropout", call.node, reading.arguments(call), subject)
    training = call.keywords.get("training") or call.keywords.get("deterministic")
    if training is not None:
        reading.say("layer.dropout_mode", training, training, subject)


def _norm(reading: Reading, call: Call) -> None:
    reading.add("layer.norm", call.node, f"{call.last}({reading.arguments(call)})", reading.target(call.node))


def _activation(reading: Reading, call: Call) -> None:
    if not _NOT_ACTIVATIONS.search(call.name):
        subject = reading.target(call.node)
        operand = call.positional[0] if call.positional else call.owner
        shown = f"{call.last}({reading.text(operand)})" if operand is not None and operand.name else call.last
        reading.add("layer.activation", call.node, shown if not subject else call.last, subject)


def _softmax(reading: Reading, call: Call) -> None:
    reading.add("layer.softmax", call.node, f"{call.last}({reading.arguments(call)})")


# -- initialisation

_INITS = (
    "normal_ uniform_ xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_ trunc_normal_"
    " orthogonal_ zeros_ ones_ constant_ eye_ dirac_ sparse_ lecun_normal_ variance_scaling_"
)
_INITIALISERS = (
    "lecun_normal lecun_uniform glorot_normal glorot_uniform he_normal he_uniform xavier_uniform"
    " xavier_normal variance_scaling RandomNormal GlorotUniform HeNormal TruncatedNormal VarianceScaling"
)


def _init(reading: Reading, call: Call) -> None:
    if ".init." in f".{call.name}" or call.owner is None:
        written = call.positional[0] if call.positional else None
        rest = ", ".join([*map(reading.text, call.positional[1:]), *_keywords(reading, call)])
        reading.add(
            "init.call",
            call.node,
            f"{call.last}({rest})",
            reading.text(written) if written is not None else "",
        )


def _keywords(reading: Reading, call: Call) -> list[str]:
    return [f"{word}={reading.text(value)}" for word, value in call.keywords.items()]


def _initialiser(reading: Reading, call: Call) -> None:
    reading.add("init.call", call.node, f"{call.last}({reading.arguments(call)})", reading.target(call.node))


def _reset(reading: Reading, call: Call) -> None:
    owner = reading.text(call.owner) if call.owner is not None else ""
    reading.add("init.reset", call.node, f"{call.last}({reading.arguments(call)})", owner)


# -- attention, masks, registration


def _masked_fill(reading: Reading, call: Call) -> None:
    value = call.argument(
        "value", 1 if call.owner is not None and not call.name.startswith("torch.masked") else 2
    )
    if value is not None and reading.text(value) != "-100":
        mask = call.argument("mask", 0)
        shown = (
            f"{reading.text(value)} where {reading.text(mask)}" if mask is not None else reading.text(value)
        )
        reading.add(
            "attention.mask", call.node, shown, reading.text(call.owner) if call.owner is not None else ""
        )


def _triangle(reading: Reading, call: Call) -> None:
    reading.add(
        "attention.causal", call.node, f"{call.last}({reading.arguments(call)})", reading.target(call.node)
    )


def _attention(reading: Reading, call: Call) -> None:
    for word, value in call.named(("query", "key", "value", "attn_mask", "dropout_p", "is_causal")):
        reading.say(f"attention.{word}", value, value, call.last)


def _keyword(reading: Reading, node: Node) -> None:
    call = node.parent
    if call is None or call.kind != "call" or node.value not in _KEYWORDS:
        return
    last = call.function.name.rpartition(".")[2]
    if last not in _ATTENTION and last != "add_argument":
        reading.say(f"attention.{node.value}", node, node.children[0], last)


_KEYWORDS = words("is_causal causal softmax_scale attn_mask key_padding_mask rope_theta rope_scaling")
_ATTENTION = words(
    "scaled_dot_product_attention flash_attn_func flash_attn_varlen_func memory_efficient_attention"
)


def _container(reading: Reading, call: Call) -> None:
    if call.owner is not None:
        reading.add("layer.registered", call.node, call.last, reading.target(call.node))


def _register(reading: Reading, call: Call) -> None:
    first = call.positional[0] if call.positional else None
    reading.add(
        "layer.registered",
        call.node,
        f"{call.last}({reading.arguments(call)})",
        reading.text(first) if first else "",
    )


EXTRACTOR = Extractor(
    name="architecture",
    facts=(
        FactKind("layer.dropout", "dropout; subject: the layer", "rate"),
        FactKind("layer.dropout_mode", "when dropout is active; subject: the layer", "True or False"),
        FactKind("layer.norm", "a normalisation layer; subject: the layer", "call"),
        FactKind("layer.activation", "an activation function; subject: the layer", "function"),
        FactKind("layer.softmax", "a softmax", "call"),
        FactKind(
            "layer.registered", "parameters, buffers or lists of layers are registered; subject: which", "how"
        ),
        FactKind("init.call", "a parameter is initialised; subject: which", "call"),
        FactKind("init.reset", "parameters are initialised again; subject: of what", "call"),
        FactKind("attention.mask", "positions are masked out; subject: of what", "value and mask"),
        FactKind("attention.causal", "a triangular mask is made", "call"),
        FactKind("attention.*", "an argument of an attention call by its name; subject: the callee"),
    ),
    calls={
        **every(_DROPOUT, _dropout),
        **every(_NORMS, _norm),
        **every(_ACTIVATIONS, _activation),
        **every("softmax log_softmax gumbel_softmax softmin", _softmax),
        **every(_INITS, _init),
        **every(_INITIALISERS, _initialiser),
        **every(
            "reset_parameters init_weights _init_weights reset_weights post_init initialize_weights", _reset
        ),
        **every("masked_fill masked_fill_", _masked_fill),
        **every("tril triu tril_ triu_ band_part", _triangle),
        **every(" ".join(_ATTENTION), _attention),
        **every("ModuleList ModuleDict ParameterList Parameter", _container),
        **every("register_parameter register_buffer add_module register_module", _register),
    },
    kinds={"keyword": _keyword},
)
