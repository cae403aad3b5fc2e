"""The identity of a finding: the rule, the path and the code, never line numbers or spellings of locals.

In: a rule's name, a path and what identifies the code. Out: hex digits that stay the same when the file
grows above the finding, when it is reformatted, or when a local variable is renamed. Waivers are bound to
it.
"""

from __future__ import annotations

import hashlib

from trainwarden.model import Fact
from trainwarden.parse.names import is_lambda_parameter, normal
from trainwarden.parse.nodes import Node
from trainwarden.rules.index import EditIndex
from trainwarden.rules.shapes import own_nodes


def fingerprint(rule: str, path: str, code: str) -> str:
    """32 hex digits for a finding."""
    text = "\0".join((rule, path, code))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def code_key(edit: EditIndex) -> str:
    """What identifies an edit: its code before and after, locals named by what they hold."""
    before = alpha(edit.before.node) if edit.before is not None else ""
    after = alpha(edit.after.node) if edit.after is not None else ""
    return f"{before}\0>\0{after}"


def fact_key(before: Fact | None, after: Fact | None) -> str:
    """What identifies a shift: the fact, its subject and both values (which never spell out locals)."""
    fact = after or before
    assert fact is not None
    values = [
        f"{one.value}/{one.loop}/{','.join(one.guards)}" if one else "absent" for one in (before, after)
    ]
    return "\0".join((fact.name, fact.scope, fact.subject, *values))


def alpha(statement: Node) -> str:
    """The statement's own code with every name replaced by what it resolves to.

    Unresolved locals (a name that resolution left empty) are numbered in order of appearance, so that only
    the pattern of their use counts.
    """
    numbers: dict[str, int] = {}
    parts = []
    for node in own_nodes(statement):
        word = "" if is_lambda_parameter(node) else node.value
        if node.kind == "name":
            word = node.name or f"_{numbers.setdefault(normal(node.value), len(numbers))}"
        parts.append(f"{node.kind}\1{word}\1{len(node.children)}")
    return "\2".join(parts)
