"""``trainwarden docs``: the reference pages in ``docs/`` are written from the code, or checked."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainwarden.entry import output
from trainwarden.model import Misuse

EPILOG = """\
The pages commands.md and rules.md are generated. Change the code or the rule, then write them again.

exit codes:
  0 written, or up to date   1 a page is not up to date   2 misuse

examples:
  trainwarden docs write        write docs/commands.md and docs/rules.md
  trainwarden docs check        exit with 1 if they would change (`make check` does this)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``docs``."""
    parser.epilog = EPILOG
    parser.add_argument("action", choices=("write", "check"), help="what to do with the pages")
    parser.add_argument("directory", nargs="?", default="docs", metavar="DIR", help="default: docs")


def run(arguments: argparse.Namespace) -> int:
    """Writes or checks the pages. Returns the exit code."""
    from trainwarden.entry import pages

    directory = Path(arguments.directory)
    if not directory.is_dir():
        raise Misuse(f"{directory} is not a directory", "run it in a checkout, or name the directory")
    wanted = {directory / name: text for name, text in pages.pages().items()}
    if arguments.action == "write":
        for path, text in wanted.items():
            output.write(text, str(path))
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        output.say(f"{path} is not up to date: run `trainwarden docs write`")
    return 1 if stale else 0
