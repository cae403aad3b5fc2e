"""A name and a text come in; the test fails when the text is not the one kept under ``tests/snapshots``.

``TRAINWARDEN_SNAPSHOTS=write`` writes the file instead: read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def check_snapshot(name: str, text: str) -> None:
    """Compares the text with the file of that name, character by character."""
    path = FOLDER / name
    if os.environ.get("TRAINWARDEN_SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_bytes().decode("utf-8"), (
        f"{path} differs (TRAINWARDEN_SNAPSHOTS=write writes it)"
    )
