"""Rows in, a trained classifier out: vocabulary, pre-training on ordinary edits, fine-tuning on labelled ones.

    python -m trainwarden.lab.train --rows build/lab --repos repos.txt --out build/run

A run is a folder: ``record.json`` (what was asked, seeds, versions, curves), ``tokenizer.json``, ``signals.json``,
encoded data and a checkpoint from which a broken run goes on. The default size takes under three hours on two cores;
on a GPU the same command trains in bfloat16 with a compiled model.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from trainwarden.evaluate.ordinary import parse_splits
from trainwarden.lab import rows
from trainwarden.lab.dataset import Array, Batch, Dataset, encode
from trainwarden.lab.initial import token_vectors
from trainwarden.lab.network import Classifier, Shape
from trainwarden.lab.objective import Guesser, loss, pretraining_loss
from trainwarden.lab.rows import KINDS
from trainwarden.lab.splits import Split, held_out, split_of
from trainwarden.lab.vocabulary import known_signals, train_tokenizer
from trainwarden.score.features import Encoder

TOKENS = 4096
"""Tokens of a batch, padding included."""
SHARES = {"ordinary": 0.24, "reversed": 0.05, "mined": 0.13, "planted": 0.46, "cases": 0.12}
"""What a batch of fine-tuning is made of, by items; a sabotage comes with its honest counterparts."""
_SAVE_EVERY = 250
_POOL = 4096


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a run, beside its data."""

    pretrain_steps: int = 2500
    steps: int = 7000
    pretrain_rate: float = 6e-4
    rate: float = 3e-4
    decay: float = 0.02
    seed: int = 7
    width: int = 192
    depth: int = 4
    heads: int = 3
    inner: int = 576


# -- data


def prepare(
    folder: Path, splits: dict[str, str], out: Path, kinds: Sequence[str] = KINDS
) -> tuple[Encoder, dict[str, Dataset]]:
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
    encoder = Encoder((out / "tokenizer.json").read_bytes(), (out / "signals.json").read_bytes())
    found: dict[str, Dataset] = {}
    names: tuple[Split, ...] = ("train", "tune")
    for split in names:
        for kind in kinds:
            path = out / f"{split}-{kind}.npz"
            if not path.exists():
                read = rows.read(folder, kind, by_split[split])
                encode((row for row in read if not held_out(row.technique, row.operator)), encoder).save(path)
            found[f"{split}-{kind}"] = Dataset.load(path)
    return encoder, found


class Mixture:
    """Batches of fine-tuning: items drawn by ``SHARES``, each a sabotage with its counterparts or one unit."""

    def __init__(self, data: dict[str, Dataset], seed: int) -> None:
        self._data = data
        self._rng = np.random.default_rng(seed)
        plain, planted, cases = (data[f"train-{kind}"] for kind in KINDS)
        self._items: dict[str, tuple[str, list[Array]]] = {
            "ordinary": ("train-ordinary", _single(plain.of("ordinary"))),
            "reversed": ("train-ordinary", _single(plain.of("reversed"))),
            "mined": ("train-ordinary", _paired(plain, plain.of("mined"), plain.of("mined", "ordinary"))),
            "planted": (
                "train-planted",
                _paired(planted, planted.of("planted"), planted.of("planted", "twin")),
            ),
            "cases": ("train-cases", _paired(cases, np.flatnonzero(cases.label), np.arange(len(cases)))),
        }
        self._items = {name: item for name, item in self._items.items() if item[1]}

    def batches(self) -> Iterator[Batch]:
        """Without end. Units of about the same length are batched together."""
        names = list(self._items)
        weights = np.array([SHARES[name] for name in names])
        while True:
            drawn = self._rng.choice(len(names), _POOL // 2, p=weights / weights.sum())
            pool: dict[str, list[Array]] = {}
            for one in drawn:
                source, items = self._items[names[one]]
                pool.setdefault(source, []).append(items[self._rng.integers(len(items))])
            ready = [
                (source, group)
                for source, items in pool.items()
                for group in _packed(self._data[source], items)
            ]
            for place in self._rng.permutation(len(ready)):
                source, group = ready[place]
                yield self._data[source].batch(group)


def _single(indices: Array) -> list[Array]:
    return [np.array([i]) for i in indices]


def _paired(data: Dataset, sabotage: Array, all_rows: Array) -> list[Array]:
    """For each pair one item: its sabotage and up to three of its honest units."""
    honest: dict[int, list[int]] = {}
    for i in all_rows:
        if not data.label[i]:
            honest.setdefault(int(data.pair[i]), []).append(int(i))
    return [np.array([i, *honest.get(int(data.pair[i]), ())[:3]]) for i in sabotage]


def _packed(data: Dataset, items: Sequence[Array]) -> Iterator[Array]:
    """Items sorted by length into groups of about ``TOKENS`` tokens."""
    ranked = sorted(items, key=lambda item: int(data.length[item].max()))
    group: list[Array] = []
    count = 0
    for item in ranked:
        longest = int(data.length[item].max())
        if group and (count + len(item)) * longest > TOKENS:
            yield np.concatenate(group)
            group, count = [], 0
        group.append(item)
        count += len(item)
    if group:
        yield np.concatenate(group)


def plain_batches(data: Dataset, chosen: Array, seed: int) -> Iterator[Batch]:
    """Batches of single units without end, for pre-training."""
    rng = np.random.default_rng(seed)
    while True:
        pool = [np.array([i]) for i in rng.choice(chosen, min(_POOL, len(chosen)), replace=False)]
        groups = list(_packed(data, pool))
        for place in rng.permutation(len(groups)):
            yield data.batch(groups[place])


# -- training


class Trainer:
    """Optimizer, schedule, precision and checkpoints of one phase."""

    def __init__(
        self, name: str, modules: nn.ModuleList, plan: Plan, steps: int, rate: float, out: Path
    ) -> None:
        self._name, self._modules, self._steps, self._rate = name, modules, steps, rate
        self._file = out / f"{name}.checkpoint"
        decayed = [p for p in modules.parameters() if p.ndim > 1]
        plain = [p for p in modules.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": plan.decay}, {"params": plain, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
        self.step = 0
        self.curve: list[tuple[int, float]] = []
        self._resume()

    def run(
        self, batches: Iterator[Batch], of_batch: Callable[[Batch], Tensor], device: torch.device
    ) -> None:
        """Trains to the last step. A batch whose loss is not finite stops the run: it would spoil the rest."""
        average = math.nan
        for _ in range(self.step):
            next(batches)
        bar = tqdm(total=self._steps, initial=self.step, desc=self._name, mininterval=10, file=sys.stderr)
        while self.step < self._steps:
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * _schedule(self.step / self._steps)
            with torch.autocast(device.type, torch.bfloat16):
                value = of_batch(next(batches).to(device))
            if not torch.isfinite(value):
                raise FloatingPointError(f"{self._name}: the loss is {value.item()} at step {self.step}")
            value.backward()
            nn.utils.clip_grad_norm_(self._modules.parameters(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()
            self.step += 1
            average = value.item() if math.isnan(average) else 0.98 * average + 0.02 * value.item()
            bar.update()
            if self.step % _SAVE_EVERY == 0 or self.step == self._steps:
                self.curve.append((self.step, round(average, 4)))
                bar.set_postfix(loss=f"{average:.3f}")
                self._save()
        bar.close()

    def _save(self) -> None:
        state = {"modules": self._modules.state_dict(), "optimizer": self._optimizer.state_dict()}
        partial = self._file.with_suffix(".partial")
        torch.save({**state, "step": self.step, "curve": self.curve}, partial)
        partial.rename(self._file)

    def _resume(self) -> None:
        if self._file.exists():
            state = torch.load(self._file, weights_only=True)
            self._modules.load_state_dict(state["modules"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self.curve = state["step"], [(int(a), float(b)) for a, b in state["curve"]]


def _schedule(done: float) -> float:
    """A short warm-up, then a half cosine down to a twentieth."""
    return min(done / 0.03, 1.0) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def pretrain(
    model: Classifier, data: Dataset, plan: Plan, out: Path, device: torch.device
) -> list[tuple[int, float]]:
    """Token vectors by factorisation, then masked tokens and direction, on ordinary edits. Without dropout: every unit
    is seen once or twice."""
    chosen = data.of("ordinary")
    if not (out / "pretrain.checkpoint").exists():
        shape = model.shape
        vectors = token_vectors(data, chosen, shape.vocabulary, shape.width, plan.seed)
        model.encoder.tokens.weight.data.copy_(torch.from_numpy(vectors))
    guesser = Guesser(model).to(device)
    model.eval()
    modules = nn.ModuleList([model.encoder, guesser])
    trainer = Trainer("pretrain", modules, plan, plan.pretrain_steps, plan.pretrain_rate, out)
    rng = torch.Generator().manual_seed(plan.seed)
    batches = plain_batches(data, chosen, plan.seed)
    trainer.run(batches, lambda batch: pretraining_loss(model, guesser, batch, rng), device)
    model.train()
    return trainer.curve


def finetune(
    model: Classifier, data: dict[str, Dataset], plan: Plan, out: Path, device: torch.device
) -> list[tuple[int, float]]:
    """Risk, lines and family on labelled units."""
    trainer = Trainer("finetune", nn.ModuleList([model]), plan, plan.steps, plan.rate, out)
    called: nn.Module = torch.compile(model, dynamic=True) if device.type == "cuda" else model
    trainer.run(Mixture(data, plan.seed).batches(), lambda batch: loss(called, batch)[0], device)
    return trainer.curve


def risks(model: Classifier, data: Dataset, device: torch.device) -> npt.NDArray[np.float64]:
    """The risk logit of every row."""
    found = np.zeros(len(data))
    order = np.argsort(data.length)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            chosen = order[start : start + 64]
            batch = data.batch(chosen).to(device)
            found[chosen] = model(batch.ids, batch.tags, batch.signals)[0].float().cpu().numpy()
    model.train()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, or goes on with a broken run of the same plan."""
    options = _arguments(argv)
    plan = Plan(
        pretrain_steps=options.pretrain_steps,
        steps=options.steps,
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
    _, data = prepare(options.rows, splits, options.out, KINDS[:1] if options.only_pretrain else KINDS)
    model = build(options.out, plan).to(device)
    curves = {"pretrain": pretrain(model, data["train-ordinary"], plan, options.out, device)}
    if not options.only_pretrain:
        curves["finetune"] = finetune(model, data, plan, options.out, device)
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
    parser.add_argument("--steps", type=int, default=plan.steps, help="steps of fine-tuning")
    parser.add_argument("--width", type=int, default=plan.width, help="a multiple of 64")
    parser.add_argument("--depth", type=int, default=plan.depth, help="transformer blocks")
    parser.add_argument("--threads", type=int, default=2, help="threads on a processor (default 2)")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--only-pretrain", action="store_true", help="stop before fine-tuning")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
