"""``trainwarden model bench``: how fast the network runs here, on each engine that can run it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.entry.model_info import chosen_folder, progress
from trainwarden.model import Device, Misuse, Request, Unit

if TYPE_CHECKING:
    from trainwarden.score.artifact import Artifact
    from trainwarden.score.bench import Engine, Measured
    from trainwarden.score.features import Encoded

EPILOG = """\
Rows are engines: onnxruntime on the processor, on a GPU where one works, and (in the lab's environment, `make env-lab`)
the same network in PyTorch, eager and compiled. A batch of 8 at length 128 is eight units of 128 tokens in one call;
latencies are those of a call. With --repo the units are those of real commits, and the last row is what a review does:
whole changes, each unit at its own length.

The machine should be idle. Nothing is asserted, and nothing leaves the machine.

examples:
  trainwarden model bench
  trainwarden model bench --repo ../model --commits 300 --threads 2
  trainwarden model bench --device cuda --batches 1,16,64 --format json
"""
TORCH = "trainwarden.lab.bench"
RANDOM_UNITS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``model bench``."""
    parser.epilog = EPILOG
    parser.add_argument("--model", metavar="DIR", help="a model's folder (default: the bundled one)")
    parser.add_argument("--repo", metavar="DIR", help="a repository whose commits give the units")
    parser.add_argument(
        "--commits", type=shared.positive, default=200, metavar="N", help="how many (default: 200)"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto, all that work"
    )
    parser.add_argument(
        "--threads", type=shared.positive, default=2, metavar="N", help="of the processor (default: 2)"
    )
    parser.add_argument(
        "--batches", type=_numbers, default=(1, 8, 32), metavar="N,...", help="default: 1,8,32"
    )
    parser.add_argument(
        "--lengths", type=_numbers, default=(32, 64, 96, 160), metavar="N,...", help="default: 32,64,96,160"
    )
    parser.add_argument("--seconds", type=float, default=1.0, metavar="N", help="for each cell (default: 1)")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out where it is installed")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints the table. Raises ``Misuse``."""
    from trainwarden.score import artifact
    from trainwarden.score.features import LONGEST

    if max(arguments.lengths) > LONGEST:
        raise Misuse(f"--lengths: the network reads {LONGEST} tokens at most")
    loaded = artifact.load(chosen_folder(arguments.model))
    changes = _changes(arguments, loaded)
    rows = list(_measured(arguments, loaded, changes))
    machine = (
        f"{_processor()}, {os.cpu_count()} processors, {arguments.threads} threads, {platform.platform()}"
    )
    if arguments.format == "json":
        said = {"machine": machine, "model": loaded.digest, "rows": [dataclasses.asdict(row) for row in rows]}
        output.write(json.dumps(said, indent=1) + "\n", None)
    else:
        output.write("\n".join([machine, f"model {loaded.digest}", "", *_table(rows)]) + "\n", None)
    return 0


def _measured(
    arguments: argparse.Namespace, loaded: Artifact, changes: Sequence[Sequence[Encoded]]
) -> Iterator[Measured]:
    from trainwarden.score.bench import as_served, grid
    from trainwarden.score.embedded import Embedded

    pool = [unit for change in changes for unit in change]
    for engine in _engines(arguments, loaded):
        progress(f"measuring {engine.name}")
        yield from grid(engine, pool, arguments.batches, arguments.lengths, arguments.seconds)
    if arguments.repo is not None:
        progress("measuring whole changes")
        yield as_served(Embedded(loaded, arguments.device, arguments.threads), changes)


def _engines(arguments: argparse.Namespace, loaded: Artifact) -> Iterator[Engine]:
    from trainwarden.score.bench import embedded_engine
    from trainwarden.score.embedded import Runner

    wanted: tuple[Device, ...] = ("cpu", "auto") if arguments.device == "auto" else (arguments.device,)
    told: set[str] = set()
    for device in wanted:
        engine = embedded_engine(loaded, Runner(loaded, device, arguments.threads, spin=True))
        if engine.name not in told:
            told.add(engine.name)
            yield engine
    if not arguments.no_torch and find_spec("torch") is not None and find_spec("onnx") is not None:
        yield from import_module(TORCH).engines(loaded, arguments.device, arguments.threads)


def _changes(arguments: argparse.Namespace, loaded: Artifact) -> list[list[Encoded]]:
    """Encoded units by change: of real commits, or one change of random ones. Raises ``Misuse``."""
    from trainwarden.score.artifact import load_encoder
    from trainwarden.score.bench import random_units

    encoder = load_encoder(loaded)
    if arguments.repo is None:
        return [[encoder.encode(unit) for unit in random_units(RANDOM_UNITS)]]
    found = [[encoder.encode(unit) for unit in units] for units in _units(arguments) if units]
    if len(found) < 2:
        raise Misuse(f"{arguments.repo}: fewer than two of those commits touch Python", "give more --commits")
    return found


def _units(arguments: argparse.Namespace) -> Iterator[tuple[Unit, ...]]:
    """The units of each commit. Read in this process: the repository is the operator's own choice."""
    from trainwarden import sweep
    from trainwarden.git.source import open_source
    from trainwarden.score.units import units_of
    from trainwarden.understand import view_of

    for request in sweep.history(shared.repository(arguments), arguments.commits, None):
        with closing(open_source(Request(request.repo, "range", request.base, request.head))) as source:
            yield units_of(view_of(source.pairs()))


def _table(rows: Sequence[Measured]) -> Iterator[str]:
    width = max(len(row.engine) for row in rows)
    yield f"{'engine':<{width}}  batch  length  units/s  p50 ms  p95 ms  p99 ms"
    for row in rows:
        yield (
            f"{row.engine:<{width}}  {row.batch:>5}  {row.length:>6}  {row.units_per_second:>7,.0f}"
            f"  {row.p50:>6.1f}  {row.p95:>6.1f}  {row.p99:>6.1f}"
        )


def _processor() -> str:
    """The processor's name as Linux tells it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(shared.positive(part) for part in text.split(","))
