"""Which rules and which configuration judge: kept while they are the same, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from git_repository import TRAIN, GitRepository
from trainwarden.entry import assemble
from trainwarden.git.process import Git
from trainwarden.model import Misuse, Options, Request
from trainwarden.rules import schema

RULE = """\
id: probe
title: probe
technique: [A01]
role: effect
severity: high
confidence: high
stage: active
why: probe
when: {lost: {pattern: ["torch.manual_seed($A)"]}}
cases:
  fires: []
  quiet: []
"""


@pytest.fixture
def change(tmp_path: Path) -> Request:
    """A change that takes the seed away, as a range."""
    repository = GitRepository(tmp_path / "repository", {"train.py": TRAIN})
    base = repository.git("rev-parse", "HEAD").strip()
    repository.commit({"train.py": TRAIN.replace("    torch.manual_seed(0)\n", "")})
    return Request(str(repository.path), "range", base, repository.git("rev-parse", "HEAD").strip())


def severities(change: Request, options: Options) -> list[str]:
    """The severity of each finding."""
    return [found.severity for found in assemble.review(change, options).findings]


def test_an_edited_pack_of_the_operator_counts_at_once(change: Request, tmp_path: Path) -> None:
    rule = tmp_path / "pack" / "randomness" / "probe.yml"
    rule.parent.mkdir(parents=True)
    rule.write_text(RULE)
    options = Options(rules_dir=str(tmp_path / "pack"), bundled=False, history=False)
    assert severities(change, options) == ["high"]
    rule.write_text(RULE.replace("severity: high", "severity: low"))
    assert severities(change, options) == ["low"]


def test_another_configuration_counts_at_once(change: Request, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    options = Options(config_file=str(config), history=False)
    config.write_text("mode: advise\n")
    before = {found.rule: found.stage for found in assemble.review(change, options).findings}
    assert before
    name = next(iter(before))
    config.write_text(f"rules: {{{name}: {{stage: trial}}}}\n")
    after = {found.rule: found.stage for found in assemble.review(change, options).findings}
    assert before[name] == "active"
    assert after[name] == "trial"


def test_an_error_of_the_configuration_names_its_own_file(change: Request, tmp_path: Path) -> None:
    """Also when another file with the same contents came before."""
    for name in ("one.yml", "two.yml"):
        (tmp_path / name).write_text("no-such-key: 1\n")
        with pytest.raises(Misuse, match=name):
            assemble.review(change, Options(config_file=str(tmp_path / name)))


def test_rules_are_read_once_for_many_policies(change: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit of a sweep is judged by the rules at its own base; loading them costs more than a review."""
    assemble.review(change, Options(history=False))
    monkeypatch.setattr(schema, "read_directory", lambda path: pytest.fail("the rules were read again"))
    assemble.review(replace(change, policy=change.head), Options(history=False))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The git commands that are started to be talked to, as they come."""
    commands: list[str] = []
    start = Git.start

    def noted(self: Git, *words: str, **rest: Any) -> Any:
        commands.append(words[0])
        return start(self, *words, **rest)

    monkeypatch.setattr(Git, "start", noted)
    yield commands
    while assemble._KEPT:
        assemble._KEPT.popitem()[1].close()


def test_a_repository_that_may_stay_open_is_opened_once(change: Request, started: list[str]) -> None:
    options = Options(model=False, history=False)
    patient = replace(options, keep_open=True)
    said = [
        replace(assemble.review(change, each), elapsed_ms=0) for each in (options, patient, patient, patient)
    ]
    assert said[0].findings and all(report == said[0] for report in said)
    assert started == ["cat-file", "cat-file"]


def test_what_is_committed_between_two_reviews_is_seen(change: Request, started: list[str]) -> None:
    patient = Options(model=False, history=False, keep_open=True)
    moving = replace(change, head="HEAD")
    first = assemble.review(moving, patient)
    repository = GitRepository.__new__(GitRepository)
    repository.path = Path(change.repo)
    repository.commit({"train.py": TRAIN.replace("lr=0.1", "lr=0.2")})
    second = assemble.review(moving, patient)
    assert first.revisions.head != second.revisions.head == repository.git("rev-parse", "HEAD")
    assert started == ["cat-file"]


def test_a_repository_that_a_review_failed_with_is_not_trusted_again(
    change: Request, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = Options(model=False, history=False, keep_open=True)
    with monkeypatch.context() as patch:
        patch.setattr(assemble.pipeline, "review", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            assemble.review(change, patient)
    assert not assemble._KEPT
    assert assemble.review(change, patient).findings
    assert started == ["cat-file", "cat-file"]


def test_only_the_last_repository_stays_open(change: Request, started: list[str], tmp_path: Path) -> None:
    patient = Options(model=False, history=False, keep_open=True)
    other = GitRepository(tmp_path / "other")
    for request in (change, Request(str(other.path), "range", other.first, other.first)):
        assemble.review(request, patient)
    assert list(assemble._KEPT) == [str(other.path)]
