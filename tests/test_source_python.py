"""Which bytes are read as Python, as what text, and which are refused; Python itself is the judge."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwarden.parse.source import MAX_BYTES, MAX_LINE, Refusal, Text, decode_python, kind_of


@pytest.mark.parametrize(
    ("data", "text", "lines"),
    [
        (b"", "", 0),
        (b"a = 1\n", "a = 1\n", 1),
        (b"a = 1", "a = 1", 1),
        (b"a = 1\n\n", "a = 1\n\n", 2),
        (b"a\r\nb\r\n", "a\nb\n", 2),
        (b"a\rb\r", "a\nb\n", 2),
        (b"a\r\r\nb", "a\n\nb", 3),
        (b"a\x0cb\x0b\xc2\x85\xe2\x80\xa8c\n", "a\x0cb\x0b\x85\u2028c\n", 1),
        (b"\xef\xbb\xbfa = 1\n", "a = 1\n", 1),
        (b"\xef\xbb\xbf# coding: utf-8\n", "# coding: utf-8\n", 1),
        ("# -*- coding: latin-1 -*-\né\n".encode("latin-1"), "# -*- coding: latin-1 -*-\né\n", 2),
        ("#!/x\n# vim: set fileencoding=cp1252 :\n€\n".encode("cp1252"), None, 3),
        ("# coding: gbk\n中\n".encode("gbk"), "# coding: gbk\n中\n", 2),
        ("# coding: Shift_JIS\nソ\n".encode("shift_jis"), "# coding: Shift_JIS\nソ\n", 2),
        (b"x = 1\n# coding: rot13\n", "x = 1\n# coding: rot13\n", 2),
        (b"\n\n# coding: rot13\n", "\n\n# coding: rot13\n", 3),
        (b"# coding: UTF-8-unix\n\xc3\xa9\n", "# coding: UTF-8-unix\né\n", 2),
        ("é = 1\n".encode(), "é = 1\n", 1),
    ],
)
def test_text(data: bytes, text: str | None, lines: int) -> None:
    found = decode_python(data)
    assert isinstance(found, Text)
    assert found.lines == lines
    assert text is None or found.text == text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"# coding: utf-7\n+AGE-\n", "'utf-7'"),
        (b"# coding: rot13\n", "'rot13'"),
        (b"# coding=unicode_escape\n", "'unicode_escape'"),
        (b"#!/usr/bin/python\n#coding:raw-unicode-escape\n", "'raw-unicode-escape'"),
        (b"\x0c # coding: utf_7\n", "'utf_7'"),
        (b"#\r# coding: utf_7\r", "'utf_7'"),
        (b"# coding: hz\n", "'hz'"),
        (b"# coding: iso-2022-jp\n", "'iso-2022-jp'"),
        (b"# coding: cp037\n", "'cp037'"),
        (b"# coding: base64\n", "'base64'"),
        (b"# coding: mbcs\n", "'mbcs'"),
        (b"# coding: utf-16\n", "'utf-16'"),
        (b"# coding: no.such.codec\n", "'no.such.codec'"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "UTF-8 mark but declares the encoding 'latin-1'"),
        ("a = 1\n".encode("utf-16"), "UTF-16"),
        ("a = 1\n".encode("utf-32"), "UTF-16 or UTF-32"),
        (b"a = 1\nb = '\x00'\n", "a NUL byte in line 2"),
        (b"a = 1\n\n# \xff\n", "line 3 is not valid utf-8"),
        (b"a\r\rb = '\xed\xa0\x80'\r", "line 3 is not valid utf-8"),
        (b"# coding: ascii\n\xc3\xa9\n", "line 2 is not valid ascii"),
        (b"# coding: cp1252\n\x81\n", "line 2 is not valid"),
        (b"#" * (MAX_LINE + 1), "a line of 1048577 bytes"),
        (b"a = 1\n" + b"#" * (10 * 2**20), f"more than the {MAX_BYTES}"),
        (b"a = 1\n" * (MAX_BYTES // 6 + 1), f"more than the {MAX_BYTES}"),
    ],
)
def test_refusals(data: bytes, words: str) -> None:
    found = decode_python(data)
    assert isinstance(found, Refusal)
    assert words in found.reason
    assert "\n" not in found.reason


def test_lone_returns_are_counted() -> None:
    found = decode_python(b"# harmless \rimport os\r\nx\n")
    assert isinstance(found, Text)
    assert (found.lone_returns, found.lines) == (1, 3)


_pieces = st.sampled_from(
    (
        *(
            b"# coding: latin-1",
            b"#coding=utf-8",
            b"# coding: utf-7",
            b"x = 1",
            b"s = '\xe9'",
            b"s = '\xc3\xa9'",
        ),
        *(b"\n", b"\r", b"\r\n", b"\x0c", b" ", b"#", b"\xef\xbb\xbf", b"pass"),
    )
)


@given(st.lists(_pieces, max_size=10).map(b"".join))
def test_what_is_read_is_what_python_reads(data: bytes) -> None:
    """The tree Python makes of the bytes is the one it makes of our text, line by line."""
    found = decode_python(data)
    if isinstance(found, Refusal):
        return
    try:
        expected = ast.parse(data)
    except SyntaxError:
        return
    read = ast.parse(found.text)
    assert ast.dump(read, include_attributes=True) == ast.dump(expected, include_attributes=True)


@pytest.mark.parametrize(
    ("path", "mode", "data", "kind"),
    [
        ("LICENSE", 0o100644, b"import this", "python"),
        ("notes.txt", 0o100644, b"import this", "text"),
        ("README.md", 0o100644, b"# x", "text"),
        ("data.csv", 0o100644, b"a,b", "text"),
        ("x", 0o100644, b"", "text"),
        ("train.py", 0o100644, b"", "python"),
        ("Train.PY", 0o100644, b"", "python"),
        ("stub.pyi", 0o100644, b"", "python"),
        ("a.pyw", 0o100644, b"\0", "python"),
        ("bin/train", 0o100755, b"#!/usr/bin/env python3\n", "python"),
        ("bin/train", 0o100644, b"#!/usr/bin/env -S python3.11 -u\n", "python"),
        ("bin/train.txt", 0o100755, b"#! /opt/pypy3\n", "python"),
        ("bin/train", 0o100644, b"# words\n\nfrom torch import nn\n", "python"),
        ("bin/run", 0o100755, b"#!/bin/bash -e\n", "shell"),
        ("bin/run", 0o100755, b"echo hello\n", "shell"),
        ("bin/run", 0o100755, b"#!/usr/bin/perl\n", "text"),
        ("bin/run.dat", 0o100644, b"a\0b", "binary"),
        ("job.sbatch", 0o100644, b"", "shell"),
        ("Dockerfile", 0o100644, b"", "shell"),
        ("docker/Dockerfile.gpu", 0o100644, b"", "shell"),
        ("Makefile", 0o100644, b"", "shell"),
        ("nb/Train.ipynb", 0o100644, b"{}", "notebook"),
        ("conf/a.yaml", 0o100644, b"", "config"),
        ("conf/a.gin", 0o100644, b"", "config"),
        (".env", 0o100644, b"", "config"),
        (".github/workflows/ci.yml", 0o100644, b"", "workflow"),
        ("action.yml", 0o100644, b"", "workflow"),
        ("x/.github/workflows/ci.yml", 0o100644, b"", "config"),
        ("requirements.txt", 0o100644, b"", "requirements"),
        ("requirements/dev.txt", 0o100644, b"", "requirements"),
        ("requirements-gpu.in", 0o100644, b"", "requirements"),
        ("pyproject.toml", 0o100644, b"", "requirements"),
        ("setup.cfg", 0o100644, b"", "requirements"),
        ("uv.lock", 0o100644, b"", "requirements"),
        ("environment.yml", 0o100644, b"", "requirements"),
        ("setup.py", 0o100644, b"", "python"),
        ("k.cu", 0o100644, b"", "native"),
        ("k.cuh", 0o100644, b"", "native"),
        ("k.cpp", 0o100644, b"", "native"),
        ("w.pt", 0o100644, b"import os", "binary"),
        ("w.pth", 0o100644, b"PK\x03\x04\0", "binary"),
        ("w.pth", 0o100644, b"import os\n", "text"),
        ("a\nb \udcff.py", 0o100644, b"", "python"),
    ],
)
def test_kinds(path: str, mode: int, data: bytes, kind: str) -> None:
    assert kind_of(path, mode, data) == kind
