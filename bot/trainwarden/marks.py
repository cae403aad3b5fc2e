"""What a text hides from a reader's eye: bidi controls, look-alike letters, code pushed out of sight, silencers.

In: the head's lines and which of them are new. Out: ``view.Mark``s with the kinds ``bidi``, ``invisible``,
``homoglyph``, ``compatibility``, ``far-right`` and ``suppression``. Sources: CVE-2021-42574, CVE-2021-42694.
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
_SCRIPTS = ("CYRILLIC", "ARMENIAN", "CHEROKEE")


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
    found = {mark for word in _WORD.findall(code) if not word.isascii() for mark in _word_marks(word)}
    yield from (Mark(kind, number, "head", detail) for kind, detail in sorted(found))


def _word_marks(word: str) -> Iterator[tuple[str, str]]:
    """A name that is not what it looks like: letters of two scripts, or letters that Python reads as others."""
    plain = unicodedata.normalize("NFKC", word)
    if plain != word:
        yield "compatibility", "a name whose letters Python reads as plainer ones"
    script = _foreign_script(plain)
    if script:
        yield "homoglyph", f"a name that mixes Latin with {script.lower()} letters"


def _foreign_script(word: str) -> str:
    """The look-alike script in a name that also has ASCII letters, or "" (a Greek letter is mathematics)."""
    if not any(char.isascii() and char.isalpha() for char in word):
        return ""
    names = [unicodedata.name(char, "") for char in word if not char.isascii()]
    return next((script for script in _SCRIPTS for name in names if name.startswith(script)), "")
