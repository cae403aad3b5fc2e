"""Reviews ranges one after the other in this process and prints JSON: times, memory and the biggest costs.

Comes in: ``warm.py REPO FILE`` where FILE holds lines ``base head``. Started by ``bench.py``, so that the
resident set of the driver stays small.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from trainwarden.entry import assemble
from trainwarden.model import Options, Request
from trainwarden.sandbox_child import settle

Function = tuple[str, int, str]


def main() -> None:
    """Measures first, then profiles a second pass: the profiler slows Python down twofold."""
    repository, ranges = sys.argv[1], [line.split() for line in Path(sys.argv[2]).read_text().splitlines()]
    requests = [Request(repository, "range", base=base, head=head) for base, head in ranges]
    options = Options(model="--no-model" not in sys.argv[3:])
    assemble.review(requests[0], options)  # imports, compiled rules
    settle()  # as the child does after its first review
    times = [_timed(request, options) for request in requests]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    profile = cProfile.Profile()
    profile.enable()
    for request in requests:
        assemble.review(request, options)
    profile.disable()
    rooms, functions = costs(pstats.Stats(profile))
    wall, cpu = zip(*times, strict=True)
    measured = {"wall": wall, "cpu": cpu, "mebibytes": peak, "rooms": rooms, "functions": functions}
    print(json.dumps(measured))


def _timed(request: Request, options: Options) -> tuple[float, float]:
    """Seconds on the wall, and of this process's processor: the latter hardly feels a busy machine."""
    start = time.perf_counter(), time.process_time()
    assemble.review(request, options)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def costs(stats: pstats.Stats) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Shares of the time by room and by function, biggest first. Time in builtins goes to their callers."""
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if function[0] == "~" and callers:
            for caller, (_, _, share, _) in callers.items():
                rooms[room(caller)] += share
                functions[f"{label(caller)} -> {function[2]}"] += share
        else:
            rooms[room(function)] += own
            functions[label(function)] += own
    total = sum(rooms.values())
    return _shares(rooms, total, 8), _shares(functions, total, 12)


def _shares(seconds: Counter[str], total: float, first: int) -> list[tuple[str, float]]:
    return [(name, spent / total) for name, spent in seconds.most_common(first)]


def room(function: Function) -> str:
    """``trainwarden.parse`` and the like for our code, the name of the library for other code."""
    parts = Path(function[0]).parts
    for anchor, depth in (("trainwarden", 2), ("site-packages", 2)):
        if anchor in parts:
            start = len(parts) - 1 - parts[::-1].index(anchor)
            names = parts[start : start + depth] if anchor == "trainwarden" else parts[start + 1 : start + 2]
            return ".".join(names).removesuffix(".py")
    return "standard library"


def label(function: Function) -> str:
    """``room/file.py:name`` of a function."""
    return f"{room(function)}/{Path(function[0]).name}:{function[2]}"


if __name__ == "__main__":
    main()
