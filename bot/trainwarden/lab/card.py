"""A run and the rows of repositories it never saw in, the model card out: data, splits, figures, blind spots.

Every figure is made here; none is typed. Intervals are 95 %, by bootstrap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from trainwarden.lab import rows
from trainwarden.lab.aims import Bars, against_the_marks
from trainwarden.lab.dataset import Dataset, encode
from trainwarden.lab.export import Deviation
from trainwarden.lab.measure import (
    BagOfTokens,
    Changes,
    Figure,
    Floats,
    area,
    auroc,
    changes,
    deletes_more,
    pairs_right,
)
from trainwarden.lab.network import Classifier
from trainwarden.lab.rows import KINDS, Row
from trainwarden.lab.splits import HELD_OUT_FAMILIES, held_out, split_of
from trainwarden.lab.train import load_encoder, risks
from trainwarden.model import Scorer
from trainwarden.score.features import LONGEST

MOST_ORDINARY = 12_000
CLASSIFIER, BEFORE = "classifier", "the model before"


@dataclass(frozen=True, slots=True)
class Material:
    """What a card is written from. ``rows``: the working folder of ``trainwarden.lab.rows``.

    ``before``: a model to compare with on the same units. ``notes``: Markdown to end with.
    """

    run: Path
    rows: Path
    splits: Mapping[str, str]
    model: Classifier
    deviations: Mapping[str, Deviation]
    before: Scorer | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A data set and what is said of its rows, by who says it: the classifier, the baselines, the model before."""

    data: Dataset
    said: Mapping[str, Floats]


def card(material: Material) -> str:
    """The whole card in Markdown."""
    bag = BagOfTokens().fit([Dataset.load(material.run / f"train-{kind}.npz") for kind in KINDS])
    seen = {kind: _seen(material, kind, bag) for kind in KINDS}
    parts = [
        _head(material),
        _data(material, {kind: one.data for kind, one in seen.items()}),
        _units(seen),
        _pairs(seen),
        against_the_marks(*_measured(seen)),
        _families(seen),
        _sizes(seen),
        _precision(material),
        _BLIND,
    ]
    return "\n".join([*parts, material.notes] if material.notes else parts)


def _seen(material: Material, kind: str, bag: BagOfTokens) -> Seen:
    """Rows of the report repositories, held-out attacks and all."""
    read = _report(material, kind)
    data = encode(read, load_encoder(material.run))
    said = {
        CLASSIFIER: risks(material.model, data, torch.device("cpu")),
        "bag of tokens": bag.risk(data),
        "removes more than it adds": deletes_more(data),
    }
    if material.before is not None:
        said[BEFORE] = np.array([one.logit for one in material.before.score([row.unit for row in read])])
    return Seen(data, said)


def _report(material: Material, kind: str) -> list[Row]:
    repos = [repo for repo in material.splits if split_of(repo, material.splits) == "report"]
    read = list(rows.read(material.rows, kind, repos))
    if kind == "ordinary" and len(read) > MOST_ORDINARY:
        chosen = np.random.default_rng(0).choice(len(read), MOST_ORDINARY, replace=False)
        read = [read[i] for i in sorted(chosen)]
    return read


def _measured(seen: Mapping[str, Seen]) -> tuple[Bars, Bars, Bars]:
    """By who says it: AUROC of held-out operators, of fixes and of cases."""
    planted, plain = seen["planted"], seen["ordinary"].data.of("ordinary")
    chosen = _new(planted.data) & (planted.data.label == 1)
    units = {
        said: auroc(risk[chosen], seen["ordinary"].said[said][plain]) for said, risk in planted.said.items()
    }
    compared = {said: [found for _, found in _compared(seen, said)] for said in planted.said}
    fixes, cases = ({said: found[place] for said, found in compared.items()} for place in (0, 1))
    return Bars(units, {}, {}), _bars(fixes), _bars(cases)


def _bars(found: Mapping[str, Changes]) -> Bars:
    return Bars(
        {said: auroc(one.risk[one.label == 1], one.risk[one.label == 0]) for said, one in found.items()},
        {said: pairs_right(one).value for said, one in found.items()},
        {said: pairs_right(one, balanced=True).value for said, one in found.items()},
    )


# -- sections


def _head(material: Material) -> str:
    record = json.loads((material.run / "record.json").read_bytes())
    plan = record["plan"]
    size = sum(p.numel() for p in material.model.parameters())
    curves = {name: curve[-1] for name, curve in record["curves"].items() if curve}
    return (
        "# Model card: change-risk\n\n"
        "A small encoder that reads the edits of one member of Python training code, before and after, and says how "
        "much they look like sabotage, of which family, and at which lines. Written by `trainwarden.lab.publish`.\n\n"
        f"{size:,} parameters: width {plan['width']}, {plan['depth']} blocks, {plan['heads']} heads, "
        f"at most {LONGEST} tokens. "
        f"Trained on {record['device']} with torch {record['torch']}, seed {plan['seed']}: "
        f"{plan['pretrain_steps']} steps of pre-training, {plan['mutation_steps']} more beside small edits, "
        f"{plan['steps']} of fine-tuning, {plan['tokens']:,} tokens each "
        f"(last smoothed losses: {', '.join(f'{name} {value[1]}' for name, value in curves.items())}).\n"
    )


def _data(material: Material, reports: Mapping[str, Dataset]) -> str:
    lines = ["## Data\n", "| split | repositories | units | of these sabotage |", "|---|---|---|---|"]
    for split in ("train", "tune", "report"):
        repos = [repo for repo in material.splits if split_of(repo, material.splits) == split]
        parts = [
            reports[k] if split == "report" else Dataset.load(material.run / f"{split}-{k}.npz")
            for k in KINDS
        ]
        count, bad = sum(map(len, parts)), sum(int(part.label.sum()) for part in parts)
        lines.append(f"| {split} | {len(repos)}: {', '.join(repos)} | {count:,} | {bad:,} |")
    lines.append(
        f"\nHeld out of training, tuning and calibration: every report repository, families "
        f"{', '.join(sorted(HELD_OUT_FAMILIES))} of the taxonomy, and a fifth of the other operators, by hash of their "
        "names. Ordinary commits count as honest; a small commit that speaks of a fix, taken back, as sabotage.\n"
    )
    return "\n".join(lines)


def _new(data: Dataset) -> npt.NDArray[np.bool_]:
    """Whether the attack of each row was held out."""
    return np.array([held_out(t, o) for t, o in zip(data.meta[:, 2], data.meta[:, 3], strict=True)], bool)


def _header(said: Iterable[str]) -> list[str]:
    names = list(said)
    return ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]


def _units(seen: Mapping[str, Seen]) -> str:
    planted, ordinary = seen["planted"], seen["ordinary"]
    new = _new(planted.data)
    bad = planted.data.label == 1
    lines = ["## Units of repositories never seen\n", "AUROC of planted sabotage against ...\n"]
    lines += _header(planted.said)
    plain = ordinary.data.of("ordinary")
    for name, chosen in (("operators held out", new), ("operators known", ~new)):
        for against, negatives in (("ordinary edits", None), ("their honest twins", chosen & ~bad)):
            cells = []
            for said in planted.said:
                honest = ordinary.said[said][plain] if negatives is None else planted.said[said][negatives]
                cells.append(str(area(planted.said[said][chosen & bad], honest)))
            lines.append(f"| {name}, {against} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _compared(seen: Mapping[str, Seen], said: str) -> Iterator[tuple[str, Changes]]:
    cases = seen["cases"]
    yield "fixes undone and forward", changes(cases.data, cases.said[said], ("undone",), ("forward",))
    yield "cases and honest twins", changes(cases.data, cases.said[said], ("sabotaged",), ("honest",))


def _pairs(seen: Mapping[str, Seen]) -> str:
    lines = ["## Changes of repositories never seen\n", "A change is as risky as its riskiest unit.\n"]
    lines += _header(seen["cases"].said)
    table: dict[str, list[str]] = {}
    for said in seen["cases"].said:
        for name, found in _compared(seen, said):
            bad, good = found.risk[found.label == 1], found.risk[found.label == 0]
            table.setdefault(f"{name}: AUROC", []).append(str(area(bad, good)))
            table.setdefault(f"{name}: pairs right", []).append(str(pairs_right(found)))
            table.setdefault(f"{name}: pairs right, balanced", []).append(
                str(pairs_right(found, balanced=True))
            )
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in table.items()]
    return "\n".join(lines) + "\n\nBalanced: the change grows or shrinks by at most three tokens.\n"


def _families(seen: Mapping[str, Seen]) -> str:
    planted, ordinary = seen["planted"], seen["ordinary"]
    honest = ordinary.said[CLASSIFIER][ordinary.data.of("ordinary")]
    cases = seen["cases"]
    lines = ["## By family\n", "AUROC against ordinary edits of units never seen.\n"]
    lines += ["| family | planted | cases |", "|---|---|---|"]
    for letter in "ABCDEFGHIJKLMN":
        cells = []
        for one in (planted, cases):
            mine = np.char.startswith(one.data.meta[:, 2], letter) & (one.data.label == 1)
            cells.append(_if_any(one.said[CLASSIFIER][mine], honest))
        kept = " (held out)" if letter in HELD_OUT_FAMILIES else ""
        lines.append(f"| {letter}{kept} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _if_any(bad: Floats, honest: Floats) -> str:
    found: Figure | None = area(bad, honest) if len(bad) >= 8 else None
    return str(found) if found else f"too few (n = {len(bad)})"


def _sizes(seen: Mapping[str, Seen]) -> str:
    """Whether a long honest edit is risky because it is long."""
    ordinary = seen["ordinary"]
    chosen = ordinary.data.of("ordinary")
    risk, length = ordinary.said[CLASSIFIER][chosen], ordinary.data.length[chosen]
    edges = np.quantile(length, (0.25, 0.5, 0.75)) if len(length) else ()
    part = np.digitize(length, edges)
    lines = ["## Risk against size\n", "Logits of ordinary edits by the length of the unit.\n"]
    lines += ["| tokens | median | 95th of a hundred |", "|---|---|---|"]
    for place, name in enumerate(("shortest quarter", "second", "third", "longest quarter")):
        mine = risk[part == place]
        if len(mine):  # units may all be of one length
            lines.append(f"| {name} | {np.median(mine):.2f} | {np.quantile(mine, 0.95):.2f} |")
    return "\n".join(lines) + "\n"


def _precision(material: Material) -> str:
    lines = ["## Precision\n", "Difference of risk logits from PyTorch (fp32) on real units.\n"]
    lines += ["| | largest | mean |", "|---|---|---|"]
    lines += [f"| {name} | {one.largest:.2g} | {one.mean:.2g} |" for name, one in material.deviations.items()]
    return "\n".join(lines) + "\n"


_BLIND = """## Known blind spots

- It reads Python members. Configuration, shell, notebooks, native code and checkpoints are not read.
- It sees one member at a time, at most 192 tokens around the edits: what an edit means elsewhere is not seen.
- It learned from operators, from small random edits, from hand-written cases and from fixes taken back, not from real
  incidents, of which there is no collection. An attack unlike all of these may look ordinary to it.
- It can be probed by anybody who has the weights. Operators who fear that train their own and keep it to themselves.
- Its probability is calibrated at even odds of sabotage and honest edits, which is not how often sabotage occurs; the
  policy, not this number, decides on an alert.
"""
