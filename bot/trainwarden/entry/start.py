"""The console script. The reader that ``scan`` and ``hook`` are sure to want starts while the rest is imported."""

from __future__ import annotations

import sys

from trainwarden.entry.streams import open_streams
from trainwarden.sandbox_process import forget, head_start

AT_ONCE = ("scan", "hook")
"""Commands that review one change and end: what a start from cold takes is all they take."""


def main() -> int:
    """Runs the command line (see ``cli.main``)."""
    open_streams()
    if sys.argv[1:2] and sys.argv[1] in AT_ONCE and not {"-h", "--help"} & set(sys.argv):
        head_start()
    from trainwarden.entry import cli

    try:
        return cli.main()
    finally:
        forget()
