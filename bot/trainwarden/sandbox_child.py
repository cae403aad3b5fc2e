"""The killable child: reads requests from a pipe, reviews, and writes breadcrumbs and the report to another.

Started by ``sandbox.Reviewer`` in its own session, without terminal or standard streams, with a clean
environment. It limits itself before anything of the reviewed change is read. Each review runs in a thread
with a large stack (libcst recurses on nested source), while the main thread watches for the death of the
supervisor.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import resource
import select
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainwarden import sandbox_wire as wire
from trainwarden.model import Misuse, TrainwardenError

STACK_SHARE = 4  # a quarter of the address space may be stack; it is reserved, not used
BYTES_PER_CALL = 10_000  # generous C stack for one level of Python recursion
GARBAGE_THRESHOLD = 300_000
"""Syntax trees are many small objects: the default of 700 spends a sixth of a review here, this a thirtieth."""


def main(arguments: list[str]) -> None:
    """``REQUESTS ANSWERS TARGET MEGABYTES LIMIT``: two descriptors, the review function, its memory.

    ``LIMIT`` is ``address`` (space), or ``data`` where a GPU is used: CUDA reserves far more addresses than it fills.
    """
    requests, answers = int(arguments[0]), int(arguments[1])
    megabytes = int(arguments[3])
    _confine(megabytes, arguments[4])
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        review = _resolve(arguments[2])
    except (ImportError, AttributeError, OSError) as error:
        wire.write(answers, wire.frame(wire.CRASH, wire.encode_words(reason=f"cannot start: {error}")))
        return
    try:
        wire.write(answers, wire.frame(wire.HELLO))
    except BrokenPipeError:
        _orphaned()
    inbox = wire.Inbox(limit=2**32)
    reviews = 0
    while data := os.read(requests, 1 << 20):
        inbox.feed(data)
        for _, payload in inbox.frames():
            wire.write(answers, _answer(review, payload, requests, answers, megabytes))
            reviews += 1
            if reviews == 1:
                settle()
    _orphaned()


def settle() -> None:
    """What the first review has loaded (modules, rules) stays: the garbage collector need not look at it again."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    gc.collect()
    gc.freeze()


def _confine(megabytes: int, limit: str) -> None:
    """Limits memory and recursion, forbids core dumps, and leaves the reviewed repository's directory."""
    _limit(resource.RLIMIT_DATA if limit == "data" else resource.RLIMIT_AS, megabytes << 20)
    _limit(resource.RLIMIT_CORE, 0)
    os.chdir("/")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stack = (megabytes << 20) // STACK_SHARE
    threading.stack_size(stack)
    sys.setrecursionlimit(stack // BYTES_PER_CALL)


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _limit_cpu(seconds: float) -> None:
    """Allows ``seconds`` more of CPU time. Only the soft limit moves: a hard one could not rise again."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, hard))


def _resolve(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _answer(review: Callable[..., Any], payload: bytes, requests: int, answers: int, megabytes: int) -> bytes:
    """The frame that ends one request: a report, a refusal (our own error), or the confession of a crash."""
    request, options, skip, seconds = pickle.loads(payload)  # from the supervisor, never from the change
    _limit_cpu(seconds)

    def breadcrumb(path: str) -> None:
        wire.write(answers, wire.frame(wire.PATH, wire.encode_path(path)))

    def job() -> bytes:
        report = review(request, options, breadcrumb=breadcrumb, skip=skip)
        return wire.frame(wire.REPORT, wire.encode_report(report, retire=_resident() > megabytes << 19))

    return _watched(job, requests)


def _watched(job: Callable[[], bytes], requests: int) -> bytes:
    """Runs ``job`` in a thread with a large stack; ends the whole group if the supervisor goes away."""
    results: list[bytes] = []
    done, finish = os.pipe()

    def run() -> None:
        try:
            results.append(_outcome(job))
        finally:
            os.close(finish)

    worker = threading.Thread(target=run)
    worker.start()
    poll = select.poll()
    poll.register(done, select.POLLIN)
    poll.register(requests, 0)  # only hang-up and error are asked for
    ready = {descriptor for descriptor, _ in poll.poll()}
    if requests in ready and done not in ready:
        _orphaned()
    worker.join()
    os.close(done)
    return results[0]


def _orphaned() -> None:
    """The supervisor is gone: removes the temporary files that it would have removed, and ends the whole group."""
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _outcome(job: Callable[[], bytes]) -> bytes:
    """The door of this process: every exception becomes a frame, our own as words, others as a crash."""
    try:
        return job()
    except TrainwardenError as error:
        kind = "misuse" if isinstance(error, Misuse) else "unfinished"
        return wire.frame(wire.REFUSAL, wire.encode_words(kind=kind, message=str(error), hint=error.hint))
    except MemoryError:
        return wire.frame(wire.CRASH, b'{"reason": "ran out of memory"}')
    except BaseException as error:  # noqa: BLE001 - a hostile file may provoke any of them
        _debug()
        reason = f"failed with {type(error).__name__}: {str(error)[:200]}"
        return wire.frame(wire.CRASH, wire.encode_words(reason=reason))


def _debug() -> None:
    if os.environ.get("TRAINWARDEN_DEBUG"):
        import traceback

        traceback.print_exc()


def _resident() -> int:
    """Resident memory in bytes, or 0 where the system does not say (proc(5), statm)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main(sys.argv[1:])
