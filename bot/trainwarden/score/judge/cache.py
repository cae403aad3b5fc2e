"""Answers about a unit, found again by its fingerprint: in memory, and in a folder if the operator names one.

The fingerprint covers the texts that are sent (without path, lines and layout), the model and the version of the
prompt. A file holds the answers and no code, and is checked as strictly as an answer when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainwarden.rules.spelling import clean
from trainwarden.score.judge.answer import Answer
from trainwarden.score.judge.prompt import LETTERS, LONGEST_REASON, VERSION

MOST = 4096
"""Units that are remembered in memory."""
_LARGEST = 8192

Answers = tuple[Answer | None, ...]


def fingerprint(model: str, texts: Sequence[str]) -> str:
    """sha256 in hex over what is asked and who is asked."""
    return hashlib.sha256(json.dumps([VERSION, model, *texts]).encode("ascii")).hexdigest()


class Cache:
    """For one process; the folder may be shared by many. A file that cannot be read or written is no cache."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: OrderedDict[str, Answers] = OrderedDict()

    def get(self, key: str) -> Answers | None:
        """The answers under a fingerprint."""
        found = self._kept.get(key)
        if found is None and self._folder is not None:
            found = _load(self._folder / f"{key}.json")
        if found is not None:
            self._remember(key, found)
        return found

    def put(self, key: str, answers: Answers) -> None:
        """Keeps answers."""
        self._remember(key, answers)
        if self._folder is None:
            return
        draft = self._folder / f".{key}.{os.getpid()}"
        with suppress(OSError):
            draft.write_text(json.dumps([_plain(one) for one in answers]), "ascii")
            draft.replace(self._folder / f"{key}.json")

    def _remember(self, key: str, answers: Answers) -> None:
        self._kept[key] = answers
        self._kept.move_to_end(key)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _plain(answer: Answer | None) -> list[object] | None:
    if answer is None:
        return None
    return [answer.probability, answer.technique, answer.statement, answer.reason]


def _load(path: Path) -> Answers | None:
    try:
        with path.open("rb") as file:
            listed = json.loads(file.read(_LARGEST))
        found = tuple(None if one is None else _answer(*one) for one in listed)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if len(found) == 3 else None


def _answer(probability: Any, technique: Any, statement: Any, reason: Any) -> Answer:
    right = (
        isinstance(probability, float)
        and 0 <= probability <= 1
        and technique in (*LETTERS, "")
        and isinstance(statement, int)
        and isinstance(reason, str)
    )
    if not right:
        raise ValueError("not an answer")
    return Answer(probability, technique, statement, clean(reason, LONGEST_REASON))
