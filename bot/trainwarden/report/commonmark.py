"""Text from a reviewed change comes in; GitHub-flavoured Markdown that shows it literally goes out.

Only plain words stay prose. A word that holds anything else (a call, a path, a mark-up sign, a mention, an
address) becomes a code span, and nothing is parsed in a code span: no links, images, HTML, mentions, issue
references, math or emoji. Specifications: https://spec.commonmark.org/0.31.2/ and https://github.github.com/gfm/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from trainwarden.report.visible import visible

_LETTERS = r"[^\W\d_]+"
_PLAIN = re.compile(
    rf"""["'(]*(?:{_LETTERS}(?:['-]{_LETTERS})*|[^\W_]+|[0-9]+(?:[.,][0-9]+)*)%?["')]*[.,;:!?]?["')]*"""
)
_OBJECT_NAME = re.compile(r"(?=.*[0-9])[0-9a-f]{7,}\W*", re.IGNORECASE)
_LIST_MARKER = re.compile(r"[0-9]+[.)]")
_SIGNS = {"->": "-&gt;", "=": "=", "+": "+", "%": "%"}
_RUNS = re.compile("`+")


def prose(text: str) -> str:
    """The text as a run of prose on one line, its risky words in code spans."""
    words = [(word, _is_plain(word, index == 0)) for index, word in enumerate(visible(text).split())]
    runs = groupby(words, key=lambda pair: pair[1])
    return " ".join(_run([word for word, _ in run], plain) for plain, run in runs)


def _is_plain(word: str, first: bool) -> bool:
    if first and (word in _SIGNS or _LIST_MARKER.match(word)):
        return False
    if word in _SIGNS:
        return True
    return bool(_PLAIN.fullmatch(word)) and not _OBJECT_NAME.fullmatch(word)


def _run(words: list[str], plain: bool) -> str:
    if plain:
        return " ".join(_SIGNS.get(word, word) for word in words)
    text = " ".join(words)
    ending = text[-1] if text[-1] in ".,;:" and len(text) > 1 else ""
    return code(text.removesuffix(ending)) + ending


def code(text: str) -> str:
    """The text as one code span, whatever backticks it holds (CommonMark 6.1)."""
    text = visible(text) or " "
    taken = {len(run) for run in _RUNS.findall(text)}
    fence = "`" * next(length for length in range(1, len(taken) + 2) if length not in taken)
    padded = text[0] in "` " or text[-1] in "` "
    return f"{fence} {text} {fence}" if padded and text.strip() else f"{fence}{text}{fence}"


def cell(text: str) -> str:
    r"""The text as code in a table cell, where ``|`` has to be written ``\|`` even in code (GFM 4.10).

    A backslash before a pipe is read in two ways by the parsers about, so the span is split between them.
    """
    pieces = re.split(r"(?<=\\)(?=\|)", visible(text))
    return " ".join(code(piece).replace("|", "\\|") for piece in pieces)


def fenced(lines: Iterable[str]) -> list[str]:
    """The (visible) lines as a code block whose fence none of them can close (CommonMark 4.5)."""
    body = list(lines)
    longest = max((len(run) for line in body for run in _RUNS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *body, fence]
