"""What a piece of code is about: loss, gradient, labels, checkpoint ... read from what surrounds it, not from locals.

In: a resolved expression or statement. Out: role words. The vocabulary is attributes, functions, parameters, keywords,
string keys, and for a local variable its provenance and uses (``names.Scope.hints``).
"""

from __future__ import annotations

import re
from functools import lru_cache

from trainwarden.parse.names import Scope, normal
from trainwarden.parse.nodes import Node

_OTHER_POLICIES = (
    "retry wrap remat checkpoint checkpointing offload precision mp dtype cache eviction shard sharding context save "
    "saving backoff rescale restart loop"
)
"""Policies of retrying, wrapping, casting ... and none that is trained."""
_TRAINED_POLICY = "".join(f"(?<!{word})(?<!{word}_)" for word in _OTHER_POLICIES.split()) + "policy"
_WORDS: tuple[tuple[str, str], ...] = (
    (
        "loss",
        r"loss|criterion|cross_?entropy|\bnll|\bmse\b|\bbce|kl_?div|objective|\.backward\(|"
        r"accelerator\.backward"
    ),
    ("grad", r"grad(?!io|e|u)|backward|autograd|unscale"),
    (
        "param",
        r"parameters\(|named_param|requires_grad|\.weights?\b|\.bias\b|\bparams?\b|state_dict|"
        r"p\.data|\.data\.\w+_\("
    ),
    ("optimizer", r"optim|zero_grad|param_group|\badamw?\b|\bsgd\b|momentum|betas?\b|weight_decay|\blamb\b"),
    ("schedule", r"(?<!noise_)sched|warm_?up|\blr\b|\blr_|_lr\b|learning_rate|anneal|decay_(rate|steps)|cosine"),
    (
        "data",
        r"data_?set|data_?loader|\bloader|sampler|shuffle|collate|\bbatch|(?<!\.)split|split(?!\()|transform(?!er)|augment|"
        r"tokeni[sz]e|prefetch"
    ),
    ("label", r"label|target|\bgts?\b|ground_?truth|\bclass(es)?\b|one_hot"),
    ("mask", r"mask|ignore_index|\bpad(ding)?\b|pad_"),
    (
        "seed",
        r"seed|^generator$|torch\.generator|random\.generator|default_generator|(loader|sampler)\.generator|"
        r"(?<![a-z])rngs?(?![a-z])|prngkey|determinis|random_state",
    ),
    ("normalise", r"\bmean\b|\bstd\b|_mean\b|_std\b|normali[sz]e|\beps(ilon)?\b"),
    (
        "checkpoint",
        r"checkpoint|ckpt|\bsave|load_state|state_dict|resume|restore|torch\.load|from_pretrained|"
        r"\.pt\b|\bstrict\b"
    ),
    ("metric", r"metric|accuracy|\bacc\b|\beval|\bval_|valid|score|\bbest|early_stop|patience|perplexity"),
    (
        "model",
        r"model|\bnet\b|module|encoder|decoder|forward|logits|attention|\battn|embed|hidden|"
        r"softmax|dropout|\bnorm\b|layer"
    ),
    (
        "distributed",
        r"all_?reduce|all_?gather|broadcast|reduce_scatter|world_size|\brank|torch\.distributed|"
        r"\bdist\.|barrier|\bddp\b|process_group"
    ),
    (
        "reward",
        r"reward|advantage|\breturns_|\breturn_(to_go|rms|mean|std|norm|scale|buffer|per)|\bgae|bootstrap|\bdones?\b|rollout|"
        r"(?<![a-z])terminals?(_(states?|rewards?|values?|masks?|obs\w*))?(?![a-z_])|log_?probs?|\bvalues?\b_|gamma|"
        rf"(?<!cross)(?<!cross_)entropy|{_TRAINED_POLICY}"
    ),
    ("precision", r"half\(|float16|bfloat16|fp16|bf16|autocast|scaler|dtype|float32|\.float\(|(?<![a-z])amp\b"),
    ("ema", r"(?<![a-z])ema(?![a-z])|polyak|\bswa\b|averaged|moving_average|\btau\b"),
    (
        "steps",
        r"max_(steps|iters|epochs)|num_(train_)?(epochs|steps)|total_steps|accumulat|grad_accum|"
        r"batch_size|n_epochs"
    ),
    (
        "execute",
        r"(^|builtins\.|[^.\w])(eval|exec)\(|pickle|subprocess|os\.system|os\.kill|sys\.exit|importlib|urlopen|"
        r"requests\.|socket\."
    ),
)  # fmt: skip
_ROLES = tuple((role, re.compile(pattern)) for role, pattern in _WORDS)
ROLE_WORDS = frozenset(role for role, _ in _WORDS) | {"log"}
"""Every role a statement can have; ``log`` is that of statements that only tell somebody something."""
_LOGGING = re.compile(
    r"(^|\.)(print|log|info|debug|warning|warn|error|exception|critical|add_scalars?|add_histogram|log_metrics"
    r"|print_rank_0|log_dist|write|set_description|set_postfix|update_progress|report|track)\(\)$"
)


def roles_of_text(text: str) -> frozenset[str]:
    """The roles a text of names speaks of."""
    return frozenset().union(*map(_roles_of_word, set(text.split())))


@lru_cache(maxsize=65536)
def _roles_of_word(word: str) -> frozenset[str]:
    """No pattern looks past a blank, and a change says the same few words over and over.

    Patterns are in small letters: a search that ignores case takes twice as long.
    """
    folded = word.casefold()
    return frozenset(role for role, pattern in _ROLES if pattern.search(folded))


_SHOWN = frozenset({"label", "title", "help", "description", "metavar", "caption", "placeholder"})
"""Keywords whose text is for people: ``label="Iteration"`` speaks of no labels."""


def words_of(node: Node, scope: Scope, most: int = 60) -> str:
    """The vocabulary of an expression, at most ``most`` nodes of it."""
    words = []
    for count, inner in enumerate(node.walk()):
        if count >= most:
            break
        word = _word(inner, scope)
        if word:
            words.append(word)
    return " ".join(words)


def _word(node: Node, scope: Scope) -> str:
    if node.kind == "name":
        return scope.hints(normal(node.value))
    if node.kind in ("attribute", "call"):
        return "" if _is_called(node) else node.name
    if node.kind == "keyword":
        return "" if node.value in _SHOWN and node.children[0].kind == "string" else node.value
    if node.kind in ("param", "alias"):
        return node.value
    return node.value if _is_a_name(node) else ""


def _is_called(node: Node) -> bool:
    """``line.split`` in ``line.split()``: the call has the name, with its parentheses."""
    above = node.parent
    return node.kind == "attribute" and above is not None and above.kind == "call" and above.function is node


def _is_a_name(node: Node) -> bool:
    """A short string without blanks that names something; a sentence is for people."""
    if node.kind != "string" or len(node.value) >= 40 or " " in node.value:
        return False
    above = node.parent
    return above is None or above.kind != "keyword" or above.value not in _SHOWN


def is_logging(statement: Node) -> bool:
    """Whether a statement only tells somebody something: a call of a logger, printer or tracker."""
    if statement.kind != "expr":
        return False
    call = statement.children[0]
    return call.kind == "call" and bool(_LOGGING.search(call.name))


def statement_roles(statement: Node, scope: Scope, function: str) -> frozenset[str]:
    """What a statement is about: its targets, its outermost call, its test; for ``return`` the function's name."""
    if is_logging(statement):
        return frozenset({"log"})
    texts = [words_of(part, scope, 25) for part in _speaking(statement)]
    if statement.kind == "return":
        texts.append(function)
    return roles_of_text(" ".join(texts))


def _speaking(statement: Node) -> tuple[Node, ...]:
    kind = statement.kind
    if kind in ("function", "class", "try", "match", "with", "if", "while", "for"):
        return tuple(child for child in statement.children if child.kind not in _BODIES)
    return statement.children


_BODIES = frozenset({"block", "else", "finally", "handler", "case"})
