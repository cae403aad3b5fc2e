"""Copies the top-level rules/ and models/ into the wheel; everything else is said in pyproject.toml."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUNDLED = ("rules", "models")


class BuildWithData(build_py):
    """Copies the data to ``trainwarden/_bundled`` and compiles the rules, unless the install is editable."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "trainwarden", "_bundled")
        shutil.rmtree(target, ignore_errors=True)
        for name in BUNDLED:
            ignored = shutil.ignore_patterns("__pycache__", "compiled.json")
            shutil.copytree(ROOT / name, target / name, ignore=ignored)
        compile_bundled(target / "rules")


def compile_bundled(directory: Path) -> None:
    """Reading YAML at each start would cost more than the whole review of a small change."""
    sys.path.insert(0, str(ROOT / "bot"))
    from trainwarden.rules.bundle import compile_rules

    compile_rules(directory)


setup(cmdclass={"build_py": BuildWithData})
