"""``trainwarden serve`` and ``trainwarden app``: arguments in, an exit code out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from trainwarden.github import logs, settings
from trainwarden.model import Misuse, TrainwardenError

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The arguments of both commands."""
    top = argparse.ArgumentParser(prog="trainwarden")
    commands = top.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve", help="run the GitHub App (settings come from TRAINWARDEN_* variables)"
    )
    serve.add_argument(
        "--role", choices=("all", "web", "worker"), default="all", help="what this process does"
    )
    serve.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    app = commands.add_parser("app", help="set up and examine the GitHub App")
    deeds = app.add_subparsers(dest="deed", required=True)
    register = deeds.add_parser("register", help="register a new App on GitHub from a page on this machine")
    register.add_argument("--organization", default="", help="owner of the App; your own account by default")
    register.add_argument("--name", default="Trainwarden", help="name of the App")
    register.add_argument("--webhook-url", required=True, help="public address of /webhook")
    register.add_argument("--port", type=int, default=8765, help="local port of the page")
    deeds.add_parser("doctor", help="check permissions, events, clock, secret and the required check")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 well, 1 the doctor found something, 2 misuse, 3 could not finish."""
    arguments = parser().parse_args(argv)
    logs.install()
    try:
        return _serve(arguments) if arguments.command == "serve" else _app(arguments)
    except TrainwardenError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        sys.stderr.write(f"trainwarden: {logs.scrub(str(error))}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _serve(arguments: argparse.Namespace) -> int:
    loaded = settings.check(settings.load())
    if arguments.role == "worker":
        from trainwarden.github import worker
        from trainwarden.github.engine import Children

        worker.run(loaded, Children(loaded), arguments.parent)
        return 0
    from trainwarden.github import serve

    serve.run(loaded, serve.WORKER if arguments.role == "all" else None)
    return 0


def _app(arguments: argparse.Namespace) -> int:
    if arguments.deed == "register":
        from trainwarden.github import register

        return register.run(arguments)
    from trainwarden.github import doctor

    try:
        loaded = settings.load()
    except Misuse as error:
        sys.stderr.write(f"trainwarden: {error}\n{error.hint}\n")
        return error.exit_code
    return doctor.run(loaded)


if __name__ == "__main__":
    sys.exit(main())
