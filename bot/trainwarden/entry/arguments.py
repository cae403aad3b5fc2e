"""Arguments that several commands share, and the options and paths they stand for."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import get_args

from trainwarden.entry.output import FAIL_ON
from trainwarden.model import Device, JudgeChoice, Misuse, Options, ScorerChoice
from trainwarden.sandbox_process import MEGABYTES

SCORER_VARIABLE = "TRAINWARDEN_SCORER"
JUDGE_VARIABLE = "TRAINWARDEN_JUDGE"
JUDGE_MODEL_VARIABLE = "TRAINWARDEN_JUDGE_MODEL"
JUDGE_KEY_VARIABLE = "TRAINWARDEN_JUDGE_KEY"
JUDGE_KEY_FILE_VARIABLE = "TRAINWARDEN_JUDGE_KEY_FILE"
MODEL_VARIABLE = "TRAINWARDEN_MODEL_DIR"
LEAST_MEGABYTES = 256
MOST_SECONDS = 100_000


def add_judging(parser: argparse.ArgumentParser, *, fail_on: bool = True) -> None:
    """Declares what to judge with: rules, config, model, history, budgets, and (if wanted) when to fail."""
    group = parser.add_argument_group("judging")
    group.add_argument("--rules", metavar="DIR", help="add the rules of a directory (an operator's pack)")
    group.add_argument("--no-bundled", action="store_true", help="leave the bundled rules out")
    group.add_argument("--config", metavar="FILE", help="the operator's config; wins over .trainwarden.yml")
    group.add_argument("--no-model", action="store_true", help="judge by rules only")
    group.add_argument("--model", metavar="DIR", help="a model of your own instead of the bundled one")
    group.add_argument("--scorer", metavar="URL", help="run the model on a server (http, https, grpc, grpcs)")
    group.add_argument("--device", choices=get_args(Device), help="run the model there (default: auto)")
    group.add_argument(
        "--judge", metavar="URL", help="ask a language model about risky edits (docs/judge.md)"
    )
    group.add_argument("--judge-model", metavar="NAME", help="its name on that server")
    group.add_argument("--no-history", action="store_true", help="do not compare with earlier fixes")
    group.add_argument(
        "--seconds", type=_seconds, default=60.0, metavar="N", help="time for a change (default: 60)"
    )
    group.add_argument(
        "--megabytes",
        type=_megabytes,
        default=MEGABYTES,
        metavar="N",
        help=f"memory for a change (default: {MEGABYTES})",
    )
    if not fail_on:
        return
    group.add_argument(
        "--fail-on", choices=FAIL_ON, default="block", help="the verdict that exits with 1 (default: block)"
    )


def options(arguments: argparse.Namespace, workers: int = 1) -> Options:
    """The options that the shared arguments stand for, for so many reviews side by side.

    Raises ``Misuse`` for a path that is not there.
    """
    if arguments.rules is not None and not Path(arguments.rules).is_dir():
        hint = "name a directory of <family>/<id>.yml files"
        raise Misuse(f"--rules {arguments.rules}: not a directory", hint)
    if arguments.config is not None and not Path(arguments.config).is_file():
        hint = "name a file like .trainwarden.yml"
        raise Misuse(f"--config {arguments.config}: not a file", hint)
    return Options(
        rules_dir=absolute(arguments.rules),
        bundled=not arguments.no_bundled,
        model=not arguments.no_model,
        history=not arguments.no_history,
        config_file=absolute(arguments.config),
        seconds=arguments.seconds,
        megabytes=arguments.megabytes,
        scorer=_scorer(arguments, workers),
        judge=_judge(arguments),
    )


def model_folder(given: str | None) -> str | None:
    """The model's folder that a flag or, without it, the environment names; None for the bundled one."""
    return given or os.environ.get(MODEL_VARIABLE) or None


def _scorer(arguments: argparse.Namespace, workers: int) -> ScorerChoice:
    """Where the model runs, by flag or environment; the operator's config may say more. Raises ``Misuse``."""
    folder = model_folder(arguments.model)
    if folder is not None and not Path(folder).is_dir():
        raise Misuse(f"the model {folder}: not a directory", "name a folder like models/change-risk")
    url = arguments.scorer or os.environ.get(SCORER_VARIABLE) or None
    if url is not None:
        from trainwarden.score.endpoint import read_url

        read_url(url)
    return ScorerChoice(url=url, device=arguments.device or "auto", folder=absolute(folder), workers=workers)


def _judge(arguments: argparse.Namespace) -> JudgeChoice:
    """Who gives second opinions, by flag or environment; the key by environment only. Raises ``Misuse``."""
    url = arguments.judge or os.environ.get(JUDGE_VARIABLE) or None
    choice = JudgeChoice(
        url=url,
        model=arguments.judge_model or os.environ.get(JUDGE_MODEL_VARIABLE) or "",
        key=os.environ.get(JUDGE_KEY_VARIABLE) or None,
        key_file=absolute(os.environ.get(JUDGE_KEY_FILE_VARIABLE) or None),
    )
    if choice.key is not None and not (choice.key.isascii() and choice.key.isprintable()):
        raise Misuse(f"{JUDGE_KEY_VARIABLE} does not hold a key", "a key is printable ASCII on one line")
    if url is not None:
        from trainwarden.score.endpoint import read_url

        read_url(url)
    return choice


def add_repo(parser: argparse.ArgumentParser) -> None:
    """Declares ``--repo``."""
    parser.add_argument("--repo", default=".", metavar="DIR", help="worktree or bare repository (default: .)")


def repository(arguments: argparse.Namespace) -> str:
    """The absolute path of ``--repo``: the reader works in another directory. Raises ``Misuse``."""
    path = Path(arguments.repo)
    if not path.is_dir():
        raise Misuse(f"{arguments.repo} is not a directory", "name a git repository with --repo DIR")
    return str(path.absolute())


def absolute(path: str | None) -> str | None:
    """The path as seen from anywhere."""
    return None if path is None else str(Path(path).absolute())


def positive(text: str) -> int:
    """A whole number above zero, as an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (value := float(text)) < MOST_SECONDS:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and {MOST_SECONDS}")


def _megabytes(text: str) -> int:
    if positive(text) < LEAST_MEGABYTES:
        raise argparse.ArgumentTypeError(f"{text} is less than the least that works, {LEAST_MEGABYTES}")
    return int(text)
