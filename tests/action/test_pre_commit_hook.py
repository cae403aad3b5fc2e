"""The hook under the real pre-commit: what is staged, named or between two commits, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from action_runner import ROOT
from github_parts import missing

from git_repository import ENVIRONMENT, SABOTAGE, TRAIN, GitRepository

BIN = Path(sys.prefix) / "bin"
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
SHIPPED = (
    ".pre-commit-hooks.yaml", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "bot", "rules",
    "models",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (BIN / "pre-commit").exists():
        missing("pre-commit is not installed (make env)")
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """A repository whose hook is ours by the manifest, run from the tests' own environment."""
    (hook,) = yaml.safe_load(MANIFEST.read_text())
    del hook["minimum_pre_commit_version"]
    hook |= {"language": "system", "entry": f"{BIN}/{hook['entry']}"}
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    files = {"train.py": TRAIN, "other.py": "x = 1\n", ".pre-commit-config.yaml": yaml.safe_dump(config)}
    return GitRepository(tmp_path / "repository", files)


def run(where: Path, home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | {"PRE_COMMIT_HOME": str(home), "PRE_COMMIT_COLOR": "never"}
    command = [str(BIN / "pre-commit"), *map(str, words)]
    return subprocess.run(
        command, cwd=where, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )  # fmt: skip


def test_the_manifest_is_valid(home: Path, tmp_path: Path) -> None:
    assert run(ROOT, home, "validate-manifest", MANIFEST).returncode == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text(MANIFEST.read_text().replace("language: python", "language: pyhton"))
    assert run(ROOT, home, "validate-manifest", bad).returncode == 1


def test_a_harmless_commit_passes(home: Path, repository: GitRepository) -> None:
    repository.write({"train.py": TRAIN.replace("lr=0.1", "lr=0.09")})
    repository.git("add", "train.py")
    done = run(repository.path, home, "run")
    assert done.returncode == 0, done.stdout
    assert run(repository.path, home, "run", "--all-files").returncode == 0


def test_what_is_staged_is_reviewed_and_not_what_lies_beside_it(
    home: Path, repository: GitRepository
) -> None:
    repository.write({"train.py": SABOTAGE})
    repository.git("add", "train.py")
    repository.write({"train.py": TRAIN})
    done = run(repository.path, home, "run")
    assert (done.returncode, "dynamic-evaluation" in done.stdout) == (1, True), done.stdout
    repository.git("reset", "-q", "--hard")
    repository.write({"train.py": SABOTAGE})
    assert run(repository.path, home, "run").returncode == 0


def test_a_commit_that_only_deletes_is_reviewed(home: Path, repository: GitRepository) -> None:
    repository.git("rm", "-q", "train.py")
    done = run(repository.path, home, "run", "--verbose")
    assert "train.py" in done.stdout


def test_git_commit_is_held_back(home: Path, repository: GitRepository) -> None:
    assert run(repository.path, home, "install").returncode == 0
    repository.write({"train.py": SABOTAGE})
    environment = ENVIRONMENT | {"PRE_COMMIT_HOME": str(home)}
    command = ["git", "commit", "-qam", "Faster"]
    done = subprocess.run(command, cwd=repository.path, env=environment, capture_output=True, check=False)
    assert (done.returncode, repository.git("rev-parse", "HEAD")) == (1, repository.first)


@pytest.mark.parametrize("words", [("--files", "train.py"), ("--all-files",)])
def test_named_files_are_reviewed_as_they_lie_on_disk(
    home: Path, repository: GitRepository, words: tuple[str, ...]
) -> None:
    repository.write({"train.py": SABOTAGE})
    assert run(repository.path, home, "run", *words).returncode == 1
    assert run(repository.path, home, "run", "--files", "other.py").returncode == 0


def test_commits_between_two_references_are_reviewed(home: Path, repository: GitRepository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    bad = repository.commit({"train.py": SABOTAGE})
    repository.git("checkout", "-q", "main")
    later = repository.commit({"other.py": "x = 2\n"})
    assert run(repository.path, home, "run", "--from-ref", "main", "--to-ref", bad).returncode == 1
    assert run(repository.path, home, "run", "--from-ref", "HEAD~1", "--to-ref", later).returncode == 0


def test_references_that_cannot_be_read_are_an_error(repository: GitRepository) -> None:
    environment = ENVIRONMENT | {"PRE_COMMIT_FROM_REF": "1" * 40, "PRE_COMMIT_TO_REF": "HEAD"}
    command = [str(BIN / "trainwarden"), "hook"]
    done = subprocess.run(command, cwd=repository.path, env=environment, capture_output=True, check=False)
    assert (done.returncode, b"unknown revision" in done.stderr) == (2, True)


def test_the_installed_hook_works_and_is_light(home: Path, tmp_path: Path) -> None:
    """``pre-commit try-repo``: clones the project, builds it, installs it from the index, and runs it."""
    if _index_status() != 0:
        missing("no package index can be reached")
    project = _project(tmp_path / "project")
    repository = GitRepository(tmp_path / "repository", {"train.py": TRAIN})
    repository.write({"train.py": SABOTAGE})
    repository.git("add", "-A")
    done = run(repository.path, home, "try-repo", project.path, "trainwarden", "--verbose")
    assert done.returncode == 1, done.stdout
    assert "train.py" in done.stdout
    assert "exit code: 1" in done.stdout


def _index_status() -> int:
    command = [sys.executable, "-m", "pip", "index", "versions", "setuptools"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


def _project(path: Path) -> GitRepository:
    path.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "compiled.json")
            shutil.copytree(ROOT / name, path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, path / name)
    return GitRepository(path, {})
