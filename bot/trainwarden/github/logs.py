"""Structured logs: log records in, one JSON object a line on standard error or output; no secrets, no code.

A message is plain text fixed in our code; everything variable travels in ``fields`` and is escaped by JSON,
so a hostile name cannot start a new line or imitate another record.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import TextIO

# Shapes of GitHub tokens, of signed app tokens and of HTTP credentials, wherever they would appear.
_TOKENS = re.compile(
    r"gh[a-z]_[A-Za-z0-9_]{10,}|github_pat_\w{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    r"|(?i:(?:bearer|basic|token)\s+[A-Za-z0-9+/=._-]{12,})|(?<=://)[^/@\s]{3,}@"
)
_LONGEST = 500


def scrub(text: str) -> str:
    """``text`` with credentials replaced, control characters made visible, cut to length."""
    clean = _TOKENS.sub("[removed]", text[: 4 * _LONGEST])
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in clean)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 3] + "..."


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON line: time, level, logger, message, then the scrubbed fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON; exceptions are named by class and place, never by their text or locals."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": scrub(record.getMessage()),
        }
        fields = getattr(record, "fields", None) or {}
        line.update({str(k): scrub(v) if isinstance(v, str) else v for k, v in fields.items()})
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _place(record)
        return json.dumps(line, default=lambda value: scrub(str(value)))


def _place(record: logging.LogRecord) -> str:
    assert record.exc_info
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""


def install(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every logger of this process through one JSON handler (standard error by default)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("dbos", "urllib3", "github.Requester", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def note(logger: logging.Logger, message: str, **fields: object) -> None:
    """Log ``message`` at INFO with ``fields``."""
    logger.info(message, extra={"fields": fields})


def warn(logger: logging.Logger, message: str, **fields: object) -> None:
    """Log ``message`` at WARNING with ``fields``."""
    logger.warning(message, extra={"fields": fields})
