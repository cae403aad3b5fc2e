"""Reads a snippet of Python into facts, as a review does: outline, names, extraction."""

from __future__ import annotations

from trainwarden.facts.extract import extract
from trainwarden.model import Fact
from trainwarden.parse import outline
from trainwarden.parse.names import import_table, resolve


def facts_of(source: str) -> list[Fact]:
    """All facts of a file, member by member."""
    read = outline.read(source)
    assert not read.errors, f"the snippet does not parse: {read.errors}"
    imports = import_table(read.imports)
    found: list[Fact] = []
    for member in read.members.values():
        node = member.node()
        scope = resolve(node, imports, lexical=member.kind != "function")
        found += extract(member.name, node, scope, "train.py")
    return found


def said(source: str) -> list[tuple[str, str, str]]:
    """(name, subject, value) of every fact."""
    return [(fact.name, fact.subject, fact.value) for fact in facts_of(source)]
