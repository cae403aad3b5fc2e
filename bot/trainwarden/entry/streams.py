"""The standard streams of a process, whatever its caller made of them. Imports next to nothing."""

from __future__ import annotations

import os
import sys


def open_streams() -> None:
    """Opens standard streams that the caller closed, on nothing: the next file opened would take their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
