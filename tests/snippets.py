"""Before and after texts in, edits out: what the tests of understanding and judging start from."""

from __future__ import annotations

from textwrap import dedent

from trainwarden.model import FilePair, FileVersion
from trainwarden.understand import view_of
from trainwarden.view import ChangeView, Delta, Edit


def pair(before: str | None, after: str | None, path: str = "train.py") -> FilePair:
    """A modified (or added, or deleted) file."""
    return FilePair(_version(path, before), _version(path, after))


def _version(path: str, text: str | None) -> FileVersion | None:
    return (
        None if text is None else FileVersion(path, 0o100644, dedent(text).encode("utf-8", "surrogatepass"))
    )


def view(before: str | None, after: str | None, path: str = "train.py") -> ChangeView:
    """The change of one file, read as training code."""
    return view_of([pair(before, after, path)], ("**",))


def edits(before: str | None, after: str | None) -> tuple[Edit, ...]:
    """The edits of one file."""
    return view(before, after).files[0].edits


def inside(statements: str, imports: str = "import torch\n") -> str:
    """Statements as the body of a training function."""
    body = "\n".join("    " + line for line in dedent(statements).strip("\n").split("\n"))
    return f"{imports}\n\ndef train(model, loader, opt, criterion, sched, rank, labels):\n{body}\n"


def deltas(before: str, after: str) -> list[Delta]:
    """The differences between two bodies of a training function, with those around them left out."""
    around = ("unused", "rebound", "mutated", "one-sided")
    found = edits(inside(before), inside(after))
    return [delta for edit in found for delta in edit.deltas if delta.kind not in around]
