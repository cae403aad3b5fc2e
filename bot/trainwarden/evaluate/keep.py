"""A file of finished reviews: outcomes of an earlier run go in, and what is new is appended as it is ready.

A line is kept for one sample, one request and one tool: any change to the package, to the rules, to the
models or to the options makes it stale, because a figure mixed from two tools is no figure.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trainwarden
from trainwarden.evaluate.sample import Remark, Sample, Seen, Size
from trainwarden.model import Misuse, Options, Request, TrainwardenError, Usage
from trainwarden.resources import models_dir, rules_dir

SCHEMA = "trainwarden/kept-review/1"

_IRRELEVANT = frozenset({"evaluate", "github", "lab", "__pycache__"})  # rooms that have no say in a review


class Keep:
    """The kept reviews of one file. Raises ``Misuse`` when the file is something else."""

    def __init__(self, path: Path, tool: str) -> None:
        self._tool = tool
        self._found = _read(path) if path.exists() else {}
        self._file = path.open("a", encoding="utf-8")

    def get(self, sample: Sample) -> tuple[Seen, Size | None] | None:
        """What an earlier run of the same tool said of this sample."""
        return self._found.get(_key(sample, self._tool))

    def put(self, sample: Sample, seen: Seen, size: Size | None) -> None:
        """Appends an outcome. Errors are not kept: the next run tries again."""
        if seen.verdict != "error":
            line: dict[str, object] = {"schema": SCHEMA, "id": sample.id, "key": _key(sample, self._tool)}
            line |= {"seen": dataclasses.asdict(seen), "size": dataclasses.asdict(size) if size else None}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def tool_digest(options: Options) -> str:
    """A digest of everything that can change a report: the package, the rules, the models, the options."""
    scorer = dataclasses.replace(options.scorer, threads=0, workers=1, seconds=0.0)
    told = dataclasses.replace(options, seconds=0.0, megabytes=0, scorer=scorer)
    digest = hashlib.sha256(repr(told).encode())
    package = Path(trainwarden.__file__).parent
    for file in sorted(package.rglob("*.py")):
        if not _IRRELEVANT & set(file.relative_to(package).parts):
            _add(digest, file, package)
    for root in _data_roots(options):
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            _add(digest, file, root)
    return digest.hexdigest()


def _data_roots(options: Options) -> Iterator[Path]:
    for bundled in (rules_dir, models_dir):
        try:
            yield bundled()
        except TrainwardenError:
            continue
    for given in (options.rules_dir, options.config_file, options.scorer.folder):
        if given is not None:
            yield Path(given)


def _add(digest: hashlib._Hash, file: Path, root: Path) -> None:
    digest.update(os.fsencode(file.relative_to(root)) + b"\0")
    digest.update(hashlib.sha256(file.read_bytes()).digest())


def _key(sample: Sample, tool: str) -> str:
    return hashlib.sha256(f"{tool}\0{sample.id}\0{_request(sample.request)}".encode()).hexdigest()


def _request(request: Request) -> str:
    """The request without the place of its clone, with the overlay as digests."""
    overlay = request.overlay.files if request.overlay else {}
    files = {
        path: None if content is None else (content[0], hashlib.sha256(content[1]).hexdigest())
        for path, content in sorted(overlay.items())
    }
    return repr((request.kind, request.base, request.head, request.policy, files))


def _read(path: Path) -> dict[str, tuple[Seen, Size | None]]:
    found: dict[str, tuple[Seen, Size | None]] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            value = json.loads(line)
            found[value["key"]] = _seen(value["seen"]), Size(**value["size"]) if value["size"] else None
        except (ValueError, TypeError, KeyError):
            raise Misuse(f"{path}:{number}: not a kept review", "Give another file to --keep.") from None
    if lines[-1]:  # torn by an interruption
        os.truncate(path, path.stat().st_size - len(lines[-1]))
    return found


def _seen(value: dict[str, object]) -> Seen:
    remarks = value.pop("remarks")
    reasons = value.pop("reasons")
    tool = value.pop("tool")
    usage = value.pop("usage", None)
    assert isinstance(remarks, list) and isinstance(reasons, list) and isinstance(tool, list)
    rebuilt = tuple(Remark(**{**remark, "lines": tuple(remark["lines"])}) for remark in remarks)
    rest: dict[str, Any] = value | {"usage": _usage(usage) if isinstance(usage, dict) else None}
    return Seen(remarks=rebuilt, reasons=tuple(reasons), tool=(tool[0], tool[1], tool[2]), **rest)


def _usage(value: dict[str, Any]) -> Usage:
    return Usage(**{**value, "latencies": tuple(value["latencies"])})
