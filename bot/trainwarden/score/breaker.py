"""Outcomes of calls come in; whether another call makes sense goes out: a circuit breaker.

Closed, it lets every call through. After ``limit`` failed calls in a row it opens and refuses for ``rest`` seconds;
then one call goes through as a probe, and its outcome closes it or keeps it open (Nygard, Release It!, 2007).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LIMIT = 3
REST_SECONDS = 30.0


class Breaker:
    """For one server, shared by the threads that call it. ``clock`` gives seconds that never run backwards."""

    def __init__(
        self, limit: int = LIMIT, rest: float = REST_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._rest, self._clock = limit, rest, clock
        self._failures = 0
        self._until: float | None = None
        self._lock = threading.Lock()

    @property
    def failures(self) -> int:
        """Calls that failed since the last that did not."""
        return self._failures

    def allows(self) -> bool:
        """Whether a call may go through now; True for the one probe after a rest. The caller reports its outcome."""
        with self._lock:
            now = self._clock()
            if self._until is None:
                return True
            if now < self._until:
                return False
            self._until = now + self._rest  # others wait for the probe, and no longer than a rest
            return True

    def succeeded(self) -> None:
        """The call came back: closed."""
        with self._lock:
            self._failures, self._until = 0, None

    def failed(self) -> None:
        """The call did not come back: open, if it was one too many."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._until = self._clock() + self._rest
