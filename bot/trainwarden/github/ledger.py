"""What was reviewed, said and decided: heads with their checks, reports, approvals, opinions, people.

Comes in and goes out: small frozen values; one short transaction each. GitHub stays the truth about checks;
this is our memory, so that nothing is asked twice and approvals have a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from trainwarden.github.events import Job
from trainwarden.github.store import METADATA, Store
from trainwarden.model import Report
from trainwarden.report import json as report_json

HEADS = sa.Table(
    "tw_heads",
    METADATA,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("head", sa.String(64), primary_key=True),
    sa.Column("check_id", sa.BigInteger, nullable=False),
    sa.Column("finished", sa.Integer, nullable=False, index=True),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("conclusion", sa.String(32), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("annotated", sa.Text, nullable=False),
    sa.Column("views", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False, index=True),
)
REPORTS = sa.Table(
    "tw_reports",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("repo_id", sa.BigInteger, nullable=False),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Index("tw_reports_head", "repo_id", "head"),
)
APPROVALS = sa.Table(
    "tw_approvals",
    METADATA,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("head", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.String(128), primary_key=True),
    sa.Column("login", sa.String(110), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
OPINIONS = sa.Table(
    "tw_opinions",
    METADATA,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("fingerprint", sa.String(128), primary_key=True),
    sa.Column("login", sa.String(110), primary_key=True),
    sa.Column("opinion", sa.String(8), nullable=False),
    sa.Column("rule", sa.String(128), nullable=False),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
PEOPLE = sa.Table(
    "tw_people",
    METADATA,
    sa.Column("repo_id", sa.BigInteger, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("login", sa.String(110), primary_key=True),
)


@dataclass(frozen=True, slots=True)
class Head:
    """What we said about a head: ``key`` is the digest of all its conclusion was drawn from.

    ``views`` names the pull requests and their targets (see ``remote.views``).
    """

    repo_id: int
    head: str
    check_id: int
    finished: bool
    verdict: str
    conclusion: str
    key: str
    origin: Job
    annotated: frozenset[str]
    views: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's word on one finding of one head. ``fingerprint`` may stand for a whole reading."""

    repo_id: int
    head: str
    fingerprint: str
    login: str
    reason: str


class Ledger:
    """Typed questions to the tables above. Safe to share between threads and processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Heads --------------------------------------------------------------------------------------------------

    def opened(self, job: Job, head: str, check_id: int) -> None:
        """A check was put in progress."""
        row = {"check_id": check_id, "finished": 0, "verdict": "", "conclusion": "", "key": ""}
        self._head(job, head, row)

    def concluded(self, said: Head) -> None:
        """A check was finished."""
        row = {"check_id": said.check_id, "finished": 1, "verdict": said.verdict}
        row |= {"conclusion": said.conclusion, "key": said.key}
        self._head(
            said.origin,
            said.head,
            row | {"annotated": json.dumps(sorted(said.annotated)), "views": said.views},
        )

    def _head(self, job: Job, head: str, row: dict[str, Any]) -> None:
        with self._store.engine.begin() as c:
            values = {**row, "origin": json.dumps(job.to_dict()), "at": self._store.now(c)}
            insert = self._store.insert(HEADS)
            insert = insert.values(
                repo_id=job.repo_id, head=head, **({"annotated": "[]", "views": ""} | values)
            )
            c.execute(insert.on_conflict_do_update(index_elements=["repo_id", "head"], set_=values))

    def head(self, repo_id: int, head: str) -> Head | None:
        """What was said about a head, None when nothing was."""
        found = self._heads(sa.and_(HEADS.c.repo_id == repo_id, HEADS.c.head == head))
        return found[0] if found else None

    def unfinished(self, seconds: float) -> list[Head]:
        """Heads whose check was left in progress for longer than ``seconds``."""
        with self._store.engine.connect() as c:
            before = self._store.now(c) - seconds
        return self._heads(sa.and_(HEADS.c.finished == 0, HEADS.c.at < before))

    def _heads(self, condition: sa.ColumnElement[bool]) -> list[Head]:
        with self._store.engine.connect() as c:
            rows = c.execute(sa.select(HEADS).where(condition).limit(1_000)).all()
        return [
            Head(
                r.repo_id,
                r.head,
                r.check_id,
                bool(r.finished),
                r.verdict,
                r.conclusion,
                r.key,
                Job.from_dict(json.loads(r.origin)),
                frozenset(json.loads(r.annotated)),
                r.views,
                r.at,
            )
            for r in rows
        ]

    # Reports ------------------------------------------------------------------------------------------------

    def keep(self, key: str, repo_id: int, head: str, report: Report) -> None:
        """Remember a report under the digest of what went into it."""
        text = json.dumps(report_json.to_dict(report, private=True))
        with self._store.engine.begin() as c:
            insert = self._store.insert(REPORTS).values(
                key=key, repo_id=repo_id, head=head, report=text, at=self._store.now(c)
            )
            c.execute(
                insert.on_conflict_do_update(
                    index_elements=["key"], set_={"report": text, "at": self._store.now(c)}
                )
            )

    def report(self, key: str) -> Report | None:
        """The report kept under a key."""
        with self._store.engine.connect() as c:
            text = c.execute(sa.select(REPORTS.c.report).where(REPORTS.c.key == key)).scalar()
        return report_json.from_dict(json.loads(text)) if text else None

    def reports(self, repo_id: int, head: str) -> list[Report]:
        """Every report kept about a head, newest first."""
        query = sa.select(REPORTS.c.report).where(REPORTS.c.repo_id == repo_id, REPORTS.c.head == head)
        with self._store.engine.connect() as c:
            texts: list[str] = list(c.execute(query.order_by(REPORTS.c.at.desc()).limit(20)).scalars())
        return [report_json.from_dict(json.loads(text)) for text in texts]

    # People and their words ---------------------------------------------------------------------------------

    def took_part(self, repo_id: int, number: int, logins: Iterable[str]) -> None:
        """Remember who pushed to a pull request, as its deliveries say."""
        with self._store.engine.begin() as c:
            for login in logins:
                insert = self._store.insert(PEOPLE)
                insert = insert.values(repo_id=repo_id, number=number, login=login.lower())
                c.execute(insert.on_conflict_do_nothing())

    def participants(self, repo_id: int, number: int) -> set[str]:
        """Everyone remembered for a pull request, in lower case."""
        query = sa.select(PEOPLE.c.login).where(PEOPLE.c.repo_id == repo_id, PEOPLE.c.number == number)
        with self._store.engine.connect() as c:
            return set(c.execute(query).scalars())

    def approve(self, approval: Approval) -> None:
        """Record an approval; the first reason stands."""
        with self._store.engine.begin() as c:
            insert = self._store.insert(APPROVALS).values(
                repo_id=approval.repo_id,
                head=approval.head,
                fingerprint=approval.fingerprint,
                login=approval.login.lower(),
                reason=approval.reason,
                at=self._store.now(c),
            )
            c.execute(insert.on_conflict_do_nothing())

    def approvals(self, repo_id: int, head: str) -> list[Approval]:
        """The approvals bound to a head."""
        query = sa.select(APPROVALS).where(APPROVALS.c.repo_id == repo_id, APPROVALS.c.head == head)
        with self._store.engine.connect() as c:
            rows = c.execute(query.order_by(APPROVALS.c.at)).all()
        return [Approval(r.repo_id, r.head, r.fingerprint, r.login, r.reason) for r in rows]

    def opine(self, approval: Approval, opinion: str, rule: str) -> None:
        """Record what someone thinks of a finding (``true`` or ``false``); the last word stands."""
        with self._store.engine.begin() as c:
            insert = self._store.insert(OPINIONS).values(
                repo_id=approval.repo_id,
                fingerprint=approval.fingerprint,
                login=approval.login.lower(),
                opinion=opinion,
                rule=rule,
                head=approval.head,
                at=self._store.now(c),
            )
            same = ["repo_id", "fingerprint", "login"]
            c.execute(insert.on_conflict_do_update(index_elements=same, set_={"opinion": opinion}))

    def prune(self, seconds: float) -> None:
        """Forget reports older than ``seconds``. Approvals, opinions and heads stay."""
        with self._store.engine.begin() as c:
            c.execute(sa.delete(REPORTS).where(REPORTS.c.at < self._store.now(c) - seconds))
