"""A progress bar on standard error, only where somebody looks at a terminal: done, rate, time left."""

from __future__ import annotations

import time
from typing import TextIO

from trainwarden.entry.output import columns

BAR = 24
REFRESH_SECONDS = 0.1


class Progress:
    """A bar for ``total`` steps on ``stream``; silent when that is not a terminal."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._shown = stream.isatty()
        self._done = 0
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._visible = False

    def __enter__(self) -> Progress:
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if not self._visible or time.monotonic() - self._drawn_at > REFRESH_SECONDS:
            self._draw()

    def clear(self) -> None:
        """Wipes the bar so that a line of output can take its place."""
        if self._visible:
            self._write("\r\x1b[K")
            self._visible = False

    def _draw(self) -> None:
        if self._shown:
            self._drawn_at = time.monotonic()
            seconds = self._drawn_at - self._started
            self._write("\r" + bar(self._done, self._total, seconds, columns(self._stream)))
            self._visible = True

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._shown = False


def bar(done: int, total: int, seconds: float, width: int) -> str:
    """The bar as text of fewer than ``width`` columns: ``[###---] 30/100  12.5/s  0:06 left``."""
    share = done / total if total else 1.0
    filled = int(share * BAR)
    rate = done / seconds if seconds > 0 else 0.0
    left = f"{_clock((total - done) / rate)} left" if rate else "waiting for the first"
    text = f"[{'#' * filled}{'-' * (BAR - filled)}] {done:,}/{total:,}  {rate:.1f}/s  {left}"
    return text[: max(width - 1, 0)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
