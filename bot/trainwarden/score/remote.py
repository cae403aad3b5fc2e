"""Units in, scores out: the network runs on a server of the Open Inference Protocol that the operator runs.

Tokens are made and logits calibrated here, with the artefact's own files; only the network is elsewhere. A server that
is slow, busy or gone costs one bounded wait, is left alone for a while after a few of them, and the network then runs
in this process instead, which the name says. A server that answers, but is not the one that was meant, is an error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from uuid import uuid4

from trainwarden.model import Misuse, Score, ScorerChoice, Unfinished, Unit
from trainwarden.score import probe
from trainwarden.score.artifact import Artifact, load_encoder
from trainwarden.score.batches import FAMILIES, INPUTS, OUTPUTS, Answer, Batch, batches, rows, scores
from trainwarden.score.breaker import Breaker
from trainwarden.score.embedded import Embedded
from trainwarden.score.endpoint import Endpoint, endpoint
from trainwarden.score.features import Encoded
from trainwarden.score.transport import Failure, Metadata, Tensor, Transport

ATTEMPTS = 3
FIRST_PAUSE = 0.1
LARGEST_BATCH = 32
_INT, _FLOAT = "INT64", "FP32"
_SERVE_OURS = "serve the folder models/change-risk of this version of trainwarden"
T = TypeVar("T")


class Remote:
    """The ``Scorer`` that asks a server. ``fallback`` scores when it does not answer; None: nobody does.

    May be used by several threads. ``pause`` waits for so many seconds.
    """

    def __init__(
        self,
        artifact: Artifact,
        choice: ScorerChoice,
        fallback: Embedded | None,
        breaker: Breaker | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises ``Misuse`` for a choice that is none; does not ask the server yet."""
        self._endpoint = endpoint(choice)
        self._artifact, self._fallback = artifact, fallback
        self._encoder = load_encoder(artifact)
        self._probe = probe.read(artifact.files)
        self._seconds, self._pause = choice.seconds, pause
        self._breaker = breaker or Breaker()
        self._transport = _transport(self._endpoint)
        self._version = ""
        self._checked = False
        self._name = f"{artifact.name} ({self._endpoint.address})"
        self.notes: tuple[str, ...] = ()
        self.digest = artifact.digest

    @property
    def name(self) -> str:
        """``change-risk (host:8000, version 1)``, or who scored last instead and why."""
        return self._name

    def score(self, units: Sequence[Unit]) -> tuple[Score, ...]:
        """One score a unit, in order, all from the same place. Raises ``Unfinished`` when nobody could score.

        Raises ``Misuse`` when the server serves something else, or refuses us.
        """
        encoded = [self._encoder.encode(unit) for unit in units]
        try:
            found = self._ask(encoded)
            self._name, self.notes = f"{self._artifact.name} ({self._endpoint.address}{self._version})", ()
            return found
        except Failure as failure:
            return self._instead(encoded, failure)

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()
        if self._fallback is not None:
            self._fallback.close()

    def _instead(self, encoded: Sequence[Encoded], failure: Failure) -> tuple[Score, ...]:
        reason = f"{self._endpoint.address} {failure}"
        if self._fallback is None:
            hint = "pip install 'trainwarden[model]' lets this machine score when the server does not"
            raise Unfinished(f"the scorer {reason}", hint) from failure
        found = self._fallback.score_encoded(encoded)
        self._name = f"{self._artifact.name} (embedded: {reason})"
        self.notes = (f"The learned risk was computed by {self._name}.",)
        return found

    def _ask(self, encoded: Sequence[Encoded]) -> tuple[Score, ...]:
        found: dict[int, Score] = {}
        for batch in batches(encoded, LARGEST_BATCH):
            answer = self._guarded(partial(self._run, encoded, batch))
            found.update(scores(encoded, batch, answer, self._artifact.calibration))
        return tuple(found[place] for place in range(len(encoded)))

    def _guarded(self, job: Callable[[float], T]) -> T:
        """Runs one call behind the breaker, with its retries, within the seconds of the choice."""
        if not self._breaker.allows():
            raise Failure(f"is left alone after {self._breaker.failures} failures", again=False)
        try:
            answer = self._patiently(job)
        except Failure:
            self._breaker.failed()
            self._checked = False  # what answers next may be another
            raise
        except Misuse:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return answer

    def _patiently(self, job: Callable[[float], T]) -> T:
        """Exponential back-off with full jitter (Brooker, Exponential Backoff And Jitter, 2015)."""
        deadline = time.monotonic() + self._seconds
        for attempt in range(ATTEMPTS):
            try:
                return job(deadline - time.monotonic())
            except Failure as failure:
                wait = random.uniform(0, FIRST_PAUSE * 2**attempt)
                last = attempt == ATTEMPTS - 1 or time.monotonic() + wait >= deadline
                if last or not failure.again:
                    raise
                self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _run(self, encoded: Sequence[Encoded], batch: Batch, seconds: float) -> Answer:
        deadline = time.monotonic() + seconds
        if not self._checked:
            self._check(self._transport.metadata(seconds), deadline)
        return self._infer(encoded, batch, deadline)

    def _infer(self, encoded: Sequence[Encoded], batch: Batch, deadline: float) -> Answer:
        tensors = dict(zip(INPUTS, rows(encoded, batch), strict=True))
        said = self._transport.infer(tensors, uuid4().hex, max(deadline - time.monotonic(), 0.001))
        count = len(batch.places)
        risk = _checked(said, "risk", (count,))
        family = _checked(said, "family", (count, FAMILIES))
        lines = _checked(said, "lines", (count, batch.length))
        return Answer(risk, _table(family, FAMILIES), _table(lines, batch.length))

    def _check(self, said: Metadata, deadline: float) -> None:
        """Whether what is served is what was meant: its tensors by name, its weights by what they answer."""
        wanted = (dict.fromkeys(INPUTS, _INT), dict.fromkeys(OUTPUTS, _FLOAT))
        for which, ours, theirs in zip(("reads", "writes"), wanted, (said.inputs, said.outputs), strict=True):
            if ours != dict(theirs):
                message = (
                    f"the model {self._endpoint.model!r} of {self._endpoint.address} {which} {_listed(theirs)}, "
                    f"but {self._artifact.name} {which} {_listed(ours)}"
                )
                raise Misuse(message, _SERVE_OURS)
        if self._probe is not None:
            risk = self._infer(self._probe.units, self._probe.batch, deadline).risk
            if not self._probe.agrees(risk):
                message = f"the model {self._endpoint.model!r} of {self._endpoint.address} is another network than ours"
                raise Misuse(message, _SERVE_OURS)
        self._version = f", version {said.versions[-1]}" if said.versions else ""
        self._checked = True


def _transport(end: Endpoint) -> Transport:
    # Imported here: one of them is not installed everywhere, and neither is needed where nothing is served.
    if end.scheme.startswith("grpc"):
        from trainwarden.score.remote_grpc import GrpcTransport

        return GrpcTransport(end)
    from trainwarden.score.remote_http import HttpTransport

    return HttpTransport(end)


def _checked(said: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Sequence[float]:
    """The numbers of one output. A trailing dimension of one may be there or not."""
    tensor = said.get(name)
    if tensor is None:
        raise Failure(f"left {name} out of its answer", again=False)
    if tensor.shape not in (shape, (*shape, 1)) or tensor.datatype != _FLOAT:
        raise Failure(f"answered {name} as {tensor.datatype} {list(tensor.shape)}", again=False)
    size = 1
    for length in shape:
        size *= length
    if len(tensor.data) != size:
        raise Failure(f"answered {len(tensor.data)} numbers of {name} where {size} were due", again=False)
    return tensor.data


def _table(flat: Sequence[float], width: int) -> list[Sequence[float]]:
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def _listed(tensors: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {datatype}" for name, datatype in sorted(tensors.items())) or "nothing"
