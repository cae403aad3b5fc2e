"""What a run is: one frozen record, a few presets, overrides from the command line."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class Config:
    # data
    data: str = "data"
    context: int = 1024
    workers: int = 4
    shuffle: bool = True
    # model
    vocab: int = 50304
    layers: int = 12
    heads: int = 12
    width: int = 768
    dropout: float = 0.0
    # optimisation
    lr: float = 6e-4
    min_lr: float = 6e-5
    warmup: int = 700
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    batch: int = 16
    accumulate: int = 4
    max_steps: int = 20_000
    # run
    seed: int = 1337
    precision: str = "bfloat16"
    out: str = "runs/default"
    resume: str = ""
    log_every: int = 10
    eval_every: int = 500
    eval_batches: int = 64
    save_every: int = 1000


PRESETS = {
    "debug": Config(layers=2, heads=2, width=64, context=128, max_steps=50, warmup=5, eval_every=25),
    "small": Config(),
    "medium": Config(layers=24, heads=16, width=1024, lr=3e-4, min_lr=3e-5, batch=8, accumulate=8),
}


def override(config: Config, pairs: list[str]) -> Config:
    """Returns `config` with `field=value` texts applied; the type of the field decides how a value is read."""
    types = {field.name: type(getattr(config, field.name)) for field in fields(config)}
    changes = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in types:
            raise SystemExit(f"unknown field {name!r}; one of {', '.join(sorted(types))}")
        if types[name] is bool:
            changes[name] = text.lower() in ("1", "true", "yes")
        elif types[name] is tuple:
            changes[name] = tuple(float(part) for part in text.split(","))
        else:
            changes[name] = types[name](text)
    return replace(config, **changes)


def from_command_line(argv: list[str] | None = None) -> Config:
    parser = argparse.ArgumentParser(prog="quill.train")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small")
    parser.add_argument("--data")
    parser.add_argument("--out")
    parser.add_argument("--resume")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    args = parser.parse_args(argv)
    config = override(PRESETS[args.preset], args.set)
    named = {key: getattr(args, key) for key in ("data", "out", "resume", "seed")}
    return replace(config, **{key: value for key, value in named.items() if value is not None})


def describe(config: Config) -> str:
    return "\n".join(f"{name:>14} = {value}" for name, value in asdict(config).items())


def run_directory(config: Config) -> Path:
    path = Path(config.out)
    path.mkdir(parents=True, exist_ok=True)
    return path
