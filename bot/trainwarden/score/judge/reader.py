"""Units and their risks in, second opinions of a language model out. It can add evidence and never take any away.

Only units above a threshold are read, the riskiest first, while budget and patience last. Each is read three times:
as it is, anonymised, and with its sides exchanged. What adds up is in ``evidence``; what could not be had, and why, is
a note for the report. The first reading may be led by names, the second cannot; the third is a control: who finds the
undoing of an edit as bad as the edit has not understood it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainwarden.model import JudgeChoice, Misuse, Opinion, Opinions, Unit, Usage
from trainwarden.score.breaker import Breaker
from trainwarden.score.judge.answer import Answer, Completion
from trainwarden.score.judge.budget import Budget, Cost, Ledger, cost, estimate
from trainwarden.score.judge.cache import Answers, Cache, fingerprint
from trainwarden.score.judge.client import Client
from trainwarden.score.judge.prompt import SYSTEM
from trainwarden.score.judge.text import Readings, readings
from trainwarden.score.transport import Failure

MOST_NATS = 3.0
"""Evidence that a second opinion adds at most: it multiplies the odds by twenty."""
SURE = 0.02
"""No answer counts as surer than this, either way."""
UNCONTROLLED = 0.5
"""What a reading counts for without its control."""
_AROUND = 200
"""Characters of a request around the code and the instructions."""


def evidence(plain: float | None, anonymous: float | None, swapped: float | None) -> float:
    """Nats that three readings add, from their probabilities of sabotage (None: no answer). Never negative.

    The reading that is more alarmed counts, so disagreement raises: r = max of the log-odds of ``plain`` and
    ``anonymous``. With s, those of ``swapped``: min(r, r - s), between 0 and ``MOST_NATS``; r x ``UNCONTROLLED``
    without s. It rises with both readings of the edit; it is 0 when exchanging the sides changes nothing.
    """
    told = [_log_odds(one) for one in (plain, anonymous) if one is not None]
    if not told:
        return 0.0
    risk = max(told)
    counted = risk * UNCONTROLLED if swapped is None else min(risk, risk - _log_odds(swapped))
    return min(max(counted, 0.0), MOST_NATS)


def _log_odds(probability: float) -> float:
    sure = min(max(probability, SURE), 1 - SURE)
    return math.log(sure / (1 - sure))


@dataclass(slots=True)
class _Reading:
    """One call of ``read`` on its way."""

    budget: Budget
    deadline: float
    usage: Usage
    found: dict[int, Opinion] = field(default_factory=dict)
    without: dict[str, int] = field(default_factory=dict)
    """Reasons for which units were not read, with their number."""
    addressed: set[str] = field(default_factory=set)


class Judge:
    """Second opinions from one server. For one thread; kept for the next change of a warm process."""

    def __init__(
        self,
        choice: JudgeChoice,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        _check(choice)
        self._choice, self._clock = choice, clock
        folder = Path(choice.folder) if choice.folder is not None else None
        if folder is not None:
            _make(folder)
        self._client = Client(choice, pause)
        self._breaker = breaker or Breaker()
        self._cache = Cache(folder)
        self._ledger = Ledger(folder, choice) if folder is not None and _by_day(choice) else None

    @property
    def name(self) -> str:
        """The model's name with its server."""
        return f"{self._choice.model} ({self._client.address})"

    def read(self, units: Sequence[Unit], risks: Sequence[float], above: float) -> Opinions:
        """Reads the units whose risk is above the threshold (the operator's own, if given), the riskiest first."""
        limit = above if self._choice.above is None else self._choice.above
        wanted = [place for place in range(len(units)) if risks[place] > limit]
        budget = Budget(self._choice, self._ledger)
        state = _Reading(budget, self._clock() + self._choice.patience, Usage(offered=len(units)))
        for place in sorted(wanted, key=lambda place: -risks[place]):
            self._one(state, place, units[place])
        return Opinions(state.found, tuple(self._notes(state, len(wanted))), state.usage)

    def close(self) -> None:
        """Hangs up."""
        self._client.close()

    def _one(self, state: _Reading, place: int, unit: Unit) -> None:
        texts = readings(unit)
        if texts.addressed:
            state.addressed.add(unit.path)
        asked = [texts.plain, texts.anonymous, *([texts.swapped] if texts.swapped is not None else [])]
        key = fingerprint(f"{self._choice.model}\0{self._client.address}", asked)
        answers = self._cache.get(key)
        if answers is not None:
            state.usage = replace(state.usage, cached=state.usage.cached + 1)
        else:
            reason, answers = self._asked(state, asked)
            if answers is None:
                state.without[reason] = state.without.get(reason, 0) + 1
                return
            if all(one is not None for one in answers[: len(asked)]):
                self._cache.put(key, answers)
        state.usage = replace(state.usage, units=state.usage.units + 1)
        state.found[place] = self._opinion(unit, texts, answers)

    def _asked(self, state: _Reading, asked: Sequence[str]) -> tuple[str, Answers | None]:
        """Why there are no answers, or "" and the answers (three, None where there is none)."""
        left = state.deadline - self._clock()
        if left <= 0:
            return f"{self._choice.patience:g} s for a change were over", None
        planned = self._planned(asked)
        if not self._breaker.allows():
            return f"it is left alone after {self._breaker.failures} failures", None
        try:
            if beyond := state.budget.reserve(planned):
                return f"{beyond} was reached", None
            said = self._client.ask(asked, min(left, self._choice.seconds))
            self._account(state, planned, asked, said)
        except Failure as failure:
            return str(failure), None
        answers = tuple(one.answer if isinstance(one.answer, Answer) else None for one in said)
        if answers[0] is None and answers[1] is None:
            self._breaker.failed()
            return f"it {said[0].answer}", None
        self._breaker.succeeded()
        return "", (*answers, None)[:3]

    def _planned(self, asked: Sequence[str]) -> Cost:
        reads = sum(estimate(len(SYSTEM) + len(text) + _AROUND) for text in asked)
        return cost(self._choice, reads, len(asked) * self._choice.answer_tokens)

    def _account(
        self, state: _Reading, planned: Cost, asked: Sequence[str], said: Sequence[Completion]
    ) -> None:
        """Counts what was spent: as the server says, or as estimated where it does not say."""
        reads = writes = 0
        for text, one in zip(asked, said, strict=True):
            guess = estimate(len(SYSTEM) + len(text) + _AROUND)
            reads += guess if one.tokens_in is None else one.tokens_in
            writes += self._choice.answer_tokens if one.tokens_out is None else one.tokens_out
        spent = cost(self._choice, reads, writes)
        state.budget.settle(planned, spent)
        before = state.usage
        state.usage = replace(
            before,
            calls=before.calls + len(self._client.latencies),
            failed=before.failed + sum(isinstance(one.answer, Failure) for one in said),
            tokens_in=before.tokens_in + reads,
            tokens_out=before.tokens_out + writes,
            money=before.money + spent.money,
            latencies=(*before.latencies, *self._client.latencies),
        )

    def _opinion(self, unit: Unit, texts: Readings, answers: Answers) -> Opinion:
        plain, anonymous, swapped = answers
        told = max((one for one in (plain, anonymous) if one is not None), key=lambda one: one.probability)
        chances = (_chance(plain), _chance(anonymous), _chance(swapped))
        nats = evidence(*chances)
        line = None
        if 0 < told.statement <= len(texts.statements):
            statement = unit.statements[texts.statements[told.statement - 1]]
            line = statement.line if statement.edited else None
        return Opinion(nats, line, told.technique, told.reason, chances, self.name)

    def _notes(self, state: _Reading, wanted: int) -> list[str]:
        notes = []
        for reason, count in state.without.items():
            of = f"{count} of {wanted} risky edits" if wanted > 1 else "the risky edit"
            notes.append(f"No second opinion of {self.name} on {of}: {reason}")
        if state.addressed:
            paths = ", ".join(sorted(state.addressed)[:3])
            notes.append(
                f"Names or texts in {paths} could address a reader; they were hidden from {self.name}"
            )
        return notes


def _check(choice: JudgeChoice) -> None:
    """Raises ``Misuse`` for budgets that nothing could keep."""
    if not choice.model:
        raise Misuse("the judge needs the name of its model", "name it with --judge-model or `judge.model`")
    if _by_day(choice) and choice.folder is None:
        hint = "name one with `judge.folder`, or leave the budget of a day out"
        raise Misuse("the judge's budget of a day needs a folder to count in", hint)
    priced = choice.price_in > 0 or choice.price_out > 0
    if (choice.money is not None or choice.day_money is not None) and not priced:
        hint = "give `price_in` and `price_out` for a million tokens"
        raise Misuse("the judge's budget of money needs prices", hint)


def _chance(answer: Answer | None) -> float | None:
    return answer.probability if answer is not None else None


def _by_day(choice: JudgeChoice) -> bool:
    return choice.day_tokens is not None or choice.day_money is not None


def _make(folder: Path) -> None:
    with suppress(FileExistsError):
        try:
            folder.mkdir(mode=0o700)
        except FileNotFoundError as error:
            raise Misuse(f"the judge's folder {folder} cannot be made: {error.strerror}") from error
        except PermissionError as error:
            raise Misuse(f"the judge's folder {folder} cannot be made: {error.strerror}") from error
