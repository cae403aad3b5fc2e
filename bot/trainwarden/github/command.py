"""``python -m trainwarden.github.command``: the two commands of the App without the rest of the command line.

The server starts its worker this way; people use ``trainwarden serve`` and ``trainwarden app``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from trainwarden.github import app_command, logs, serve_command
from trainwarden.model import TrainwardenError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 well, 1 something to fix, 2 misuse, 3 could not finish, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="trainwarden")
    commands = parser.add_subparsers(dest="command", required=True)
    serve_command.add_arguments(commands.add_parser("serve", help="run the GitHub App"))
    app_command.add_arguments(commands.add_parser("app", help="register or examine the GitHub App"))
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "serve":
            return serve_command.run(arguments)
        return app_command.run(arguments)
    except TrainwardenError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        sys.stderr.write(f"trainwarden: {logs.scrub(str(error))}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
