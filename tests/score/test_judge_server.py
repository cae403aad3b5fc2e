"""Second opinions from the server of llama.cpp itself, with a tiny model of random weights.

What it says is nonsense in the right form: protocol, schema, log-probabilities, keys, time-outs, restarts, the cache
and the way through `scan` are what is tested.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from llama import NAME, PYTHON, Llama

from git_repository import TRAIN, GitRepository
from trainwarden.model import JudgeChoice, Statement, Unit
from trainwarden.score.breaker import Breaker
from trainwarden.score.judge.answer import Answer, completion, verdict_probability
from trainwarden.score.judge.client import Client
from trainwarden.score.judge.reader import Judge

KEY = "tiny-key-1"
CLI = (sys.executable, "-c", "from trainwarden.entry.cli import main; raise SystemExit(main())")
UNIT = Unit(
    "train.py",
    "train",
    (
        Statement((("loss", "same"), ("=", "same"), ("-", "added"), ("total", "same")), 1, 4, True),
        Statement(
            (("loss", "same"), (".", "same"), ("backward", "same"), ("(", "same"), (")", "same")), 1, 5
        ),
    ),
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """The server, started once, with a key."""
    if not PYTHON.exists():
        pytest.skip("no language model's server: run `make env-judge`")
    started = Llama(tmp_path_factory.mktemp("llama"), KEY)
    started.start()
    yield started
    started.kill()


def choice(llama: Llama, **more: object) -> JudgeChoice:
    settings: dict[str, object] = {
        "url": llama.url, "model": NAME, "key": KEY, "seconds": 120.0, "patience": 120.0, **more
    }  # fmt: skip
    return JudgeChoice(**settings)  # type: ignore[arg-type]


def test_nonsense_comes_in_the_form_of_the_schema(llama: Llama) -> None:
    with closing(Judge(choice(llama))) as judge:
        found = judge.read((UNIT,), (0.9,), 0.5)
        assert found.notes == ()
        (opinion,) = found.of.values()
        assert all(one is not None and 0 <= one <= 1 for one in opinion.probabilities)
        assert opinion.line in (None, 4)
        assert opinion.reason.isprintable()
        assert (found.usage.calls, found.usage.failed) == (3, 0)
        assert found.usage.tokens_in > 3000 and 0 < found.usage.tokens_out <= 1200
        again = judge.read((UNIT,), (0.9,), 0.5)
        assert again.of == found.of and again.usage.calls == 0


def test_its_log_probabilities_are_read(llama: Llama, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []
    monkeypatch.setattr(
        "trainwarden.score.judge.client.completion", lambda data: bodies.append(data) or completion(data)
    )
    with closing(Client(choice(llama))) as client:
        (said,) = client.ask(["a = b"], 120)
    assert isinstance(said.answer, Answer), said
    told = json.loads(bodies[-1])["choices"][0]
    exact = verdict_probability(told["message"]["content"], told["logprobs"]["content"])
    assert exact is not None and said.answer.probability == exact
    stated = json.loads(told["message"]["content"])["probability"] / 100
    assert exact != stated


def test_an_answer_that_is_cut_off_counts_as_none(llama: Llama) -> None:
    with closing(Judge(choice(llama, answer_tokens=5))) as judge:
        found = judge.read((UNIT,), (0.9,), 0.5)
    assert found.of == {} and found.usage.failed == 3
    assert "cut off" in found.notes[0] or "answered 500" in found.notes[0]


def test_a_wrong_key_is_a_reason(llama: Llama) -> None:
    with closing(Judge(choice(llama, key="wrong"))) as judge:
        assert "answered 401" in judge.read((UNIT,), (0.9,), 0.5).notes[0]


def test_a_text_beyond_its_context_is_a_reason(llama: Llama) -> None:
    with closing(Client(choice(llama))) as client:
        (said,) = client.ask(["x" * 40_000], 120)
        assert "answered 400" in str(said.answer)
        (after,) = client.ask(["a = b"], 120)
        assert isinstance(after.answer, Answer), "one refusal does not take the schema away"


def test_a_stalled_server_is_left_alone_and_found_again(llama: Llama) -> None:
    clock = [0.0]
    breaker = Breaker(limit=1, rest=60, clock=lambda: clock[0])
    with closing(Judge(choice(llama, seconds=1.0), breaker)) as judge:
        llama.pause()
        try:
            started = time.monotonic()
            assert "did not answer" in judge.read((UNIT,), (0.9,), 0.5).notes[0]
            assert "left alone" in judge.read((UNIT,), (0.9,), 0.5).notes[0]
            assert time.monotonic() - started < 15
        finally:
            llama.resume()
    with closing(Judge(choice(llama), breaker)) as judge:
        assert judge.read((UNIT,), (0.9,), 0.5).of == {}
        clock[0] = 61
        assert len(judge.read((UNIT,), (0.9,), 0.5).of) == 1


@pytest.fixture
def change(tmp_path: Path) -> GitRepository:
    """A repository whose last commit takes the seed and the clipping away."""
    repository = GitRepository(tmp_path / "repository", {"train.py": TRAIN})
    repository.commit(
        {"train.py": TRAIN.replace("    torch.manual_seed(0)\n", "").replace("loss.", "(-loss).")}
    )
    return repository


def scan(
    repository: GitRepository, tmp_path: Path, url: str, *more: str
) -> tuple[int, dict[str, object], str]:
    config = tmp_path / "operator.yml"
    config.write_text(f"judge: {{above: 0, seconds: 200, patience: 250, folder: {tmp_path / 'judge'}}}\n")
    command = [
        *CLI,
        "scan",
        "--repo",
        str(repository.path),
        "--format",
        "json",
    ]
    command += ["--base", "HEAD~1", "--head", "HEAD", "--config", str(config), "--seconds", "600"]
    done = subprocess.run(
        [*command, "--judge", url, "--judge-model", NAME, *more],
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "TRAINWARDEN_JUDGE_KEY": KEY},
        text=True,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def test_scan_asks_it_and_says_when_it_could_not(llama: Llama, change: GitRepository, tmp_path: Path) -> None:
    code, report, words = scan(change, tmp_path, llama.url)
    assert code in (0, 1)
    assert not [one for one in report["reasons"] if "second opinion" in one.lower()]  # type: ignore[attr-defined]
    kept = list((tmp_path / "judge").glob("*.json"))
    assert kept and KEY not in words
    for file in kept:
        file.unlink()
    code, fallen, words = scan(change, tmp_path, "http://127.0.0.1:1/v1")
    notes = [one for one in fallen["reasons"] if one.startswith("No second opinion of tiny (127.0.0.1:1)")]  # type: ignore[attr-defined]
    assert notes and "did not answer" in notes[0]
    assert float(fallen["risk"]) <= float(report["risk"])  # type: ignore[arg-type]
    assert KEY not in words


def test_a_repository_cannot_name_a_judge(change: GitRepository, tmp_path: Path) -> None:
    change.commit({".trainwarden.yml": "judge: {url: 'https://evil.example.org/v1', model: m}\n"})
    change.commit({"train.py": TRAIN})
    done = subprocess.run(
        [*CLI, "scan", "--repo", str(change.path), "--base", "HEAD~1", "--head", "HEAD"],
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
        text=True,
    )
    assert done.returncode == 2
    assert "which machine is sent code" in done.stderr
