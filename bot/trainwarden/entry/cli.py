"""The command line: words in, an exit code out. This is the one place that catches everything.

Only the chosen command is imported, and only its arguments are declared: a pre-commit hook pays for nothing
else. Standard output carries results, standard error carries words for people.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

from trainwarden.entry import output
from trainwarden.entry.streams import open_streams
from trainwarden.model import Misuse, TrainwardenError

INTERRUPTED = 130
UNFINISHED = 3

EPILOG = """\
exit codes:
  0    the verdict is below --fail-on
  1    the verdict is at or above --fail-on (default: block)
  2    misuse: not a repository, unknown revision, bad flag, rule or config
  3    the review could not be finished (it is never green then)
  130  interrupted

examples:
  trainwarden scan --base origin/main --head HEAD     review a branch before it is merged
  trainwarden scan --staged                           review what is about to be committed
  trainwarden sweep --commits 500 --format jsonl      review history, one report a line

`trainwarden COMMAND --help` explains a command. Set TRAINWARDEN_DEBUG=1 to see tracebacks.
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A word of the command line, what it is for, and the module with ``add_arguments`` and ``run``."""

    name: str
    summary: str
    module: str


COMMANDS = (
    Command("scan", "review one change", "trainwarden.entry.commands_scan"),
    Command("sweep", "review many changes, or a repository's history", "trainwarden.entry.commands_sweep"),
    Command(
        "evaluate",
        "measure what is caught and what is wrongly alerted",
        "trainwarden.entry.commands_evaluate",
    ),
    Command(
        "docs",
        "write the reference pages, or check that they are up to date",
        "trainwarden.entry.commands_docs",
    ),
    Command("action", "review the change of a GitHub Actions job", "trainwarden.entry.action"),
    Command("hook", "review what pre-commit is about to let through", "trainwarden.entry.hook"),
    Command("model", "say what the classifier is, and measure it", "trainwarden.entry.commands_model"),
    Command("rules", "list, show, check, test, write and measure rules", "trainwarden.rules.command"),
    Command("serve", "run the GitHub App", "trainwarden.github.serve_command"),
    Command("app", "register or examine the GitHub App", "trainwarden.github.app_command"),
)


class Parser(argparse.ArgumentParser):
    """An argument parser that speaks like the rest: one line for the error, one for the way out."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raises ``Misuse`` instead of printing the usage and exiting."""
        raise Misuse(message, f"`{self.prog} --help` explains")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises, never prints a traceback unless debugging."""
    open_streams()
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        output.say("interrupted")
        return INTERRUPTED
    except SystemExit as end:  # argparse after --help and --version
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:
        output.mute()
        return UNFINISHED
    except Exception as error:  # noqa: BLE001 - the door
        return _complain(error)


def _dispatch(arguments: list[str]) -> int:
    word = next((word for word in arguments if not word.startswith("-")), None)
    module = next((import_module(command.module) for command in COMMANDS if command.name == word), None)
    parsed, unknown = parser(word, module).parse_known_args(arguments)
    if unknown:
        raise Misuse(
            f"unknown argument: {' '.join(unknown)}", f"`trainwarden {word} --help` lists what there is"
        )
    if module is None:
        raise Misuse("no command given", "`trainwarden --help` lists them; start with `trainwarden scan`")
    code: int = module.run(parsed)
    return code


def parser(chosen: str | None = None, module: Any = None) -> Parser:
    """The parser of all commands, with the arguments of the chosen one declared by its module."""
    description = "Finds sabotage in machine-learning training code before it is merged."
    root = Parser(prog="trainwarden", description=description, epilog=EPILOG)
    root.add_argument("--version", action=_Version, help="print the version and exit")
    words = root.add_subparsers(metavar="COMMAND", title="commands", dest="command")
    for command in COMMANDS:
        sub = words.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        )
        if command.name == chosen:
            module.add_arguments(sub)
    return root


class _Version(argparse.Action):
    """Says the version and ends."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from trainwarden.version import VERSION

        sys.stdout.write(f"trainwarden {VERSION}\n")
        parser.exit()


def _complain(error: Exception) -> int:
    """One line for the error and one for the way out; the exit code that belongs to it."""
    if os.environ.get("TRAINWARDEN_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, TrainwardenError):
        message, hint, code = str(error), error.hint, error.exit_code
    else:
        message, code = f"unexpected {type(error).__name__}: {error}", UNFINISHED
        hint = "this is a defect of trainwarden: please report it, with what TRAINWARDEN_DEBUG=1 shows"
    output.say(f"error: {message}")
    output.say(hint or "`trainwarden --help` shows the way", "hint")
    return code
