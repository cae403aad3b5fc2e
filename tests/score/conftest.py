"""The model under test, units to score, and a real inference server."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from oip_server import PROGRAM, OipServer

from trainwarden.model import Statement, Unit
from trainwarden.score import artifact
from trainwarden.score.artifact import HALF, MODEL, Artifact
from trainwarden.score.probe import PROBE

WORDS = "loss optimizer step grad clip seed batch lr model data epoch zero backward sum 0.1 3e-4 ( ) = . , *".split()


@pytest.fixture(scope="session")
def folder() -> Path:
    """The folder of the bundled model, or of the one that TRAINWARDEN_MODEL_DIR names."""
    named = os.environ.get("TRAINWARDEN_MODEL_DIR")
    found = Path(named) if named else artifact.bundled()
    if found is None:
        pytest.skip("no model is bundled yet")
    return found


@pytest.fixture(scope="session")
def model(folder: Path) -> Artifact:
    """The model, verified."""
    return artifact.load(folder)


@pytest.fixture(scope="session")
def served(model: Artifact) -> Artifact:
    """The model with the network that servers run in the place of our own.

    With int8 activations a batch is scaled as a whole, so that neighbours and padding touch each other's numbers. We
    therefore run units one by one, and servers, which batch, run the half-precision network.
    """
    return replace(model, files={**model.files, MODEL: model.files.get(HALF, model.files[MODEL])})


@pytest.fixture(scope="session")
def askable(served: Artifact) -> Artifact:
    """A model that any server may answer for: without the questions that tell one network from another."""
    return replace(served, files={path: data for path, data in served.files.items() if path != PROBE})


@pytest.fixture(scope="session")
def units() -> tuple[Unit, ...]:
    """Forty units of many lengths, the same in every run."""
    rng = random.Random(11)
    return tuple(unit(rng, place) for place in range(40))


def unit(rng: random.Random, place: int) -> Unit:
    """A unit of random words with one edited statement at least."""
    count = rng.choice((1, 1, 2, 4, 9, 30))
    edited = rng.randrange(count)
    statements = []
    for line in range(count):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(2, 14))]
        is_edited = line == edited or rng.random() < 0.3
        tags = [rng.choice(("same", "removed", "added")) if is_edited else "same" for _ in words]
        if is_edited:
            tags[0] = "added"
        statements.append(Statement(tuple(zip(words, tags, strict=True)), 1, 10 + line, is_edited))
    return Unit(f"src/train_{place}.py", "Trainer.step", tuple(statements))


@pytest.fixture(scope="session")
def server(served: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OipServer]:
    """A server of the model, started once."""
    if not PROGRAM.exists():
        pytest.skip("no inference server: run `make env-oip`")
    directory = tmp_path_factory.mktemp("oip")
    network = directory / "served.onnx"
    network.write_bytes(served.files[MODEL])
    started = OipServer(directory, network)
    started.start()
    yield started
    started.kill()
