"""``evaluate --judge`` measures in one command what second opinions catch and what they cost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, answering, verdict

from git_repository import GitRepository
from trainwarden.entry.cli import main

BUGGY = "import torch\n\n\ndef train(loss, n):\n    loss = loss * n\n    loss.backward()\n\n\nclip = 1\n"
FIXED = BUGGY.replace("loss * n", "loss / n")


def knowing(body: dict[str, Any]) -> tuple[int, bytes]:
    """A model that knows the bug."""
    code = str(body["messages"][1]["content"])
    return verdict(98 if re.search(r" \+ +loss = loss \* ", code) else 2)


@pytest.fixture
def material(tmp_path: Path) -> list[str]:
    """Arguments for a fix to be undone, and ordinary commits."""
    clone = GitRepository(tmp_path / "clones" / "example+one", {"train.py": BUGGY})
    fix = clone.commit({"train.py": FIXED})
    ordinary = [clone.commit({"train.py": FIXED.replace("clip = 1", f"clip = {n}")}) for n in range(2, 4)]
    fixes = f"repo\tsha\tdate\ttechnique\tfiles\tbug_if_undone\nexample/one\t{fix}\t2026-01-01\tB06\ttrain.py\twords\n"
    (tmp_path / "fixes.tsv").write_text(fixes)
    (tmp_path / "ordinary.txt").write_text("".join(f"example/one {sha}\n" for sha in ordinary))
    (tmp_path / "operator.yml").write_text("judge: {above: 0, price_in: 2, price_out: 10, patience: 60}\n")
    named = (
        "--mirrors",
        "clones",
        "--fixes",
        "fixes.tsv",
        "--ordinary",
        "ordinary.txt",
        "--config",
        "operator.yml",
    )
    paths = [one if one.startswith("--") else str(tmp_path / one) for one in named]
    return [*paths, "--no-model", "--no-history", "--jobs", "1", "--seconds", "200"]


def evaluate(material: list[str], server: ChatServer, *more: str) -> int:
    return main(["evaluate", *material, "--judge", server.url, "--judge-model", "m", *more])


def test_both_curves_and_the_bill(material: list[str], tmp_path: Path) -> None:
    kept = str(tmp_path / "kept.jsonl")
    with answering(knowing) as server:
        assert (
            evaluate(
                material, server, "--format", "json", "--output", str(tmp_path / "a.json"), "--keep", kept
            )
            == 0
        )
        calls = len(server.asked)
        assert evaluate(material, server, "--output", str(tmp_path / "a.txt"), "--keep", kept) == 0
        assert len(server.asked) == calls, "what was kept is not asked again"
    found = json.loads((tmp_path / "a.json").read_text())["cascade"]
    spent = found["spent"]
    assert spent["changes"] == 4 and spent["without"] == 0
    assert spent["offered"] == spent["units"] >= 4
    assert spent["calls"] == calls >= 4 and spent["failed"] == 0
    assert (spent["tokens_in"], spent["tokens_out"]) == (100 * calls, 10 * calls)
    assert spent["money"] == pytest.approx(calls * (100 * 2 + 10 * 10) / 1e6, abs=1e-6)
    (step,) = [one for one in found["steps"] if one["level"] == 0.1 and one["curve"] == "all"]
    assert step["group"] == "undone"
    plain, judged = (rate["value"] for rate in step["placed"])
    assert judged == 1 and plain <= judged
    words = (tmp_path / "a.txt").read_text()
    assert "Second opinions: what is caught without them and (judged) with them" in words
    assert f"{calls} calls, 0 without" in words and "An answer took" in words


def test_a_dead_judge_is_counted(material: list[str], tmp_path: Path) -> None:
    with answering((500, b"")) as server:
        assert evaluate(material, server, "--format", "json", "--output", str(tmp_path / "a.json")) == 0
    spent = json.loads((tmp_path / "a.json").read_text())["cascade"]["spent"]
    assert spent["without"] == spent["changes"] == 4
    assert spent["units"] == 0 and spent["failed"] > 0


def test_a_url_in_the_config_could_not_be_left_out(material: list[str], tmp_path: Path) -> None:
    (tmp_path / "operator.yml").write_text("judge: {url: 'http://127.0.0.1:1/v1', model: m}\n")
    assert main(["evaluate", *material]) == 2
