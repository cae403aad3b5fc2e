"""The bundled rules, their schema and the page for authors hold together."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from rule_text import rule
from trainwarden.resources import rules_dir
from trainwarden.rules import grammar, lint
from trainwarden.rules.cases import run_cases
from trainwarden.rules.conditions import kind_of, needs, with_parameters
from trainwarden.rules.describe import describe
from trainwarden.rules.findings import BUILT_IN
from trainwarden.rules.json_schema import json_schema, schema_text
from trainwarden.rules.schema import FAMILIES, Rule, read_directory
from trainwarden.rules.values import globs
from trainwarden.yaml_safely import load_yaml

RULES = read_directory(rules_dir())
README = (rules_dir() / "README.md").read_text("utf-8")
IDS = [one.id for one in RULES]


def test_there_are_rules() -> None:
    """The tests below loop over something."""
    assert len(RULES) >= 4


@pytest.mark.parametrize("one", RULES, ids=IDS)
def test_cases(one: Rule) -> None:
    """Every case fires, or stays quiet, as it says."""
    outcomes = list(run_cases([one]))
    assert outcomes
    assert [outcome for outcome in outcomes if outcome.failed] == []


def test_nothing_to_complain_about() -> None:
    """The linter's view of all rules together."""
    assert [f"{found.rule} {found.words}" for found in lint.complaints(RULES)] == []


@pytest.mark.parametrize("one", RULES, ids=IDS)
def test_rules_are_found_by_what_they_need(one: Rule) -> None:
    """No bundled rule has to be asked about every file of every change."""
    assert needs(with_parameters(one.when, one.parameters)) is not None or "file" in str(one.when)


@pytest.mark.parametrize("one", RULES, ids=IDS)
def test_descriptions_have_fixed_headings(one: Rule) -> None:
    """What `rules show` prints."""
    headings = re.findall(r"^## (.*)$", describe(one), re.MULTILINE)
    assert headings == ["What it says", "Why it is bad", "Example", "What is measured"]


# -- the schema


def test_schema_file_is_current() -> None:
    """`trainwarden rules schema > rules/schema.json`."""
    assert (rules_dir() / "schema.json").read_text("utf-8") == schema_text()


@pytest.mark.parametrize("one", RULES, ids=IDS)
def test_schema_accepts_the_rules(one: Rule) -> None:
    """What loads is valid for an editor as well."""
    jsonschema.validate(load_yaml(Path(one.origin).read_bytes(), one.origin), json_schema())


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"severity": "severe"},
        {"when": {"edit": {"kid": "added"}}},
        {"when": {}},
        {"cases": {}},
    ],
)
def test_schema_refuses(change: dict[str, object]) -> None:
    """The schema is closed, as the loader is."""
    plain = yaml.safe_load(Path(RULES[0].origin).read_bytes())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**plain, **change}, json_schema())


# -- the page


def test_the_page_names_every_key() -> None:
    """A key that the grammar knows is explained to authors."""
    words = set(re.findall(r"`([a-z_]+)`", README)) | set(re.findall(r"\b([a-z_]+):", README))
    keys = {
        *grammar.RULE,
        *grammar.OTHER_RULE_KEYS,
        *grammar.CASE_KEYS,
        *grammar.COMBINATIONS,
        *grammar.LEAVES,
    }
    for fields, _ in grammar.LEAVES.values():
        keys |= set(fields)
    assert keys - words == set()


def test_the_page_names_families_and_words_of_messages() -> None:
    """And every word that may stand in braces, but for those that explain themselves."""
    assert set(FAMILIES) <= set(re.findall(r"`([a-z]+)`", README))
    assert set(re.findall(r"`\{([a-z]+)\}`", README)) - {"name"} == BUILT_IN - {"edit", "delta"}


EXAMPLES = [text for text in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "when:" in text]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_page_load(text: str) -> None:
    """What the page shows is what the loader takes."""
    assert kind_of(rule(text).when)


def test_the_page_has_three_worked_examples() -> None:
    """And one of putting conditions together."""
    assert len(EXAMPLES) == 4


def test_the_compiled_form_is_never_committed() -> None:
    """It is made from the rule files where they are installed; one that came with a commit could say other things."""
    root = rules_dir().parent
    if not (root / ".git").exists():
        pytest.skip("not in a git checkout")
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "rules"], capture_output=True, text=True, check=True
    )
    assert "rules/README.md" in listed.stdout.splitlines()
    assert "rules/compiled.json" not in listed.stdout.splitlines()


# -- names that mean something else

HOMONYMS = (
    "remaining sparsemax schematic latest contest videos percentile writer prune "
    "constraint benefit confidence"
).split()
"""Words of training code that hold ``ema``, ``test``, ``eos``, ``tile``, ``iter``, ``run``, ``train`` or ``fid``."""
ASKED = ("in_member", "slot", "inside", "name")


def _expressions(spec: object) -> Iterator[str]:
    if isinstance(spec, list):
        for part in spec:
            yield from _expressions(part)
    elif isinstance(spec, dict):
        for key, value in spec.items():
            texts = value if isinstance(value, list) else [value]
            if key in ASKED:
                yield from (text for text in texts if str(text).startswith("/"))
            else:
                yield from _expressions(value)


@pytest.mark.parametrize("one", RULES, ids=IDS)
def test_names_are_asked_for_by_whole_words(one: Rule) -> None:
    """An expression that is not like any name at all is like none of these words."""
    plain = yaml.safe_load(Path(one.origin).read_bytes())
    for text in _expressions([plain["when"], plain.get("unless", [])]):
        like = globs([text])
        assert like("q") or not [word for word in HOMONYMS if like(word)], text
