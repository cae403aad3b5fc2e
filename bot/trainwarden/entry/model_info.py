"""``trainwarden model info``: the artefact's identity, its card, and what can run it on this machine."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trainwarden.entry import output
from trainwarden.entry.arguments import MODEL_VARIABLE, model_folder
from trainwarden.model import Misuse
from trainwarden.score import artifact
from trainwarden.score.artifact import CARD, Artifact

EPILOG = """\
Every file is checked against the model's manifest; one that is missing, extra or altered is an error (exit code 2).
The digest is that of the manifest, and the one that reports give as `tool.model`.

examples:
  trainwarden model info                       the bundled model
  trainwarden model info --model my-model      one of your own
  trainwarden model info --card                its card: data, figures, blind spots
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``model info``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--model", metavar="DIR", help=f"a model's folder (default: ${MODEL_VARIABLE}, else the bundled one)"
    )
    parser.add_argument("--card", action="store_true", help="print the whole card")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Verifies the model and prints what it is. Raises ``Misuse``."""
    folder = chosen_folder(arguments.model)
    loaded = artifact.load(folder)
    if arguments.card:
        output.write(loaded.files.get(CARD, b"").decode("utf-8", "replace"), None)
        return 0
    said = _described(folder, loaded)
    text = json.dumps(said, indent=1) if arguments.format == "json" else _text(said, _headline(loaded))
    output.write(text + "\n", None)
    return 0


def chosen_folder(given: str | None) -> Path:
    """The folder of the model to speak of. Raises ``Misuse`` when there is none."""
    named = model_folder(given)
    folder = Path(named) if named is not None else artifact.bundled()
    if folder is None:
        raise Misuse("no model is bundled", "name the folder of one with --model DIR")
    return folder


def _described(folder: Path, loaded: Artifact) -> dict[str, object]:
    return {
        "name": loaded.name,
        "folder": str(folder),
        "digest": loaded.digest,
        "calibration": {"slope": loaded.calibration.slope, "offset": loaded.calibration.offset},
        "runtime": _runtime(),
        "files": {
            path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in sorted(loaded.files.items())
        },
    }


def _runtime() -> str | None:
    """Which build of onnxruntime is installed, without importing it; None when there is none."""
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None


def _text(said: dict[str, object], headline: str) -> str:
    files, calibration = said["files"], said["calibration"]
    assert isinstance(files, dict) and isinstance(calibration, dict)
    lines = [
        f"{said['name']}  in {said['folder']}",
        f"  digest       {said['digest']}",
        f"  calibration  log-odds = {calibration['slope']:.4g} x logit {calibration['offset']:+.4g}",
        f"  run by       {said['runtime'] or 'nothing here: pip install trainwarden[model]'}",
        "",
        *(f"  {entry['bytes']:>12,}  {entry['sha256'][:16]}  {path}" for path, entry in files.items()),
    ]
    return "\n".join([*lines, *(["", headline] if headline else [])])


def _headline(loaded: Artifact) -> str:
    """The card up to its second heading: what it is, in the words and figures of those who trained it."""
    lines = loaded.files.get(CARD, b"").decode("utf-8", "replace").splitlines()
    second = next((place for place, line in enumerate(lines[1:], 1) if line.startswith("## ")), len(lines))
    return "\n".join(lines[:second]).strip()


def progress(text: str) -> None:
    """A word to a person who waits, on a terminal only."""
    if sys.stderr.isatty():
        output.say(text)
