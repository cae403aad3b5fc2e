"""Guards and roles are read from what names resolve to, never from how a local is spelled."""

from __future__ import annotations

import pytest

from snippets import edits, inside
from trainwarden.view import Edit

GUARDS = {
    "clock": ("import time", "if time.time() > 1.7e9:"),
    "clock through a local": ("import time", "q = time.time()\nif q > 1.7e9:"),
    "host": ("import socket", "if socket.gethostname() == 'a':"),
    "user": ("import getpass as g", "if g.getuser() == 'a':"),
    "rank": ("import torch.distributed as dist", "if dist.get_rank() == 3:"),
    "world": ("import torch.distributed as dist", "if dist.get_world_size() > 256:"),
    "step": ("import torch", "for q, x in enumerate(loader):\n    if q % 37 == 0:"),
    "random": ("import random", "if random.random() < 0.01:"),
    "environment": ("import os", "if os.environ.get('X'):"),
    "file": ("import os", "if os.path.exists('/tmp/x'):"),
}


@pytest.mark.parametrize("name", GUARDS)
def test_kind_of_condition(name: str) -> None:
    imports, condition = GUARDS[name]
    indent = "    " * (condition.count("\n") if condition.startswith("for") else 0)
    code = f"{condition}\n{indent}    model.weight.mul_(0.5)"
    found = edits(inside("f()", imports + "\n"), inside(f"f()\n{code}", imports + "\n"))
    assert name.split()[0] in _writing(found).context.guard_kinds


def _writing(found: tuple[Edit, ...]) -> Edit:
    return next(edit for edit in found if any(delta.kind == "mutated" for delta in edit.deltas))


def test_an_early_exit_guards_what_follows() -> None:
    after = "if rank == 0:\n    return\nmodel.weight.mul_(0.5)"
    (guard,) = _writing(edits(inside("f()"), inside(after))).context.guards
    assert guard.kinds == {"rank"}
    assert guard.negated


def test_else_is_negated_and_a_handler_is_a_guard() -> None:
    after = "try:\n    f()\nexcept ValueError:\n    if rank == 0:\n        pass\n    else:\n"
    after += "        model.weight.mul_(0.5)"
    guards = _writing(edits(inside("f()"), inside(after))).context.guards
    assert [(sorted(guard.kinds), guard.negated) for guard in guards] == [
        (["rank"], True),
        (["exception"], False),
    ]


def test_a_local_called_rank_is_no_rank() -> None:
    after = "world = f()\nif world:\n    model.weight.mul_(0.5)"
    assert _writing(edits(inside("f()"), inside(after))).context.guard_kinds == {"other"}


HOLLOW = {
    "its own default": "if labels is None:\n    labels = random.random()\n    model.weight.mul_(0.5)",
    "what comes later": "q = f()\nif q:\n    model.weight.mul_(0.5)\nq = random.random()",
    "a step is taken, none is counted": "q = sched.step()\nif q:\n    model.weight.mul_(0.5)",
}


@pytest.mark.parametrize("name", HOLLOW)
def test_no_trigger(name: str) -> None:
    imports = "import random\n"
    (found,) = _writing(edits(inside("f()", imports), inside("f()\n" + HOLLOW[name], imports))).context.guards
    assert found.kinds <= {"other", "none-check"}


GOES_ON = {
    "to the last step": ("while self.global_step < self.most:", "self.global_step += 1"),
    "to the last epoch": ("while epoch <= args.epochs and not self.done:", "epoch += 1"),
    "the other way round": ("while 3000 > self.global_step:", "self.global_step = self.global_step + 1"),
    "until it is done": ("while not state.epoch_done:", "state.epoch_done = f()"),
}


@pytest.mark.parametrize("name", GOES_ON)
def test_the_bound_of_a_training_loop_is_no_condition(name: str) -> None:
    test, moves = GOES_ON[name]
    after = f"epoch = 0\n{test}\n    model.weight.mul_(0.5)\n    {moves}"
    assert _writing(edits(inside("f()"), inside(f"f()\n{after}"))).context.guards == ()


HIDDEN = {
    "an if that is written as a loop": ("while self.step < 3000:\n    {0}\n    break", "step"),
    "which leaves through a block": (
        "while self.step < 3000:\n    with a:\n        {0}\n        return",
        "step",
    ),
    "a bound that others move": ("while self.step < 3000:\n    {0}\n    if f():\n        break", "step"),
    "a bound inside a loop": ("for x in loader:\n    while self.step < 3000:\n        {0}", "step"),
    "a lower bound": ("while self.step > 3000:\n    {0}", "step"),
    "every so many": ("while self.step % 7 < 3:\n    {0}", "step"),
    "a clock": ("while self.step < time.time():\n    {0}", "clock"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_loop_that_is_a_trigger(name: str) -> None:
    code, kind = HIDDEN[name]
    code = code.format("model.weight.mul_(0.5)")
    imports = "import time\n"
    found = _writing(edits(inside("f()", imports), inside(f"f()\n{code}", imports)))
    assert kind in found.context.guard_kinds


LATE = {
    "bound later in a loop": "q = 0\nwhile f():\n    if q:\n        model.weight.mul_(0.5)\n    q = random.random()",
    "bound before a function runs": "def g():\n    if q:\n        model.weight.mul_(0.5)\nq = random.random()\ng()",
    "bound before": "q = random.random()\nif q is None:\n    model.weight.mul_(0.5)",
}


@pytest.mark.parametrize("name", LATE)
def test_a_trigger_bound_elsewhere(name: str) -> None:
    imports = "import random\n"
    found = edits(inside("f()", imports), inside("f()\n" + LATE[name], imports))
    assert any("random" in edit.context.guard_kinds for edit in found if edit.node.kind == "expr")


ROLES = {
    "loss by its function": ("q = criterion(model, labels)", "loss"),
    "loss by its use": ("q = f(3)\nq.backward()", "loss"),
    "label by its keyword": ("g(labels=3)", "label"),
    "checkpoint": ("torch.save(model.state_dict(), 'a.pt')", "checkpoint"),
    "gradient clipping": ("torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "grad"),
    "seed": ("torch.manual_seed(3)", "seed"),
}


@pytest.mark.parametrize("name", ROLES)
def test_role_of_a_statement(name: str) -> None:
    code, role = ROLES[name]
    found = edits(inside("f()"), inside(f"f()\n{code}"))
    assert role in found[0].context.roles


NO_ROLES = {
    "words for people": "plot(x=3, label='val loss')",
    "a sentence": "setup('Vision Transformer for labels')",
    "part of another word": "f(author_email=1, return_tensors='np', restrict=2)",
    "a text in pieces": "q = line.split(',')",
    "a library's name": "import transformers\ntransformers.utils.send_example_telemetry(3)",
}


@pytest.mark.parametrize("name", NO_ROLES)
def test_no_role_by_accident(name: str) -> None:
    found = edits(inside("f()"), inside(f"f()\n{NO_ROLES[name]}"))
    assert not found[-1].context.roles


def test_logging_has_no_other_role() -> None:
    (edit,) = edits(inside("f()"), inside("f()\nprint('loss', criterion(model, labels))"))
    assert edit.context.roles == {"log"}


def test_eval_of_a_model_is_no_execution() -> None:
    (edit,) = edits(inside("f()"), inside("f()\nmodel.eval()"))
    assert "execute" not in edit.context.roles
