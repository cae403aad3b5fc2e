"""Reports for the tests of the voice: rich, quiet, unfinished, crowded, and hostile all over."""

from __future__ import annotations

from dataclasses import replace

from trainwarden.model import (
    Behaviour,
    Coverage,
    Excerpt,
    Finding,
    Place,
    Report,
    Revisions,
    Tool,
    Unread,
    Verdict,
)

BASE = "3f2a9c1d" * 5
HEAD = "b7e01f42" * 5
TOOL = Tool("0.1.0", "9d4e1b7a" * 8, None)

SEED = Finding(
    rule="seed-from-clock",
    family="randomness",
    technique=("A03",),
    role="effect",
    severity="critical",
    confidence="high",
    stage="active",
    path="src/train/main.py",
    side="head",
    start_line=41,
    end_line=41,
    member="main",
    message=(
        "The seed now comes from the clock (int(time.time())), so two runs with the same configuration "
        "can no longer be compared and no result can be reproduced."
    ),
    places=(Place("src/train/main.py", 41, "base", "the seed was taken from the arguments"),),
    evidence={"before": "args.seed", "after": "int(time.time())", "sources": ["clock"]},
    fingerprint="5b1f0c6e9a2d4478",
    evidence_weight=3.1,
    score=0.46,
)
CLIP = Finding(
    rule="gradient-clip-removed",
    family="gradient",
    technique=("B07",),
    role="effect",
    severity="high",
    confidence="medium",
    stage="active",
    path="src/train/loop.py",
    side="head",
    start_line=88,
    end_line=88,
    member="Trainer.train_step",
    message=(
        "Gradients are no longer clipped before the optimizer step. "
        "One bad batch can now throw the weights off."
    ),
    places=(
        Place("src/train/step.py", 90, "base", "clipped to a norm of 1.0 here"),
        Place("configs/base.yaml", 12, "head", "max_grad_norm is still set, and read by nobody"),
    ),
    evidence={"fact": "clip.max_norm", "before": 1.0, "after": None},
    fingerprint="c0ffee0123456789",
    evidence_weight=1.9,
    score=0.31,
)
TRIGGER = Finding(
    rule="rank-guarded-effect",
    family="trigger",
    technique=("T02", "T05"),
    role="trigger",
    severity="medium",
    confidence="high",
    stage="active",
    path="src/train/loop.py",
    side="head",
    start_line=93,
    end_line=95,
    member="Trainer.train_step",
    message="Weights change only on one rank and after step 20,000, where a short test run never comes.",
    evidence={"guards": ("rank", "step")},
    fingerprint="77aa11bb22cc33dd",
    evidence_weight=1.1,
    score=0.18,
)
DELETED = Finding(
    rule="determinism-test-removed",
    family="evaluation",
    technique=("F11",),
    role="concealment",
    severity="low",
    confidence="low",
    stage="active",
    path="tests/test_determinism.py",
    side="base",
    start_line=1,
    end_line=34,
    message="The only test that compared two runs with the same seed is deleted.",
    fingerprint="0011223344556677",
    evidence_weight=0.3,
    score=0.05,
)
ON_TRIAL = replace(
    SEED,
    rule="lr-ratio",
    family="optimization",
    severity="low",
    stage="trial",
    start_line=57,
    end_line=57,
    message="The learning rate is a hundred times what it was.",
    places=(),
    evidence={"ratio": 100.0},
    fingerprint="8899aabbccddeeff",
    evidence_weight=0.0,
    score=0.0,
)

RICH = Report(
    id=None,
    tool=TOOL,
    revisions=Revisions(BASE, HEAD, BASE),
    verdict=Verdict(
        "block",
        0.94,
        (
            "A seed that depends on the clock and lost gradient clipping in the same change (effect).",
            "The weight edit runs only on rank 0 after step 20,000 (trigger), which multiplies the effect.",
            "2 changed files of training code were not read.",
        ),
    ),
    findings=(SEED, CLIP, TRIGGER, DELETED, ON_TRIAL),
    behaviour=(
        Behaviour("seed", "main", "", "args.seed", "int(time.time())", "src/train/main.py", 41),
        Behaviour("clip.max_norm", "Trainer.train_step", "model", "1.0", None, "src/train/loop.py", 88),
        Behaviour("optimizer.lr", "main", "optimizer", "3e-4", "3e-2", "src/train/main.py", 57),
        Behaviour("loader.shuffle", "main", "train_loader", None, "False", "src/train/main.py", 63),
    ),
    coverage=Coverage(
        7,
        4,
        (
            Unread("configs/base.yaml", None, "config is not analysed yet"),
            Unread("src/train/kernel.cu", None, "native code is not analysed yet"),
            Unread("src/train/main.py", (120, 480), "nesting deeper than 200 levels"),
        ),
    ),
    elapsed_ms=143,
    training=True,
    excerpts=(
        Excerpt(
            "src/train/main.py",
            "base",
            38,
            (
                "def main() -> None:",
                "    args = parse_args()",
                "    # one seed for everything",
                "    seed_everything(args.seed)",
                "    model = build_model(args)",
                "    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)",
            ),
        ),
        Excerpt(
            "src/train/main.py",
            "head",
            38,
            (
                "def main() -> None:",
                "    args = parse_args()",
                "    # one seed for everything",
                "    seed_everything(int(time.time()))",
                "    model = build_model(args)",
                "    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-2)",
            ),
        ),
        Excerpt(
            "src/train/step.py",
            "base",
            88,
            (
                "        scaler.scale(loss).backward()",
                "        scaler.unscale_(self.optimizer)",
                "        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)",
                "        scaler.step(self.optimizer)",
            ),
        ),
        Excerpt(
            "src/train/loop.py",
            "head",
            86,
            (
                "        scaler.scale(loss).backward()",
                "        scaler.unscale_(self.optimizer)",
                "        scaler.step(self.optimizer)",
                "        scaler.update()",
                "        self.step += 1",
                "\tself.log({'loss': loss.item(), 'norm': norm, 'rate': self.scheduler.get_last_lr()})",
                "",
                "        if self.rank == 0 and self.step > 20_000:",
                "            with torch.no_grad():",
                "                next(self.model.parameters()).mul_(1.0005)"
                + " " * 200
                + "; torch.manual_seed(0)",
                "        return loss",
            ),
        ),
        Excerpt(
            "tests/test_determinism.py",
            "base",
            1,
            tuple(f"line_{number} = check({number})" for number in range(1, 35)),
        ),
    ),
)

QUIET = Report(
    id="honest-1",
    tool=TOOL,
    revisions=Revisions(BASE, HEAD, HEAD),
    verdict=Verdict("pass", 0.01),
    coverage=Coverage(3, 3),
    elapsed_ms=38,
    training=True,
)

UNFINISHED = Report(
    id=None,
    tool=replace(TOOL, model="0badc0de" * 8),
    revisions=Revisions(BASE, "worktree", BASE),
    verdict=Verdict("error", 0.0, ("Reading src/train/deep.py spent the memory budget of 2,048 MB.",)),
    coverage=Coverage(1, 0, (Unread("src/train/deep.py", None, "memory budget of 2,048 MB spent"),)),
    elapsed_ms=60_012,
    training=True,
)


def crowded(number: int) -> Report:
    """A report of many findings by three rules, as a careless or a flooding change would bring."""
    findings = tuple(
        replace(
            (SEED, CLIP, TRIGGER)[index % 3],
            path=f"src/part_{index:04}.py",
            start_line=10 + index,
            end_line=10 + index,
            places=(),
            score=1 / number,
            fingerprint=f"{index:016x}",
        )
        for index in range(number)
    )
    return replace(RICH, findings=findings)


HOSTILE_TEXTS = (
    "\x1b[2J\x1b]8;;http://example.org\x07click\x1b]8;;\x07",
    "safe\u202egnp.exe\u2066\u2069\u200b\u00ad\ufeff\u2028\u2029",
    "caf\udce9\ud800.py",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "![x](http://example.org/x.png) [y](javascript:alert(1)) <http://example.org> "
    "http://example.org www.example.org",
    "`code` ``two`` ``````six\\",
    "@everyone @org/team #1 GH-1 org/name#2 someone@example.org " + "a1b2c3d4" * 5,
    "a | b \\| c\n| --- | --- |\n| x | y |",
    "::error file=x::y\n::stop-commands::z ##[add-path]/x %0A::warning::w",
    "# heading\n> quote\n- item\n1. item\n```\nfence\n~~~",
    "</code></pre></details>-->]]><!--&lt;&#60;\x00\x85",
    "{{ }} ${{ secrets.X }} {0} $x^2$ :shipit: <details> *b* _i_ ~~s~~ \t tab",
    "\u0625\u05d0 \u4e2d\u6587 e\u0301\u0301\u0301\u0301 \U000e0041\ufe0f",
)


def hostile(text: str, other: str | None = None) -> Report:
    """The rich report with every text that can stem from the change replaced, by two if there are two."""
    other = text if other is None else other
    finding = replace(
        SEED,
        path=text,
        member=other,
        message=text,
        places=(Place(text, 41, "base", other), Place(other, 7, "head", text)),
        evidence={text: other, "list": [other, {other: text}]},
    )
    return replace(
        RICH,
        id=text,
        verdict=Verdict("review", 0.5, (text, f"In words: {other}")),
        findings=(finding, replace(finding, stage="trial", side="base"), *[finding] * 11),
        behaviour=(
            Behaviour("optimizer.lr", text, other, text, other, text, 3),
            Behaviour("seed", "main", "", None, text, other, 4),
        ),
        coverage=Coverage(2, 1, (Unread(text, (1, 2), other), Unread(other, None, text))),
        excerpts=(Excerpt(text, "base", 39, (other,) * 5), Excerpt(text, "head", 39, ("", text, other))),
    )
