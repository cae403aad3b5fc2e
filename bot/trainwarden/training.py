"""Which files are training code, and which are tests: read from a file's own imports and words, and from its path."""

from __future__ import annotations

import re

_IMPORTS = re.compile(
    r"^\s*(?:from|import)\s+(?:torch|tensorflow|jax|flax|optax|keras|lightning|pytorch_lightning|transformers"
    r"|accelerate|deepspeed|peft|trl|datasets|timm|composer|megatron|fairseq|apex|sklearn|xgboost|haiku|chex|mxnet"
    r"|paddle|diffusers|torchvision|torchaudio|ignite|fastai|horovod|ray\.train|mmcv|mmengine|gym|tokenizers|numpy)\b",
    re.MULTILINE,
)
_WORDS = re.compile(
    r"optimizer|learning_rate|zero_grad|\.backward\(|train_loader|data_?loader|manual_seed|state_dict|checkpoint"
    r"|num_epochs|batch_size|loss_fn|compute_loss|gradient|nn\.Module|lr_scheduler|grad_accum|world_size"
)
_TEST = re.compile(r"(^|/)(tests?|testing|unit_tests?)/|(^|/)test_[^/]*\.py$|_test\.py$|(^|/)conftest\.py$")


def speaks_of_training(text: str) -> bool:
    """Whether a file's imports, or two different words of the trade in it, speak of training."""
    if _IMPORTS.search(text):
        return True
    first = _WORDS.search(text)
    if first is None:
        return False
    return any(found.group() != first.group() for found in _WORDS.finditer(text, first.end()))


def is_test(path: str) -> bool:
    """Whether a path is that of a test."""
    return bool(_TEST.search(path))
