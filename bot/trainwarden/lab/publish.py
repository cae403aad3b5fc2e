"""``python -m trainwarden.lab.publish``: a trained run in, ``models/change-risk`` out, each precision held to PyTorch.

The folder is what inference servers read: ``1/model.onnx`` for processors, ``1/model.fp16.onnx`` for GPUs,
``config.pbtxt``, ``tokenizer.json``, ``signals.json``, ``calibration.json``, ``card.md``, and the seal over all of it.
The precision for processors is the smallest whose logits stay within ``NEAR`` of PyTorch's on real units.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.lab import export
from trainwarden.lab.card import Material, card
from trainwarden.lab.dataset import Dataset
from trainwarden.lab.measure import Floats
from trainwarden.lab.network import Classifier
from trainwarden.lab.rows import KINDS
from trainwarden.lab.train import Plan, build, risks
from trainwarden.score import artifact, probe
from trainwarden.score.artifact import seal
from trainwarden.score.embedded import Embedded

NEAR = 0.15
"""Mean difference of logits that a smaller precision may bring on real units."""
_CHECKED = 12
MOST_TO_CALIBRATE = 12_000
"""Units; the rest would not move two numbers."""


def calibrate(risk: Floats, label: Floats) -> tuple[float, float]:
    """Slope and offset that make logits log-odds at even odds (Platt 1999), each class weighing the same."""
    weights = np.where(label > 0, 0.5 / label.mean(), 0.5 / (1 - label.mean()))

    def loss(solution: Floats) -> float:
        logits = solution[0] * risk + solution[1]
        return float(weights @ np.logaddexp(0.0, np.where(label > 0, -logits, logits)))

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(max(slope, 1e-3)), float(offset)


def load(run: Path) -> Classifier:
    """The trained classifier of a run."""
    plan = Plan(**json.loads((run / "record.json").read_bytes())["plan"])
    model = build(run, plan)
    model.load_state_dict(torch.load(run / "model.pt", map_location="cpu", weights_only=True))
    model.eval()
    return model


def publish(model: Classifier, run: Path, to: Path, tune: Dataset) -> Mapping[str, export.Deviation]:
    """Writes every file but card and seal. Raises ``ValueError`` when fp32 itself strays from PyTorch."""
    rng = np.random.default_rng(0)
    batches = [tune.batch(rng.choice(len(tune), 24)) for _ in range(_CHECKED)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fp32 = export.export(model, folder)
        int8, half = folder / "int8.onnx", folder / "fp16.onnx"
        export.quantize(fp32, int8)
        export.halve(fp32, half)
        found = {
            name: export.deviation(model, path, batches)
            for name, path in (("fp32", fp32), ("int8", int8), ("fp16", half))
        }
        if found["fp32"].largest > 1e-3:
            raise ValueError(f"the export strays from PyTorch by {found['fp32'].largest}")
        (to / "1").mkdir(parents=True, exist_ok=True)
        shutil.copy(int8 if found["int8"].mean <= NEAR else fp32, to / "1" / "model.onnx")
        shutil.copy(half, to / "1" / "model.fp16.onnx")
    chosen = rng.permutation(len(tune))[:MOST_TO_CALIBRATE]
    risk = risks(model, tune, torch.device("cpu"), chosen)[chosen]
    slope, offset = calibrate(risk, tune.label[chosen].astype(np.float64))
    (to / "calibration.json").write_text(
        json.dumps({"slope": round(slope, 5), "offset": round(offset, 5)}) + "\n"
    )
    (to / "config.pbtxt").write_text(export.server_config(), encoding="utf-8")
    for name in ("tokenizer.json", "signals.json"):
        shutil.copy(run / name, to / name)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Publishes a run and writes its card. Prints the digest."""
    options = _arguments(argv)
    splits = dict(parse_splits(options.repos.read_bytes(), str(options.repos)))
    tune = Dataset.joined([Dataset.load(options.run / f"tune-{kind}.npz") for kind in KINDS])
    model = load(options.run)
    before = Embedded(artifact.load(options.before)) if options.before is not None else None
    deviations = publish(model, options.run, options.out, tune)
    notes = options.notes.read_text("utf-8") if options.notes else ""
    material = Material(options.run, options.rows, splits, model, deviations, before, notes)
    (options.out / "card.md").write_text(card(material), encoding="utf-8")
    probe.write(options.out)
    sys.stdout.write(f"{seal(options.out)}\n")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainwarden.lab.publish", description=__doc__)
    parser.add_argument(
        "--run", type=Path, required=True, help="the folder of a finished trainwarden.lab.train"
    )
    parser.add_argument("--rows", type=Path, required=True, help="the working folder of trainwarden.lab.rows")
    parser.add_argument("--repos", type=Path, required=True, help="lines of: owner/name choose|report")
    parser.add_argument("--out", type=Path, default=Path("models/change-risk"))
    parser.add_argument(
        "--before",
        type=Path,
        default=artifact.bundled(),
        help="a model that the card compares with, on the same units (default: the bundled one)",
    )
    parser.add_argument("--notes", type=Path, help="Markdown to end the card with")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
