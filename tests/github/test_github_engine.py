"""The reviewing side of the App: what the operator chose reaches it, and what it cannot do is said on the check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from github_world import World

from trainwarden.github import engine
from trainwarden.github.checkrun import Reading, compose
from trainwarden.github.engine import Children
from trainwarden.github.settings import Secret, Settings
from trainwarden.model import Misuse, Options, Report, Request, ScorerChoice, Verdict
from trainwarden.sandbox import error_report

REQUEST = Request("nowhere", "range", "a", "b")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(1, Secret("k"), (Secret("s"),), tmp_path, Secret("sqlite:///x"), workers=2)


class Stand:
    """Takes the place of a supervised child and remembers how it was asked for."""

    made: list[Stand]

    def __init__(self, options: Options) -> None:
        self.options = options
        self.closed = False
        Stand.made.append(self)

    def review(self, request: Request) -> Report:
        return error_report(request, "not read")

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def stands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Stand]:
    Stand.made = []
    if "world" not in request.fixturenames:
        monkeypatch.setattr(engine, "Reviewer", Stand)
    return Stand.made


def test_the_operators_choice_of_model_and_server_reaches_the_review(
    settings: Settings, tmp_path: Path, stands: list[Stand]
) -> None:
    chosen = replace(settings, scorer_url="https://models.example.org", model_dir=str(tmp_path))
    Children(chosen).review(REQUEST, None)
    Children(replace(settings, model=False)).review(REQUEST, None)
    url, folder = "https://models.example.org", str(tmp_path)
    assert stands[0].options.scorer == ScorerChoice(url=url, folder=folder, workers=2)
    assert [stand.options.model for stand in stands] == [True, False]


def test_children_stay_warm_and_never_become_more_than_reviews(
    settings: Settings, stands: list[Stand]
) -> None:
    children = Children(settings)
    for file in (None, None, "/a.yml", None, "/b.yml", "/c.yml"):
        children.review(REQUEST, file)
    assert [stand.options.config_file for stand in stands] == [None, "/a.yml", "/b.yml", "/c.yml"]
    assert [stand.closed for stand in stands] == [True, True, False, False]
    children.close()
    assert all(stand.closed for stand in stands)


def test_another_model_server_or_rule_means_another_review(settings: Settings, tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"files": name}))
        folders.append(str(folder))
    (tmp_path / "rules").mkdir()
    variants = [
        settings,
        replace(settings, model=False),
        replace(settings, model_dir=folders[0]),
        replace(settings, model_dir=folders[1]),
        replace(settings, scorer_url="https://models.example.org"),
    ]
    identities = [Children(each).identity for each in variants]
    ruled = replace(settings, rules_dir=str(tmp_path / "rules"))
    (tmp_path / "rules" / "a.yml").write_text("id: a")
    identities.append(Children(ruled).identity)
    assert len(set(identities)) == 6
    assert Children(settings).identity == identities[0]


@pytest.mark.parametrize("key", ["scorer", "judge"])
def test_a_policy_cannot_choose_who_is_sent_code_and_tokens(settings: Settings, key: str) -> None:
    policy = f"mode: observe\n{key}:\n  url: https://models.example.org\n".encode()
    with pytest.raises(Misuse, match="only the operator"):
        Children(settings).mode(policy, "the policy")
    assert Children(settings).mode(b"mode: advise\n", "the policy") == "advise"


def test_the_check_names_the_model_and_the_fallback_that_was_taken() -> None:
    report = error_report(REQUEST, "")
    note = "The learned risk was computed by change-risk (embedded: models.example.org timed out)."
    named = replace(
        report, tool=replace(report.tool, model="c0ffee" * 10), verdict=Verdict("review", 0.5, ("One.", note))
    )
    said = compose([Reading(1, "main", "enforce", named, "key")])
    assert "model `c0ffeec0ffee`" in said.summary
    assert "(embedded: models.example.org timed out)" in said.summary.replace("`", "")
    bare = compose([Reading(1, "main", "enforce", replace(named, tool=report.tool), "key")])
    assert "no model (rules only)" in bare.summary


def test_a_required_model_that_is_missing_is_an_error_on_the_check(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    children = Children(replace(world.settings, model_dir=str(tmp_path / "empty")))
    world.engine = children  # type: ignore[assignment]
    try:
        pull = world.pull(world.repository(config="mode: advise\nmodel: required\n"), "topic", "x = 1\n")
        world.open(pull)
    finally:
        children.close()
    run = world.check(pull.head)
    assert (run["conclusion"], run["output"]["title"]) == ("failure", "Could not finish the review")
    assert "model" in run["output"]["summary"]


def test_a_required_model_that_the_operator_switched_off_is_an_error(world: World) -> None:
    children = Children(replace(world.settings, model=False))
    world.engine = children  # type: ignore[assignment]
    try:
        pull = world.pull(world.repository(config="mode: enforce\nmodel: required\n"), "topic", "x = 1\n")
        world.open(pull)
    finally:
        children.close()
    assert world.conclusion(pull) == "failure"
    assert "requires the model" in world.check(pull.head)["output"]["summary"]
