"""Properties of all extractors: spelling of locals and formatting never count, the catalogue is complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts_reading import facts_of
from trainwarden.facts import shifts
from trainwarden.facts.extract import CATALOGUE, catalogue_page
from trainwarden.model import Fact

TORCH_LOOP = """
import os, time, random
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, DistributedSampler

def main(args, model, train_set):
    seed = args.seed + int(os.environ.get("RANK", 0))
    torch.manual_seed(seed)
    rate = 3e-4
    ranker = DistributedSampler(train_set, shuffle=True)
    batches = DataLoader(train_set, batch_size=args.bs, sampler=ranker, num_workers=4, drop_last=True)
    opt = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.epochs)
    scaler = torch.cuda.amp.GradScaler()
    best = float("inf")
    for epoch in range(args.epochs):
        ranker.set_epoch(epoch)
        for i, (x, y) in enumerate(batches):
            with torch.autocast("cuda", dtype=torch.float16):
                out = model(x)
                loss = F.cross_entropy(out[..., :-1], y[..., 1:], ignore_index=-100) / args.accum
            scaler.scale(loss).backward()
            if (i + 1) % args.accum == 0:
                scaler.unscale_(opt)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                assert torch.isfinite(norm)
                scaler.step(opt)
                scaler.update()
                opt.zero_grad(set_to_none=True)
        sched.step()
        if loss.item() < best:
            best = loss.item()
            state = {"model": model.state_dict(), "optimizer": opt.state_dict(), "epoch": epoch}
            torch.save(state, os.path.join(args.out, "best.pt"))
"""
EVALUATION = """
import torch
import wandb

@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    hits, seen = 0, 0
    for images, target in loader:
        logits = model(images)
        hits += (logits.argmax(-1) == target).sum().item()
        seen += target.numel()
    score = hits / max(seen, 1)
    wandb.log({"accuracy": score})
    model.train()
    return score
"""
JAX_STEP = """
import jax
import optax

def make(config):
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.lr, 100, 1000)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.95))
    key = jax.random.PRNGKey(config.seed)

    def step(params, opt_state, batch):
        value, grads = jax.value_and_grad(loss_fn)(params, batch)
        grads = jax.lax.pmean(grads, "batch")
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return params, opt_state, value

    return step, key
"""
PROGRAMS = {"torch": TORCH_LOOP, "evaluation": EVALUATION, "jax": JAX_STEP}


def local_names(source: str) -> set[str]:
    """Names bound in functions, without parameters, found by the standard library's parser."""
    tree = ast.parse(source)
    bound = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return bound - {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def renamed(source: str, names: dict[str, str]) -> str:
    """The source with local names replaced; attributes, keywords and strings are left alone."""
    lines = source.split("\n")
    spots = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name) and n.id in names]
    for node in sorted(spots, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = (
            line[: node.col_offset] + names[node.id] + line[node.col_offset + len(node.id) :]
        )
    return "\n".join(lines)


def meaning(fact: Fact) -> tuple[object, ...]:
    """A fact without its place."""
    return fact.name, fact.scope, fact.subject, fact.value, fact.number, fact.order, fact.loop, fact.guards


SPELLINGS = st.sampled_from(
    ["loss", "optimizer", "scheduler", "labels", "model", "ema", "batch", "rank", "config", "best"]
)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), program=st.sampled_from(sorted(PROGRAMS)))
def test_spelling_of_locals_never_counts(data: st.DataObject, program: str) -> None:
    """Locals get the most misleading names there are, permuted: facts, order and shifts stay the same."""
    source = PROGRAMS[program]
    names = sorted(local_names(source))
    endings = data.draw(st.permutations(range(len(names))))
    words = [data.draw(SPELLINGS) for _ in names]
    changed = renamed(source, {n: f"{w}_{e}" for n, w, e in zip(names, words, endings, strict=True)})
    assert changed != source
    before, after = facts_of(source), facts_of(changed)
    assert [meaning(fact) for fact in after] == [meaning(fact) for fact in before]
    assert shifts.match(before, after) == ()


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_formatting_never_counts(program: str) -> None:
    """What the standard library's printer makes of a program says the same."""
    before, after = facts_of(PROGRAMS[program]), facts_of(ast.unparse(ast.parse(PROGRAMS[program])))
    assert len(before) > 5
    assert [meaning(fact) for fact in after] == [meaning(fact) for fact in before]


def test_one_change_is_not_lost_among_renames() -> None:
    """A rename of all locals and one changed hyper-parameter is one shift."""
    names = {name: f"v{place}" for place, name in enumerate(sorted(local_names(TORCH_LOOP)))}
    changed = renamed(TORCH_LOOP, names).replace("weight_decay=0.1", "weight_decay=10.0")
    found = shifts.match(facts_of(TORCH_LOOP), facts_of(changed))
    assert [(s.fact.name, s.before and s.before.value, s.after and s.after.value) for s in found] == [
        ("optimizer.weight_decay", "0.1", "10.0")
    ]


def test_catalogue_holds_every_fact_once() -> None:
    """Names are unique, well formed, and have words."""
    names = [kind.name for kind in CATALOGUE]
    assert len(names) == len(set(names)) > 100
    assert all(re.fullmatch(r"[a-z_]+(\.[A-Za-z_0-9]+|\.\*)?", name) for name in names)
    assert all(kind.words and kind.unit and kind.extractor for kind in CATALOGUE)


def test_catalogue_covers_what_is_said() -> None:
    """Every fact of the tables of cases is in the catalogue."""
    from test_facts_extract import SAID

    exact = {kind.name for kind in CATALOGUE if not kind.name.endswith("*")}
    families = tuple(kind.name.removesuffix("*") for kind in CATALOGUE if kind.name.endswith("*"))
    found = {fact.name for _, source, _ in SAID for fact in facts_of(source)}
    found |= {fact.name for source in PROGRAMS.values() for fact in facts_of(source)}
    assert {name for name in found if name not in exact and not name.startswith(families)} == set()


def test_documentation_is_current() -> None:
    """``docs/facts.md`` is what the extractors say."""
    page = Path(__file__).parents[1] / "docs" / "facts.md"
    assert page.read_text() == catalogue_page()


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n" + "    x = x.add(1)\n" * 2000,
        "def f(x):\n    return " + "+".join(["loss"] * 120),
        "def f(x):\n    return " + "g(" * 80 + "x" + ")" * 80,
        "DATA = [" + ", ".join(str(n) for n in range(20000)) + "]",
        "def f():\n" + "".join(f"    a{n} = a{n - 1} + 1\n" for n in range(1, 500)),
    ],
    ids=["long", "wide sum", "nested calls", "big literal", "chain of locals"],
)
def test_hostile_shapes_are_read(source: str) -> None:
    """Long, deep and chained code yields facts or none, never an error."""
    assert len(facts_of(source)) < 5000
