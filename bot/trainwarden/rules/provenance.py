"""Where a value comes from: clock, host, user, rank, randomness, file, network ... or a constant.

In: what a metavariable captured. Out: source words (``grammar.SOURCES``). Read from resolved names; a local
variable is followed to its assignments in the same function, a few steps deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainwarden.guards import kinds_of_words
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node
from trainwarden.rules.captures import Capture

_DEPTH = 4
_MOST_NODES = 2000
_LITERALS = frozenset({"number", "string", "bytes", "constant", "docstring"})
_WORDS: tuple[tuple[str, str], ...] = (
    ("clock", r"\btime\.(time_ns|ctime|process_time)|st_mtime|getmtime"),
    ("host", r"\bgetnode\b|uuid\.uuid1"),
    ("user", r"\bpwd\.|geteuid"),
    (
        "random",
        r"uuid\.uuid4|token_(bytes|hex)|\b(rand|randn|randint|randperm|multinomial|normal_|uniform_)\b",
    ),
    (
        "file",
        r"\bopen(\(\))?$|\.read(_text|_bytes|lines)?\b|\b(json|yaml|pickle|torch|numpy|joblib)\.(safe_)?load\b",
    ),
    (
        "network",
        r"\brequests\.|urllib|urlopen|\bhttpx\b|boto3|\bsocket\.(?!get(hostname|fqdn))|aiohttp|http\.client",
    ),
)
_SOURCES = tuple((source, re.compile(pattern)) for source, pattern in _WORDS)


def sources(capture: Capture) -> frozenset[str]:
    """Every source a captured value draws on; ``constant`` when it is made of literals only."""
    if isinstance(capture, str):
        return _of_name(capture)
    nodes = (capture,) if isinstance(capture, Node) else capture
    return frozenset().union(*(_of_node(node) for node in nodes)) if nodes else frozenset()


def _of_name(name: str) -> frozenset[str]:
    if not name:
        return frozenset()
    return kinds_of_words(name) | {source for source, pattern in _SOURCES if pattern.search(name)}


def _of_node(node: Node) -> frozenset[str]:
    names: set[str] = set()
    variables: set[str] = set()
    only_literals = True
    seen: set[int] = set()
    waiting = [(node, _DEPTH)]
    root = _root(node)
    while waiting and len(seen) < _MOST_NODES:
        current, depth = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if current.name:
            names.add(current.name)
        if current.kind == "name":
            values = list(_bindings(root, normal(current.value), current)) if depth else []
            waiting.extend((value, depth - 1) for value in values)
            only_literals = only_literals and bool(values)
            variables.add(normal(current.value))
        elif current.kind in ("attribute", "call", "subscript"):
            only_literals = False
        waiting.extend((child, depth) for child in current.children)
    found = frozenset().union(*map(_of_name, names)) if names else frozenset()
    if only_literals:
        return found | {"constant"}
    return found | {"parameter"} if variables & _parameters(root) else found


def _root(node: Node) -> Node:
    for above in node.ancestors():
        node = above
    return node


def _parameters(root: Node) -> set[str]:
    params = root.child("params")
    return {normal(param.value) for param in params.children} if params is not None else set()


def _bindings(root: Node, name: str, use: Node) -> Iterator[Node]:
    """The values assigned to a variable in its function, other than where it is used."""
    for node in root.walk():
        if node.kind in ("assign", "annassign", "augassign", "namedexpr") and len(node.children) > 1:
            value = node.children[-1]
            for target in node.children[:-1]:
                yield from _value_for(target, value, name)
        elif node.kind in ("for", "comp_for") and _binds(node.children[0], name):
            yield node.children[1]
        elif node.kind == "withitem" and len(node.children) == 2 and _binds(node.children[1], name):
            yield node.children[0]


def _value_for(target: Node, value: Node, name: str) -> Iterator[Node]:
    if target.kind == "name" and normal(target.value) == name:
        yield value
    elif target.kind in ("tuple", "list"):
        paired = value.kind in ("tuple", "list") and len(value.children) == len(target.children)
        for place, inner in enumerate(target.children):
            yield from _value_for(inner, value.children[place] if paired else value, name)


def _binds(target: Node, name: str) -> bool:
    return any(inner.kind == "name" and normal(inner.value) == name for inner in target.walk())
