"""``trainwarden model``: what the classifier is, and how fast it runs here. Words in, an exit code out."""

from __future__ import annotations

import argparse
from importlib import import_module

from trainwarden.entry.cli import Command

EPILOG = """\
exit codes:
  0 fine   2 misuse, or a model that is not the one that was sealed   3 could not finish

examples:
  trainwarden model info
  trainwarden model bench --repo ../model --commits 200
  trainwarden model calibrate --repo . --budget 1% --write .trainwarden.yml
  trainwarden model train --mirrors clones --repos repos.txt --out build
  trainwarden scan --staged --model my-model          judge with a model of your own
  trainwarden scan --staged --scorer https://host:8000     run it on a server

docs/model.md explains the model, and how to serve it on a GPU or an inference server.
"""
ACTIONS = (
    Command("info", "say what the model is, and what runs it here", "trainwarden.entry.model_info"),
    Command(
        "bench",
        "measure the model: units a second, and latencies, by engine",
        "trainwarden.entry.model_bench",
    ),
    Command(
        "calibrate",
        "fit the thresholds to your own history and a budget of alerts",
        "trainwarden.entry.model_calibrate",
    ),
    Command(
        "train",
        "train a model on your own repositories",
        "trainwarden.entry.model_train",
    ),
)
"""Each module has ``add_arguments`` and ``run``, and imports what is heavy only when it runs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions of ``model`` and their arguments."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True, title="actions")
    for action in ACTIONS:
        words = f"{action.summary[0].upper()}{action.summary[1:]}"
        import_module(action.module).add_arguments(
            actions.add_parser(action.name, help=action.summary, description=words)
        )


def run(arguments: argparse.Namespace) -> int:
    """Carries out the chosen action. Returns the exit code."""
    module = next(action.module for action in ACTIONS if action.name == arguments.action)
    code: int = import_module(module).run(arguments)
    return code
