"""Units of the training split in, the classifier's vocabulary out: a byte-level BPE and the list of signals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from trainwarden.model import Unit
from trainwarden.score.features import SPECIAL

SIZE = 8192
_RARE = 20
"""Units a signal must occur in to be one the classifier knows."""


def train_tokenizer(units: Iterable[Unit], size: int = SIZE) -> bytes:
    """A ``tokenizer.json`` over the lexemes of units, each a word of its own; reproducible to the byte."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(units), trainer)
    text: str = tokenizer.to_str(pretty=False)
    return text.encode("utf-8")


def _texts(units: Iterable[Unit]) -> Iterator[str]:
    for unit in units:
        for statement in unit.statements:
            yield " ".join(text for text, _ in statement.lexemes)


def known_signals(units: Iterable[Unit]) -> bytes:
    """``signals.json``: the names of signals that occur often enough, in alphabetical order."""
    counts = Counter(name for unit in units for name in unit.signals)
    return json.dumps(sorted(name for name, count in counts.items() if count >= _RARE)).encode("utf-8")
