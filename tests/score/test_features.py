"""Units as numbers: never longer than the network reads, edits before context, lines only where an edit is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.model import Misuse, Statement, Unit, UnitTag
from trainwarden.score.features import BAG, LONGEST, SPECIAL, TAGS, UNKNOWN, Encoder

ALPHABET = [chr(code) for code in range(33, 127)]
VOCABULARY = {text: place for place, text in enumerate([*SPECIAL, *ALPHABET, "lo", "ss", "loss"])}
TOKENIZER = json.dumps({"model": {"vocab": VOCABULARY, "merges": ["l o", "s s", "lo ss"]}}).encode()
SIGNALS = json.dumps([f"signal-{number:03}" for number in range(200)]).encode()
ENCODER = Encoder(TOKENIZER, SIGNALS)


def statement(text: str, edited: bool = False, line: int = 5, depth: int = 0) -> Statement:
    tag: UnitTag = "added" if edited else "same"
    return Statement(tuple((word, tag) for word in text.split()), depth, line, edited)


def encoded(*statements: Statement, signals: tuple[str, ...] = ()):
    return ENCODER.encode(Unit("src/train.py", "Trainer.step", statements, signals))


def test_pairs_are_joined_in_the_order_they_were_learned() -> None:
    assert ENCODER.tokens("loss") == (VOCABULARY["loss"],)
    assert ENCODER.tokens("losl") == (VOCABULARY["lo"], VOCABULARY["s"], VOCABULARY["l"])
    assert ENCODER.tokens("é") == (UNKNOWN, UNKNOWN)


def test_edits_come_before_context_and_keep_their_order() -> None:
    context = [statement("loss " * 40, line=number) for number in range(1, 9)]
    one = encoded(*context[:4], statement("loss loss", edited=True, line=77), *context[4:])
    assert len(one.ids) <= LONGEST
    assert set(one.lines) == {0, 77}
    assert one.tags.count(TAGS["added"]) == 2
    first = one.lines.index(77)
    assert one.tags[:first].count(TAGS["same"]) > 40  # what stands nearest before it is kept, too


def test_a_line_is_given_only_to_what_is_edited() -> None:
    one = encoded(statement("loss", line=3), statement("loss", edited=True, line=4))
    assert [line for line in one.lines if line] == [4, 4]  # its start and its word


@given(st.lists(st.tuples(st.text(ALPHABET, min_size=1, max_size=60), st.booleans()), max_size=60))
def test_nothing_is_longer_than_the_network_reads(words: list[tuple[str, bool]]) -> None:
    rows = [statement(word, edited, line=place) for place, (word, edited) in enumerate(words, 1)]
    one = encoded(*rows, signals=tuple(f"signal-{number:03}" for number in range(200)))
    assert len(one.ids) == len(one.tags) == len(one.lines) <= LONGEST
    assert len(one.signals) == BAG and 0 not in one.signals
    assert all(tag in range(1, 5) for tag in one.tags)


def test_signals_it_does_not_know_are_left_out() -> None:
    assert encoded(signals=("signal-000", "news", "signal-002")).signals == (1, 3)


@pytest.mark.parametrize(
    "tokenizer, signals", [(b"{", SIGNALS), (b"{}", SIGNALS), (b"[]", SIGNALS), (TOKENIZER, b"{")]
)
def test_files_that_are_no_vocabulary_are_refused(tokenizer: bytes, signals: bytes) -> None:
    with pytest.raises(Misuse, match="vocabulary cannot be read"):
        Encoder(tokenizer, signals)
