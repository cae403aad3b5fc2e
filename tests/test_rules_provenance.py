"""Where values come from, and what expressions are worth."""

from __future__ import annotations

import pytest

from trainwarden.parse import names, outline
from trainwarden.rules.captures import Capture
from trainwarden.rules.numbers import number_of, value_test
from trainwarden.rules.patterns import Pattern
from trainwarden.rules.provenance import sources
from trainwarden.rules.text import statement

SOURCES = [
    ("use(3)", {"constant"}),
    ("use('a' + 'b')", {"constant"}),
    ("use([1, -2])", {"constant"}),
    ("x = 3\n    use(x)", {"constant"}),
    ("x = y = 3\n    use(y)", {"constant"}),
    ("use(given)", {"parameter"}),
    ("use(given + 1)", {"parameter"}),
    ("use(len(SIZES))", set()),
    ("use(len(data.items))", {"parameter"}),
    ("use(time.time())", {"clock"}),
    ("use(int(time.time()) % 7)", {"clock"}),
    ("now = time.time()\n    x = int(now)\n    use(x)", {"clock"}),
    ("a, b = 1, time.time()\n    use(b)", {"clock"}),
    ("a, b = 1, time.time()\n    use(a)", {"constant"}),
    ("use(datetime.datetime.now().hour)", {"clock"}),
    ("use(socket.gethostname())", {"host"}),
    ("use(getpass.getuser())", {"user"}),
    ("use(torch.distributed.get_rank())", {"rank"}),
    ("use(os.environ['RANK'])", {"rank", "environment"}),
    ("use(os.getenv('MODE'))", {"environment"}),
    ("use(random.random())", {"random"}),
    ("use(torch.randn(3))", {"random"}),
    ("use(os.urandom(4))", {"random"}),
    ("use(uuid.uuid4())", {"random"}),
    ("for n in torch.randperm(3):\n        use(n)", {"random"}),
    ("with open('p') as f:\n        use(f.read())", {"file"}),
    ("use(json.load(f))", {"file"}),
    ("use(requests.get('https://example.org').text)", {"network"}),
    ("use(urllib.request.urlopen('https://example.org'))", {"network"}),
    ("use(args.seed)", {"config"}),
    ("x = 1\n    x = x + x\n    use(x)", {"constant"}),
]


def captured(body: str) -> Capture:
    """What ``use`` is called with in a function of that body."""
    imports = "import datetime, getpass, json, os, random, requests, socket, time, torch, urllib, uuid\n"
    read = outline.read(f"{imports}def f(given, data):\n    {body}\n")
    member = read.members["f"].node()
    names.resolve(member, names.import_table(read.imports))
    found = Pattern("use($X)").search({"call": [node for node in member.walk() if node.kind == "call"]})
    assert found is not None
    return found["X"]


@pytest.mark.parametrize(("body", "expected"), SOURCES)
def test_sources(body: str, expected: set[str]) -> None:
    """Of expressions and of the variables they were put into."""
    assert sources(captured(body)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("3", 3.0), ("-3", -3.0), ("1e-4", 1e-4), ("1 / 4", 0.25), ("2 ** 10", 1024.0), ("-(1 + 2)", -3.0),
        ("f(lr=3)", None), ("x", None), ("1 / 0", None), ("9.0 ** 9999", None), ("True", None), ("'3'", 3.0),
    ],
)  # fmt: skip
def test_numbers(code: str, expected: float | None) -> None:
    """Literals and simple arithmetic; never an error."""
    assert number_of(statement(f"x = {code}").children[-1]) == expected


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (0, "x", False), (0, "0.0", True), (0, "False", False), (True, "True", True), (None, "None", True),
        ("mean", "'mean'", True), ("mean", "'sum'", False), ("m*", "'mean'", True), (">0.5", "0.9", True),
        (">0.5", "0.1", False), ("torch.float16", "torch.float16", True), ("/^f/", "float(x)", True),
        ("$X.mean()", "y.mean()", True), ("$X.mean()", "f(y.mean())", False), ("f(...)", "f(1, 2)", True),
    ],
)  # fmt: skip
def test_wanted_values(value: str | float | bool | None, code: str, expected: bool) -> None:
    """Values, globs, comparisons, expressions and whole-expression patterns."""
    node = statement(f"x = {code}").children[-1]
    assert (value_test([value])(node, {}) is not None) is expected
