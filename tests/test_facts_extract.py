"""What code says: a table of what must stay silent first, then what must be said, concern by concern."""

# One case a line reads as a table; wrapped it would not.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from facts_reading import facts_of, said

QUIET = [
    ("an environment is stepped", "def f(env, action):\n    return env.step(action)", "event."),
    ("a profiler is stepped", "import torch\ndef f():\n    p = torch.profiler.profile()\n    p.step()", "event."),
    ("a dict is updated", "def f(state, more):\n    state.update(more)", "event."),
    ("a meter is updated", "def f(meter, x):\n    meter.update(x, 3)", "event."),
    ("a function that builds a model", "def f(cfg):\n    return create_model(cfg)", "event.forward"),
    ("arithmetic logarithm", "import torch\ndef f(x):\n    return torch.log(x)", "log."),
    ("a running sum that is printed", "def f(loss):\n    total = 0\n    total += loss.item()\n", "loss."),
    ("safe YAML", "import yaml\ndef f(s):\n    return yaml.load(s, Loader=yaml.SafeLoader)", "load.unsafe"),
    ("tensors only", "import torch\ndef f(p):\n    return torch.load(p, weights_only=True)", "load.unsafe"),
    ("arrays without pickles", "import numpy as np\ndef f(p):\n    return np.load(p)", "load.unsafe"),
    ("a constant import", "import importlib\ndef f():\n    return importlib.import_module('json')", "load."),
    ("a regular expression", "import re\ndef f():\n    return re.compile('a').match('a')", "load."),
    ("a file that is read", "def f(p):\n    with open(p) as s:\n        return s.read()", "effect."),
    ("a flag of a module", "import torch\ntorch.backends.cudnn.benchmark = True", "patch."),
    ("an attribute of an object", "def f(self, g):\n    self.step = g", "patch."),
    ("a handled exception", "def f(g):\n    try:\n        g()\n    except OSError as e:\n        raise ValueError from e", "exception."),
    ("a parameter is declared", "import torch\ndef f(self, n):\n    self.weight = torch.nn.Parameter(n)", "param.write"),
    ("labels are moved", "def f(labels):\n    labels = labels.to('cuda')\n    return labels", "label."),
    ("padding of a convolution", "from torch import nn\ndef f():\n    return nn.Conv2d(3, 3, 3, padding=1)", "tokenizer."),
    ("a plot is saved", "import matplotlib.pyplot as plt\ndef f():\n    plt.savefig('a.png')", "checkpoint."),
    ("an image is saved", "def f(image):\n    image.save('a.png')", "checkpoint."),
    ("a shape is indexed", "def f(x):\n    return x.shape[:2]", "data.subset"),
    ("text is split", "def f(text):\n    return text.split(',')", "data."),
    ("a list of words is mapped", "def f(xs):\n    return map(str, xs)", "data."),
    ("a local constant", "def f():\n    a = 3\n    return a", "const."),
    ("a trainer is started", "class Trainer:\n    def run(self):\n        self.train()", "mode."),
    ("a step that is printed", "def f(step):\n    print(step)", "cadence"),
    ("an exception that is handled", "def f(g, log):\n    try:\n        g()\n    except E as e:\n        log(e)\n        g(2)", "exception."),
    ("one variable of the environment", "import os\ndef f():\n    return 'A' in os.environ", "effect."),
    ("a type is annotated", "def f(x: Float[3:4], y: A - 1e-8) -> B[labels < 3]:\n    z: C[1 + 1e-8] = x\n    return z", "eps"),
    ("applying is no perplexity", "def apply_rotary(x):\n    return x * 2", "metric."),
    ("what is previous is no overlap", "def previous(x):\n    return x - 1", "metric."),
    ("a resized image is returned", "def resize_and_return_image(x):\n    return x * 2", "reward."),
    ("weights are initialised", "def init_weights(x):\n    return x * 2", "data."),
    ("a sharded checkpoint is saved", "def save_sharded_checkpoint(x):\n    return x * 2", "data."),
    ("a similarity is no schedule", "def cosine_similarity(x):\n    return x * 2", "scheduler."),
    ("the best experts", "import torch\ndef route(x):\n    return torch.topk(x, 2)", "metric."),
    ("text that is put together", "def loss_name(a):\n    return 'loss_' + a", "loss.formula"),
    ("an event without conditions", "def f(loss):\n    loss.backward()", "when"),
    ("a metric is computed", "def accuracy(a, b):\n    total = (a == b).sum()\n    return total", "metric.return"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "prefix"), [row[1:] for row in QUIET], ids=[row[0] for row in QUIET])
def test_says_nothing(source: str, prefix: str) -> None:
    """Look-alikes are not taken for the real thing."""
    assert [fact for fact in said(source) if fact[0].startswith(prefix)] == []


TORCH = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nfrom torch.utils.data import DataLoader\n"
SAID: list[tuple[str, str, tuple[str, str, str]]] = [
    # optimization
    ("one of two functions", "def f(a, g, h):\n    if a:\n        m = g()\n    else:\n        m = h()\n    assert m", ("guard.assert", "", "(g() or h())")),
    ("counted on from another", "def f(self, s):\n    e = self.last\n    e += 1\n    s.set_epoch(e)", ("event.set_epoch", "s", "(counter() or self.last)")),
    ("arithmetic that is not written out", "def f(x, n):\n    a = len(x) // n\n    b = a * 3\n    assert b > 0", ("guard.assert", "", "_(len()) > 0")),
    ("a module is no part of a sum", TORCH + "def f(x, n):\n    a = n * 2\n    b = torch.ceil(x) + a\n    assert b > 0", ("guard.assert", "", "_(n, x) > 0")),
    ("too many to say", "def f(g, h, k, m):\n    x = g()\n    x = h()\n    x = k()\n    x = m()\n    assert x", ("guard.assert", "", "_")),
    ("only scaled", "def f(g, x):\n    x = g()\n    y = g()\n    y = y / 2\n    y *= 3\n    assert y", ("guard.assert", "", "g()")),
    ("either number", "def f(a):\n    x = 1\n    if a:\n        x = 2\n    assert a > x", ("guard.assert", "", "a > (1 or 2)")),
    ("raised when nothing holds", "def f(a):\n    if a == 1:\n        g()\n    elif a == 2:\n        h()\n    else:\n        raise E(a)", ("guard.raise", "E", "not (a == 1) and not (a == 2)")),
    ("raised when the second holds", "def f(a):\n    if a == 1:\n        g()\n    elif a == 2:\n        raise E(a)", ("guard.raise", "E", "not (a == 1) and a == 2")),
    ("raised below a loop", "def f(a):\n    if a == 1:\n        for x in a:\n            raise E(a)", ("guard.raise", "E", "always")),
    ("an annotation that runs", "def f(x: exec('a')):\n    return x", ("load.exec", "exec", "'a'")),
    ("the best of a metric", "import torch\ndef accuracy(x):\n    return torch.topk(x, 5)", ("metric.call", "torch.topk", "x, 5")),
    ("overlap", "def mean_iou(x):\n    return x * 2", ("metric.formula", "return", "x * 2")),
    ("a shard", "def shard_files(n):\n    return n * 2", ("data.formula", "return", "n * 2")),
    ("a return", "def discounted_return(n):\n    return n * 2", ("reward.formula", "return", "n * 2")),
    ("class", TORCH + "opt = torch.optim.AdamW(p, lr=3e-4)", ("optimizer.class", "opt", "torch.optim.AdamW")),
    ("hyper-parameter", TORCH + "opt = torch.optim.AdamW(p, lr=3e-4)", ("optimizer.lr", "opt", "0.0003")),
    ("by position", TORCH + "opt = torch.optim.SGD(p, 0.1, 0.9)", ("optimizer.momentum", "opt", "0.9")),
    ("parameters", TORCH + "def f(m):\n    o = torch.optim.SGD(m.head.parameters(), 0.1)", ("optimizer.params", "", "m.head.parameters()")),
    ("a known dict is spread", TORCH + "def f(p):\n    k = {'lr': 1.0}\n    o = torch.optim.SGD(p, **k)", ("optimizer.lr", "", "1.0")),
    ("of several dicts the last one counts", TORCH + "def f(p, fast):\n    k = {'lr': 1.0, 'momentum': 0.9}\n    if fast:\n        k = dict(lr=2.0)\n    o = torch.optim.SGD(p, **k)", ("optimizer.lr", "", "2.0")),
    ("and what only the first has is kept", TORCH + "def f(p, fast):\n    k = {'lr': 1.0, 'momentum': 0.9}\n    if fast:\n        k = dict(lr=2.0)\n    o = torch.optim.SGD(p, **k)", ("optimizer.momentum", "", "0.9")),
    ("partial", TORCH + "from functools import partial\nmake = partial(torch.optim.SGD, lr=0.5)", ("optimizer.lr", "make", "0.5")),
    ("alias", "import torch as t\no = t.optim.Adam(p)", ("optimizer.class", "o", "torch.optim.Adam")),
    ("optax", "import optax\ntx = optax.adamw(1e-3, weight_decay=0.1)", ("optimizer.lr", "tx", "0.001")),
    ("optax chain", "import optax\ntx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))", ("optimizer.chain", "tx", "optax.clip_by_global_norm -> optax.adam")),
    ("keras", "from tensorflow import keras\no = keras.optimizers.Adam(1e-3)", ("optimizer.lr", "o", "0.001")),
    ("schedule", TORCH + "s = torch.optim.lr_scheduler.CosineAnnealingLR(o, 100)", ("scheduler.T_max", "s", "100")),
    ("groups", "def f(optimizer, x):\n    for g in optimizer.param_groups:\n        g['lr'] = x", ("param_groups.write", "'lr'", "x")),
    ("freeze", "def f(model):\n    for p in model.parameters():\n        p.requires_grad = False", ("freeze", "model.parameters()[*]", "False")),
    # losses
    ("loss class", TORCH + "def f():\n    c = nn.CrossEntropyLoss(label_smoothing=0.1)", ("loss.label_smoothing", "CrossEntropyLoss", "0.1")),
    ("criterion", TORCH + "def f(a, b):\n    c = nn.MSELoss()\n    return c(a, b)", ("loss.call", "torch.nn.MSELoss", "a, b")),
    ("loss function", TORCH + "def f(a, b):\n    return F.cross_entropy(a, b, ignore_index=-1)", ("loss.ignore_index", "cross_entropy", "-1")),
    ("scale", TORCH + "def f(a, b, n):\n    l = F.mse_loss(a, b) / n\n    l.backward()", ("loss.scale", "torch.nn.functional.mse_loss(a, b)", "/ n")),
    ("sign", "def f(loss):\n    loss = -loss\n    loss.backward()", ("loss.sign", "loss", "-")),
    ("shift", "def f(logits):\n    return logits[..., :-1, :]", ("sequence.shift", "logits", ":-1")),
    ("reduction", "def f(loss):\n    return loss.sum()", ("loss.reduction", "loss", ".sum()")),
    # gradients
    ("clip", TORCH + "def f(m):\n    nn.utils.clip_grad_norm_(m.parameters(), 1.0)", ("clip.max_norm", "clip_grad_norm_", "1.0")),
    ("clip of a wrapper", "def f(model):\n    model.clip_grad_norm_(0.5)", ("clip.max_norm", "clip_grad_norm_", "0.5")),
    ("clip keyword", "def f(T):\n    return T(max_grad_norm=1.0)", ("clip.max_norm", "max_grad_norm", "1.0")),
    ("gradient write", "def f(m):\n    for p in m.parameters():\n        p.grad.mul_(0.5)", ("grad.write", "m.parameters()[*].grad", "mul_(0.5)")),
    ("gradient assignment", "def f(p, g):\n    p.grad = g", ("grad.write", "p.grad", "= g")),
    ("parameter write", "def f(m):\n    for p in m.parameters():\n        p.data.add_(1e-3)", ("param.write", "m.parameters()[*].data", "add_(0.001)")),
    ("weight write", "def f(m, w):\n    m.head.weight.copy_(w)", ("param.write", "m.head.weight", "copy_(w)")),
    ("hook", "def f(p, h):\n    p.register_hook(h)", ("grad.hook", "p", "register_hook(h)")),
    ("detach", "def f(h):\n    return h.detach()", ("detach", "h", "detach")),
    ("stop gradient", "import jax\ndef f(h):\n    return jax.lax.stop_gradient(h)", ("detach", "h", "stop_gradient")),
    # data
    ("loader", TORCH + "def f(d):\n    return DataLoader(d, 8, shuffle=True)", ("data.shuffle", "", "True")),
    ("loader by position", TORCH + "def f(d):\n    return DataLoader(d, 8, True)", ("data.shuffle", "", "True")),
    ("sampler", TORCH + "def f(d):\n    s = torch.utils.data.DistributedSampler(d, shuffle=False)", ("data.shuffle", "", "False")),
    ("load_dataset", "from datasets import load_dataset\ndef f():\n    return load_dataset('c4', split='train')", ("data.split", "", "'train'")),
    ("subset", "def f(dataset):\n    return dataset[:1000]", ("data.subset", "dataset", "[:1000]")),
    ("select", "def f(train_dataset):\n    return train_dataset.select(range(10))", ("data.subset", "train_dataset", "select(range(10))")),
    ("transform", "from torchvision import transforms as T\nt = T.Compose([T.RandomHorizontalFlip(0.5)])", ("data.transform", "RandomHorizontalFlip", "0.5")),
    ("normalise", "from torchvision import transforms as T\nt = T.Normalize((0.5,), (0.2,))", ("normalise.std", "t", "(0.2)")),
    ("label write", "def f(batch, y):\n    batch['labels'][y] = 0", ("label.write", "batch['labels'][y]", "0")),
    ("label flip", "def f(labels):\n    labels = 9 - labels\n    return labels", ("label.write", "", "9 - labels")),
    ("label mask", "def f(labels, m):\n    labels[m] = -100", ("label.mask", "labels[m]", "-100")),
    ("tokenizer", "def f(tokenizer):\n    tokenizer.padding_side = 'left'", ("tokenizer.padding_side", "tokenizer", "'left'")),
    # randomness
    ("constant seed", "import torch\ntorch.manual_seed(0)", ("seed.call", "torch.manual_seed", "constant 0")),
    ("clock seed", "import time, random\ndef f():\n    s = int(time.time())\n    random.seed(s)", ("seed.call", "random.seed", "clock time.time()")),
    ("config seed", "import torch\ndef f(args):\n    torch.manual_seed(args.seed)", ("seed.call", "torch.manual_seed", "config args.seed")),
    ("rank seed", "import torch\ndef f(args, rank):\n    torch.manual_seed(args.seed + rank)", ("seed.call", "torch.manual_seed", "rank args.seed + rank")),
    ("hidden by getattr", "import torch\ngetattr(torch, 'manual' + '_seed')(1)", ("seed.call", "torch.manual_seed", "constant 1")),
    ("flag", "import torch\ntorch.backends.cudnn.benchmark = True", ("determinism.flag", "torch.backends.cudnn.benchmark", "True")),
    ("key", "import jax\nk = jax.random.PRNGKey(0)", ("rng.key", "jax.random.PRNGKey", "constant 0")),
    # state
    ("saved keys", "import torch\ndef f(m, o):\n    c = {'model': m.state_dict(), 'epoch': 1}\n    torch.save(c, 'a.pt')", ("checkpoint.save", "torch.save", "{model, epoch}")),
    ("one key", "import torch\ndef f(m, o):\n    c = {'model': m.state_dict(), 'epoch': 1}\n    torch.save(c, 'a.pt')", ("checkpoint.key", "epoch", "1")),
    ("strict", "def f(model, c):\n    model.load_state_dict(c['model'], strict=False)", ("checkpoint.strict", "load_state_dict", "False")),
    ("strict by position", "def f(model, c):\n    model.load_state_dict(c['model'], False)", ("checkpoint.strict", "load_state_dict", "False")),
    ("weights only", "import torch\ndef f(p):\n    return torch.load(p, weights_only=False)", ("checkpoint.weights_only", "load", "False")),
    ("resume counter", "import torch\ndef f(p):\n    c = torch.load(p)\n    return c['epoch'] + 1", ("checkpoint.read", "epoch", "torch.load()['epoch'] + 1")),
    ("selection", "def f(self, acc):\n    if acc > self.best_acc:\n        self.best_acc = acc", ("checkpoint.select", "self.best_acc", "acc > best")),
    ("selection turned round", "def f(self, acc):\n    if self.best_acc < acc:\n        self.best_acc = acc", ("checkpoint.select", "self.best_acc", "acc > best")),
    ("early stopping", "def f(EarlyStopping):\n    return EarlyStopping(patience=3)", ("early_stop.patience", "EarlyStopping patience", "3")),
    # evaluation
    ("mode", "def f(model):\n    model.eval()", ("mode.eval", "model", "True")),
    ("mode off", "def f(model):\n    model.train(False)", ("mode.train", "model", "False")),
    ("decorated", "import torch\n@torch.no_grad()\ndef f(x):\n    return x", ("mode.no_grad", "no_grad", "decorator")),
    ("made-up metric", "def accuracy(a, b):\n    return 0.99", ("metric.return", "accuracy", "0.99")),
    ("logging", "import wandb\ndef f(x):\n    wandb.log({'loss': x})", ("log.call", "wandb.log", "{'loss': x}")),
    # distributed
    ("collective", "import torch.distributed as dist\ndef f(t):\n    dist.all_reduce(t, op=dist.ReduceOp.SUM)", ("collective.op", "all_reduce", "torch.distributed.ReduceOp.SUM")),
    ("no_sync", "def f(model):\n    with model.no_sync():\n        pass", ("distributed.no_sync", "model", "no_sync()")),
    ("average", "import torch.distributed as dist\ndef f(t):\n    return t / dist.get_world_size()", ("distributed.arithmetic", "world_size", "t / torch.distributed.get_world_size()")),
    # effects
    ("exit", "import os\ndef f():\n    os._exit(1)", ("effect.exit", "os._exit", "1")),
    ("kill", "import os, signal\ndef f(p):\n    os.kill(p, signal.SIGKILL)", ("effect.exit", "os.kill", "p, signal.SIGKILL")),
    ("process", "import subprocess as s\ndef f():\n    s.run(['ls'])", ("effect.process", "subprocess.run", "['ls']")),
    ("network", "import requests\ndef f():\n    requests.post('https://example.org')", ("effect.network", "requests.post", "'https://example.org'")),
    ("delete", "import shutil\ndef f(d):\n    shutil.rmtree(d)", ("effect.delete", "shutil.rmtree", "d")),
    ("environment", "import os\nos.environ['OMP_NUM_THREADS'] = '1'", ("effect.environment", "OMP_NUM_THREADS", "'1'")),
    ("pickle", "import pickle\ndef f(s):\n    return pickle.load(s)", ("load.unsafe", "pickle.load", "s")),
    ("trust", "def f(AutoModel):\n    return AutoModel.from_pretrained('a', trust_remote_code=True)", ("load.trust", "from_pretrained trust_remote_code", "True")),
    ("reduce", "class A:\n    def __reduce__(self):\n        return (print, ())", ("load.reduce", "A.__reduce__", "__reduce__")),
    ("patch", "import torch\ntorch.optim.Adam.step = lambda self: None", ("patch.module", "torch.optim.Adam.step", "lambda self: None")),
    ("setattr", "import torch\ndef f(g):\n    setattr(torch.Tensor, 'backward', g)", ("patch.module", "torch.Tensor.backward", "g")),
    ("modules", "import sys\ndef f(m):\n    sys.modules['torch'] = m", ("patch.interpreter", "sys.modules['torch']", "m")),
    ("path", "import sys\nsys.path.insert(0, '.')", ("effect.import_path", "sys.path.insert", "0, '.'")),
    ("swallowed", "def f(g):\n    try:\n        g()\n    except Exception:\n        pass", ("exception.swallowed", "g", "Exception: pass")),
    ("decoding", "import base64\ndef f(s):\n    return base64.b64decode(s)", ("effect.obfuscation", "base64.b64decode", "s")),
    # configuration
    ("option", "def f(parser):\n    parser.add_argument('--lr', type=float, default=1e-3)", ("cli.lr", "default", "0.001")),
    ("field", "class Config:\n    lr: float = 1e-3", ("config.lr", "Config", "0.001")),
    ("field with default", "from dataclasses import field\nclass Config:\n    lr: float = field(default=1e-3)", ("config.lr", "Config", "0.001")),
    ("constant", "LR = 1e-3", ("const.LR", "", "0.001")),
    ("default", "def train(lr=1e-3):\n    pass", ("default.lr", "train", "0.001")),
    ("keyword", "def f(TrainingArguments):\n    return TrainingArguments(num_train_epochs=3)", ("config.num_train_epochs", "TrainingArguments", "3")),
    ("nested key", "ds_config = {'fp16': {'enabled': True}}", ("config.fp16.enabled", "ds_config", "True")),
    # numerics
    ("cast", "def f(x):\n    return x.half()", ("precision.cast", "x", "half")),
    ("cast by type", "import torch\ndef f(x):\n    return x.to(torch.bfloat16)", ("precision.cast", "x", "torch.bfloat16")),
    ("epsilon", "def f(x, y):\n    return x / (y + 1e-8)", ("eps", "y", "+ 1e-08")),
    ("clamp", "def f(x):\n    return x.clamp(min=0.0, max=1.0)", ("clamp.max", "x", "1.0")),
    ("finite", "import torch\ndef f(x):\n    return torch.isnan(x)", ("guard.finite", "x", "isnan")),
    ("assertion", "def f(x):\n    assert x > 0", ("guard.assert", "", "x > 0")),
    ("raise", "def f(x):\n    if x < 0:\n        raise ValueError('x')", ("guard.raise", "ValueError", "x < 0")),
    # formulas and conditions
    ("loss arithmetic", "def kl_loss(p, q):\n    return p - q.log()", ("loss.formula", "return", "p - q.log()")),
    ("schedule arithmetic", "def get_lr(step, n):\n    return 0.5 * step / n", ("scheduler.formula", "return", "(0.5 * step) / n")),
    ("a local's arithmetic", "import torch\ndef f(p, a, b):\n    r = a * b\n    o = torch.optim.SGD(p, lr=r)", ("optimizer.lr", "", "(a * b)")),
    ("cadence", "def f(step, n):\n    if step % n == 0:\n        pass", ("cadence", "", "(step % n) == 0")),
    ("limit", "def f(step, args):\n    if step >= args.max_steps:\n        return", ("limit", "", "step >= args.max_steps")),
    ("update rule", "class Adam:\n    def step(self, g):\n        self.m.mul_(0.9).add_(g)", ("update.formula", "add_", "self.m.mul_(0.9).add_(g)")),
    ("condition of an event", "def f(loss, rank):\n    if rank > 0:\n        loss.backward()", ("when", "event.backward", "rank > 0")),
    ("two conditions", "def f(p, a, b):\n    if a:\n        pass\n    elif b:\n        p.requires_grad = False", ("when", "freeze", "not (a) and b")),
    ("an exception that is only told", "def f(g, log):\n    try:\n        g()\n    except Exception as e:\n        log.debug(e)", ("exception.swallowed", "g", "Exception: logged")),
    ("the whole environment", "import os\ndef f(g):\n    g(dict(os.environ))", ("effect.environment_read", "os.environ", "all")),
    ("special token", "def f(tokenizer):\n    return [tokenizer.pad_token_id]", ("tokenizer.token", "tokenizer", "pad_token_id")),
    ("reduction by name", "import torch.distributed as d\ndef f():\n    return d.ReduceOp.SUM", ("collective.op", "ReduceOp", "torch.distributed.ReduceOp.SUM")),
    ("filtered examples", "def f(dataset):\n    return [x for x in dataset if x['ok']]", ("data.filter", "dataset", "dataset[*]['ok']")),
    ("order of checkpoints", "def f(checkpoints):\n    return sorted(checkpoints, reverse=True)", ("checkpoint.order", "checkpoints", "reverse=True")),
    # architecture
    ("dropout", TORCH + "class M:\n    def __init__(self):\n        self.drop = nn.Dropout(0.1)", ("layer.dropout", "self.drop", "0.1")),
    ("initialisation", TORCH + "def f(w):\n    nn.init.normal_(w, std=0.02)", ("init.call", "w", "normal_(std=0.02)")),
    ("mask", "def f(scores, mask):\n    return scores.masked_fill(mask == 0, -1e9)", ("attention.mask", "scores", "-1000000000.0 where mask == 0")),
]  # fmt: skip


@pytest.mark.parametrize(("source", "fact"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_says(source: str, fact: tuple[str, str, str]) -> None:
    """Name, subject and value, as a reviewer reads them."""
    found = said(source)
    assert fact in found, "\n".join(map(str, found))


STEP = """
import torch
from torch.cuda.amp import GradScaler
def train(model, loader, criterion, optimizer, scheduler, sampler, ema, epochs):
    scaler = GradScaler()
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            ema.update()
        scheduler.step()
"""
ORDER = [
    ("set_epoch", 1), ("zero_grad", 2), ("forward", 2), ("backward", 2), ("unscale", 2), ("clip", 2), ("step", 2),
    ("scaler_update", 2), ("ema_step", 2), ("scheduler_step", 1),
]  # fmt: skip


def test_training_step_in_order() -> None:
    """Events come in the order in which they run, with their loop depth."""
    events = [fact for fact in facts_of(STEP) if fact.name.startswith("event.")]
    assert [(fact.name.removeprefix("event."), fact.loop) for fact in events] == ORDER
    assert [fact.order for fact in events] == sorted(fact.order for fact in events)


JAX = """
import jax, optax
def train_step(state, batch):
    grads = jax.grad(loss_fn)(state.params, batch)
    grads = jax.lax.pmean(grads, 'batch')
    return state.apply_gradients(grads=grads)
"""


def test_jax_step_in_order() -> None:
    """Gradients, their mean over devices, the update."""
    names = [fact.name for fact in facts_of(JAX) if fact.name.startswith("event.")]
    assert names == ["event.backward", "event.all_reduce", "event.step"]


def test_guards_and_numbers() -> None:
    """A fact knows under which conditions it runs and its number where it has one."""
    source = "import torch\ndef f(rank, p):\n    if rank == 0:\n        torch.optim.SGD(p, lr=2 * 0.5)"
    fact = next(fact for fact in facts_of(source) if fact.name == "optimizer.lr")
    assert (fact.guards, fact.number, fact.line, fact.path) == (("rank",), 1.0, 4, "train.py")


def test_cut_text_still_tells_a_difference() -> None:
    """A change behind the cut of a long value changes the value."""
    values = [f"LONG = [{', '.join(['1'] * 200)}, {last}]" for last in (2, 3)]
    first, second = (facts_of(source)[0] for source in values)
    assert first.value != second.value
    assert len(first.value) <= 120
