"""Runs a command and says how long it took and how much memory its largest process held."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: wall seconds, peak resident MiB of its largest process, exit code, output."""

    seconds: float
    mebibytes: float
    code: int
    output: str


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Runs to the end. Keep the caller small: Linux counts its resident set at the fork as the child's."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        # Tell the object that its process is gone, or it warns when it is collected.
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Run(seconds, usage.ru_maxrss / 1024, child.returncode, output.read())


def repeat(command: Sequence[str], cwd: Path, times: int, accepted: Sequence[int] = (0, 1)) -> Run:
    """The median of several runs (seconds and MiB each); the output is the last one's.

    Raises ``SystemExit`` when a run ends with another code: a figure of a failed run means nothing.
    """
    runs = [run(command, cwd) for _ in range(times)]
    for one in runs:
        if one.code not in accepted:
            raise SystemExit(f"{' '.join(command[:3])} ... ended with {one.code}")
    return Run(
        statistics.median(one.seconds for one in runs),
        statistics.median(one.mebibytes for one in runs),
        runs[-1].code,
        runs[-1].output,
    )
