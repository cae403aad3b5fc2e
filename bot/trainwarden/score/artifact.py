"""A model's folder comes in; its verified bytes, calibration and digest go out.

The folder is the one inference servers read, with ``manifest.json`` beside it: the sha256 of every other file. Each
file is read once, and what is loaded later are the very bytes that were hashed, so nothing can be exchanged between
the check and the use. The manifest itself is vouched for by its own sha256, the ``digest`` that every report names.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainwarden.model import Misuse, TrainwardenError
from trainwarden.resources import models_dir
from trainwarden.score.features import Encoder

NAME = "change-risk"
MANIFEST = "manifest.json"
MODEL = "1/model.onnx"
HALF = "1/model.fp16.onnx"
"""The same network in half precision, for a GPU. May be missing."""
TOKENIZER = "tokenizer.json"
SIGNALS = "signals.json"
CALIBRATION = "calibration.json"
CARD = "card.md"
REQUIRED = (MODEL, TOKENIZER, SIGNALS, CALIBRATION)
SCHEMA = "trainwarden/model/1"
_SEALED_AGAIN = "install trainwarden again, or export the model again: nothing else may write this folder"


@dataclass(frozen=True, slots=True)
class Calibration:
    """``slope`` and ``offset`` on the network's logit give log-odds."""

    slope: float
    offset: float

    def logit(self, raw: float) -> float:
        """Calibrated log-odds of the network's own number."""
        return self.slope * raw + self.offset


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model whose every byte was verified. ``files`` maps slash-separated paths to contents."""

    name: str
    digest: str
    files: Mapping[str, bytes]
    calibration: Calibration


def bundled() -> Path | None:
    """The folder of the model that travels with the package, or None when none does."""
    try:
        folder = models_dir() / NAME
    except TrainwardenError:
        return None
    return folder if folder.is_dir() else None


def load(folder: Path) -> Artifact:
    """Reads and verifies a model. Raises ``Misuse`` for a file that is missing, extra or altered."""
    found = dict(_read(folder))
    manifest = found.pop(MANIFEST, None)
    if manifest is None:
        raise Misuse(f"{folder}: {MANIFEST} is missing, so nothing vouches for the model", _SEALED_AGAIN)
    _verify(folder, _sums(folder, manifest), found)
    digest = hashlib.sha256(manifest).hexdigest()
    return Artifact(folder.name, digest, found, _calibration(folder, found[CALIBRATION]))


def load_encoder(artifact: Artifact) -> Encoder:
    """The encoder with the artefact's own vocabulary."""
    return Encoder(artifact.files[TOKENIZER], artifact.files[SIGNALS])


def seal(folder: Path) -> str:
    """Writes the manifest of a folder that is complete, and returns its digest. For those who export a model."""
    files = {path: _sum(data) for path, data in sorted(_read(folder)) if path != MANIFEST}
    text = json.dumps({"schema": SCHEMA, "sha256": files}, indent=1) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def probability(logit: float) -> float:
    """The probability of log-odds, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1.0 + odds)


def _read(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below ``folder``. A link or a device is refused: what it names may change unseen."""
    for root, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in [*names, *(name for name in folders if Path(root, name).is_symlink())]:
            path = Path(root, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                raise Misuse(
                    f"{path} is not a regular file", "a model is plain files only: copy what it names"
                )
            try:
                yield path.relative_to(folder).as_posix(), path.read_bytes()
            except OSError as error:
                _unreadable(error)


def _unreadable(error: OSError) -> None:
    message = f"the model cannot be read: {error.filename}: {error.strerror}"
    raise Misuse(message, "see that it is there and may be read") from error


def _sums(folder: Path, manifest: bytes) -> Mapping[str, str]:
    try:
        document = json.loads(manifest)
        files = document["sha256"]
        sound = document["schema"] == SCHEMA and all(isinstance(digest, str) for digest in files.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise Misuse(f"{folder / MANIFEST} is not a manifest of schema {SCHEMA}", _SEALED_AGAIN)
    return {str(path): digest for path, digest in files.items()}


def _verify(folder: Path, wanted: Mapping[str, str], found: Mapping[str, bytes]) -> None:
    wrong = [f"{path} is missing" for path in sorted({*wanted, *REQUIRED} - found.keys())]
    wrong += [f"{path} is not in the manifest" for path in sorted(found.keys() - wanted.keys())]
    wrong += [
        f"{path} was altered"
        for path in sorted(found.keys() & wanted.keys())
        if _sum(found[path]) != wanted[path]
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise Misuse(f"the model in {folder} is not the one that was sealed: {wrong[0]}{more}", _SEALED_AGAIN)


def _calibration(folder: Path, data: bytes) -> Calibration:
    try:
        document = json.loads(data)
        slope, offset = float(document["slope"]), float(document["offset"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misuse(
            f"{folder / CALIBRATION} does not hold slope and offset: {error!r}", _SEALED_AGAIN
        ) from error
    # A slope below zero would turn the order of risks round.
    if not (math.isfinite(slope) and math.isfinite(offset) and slope > 0):
        raise Misuse(
            f"{folder / CALIBRATION}: slope {slope} and offset {offset} are no calibration", _SEALED_AGAIN
        )
    return Calibration(slope, offset)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
