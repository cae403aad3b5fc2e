"""Names as the interpreter would see them: imports, aliases, ``getattr`` with foldable strings, where locals come from.

In: a lowered member and the file's imports. Out: ``Node.name`` filled in everywhere, and a ``Scope`` that tells what a
local variable holds and what it is used for. A local variable's own spelling never counts: its name is its provenance
(``torch.optim.AdamW()``), so that renaming a local on both sides changes nothing that is said later. Attributes,
functions, parameters, keywords and string keys keep their spelling, NFKC-normalised as Python does.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from trainwarden.parse.nodes import Node

COUNTER = "counter()"
"""Provenance of a variable that counts: the index of ``enumerate`` or ``range``, or ``n += 1``."""
_LONGEST = 160
_TRANSPARENT = frozenset(
    "enumerate iter next list tuple reversed sorted zip float int "
    "tqdm tqdm.tqdm tqdm.auto.tqdm itertools.islice".split()
)
_NAMED = frozenset(
    "name attribute call subscript await star withitem namedexpr binary ternary".split()
)  # see ``Scope._name_of``
PARAMETERS = frozenset({"param", "star_param", "doublestar_param"})
_IMPORTERS = frozenset({"__import__", "importlib.import_module"})


def normal(word: str) -> str:
    """The identifier as Python reads it (NFKC): a full-width ``eval`` is ``eval``."""
    return word if word.isascii() else unicodedata.normalize("NFKC", word)


def import_table(imports: Iterable[Node]) -> dict[str, str]:
    """Local name -> dotted name, for a file's import statements. Relative modules keep their dots."""
    table: dict[str, str] = {}
    for statement in imports:
        prefix = f"{statement.value}." if statement.kind == "import_from" else ""
        prefix = prefix.replace("..", ".") if statement.value.strip(".") == "" else prefix
        for alias in statement.children:
            if alias.children:
                table[normal(alias.children[0].value)] = prefix + alias.value
            elif prefix:
                table[normal(alias.value)] = prefix + alias.value
            else:
                first = alias.value.partition(".")[0]
                table[normal(first)] = first
    return table


def is_lambda_parameter(node: Node) -> bool:
    """Whether a node is the parameter of a lambda: nobody outside can name it, so its spelling does not count."""
    above = node.parent.parent if node.kind in PARAMETERS and node.parent is not None else None
    return above is not None and above.kind == "lambda"


_ACTS = frozenset({"call", "namedexpr", "await", "yield", "yield_from", "lambda"})
_GENERIC = ("typing.", "typing_extensions.", "collections.abc.")
_ALSO_CHECKED = frozenset({"Union", "Optional", "Annotated", "Literal"})


def is_inert(annotation: Node) -> bool:
    """Whether an annotation only names types: ``x: f()`` runs ``f`` when it is read."""
    return not any(inner.kind in _ACTS for inner in annotation.walk())


def is_alias(value: Node) -> bool:
    """Whether a value is a type that nothing at run time can be checked against: ``typing.Callable[[int], float]``.

    A ``Union`` is none: ``isinstance`` takes it.
    """
    if value.kind != "subscript" or not value.children[0].name.startswith(_GENERIC) or not is_inert(value):
        return False
    return value.children[0].name.rpartition(".")[2] not in _ALSO_CHECKED


def fold(node: Node) -> str | None:
    """The string an expression is certain to have: literals, ``+``, ``"".join`` and constant f-strings."""
    if node.kind == "string":
        return node.value
    if node.kind == "binary" and node.value == "+":
        left, right = fold(node.children[0]), fold(node.children[1])
        return None if left is None or right is None else left + right
    if node.kind == "fstring":
        parts = [fold(c.children[0] if c.kind == "interpolation" else c) for c in node.children]
        return None if None in parts else "".join(part for part in parts if part is not None)
    if node.kind == "call" and len(node.children) == 2 and node.function.kind == "attribute":
        return _fold_method(node)
    return None


def _fold_method(node: Node) -> str | None:
    text = fold(node.function.children[0])
    if text is None or node.function.value != "join" or node.children[1].kind not in ("list", "tuple"):
        return None
    parts = [fold(child) for child in node.children[1].children]
    return None if None in parts else text.join(part for part in parts if part is not None)


class Scope:
    """The names of one member.

    ``locals`` are variables bound in the member (never parameters); ``hints(name)`` is the text to read their role
    from: provenance, keywords and attributes they are passed or stored as, methods called on them.
    """

    def __init__(self, member: Node, imports: dict[str, str], lexical: bool) -> None:
        self.imports = dict(imports)
        self.lexical = lexical
        self.parameters: set[str] = set()
        self._bindings: dict[str, list[tuple[str, Node]]] = defaultdict(list)
        self._uses: dict[str, list[str]] = defaultdict(list)
        self._globals: set[str] = set()
        self._names: dict[str, str] = {}
        self._open: set[str] = set()
        # What ``guards`` found out about this member's conditions, by the identity of nodes that live as long.
        self.guard_kinds: dict[int, frozenset[str]] = {}
        self.exits: dict[int, list[Node]] = {}
        nodes = list(member.walk())
        self._collect(nodes)
        for node in reversed(nodes):  # parts before the whole
            if node.kind in _NAMED:
                node.name = self._name_of(node)
        self._collect_uses(member, nodes)

    @property
    def locals(self) -> set[str]:
        """Names bound in the member, without parameters, nested functions and ``global`` names."""
        return {name for name in self._bindings if self.is_local(name)}

    def is_local(self, name: str) -> bool:
        """Whether the spelling of ``name`` must not count."""
        bound = name in self._bindings and name not in self._globals and name not in self.parameters
        return bound and not self.lexical

    def bindings(self, name: str) -> list[tuple[str, Node]]:
        """(how, value) pairs for every binding of a local: ``value``, ``item``, ``iter``, ``with`` or ``change``."""
        return self._bindings.get(name, [])

    def provenance(self, name: str) -> str:
        """The resolved name of what a variable was first bound to, or "" when unknown."""
        if name in self._names:
            return self._names[name]
        if name in self._open:
            return ""
        self._open.add(name)
        found = ""
        for how, value in self._bindings.get(name, []):
            found = self.bound(how, value)
            if found:
                break
        self._open.discard(name)
        self._names[name] = found
        return found

    def hints(self, name: str) -> str:
        """Words that tell the role of a variable, separated by blanks."""
        own = "" if self.is_local(name) else name
        counted = COUNTER if any(self.bound(*b) == COUNTER for b in self.bindings(name)) else ""
        return " ".join(filter(None, [own, self.provenance(name), counted, *self._uses.get(name, [])]))

    def spelled(self, node: Node) -> str:
        """How a name counts in comparisons: a local by its provenance, anything else by its spelling."""
        word = normal(node.value)
        return f"@{node.name}" if self.is_local(word) else word

    # -- bindings

    def _collect(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if node.kind == "assign":
                for target in node.children[:-1]:
                    self._bind(target, "value", node.children[-1])
            elif node.kind == "annassign" and len(node.children) == 3:
                self._bind(node.children[0], "value", node.children[2])
            elif node.kind in ("for", "comp_for"):
                self._bind_loop(node.children[0], node.children[1])
            elif node.kind == "withitem" and len(node.children) == 2:
                self._bind(node.children[1], "with", node.children[0])
            elif node.kind == "namedexpr":
                self._bind(node.children[0], "value", node.children[1])
            elif node.kind == "augassign":
                self._bind(node.children[0], "change", node.children[1])
            elif node.kind in PARAMETERS:
                if is_lambda_parameter(node):
                    self._bindings[normal(node.value)].append(("parameter", node))
                else:
                    self.parameters.add(normal(node.value))
            elif node.kind in ("global", "nonlocal"):
                self._globals.update(map(normal, node.value.split()))
            elif node.kind in ("import", "import_from"):
                self.imports.update(import_table([node]))

    def _bind(self, target: Node, how: str, value: Node) -> None:
        if target.kind == "name":
            self._bindings[normal(target.value)].append((how, value))
        elif target.kind in ("tuple", "list"):
            paired = value.kind in ("tuple", "list") and len(value.children) == len(target.children)
            for place, inner in enumerate(target.children):
                self._bind(inner, how if paired else "item", value.children[place] if paired else value)
        elif target.kind == "star" and target.children:
            self._bind(target.children[0], "item", value)

    def _bind_loop(self, target: Node, iterable: Node) -> None:
        callee = iterable.function.value if iterable.kind == "call" else ""
        if callee == "enumerate" and target.kind == "tuple" and len(target.children) == 2:
            self._bind(target.children[0], "counter", iterable)
            self._bind(target.children[1], "iter", iterable)
        else:
            self._bind(target, "counter" if callee == "range" else "iter", iterable)

    def bound(self, how: str, value: Node) -> str:
        """The resolved name of what one binding gives its variable, or "" when unknown."""
        if how == "counter":
            return COUNTER
        if how == "parameter":
            return ""
        if how == "change":
            return COUNTER if value.kind == "number" and value.value == "1" else ""
        base = self._name_of(value)
        suffix = {"item": "[.]", "iter": "[*]"}.get(how, "")
        return (base + suffix)[-_LONGEST:] if base else ""

    # -- names of expressions

    def _name_of(self, node: Node) -> str:
        kind = node.kind
        if kind == "name":
            return self._variable(normal(node.value))
        if kind == "attribute":
            return self._joined(self._known(node.children[0]), normal(node.value))
        if kind == "call":
            return self._called(node)
        if kind == "subscript":
            return self._subscript(node)
        if kind in ("await", "star", "withitem", "namedexpr") and node.children:
            return self._known(node.children[-1 if kind == "namedexpr" else 0])
        if kind in ("binary", "ternary"):
            return self._mixed(node)
        return ""

    def _known(self, node: Node) -> str:
        return node.name or self._name_of(node)

    def _joined(self, owner: str, attribute: str) -> str:
        return f"{owner or '?'}.{attribute}"[-_LONGEST:]

    def _variable(self, name: str) -> str:
        if name in self.parameters or name in self._globals:
            return name
        if name in self._bindings and name not in self.imports:
            found = self.provenance(name)
            return found or (name if self.lexical else "")
        return self.imports.get(name, name)

    def _called(self, node: Node) -> str:
        callee = self._known(node.function)
        arguments = node.children[1:]
        if callee == "getattr" and len(arguments) >= 2:
            attribute = fold(arguments[1])
            if attribute is not None:
                return self._joined(self._known(arguments[0]), normal(attribute))
        if callee in _IMPORTERS and arguments:
            module = fold(arguments[0])
            if module is not None:
                return module
        if (
            callee in _TRANSPARENT
            and arguments
            and arguments[0].kind not in ("keyword", "star", "doublestar")
        ):
            return self._known(arguments[0])
        return f"{callee}()"[-_LONGEST:] if callee else ""

    def _subscript(self, node: Node) -> str:
        owner = self._known(node.children[0])
        key = fold(node.children[1]) if len(node.children) > 1 else None
        return f"{owner or '?'}[{key}]"[-_LONGEST:] if key is not None else owner

    def _mixed(self, node: Node) -> str:
        """An arithmetic mixture is named after its first named part: ``loss / n`` is still the loss."""
        return next((name for name in map(self._known, node.children) if name), "")

    # -- uses

    def _collect_uses(self, member: Node, nodes: Iterable[Node]) -> None:
        function = normal(member.value) if member.kind == "function" else ""
        for node in nodes:
            if node.kind == "name" and node.parent is not None:
                word = self._use(node, function)
                if word:
                    self._uses[normal(node.value)].append(word)

    def _use(self, node: Node, function: str) -> str:
        parent = node.parent
        assert parent is not None
        if parent.kind == "keyword":
            return parent.value
        if parent.kind == "attribute" and parent.parent is not None and parent.parent.kind == "call":
            return f".{parent.value}()" if parent.parent.function is parent else ""
        if parent.kind == "pair" and parent.children[-1] is node:
            return fold(parent.children[0]) or ""
        if parent.kind == "call" and parent.function is not node:
            return f"{parent.function.name}(.)"
        if parent.kind == "assign" and parent.children[-1] is node:
            return " ".join(t.value for t in parent.children[:-1] if t.kind == "attribute")
        if parent.kind == "return":
            return f"return:{function}" if function else ""
        return ""


def alpha_hash(node: Node, scope: Scope) -> str:
    """A hash of code in which locals stand for where they come from: equal for code that differs in local names."""
    parts = []
    for inner in node.walk():
        word = scope.spelled(inner) if inner.kind == "name" else inner.value
        word = "" if is_lambda_parameter(inner) else word
        parts.append(f"{inner.kind}\0{word}\0{len(inner.children)}")
    return hashlib.blake2b("\1".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def resolve(member: Node, imports: dict[str, str], lexical: bool = False) -> Scope:
    """Fills ``Node.name`` below ``member``. ``lexical``: module- and class-level runs, whose names are not local."""
    return Scope(member, imports, lexical)
