"""Rule files: what is refused and in which words, overrides, packs, the digest and the compiled form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rule_text import CASES, HEAD, rule
from trainwarden.config import Config, RuleOverride
from trainwarden.model import Misuse
from trainwarden.rules import bundle, schema
from trainwarden.rules.patterns import Outline, Pattern
from trainwarden.rules.scaffold import write_rule
from trainwarden.rules.schema import load_rules, read_directory, rule_set
from trainwarden.rules.snippets import parse_snippet

WHEN = "when: {edit: {kind: added}}\n"

REFUSED = [
    (
        "when: {edit: {kind: removd}}",
        "probe.yml:9: when.edit.kind: 'removd' is not one of .* .did you mean 'removed'",
    ),
    (
        "when: {edit: {patern: 'f()'}}",
        "probe.yml:9: unknown key 'patern' in when.edit .did you mean 'pattern'",
    ),
    ("when: {edit: {}}", "when.edit is empty"),
    ("when: {edits: {kind: added}}", "unknown key 'edits' in when .did you mean 'edit'"),
    ("when: {edit: {kind: added}, mark: {kind: bidi}}", "must hold exactly one of"),
    ("when: [1]", "when must be a mapping"),
    ("when: {all: []}", "must be a list of conditions"),
    (
        "when:\n  any:\n    - edit: {kind: added}\n    - edit: {pattern: 'f('}",
        "probe.yml:12: the pattern 'f.' does not parse",
    ),
    ("when: {edit: {loop: many}}", "is not a comparison"),
    ("when: {edit: {loop: [1]}}", "expected a comparison"),
    ("when: {edit: {gone_elsewhere: 1}}", "expected true or false, not 1"),
    ("when: {edit: {in_member: '/(/'}}", "is not a regular expression"),
    ("when: {shift: {fact: optimizer.lr, to: '/(/'}}", "is not a regular expression"),
    ("when: {delta: {kind: number, from: '/[/'}}", "is not a regular expression"),
    (
        "when:\n  any:\n    - delta: {kind: name, from: x}\n    - delta:\n        kind: callee\n        to: ['$X(']",
        "probe.yml:14: the pattern '.X.' does not parse",
    ),
    ("when: {edit: {guards: [tuesday]}}", "'tuesday' is not one of"),
    ("when: {shift: {to: absent}}", "when.shift lacks 'fact'"),
    ("when: {lost: {in_member: f}}", "needs either 'fact' or 'pattern'"),
    ("when: {count: {of: {mark: {kind: x}}}}", "needs 'at_least'"),
    ("when: {guard: {over: {edit: {kind: added}}}}", "lacks 'kinds'"),
    ("when: {any: [{mark: {kind: x}}], near: 3}", "beside 'all'"),
    ("when: {mark: {kind: x}, within: village}", "'village' is not one of"),
    (WHEN + "colour: red", "unknown key 'colour' in the rule"),
    (WHEN + "scope: world", "'world' is not one of edit, file, change"),
    (WHEN + "parameters: {a: [1]}", "parameter 'a' must be a number or text"),
    ("unless: []", "the rule lacks 'when'"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_refuses(body: str, words: str) -> None:
    """An author's mistake is named with file, line and what was probably meant."""
    with pytest.raises(Misuse, match=words):
        rule(body)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("id: other", "id 'other' is not the file name 'probe'"),
        ("technique: [Z99]", "no technique 'Z99'"),
        ("technique: [A13]", "no technique 'A13'"),
        ("severity: severe", "'severe' is not one of low, medium, high, critical"),
        ("why: ''", "expected text, not nothing"),
    ],
)
def test_refuses_words(change: str, words: str) -> None:
    """The words of a rule are checked like its logic."""
    key = change.partition(":")[0]
    head = "".join(change + "\n" if line.startswith(key + ":") else line for line in HEAD.splitlines(True))
    with pytest.raises(Misuse, match=words):
        schema.read_rule((head + WHEN + CASES).encode(), "probe.yml", "loss", "probe")


def test_every_word_of_the_head_is_needed() -> None:
    """Leaving one out is an error that names it."""
    for left_out in HEAD.splitlines(True):
        key = left_out.partition(":")[0]
        with pytest.raises(Misuse, match=f"lacks '{key}'"):
            schema.read_rule((HEAD.replace(left_out, "") + WHEN + CASES).encode(), "p", "loss", "probe")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("{}", "neither 'before' nor 'after'"),
        ("{after: x, line: 0}", "is a line number"),
        ("{afterwards: x}", "unknown key 'afterwards'"),
        ("{files: {a.py: {after: x}}, before: y}", "'files' maps paths"),
        ("{files: {a.py: {}}}", "a.py has neither"),
    ],
)
def test_refuses_cases(case: str, words: str) -> None:
    """Cases are checked when the rule is read."""
    text = HEAD + WHEN + f"cases: {{fires: [{case}], quiet: []}}\n"
    with pytest.raises(Misuse, match=words):
        schema.read_rule(text.encode(), "p", "loss", "probe")


def test_cases_say_which_files_there_are() -> None:
    """One file by default, a test file, or several."""
    text = HEAD + WHEN + "cases: {fires: [{after: x, test: true}], quiet: [{files: {a.py: {before: y}}}]}\n"
    read = schema.read_rule(text.encode(), "p", "loss", "probe")
    assert dict(read.fires[0].after) == {"tests/test_train.py": "x"}
    assert dict(read.quiet[0].before) == {"a.py": "y"}
    assert read.quiet[0].after["a.py"] is None


# -- packs and overrides


def pack(directory: Path, name: str = "probe", family: str = "loss", body: str = WHEN) -> Path:
    """A directory with one rule."""
    path = directory / family / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.replace("id: probe", f"id: {name}") + body + CASES)
    return path


def test_a_pack_adds_and_replaces(tmp_path: Path) -> None:
    """A rule of the same id replaces the bundled one, and that is said."""
    bundled = load_rules(True, None, Config())
    known = bundled.rules[0]
    pack(tmp_path)
    pack(tmp_path, known.id, known.family)
    both = load_rules(True, str(tmp_path), Config())
    assert {rule.id for rule in both.rules} == {rule.id for rule in bundled.rules} | {"probe"}
    assert both.find(known.id).why == "probe"
    assert [known.id in note for note in both.notes] == [True]
    assert both.digest != bundled.digest
    assert [rule.id for rule in load_rules(False, str(tmp_path), Config()).rules] == sorted(
        ["probe", known.id]
    )


def test_one_id_twice_in_a_pack_is_an_error(tmp_path: Path) -> None:
    """Two files of one name in two families."""
    pack(tmp_path)
    pack(tmp_path, family="gradient")
    with pytest.raises(Misuse, match=r"two rules of .* are called probe"):
        read_directory(tmp_path)


def test_unreadable_packs_are_errors(tmp_path: Path) -> None:
    """A directory that is not there, a rule that is not YAML."""
    with pytest.raises(Misuse, match="is not a directory"):
        read_directory(tmp_path / "nowhere")
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "bad.yml").write_text("id: [")
    with pytest.raises(Misuse, match=r"bad\.yml:2"):
        read_directory(tmp_path)


def test_the_configuration_overrides(tmp_path: Path) -> None:
    """Stage, severity and parameters; each changes the digest."""
    pack(tmp_path, body="parameters: {ratio: 10}\nwhen: {shift: {fact: a.b, ratio: '>={ratio}'}}\n")
    plain = load_rules(False, str(tmp_path), Config())

    def changed(override: RuleOverride) -> schema.RuleSet:
        return load_rules(False, str(tmp_path), Config(rules={"probe": override}))

    one = changed(RuleOverride(stage="trial", severity="low"))
    two = changed(RuleOverride(parameters={"ratio": 30}))
    assert (one.rules[0].stage, one.rules[0].severity, one.rules[0].confidence) == ("trial", "low", "high")
    assert two.rules[0].parameters == {"ratio": 30}
    assert len({plain.digest, one.digest, two.digest}) == 3
    with pytest.raises(Misuse, match=r"no parameter 'rati' .did you mean 'ratio'"):
        changed(RuleOverride(parameters={"rati": 30}))
    with pytest.raises(Misuse, match=r"unknown rule 'prob'.*did you mean 'probe'"):
        load_rules(False, str(tmp_path), Config(rules={"prob": RuleOverride()}))


def test_the_digest_covers_what_judges_and_nothing_else() -> None:
    """Not cases, not measurements, not where the file lies; but words and logic."""
    one = rule(WHEN)
    same = replace(
        one, fires=(schema.Case({"a": None}, {"a": "x"}),), measured={"commits": 3}, origin="elsewhere"
    )
    assert rule_set([one]).digest == rule_set([same]).digest
    for change in (
        {"severity": "low"},
        {"when": {"mark": {"kind": ["x"]}}},
        {"why": "other"},
        {"tests": True},
    ):
        assert rule_set([replace(one, **change)]).digest != rule_set([one]).digest  # type: ignore[arg-type]
    assert rule_set([one, replace(one, id="a")]).digest == rule_set([replace(one, id="a"), one]).digest


# -- the compiled form


def test_compiled_rules_judge_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled file gives the same digest, until a rule file or the engine changes."""
    path = pack(tmp_path)
    pack(tmp_path, "second", "gradient", "unless: [{mark: {kind: bidi}}]\n" + WHEN)
    slow = rule_set(bundle.bundled_rules(tmp_path))
    assert bundle.compile_rules(tmp_path) == 2
    fast = rule_set(bundle.bundled_rules(tmp_path))
    assert fast.digest == slow.digest
    for one, two in zip(fast.rules, slow.rules, strict=True):
        assert json.dumps(one.when) == json.dumps(two.when), "the words of evidence follow the order of keys"
    assert [(one.needs, two.needs) for one, two in zip(fast.rules, slow.rules, strict=True)] == [
        (("e:added",), ())
    ] * 2
    compiled = json.loads((tmp_path / bundle.COMPILED).read_text())
    compiled["rules"][0][1]["severity"] = "low"
    (tmp_path / bundle.COMPILED).write_text(json.dumps(compiled))
    assert rule_set(bundle.bundled_rules(tmp_path)).digest != slow.digest, "the compiled form was not used"
    monkeypatch.setattr(bundle, "engine_hash", lambda: "another")
    assert rule_set(bundle.bundled_rules(tmp_path)).digest == slow.digest, (
        "another engine's compiled form was used"
    )
    monkeypatch.undo()
    path.write_text(path.read_text() + "\n# touched\n")
    assert rule_set(bundle.bundled_rules(tmp_path)).digest == slow.digest, "a stale compiled form was used"


def test_patterns_of_the_compiled_form_are_those_of_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern made from what the compiled form says of it stands at the same places, asks for the same words,
    and matches the same code once it is compiled."""
    held: dict[str, Outline] = {}
    monkeypatch.setattr(bundle, "remember", held.update)
    body = "when: {edit: {kind: added, pattern: ['$F(lr=$X, ...)', '$X'], not_pattern: 'torch.save(...)'}}\n"
    pack(tmp_path, body=body)
    bundle.compile_rules(tmp_path)
    bundle.bundled_rules(tmp_path)
    assert sorted(held) == ["$F(lr=$X, ...)", "$X", "torch.save(...)"]
    assert {text: Pattern(text).outline for text in held} == held
    node = parse_snippet("opt(lr=0.1, eps=1)")
    found = Pattern("$F(lr=$X, ...)", held["$F(lr=$X, ...)"]).match(node)
    assert found is not None and found == Pattern("$F(lr=$X, ...)").match(node)


def test_a_broken_compiled_form_is_ignored(tmp_path: Path) -> None:
    """Rules then come from their files."""
    pack(tmp_path)
    for content in ("", "[]", '{"version": 4}', '{"version": 99, "sources": "", "rules": []}'):
        (tmp_path / bundle.COMPILED).write_text(content)
        assert [rule.id for rule in bundle.bundled_rules(tmp_path)] == ["probe"]


def test_a_new_rule_loads_and_its_cases_pass(tmp_path: Path) -> None:
    """The scaffold of every family is a rule that works."""
    from trainwarden.rules.cases import run_cases

    for family in schema.FAMILIES:
        path = write_rule(tmp_path, "new-rule", family)
        read = schema.read_file(path)
        assert [outcome.result for outcome in run_cases([read])] == ["reported", "validated"]
        assert read.stage == "trial"
    with pytest.raises(Misuse, match="exists already"):
        write_rule(tmp_path, "new-rule", "loss")
