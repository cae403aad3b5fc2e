"""The App's own durable state: deliveries, leases, attempts and marks, on SQLite or PostgreSQL.

Comes in: a database address. Goes out: small typed answers; every method is one short transaction. What was
reviewed and said lives in ``ledger.py``; the job engine keeps its own tables.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from trainwarden.github.events import Job

METADATA = sa.MetaData()
DELIVERIES = sa.Table(
    "tw_deliveries",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("received", sa.Float, nullable=False, index=True),
    sa.Column("jobs", sa.Text, nullable=False),
    sa.Column("dispatched", sa.Integer, nullable=False, default=0, index=True),
)
LEASES = sa.Table(
    "tw_leases",
    METADATA,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)
ATTEMPTS = sa.Table(
    "tw_attempts",
    METADATA,
    sa.Column("subject", sa.String(300), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)
MARKS = sa.Table(
    "tw_marks",
    METADATA,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One accepted webhook delivery: GitHub's id, the SHA-256 of the signed body, the jobs asked for."""

    id: str
    digest: str
    event: str
    jobs: tuple[Job, ...]


def digest(body: bytes) -> str:
    """What a replayed body is known by, whatever (unsigned) delivery id it comes with."""
    return hashlib.sha256(body).hexdigest()


def engine(url: str) -> sa.Engine:
    """An engine for our tables: SQLite in write-ahead mode, synced on each commit, or PostgreSQL."""
    if not url.startswith("sqlite"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        return sa.create_engine(url, pool_pre_ping=True, pool_size=8, pool_timeout=10)
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    made = sa.create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})
    sa.event.listen(made, "connect", _prepare_sqlite)
    return made


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Writers take their lock at BEGIN: two that upgrade a read lock would fail instead of waiting.
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


class Store:
    """Deliveries, leases, attempts, marks. Safe to share between threads and between processes."""

    def __init__(self, made: sa.Engine) -> None:
        self.engine = made
        self._postgres = made.dialect.name == "postgresql"

    def prepare(self) -> None:
        """Create what is missing. Several processes may do so at once."""
        with self.engine.begin() as c:
            # Looking for a table and creating it must be one deed; SQLite's driver begins nothing before DDL.
            lock = "SELECT pg_advisory_xact_lock(827364)" if self._postgres else "BEGIN IMMEDIATE"
            c.exec_driver_sql(lock)
            METADATA.create_all(c)

    def reached(self) -> None:
        """Return if the database answers; raises what it raises otherwise."""
        with self.engine.connect() as c:
            c.execute(sa.text("SELECT 1"))

    def insert(self, table: sa.Table) -> Any:
        """An ``INSERT`` that knows ``ON CONFLICT`` in the dialect at hand."""
        return postgresql.insert(table) if self._postgres else sqlite.insert(table)

    def now(self, c: sa.Connection) -> float:
        """The database's clock, so that workers whose clocks differ agree on leases. Unix seconds."""
        if self._postgres:
            return float(c.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
        return time.time()

    # Deliveries ---------------------------------------------------------------------------------------------

    def accept(self, deliveries: Sequence[Delivery]) -> int:
        """Store deliveries in one transaction, skipping ids and bodies seen before; how many were new."""
        with self.engine.begin() as c:
            now = self.now(c)
            new = 0
            for position, d in enumerate(deliveries):
                jobs = json.dumps([job.to_dict() for job in d.jobs])
                # Later ones of a batch sort after earlier ones.
                row = {"id": d.id, "digest": d.digest, "event": d.event, "received": now + position * 1e-6}
                statement = self.insert(DELIVERIES).values(**row, jobs=jobs, dispatched=0)
                # Counted by what comes back: an insert's rowcount is not known in every driver.
                kept = c.execute(statement.on_conflict_do_nothing().returning(DELIVERIES.c.id))
                new += len(kept.all())
            return new

    def waiting(self, limit: int = 100) -> list[Delivery]:
        """Deliveries whose jobs were not queued yet, oldest first."""
        query = sa.select(DELIVERIES).where(DELIVERIES.c.dispatched == 0)
        query = query.order_by(DELIVERIES.c.received).limit(limit)
        with self.engine.connect() as c:
            rows = c.execute(query).all()
        return [
            Delivery(r.id, r.digest, r.event, tuple(Job.from_dict(j) for j in json.loads(r.jobs)))
            for r in rows
        ]

    def dispatched(self, ids: Iterable[str]) -> None:
        """Mark deliveries whose jobs are now in the queue."""
        with self.engine.begin() as c:
            c.execute(sa.update(DELIVERIES).where(DELIVERIES.c.id.in_(list(ids))).values(dispatched=1))

    def backlog(self) -> int:
        """How many deliveries wait for the dispatcher."""
        query = sa.select(sa.func.count()).select_from(DELIVERIES).where(DELIVERIES.c.dispatched == 0)
        with self.engine.connect() as c:
            return int(c.execute(query).scalar_one())

    def prune(self, seconds: float) -> None:
        """Forget dispatched deliveries older than ``seconds``; GitHub redelivers for three days at most."""
        with self.engine.begin() as c:
            old = self.now(c) - seconds
            gone = sa.and_(DELIVERIES.c.dispatched == 1, DELIVERIES.c.received < old)
            c.execute(sa.delete(DELIVERIES).where(gone))

    # Leases -------------------------------------------------------------------------------------------------

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease; False when someone else holds it."""
        with self.engine.begin() as c:
            now = self.now(c)
            insert = self.insert(LEASES).values(name=name, holder=holder, until=now + seconds)
            free = sa.or_(LEASES.c.holder == holder, LEASES.c.until < now)
            statement = insert.on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": insert.excluded.holder, "until": insert.excluded.until},
                where=free,
            )
            return c.execute(statement.returning(LEASES.c.name)).first() is not None

    def release(self, name: str, holder: str) -> None:
        """Give a lease back early."""
        with self.engine.begin() as c:
            c.execute(sa.delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))

    def renew(self, executor: str, seconds: float) -> None:
        """Renew every lease of an executor and of its jobs (``executor#job``)."""
        with self.engine.begin() as c:
            mine = LEASES.c.holder.startswith(f"{executor}#", autoescape=True)
            own = sa.or_(LEASES.c.holder == executor, mine)
            c.execute(sa.update(LEASES).where(own).values(until=self.now(c) + seconds))

    def inherit(self, executor: str, holder: str) -> None:
        """Drop what an earlier process of this executor (``executor#...``) held: it is gone, we are it."""
        with self.engine.begin() as c:
            ours = LEASES.c.holder.startswith(holder, autoescape=True)
            theirs = LEASES.c.holder.startswith(f"{executor}#", autoescape=True)
            c.execute(sa.delete(LEASES).where(theirs, sa.not_(ours)))

    def holds(self, name: str, holder: str) -> bool:
        """Whether a lease is still ours: asked before anything is said to the world."""
        with self.engine.connect() as c:
            query = sa.select(LEASES.c.until).where(LEASES.c.name == name, LEASES.c.holder == holder)
            until = c.execute(query).scalar()
            return until is not None and until > self.now(c)

    def silent(self, prefix: str) -> list[str]:
        """Names (without ``prefix``) of leases that ran out: executors that no longer beat."""
        with self.engine.connect() as c:
            query = sa.select(LEASES.c.name).where(
                LEASES.c.name.startswith(prefix, autoescape=True), LEASES.c.until < self.now(c)
            )
            names: list[str] = list(c.execute(query).scalars())
            return [name.removeprefix(prefix) for name in names]

    def forget(self, name: str) -> None:
        """Drop a lease that ran out, after its jobs were adopted."""
        with self.engine.begin() as c:
            c.execute(sa.delete(LEASES).where(LEASES.c.name == name, LEASES.c.until < self.now(c)))

    # Attempts and marks -------------------------------------------------------------------------------------

    def begin(self, subject: str) -> int:
        """Count one more start of a job that may kill its worker; how many starts had no orderly end."""
        with self.engine.begin() as c:
            insert = self.insert(ATTEMPTS).values(subject=subject, count=1)
            more = {"count": ATTEMPTS.c.count + 1}
            c.execute(insert.on_conflict_do_update(index_elements=["subject"], set_=more))
            return int(
                c.execute(sa.select(ATTEMPTS.c.count).where(ATTEMPTS.c.subject == subject)).scalar_one()
            )

    def end(self, subject: str) -> None:
        """The job came to an orderly end, good or bad."""
        with self.engine.begin() as c:
            c.execute(sa.delete(ATTEMPTS).where(ATTEMPTS.c.subject == subject))

    def mark(self, name: str, value: str) -> None:
        """Remember a word under a name."""
        with self.engine.begin() as c:
            insert = self.insert(MARKS).values(name=name, value=value)
            c.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    def marked(self, name: str) -> str:
        """The word remembered under a name, empty when there is none."""
        with self.engine.connect() as c:
            return c.execute(sa.select(MARKS.c.value).where(MARKS.c.name == name)).scalar() or ""

    def claim(self, name: str) -> bool:
        """True once for each name, for ever: guards what must not be done twice."""
        with self.engine.begin() as c:
            insert = self.insert(MARKS).values(name=name, value="claimed")
            granted = c.execute(insert.on_conflict_do_nothing().returning(MARKS.c.name))
            return granted.first() is not None

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
