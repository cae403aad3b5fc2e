"""Seeds, generators, random draws and determinism flags, with where a seed comes from.

The value of a seed fact starts with its provenance: ``constant``, ``config``, ``clock``, ``entropy``,
``rank``, ``step``, ``absent`` or ``computed``.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, CallHandler, Extractor, FactKind, Reading, every, words
from trainwarden.facts.show import constant_of, number
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

_ORIGINS = (
    (
        "clock",
        re.compile(r"(^|\.)time(_ns)?\(\)|datetime|\.now\(\)|monotonic|perf_counter|(^|\.)time\.\w+\(\)"),
    ),
    (
        "entropy",
        re.compile(
            r"urandom|secrets\.|SystemRandom|getrandbits|randint|randrange|random\(\)|uuid|getpid|seed\(\)$|initial_seed|hash\(\)|id\(\)$"
        ),
    ),
    (
        "rank",
        re.compile(
            r"(^|[\s._])rank\b|get_rank|process_index|worker_id|local_rank|data_parallel_rank|\bworker_info"
        ),
    ),
    ("step", re.compile(r"epoch|global_step|\bstep\b|iteration|counter\(\)")),
    ("config", re.compile(r"seed|args|config|cfg|hparams|conf\b|flags|options|params")),
)


def _origin(reading: Reading, node: Node | None) -> str:
    """Where a seed comes from, in one word."""
    if node is None:
        return "absent"
    known = constant_of(node, reading.scope)
    if known.kind == "constant" and known.value == "None":
        return "absent"
    if known.kind in ("number", "constant", "string", "bytes"):
        return "constant"
    names = " ".join(_names(reading, node))
    for word, pattern in _ORIGINS:
        if pattern.search(names):
            return word
    return "computed"


def _names(reading: Reading, node: Node) -> list[str]:
    """Resolved names in an expression; of a local also the names it was computed from."""
    found = []
    for inner in node.walk():
        found.append(inner.name)
        if inner.kind == "name":
            for _, value in reading.scope.bindings(normal(inner.value))[:3]:
                found += [part.name for part in value.walk() if part.name]
    return found


def _seeded(name: str, place: int = 0) -> CallHandler:
    def handle(reading: Reading, call: Call) -> None:
        _seed(reading, call, name, call.argument("seed", place))

    return handle


def _seed(reading: Reading, call: Call, name: str, value: Node | None) -> None:
    value = value if value is not None else next(iter(call.keywords.values()), None)
    shown = _origin(reading, value) + (f" {reading.text(value)}" if value is not None else "")
    subject = call.name if call.owner is None or not call.name.startswith("?") else reading.text(call.owner)
    reading.add("seed.call" if name == "seed" else name, call.node, shown, subject, _number(reading, value))


def _number(reading: Reading, value: Node | None) -> float | None:
    return number(value, reading.scope) if value is not None else None


def _seed_method(reading: Reading, call: Call) -> None:
    """``seed``: of ``random``, ``numpy.random``, ``torch`` or an environment; not of something else that has seeds."""
    if call.owner is not None or "." in call.name:
        _seed(reading, call, "seed", call.argument("seed", 0))


_CALL, _GENERATOR, _KEY = _seeded("seed"), _seeded("rng.generator"), _seeded("rng.key")


def _random_class(reading: Reading, call: Call) -> None:
    if call.name in ("random.Random", "Random"):
        _GENERATOR(reading, call)


def _jax_key(reading: Reading, call: Call) -> None:
    if call.last == "PRNGKey" or call.name.startswith("jax.random"):
        _KEY(reading, call)


def _jax_split(reading: Reading, call: Call) -> None:
    if call.name.startswith(("jax.random", "random.")) and call.last in ("split", "fold_in"):
        reading.add("rng.split", call.node, reading.arguments(call), call.last)


def _state(reading: Reading, call: Call) -> None:
    reading.add("rng.state", call.node, reading.arguments(call), call.name)


def _keyword(reading: Reading, node: Node) -> None:
    """``seed=`` and its relatives as an argument of anything but a seeding call."""
    call = node.parent
    if node.value not in _SEED_WORDS or call is None or call.kind != "call":
        return
    last = call.function.name.rpartition(".")[2]
    if last in _SEEDING or last == "add_argument":
        return
    value = node.children[0]
    if node.value == "generator":
        reading.say("rng.argument", node, value, last)
    else:
        shown = f"{_origin(reading, value)} {reading.text(value)}"
        reading.add("seed.argument", node, shown, f"{last} {node.value}", _number(reading, value))


_SEED_WORDS = words("seed random_state data_seed random_seed rng_seed shuffle_seed base_seed generator")

# -- determinism

_FLAGS = re.compile(
    r"(cudnn\.(benchmark|deterministic|enabled|allow_tf32|benchmark_limit)|matmul\.allow_\w+|cuda\.allow_tf32"
    r"|backends\.\w+(\.\w+)*\.(allow_\w+|enabled|flags))$"
)
_SETTERS = (
    "use_deterministic_algorithms set_deterministic set_deterministic_debug_mode enable_op_determinism"
    " set_float32_matmul_precision enable_tensor_float_32_execution enable_full_determinism"
)


def _assigned(reading: Reading, node: Node) -> None:
    for target in node.children[:-1]:
        if target.kind == "attribute" and _FLAGS.search(target.name):
            reading.say("determinism.flag", node, node.children[-1], target.name)


def _setter(reading: Reading, call: Call) -> None:
    reading.add("determinism.flag", call.node, reading.arguments(call), call.last)


def _jax_config(reading: Reading, call: Call) -> None:
    if call.name.endswith("config.update") and call.positional and call.positional[0].kind == "string":
        word = call.positional[0].value
        if word.startswith(("jax_", "xla_")) and len(call.positional) > 1:
            reading.say("determinism.flag", call.node, call.positional[1], word)


# -- draws

_RANDOM_MODULES = (
    "random.",
    "numpy.random.",
    "np.random.",
    "jax.random.",
    "tensorflow.random.",
    "tf.random.",
    "secrets.",
)


def _draw(reading: Reading, call: Call) -> None:
    torch = call.name.startswith("torch.") and call.last in _TORCH_DRAWS
    if torch or call.name.startswith(_RANDOM_MODULES) or "rng" in call.name.rpartition(".")[0].lower():
        reading.add("rng.draw", call.node, reading.arguments(call), call.name)


_TORCH_DRAWS = words(
    "rand randn randint rand_like randn_like randint_like bernoulli normal multinomial poisson"
)
_DRAWS = (
    "rand randn randint rand_like randn_like randint_like bernoulli normal multinomial poisson random"
    " uniform gauss choice choices sample randrange standard_normal integers binomial beta betavariate"
    " truncated_normal gumbel categorical getrandbits"
)
_SEED_CALLS = (
    "manual_seed manual_seed_all set_seed seed_everything set_random_seed seed_all set_global_seed"
    " set_global_seeds setup_seed fix_seed fix_random_seed fix_random_seeds init_seeds random_seed"
    " set_all_seeds set_seed_everywhere model_parallel_cuda_manual_seed seed_random"
)
_SEEDING = frozenset(f"{_SEED_CALLS} seed PRNGKey key default_rng RandomState DataLoader".split())

EXTRACTOR = Extractor(
    name="randomness",
    facts=(
        FactKind(
            "seed.call",
            "a global or generator seed is set; subject: the function",
            "provenance and expression",
            watched=True,
        ),
        FactKind(
            "seed.argument",
            "a seed given to something; subject: callee and keyword",
            "provenance and expression",
        ),
        FactKind(
            "rng.generator", "a random generator is made; subject: its class", "provenance and expression"
        ),
        FactKind("rng.key", "a JAX random key is made", "provenance and expression"),
        FactKind("rng.split", "a JAX random key is split or folded; subject: which of both", "arguments"),
        FactKind("rng.argument", "a generator is given to something; subject: the callee"),
        FactKind("rng.state", "the state of a generator is read or set; subject: the function", "arguments"),
        FactKind("rng.draw", "random numbers are drawn; subject: the function", "arguments"),
        FactKind(
            "determinism.flag", "a flag that trades reproducibility for speed, or back; subject: the flag"
        ),
    ),
    calls={
        **every(_SEED_CALLS, _CALL),
        **every("seed", _seed_method),
        **every("default_rng RandomState SeedSequence", _GENERATOR),
        **every("Random SystemRandom", _random_class),
        **every("PRNGKey key", _jax_key),
        **every("split fold_in", _jax_split),
        **every(
            "get_rng_state set_rng_state get_rng_state_all set_rng_state_all getstate setstate get_state"
            " set_state",
            _state,
        ),
        **every(_SETTERS, _setter),
        **every("update", _jax_config),
        **every(_DRAWS, _draw),
    },
    kinds={"keyword": _keyword, "assign": _assigned},
)
