"""A report comes in; its text in the wanted format goes to the terminal, a pipe or a file.

Renderers are imported one at a time, because a start from cold pays for every module.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TextIO

from trainwarden.model import Misuse, Report, Unfinished, VerdictName

FORMATS = {
    "text": "trainwarden.report.text",
    "json": "trainwarden.report.json",
    "sarif": "trainwarden.report.sarif",
    "markdown": "trainwarden.report.markdown",
    "html": "trainwarden.report.html",
    "github": "trainwarden.report.annotations",
}
FAIL_ON: tuple[VerdictName, ...] = ("review", "block")
WIDTH = 80


def renderer(name: str) -> Callable[..., str]:
    """The ``render`` function of a format."""
    function: Callable[..., str] = import_module(FORMATS[name]).render
    return function


def layout(destination: str | None) -> dict[str, object]:
    """How a text report is to be laid out: columns and colour of a terminal, 80 and none elsewhere."""
    if destination is not None or not sys.stdout.isatty():
        return {"width": WIDTH, "color": False}
    return {"width": columns(sys.stdout), "color": colored(sys.stdout)}


def colored(stream: TextIO) -> bool:
    """Whether to colour: a terminal that can, whose user did not say no (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """The columns of the terminal the stream writes to, 80 when it does not tell."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def write(text: str, destination: str | None) -> None:
    """Writes to standard output, or to a file that appears whole or not at all. UTF-8 whatever the locale.

    Raises ``Misuse`` when the file cannot be written, ``Unfinished`` when standard output cannot, and
    ``BrokenPipeError`` when nobody reads it.
    """
    data = text.encode("utf-8", "backslashreplace")
    try:
        if destination is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            _write_file(Path(destination), data)
    except BrokenPipeError:
        raise
    except OSError as error:
        if destination is None:
            mute()
            raise Unfinished(f"cannot write to standard output: {error.strerror}") from error
        raise Misuse(f"cannot write {destination}: {error.strerror}", "name a file you may write") from error


def _write_file(path: Path, data: bytes) -> None:
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        path.write_bytes(data)  # a device or a named pipe cannot be replaced
        return
    path = path.resolve()  # a link keeps pointing where it does
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("xb") as file:
            file.write(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def say(message: str, who: str = "trainwarden") -> None:
    """One line for a person on standard error, with nothing in it that a terminal would obey."""
    from trainwarden.report.visible import visible

    try:
        sys.stderr.write(f"{who}: {visible(message)}\n")
        sys.stderr.flush()
    except OSError:
        mute()


def mute() -> None:
    """Lets what is still buffered go nowhere, once nobody reads: the interpreter would complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def exit_code(verdict: VerdictName, fail_on: VerdictName) -> int:
    """0 below ``fail_on``, 1 at or above it, 3 for ``error``."""
    if verdict == "error":
        return 3
    failing = ("block",) if fail_on == "block" else ("review", "block")
    return 1 if verdict in failing else 0


def summary(report: Report) -> str:
    """The outcome in a few words for standard error, where the report itself went elsewhere."""
    return f"verdict {report.verdict.name}, risk {report.verdict.risk:.2f}"
