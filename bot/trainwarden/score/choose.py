"""The operator's choice in, the scorer that serves it out; kept for the next change of a warm process."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from trainwarden.model import Misuse, Scorer, ScorerChoice
from trainwarden.score import artifact
from trainwarden.score.embedded import Embedded, runtime


def open_scorer(choice: ScorerChoice, required: bool) -> Scorer | None:
    """A scorer, or None where there is no model, or nothing to run it with, and nobody asked for it.

    Who names a server, a folder or a GPU asks for it. Raises ``Misuse`` when the choice cannot be served, and always
    for a model that was altered.
    """
    asked = required or replace(choice, threads=0, workers=1, cleartext=False) != ScorerChoice()
    folder = Path(choice.folder) if choice.folder is not None else artifact.bundled()
    if folder is None or not folder.is_dir():
        if asked:
            where = f"no model in {folder}" if folder else "no model is bundled"
            raise Misuse(f"{where}, and one was asked for", "name its folder, or let the model be optional")
        return None
    if choice.url is None and not _can_embed():
        if asked:
            runtime()  # says what is missing
        return None
    return _opened(choice, folder)


@lru_cache(maxsize=2)
def _opened(choice: ScorerChoice, folder: Path) -> Scorer:
    loaded = artifact.load(folder)
    embedded = Embedded(loaded, choice.device, choice.threads, choice.workers)
    if choice.url is None:
        return embedded
    from trainwarden.score.remote import Remote

    return Remote(loaded, choice, embedded if _can_embed() else None)


def _can_embed() -> bool:
    """Whether onnxruntime is there, without the cost of importing it."""
    return find_spec("onnxruntime") is not None
