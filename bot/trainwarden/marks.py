"""What a text hides from a reader's eye: bidi controls, look-alike letters, code pushed out of sight, silencers.

In: the head's lines and which of them are new. Out: ``view.Mark``s with the kinds ``bidi``, ``invisible``,
``homoglyph``, ``far-right`` and ``suppression``. Sources: CVE-2021-42574 (bidi), CVE-2021-42694 (homoglyphs).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from trainwarden.view import Mark

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u061c\u200e\u200f]")
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff\u00ad\u180e\u115f\u1160\u3164]")
_WORD = re.compile(r"[^\W\d]\w*")
_FAR_RIGHT = re.compile(r"\S[ \t]{80,}[^\s#]")
_SUPPRESSION = re.compile(
    r"#\s*(trainwarden\s*:\s*(ignore|off|disable|skip)|nosemgrep|nosec\b)", re.IGNORECASE
)
_SCRIPTS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "FULLWIDTH", "MATHEMATICAL")


def marks(lines: Sequence[str], new: Iterable[int]) -> Iterator[Mark]:
    """Marks on the new lines (1-based numbers) of the head side."""
    for number in new:
        if number <= len(lines):
            yield from _line_marks(lines[number - 1], number)


def _line_marks(line: str, number: int) -> Iterator[Mark]:
    if _SUPPRESSION.search(line):
        yield Mark("suppression", number, "head", "a comment that asks a scanner to look away")
    if _FAR_RIGHT.search(line):
        yield Mark("far-right", number, "head", "code behind a long run of blanks")
    if line.isascii():
        return
    if _BIDI.search(line):
        yield Mark(
            "bidi",
            number,
            "head",
            "a bidirectional control character: the line reads differently from how it runs",
        )
    if _INVISIBLE.search(line):
        yield Mark("invisible", number, "head", "an invisible character")
    code = line.partition("#")[0]
    for word in _WORD.findall(code):
        script = _foreign_script(word)
        if script:
            yield Mark("homoglyph", number, "head", f"a name that mixes Latin with {script.lower()} letters")
            return


def _foreign_script(word: str) -> str:
    """The other script in an identifier that also has ASCII letters, or "" (a Greek variable alone is mathematics)."""
    if word.isascii() or not any(char.isascii() and char.isalpha() for char in word):
        return "" if not word or unicodedata.normalize("NFKC", word) == word else "compatibility"
    for char in word:
        if not char.isascii():
            name = unicodedata.name(char, "")
            for script in _SCRIPTS:
                if name.startswith(script) and script != "GREEK":
                    return script
    return ""
