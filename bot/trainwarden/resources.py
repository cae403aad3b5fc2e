"""Where the bundled rules and models lie: inside the package in a wheel, at the root of a checkout.

Comes in: nothing. Goes out: directories that exist.
"""

from __future__ import annotations

from pathlib import Path

from trainwarden.model import TrainwardenError

_PACKAGE = Path(__file__).resolve().parent
_WHEEL = _PACKAGE / "_bundled"
_CHECKOUT = _PACKAGE.parents[1]


def rules_dir() -> Path:
    """The directory of bundled rules, one folder a family. Raises ``TrainwardenError`` when it is missing."""
    return _bundled("rules")


def models_dir() -> Path:
    """The directory of bundled models, one folder a model. Raises ``TrainwardenError`` when it is missing."""
    return _bundled("models")


def _bundled(name: str) -> Path:
    # The build copies both folders into the package; an editable install reads them where they are written.
    directory = _WHEEL / name
    if not directory.is_dir() and (_CHECKOUT / "pyproject.toml").is_file():
        directory = _CHECKOUT / name
    if not directory.is_dir():
        raise TrainwardenError(
            f"the bundled {name} are missing", "install trainwarden again: it is incomplete"
        )
    return directory
