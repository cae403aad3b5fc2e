"""Rows in, a trained classifier out: vocabulary, pre-training on ordinary edits and mutations, then labelled units.

    python -m trainwarden.lab.train --rows build/lab --repos repos.txt --out build/run

A run is a folder: ``record.json`` (what was asked, seeds, versions, curves), ``tokenizer.json``, ``signals.json``,
encoded data and a checkpoint from which a broken run goes on. The default size takes under three hours on two cores;
on a GPU the same command trains on it in bfloat16, with batches made by worker processes; there, ``--tokens 32768`` and
more steps cost minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.lab import members, rows
from trainwarden.lab.dataset import Array, Batch, Dataset, encode
from trainwarden.lab.initial import token_vectors
from trainwarden.lab.mixture import Mixture, pair_batches, plain_batches, stream
from trainwarden.lab.network import Classifier, Shape
from trainwarden.lab.objective import Guesser, loss, pretraining_loss
from trainwarden.lab.rows import KINDS
from trainwarden.lab.splits import Split, held_out, split_of
from trainwarden.lab.trainer import Trainer
from trainwarden.lab.vocabulary import known_signals, train_tokenizer
from trainwarden.score.features import Encoder

Curve = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a run, beside its data. ``tokens``: of a batch, padding included."""

    pretrain_steps: int = 1000
    mutation_steps: int = 300
    steps: int = 3500
    pretrain_rate: float = 6e-4
    rate: float = 3e-4
    decay: float = 0.02
    tokens: int = 4096
    mutations: int = 4
    compiled: bool = False
    seed: int = 7
    width: int = 256
    depth: int = 4
    heads: int = 4
    inner: int = 768


# -- data


def prepare(folder: Path, splits: dict[str, str], out: Path, plan: Plan, jobs: int) -> dict[str, Dataset]:
    """Vocabulary and encoded rows of training and tuning, made once and kept in ``out``.

    Rows of attacks that are held out are in neither.
    """
    by_split: dict[Split, list[str]] = {"train": [], "tune": [], "report": []}
    for repo in splits:
        by_split[split_of(repo, splits)].append(repo)
    if not (out / "tokenizer.json").exists():
        units = [row.unit for row in rows.read(folder, "ordinary", by_split["train"])]
        (out / "signals.json").write_bytes(known_signals(units))
        (out / "tokenizer.json").write_bytes(train_tokenizer(units))
    vocabulary = ((out / "tokenizer.json").read_bytes(), (out / "signals.json").read_bytes())
    encoder = Encoder(*vocabulary)
    found: dict[str, Dataset] = {}
    names: tuple[Split, ...] = ("train", "tune")
    for split in names:
        for kind in KINDS:
            path = out / f"{split}-{kind}.npz"
            if not path.exists():
                read = rows.read(folder, kind, by_split[split])
                encode((row for row in read if not held_out(row.technique, row.operator)), encoder).save(path)
            found[f"{split}-{kind}"] = Dataset.load(path)
    path = out / "train-mutated.npz"
    if not path.exists():
        read_members = list(members.read(folder, by_split["train"]))
        members.mutated(read_members, vocabulary, plan.mutations, plan.seed, jobs).save(path)
    found["train-mutated"] = Dataset.load(path)
    return found


def load_encoder(run: Path) -> Encoder:
    """The encoder with the vocabulary of a run."""
    return Encoder((run / "tokenizer.json").read_bytes(), (run / "signals.json").read_bytes())


# -- training


def pretrain(
    model: Classifier, data: dict[str, Dataset], plan: Plan, out: Path, device: torch.device, workers: int
) -> dict[str, Curve]:
    """Token vectors by factorisation, then masked tokens and direction on ordinary edits; at last, beside these,
    which way a mutation went. The first needs the most steps, and learns slower beside another game."""
    plain, mutated = data["train-ordinary"], data["train-mutated"]
    chosen = plain.of("ordinary")
    if not (out / "pretrain.checkpoint").exists():
        shape = model.shape
        vectors = token_vectors(plain, chosen, shape.vocabulary, shape.width, plan.seed)
        model.encoder.tokens.weight.data.copy_(torch.from_numpy(vectors))
    guesser = Guesser(model).to(device)
    both = nn.ModuleList([model, guesser])
    rng = torch.Generator(device).manual_seed(plan.seed)

    def words(seed: int) -> Iterator[Batch]:
        return stream(lambda one: plain_batches(plain, chosen, plan.tokens, one), seed, workers)

    def guess(batch: Batch) -> Tensor:
        return pretraining_loss(model, guesser, batch, rng)

    first = Trainer("pretrain", both, plan.pretrain_steps, plan.pretrain_rate, plan.decay, out)
    first.run(((batch,) for batch in words(plan.seed)), guess, device)
    edits = stream(lambda seed: pair_batches(mutated, plan.tokens, seed), plan.seed + 1, workers)
    second = Trainer("mutations", both, plan.mutation_steps, plan.pretrain_rate / 2, plan.decay, out)
    second.run(zip(words(plan.seed + 2), edits, strict=False), lambda a, b: guess(a) + loss(model, b), device)
    return {"pretrain": first.curve, "mutations": second.curve}


def finetune(
    model: Classifier, data: dict[str, Dataset], plan: Plan, out: Path, device: torch.device, workers: int
) -> Curve:
    """Risk, lines and family on labelled units; the averaged weights are kept."""
    trainer = Trainer("finetune", model, plan.steps, plan.rate, plan.decay, out)
    called: nn.Module = torch.compile(model, dynamic=True) if plan.compiled else model
    mixture = Mixture(data, plan.tokens)
    batches = stream(mixture.batches, plan.seed, workers)
    trainer.run(((batch,) for batch in batches), lambda batch: loss(called, batch), device)
    model.load_state_dict(trainer.averaged.module.state_dict())
    return trainer.curve


def risks(
    model: Classifier, data: Dataset, device: torch.device, chosen: Array | None = None
) -> npt.NDArray[np.float64]:
    """The risk logit of every row, or of the ``chosen`` ones with zeros between them."""
    found = np.zeros(len(data))
    wanted = np.arange(len(data)) if chosen is None else chosen
    order = wanted[np.argsort(data.length[wanted])]
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            rows_here = order[start : start + 64]
            batch = data.batch(rows_here).to(device)
            found[rows_here] = model(batch.ids, batch.tags, batch.signals)[0].float().cpu().numpy()
    model.train()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, or goes on with a broken run of the same plan."""
    options = _arguments(argv)
    plan = Plan(
        pretrain_steps=options.pretrain_steps,
        mutation_steps=options.mutation_steps,
        steps=options.steps,
        tokens=options.tokens,
        mutations=options.mutations,
        compiled=options.compile,
        seed=options.seed,
        width=options.width,
        depth=options.depth,
        heads=options.width // 64,
        inner=3 * options.width,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    splits = dict(parse_splits(options.repos.read_bytes(), str(options.repos)))
    data = prepare(options.rows, splits, options.out, plan, options.jobs)
    model = build(options.out, plan).to(device)
    workers = options.jobs if device.type == "cuda" else 0
    curves = pretrain(model, data, plan, options.out, device, workers)
    curves["finetune"] = finetune(model, data, plan, options.out, device, workers)
    torch.save(model.state_dict(), options.out / "model.pt")
    record = {"plan": asdict(plan), "torch": torch.__version__, "device": str(device), "curves": curves}
    record["rows"] = {name: len(one) for name, one in data.items()}
    (options.out / "record.json").write_text(json.dumps(record, indent=1), "utf-8")
    return 0


def build(out: Path, plan: Plan) -> Classifier:
    """An untrained classifier for the vocabulary of a run."""
    vocabulary = len(json.loads((out / "tokenizer.json").read_bytes())["model"]["vocab"])
    signals = len(json.loads((out / "signals.json").read_bytes()))
    return Classifier(Shape(vocabulary, signals, plan.width, plan.depth, plan.heads, plan.inner))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m trainwarden.lab.train",
        description="Trains the classifier on rows made by trainwarden.lab.rows; a broken run goes on where it was.",
    )
    parser.add_argument("--rows", type=Path, required=True, help="the working folder of trainwarden.lab.rows")
    parser.add_argument("--repos", type=Path, required=True, help="lines of: owner/name choose|report")
    parser.add_argument("--out", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--pretrain-steps", type=int, default=plan.pretrain_steps)
    parser.add_argument("--mutation-steps", type=int, default=plan.mutation_steps)
    parser.add_argument("--steps", type=int, default=plan.steps, help="steps of fine-tuning")
    parser.add_argument("--width", type=int, default=plan.width, help="a multiple of 64")
    parser.add_argument("--depth", type=int, default=plan.depth, help="transformer blocks")
    parser.add_argument("--tokens", type=int, default=plan.tokens, help="tokens of a batch; on a GPU 32768")
    parser.add_argument(
        "--mutations", type=int, default=plan.mutations, help="small edits drawn from a member"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the model: a minute first, worth it for long runs"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes that draw mutations and make batches")
    parser.add_argument("--threads", type=int, default=2, help="threads on a processor (default 2)")
    parser.add_argument("--seed", type=int, default=plan.seed)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
