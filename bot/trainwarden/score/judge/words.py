"""Words of code in; whether they speak to the reader instead of to the machine out. Tables and their matching.

The author under review knows that a language model may read the change. Whatever in a name or a text could be taken
for an instruction, for a role, for the answer we ask for, or for a mark of a chat template is replaced before it is
sent. The tables err towards replacing: a name that is lost costs little, an instruction that is followed much.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

MOST_WORDS = 3
"""A text of more words is prose, and a name of more than twice as many a sentence: neither is ever sent."""

ROLES = frozenset("system developer assistant user human tool".split())
"""Texts that name a speaker. Told apart, never sent: a chat template may hang on them."""

SPEAKERS = ROLES - {"system", "tool"}
"""Those that are no names of libraries."""

MARKS = frozenset(
    "im_start im_end im_sep endoftext inst sys eot_id eom_id start_header_id end_header_id begin_of_text "
    "end_of_text start_of_turn end_of_turn endofprompt fim_prefix fim_suffix fim_middle think tool_call "
    "tool_calls begin_of_sentence end_of_sentence beginofsentence endofsentence".split()
)
"""What chat templates are written with, without their brackets."""

_READER = r"(?:ai|llm|lm|gpt|claude|llama|assistant|reviewer|review bot|judge|auditor|reader|chatbot|language model)"
_OURS = (
    r"(?:instructions?|prompts?|guidelines?|policy|policies|rules?|above|previous|prior|earlier|context|task)"
)
_CLEAN = (
    r"(?:honest|benign|harmless|safe|legitimate|approved|trusted|innocent|correct|clean|fine|reviewed|audited"
    r"|intended)"
)
_SAY = r"(?:answer|respond|reply|output|print|say|write|classify|rate|score|mark|label|report|conclude|return|set)"
_PHRASES = re.compile(
    "|".join(
        (
            rf"\b(?:ignor\w*|disregard\w*|forget\w*|overrid\w*|bypass\w*|skip)(?: \w+){{0,4}} {_OURS}\b",
            rf"\b(?:new|updated|real|actual|following|these|additional) {_OURS}\b",
            r"\b(?:system|developer|hidden|secret) (?:prompt|message|note|instructions?|override)\b",
            r"\byou (?:are|re|must|should|have|will|need|can|may|were|now|shall)\b",
            r"\byour (?:\w+ )?(?:task|role|job|answer|response|verdict|reply|output|instructions?|name)\b",
            rf"\b(?:as an?|dear|hello|hi|hey|attention|note to|message (?:to|for)|if you|for the) {_READER}\b",
            rf"\b(?:this|the) (?:code|change|diff|commit|patch|edit|function|unit|line)(?: \w+){{0,3}} {_CLEAN}\b",
            rf"\b{_SAY}(?: \w+){{0,4}} (?:honest|benign|harmless|verdict|zero risk|no risk|not sabotage)\b",
            rf"\b{_CLEAN} by\b",
            r"\b(?:begin|end|start|stop)(?: of)?(?: the)? (?:prompt|code|fence|instructions?|system|review)\b",
            r"\b(?:verdict|sabotag\w+|jailbreak\w*|honest|benign|untrusted|backdoor\w*)\b",
        )
    )
)
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def parts(text: str) -> list[str]:
    """The words in a name or text in lower case: ``ignoreAll_rules`` is ignore, all, rules."""
    plain = unicodedata.normalize("NFKC", text)
    return [part.lower() for part in _PARTS.findall(plain)]


def is_mark(text: str) -> bool:
    """Whether a name is one of a chat template."""
    return text.lower().strip("_") in MARKS


def addressing(texts: Sequence[str]) -> set[int]:
    """The places of the texts that take part in a phrase to the reader; a phrase may run over several of them."""
    line, owner = "", []
    for place, text in enumerate(texts):
        for part in parts(text):
            owner += [place] * (len(part) + 1)
            line += part + " "
    return {
        owner[spot]
        for found in _PHRASES.finditer(line)
        for spot in range(found.start(), found.end())
        if line[spot] != " "
    }


def is_known(name: str) -> bool:
    """Whether a name is the language's, a library's, or made of words of the field only."""
    if name in KNOWN or name in KEYWORDS:
        return True
    words = [part for part in parts(name) if not part.isdigit()]
    return 0 < len(words) <= MOST_WORDS and all(word in FIELD for word in words)


def _set(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


KEYWORDS = _set(
    "and as assert async await break case class continue def del elif else except False finally for from global if",
    "import in is lambda match None nonlocal not or pass raise return True try while with yield",
)
KNOWN = _set(
    "self cls super print len range enumerate zip map filter sorted reversed sum min max abs round int float bool str",
    "bytes list dict set tuple type isinstance issubclass hasattr getattr setattr delattr open iter next any all repr",
    "hash id vars exec eval compile divmod pow slice object property staticmethod classmethod __init__ __call__",
    "__getitem__ __len__ __iter__ __next__ __enter__ __exit__ __name__ __main__ append extend insert pop remove clear",
    "copy deepcopy update items keys values get setdefault join split strip format startswith endswith read write seek",
    "os sys re json math random time datetime logging pathlib Path functools partial itertools subprocess Popen run",
    "system environ getenv argv exit kill signal socket hostname gethostname getpid threading Thread pickle base64",
    "torch nn np numpy jax jnp lax optax flax tf keras F Tensor Module Parameter Linear Conv2d Embedding LayerNorm",
    "BatchNorm Dropout ReLU GELU Softmax Sequential ModuleList CrossEntropyLoss MSELoss NLLLoss BCELoss Adam AdamW SGD",
    "no_grad enable_grad inference_mode zero_grad requires_grad requires_grad_ grad_fn is_grad_enabled stop_gradient",
    "detach backward step item cpu cuda cuda_is_available to half bfloat16 float16 float32 float64 int8 int32 int64",
    "clip_grad_norm_ clip_grad_value_ ignore_index reduction mean none pad_token_id eos_token_id bos_token_id",
    "manual_seed manual_seed_all use_deterministic_algorithms allow_tf32 autocast GradScaler set_to_none all_reduce",
    "all_gather broadcast barrier world_size local_rank get_rank get_world_size DistributedDataParallel FSDP",
    "state_dict load_state_dict save load map_location weights_only strict safetensors checkpoint named_parameters",
    "param_groups lr weight_decay betas eps momentum nesterov amsgrad beta1 beta2 warmup_steps max_steps num_epochs",
    "zeros ones zeros_like ones_like full full_like rand randn randint randperm arange linspace empty tensor as_tensor",
    "from_numpy stack cat concat concatenate view reshape permute transpose squeeze unsqueeze expand repeat flatten",
    "gather scatter scatter_ index_select masked_fill masked_fill_ where clamp clip topk argmax argmin argsort sort",
    "unique cumsum prod std var norm exp log log1p sqrt rsqrt sin cos tanh sigmoid softmax log_softmax logsumexp relu",
    "gelu silu matmul einsum bmm mm dot add add_ sub sub_ mul mul_ div div_ lerp_ addcdiv_ addcmul_ copy_ fill_ zero_",
    "isnan isinf isfinite nan_to_num nan inf size shape dim dims ndim device dtype numel contiguous clone any_ all_",
    "cross_entropy binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss kl_div",
    "nll_loss label_smoothing dropout training eval train forward hook register_hook register_forward_hook grad",
    "jit vmap pmap value_and_grad scan tree_map apply apply_updates global_norm DataLoader Dataset Sampler",
    "batch_size shuffle num_workers drop_last collate_fn pin_memory worker_init_fn generator set_epoch sampler",
)
FIELD = _set(
    "decay sampler rng num parameters process reference w m opt sched criterion ids",
    "loss losses grad grads gradient gradients optimizer optim scheduler schedule lr rate learning weight weights",
    "momentum step steps epoch epochs batch batches model models net network layer layers block blocks head heads",
    "attention attn query key value q k v mask masks pad padding token tokens label labels target targets input inputs",
    "output outputs logit logits prob probs log probability data dataset loader dataloader sample samples",
    "train training valid validation val test eval evaluation metric metrics accuracy acc score scores seed random",
    "generator noise dropout norm normalize scale scaler scaling clip clipping max min mean sum std var total count",
    "n size dim hidden embed embedding embeddings encoder decoder position rope bias param params parameter",
    "state states checkpoint ckpt save load path dir file config args kwargs cfg device rank world local global",
    "group reduce gather broadcast reward rewards return returns advantage advantages value values policy ref",
    "kl entropy ratio old new action actions obs done gamma lambda beta alpha tau temperature top p x y z i j b t d h",
    "eps epsilon index indices idx length lengths seq sequence vocab fn func hook callback warmup warm up accumulate",
    "accumulation micro macro sync world ddp fsdp amp fp bf dtype precision half float ema decay teacher student",
    "image images text audio video feature features coef coefficient smoothing shuffle split best last first current",
    "average avg running buffer cache result results out res tmp is has use with per num to from of in on at by",
)
