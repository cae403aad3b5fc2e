"""``trainwarden model train``: bare clones in, a trained and sealed model with its card out.

Runs the programs of the lab one after the other, each of which goes on where it was stopped. They need the lab extra
(PyTorch), which nothing else here does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.model import Misuse, Unfinished

EPILOG = """\
The steps: gather edits from history, label them, plant sabotage in them, read members to draw small edits from, read
cases and fixes, train, publish with a card. A run that was stopped goes on where it was. The card's figures come from
the repositories that the list calls `report`; those that it calls `choose` are trained on, a tenth of them kept to
calibrate with.

examples:
  trainwarden model train --mirrors clones --repos repos.txt --out build
  trainwarden model train --mirrors clones --repos repos.txt --out build --cases cases/*.yaml
  trainwarden scan --staged --model build/change-risk

On two cores the default size takes under three hours, half of it to gather and plant. A GPU is used when PyTorch has
one; there the bundled model took ten minutes:
  --tokens 32768 --pretrain-steps 5000 --mutation-steps 1200 --steps 6000
"""
SHARDS = 12
_TRAINING = {
    "--tokens": "tokens of a batch",
    "--pretrain-steps": "steps of guessing hidden words",
    "--mutation-steps": "steps of telling a small edit from its reverse",
    "--steps": "steps of fine-tuning",
}
"""Options that the training step takes over, with its defaults."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--mirrors", required=True, metavar="DIR", help="folder of bare clones, owner+name each"
    )
    parser.add_argument("--repos", required=True, metavar="FILE", help="lines of: owner/name choose|report")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="working folder; the model is DIR/change-risk"
    )
    parser.add_argument(
        "--cases", nargs="*", default=[], metavar="FILE", help="case files to learn from as well"
    )
    parser.add_argument("--fixes", metavar="FILE", help="a table of fixes to learn from as well")
    parser.add_argument(
        "--shards", type=shared.positive, default=8, metavar="N", help="parts of 12 to plant in"
    )
    for name, words in _TRAINING.items():
        parser.add_argument(name, type=shared.positive, metavar="N", help=words)
    parser.add_argument("--jobs", type=shared.positive, default=2, metavar="N", help="default: 2")


def run(arguments: argparse.Namespace) -> int:
    """Runs the steps. Raises ``Misuse`` without the lab, ``Unfinished`` when a step fails. Returns the exit code."""
    missing = [name for name in ("torch", "tokenizers", "onnx", "scipy") if find_spec(name) is None]
    if missing:
        hint = "pip install 'trainwarden[lab]' (with PyTorch for your processor or GPU)"
        raise Misuse(f"training needs {', '.join(missing)}, not installed here", hint)
    for words, command in steps(arguments):
        output.say(words)
        done = subprocess.run(
            [sys.executable, "-m", f"trainwarden.lab.{command[0]}", *command[1:]], check=False
        )
        if done.returncode != 0:
            raise Unfinished(
                f"{words.lower()}: ended with exit code {done.returncode}", "mend it and run this again"
            )
    output.say(f"the model is {arguments.out}/change-risk; its figures are in card.md there")
    return 0


def steps(arguments: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Words and command of each step, in order."""
    where = ["--repos", arguments.repos]
    working = ["--mirrors", arguments.mirrors, *where, "--out", arguments.out, "--jobs", str(arguments.jobs)]
    run_folder = str(Path(arguments.out) / "run")
    yield "Gathering edits", ["corpus", *working]
    yield "Labelling them", ["rows", *working]
    for shard in range(min(arguments.shards, SHARDS)):
        split = [] if shard == 0 else ["--split", "train"]
        yield (
            f"Planting sabotage, part {shard + 1}",
            ["rows", *working, "--shard", f"{shard}/{SHARDS}", *split],
        )
    if arguments.cases or arguments.fixes:
        fixes = ["--fixes", arguments.fixes] if arguments.fixes else []
        yield "Reading cases and fixes", ["rows", *working, "--cases", *arguments.cases, *fixes]
    if arguments.cases:
        yield "Reading cases by themselves", ["crafted", *working, "--cases", *arguments.cases]
    yield (
        "Reading members",
        ["members", *where, "--out", arguments.out, "--jobs", str(arguments.jobs)],
    )
    more = [word for name in _TRAINING for word in _given(arguments, name)]
    yield "Training", ["train", "--rows", arguments.out, *where, "--out", run_folder, *more]
    to = str(Path(arguments.out) / "change-risk")
    yield (
        "Publishing",
        ["publish", "--run", run_folder, "--rows", arguments.out, *where, "--out", to],
    )


def _given(arguments: argparse.Namespace, name: str) -> list[str]:
    value = getattr(arguments, name.removeprefix("--").replace("-", "_"))
    return [name, str(value)] if value else []
