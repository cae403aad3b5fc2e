"""``trainwarden action``: the door of a GitHub Actions job. The runner's event in, a failed or passed step out.

Nothing of the change is checked out or executed. Config, waivers and with them the mode come from the default
branch (for a push to it, from before the push). Whatever goes wrong ends with verdict ``error`` and a status
other than zero, in every mode.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.entry.event import change_of
from trainwarden.entry.runner import Runner, of_environment
from trainwarden.model import Misuse, Options, Report, Request, TrainwardenError, VerdictName

if TYPE_CHECKING:
    from trainwarden.config import Mode
    from trainwarden.entry.gather import Gathered

TOKEN = "TRAINWARDEN_TOKEN"
BY_MODE = "mode"
FAIL_ON = (BY_MODE, *output.FAIL_ON)
EPILOG = """\
Runs inside a GitHub Actions job, called by action.yml (docs/action.md). It reads GITHUB_EVENT_NAME,
GITHUB_EVENT_PATH, GITHUB_REPOSITORY, GITHUB_SERVER_URL, GITHUB_WORKSPACE and RUNNER_TEMP, fetches with the token in
TRAINWARDEN_TOKEN, prints annotations, and writes GITHUB_OUTPUT and GITHUB_STEP_SUMMARY.

exit codes:
  0 let it pass   1 the verdict fails the step   2 misuse   3 could not finish
"""

_FAILING: Mapping[str, tuple[VerdictName, ...]] = {
    "observe": (),
    "advise": ("block",),
    "enforce": ("review", "block"),
    "block": ("block",),
    "review": ("review", "block"),
}
"""The verdicts that fail the step, by mode and by ``--fail-on``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``action``."""
    parser.epilog = EPILOG
    shared.add_judging(parser, fail_on=False)
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default=BY_MODE,
        help="fail from this verdict on, even where the policy's mode would not (default: as the mode says)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Reviews the change of the event and tells the runner. Returns the exit code. Raises ``Misuse``."""
    runner = of_environment(os.environ)
    token = os.environ.pop(TOKEN, "")
    # Stands until there is a better answer: whoever reads the outputs never sees an empty verdict.
    _set_outputs(runner, "error", 1.0, "")
    scratch = runner.temporary / f"trainwarden-{secrets.token_hex(8)}"
    try:
        report, mode = _review(runner, token, scratch, shared.options(arguments))
    except TrainwardenError as error:
        _tell(runner, _error_report(error), scratch)
        raise
    _tell(runner, report, scratch)
    return exit_code(report.verdict.name, mode, arguments.fail_on)


def exit_code(verdict: VerdictName, mode: Mode, fail_on: str) -> int:
    """0 or 1 by the mode or ``fail_on``, whichever is stricter; 3 for ``error`` in every mode."""
    if verdict == "error":
        return 3
    return 1 if verdict in _FAILING[mode] + _FAILING.get(fail_on, ()) else 0


def _review(runner: Runner, token: str, scratch: Path, options: Options) -> tuple[Report, Mode]:
    from trainwarden.entry.gather import gather
    from trainwarden.git.remote import Remote
    from trainwarden.sandbox import Reviewer

    change = change_of(runner.event, runner.read_payload())
    # Without history only the blobs of the change are needed, which spares a large repository's whole past.
    remote = Remote(runner.url, token, "blob:limit=1m" if options.history else "blob:none")
    with Reviewer(options) as reviewer:
        found = gather(change, remote, runner.workspace, scratch / "repository")
        mode = _mode(found, options)
        report = reviewer.review(Request(str(found.repo), "range", found.base, found.head, found.policy))
    return report, mode


def _mode(found: Gathered, options: Options) -> Mode:
    """The mode of the operator's config, else of the policy revision. Raises ``Misuse``."""
    from trainwarden import config
    from trainwarden.git import Repository

    if options.config_file is not None:
        return config.load(Path(options.config_file).read_bytes(), options.config_file).mode
    with Repository(str(found.repo)) as repository:
        data = repository.read(found.policy, config.CONFIG_PATH)
    return config.load(data, f"{config.CONFIG_PATH} of {found.policy}").mode


def _error_report(error: TrainwardenError) -> Report:
    from trainwarden.sandbox import error_report

    reason = f"{error} ({error.hint})" if error.hint else str(error)
    return error_report(Request("", "range"), reason)


def _tell(runner: Runner, report: Report, scratch: Path) -> None:
    """Annotations to the log, Markdown to the summary, SARIF to a file, the outputs last."""
    from trainwarden.report import annotations, markdown, sarif

    sys.stdout.write(annotations.render(report))
    sys.stdout.flush()
    runner.add_summary(markdown.render(report))
    file = scratch / "trainwarden.sarif"
    try:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"RUNNER_TEMP cannot be written: {error.strerror}") from error
    output.write(sarif.render(report), str(file))
    _set_outputs(runner, report.verdict.name, report.verdict.risk, str(file))


def _set_outputs(runner: Runner, verdict: VerdictName, risk: float, sarif: str) -> None:
    for name, value in (("verdict", verdict), ("risk", f"{risk:.4f}"), ("sarif", sarif)):
        runner.set_output(name, value)
