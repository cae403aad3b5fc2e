"""Tokens and money that may be spent, and were: for one change in memory, for a day in a file that processes share.

A call is paid for before it is made, by an estimate that errs upwards, and settled after it by what the server said.
Nothing is spent beyond a budget, however many processes ask at once.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from trainwarden.model import JudgeChoice
from trainwarden.score.transport import Failure

CHARACTERS_A_TOKEN = 2.0
"""Code has three to four in the vocabularies of today; fewer are assumed, so that the estimate errs upwards."""


def today() -> str:
    """The day that is counted, in UTC."""
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens read and written, and what they cost."""

    tokens_in: int
    tokens_out: int
    money: float

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.tokens_in + self.tokens_out


def cost(choice: JudgeChoice, tokens_in: int, tokens_out: int) -> Cost:
    """What so many tokens cost by the operator's prices."""
    money = (tokens_in * choice.price_in + tokens_out * choice.price_out) / 1e6
    return Cost(tokens_in, tokens_out, money)


def estimate(characters: int) -> int:
    """Tokens of a text, rather too many."""
    return int(characters / CHARACTERS_A_TOKEN) + 1


class Budget:
    """The budget of one change."""

    def __init__(self, choice: JudgeChoice, ledger: Ledger | None) -> None:
        self._choice, self._ledger = choice, ledger
        self._tokens, self._money = 0, 0.0

    def reserve(self, planned: Cost) -> str:
        """Sets an estimate aside; "" when it may be spent, else which budget it is beyond."""
        choice = self._choice
        if self._tokens + planned.tokens > choice.tokens:
            return f"the budget of {choice.tokens} tokens for a change"
        if choice.money is not None and self._money + planned.money > choice.money:
            return f"the budget of {choice.money:g} for a change"
        if self._ledger is not None and (beyond := self._ledger.reserve(planned)):
            return beyond
        self._add(planned.tokens, planned.money)
        return ""

    def settle(self, planned: Cost, spent: Cost) -> None:
        """Replaces an estimate by what was spent."""
        tokens, money = spent.tokens - planned.tokens, spent.money - planned.money
        self._add(tokens, money)
        if self._ledger is not None:
            self._ledger.add(tokens, money)

    def _add(self, tokens: int, money: float) -> None:
        self._tokens, self._money = self._tokens + tokens, self._money + money


class Ledger:
    """The spending of a day in ``FOLDER/spent-DAY.json``. Raises ``Failure`` when it cannot be kept."""

    def __init__(self, folder: Path, choice: JudgeChoice, day: Callable[[], str] = today) -> None:
        self._folder, self._choice, self._day = folder, choice, day

    def reserve(self, planned: Cost) -> str:
        """As ``Budget.reserve``, for the day."""
        choice = self._choice
        with self._open() as file:
            tokens, money = _read(file)
            if choice.day_tokens is not None and tokens + planned.tokens > choice.day_tokens:
                return f"the budget of {choice.day_tokens} tokens for a day"
            if choice.day_money is not None and money + planned.money > choice.day_money:
                return f"the budget of {choice.day_money:g} for a day"
            _write(file, tokens + planned.tokens, money + planned.money)
        return ""

    def add(self, tokens: int, money: float) -> None:
        """Corrects what was set aside."""
        with self._open() as file:
            before, spent = _read(file)
            _write(file, before + tokens, spent + money)

    @contextmanager
    def _open(self) -> Iterator[TextIOWrapper]:
        path = self._folder / f"spent-{self._day()}.json"
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(number, "r+", encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failure(f"its spending cannot be kept in {path}: {error}", again=False) from error


def _read(file: TextIOWrapper) -> tuple[int, float]:
    text = file.read()
    if not text:
        return 0, 0.0
    plain = json.loads(text)
    return int(plain["tokens"]), float(plain["money"])


def _write(file: TextIOWrapper, tokens: int, money: float) -> None:
    file.seek(0)
    file.truncate()
    json.dump({"tokens": max(tokens, 0), "money": max(money, 0.0)}, file)
    file.flush()
