"""A node as one line of readable code.

In: a ``Node``. Out: text for messages and evidence: what a person would write, without layout, cut to a
length and free of control characters. It is not meant to be parsed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trainwarden.parse.nodes import Node

LONGEST = 120
_MOST = 4000
_HIDDEN = {"block", "else", "finally", "docstring"}


def spell(node: Node, longest: int = LONGEST) -> str:
    """The code of an expression or of a statement's header, at most ``longest`` characters."""
    return clean(_spell(node), longest)


def spell_all(nodes: Iterable[Node], longest: int = LONGEST) -> str:
    """Several nodes, separated by commas."""
    return clean(", ".join(map(_spell, nodes)), longest)


def clean(text: str, longest: int = LONGEST) -> str:
    """Text on one line without control, bidirectional or surrogate characters, cut with an ellipsis."""
    line = " ".join(text[:_MOST].split())
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def spell_pair(before: Node, after: Node, longest: int = LONGEST) -> tuple[str, str]:
    """Two nodes as code, each cut so that what differs is still in it."""
    return apart(_spell(before), _spell(after), longest)


def apart(before: str, after: str, longest: int = LONGEST) -> tuple[str, str]:
    """Two texts, clean and at most ``longest`` characters; a cut leaves in what stands around the first difference."""
    old, new = clean(before, _MOST), clean(after, _MOST)
    if max(len(old), len(new)) <= longest or old == new:
        return clean(old, longest), clean(new, longest)
    same = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    start = max(0, same - longest // 3)
    if same <= longest // 2:  # near the beginning: nothing needs to be left out there
        start = 0
    elif " " in old[start:same]:
        start = old.index(" ", start, same) + 1
    return _from(old, start, longest), _from(new, start, longest)


def _from(text: str, start: int, longest: int) -> str:
    return clean(f"…{text[start:]}" if start else text, longest)


def _spell(node: Node) -> str:
    speller = _SPELLERS.get(node.kind)
    if speller is not None:
        return speller(node)
    inner = _list(child for child in node.children if child.kind not in _HIDDEN)
    word = " ".join(filter(None, [node.kind, node.value]))
    return f"{word} {inner}".strip()


def _list(nodes: Iterable[Node]) -> str:
    return ", ".join(map(_spell, nodes))


def _word(node: Node) -> str:
    return node.value


def _call(node: Node) -> str:
    return f"{_operand(node.children[0])}({_list(node.children[1:])})"


def _operand(node: Node) -> str:
    text = _spell(node)
    return f"({text})" if node.kind in ("binary", "boolop", "compare", "ternary", "lambda", "unary") else text


def _binary(node: Node) -> str:
    return f"{_operand(node.children[0])} {node.value} {_operand(node.children[1])}"


def _boolop(node: Node) -> str:
    return f" {node.value} ".join(map(_operand, node.children))


def _compare(node: Node) -> str:
    words = [word.replace("_", " ") for word in node.value.split()]
    text = _operand(node.children[0])
    for word, right in zip(words, node.children[1:], strict=False):
        text += f" {word} {_operand(right)}"
    return text


def _unary(node: Node) -> str:
    return f"{node.value}{' ' if node.value == 'not' else ''}{_operand(node.children[0])}"


def _slice(node: Node) -> str:
    low, high, step = (("" if child.kind == "none" else _spell(child)) for child in node.children)
    return f"{low}:{high}" + (f":{step}" if step else "")


def _fstring(node: Node) -> str:
    parts = [f"{{{_list(c.children)}}}" if c.kind == "interpolation" else c.value for c in node.children]
    return f'f"{"".join(parts)}"'


def _assign(node: Node) -> str:
    return " = ".join(map(_spell, node.children))


def _annassign(node: Node) -> str:
    target, *rest = (child for child in node.children if child.kind != "annotation")
    return " = ".join(map(_spell, [target, *rest]))


def _augassign(node: Node) -> str:
    return f"{_spell(node.children[0])} {node.value}= {_spell(node.children[1])}"


def _if(node: Node) -> str:
    return f"if {_spell(node.children[0])}:"


def _while(node: Node) -> str:
    return f"while {_spell(node.children[0])}:"


def _for(node: Node) -> str:
    return f"for {_spell(node.children[0])} in {_spell(node.children[1])}:"


def _with(node: Node) -> str:
    return f"with {_list(child for child in node.children if child.kind == 'withitem')}:"


def _withitem(node: Node) -> str:
    return " as ".join(map(_spell, node.children))


def _function(node: Node) -> str:
    params = node.child("params")
    return f"def {node.value}({_list(params.children) if params else ''}):"


def _class(node: Node) -> str:
    bases = node.child("bases")
    return f"class {node.value}({_list(bases.children) if bases else ''}):"


def _param(node: Node) -> str:
    default = node.child("default")
    return node.value + (f"={_spell(default.children[0])}" if default else "")


def _import_from(node: Node) -> str:
    return f"from {node.value} import {_list(node.children)}"


def _alias(node: Node) -> str:
    return node.value + (f" as {_spell(node.children[0])}" if node.children else "")


def _ternary(node: Node) -> str:
    then, test, other = (*map(_operand, node.children), "", "", "")[:3]
    return f"{then} if {test} else {other}"


def _lambda(node: Node) -> str:
    return f"lambda {_list(node.children[0].children)}: {_spell(node.children[1])}"


def _comp(opening: str, closing: str) -> Callable[[Node], str]:
    return lambda node: f"{opening}{' '.join(map(_spell, node.children))}{closing}"


def _comp_for(node: Node) -> str:
    tests = "".join(f" if {_spell(test)}" for test in node.children[2:])
    return f"for {_spell(node.children[0])} in {_spell(node.children[1])}{tests}"


def _tuple(node: Node) -> str:
    return f"({_list(node.children)}{',' if len(node.children) == 1 else ''})"


_SPELLERS: dict[str, Callable[[Node], str]] = {
    "name": _word,
    "number": _word,
    "constant": _word,
    "string": lambda node: repr(node.value),
    "bytes": lambda node: "b" + repr(node.value),
    "docstring": lambda node: repr(node.value),
    "fstring": _fstring,
    "attribute": lambda node: f"{_operand(node.children[0])}.{node.value}",
    "call": _call,
    "keyword": lambda node: f"{node.value}={_list(node.children)}",
    "star": lambda node: f"*{_list(node.children)}",
    "doublestar": lambda node: f"**{_list(node.children)}",
    "subscript": lambda node: f"{_operand(node.children[0])}[{_list(node.children[1:])}]",
    "slice": _slice,
    "tuple": _tuple,
    "list": lambda node: f"[{_list(node.children)}]",
    "set": lambda node: f"{{{_list(node.children)}}}",
    "dict": lambda node: f"{{{_list(node.children)}}}",
    "pair": lambda node: ": ".join(map(_spell, node.children)),
    "unary": _unary,
    "binary": _binary,
    "boolop": _boolop,
    "compare": _compare,
    "ternary": _ternary,
    "lambda": _lambda,
    "namedexpr": lambda node: " := ".join(map(_spell, node.children)),
    "listcomp": _comp("[", "]"),
    "setcomp": _comp("{", "}"),
    "dictcomp": _comp("{", "}"),
    "genexp": _comp("(", ")"),
    "comp_for": _comp_for,
    "expr": lambda node: _list(node.children),
    "assign": _assign,
    "annassign": _annassign,
    "augassign": _augassign,
    "if": _if,
    "while": _while,
    "for": _for,
    "with": _with,
    "withitem": _withitem,
    "function": _function,
    "class": _class,
    "param": _param,
    "star_param": lambda node: "*" + node.value,
    "doublestar_param": lambda node: "**" + node.value,
    "try": lambda node: "try:",
    "import": lambda node: f"import {_list(node.children)}",
    "import_from": _import_from,
    "alias": _alias,
}
