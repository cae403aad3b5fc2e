"""Sabotage by example: tables of code with holes, what an insider makes of it and what an honest author would.

In: ``Rule``s. Out: operators (``rewriting``). A rule names a pattern (see ``pattern``) and two lists of *forms*. A form
is a template over the pattern's holes, or a function that writes the text from the place (and may decline). In a rule
for statements ``$0`` on a line of its own is the statement itself, so that lines can be put around it, and an empty
form deletes it. A form that speaks of a name which the file does not know is passed over, so that rules may list the
spellings of several libraries.
"""

from __future__ import annotations

import builtins
import random
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import libcst as cst

from trainwarden.lab.sabotage.dressing import dressed, plain
from trainwarden.lab.sabotage.operator import Operator, Planted
from trainwarden.lab.sabotage.pattern import (
    Holes,
    Key,
    filled,
    keys,
    pattern,
)
from trainwarden.lab.sabotage.roles import is_logging
from trainwarden.lab.sabotage.spelling import (
    bound_names,
    fresh,
    number,
    number_like,
    plain_names,
    used_names,
)
from trainwarden.lab.sabotage.surgery import (
    Tree,
    assigned,
    bare,
    call_of,
    clone,
    code,
    expression,
    same,
    statements,
    tree_of,
    walk,
)

_text = lru_cache(maxsize=8192)(code)
"""Rules ask for the text of the same few nodes again and again."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place that looks like a rule's pattern."""

    tree: Tree
    node: cst.CSTNode
    holes: Holes

    def text(self, hole: str) -> str:
        """The text that fills a hole."""
        return ", ".join(_text(node).strip() for node in self.holes[hole])

    def scope(self) -> cst.CSTNode:
        """The function around the place, or the module."""
        return self.tree.function(self.node) or self.tree.module

    def where(self) -> str:
        """``Class.function`` around the place; parts that there are not are empty."""
        owner, function = self.tree.owner(self.node), self.tree.function(self.node)
        return f"{owner.name.value if owner else ''}.{function.name.value if function else ''}"


Form = str | Callable[[Site, random.Random], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, what sabotage makes of it, and what honest work makes of it.

    ``where`` holds for each named hole a regular expression that must occur in its text, ``inside`` one for the
    ``Class.function`` around the place, ``line`` one for the statement, ``about`` one for the whole member (the last
    two ignore case).
    """

    pattern: str
    bad: tuple[Form, ...]
    good: tuple[Form, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    inside: str = ""
    line: str = ""
    about: str = ""
    looped: bool = False
    """Whether the place must be in a loop."""

    def sites(self, tree: Tree) -> Iterator[Site]:
        """The places in a member that the rule applies to."""
        if self.about and not re.search(self.about, _source(tree), re.IGNORECASE):
            return
        wanted = pattern(self.pattern)
        for node in _index(tree).get(wanted.key, ()):
            holes = wanted.match(node)
            if holes is not None and self._fits(site := Site(tree, node, holes)):
                yield site

    def _fits(self, site: Site) -> bool:
        if not all(re.search(regex, site.text(hole)) for hole, regex in self.where.items()):
            return False
        if self.looped and not site.tree.loops(site.node):
            return False
        if isinstance(site.node, cst.BaseExpression) and _is_closed(site):
            return False
        if self.line and not re.search(
            self.line, code(site.tree.statement(site.node) or site.node), re.IGNORECASE
        ):
            return False
        return not self.inside or re.search(self.inside, site.where()) is not None


_NOT_HERE = (cst.AssignTarget, cst.Del, cst.Annotation, cst.Decorator, cst.FormattedStringExpression)


def _is_closed(site: Site) -> bool:
    """Whether no other expression may stand there: a value is stored, or a string is around it."""
    below = site.node
    for above in site.tree.ancestors(site.node):
        if isinstance(above, _NOT_HERE):
            return True
        if isinstance(above, cst.AugAssign | cst.AnnAssign | cst.For | cst.CompFor) and above.target is below:
            return True
        if not isinstance(above, cst.BaseExpression | cst.BaseElement):
            return False
        below = above
    return False


def rewriting(id: str, technique: str, *rules: Rule, needs: str) -> Operator:
    """An operator from rules; ``needs`` are its cheap words, separated by spaces."""
    for rule in rules:
        pattern(rule.pattern)

    def plant(module: cst.Module, rng: random.Random) -> Planted | None:
        tree = tree_of(module)
        places = [(rule, site) for rule in rules for site in rule.sites(tree)]
        for rule, site in rng.sample(places, min(len(places), _TRIES)):
            planted = _planted(rule, site, rng)
            if planted is not None:
                return planted
        return None

    return Operator(id, technique, plant, frozenset(needs.lower().split()))


_TRIES = 6
_ASIDE = 0.15
"""How often the new expression is first given a name, in sabotage and in its twin alike."""


def _planted(rule: Rule, site: Site, rng: random.Random) -> Planted | None:
    name = _own_name(site, rng) if rng.random() < _ASIDE else None
    taken = {_squeezed(code(site.node))}
    bad = _first(site, rule.bad, rng, name, taken)
    if bad is None:
        return None
    return Planted(bad[0], _honest(rule, site, rng, name, taken, deleted=_is_deletion(site, bad[1])))


def _is_deletion(site: Site, text: str) -> bool:
    found = assigned(site.tree.statement(site.node))
    return not text.strip() or (
        found is not None and found[1] is site.node and code(found[0]).strip() == text.strip()
    )


def _honest(
    rule: Rule, site: Site, rng: random.Random, name: str | None, taken: set[str], *, deleted: bool
) -> cst.Module | None:
    """An honest form; where the place is honest already, the old expression under a name.

    The twin of a deletion is the deletion of a line that only tells somebody something; None where there is none.
    """
    if deleted:
        return _harmless_deletion(site, rng)
    plain_forms = tuple(form for form in rule.good if not (isinstance(form, str) and _STILTED.search(form)))
    made = _first(site, plain_forms, rng, name, taken)
    if made is None and isinstance(site.node, cst.BaseExpression):
        own = _own_name(site, rng)
        if own is not None:
            return written(site, code(site.node).strip(), own)
    made = made or _first(site, rule.good, rng, name, taken)
    return made[0] if made is not None else None


_STILTED = re.compile(
    r"\b(?:int|float|bool|str|abs|max|tuple|list|getattr|setattr|vars)\(\$|\.contiguous\(\)|\b1(?:\.0)? \* \$|\+ 0\b|"
    r"\*\(\$|not (?:True|False|None)\b|\.__\w+__\("
)
"""What is honest but seldom written: taken last, else a classifier learns that a wrapper means no harm."""


def _harmless_deletion(site: Site, rng: random.Random) -> cst.Module | None:
    lines = [line for line in site.tree.find(cst.SimpleStatementLine) if is_logging(call_of(line))]
    near = [line for line in lines if site.tree.function(line) is site.tree.function(site.node)]
    return site.tree.remove(rng.choice(near)) if near else None


def _first(
    site: Site, forms: tuple[Form, ...], rng: random.Random, name: str | None, taken: set[str]
) -> tuple[cst.Module, str] | None:
    """The first of the forms, in a random order, that applies and gives a text of its own, which joins the taken."""
    for form in rng.sample(forms, len(forms)):
        template = form if isinstance(form, str) else form(site, rng)
        text = None if template is None else filled(template, {**site.holes, "0": (cst.Name(_ITSELF),)})
        if text is None or _squeezed(text) in taken:
            continue
        made = written(site, text, name)
        if made is not None:
            taken.add(_squeezed(text))
            return made, text
    return None


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def written(site: Site, text: str, name: str | None = None) -> cst.Module | None:
    """The module with a text in place of the site; None where it is no Python or speaks of names nobody knows."""
    if isinstance(site.node, cst.SimpleStatementLine):
        return _statement(site, text)
    if not _valid(f"({text})"):
        return None
    new = expression(text)
    if not known(site, new, frozenset()):
        return None
    line = site.tree.statement(site.node)
    if line is not None and _assigns_itself(line, site.node, new):
        return site.tree.remove(line)
    if name is None or line is None or isinstance(new, cst.Name):
        return site.tree.replace(site.node, dressed(site.tree.parent(site.node), site.node, new))
    aside = statements(f"{name} = {code(new)}\n")[0]
    below = _replaced_within(line, site.node, dressed(site.tree.parent(site.node), site.node, cst.Name(name)))
    return site.tree.replace(line, aside.with_changes(leading_lines=line.leading_lines), below)


def _assigns_itself(line: cst.CSTNode, old: cst.CSTNode, new: cst.BaseExpression) -> bool:
    """Whether all that would be left is ``x = x``."""
    found = assigned(line)
    return found is not None and found[1] is old and same(found[0], new)


def _statement(site: Site, text: str) -> cst.Module | None:
    if not _valid(text):
        return None
    if not text.strip():
        return site.tree.remove(_emptied(site))
    made = statements(text)
    own = frozenset(name for each in made for name in bound_names(each))
    new = [_with_itself(site, each) for each in made]
    if not all(known(site, each, own) for each in new if each is not site.node):
        return None
    return site.tree.edit({site.node: new})


def _with_itself(site: Site, made: cst.CSTNode) -> cst.CSTNode:
    """A new statement with the old one where the form says so: in its place, or a copy inside a block."""
    lines = [
        line
        for line in walk(made)
        if isinstance(line, cst.SimpleStatementLine) and code(line).strip() == _ITSELF
    ]
    if made in lines:
        return site.node
    for line in lines:
        replaced = made.deep_replace(line, clone(bare(site.node)))
        assert isinstance(replaced, cst.CSTNode), "one statement stays one"
        made = replaced
    return made


def _emptied(site: Site) -> cst.CSTNode:
    """What goes with a deleted statement: an ``if`` that holds nothing else."""
    block = site.tree.parent(site.node)
    holder = site.tree.parent(block) if block is not None else None
    alone = isinstance(block, cst.IndentedBlock) and len(block.body) == 1
    return (
        holder
        if alone
        and isinstance(holder, cst.If)
        and holder.orelse is None
        and isinstance(site.tree.parent(holder), cst.IndentedBlock | cst.Module)
        else site.node
    )


_ITSELF = "THIS_STATEMENT"


def _valid(text: str) -> bool:
    """Whether a filled template is Python: arguments in a new order, or given twice, may not be."""
    body = textwrap.indent(text, "  ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(f"async def f(self):\n while self:\n{body}\n", "form", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def known(site: Site, new: cst.CSTNode, own: frozenset[str]) -> bool:
    """Whether every variable that new code reads is one of the file's, a builtin, or bound by the new code."""
    local = own | set(bound_names(new))
    return all(name in local or name in _known(site.tree) for name in used_names(new))


@lru_cache(maxsize=32)
def _known(tree: Tree) -> frozenset[str]:
    return _imported(tree) | frozenset(used_names(tree.module)) | frozenset(dir(builtins))


@lru_cache(maxsize=32)
def _imported(tree: Tree) -> frozenset[str]:
    return frozenset(name for alias in tree.find(cst.ImportAlias) for name in _imports(alias))


def _imports(alias: cst.ImportAlias) -> list[str]:
    if alias.asname is not None:
        return plain_names(alias.asname.name)
    return [code(alias.name).split(".")[0]]


@lru_cache(maxsize=32)
def _source(tree: Tree) -> str:
    return tree.module.code


@lru_cache(maxsize=32)
def _index(tree: Tree) -> dict[Key, list[cst.CSTNode]]:
    """The nodes under each of their keys."""
    found: dict[Key, list[cst.CSTNode]] = {}
    for node in tree.nodes:
        for key in keys(node):
            found.setdefault(key, []).append(node)
    return found


def _replaced_within(line: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode) -> cst.CSTNode:
    inner = line.deep_replace(old, new)
    assert isinstance(inner, cst.CSTNode), "one statement stays one"
    return inner.with_changes(leading_lines=())


def _own_name(site: Site, rng: random.Random) -> str | None:
    """A name for the expression when it may be evaluated before its statement, else None."""
    line = site.tree.statement(site.node)
    if not isinstance(line, cst.SimpleStatementLine) or not isinstance(site.node, cst.BaseExpression):
        return None
    above = list(site.tree.ancestors(site.node))
    if isinstance(above[0], cst.Assign | cst.AnnAssign | cst.Expr):
        return None
    if any(isinstance(each, _DEFERRED) for each in above[: above.index(line)]):
        return None
    holder = above[0]
    if isinstance(holder, cst.Arg) and holder.keyword is not None:
        return fresh(site.tree, rng, holder.keyword.value)
    imported = _imported(site.tree)
    words = [word for word in used_names(site.node) if word != "self" and word not in imported] or ["value"]
    return fresh(
        site.tree, rng, f"{words[0]}_{rng.choice(_SUFFIXES)}", f"{rng.choice(_SUFFIXES)}_{words[-1]}"
    )


_SUFFIXES = ("new", "cur", "local", "in", "out", "val", "next", "tmp")
_DEFERRED = (
    cst.Lambda,
    cst.CompFor,
    cst.BaseComp,
    cst.DictComp,
    cst.IfExp,
    cst.BooleanOperation,
    cst.FormattedString,
    cst.AssignTarget,
    cst.Del,
    cst.Decorator,
)


def moved(keyword: str) -> Form:
    """The call with one of its keyword arguments at another place among them."""

    def form(site: Site, rng: random.Random) -> str | None:
        assert isinstance(site.node, cst.Call)
        args = [code(plain(arg)).strip() for arg in site.node.args]
        names = [arg.keyword.value if arg.keyword else "" for arg in site.node.args]
        at = names.index(keyword)
        places = [i for i, name in enumerate(names) if name and i != at]
        if not places:
            return None
        arg = args.pop(at)
        args.insert(min(places, key=lambda i: (abs(i - at), rng.random())), arg)
        return f"{code(site.node.func).strip()}({', '.join(args)})"

    return form


def vary(template: str, **words: Callable[[Site, random.Random], str | None]) -> Form:
    """A form whose ``{word}``s are chosen anew each time; it declines where one of them does."""

    def form(site: Site, rng: random.Random) -> str | None:
        chosen = {word: choose(site, rng) for word, choose in words.items()}
        if any(value is None for value in chosen.values()):
            return None
        return re.sub(r"\{(\w+)\}", lambda hit: str(chosen.get(hit[1], hit[0])), template)

    return form


Word = Callable[[Site, random.Random], str | None]


def pick(*texts: object) -> Word:
    """One of some texts."""
    return lambda site, rng: str(rng.choice(texts))


def between(low: int, high: int) -> Word:
    """A whole number, both ends included."""
    return lambda site, rng: str(rng.randint(low, high))


def times(hole: str, *factors: float) -> Word:
    """The number in a hole times one of some factors, spelt like it; None where no number fills the hole."""

    def word(site: Site, rng: random.Random) -> str | None:
        (node,) = site.holes[hole]
        value, factor = number(node), rng.choice(factors)
        if value is None or not value:
            return None
        product = value * factor
        if float(value).is_integer() and abs(product) >= 1:
            product = round(product)
        return code(number_like(node, float(f"{product:.3g}")))

    return word


def other(regex: str, hole: str = "", unlike: str = "") -> Word:
    """Another variable of the same function, known by then, whose name fits and that no hole names."""

    def word(site: Site, rng: random.Random) -> str | None:
        own = site.text(hole) if hole else ""
        names = [name for name in _earlier(site) if re.search(regex, name) and name not in own]
        names = [name for name in names if not unlike or not re.search(unlike, name)]
        return rng.choice(names) if names else None

    return word


def _earlier(site: Site) -> list[str]:
    """The variables of a function that occur before a place, or are its parameters."""
    scope = site.scope()
    inside = list(walk(scope))
    place = next(i for i, node in enumerate(inside) if node is site.node)
    seen = {node.value for node in inside[:place] if isinstance(node, cst.Name)}
    return [name for name in used_names(scope) if name in seen and name not in _imported(site.tree)]


def new_name(*candidates: str) -> Word:
    """A name that the module does not use yet."""
    return lambda site, rng: fresh(site.tree, rng, *candidates)


def parameter(regex: str) -> Word:
    """A parameter of the function around the place whose name fits."""

    def word(site: Site, rng: random.Random) -> str | None:
        function = site.tree.function(site.node)
        params = function.params.params if function is not None else ()
        names = [param.name.value for param in params if re.search(regex, param.name.value)]
        return rng.choice(names) if names else None

    return word
