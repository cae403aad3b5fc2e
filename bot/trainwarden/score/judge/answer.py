"""The bytes of a chat completion in, a checked ``Answer`` out; whatever is not exactly what was asked for is none.

A language model that has read hostile code may say anything. Only five fields come through, each of its type and range;
an unknown field, a missing one or one given twice makes the whole answer void.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwarden.rules.spelling import clean
from trainwarden.score.judge.prompt import LETTERS, LONGEST_REASON, NONE, VERDICTS
from trainwarden.score.transport import Failure

KEYS = frozenset({"reason", "verdict", "probability", "technique", "statement"})
_MOST_TOKENS = 1 << 40


@dataclass(frozen=True, slots=True)
class Answer:
    """One reading. ``probability`` of sabotage (0 to 1); ``technique`` a letter or ""; ``statement`` 0 for none.

    ``reason`` is the model's own words: untrusted, on one line, without control characters.
    """

    probability: float
    technique: str
    statement: int
    reason: str


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for one request: the answer or why there is none, and the tokens it took (None: not said)."""

    answer: Answer | Failure
    tokens_in: int | None
    tokens_out: int | None


def completion(data: bytes) -> Completion:
    """Reads a whole response body. Raises ``Failure`` when it is no chat completion at all."""
    document = _loads(data, "JSON")
    usage = document.get("usage") if isinstance(document, dict) else None
    said = (_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
    try:
        return Completion(_answer(document), *said)
    except Failure as failure:
        return Completion(failure, *said)


def parse(content: str) -> Answer:
    """The answer in a message's text, by its stated number. Raises ``Failure`` unless it is exactly as asked."""
    plain = _loads(content, "the JSON object that was asked for")
    if not isinstance(plain, dict) or plain.keys() != KEYS:
        raise Failure("answered with other fields than asked for", again=False)
    reason, verdict, technique = plain["reason"], plain["verdict"], plain["technique"]
    probability, statement = plain["probability"], plain["statement"]
    right = (
        isinstance(reason, str)
        and len(reason) <= LONGEST_REASON
        and verdict in VERDICTS
        and technique in (*LETTERS, NONE)
        and _within(probability, 100)
        and _within(statement, 999)
    )
    if not right:
        raise Failure("answered with a field of the wrong type or range", again=False)
    letter = "" if technique == NONE else technique
    return Answer(probability / 100, letter, statement, clean(reason, LONGEST_REASON))


def verdict_probability(content: str, tokens: Any) -> float | None:
    """The probability the model gave to the word "sabotage" against "honest", or None when it cannot be told.

    ``tokens`` are the log-probabilities of the protocol: one entry a token, with its likeliest alternatives.
    """
    try:
        start = _verdict_start(content)
        token, before = _token_at(tokens, content, start)
        odds = _odds(token, before)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None
    whole = math.fsum(odds.values())
    return odds["sabotage"] / whole if whole > 0 else None


def _answer(document: Any) -> Answer:
    try:
        choice = document["choices"][0]
        content, ended = choice["message"]["content"], choice["finish_reason"]
        logged = choice.get("logprobs")
    except (KeyError, TypeError, IndexError, AttributeError):
        raise Failure("answered with something else than a chat completion", again=False) from None
    if not isinstance(content, str):
        raise Failure("answered without text", again=False)
    if ended != "stop":
        raise Failure("was cut off before its answer ended", again=False)
    answer = parse(content)
    exact = verdict_probability(content, logged.get("content") if isinstance(logged, dict) else None)
    if exact is None:
        return answer
    return Answer(exact, answer.technique, answer.statement, answer.reason)


def _verdict_start(content: str) -> int:
    """Where the verdict's word begins. The reason comes first and is free text, so the last such key is the one."""
    key = content.rindex('"verdict"')
    return content.index('"', content.index(":", key)) + 1


def _token_at(tokens: Sequence[Mapping[str, Any]], content: str, start: int) -> tuple[Mapping[str, Any], str]:
    """The token that holds the character at ``start``, and what of it stands before that.

    Servers strip blanks and the mark of the end from the text, and leave them among the tokens.
    """
    start += "".join(token["token"] for token in tokens).index(content)
    place = 0
    for token in tokens:
        text = token["token"]
        if place <= start < place + len(text):
            return token, text[: start - place]
        place += len(text)
    raise ValueError("no token there")


def _odds(token: Mapping[str, Any], before: str) -> dict[str, float]:
    """The weight of each verdict among the token and its alternatives."""
    listed = {str(one["token"]): float(one["logprob"]) for one in token.get("top_logprobs") or ()}
    listed.setdefault(str(token["token"]), float(token["logprob"]))
    odds = dict.fromkeys(VERDICTS, 0.0)
    for text, logged in listed.items():
        rest = text[len(before) :]
        if not text.startswith(before) or not rest or not logged <= 0.001:
            continue
        for verdict in VERDICTS:
            if verdict.startswith(rest) or rest.startswith(verdict):
                odds[verdict] += math.exp(logged)
    chosen = sum(weight > 0 for weight in odds.values())
    if chosen == 1:  # no alternative was told: what the chosen one lacks is the other's
        (known,) = (verdict for verdict in VERDICTS if odds[verdict] > 0)
        other = next(verdict for verdict in VERDICTS if verdict != known)
        odds[other] = max(1.0 - odds[known], 0.0) if len(listed) == 1 else 0.0
    return odds


def _within(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _count(usage: object, key: str) -> int | None:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and _within(value, _MOST_TOKENS) else None


def _loads(data: bytes | str, what: str) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Failure(f"answered with something else than {what}", again=False) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(name: str) -> float:
    raise ValueError(name)
