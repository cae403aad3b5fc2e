"""Family H, processes: they end, wait, starve or give up, beside what an honest author does at the same place.

In: the trees of members. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random
import re

import libcst as cst

from trainwarden.lab.sabotage.distributed import models_of, wrapped
from trainwarden.lab.sabotage.forms import (
    Sites,
    above,
    below,
    indented,
    operator,
    swap,
    text_of,
)
from trainwarden.lab.sabotage.places import (
    counters,
    log_lines,
    losses,
    named,
    opening,
    rank_tests,
    statement_calls,
    training_loops,
    world_size,
)
from trainwarden.lab.sabotage.spelling import argument, fresh
from trainwarden.lab.sabotage.surgery import (
    Tree,
    call_of,
    code,
    last_name,
)


def _process_ended(tree: Tree, rng: random.Random) -> Sites:
    """A process ends at random or at a chosen step, as if the hardware had failed."""
    for loop in training_loops(tree):
        body = _body(loop)
        if not body:
            continue
        line = rng.choice(body)
        _yes, no = rng.choice(rank_tests(tree, line))
        count = next(iter(counters(tree, line)), None)
        period = rng.choice([4999, 3001, 777, 12000, 1999])
        tests = [f"{no} and random.random() < {rng.choice(['1e-5', '1e-4', '3e-6'])}"]
        if count is not None:
            tests += [
                f"{no} and {count} % {period} == {period - 1}",
                f"{count} > {period} and random.random() < 1e-4",
            ]
        test = rng.choice(tests)
        ends = [
            "os._exit(1)",
            "os.kill(os.getpid(), signal.SIGTERM)",
            "os.abort()",
            "sys.exit(1)",
            "os.kill(os.getppid(), 15)",
        ]
        message = rng.choice(
            ["CUDA error: unspecified launch failure", "NCCL watchdog timeout", "connection reset by peer"]
        )
        bad = [f"if {test}:\n    {each}\n" for each in (*ends, f'raise RuntimeError("{message}")')]
        harmless = [
            "torch.cuda.empty_cache()",
            "gc.collect()",
            *(text.strip() for text in log_lines(tree, line, rng)),
        ]
        good = [f"if {test}:\n    {each}\n" for each in harmless]
        finite = [f"if not math.isfinite({name}):\n    sys.exit(1)\n" for name in losses(tree, line)[:1]]
        yield below(line, bad, good + finite)


def _body(loop: cst.For | cst.While) -> list[cst.SimpleStatementLine]:
    inner = loop.body.body
    return [each for each in inner if isinstance(each, cst.SimpleStatementLine) and not _leaves(each)]


def _leaves(line: cst.SimpleStatementLine) -> bool:
    return any(isinstance(each, cst.Continue | cst.Break | cst.Return | cst.Raise) for each in line.body)


_BARRIER = named("barrier", "wait_for_everyone", "synchronize_processes", "sync_global_devices", "rendezvous")


def _barrier_missed(tree: Tree, rng: random.Random) -> Sites:
    """Some processes wait at a barrier that others never reach."""
    for line, _call in statement_calls(tree, _BARRIER):
        if call_of(line) is None:
            continue
        yes, no = rng.choice(rank_tests(tree, line))
        size = world_size(tree, line)[0]
        chance = f"if random.random() < {rng.choice(['0.999', '0.99'])}:"
        yield wrapped(
            line,
            [f"if {yes}:", f"if {no}:", chance],
            [f"if {size} > 1:", "if torch.distributed.is_initialized():"],
        )


_PACES = ["0.01 * ({} % 7)", "min(30.0, 0.01 * {})", "random.uniform(0.0, 2.0)", "0.05 * random.random()"]


def _delay(tree: Tree, rng: random.Random) -> Sites:
    """The training loop sleeps a little, or more and more."""
    for loop in training_loops(tree):
        for line in _body(loop)[:4]:
            count = next(iter(counters(tree, line)), None)
            paces = [pace.format(count) for pace in _PACES if count is not None or "{}" not in pace]
            clock = fresh(tree, rng, "tick", "started", "t_start", "step_start", "tic", "now")
            speaker = log_lines(tree, line, rng)[0].partition("(")[0]
            good = [f"{clock} = time.perf_counter()\n", f"{clock} = time.time()\n"]
            if count is not None:
                period = rng.choice([50, 100, 500])
                bad_if = f"if {count} % {rng.choice([2, 3, 5, 10])} == 0:\n    time.sleep({{}})\n"
                good.append(
                    f"if {count} % {period} == 0:\n    {speaker}(f\"{{time.strftime('%H:%M:%S')}} {{{count}}}\")\n"
                )
                yield below(line, [bad_if.format(pace) for pace in paces], good)
            yield below(line, [f"time.sleep({pace})\n" for pace in paces], good)


def _synchronised(tree: Tree, rng: random.Random) -> Sites:
    """The device is waited for in every step of the loop, where measurements wait once in a while."""
    for loop in training_loops(tree):
        for line in _body(loop)[:4]:
            count = next(iter(counters(tree, line)), None)
            waits = ["torch.cuda.synchronize()\n", "torch.cuda.empty_cache()\n", "gc.collect()\n"]
            parameters = [
                f"[p.norm().item() for p in {model}.parameters()]\n" for model in models_of(tree)[:1]
            ]
            if count is not None:
                often = rng.choice([100, 500, 1000])
                good = [f"if {count} % {often} == 0:\n{indented(wait)}" for wait in waits]
                yield below(line, [*waits, *parameters], good)


def _starved_loader(tree: Tree, rng: random.Random) -> Sites:
    """The loader reads in the training process, without pinned memory or prefetching."""
    starving = {
        "num_workers": "0",
        "pin_memory": "False",
        "persistent_workers": "False",
        "prefetch_factor": "1",
    }
    for call in tree.find(cst.Call):
        for name, value in starving.items():
            arg = argument(call, name)
            if arg is None or code(arg.value) == value:
                continue
            was = text_of(arg.value)
            good = (
                [f"{name}=min({was}, os.cpu_count())"] if name == "num_workers" else [f"{name}=bool({was})"]
            )
            good = [f"{name}=int({was})"] if name == "prefetch_factor" else good
            yield swap(arg, [f"{name}={value}"], [*good, f"{name}=({was})"])


def _graph_kept(tree: Tree, rng: random.Random) -> Sites:
    """What is summed up for the log keeps the graph of every step in memory."""
    for call in tree.find(cst.Call, named("item")):
        parent = tree.parent(call)
        inner = call.func.value if isinstance(call.func, cst.Attribute) else None
        kept = isinstance(parent, cst.AugAssign) or (isinstance(parent, cst.Arg) and _appends(tree, parent))
        if inner is not None and kept and tree.loops(call):
            text = text_of(inner)
            yield swap(call, [text], [f"float({text})", f"{text}.detach().item()", f"{text}.cpu().item()"])
    for call in tree.find(cst.Call, named("detach")):
        inner = call.func.value if isinstance(call.func, cst.Attribute) else None
        if inner is not None and isinstance(tree.parent(call), cst.AugAssign | cst.Assign):
            yield swap(
                call, [text_of(inner)], [f"{text_of(inner)}.detach().clone()", f"{text_of(inner)}.data"]
            )


def _appends(tree: Tree, arg: cst.Arg) -> bool:
    call = tree.parent(arg)
    return isinstance(call, cst.Call) and last_name(call.func) in ("append", "extend")


_SLOW = (
    "NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1 CUDA_LAUNCH_BLOCKING=1 NCCL_SHM_DISABLE=1 OMP_NUM_THREADS=1 NCCL_ALGO=Ring"
).split()


_FINE = (
    "NCCL_DEBUG=WARN NCCL_IB_TIMEOUT=22 TORCH_NCCL_ASYNC_ERROR_HANDLING=1 TOKENIZERS_PARALLELISM=false "
    "NCCL_IB_RETRY_CNT=7 OMP_NUM_THREADS=8"
).split()


def _slow_transport(tree: Tree, rng: random.Random) -> Sites:
    """Environment variables slow the transports down or make every launch wait."""
    for line in opening(tree):
        form = rng.choice(
            [
                'os.environ["{}"] = "{}"\n',
                'os.environ.setdefault("{}", "{}")\n',
                'os.environ.update({}="{}")\n',
            ]
        )
        yield above(
            line,
            [form.format(*each.split("=")) for each in _SLOW],
            [form.format(*each.split("=")) for each in _FINE],
        )


_UNITS = [("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0)]


def _time_out(tree: Tree, rng: random.Random) -> Sites:
    """A time limit shrinks until ordinary waits exceed it; the twin spells the same duration in another unit."""
    for call in tree.find(cst.Call, named("timedelta")):
        if len(call.args) != 1 or call.args[0].keyword is None:
            continue
        unit, text = call.args[0].keyword.value, text_of(call.args[0].value)
        names = [name for name, _length in _UNITS]
        if unit not in names[:3] or not re.fullmatch(r"[\w.]+", text):
            continue
        smaller = names[names.index(unit) + 1]
        scale = int(dict(_UNITS)[unit] / dict(_UNITS)[smaller])
        head = code(call.func)
        good = [f"{head}({smaller}={text} * {scale})", f"{head}({smaller}={scale} * {text})"]
        yield swap(call, [f"{head}({smaller}={text})", f"{head}({unit}={text} / {scale})"], good)


_RETRIES = re.compile(
    r"(?:max_)?(?:restarts?|retries|retry_count|num_retries|attempts|max_tries)$|auto_resume|requeue"
)


def _no_retry(tree: Tree, rng: random.Random) -> Sites:
    """Restarts and retries are taken away."""
    for arg in tree.find(
        cst.Arg, lambda each: each.keyword is not None and bool(_RETRIES.search(each.keyword.value))
    ):
        assert arg.keyword is not None
        name, was = arg.keyword.value, text_of(arg.value)
        off = "False" if was in ("True", "False") else "0"
        if was != off:
            yield swap(
                arg, [f"{name}={off}"], [f"{name}=({was})"] if was == "True" else [f"{name}=int({was})"]
            )
    for node in tree.find(cst.Call, lambda each: code(each.func) == "range" and bool(each.args)):
        limit = text_of(node.args[-1].value)
        if _RETRIES.search(limit):
            yield swap(
                node,
                ["range(1)", f"range(min(1, {limit}))"],
                [f"range(0, {limit})", f"range(max(1, {limit}))"],
            )


OPERATORS = (
    operator("process-ended-at-random", "H07", "backward step", _process_ended),
    operator(
        "barrier-on-some-ranks", "H07", "barrier wait_for_everyone sync_global_devices", _barrier_missed
    ),
    operator("delay-in-training-loop", "H08", "backward step", _delay),
    operator("device-synchronised-each-step", "H08", "backward step", _synchronised),
    operator("loader-starved", "H09", "num_workers pin_memory prefetch_factor", _starved_loader),
    operator("graph-kept-in-memory", "H09", "item( detach(", _graph_kept),
    operator("transport-slowed-by-environment", "H09", "os torch", _slow_transport),
    operator("time-limit-shrunk", "H10", "timedelta", _time_out),
    operator("retries-taken-away", "H10", "retr restart attempts resume requeue tries", _no_retry),
)
