"""A network in, a few questions with its answers out: how a client tells that a server runs the network it means.

The protocol names tensors, not weights: a server that was forgotten at an upgrade answers tokens of the new vocabulary
with the old network, without complaint. The answers of another network to these questions differ by far more than
rounding does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainwarden.model import Misuse
from trainwarden.score.artifact import HALF, MODEL, SIGNALS, TOKENIZER, Artifact, Calibration
from trainwarden.score.batches import Batch, rows
from trainwarden.score.embedded import Runner
from trainwarden.score.features import SPECIAL, TAGS, Encoded

PROBE = "probe.json"
QUESTIONS, LENGTH, TOLD = 8, 32, 4
NEAR = 0.75
"""Logits by which an answer may differ: int8, which a server should not run, rounds by less."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Units to score, and the network's own numbers for their risk."""

    units: tuple[Encoded, ...]
    risk: tuple[float, ...]

    @property
    def batch(self) -> Batch:
        """All of them in one."""
        return Batch(tuple(range(len(self.units))), LENGTH)

    def agrees(self, risk: Sequence[float]) -> bool:
        """Whether these are the answers of the network that was meant."""
        return all(abs(said - own) <= NEAR for said, own in zip(risk, self.risk, strict=True))


def write(folder: Path) -> None:
    """Asks the network that servers run, and writes ``probe.json`` beside it. Before the folder is sealed."""
    served = folder / HALF if (folder / HALF).exists() else folder / MODEL
    network = Artifact(folder.name, "", {MODEL: served.read_bytes()}, Calibration(1.0, 0.0))
    units = _questions(
        vocabulary=len(json.loads((folder / TOKENIZER).read_bytes())["model"]["vocab"]),
        signals=len(json.loads((folder / SIGNALS).read_bytes())),
    )
    runner = Runner(network, "cpu", threads=1, spin=False)
    risk = [runner.run(units, Batch((place,), LENGTH)).risk[0] for place in range(len(units))]
    ids, tags, bags = rows(units, Batch(tuple(range(len(units))), LENGTH))
    document = {"ids": ids, "tags": tags, "signals": bags, "risk": [round(value, 4) for value in risk]}
    (folder / PROBE).write_text(json.dumps(document, separators=(",", ":")) + "\n", "utf-8")


def read(files: Mapping[str, bytes]) -> Probe | None:
    """The probe among an artefact's files; None when it has none. Raises ``Misuse`` when it is not one."""
    if PROBE not in files:
        return None
    try:
        document = json.loads(files[PROBE])
        units = tuple(
            Encoded(ids=tuple(ids), tags=tuple(tags), lines=(0,) * LENGTH, signals=tuple(signals))
            for ids, tags, signals in zip(document["ids"], document["tags"], document["signals"], strict=True)
        )
        probe = Probe(units, tuple(float(value) for value in document["risk"]))
        if len(probe.units) != len(probe.risk) or any(len(unit.ids) != LENGTH for unit in units):
            raise ValueError("its parts have different lengths")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misuse(f"the model's {PROBE} cannot be read: {error!r}", "export the model again") from error
    return probe


def _questions(vocabulary: int, signals: int) -> tuple[Encoded, ...]:
    """Random tokens, no padding: what they mean does not matter."""
    rng = random.Random(20)
    return tuple(
        Encoded(
            ids=tuple(rng.randrange(len(SPECIAL), vocabulary) for _ in range(LENGTH)),
            tags=tuple(rng.choice(tuple(TAGS.values())) for _ in range(LENGTH)),
            lines=(0,) * LENGTH,
            signals=tuple(sorted(rng.sample(range(1, signals + 1), min(TOLD, signals)))),
        )
        for _ in range(QUESTIONS)
    )
