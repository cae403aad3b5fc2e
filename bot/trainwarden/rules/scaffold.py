"""The beginning of a new rule: a file that loads, with everything an author has to fill in."""

from __future__ import annotations

from pathlib import Path

from trainwarden.model import Misuse
from trainwarden.rules.schema import FAMILIES, is_id

_TEMPLATE = """\
id: {name}
title: {title}
technique: [{letter}01]
role: effect
severity: medium
confidence: low
stage: trial
why: >
  Two or three sentences for the reviewer: what goes wrong, and why nobody would notice.
message: "{{before}} is gone"
when:
  edit: {{kind: removed, pattern: "~.step(...)", loop: ">=1", gone_elsewhere: true}}
cases:
  fires:
    - before: |
        import torch
        def train(loader, optimizer):
            for batch in loader:
                loss(batch).backward()
                optimizer.step()
      after: |
        import torch
        def train(loader, optimizer):
            for batch in loader:
                loss(batch).backward()
      line: 4
  quiet:
    - before: |
        import torch
        def train(loader, optimizer):
            for batch in loader:
                loss(batch).backward()
                optimizer.step()
      after: |
        import torch
        def train(loader, optimizer):
            for batch in loader:
                loss(batch).backward()
                update(optimizer)
        def update(optimizer):
            optimizer.step()
"""


def write_rule(directory: Path, name: str, family: str) -> Path:
    """Writes the beginning of a rule and returns its path. Raises ``Misuse`` when it cannot be."""
    if not is_id(name):
        raise Misuse(
            f"{name!r} is no name for a rule", "lower-case words joined by '-': gradient-clip-removed"
        )
    path = directory / family / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _TEMPLATE.format(name=name, title=name.replace("-", " ").capitalize(), letter=FAMILIES[family])
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Misuse(f"{path} exists already") from None
    return path
