"""Safe YAML: what stays text, what is a number, and which traps are refused with file and line."""

from __future__ import annotations

import pytest
import yaml

from trainwarden import yaml_safely
from trainwarden.model import Misuse
from trainwarden.yaml_safely import load_document, load_yaml


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml_safely, "_loader", lambda: getattr(yaml, request.param))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: 1e-4", {"a": 0.0001}),
        ("a: 3.e5", {"a": 300000.0}),
        ("a: .5", {"a": 0.5}),
        ("a: -7", {"a": -7}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: '1'", {"a": "1"}),
        ("on: yes", {"on": "yes"}),
        ("a: [off, No, true, false, True]", {"a": ["off", "No", True, False, "True"]}),
        ("a: 010", {"a": "010"}),
        ("a: 0.10", {"a": 0.1}),
        ("a: 00.5", {"a": "00.5"}),
        ("a: 0", {"a": 0}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: 2026-01-02", {"a": "2026-01-02"}),
        ("a: .nan", {"a": ".nan"}),
        ("a: ~\nb:\nc: null", {"a": None, "b": None, "c": None}),
        ("1: one\ntrue: two", {"1": "one", "true": "two"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("\ufeffa: 1", {"a": 1}),
        ("---\na: |\n  x\n   y\n", {"a": "x\n y\n"}),
        ("- a\n- - b\n  - {c: [1, 2]}\n", ["a", ["b", {"c": [1, 2]}]]),
        ("a: 🦊", {"a": "🦊"}),
    ],
)
def test_values(text: str, value: object) -> None:
    assert load_yaml(text.encode(), "f.yml") == value


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice"),
        ("x: {a: 1, a: 2}", 1, "'a' is given twice"),
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: &x [1]\n", 1, "anchors"),
        ("a: !!python/object/apply:os.getpid []\n", 1, "tags"),
        ("a: !!str 1\n", 1, "tags"),
        ("%YAML 1.1\n---\na: 1\n", 1, "directives"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("null\n---\nb: 2\n", 2, "second document"),
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("? [a]\n: b\n", 1, "a key must be text"),
        ("a: 1e999", 1, "too large"),
        ("a: " + "9" * 100, 1, "100 digits"),
        ("a: 1\nb: \x07\n", 2, "not valid YAML"),
    ],
)
def test_refusals_name_file_and_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Misuse) as caught:
        load_yaml(text.encode(), "conf/f.yml")
    assert str(caught.value).startswith(f"conf/f.yml:{line}: ")
    assert words in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_broken_utf8_names_the_line() -> None:
    with pytest.raises(Misuse, match=r"f\.yml:2: not UTF-8"):
        load_yaml(b"a: 1\nb: \xff\n", "f.yml")


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "[\n", "[? "])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(Misuse, match=r"levels deep|a key must be text"):
        load_yaml((opening * 80_000).encode(), "f.yml")


def test_alias_bomb_is_refused() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(Misuse, match="anchors"):
        load_yaml("\n".join(rows).encode(), "f.yml")


def test_size_and_number_of_values_are_bounded() -> None:
    with pytest.raises(Misuse, match="more than the 10 allowed"):
        load_yaml(b"a: 1234567890", "f.yml", max_bytes=10)
    with pytest.raises(Misuse, match="more than 100000 values"):
        load_yaml(b"[" + b"a," * 100_001 + b"]", "f.yml", max_bytes=10**6)


def test_lines_of_values() -> None:
    document = load_document(b"a:\n  - x\n  - b: 1\n    c:\n      d: 2\n", "f.yml")
    assert document.line("a", 1, "c", "d") == 5
    assert document.line("a", 1, "c") == 5
    assert document.line("a", 0) == 2
    assert document.line("a", 1, "missing") == 3
    assert str(document.error("bad", "fix it", "a", 1, "b")) == "f.yml:3: bad"


def test_as_text_keeps_scalars_as_written() -> None:
    value = load_yaml(b"[1e-8, 5, '1.', true, null]", "f.yml", as_text=True)
    assert value == ["1e-8", "5", "1.", "true", "null"]
