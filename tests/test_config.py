"""Config and waivers: what loads, what is refused with file and line, and which paths a glob names."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.config import Config, Pack, RuleOverride, Waiver, load, load_waivers, matches
from trainwarden.model import JudgeChoice, Misuse, ScorerChoice

SHA = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "ab" * 32
TODAY = datetime.date(2026, 6, 1)


def test_no_file_and_an_empty_file_give_the_defaults() -> None:
    assert load(None, "c.yml") == load(b"", "c.yml") == load(b"# nothing\n", "c.yml") == Config()
    assert (Config().mode, Config().model) == ("observe", "optional")
    assert (Config().review_threshold, Config().block_threshold) == (0.35, 0.9)


def test_every_key_is_read() -> None:
    text = f"""
mode: enforce
thresholds: {{review: 1e-1, block: 1}}
model: off
paths: {{training: ["src/train/**"], ignore_training_rules: ["docs/**", "*.md"]}}
rules:
  lr-ratio: {{stage: trial, severity: low, parameters: {{ratio: 30, strict: true, name: x, share: 1e-4}}}}
  other: {{}}
packs:
  - {{git: "https://example.org/rules.git", revision: "{SHA}", digest: "{DIGEST}"}}
scorer: {{url: "https://a.example.org", model: m, seconds: 2, cleartext: true, token_file: /t, ca_file: /c,
  device: cuda, threads: 4, folder: /f}}
judge: {{url: "https://b.example.org/v1", model: m, key_file: /k, ca_file: /c, cleartext: true, above: 0.2, seconds: 9,
  patience: 8, answer_tokens: 70, tokens: 6, money: 0.5, day_tokens: 4, day_money: 3, price_in: 2, price_out: 1,
  folder: /f}}
"""
    assert load(text.encode(), "c.yml") == Config(
        mode="enforce",
        review_threshold=0.1,
        block_threshold=1.0,
        model="off",
        training_paths=("src/train/**",),
        ignore_training_paths=("docs/**", "*.md"),
        rules={
            "lr-ratio": RuleOverride(
                "trial", "low", {"ratio": 30, "strict": True, "name": "x", "share": 1e-4}
            ),
            "other": RuleOverride(),
        },
        packs=(Pack("https://example.org/rules.git", SHA, DIGEST),),
        scorer=ScorerChoice(
            "https://a.example.org", "m", 2.0, True, "/t", "/c", device="cuda", threads=4, folder="/f"
        ),
        judge=JudgeChoice(
            "https://b.example.org/v1", "m", None, "/k", "/c", True, 0.2, 9, 8, 70, 6, 0.5, 4, 3, 2, 1, "/f"
        ),
    )


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("mode: observe\nthreshold: {}\n", 2, "unknown key 'threshold'", "Did you mean thresholds?"),
        (
            "xyz: 1\n",
            1,
            "unknown key 'xyz'",
            "Allowed are judge, mode, model, packs, paths, rules, scorer, thresholds.",
        ),
        ("- a\n", 1, "the file must be a mapping", ""),
        ("scorer: {urls: x}\n", 1, "unknown key 'urls' in scorer", "Did you mean url?"),
        ("scorer: {seconds: 0}\n", 1, "scorer.seconds is 0", "Give a number from 0.01 to 600."),
        ("scorer: {seconds: true}\n", 1, "scorer.seconds is True", "Give a number"),
        ("scorer: {cleartext: 1}\n", 1, "scorer.cleartext is 1", "Use true or false."),
        ("scorer: {device: tpu}\n", 1, "scorer.device is 'tpu'", "Use one of auto, cpu, cuda."),
        (
            "scorer: {token_file: secrets/t}\n",
            1,
            "scorer.token_file is 'secrets/t'",
            "Give an absolute path.",
        ),
        ("judge: {key: secret}\n", 1, "unknown key 'key' in judge", "key_file"),
        ("judge: {above: 2}\n", 1, "judge.above is 2", "from 0 to 1"),
        ("judge: {tokens: 0}\n", 1, "judge.tokens is 0", "from 1 to"),
        ("judge: {money: -1}\n", 1, "judge.money is -1", "from 0 to"),
        ("judge: {folder: here}\n", 1, "judge.folder is 'here'", "Give an absolute path."),
        ("just words\n", 1, "the file must be a mapping", ""),
        ("mode: loud\n", 1, "mode is 'loud'", "observe, advise, enforce"),
        ("mode: [observe]\n", 1, "mode is ['observe']", "observe, advise, enforce"),
        ("mode:\n", 1, "mode is None", "observe, advise, enforce"),
        ("model: true\n", 1, "model is True", "required, optional, off"),
        ("thresholds:\n  reviews: 1\n", 2, "unknown key 'reviews' in thresholds", "review"),
        ("thresholds:\n  review: 1.5\n", 2, "thresholds.review is 1.5", "from 0 to 1"),
        ("thresholds:\n  review: -0.1\n", 2, "thresholds.review is -0.1", "from 0 to 1"),
        ("thresholds:\n  review: true\n", 2, "thresholds.review is True", "from 0 to 1"),
        ("thresholds:\n  review: .nan\n", 2, "thresholds.review is '.nan'", "from 0 to 1"),
        ("thresholds: {review: 0.95}\n", 1, "above thresholds.block (0.9)", "lower number"),
        ("thresholds: 0.5\n", 1, "thresholds must be a mapping", ""),
        ("paths: {training: src/**}\n", 1, "paths.training must be a list", ""),
        ("paths: {training: [1]}\n", 1, "paths.training[0] must be text", "quotes"),
        ("paths:\n  training:\n  - a\n  - /b\n", 4, "'/b' must be a path from the top", ""),
        ("paths: {training: ['src/**.py']}\n", 1, "must have ** alone", ""),
        ("paths: {training: ['*.{py,yml}']}\n", 1, "may use *, ? and ** only", ""),
        ("paths: {training: ['docs/']}\n", 1, "must be a path from the top", ""),
        ("paths: {ignored: []}\n", 1, "unknown key 'ignored' in paths", "ignore_training_rules"),
        ("rules: [a]\n", 1, "rules must be a mapping", ""),
        ("rules: {a: trial}\n", 1, "rules.a must be a mapping", ""),
        ("rules: {a: {stage: 'off'}}\n", 1, "rules.a.stage is 'off'", "active, trial"),
        ("rules: {a: {severity: none}}\n", 1, "rules.a.severity is 'none'", "low, medium, high, critical"),
        ("rules: {a: {enabled: false}}\n", 1, "unknown key 'enabled' in rules.a", "stage"),
        ("rules: {a: {parameters: {b: [1]}}}\n", 1, "parameter b of a", "one number"),
        (
            f"packs: [{{git: u, revision: main, digest: '{DIGEST}'}}]\n",
            1,
            "packs[0].revision is 'main'",
            "full",
        ),
        (f"packs: [{{git: u, revision: '{SHA}', digest: abc}}]\n", 1, "packs[0].digest is 'abc'", "64 hex"),
        (f"packs:\n- git: u\n  revision: '{SHA}'\n", 2, "packs[0] lacks digest", "git, revision, digest"),
        ("mode: observe\nmode: enforce\n", 2, "'mode' is given twice", ""),
    ],
)
def test_errors_say_where_and_what_to_do(text: str, line: int, message: str, hint: str) -> None:
    with pytest.raises(Misuse) as caught:
        load(text.encode(), "c.yml")
    assert str(caught.value).startswith(f"c.yml:{line}: ")
    assert message in str(caught.value)
    assert hint in caught.value.hint and caught.value.hint


WAIVER = {
    "rule": "lr-ratio",
    "path": "src/train.py",
    "fingerprint": "9f86d081884c7d65",
    "reason": "sweep of learning rates",
    "owner": "team-a",
    "expires": "2026-06-01",
    "approver": "sam",
}


def waiver_text(**changes: str) -> bytes:
    fields = {**WAIVER, **changes}
    return ("- " + "\n  ".join(f"{key}: '{value}'" for key, value in fields.items()) + "\n").encode()


def test_no_waivers() -> None:
    assert load_waivers(None, "w.yml") == load_waivers(b"", "w.yml") == load_waivers(b"[]", "w.yml") == ()


@pytest.mark.parametrize(("expires", "expired"), [("2026-06-01", False), ("2026-05-31", True)])
def test_a_waiver_is_good_until_its_day_is_over(expires: str, expired: bool) -> None:
    (waiver,) = load_waivers(waiver_text(expires=expires), "w.yml", TODAY)
    day = datetime.date.fromisoformat(expires)
    assert waiver == Waiver(
        "lr-ratio",
        "src/train.py",
        "9f86d081884c7d65",
        "sweep of learning rates",
        "team-a",
        "sam",
        day,
        expired,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "*"}, "a waiver for every rule like '*'"),
        ({"path": "src/**"}, "a waiver for every path like 'src/**'"),
        ({"fingerprint": "*"}, "[0].fingerprint is '*'"),
        ({"fingerprint": ""}, "[0].fingerprint must be text"),
        ({"reason": " "}, "[0].reason must be text"),
        ({"expires": "never"}, "[0].expires is 'never'"),
        ({"expires": "2026-02-30"}, "no day of the calendar"),
        ({"until": "x"}, "unknown key 'until'"),
    ],
)
def test_blanket_and_vague_waivers_are_errors(changes: dict[str, str], message: str) -> None:
    with pytest.raises(Misuse, match=re.escape(message)) as caught:
        load_waivers(waiver_text(**changes), "w.yml", TODAY)
    assert str(caught.value).startswith("w.yml:")
    assert caught.value.hint


@pytest.mark.parametrize("key", sorted(WAIVER))
def test_every_field_of_a_waiver_is_needed(key: str) -> None:
    text = waiver_text().decode()
    rest = "\n".join(line for line in text.splitlines() if f"{key}:" not in line)
    rest = rest if rest.startswith("- ") else rest.replace("  ", "- ", 1)
    with pytest.raises(Misuse, match=rf"w\.yml:1: \[0\] lacks {key}"):
        load_waivers(rest.encode(), "w.yml", TODAY)


def test_a_waiver_given_twice_is_an_error() -> None:
    with pytest.raises(Misuse, match=r"w\.yml:8: this waiver is given twice"):
        load_waivers(waiver_text() + waiver_text(reason="another"), "w.yml", TODAY)


def test_waivers_must_be_a_list() -> None:
    with pytest.raises(Misuse, match="the file must be a list"):
        load_waivers(b"rule: x\n", "w.yml")


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("src/**", "srcs/a.py"),
        ("src/**", "src"),
        ("src/*.py", "src/a/b.py"),
        ("train.py", "a/train.py"),
        ("**/train.py", "retrain.py"),
        ("a?c", "a/c"),
        ("a/**/b", "ab"),
        ("*.py", "a.pyc"),
        ("A.py", "a.py"),
        ("a.py", "axpy"),
    ],
)
def test_globs_that_do_not_match(glob: str, path: str) -> None:
    assert not matches(glob, path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("src/**", "src/a.py"),
        ("src/**", "src/a/b/c.py"),
        ("**", "a/b"),
        ("**/train.py", "train.py"),
        ("**/train.py", "a/b/train.py"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("a/**/x/**/b", "a/x/x/1/b"),
        ("*.py", "a.py"),
        ("*", "é\n"),
        ("src/*/t?st_*.py", "src/x/test_.py"),
        ("a*b*c", "aXbXbc"),
    ],
)
def test_globs_that_match(glob: str, path: str) -> None:
    assert matches(glob, path)


_names = st.text("ab*?/", max_size=12)


@given(_names, st.text("ab/", max_size=12))
def test_globs_agree_with_their_definition(glob: str, path: str) -> None:
    """Against a regular expression built from the definition, on every mixture of stars and slashes."""
    names = glob.split("/")
    if any("**" in name and name != "**" for name in names):
        return
    names += ["*"] if names[-1] == "**" else []
    one = {"*": "[^/]*", "?": "[^/]"}
    parts = [
        "(?:[^/]*/)*" if name == "**" else "".join(one.get(char, char) for char in name) + "/"
        for name in names
    ]
    assert matches(glob, path) == bool(re.fullmatch("".join(parts), path + "/"))


def test_a_glob_of_many_stars_is_quick_on_a_hostile_path() -> None:
    assert not matches("*a" * 40 + "b", "a" * 4000)
