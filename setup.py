"""Copies the top-level rules/ and models/ into the wheel; everything else is said in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUNDLED = ("rules", "models")


class BuildWithData(build_py):
    """Copies the data to ``trainwarden/_bundled``; an editable install reads the originals."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "trainwarden", "_bundled")
        shutil.rmtree(target, ignore_errors=True)
        for name in BUNDLED:
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithData})
