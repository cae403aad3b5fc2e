"""The nouns every room shares: what a change is, what is said about it, and how the work can fail.

Nothing here reads files or decides anything. All values are frozen; the words are those of docs/development.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

FileKind = Literal[
    "python", "notebook", "config", "shell", "native", "workflow", "requirements", "binary", "text"
]
Side = Literal["base", "head"]
Role = Literal["effect", "trigger", "concealment"]
Level = Literal["low", "medium", "high", "critical"]
Stage = Literal["active", "trial"]
VerdictName = Literal["pass", "review", "block", "error"]
Device = Literal["auto", "cpu", "cuda"]
Lines = tuple[int, int]

SEVERITIES: tuple[Level, ...] = ("low", "medium", "high", "critical")
CONFIDENCES: tuple[Level, ...] = ("low", "medium", "high")


class TrainwardenError(Exception):
    """Root of every error this package raises on purpose.

    ``hint`` is one sentence saying what the reader can do about it; empty when there is nothing to do.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Misuse(TrainwardenError):
    """The request itself is wrong: not a repository, unknown revision, bad flag, rule or config. Exit code 2."""

    exit_code = 2


class Unfinished(TrainwardenError):
    """The review could not be finished: budget, crash, missing object. Exit code 3, verdict ``error``."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Revisions:
    """What is compared: full object names, or words such as ``index`` where there is no commit. ``policy`` rules."""

    base: str
    head: str
    policy: str


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One side of a file: its path (surrogateescape-decoded UTF-8), git mode (e.g. 0o100644) and bytes."""

    path: str
    mode: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Unread:
    """Something changed that was not analysed; ``lines`` is None when the whole file is meant (head side numbers)."""

    path: str
    lines: Lines | None
    reason: str


@dataclass(frozen=True, slots=True)
class FilePair:
    """One changed file, before and after. At least one side is present; ``copied`` marks a copy of a kept file."""

    before: FileVersion | None
    after: FileVersion | None
    copied: bool = False

    @property
    def path(self) -> str:
        """The path a reader knows it by: that of the head, or of the base when the file is deleted."""
        version = self.after or self.before
        assert version is not None
        return version.path


class Source(Protocol):
    """Where a change comes from. Implementations live in ``git.py``; every door uses one."""

    @property
    def revisions(self) -> Revisions:
        """The object names of both sides and of the policy revision."""

    def pairs(self) -> Iterator[FilePair | Unread]:
        """Every changed file once, in path order; what cannot be read comes as ``Unread``. Raises ``Unfinished``."""

    def trusted(self, path: str) -> bytes | None:
        """The bytes of a file in the policy revision, or None when it is not there."""

    def head_exists(self, path: str) -> bool:
        """Whether the head tree holds a file of this path (to tell moved code from removed code)."""

    def messages(self) -> tuple[str, ...]:
        """Commit messages of the change, if it has commits. Never evidence of innocence."""

    def close(self) -> None:
        """Ends helper processes. Idempotent."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing the code says about training on one side.

    Identity across sides is (name, scope, subject). ``value`` is text as a reviewer would read it;
    ``number`` holds its value when it is one. ``order`` is the position among the facts of the same scope.
    ``loop`` is the loop depth, ``guards`` the kinds of condition it runs under (see ``edits.GuardKind``).
    """

    name: str
    scope: str
    subject: str
    value: str
    path: str
    line: int
    end_line: int
    number: float | None = None
    order: int = 0
    loop: int = 0
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shift:
    """A fact that differs between the sides; at least one side is present."""

    before: Fact | None
    after: Fact | None

    @property
    def fact(self) -> Fact:
        """The side that speaks for the shift: head if there, else base."""
        fact = self.after or self.before
        assert fact is not None
        return fact


@dataclass(frozen=True, slots=True)
class Place:
    """A line that carries evidence, with words for it."""

    path: str
    line: int
    side: Side
    caption: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule (or the classifier) with evidence at one primary place and captioned others.

    ``evidence_weight`` is in nats (log likelihood ratio) before the policy shares the risk out;
    ``score`` is the share of the change's risk, 0 to 1, filled in by the policy.
    ``member`` names the function, method or run of statements it lies in.
    """

    rule: str
    family: str
    technique: tuple[str, ...]
    role: Role
    severity: Level
    confidence: Level
    stage: Stage
    path: str
    side: Side
    start_line: int
    end_line: int
    message: str
    member: str = ""
    places: tuple[Place, ...] = ()
    evidence: Mapping[str, object] = field(default_factory=dict)
    fingerprint: str = ""
    evidence_weight: float = 0.0
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A row of the table that says what the change does to training. None means absent on that side."""

    fact: str
    scope: str
    subject: str
    before: str | None
    after: str | None
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many changed files there were, how many were read whole, and what was not."""

    changed: int
    read: int
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, one calibrated number (0 to 1) and the reasons in words, the weightiest first."""

    name: VerdictName
    risk: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """What judged: the version, the digest of the rules, and of the model or None (rules only)."""

    version: str
    rules: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Source lines around a finding for a person to read; ``first`` is the number of the first line."""

    path: str
    side: Side
    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What second opinions took: units offered, read, and of those from the cache; calls, and those without an answer.

    ``money`` in the operator's currency; ``latencies``: seconds from the sending of a unit's calls to each answer.
    """

    offered: int = 0
    units: int = 0
    cached: int = 0
    calls: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    latencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything said about one change. ``findings`` are in the order of their share of the risk.

    ``excerpts`` serve the human-readable formats only, ``usage`` (None: no second opinion was asked for) measuring;
    the JSON contract does not carry them.
    """

    id: str | None
    tool: Tool
    revisions: Revisions
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    behaviour: tuple[Behaviour, ...] = ()
    coverage: Coverage = Coverage(0, 0)
    elapsed_ms: int = 0
    training: bool = False
    excerpts: tuple[Excerpt, ...] = ()
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Overlay:
    """Edits laid over the head tree in memory: path -> (mode, bytes), or None for a deleted path."""

    files: Mapping[str, tuple[int, bytes] | None]


@dataclass(frozen=True, slots=True)
class Request:
    """One review as plain data, so that it can cross the process boundary into the killable child.

    ``kind`` says which of the other fields apply: ``range`` (base, head), ``staged`` and ``worktree`` (base,
    default HEAD), ``patch`` (base, patch bytes), ``files`` (positional paths of the worktree, compared with
    HEAD), ``overlay`` (base, head, and edits laid over head).
    """

    repo: str
    kind: Literal["range", "staged", "worktree", "patch", "files", "overlay"]
    base: str | None = None
    head: str | None = None
    policy: str | None = None
    patch: bytes | None = None
    files: tuple[str, ...] = ()
    overlay: Overlay | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ScorerChoice:
    """Where the learned risk is computed, as the operator (and nobody else) chose it.

    ``folder``: a model of the operator instead of the bundled one.
    ``url``: a server of the Open Inference Protocol (``http``, ``https``, ``grpc``, ``grpcs``); None: this process.
    ``model``: its name on that server. ``seconds``: for one answer of it, retries included. ``cleartext`` allows
    ``http`` and ``grpc`` to other machines. ``token_file`` holds a bearer token, ``ca_file`` the certificates to trust.
    ``device`` and ``threads`` (0: by itself) are for this process, of which ``workers`` run side by side.
    """

    url: str | None = None
    model: str = "change-risk"
    seconds: float = 5.0
    cleartext: bool = False
    token_file: str | None = None
    ca_file: str | None = None
    device: Device = "auto"
    threads: int = 0
    workers: int = 1
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeChoice:
    """The language model that gives second opinions, as the operator (and nobody else) chose it. Off without ``url``.

    ``url``: a server of OpenAI's chat protocol; ``model``: its name there. ``key`` or ``key_file`` authorises us.
    ``above``: the risk from which on a unit is read (None: as calibrated). ``seconds``: for one unit;
    ``patience``: for one change. ``tokens`` and ``money``: for one change; ``day_tokens`` and ``day_money``: for a day
    (UTC), counted in ``folder``, which also keeps the cache. ``price_in``, ``price_out``: money for a million tokens.
    """

    url: str | None = None
    model: str = ""
    key: str | None = field(default=None, repr=False)
    key_file: str | None = None
    ca_file: str | None = None
    cleartext: bool = False
    above: float | None = None
    seconds: float = 15.0
    patience: float = 30.0
    answer_tokens: int = 400
    tokens: int = 60_000
    money: float | None = None
    day_tokens: int | None = None
    day_money: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How to review, the same for many requests: operator's pack and config, what to leave out, budgets.

    ``seconds`` and ``megabytes`` bound one whole review (CPU and wall; address space of the child). ``keep_open``:
    the process that reads a repository outlives a review. For many changes of one that stays in its place.
    """

    rules_dir: str | None = None
    bundled: bool = True
    model: bool = True
    history: bool = True
    config_file: str | None = None
    seconds: float = 60.0
    megabytes: int = 2048
    scorer: ScorerChoice = ScorerChoice()
    judge: JudgeChoice = JudgeChoice()
    keep_open: bool = False


UnitTag = Literal["same", "removed", "added", "moved"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a unit as the classifier reads it: its own code (a compound one's header) in lexemes.

    ``lexemes`` are (text, tag); ``depth`` counts the blocks around it within the member; ``line`` is its line on the
    head side (for something removed, the line after the gap). ``edited``: whether an edit lies in it.
    """

    lexemes: tuple[tuple[str, UnitTag], ...]
    depth: int
    line: int
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """What the classifier scores: the edits of one member (or of a part of it) in their context, both sides in one.

    ``signals`` are those of ``evidence.signals`` over its edits. Comments, documentation and layout are not in it.
    """

    path: str
    member: str
    statements: tuple[Statement, ...]
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one unit.

    ``logit`` is calibrated log-odds, ``risk`` its probability; ``family`` the taxonomy's letter it looks most like, ""
    for none; ``lines`` the head lines of edited statements with how far each carries the risk (log-odds, the
    highest first).
    """

    risk: float
    logit: float
    family: str = ""
    lines: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Opinion:
    """A second opinion on one unit. ``nats``: evidence it adds, never negative.

    ``line``: the head line it points at, None for none; ``technique``: the taxonomy's letter or "". ``reason``: a
    language model's words, on one line: untrusted. ``probabilities`` of sabotage: of the edit as it is, anonymised, and
    with its sides exchanged; None where there is no answer.
    """

    nats: float
    line: int | None
    technique: str
    reason: str
    probabilities: tuple[float | None, float | None, float | None]
    by: str


@dataclass(frozen=True, slots=True)
class Opinions:
    """What was said of the units of a change, by their places; ``notes``: what was not read and why, for the report."""

    of: Mapping[int, Opinion]
    notes: tuple[str, ...]
    usage: Usage


class SecondReader(Protocol):
    """Gives second opinions on units. The one implementation is ``score.judge.reader``."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    def read(self, units: Sequence[Unit], risks: Sequence[float], above: float) -> Opinions:
        """Reads the units whose risk is above a threshold, the riskiest first. A failure is a note, never raised."""

    def close(self) -> None:
        """Hangs up. Idempotent."""


class Scorer(Protocol):
    """Scores units. Implementations live in ``score``; they are stateless from one call to the next."""

    @property
    def name(self) -> str:
        """What it is called, with the fallback that was taken if there was one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report must say of how the last units were scored; empty when all went as it was meant to."""

    @property
    def digest(self) -> str:
        """sha256 of the artefact's manifest, in hex."""

    def score(self, units: Sequence[Unit]) -> tuple[Score, ...]:
        """One score a unit, in order. Raises ``Unfinished`` when it cannot."""

    def close(self) -> None:
        """Ends helper processes and connections. Idempotent."""
