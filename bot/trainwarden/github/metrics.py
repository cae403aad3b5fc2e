"""Counters, gauges and histograms in, Prometheus text out (exposition format 0.0.4).

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    kind: str
    words: str
    values: dict[Labels, float] = field(default_factory=dict)
    buckets: dict[Labels, list[int]] = field(default_factory=dict)


class Metrics:
    """All numbers of one process. Names carry no prefix here; ``trainwarden_`` is added on the way out."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._lock = threading.Lock()

    def count(self, name: str, words: str, amount: float = 1.0, **labels: str) -> None:
        """Add ``amount`` to a counter; ``words`` is its help text."""
        with self._lock:
            values = self._families.setdefault(name, _Family("counter", words)).values
            key = _key(labels)
            values[key] = values.get(key, 0.0) + amount

    def gauge(self, name: str, words: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._families.setdefault(name, _Family("gauge", words)).values[_key(labels)] = value

    def observe(self, name: str, words: str, seconds: float, **labels: str) -> None:
        """Record one duration in a histogram."""
        with self._lock:
            family = self._families.setdefault(name, _Family("histogram", words))
            key = _key(labels)
            counts = family.buckets.setdefault(key, [0] * (len(BUCKETS) + 1))
            counts[bisect_left(BUCKETS, seconds)] += 1
            family.values[key] = family.values.get(key, 0.0) + seconds

    @contextmanager
    def timed(self, name: str, words: str) -> Iterator[None]:
        """Record how long a block took."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.observe(name, words, time.monotonic() - started)

    def value(self, name: str, **labels: str) -> float:
        """The current value of a counter or gauge; 0 when it was never touched."""
        with self._lock:
            family = self._families.get(name)
            return family.values.get(_key(labels), 0.0) if family else 0.0

    def render(self) -> str:
        """Everything as Prometheus text."""
        with self._lock:
            return "".join(_family(f"trainwarden_{name}", f) for name, f in sorted(self._families.items()))


def _key(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _text(labels: Labels) -> str:
    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in labels) + "}" if labels else ""


def _family(name: str, family: _Family) -> str:
    lines = [f"# HELP {name} {family.words}", f"# TYPE {name} {family.kind}"]
    if family.kind != "histogram":
        lines += [f"{name}{_text(key)} {value:g}" for key, value in sorted(family.values.items())]
        return "\n".join(lines) + "\n"
    for key, counts in sorted(family.buckets.items()):
        total = 0
        for bound, n in zip([f"{b:g}" for b in BUCKETS] + ["+Inf"], counts, strict=True):
            total += n
            lines.append(f"{name}_bucket{_text((*key, ('le', bound)))} {total}")
        lines += [f"{name}_sum{_text(key)} {family.values[key]:g}", f"{name}_count{_text(key)} {total}"]
    return "\n".join(lines) + "\n"
