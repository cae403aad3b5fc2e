"""``trainwarden app``: register the App on GitHub, or examine one; arguments in, an exit code out."""

from __future__ import annotations

import argparse

from trainwarden.github import logs, settings
from trainwarden.model import Misuse

EPILOG = """\
Both read the TRAINWARDEN_... variables of docs/app-settings.md: for GitHub Enterprise Server set
TRAINWARDEN_GITHUB_URL, for another place of the credentials TRAINWARDEN_DATA. docs/github-app.md shows the whole way.

exit codes:
  0 well   1 the doctor found something to fix   2 misuse   3 not registered, or GitHub was not reached
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``register`` and ``doctor``."""
    parser.epilog = EPILOG
    deeds = parser.add_subparsers(dest="deed", metavar="DEED", required=True)
    register = deeds.add_parser("register", help="register a new App on GitHub from a page on this machine")
    register.add_argument("--organization", default="", help="owner of the App (default: your own account)")
    register.add_argument("--name", default="Trainwarden", help="name of the App (default: Trainwarden)")
    register.add_argument("--webhook-url", required=True, help="public https address of /webhook")
    register.add_argument("--port", type=int, default=8765, help="local port of the page (default: 8765)")
    deeds.add_parser("doctor", help="check permissions, events, clock, secret and the required check")


def run(arguments: argparse.Namespace) -> int:
    """0 when all is well, 1 when the doctor found something to fix. Raises ``Misuse`` and ``Unfinished``."""
    logs.install()
    try:
        if arguments.deed == "register":
            from trainwarden.github import register

            return register.run(arguments)
        from trainwarden.github import doctor
    except ModuleNotFoundError as error:
        raise Misuse(f"{error.name} is not installed", "pip install 'trainwarden[app]'") from error
    return doctor.run(settings.load())
