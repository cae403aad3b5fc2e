"""``trainwarden serve``: the App's server, its worker, or both; arguments in, an exit code out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from trainwarden.github import logs, settings
from trainwarden.model import Misuse, Unfinished

ROLES = ("all", "web", "worker")
EPILOG = """\
Settings are environment variables named TRAINWARDEN_..., all of them in docs/app-settings.md. What is needed (the
App's number, private key and webhook secret) is found where `trainwarden app register` stored it. `web` takes
deliveries, `worker` reviews, `all` is both. It runs until SIGTERM or SIGINT; killing it loses nothing.

exit codes:
  0 stopped   2 a setting is missing or wrong   3 the database is not reached
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads; the rest are TRAINWARDEN_* variables (docs/app-settings.md)."""
    parser.epilog = EPILOG
    parser.add_argument("--role", choices=ROLES, default="all", help="what this process does (default: all)")
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Raises ``Misuse`` when the settings do not fit together."""
    logs.install()
    loaded = settings.check(settings.load())
    try:
        if arguments.role == "worker":
            return _work(loaded, arguments.parent)
        from trainwarden.github import serve
    except ModuleNotFoundError as error:
        raise Misuse(f"{error.name} is not installed", "pip install 'trainwarden[app]'") from error
    with _explained():
        serve.run(loaded, serve.WORKER if arguments.role == "all" else None)
    return 0


@contextmanager
def _explained() -> Iterator[None]:
    """A database that is not there ends the process with one line; whoever started it starts it again."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        hint = "check TRAINWARDEN_DATABASE_URL and that the database runs"
        raise Unfinished(f"the database is not reached ({type(error).__name__})", hint) from error


def _work(loaded: settings.Settings, parent: int) -> int:
    from trainwarden.github import worker
    from trainwarden.github.engine import Children

    with _explained():
        worker.run(loaded, Children(loaded), parent)
    return 0
