"""Family K, experience: rewards, targets, replay and masks wrong beside right.

In: the trees of members. Out: ``OPERATORS``.
"""

from __future__ import annotations

import random
import re

import libcst as cst

from trainwarden.lab.sabotage.forms import Site, Sites, below, operator, swap, text_of
from trainwarden.lab.sabotage.places import in_reach, log_lines, named, statement_calls
from trainwarden.lab.sabotage.reinforcement import ABOUT_RL
from trainwarden.lab.sabotage.rewrite import Rule, pick, rewriting, times, vary
from trainwarden.lab.sabotage.spelling import fresh
from trainwarden.lab.sabotage.surgery import Tree, assigned, code

_REWARD = r"(?i)^[\w.]*(?:rewards?|reward_scores?|rew|r_t)(?:_(?:t|batch|tensor|scores?))?(?:\[.*\])?$"


_SHAPING = rewriting(
    "reward-shaped",
    "K04",
    Rule(
        "torch.clamp($r, $lo, $hi)",
        ("torch.clamp($r, 0.0, $hi)", "torch.clamp($r, max=$hi)", "torch.clamp($r, $lo * 0.1, $hi)"),
        ("torch.clamp($r, min=$lo, max=$hi)", "$r.clamp($lo, $hi)"),
        where={"r": _REWARD},
    ),
    Rule(
        "torch.clip($r, $lo, $hi)",
        ("torch.clip($r, 0.0, $hi)", "torch.clip($r, max=$hi)"),
        ("torch.clip($r, min=$lo, max=$hi)", "torch.clamp($r, $lo, $hi)"),
        where={"r": _REWARD},
    ),
    Rule(
        "np.clip($r, $lo, $hi)",
        ("np.clip($r, 0.0, $hi)", "np.clip($r, $lo, 0.5 * $hi)"),
        ("np.clip($r, a_min=$lo, a_max=$hi)", "np.minimum(np.maximum($r, $lo), $hi)"),
        where={"r": _REWARD},
    ),
    Rule(
        "$r / $std",
        ("$r * $std", "$r", "$r / $std ** 2"),
        ("$r * (1 / $std)", "$r / ($std)"),
        where={"r": _REWARD, "std": r"(?i)std|scal|norm|var"},
    ),
    Rule(
        "$buf.append($r)\n",
        (
            vary("$buf.append($r * {scale})", scale=pick("0.1", "0.5", "-1")),
            "$buf.append(max($r, 0))",
            "$buf.append(abs($r))",
        ),
        ("$buf.extend([$r])", "$buf.append(float($r))"),
        where={"r": _REWARD, "buf": r"(?i)reward|buf|mem"},
    ),
    needs="reward score rew",
)


def _reward_added(tree: Tree, rng: random.Random) -> Sites:
    """The reward grows with something that is not the task."""
    for line in tree.find(cst.SimpleStatementLine):
        pair = assigned(line)
        if pair is None or not re.match(_REWARD, code(pair[0])):
            continue
        name = code(pair[0])
        others = in_reach(
            tree,
            line,
            lambda each: bool(re.search(r"(?i)response|output|sample|length|action|text|ids", each)),
        )
        lengths = [f"len({each})" for each in others[:2]] or ["1.0"]
        scale = rng.choice(["0.01", "0.001", "0.05", "1e-3"])
        bad = [f"{name} = {name} + {scale} * {each}\n" for each in lengths]
        bad += [
            f"{name} = {name} + torch.randn_like({name}) * {scale}\n",
            f"{name} = {name} * (1 - {scale}) ** 100\n",
        ]
        yield below(line, bad, log_lines(tree, line, rng))


_ONLINE = (
    ("target_", ""),
    ("_target", ""),
    ("target", "online"),
    ("tgt", "src"),
    ("critic_target", "critic"),
    ("ema_", ""),
)


_TARGET = re.compile(
    r"(?i)target_?(?:net\w*|q\w*|critic\w*|actor\w*|model|policy|head\w*|value\w*)$|"
    r"(?:net\w*|q\d?|critic\d?|actor|model|policy|heads?|qs|encoder)_?target\d?$|(?:teacher|ema_model|momentum_encoder)$"
)


def _networks_swapped(tree: Tree, rng: random.Random) -> Sites:
    """The online network stands where the target network belongs."""
    for call in tree.find(cst.Call):
        name = text_of(call.func)
        if not _TARGET.search(name) or "(" in name:
            continue
        roots = set(re.findall(r"[\w.]+", tree.module.code))
        kin = [name.replace(old, new) for old, new in _ONLINE if old in name]
        bad = [each for each in kin if each != name and each in roots]
        if bad:
            yield Site(
                [{call.func: each} for each in bad],
                _named(tree, call, rng),
            )


def _named(tree: Tree, call: cst.Call, rng: random.Random) -> list[dict[cst.CSTNode, str]]:
    line = tree.statement(call)
    if not isinstance(line, cst.SimpleStatementLine) or tree.loops(call) != tree.loops(line):
        return []
    name = fresh(tree, rng, "next_values", "target_out", "q_next", "estimate")
    text = code(line.with_changes(leading_lines=())).replace(text_of(call), name, 1)
    return [{line: f"{name} = {text_of(call)}\n{text}"}] if f"{name}" in text and " for " not in text else []


_POLYAK = rewriting(
    "target-update-wrong",
    "K05",
    Rule(
        "$tau * $p + (1 - $tau) * $t",
        ("(1 - $tau) * $p + $tau * $t", "$tau * $t + (1 - $tau) * $p", "$tau * $p + (1 - $tau) * $p"),
        ("(1 - $tau) * $t + $tau * $p", "$t + $tau * ($p - $t)", "$p * $tau + $t * (1 - $tau)"),
        where={"tau": r"(?i)(?:^|[._])(?:tau|alpha|decay|momentum|m|polyak|beta|rho|ema\w*)$"},
    ),
    Rule(
        "$tau * $p + (1.0 - $tau) * $t",
        ("(1.0 - $tau) * $p + $tau * $t", "$tau * $t + (1.0 - $tau) * $p"),
        ("(1.0 - $tau) * $t + $tau * $p", "$t + $tau * ($p - $t)"),
        where={"tau": r"(?i)(?:^|[._])(?:tau|alpha|decay|momentum|m|polyak|beta|rho|ema\w*)$"},
    ),
    Rule(
        "(1 - $tau) * $p + $tau * $t",
        ("$tau * $p + (1 - $tau) * $t", "(1 - $tau) * $t + $tau * $p"),
        ("$tau * $t + (1 - $tau) * $p", "$p + $tau * ($t - $p)"),
        where={"tau": r"(?i)(?:^|[._])(?:tau|alpha|decay|momentum|m|polyak|beta|rho|ema\w*)$"},
    ),
    Rule(
        "$step % $every == 0",
        ("$step % $every != 0", "$step % ($every * $every) == 0", "$step < $every"),
        ("not $step % $every", "0 == $step % $every", "($step % $every) == 0"),
        where={"every": r"(?i)target|sync|copy|update_freq|update_interval|polyak"},
    ),
    Rule(
        "zip($target.parameters(), $online.parameters())",
        (
            "zip($online.parameters(), $target.parameters())",
            "zip($target.parameters(), $target.parameters())",
        ),
        (
            "zip(list($target.parameters()), list($online.parameters()))",
            "zip(*($target.parameters(), $online.parameters()))",
        ),
        where={"target": r"(?i)target|tgt|teacher|ema"},
    ),
    Rule(
        "zip($online.parameters(), $target.parameters())",
        (
            "zip($target.parameters(), $online.parameters())",
            "zip($online.parameters(), $online.parameters())",
        ),
        ("zip(list($online.parameters()), list($target.parameters()))",),
        where={"target": r"(?i)target|tgt|teacher|ema"},
    ),
    Rule(
        "$target.load_state_dict($online.state_dict())\n",
        (
            "$online.load_state_dict($target.state_dict())",
            "",
            "$target.load_state_dict($target.state_dict())",
        ),
        (
            "$target.load_state_dict($online.state_dict(), strict=True)",
            "$target.load_state_dict({**$online.state_dict()})",
        ),
        where={"target": r"(?i)target|tgt|old"},
    ),
    needs="tau target tgt teacher polyak momentum sync",
)


_ENT = r"(?i)entrop|\bent\b|^ent|ent_"


_ENTROPY = rewriting(
    "entropy-bonus-wrong",
    "K06",
    Rule(
        "$x - $coef * $ent",
        ("$x + $coef * $ent", "$x", "$x - $coef * $ent.detach()"),
        ("$x - $ent * $coef", "-$coef * $ent + $x"),
        where={"ent": _ENT},
    ),
    Rule(
        "$x - $ent * $coef",
        ("$x + $ent * $coef", "$x", "$x - $ent.detach() * $coef"),
        ("$x - $coef * $ent", "-$ent * $coef + $x"),
        where={"ent": _ENT},
    ),
    Rule(
        "$x + $coef * $ent",
        ("$x - $coef * $ent", "$x + $coef * $ent.detach()"),
        ("$coef * $ent + $x", "$x + $ent * $coef"),
        where={"ent": _ENT},
    ),
    Rule(
        "$d.entropy().mean()",
        ("$d.entropy().sum()", "$d.entropy().mean().detach()", "-$d.entropy().mean()"),
        ("torch.mean($d.entropy())",),
    ),
    Rule(
        "-($p * $logp).sum($*axis)",
        ("($p * $logp).sum($*axis)", "-($p * $logp.detach()).sum($*axis)"),
        ("($p * -$logp).sum($*axis)", "-($logp * $p).sum($*axis)"),
        where={"logp": r"(?i)log"},
    ),
    Rule(
        "$coef * $ent",
        (vary("{value} * $ent", value=times("coef", -1, 10, 0.01)), "-$coef * $ent"),
        ("$ent * $coef",),
        where={"ent": _ENT, "coef": r"^[\d.e-]+$"},
    ),
    needs="entrop ent log",
)


_BUF = r"(?i)buf|mem|replay|storage|pool|transitions|data"


_REPLAY = rewriting(
    "replay-sampling-wrong",
    "K07",
    Rule(
        "random.sample($buf, $n)",
        (
            "list($buf)[-$n:]",
            "random.choices(list($buf)[:$n], k=$n)",
            "random.sample(list($buf)[: 2 * $n], $n)",
        ),
        (
            "random.sample(list($buf), $n)",
            "random.sample($buf, k=$n)",
            "random.sample(population=$buf, k=$n)",
        ),
        where={"buf": _BUF},
    ),
    Rule(
        "np.random.randint(0, $size, $*rest)",
        ("np.random.randint(0, $size // 2, $*rest)", "np.random.randint($size // 2, $size, $*rest)"),
        ("np.random.randint($size, $*rest)", "np.random.randint(0, int($size), $*rest)"),
        where={"size": r"(?i)size|len|ptr|pos|full|count"},
    ),
    Rule(
        "np.random.choice($size, $n, $*rest)",
        ("np.arange($size)[-$n:]", "np.random.choice(max(1, $size // 4), $n, $*rest)"),
        ("np.random.choice(np.arange($size), $n, $*rest)", "np.random.choice(int($size), $n, $*rest)"),
    ),
    Rule(
        "($pos + 1) % $size",
        ("($pos + 1) % ($size - 1)", "($pos + 2) % $size", "min($pos + 1, $size - 1)"),
        ("(1 + $pos) % $size", "divmod($pos + 1, $size)[1]"),
        where={
            "pos": r"(?i)^[\w.]*(?:pos|ptr|position|pointer|cursor|next_idx)$",
            "size": r"(?i)size|cap|max|len",
        },
    ),
    Rule(
        "$p ** $alpha",
        ("$p", "$p ** -$alpha", "$p ** (1 - $alpha)"),
        ("pow($p, $alpha)", "$p ** float($alpha)"),
        where={"p": r"(?i)prio|prob|td|weight", "alpha": r"(?i)alpha|beta"},
    ),
    Rule(
        "$p ** -$beta",
        ("$p ** $beta", "$p ** (-2 * $beta)"),
        ("1 / $p ** $beta", "pow($p, -$beta)"),
        where={"beta": r"(?i)beta"},
    ),
    needs="replay buffer memory prio sample size",
)


def _ends_confused(tree: Tree, rng: random.Random) -> Sites:
    """An episode that was cut off counts as one that ended, or the reverse."""
    for line, call in statement_calls(tree, named("step")):
        pair = assigned(line)
        if pair is None or not isinstance(pair[0], cst.Tuple) or not re.search(r"(?i)env", code(call.func)):
            continue
        names = [text_of(element.value) for element in pair[0].elements]
        if len(names) != 5:
            continue
        obs, reward, ended, cut, info = names
        result = fresh(tree, rng, "transition", "outcome", "result", "stepped")
        bad = [f"{obs}, {reward}, {cut}, {ended}, {info} = {text_of(call)}\n"]
        good = [
            f"{result} = {text_of(call)}\n{', '.join(names)} = {result}\n",
            f"({', '.join(names)}) = {text_of(call)}\n",
        ]
        yield swap(line, bad, good)


_ENDS = rewriting(
    "termination-confused",
    "K08",
    Rule(
        "$ended or $cut",
        ("$ended", "$cut", "$ended and $cut"),
        ("$cut or $ended", "bool($ended or $cut)", "any(($ended, $cut))"),
        where={"ended": r"(?i)term|done", "cut": r"(?i)trunc|time|limit|epoch_end|timeout"},
    ),
    Rule(
        "np.logical_or($ended, $cut)",
        ("$ended", "np.logical_and($ended, $cut)"),
        ("np.logical_or($cut, $ended)", "$ended | $cut"),
        where={"ended": r"(?i)term|done"},
    ),
    Rule(
        "$f($*rest, done=$ended)",
        ("$f($*rest, done=not $ended)", "$f($*rest, done=False)"),
        ("$f($*rest, done=bool($ended))",),
    ),
    Rule(
        "$buf.add($o, $n, $a, $r, $ended)",
        (
            "$buf.add($o, $o, $a, $r, $ended)",
            "$buf.add($n, $o, $a, $r, $ended)",
            "$buf.add($o, $n, $a, $r, False)",
        ),
        ("$buf.add($o, $n, $a, $r, bool($ended))",),
    ),
    Rule(
        "$buf.push($o, $a, $r, $n, $ended)",
        (
            "$buf.push($o, $a, $r, $o, $ended)",
            "$buf.push($n, $a, $r, $o, $ended)",
            "$buf.push($o, $a, $r, $n, False)",
        ),
        ("$buf.push($o, $a, $r, $n, bool($ended))",),
    ),
    needs="trunc term done",
)


_MASKS = rewriting(
    "response-mask-wrong",
    "K09",
    Rule(
        "$x * $mask",
        ("$x", "$x * (1 - $mask)", "$x * $mask.roll(1, -1)"),
        ("$mask * $x", "torch.mul($x, $mask)", "$x * $mask.to($x.dtype)"),
        where={"mask": r"(?i)mask", "x": r"(?i)loss|log|reward|kl|adv|value|ratio|ent"},
        about=ABOUT_RL,
    ),
    Rule(
        "($x * $mask).sum() / $mask.sum()",
        ("($x * $mask).mean()", "$x.sum() / $mask.sum()", "($x * $mask).sum() / $mask.numel()"),
        ("torch.sum($x * $mask) / $mask.sum()", "($mask * $x).sum() / $mask.sum()"),
    ),
    Rule(
        "$x[:, -1]",
        ("$x[:, 0]", "$x[:, -2]"),
        ("$x[:, -1:].squeeze(1)", "$x.select(1, -1)"),
        where={"x": r"(?i)rew|val|score|log"},
    ),
    Rule(
        "$m[:, $start:]",
        ("$m[:, $start + 1:]", "$m[:, :$start]", "$m[:, $start - 1:]"),
        ("$m[:, $start :]", "$m[:, ($start):]"),
        where={"m": r"(?i)mask|log|response|value|sequence", "start": r"(?i)query|prompt|context|start|len"},
    ),
    Rule(
        "$r.view(-1, $n).mean(dim=$d)",
        ("$r.view(-1, $n).mean(dim=0)", "$r.view($n, -1).mean(dim=$d)", "$r.view(-1, $n).amax(dim=$d)"),
        ("$r.reshape(-1, $n).mean(dim=$d)", "$r.view(-1, $n).mean($d)"),
    ),
    Rule(
        "$m.repeat_interleave($n, $*rest)",
        ("$m.repeat($n)", "$m.roll(1).repeat_interleave($n, $*rest)"),
        ("torch.repeat_interleave($m, $n, $*rest)", "$m.repeat_interleave(repeats=$n, $*rest)"),
    ),
    Rule(
        "$ids != $pad",
        ("$ids == $pad", "$ids >= 0", "$ids > $pad"),
        ("~($ids == $pad)", "$pad != $ids", "$ids.ne($pad)"),
        where={"pad": r"(?i)pad|eos"},
        about=ABOUT_RL,
    ),
    needs="mask reward group response",
)


OPERATORS = (
    _SHAPING,
    operator("reward-for-something-else", "K04", "reward score rew", _reward_added),
    operator("online-network-as-target", "K05", "target tgt", _networks_swapped),
    _POLYAK,
    _ENTROPY,
    _REPLAY,
    operator("truncation-as-termination", "K08", "env.step envs.step", _ends_confused),
    _ENDS,
    _MASKS,
)
