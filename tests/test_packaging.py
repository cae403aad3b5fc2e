"""What is installed is what is written here: sdist and wheel built in a copy, then a fresh environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from trainwarden import resources
from trainwarden.model import TrainwardenError
from trainwarden.rules.bundle import COMPILED
from trainwarden.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "bot", "rules", "models")
BUILD = "import sys; from setuptools import build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"


def files(root: Path) -> set[str]:
    """Relative paths of all files that belong to the project."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != COMPILED
    }


def build(tree: Path, kind: str, out: Path) -> Path:
    """Runs the build backend in ``tree``, as pip would do without isolation."""
    subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(out)], cwd=tree, check=True, capture_output=True
    )
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from an sdist built from a copy: whatever one of them loses is missing in the end."""
    tree, sdists, unpacked, wheels = (
        tmp_path_factory.mktemp(name) for name in ("tree", "sdist", "src", "wheel")
    )
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, tree / name)
    with tarfile.open(build(tree, "sdist", sdists)) as archive:
        archive.extractall(unpacked, filter="data")
    (inner,) = unpacked.iterdir()
    return build(inner, "wheel", wheels)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it, borrowing the dependencies of this one; needs no network."""
    directory = tmp_path_factory.mktemp("venv")
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (site,) = directory.glob("lib/python*/site-packages")
    # A path line adds the folder itself, not the .pth files in it: this checkout stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return directory


def test_the_wheel_holds_every_module_rule_and_model(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"trainwarden/{name}" for name in files(ROOT / "bot" / "trainwarden")}
    for folder in ("rules", "models"):
        bundled = files(ROOT / folder)
        assert bundled
        expected |= {f"trainwarden/_bundled/{folder}/{name}" for name in bundled}
    expected.add(f"trainwarden/_bundled/rules/{COMPILED}")
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


def test_an_installed_wheel_finds_its_own_data(environment: Path, tmp_path: Path) -> None:
    code = "from trainwarden import resources as r; print(r.rules_dir()); print(r.models_dir())"
    python = environment / "bin" / "python"
    done = subprocess.run(
        [str(python), "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    rules, models = (Path(line) for line in done.stdout.splitlines())
    assert rules.is_relative_to(environment)
    assert files(rules) == files(ROOT / "rules")
    assert files(models) == files(ROOT / "models")


def test_an_installed_wheel_need_not_read_yaml(environment: Path, tmp_path: Path) -> None:
    code = """
import json
from trainwarden import resources
from trainwarden.rules import bundle
compiled = json.loads((resources.rules_dir() / bundle.COMPILED).read_bytes())
print(compiled["sources"] == bundle.sources_hash(resources.rules_dir()), len(compiled["rules"]))
"""
    command = [str(environment / "bin" / "python"), "-I", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", str(len(list((ROOT / "rules").glob("*/*.yml"))))]


def test_the_installed_command_lists_the_bundled_rules(environment: Path, tmp_path: Path) -> None:
    command = [str(environment / "bin" / "trainwarden"), "rules", "list"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    written = {path.stem for path in (ROOT / "rules").glob("*/*.yml")}
    assert written
    assert {name for name in written if name not in done.stdout} == set()


def test_a_checkout_reads_the_rules_where_they_are_written() -> None:
    assert resources.rules_dir() == ROOT / "rules"
    assert resources.models_dir() == ROOT / "models"


def test_missing_data_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resources, "_WHEEL", tmp_path / "nowhere")
    # A folder that happens to be called rules beside an installed package is not ours.
    monkeypatch.setattr(resources, "_CHECKOUT", tmp_path)
    (tmp_path / "rules").mkdir()
    with pytest.raises(TrainwardenError, match="bundled rules are missing"):
        resources.rules_dir()


def test_the_program_in_the_docs_tells_an_edited_package(environment: Path, tmp_path: Path) -> None:
    program = (ROOT / "docs" / "limits.md").read_text().split("```python\n")[1].split("```")[0]
    (edited,) = environment.glob("lib/python*/site-packages/trainwarden/py.typed")
    command = [str(environment / "bin" / "python"), "-I", "-c", program]
    intact = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "trainwarden" not in intact
    edited.write_text("edited")
    try:
        told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    finally:
        edited.write_text("")
    assert told.splitlines()[0] == f"trainwarden {edited}"


def test_the_build_compiles_rules_with_the_parsers_that_will_read_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {need for need in project["build-system"]["requires"] if not need.startswith("setuptools")}
    assert needed
    assert needed <= set(project["project"]["dependencies"])
