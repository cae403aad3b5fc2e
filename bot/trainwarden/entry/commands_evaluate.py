"""``trainwarden evaluate``: cases, tables of commits and clones go in, figures come out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainwarden.entry import arguments as shared
from trainwarden.entry import output
from trainwarden.model import JudgeChoice, Misuse, Options

if TYPE_CHECKING:
    from trainwarden.evaluate.assembly import Assembled, Material, Selection
    from trainwarden.evaluate.metrics import Alerts, Evaluation
    from trainwarden.evaluate.mirrors import Mirrors
    from trainwarden.evaluate.sample import Outcome

LISTS = ("misses", "findings", "errors", "rules")
LEVELS = ("verdict", "1%", "2%", "5%", "10%")
DIMENSIONS = ("category", "stealth", "technique", "repository")

EPILOG = """\
groups of reviews:
  sabotaged      base..head with a case's edits; to be caught, and placed
  clean, honest  base..head as it was, and with the case's honest edits; to stay quiet
  undone         a fix of --fixes taken back at once; undone-later: taken back --later commits on
  forward        the fix as it was made; to stay quiet
  lookalike      an honest commit of --lookalikes
  ordinary       a commit of --ordinary; its risks give the thresholds of the alert rates

With --judge URL every change is reviewed twice, with the language model and without, and the two curves are
shown side by side with its calls, tokens, latency and cost: see docs/judge.md.

exit codes:
  0 measured   1 a case does not apply, or a review ended in `error`   2 misuse   130 interrupted

examples:
  trainwarden evaluate --cases cases/*.yaml --mirrors clones --ordinary ordinary.txt
  trainwarden evaluate --fixes fixes.tsv --later 100 --mirrors clones --ordinary ordinary.txt --format json
  trainwarden evaluate --cases cases/*.yaml --mirrors clones --ordinary ordinary.txt \\
    --judge http://127.0.0.1:8000/v1 --judge-model NAME
  trainwarden evaluate --draw 2000 --seed 1 --repos repos.txt --split choose --mirrors clones > ordinary.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``evaluate``."""
    parser.epilog = EPILOG
    what = parser.add_argument_group("material")
    what.add_argument("--mirrors", metavar="DIR", required=True, help="the folder of clones, as owner+name")
    what.add_argument("--cases", metavar="FILE", nargs="+", action="extend", default=[], help="case files")
    what.add_argument("--ordinary", metavar="FILE", help="ordinary commits, lines of owner/name and sha")
    what.add_argument("--fixes", metavar="FILE", help="a table of fixes, to be undone and taken forward")
    what.add_argument("--lookalikes", metavar="FILE", help="a table of honest commits that look alarming")
    what.add_argument(
        "--later", type=shared.positive, metavar="N", help="also undo each fix N commits later, if it can be"
    )
    _add_selection(parser.add_argument_group("selection"))
    _add_drawing(parser.add_argument_group("drawing ordinary commits instead of measuring"))
    shared.add_judging(parser, fail_on=False)
    _add_report(parser.add_argument_group("report"))


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--repos", metavar="FILE", help="lines of owner/name, tab, choose or report")
    group.add_argument("--split", choices=("choose", "report"), help="only the repositories of this split")
    group.add_argument("--python-only", action="store_true", help="only changes that touch Python files")
    group.add_argument("--category", metavar="NAME", nargs="+", default=[], help="only cases of these")
    group.add_argument("--technique", metavar="ID", nargs="+", default=[], help="only these (B07)")


def _add_drawing(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--draw", type=shared.positive, metavar="N", help="print N ordinary commits")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="for --draw (default: 1)")
    group.add_argument(
        "--cap", type=shared.positive, default=300, metavar="N", help="most of one repository (default: 300)"
    )
    group.add_argument(
        "--python-share", type=float, default=0.5, metavar="X", help="share with Python files (default: 0.5)"
    )


def _add_report(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    group.add_argument("--output", metavar="FILE", help="where the report goes instead of standard output")
    group.add_argument("--by", choices=DIMENSIONS, nargs="+", default=["category", "stealth"], help="slices")
    group.add_argument(
        "--at", choices=LEVELS, default="1%", help="the alert rate that slices and lists are taken at"
    )
    group.add_argument("--list", choices=LISTS, help="print this list after the tables (JSON: to stderr)")
    group.add_argument("--misses", metavar="FILE", help="write the list of missed sabotage to FILE")
    group.add_argument("--keep", "--resume", metavar="FILE", help="keep reviews in FILE, redo only the rest")
    jobs = os.cpu_count() or 1
    group.add_argument(
        "--jobs", type=shared.positive, default=jobs, metavar="N", help=f"default here: {jobs}"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measures, or draws, and speaks. Returns the exit code."""
    from trainwarden.evaluate.mirrors import Mirrors

    options = shared.options(arguments)
    material, selection = _material(arguments), _selection(arguments)
    with Mirrors(Path(arguments.mirrors)) as mirrors:
        if arguments.draw:
            return _draw(arguments, material, selection, mirrors)
        if not (material.cases or material.fixes or material.lookalikes or material.ordinary):
            raise Misuse("nothing to measure", "Give --cases, --fixes, --lookalikes or --ordinary.")
        from trainwarden.evaluate.assembly import assemble

        assembled = assemble(material, selection, mirrors)
    outcomes = _reviewed(arguments, assembled, options)
    if not _is_judged(options):
        return _report(arguments, outcomes, assembled)
    plain = _reviewed(arguments, assembled, replace(options, judge=JudgeChoice()))
    return _report(arguments, outcomes, assembled, plain)


def _is_judged(options: Options) -> bool:
    """Whether second opinions are asked for, by flag, environment or the operator's config."""
    if options.config_file is None:
        return options.judge.url is not None
    from trainwarden.config import load

    configured = load(_read(options.config_file), options.config_file).judge
    if configured is not None and configured.url is not None:
        raise Misuse(
            "evaluate measures with and without the judge, so it must be able to leave it out",
            "take `judge.url` from the config and give --judge URL; the rest of `judge` may stay",
        )
    return options.judge.url is not None


def _reviewed(arguments: argparse.Namespace, assembled: Assembled, options: Options) -> tuple[Outcome, ...]:
    outcomes = _review(arguments, assembled, options)
    if not arguments.python_only:
        return outcomes
    return tuple(o for o in outcomes if o.size is None or o.size.python or o.sample.truth)


def _material(arguments: argparse.Namespace) -> Material:
    from trainwarden.evaluate import casefile, fixes, ordinary
    from trainwarden.evaluate.assembly import Material

    return Material(
        cases=tuple(case for name in arguments.cases for case in casefile.parse(_read(name), name)),
        fixes=fixes.parse(_read(arguments.fixes), arguments.fixes) if arguments.fixes else (),
        lookalikes=fixes.parse(_read(arguments.lookalikes), arguments.lookalikes)
        if arguments.lookalikes
        else (),
        ordinary=ordinary.parse(_read(arguments.ordinary), arguments.ordinary) if arguments.ordinary else (),
        later=arguments.later,
    )


def _selection(arguments: argparse.Namespace) -> Selection:
    from trainwarden.evaluate.assembly import Selection
    from trainwarden.evaluate.ordinary import parse_splits

    if arguments.split and not arguments.repos:
        raise Misuse("--split needs --repos", "Give the file that says which repository is in which split.")
    splits = parse_splits(_read(arguments.repos), arguments.repos) if arguments.repos else None
    wanted = (arguments.split,) if arguments.split else ("choose", "report")
    return Selection(
        repos=None if splits is None else frozenset(name for name, part in splits.items() if part in wanted),
        python=arguments.python_only,
        categories=frozenset(arguments.category),
        techniques=frozenset(arguments.technique),
    )


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Misuse(f"cannot read {name}: {error.strerror}", "Check the path.") from None


def _draw(arguments: argparse.Namespace, material: Material, selection: Selection, mirrors: Mirrors) -> int:
    """Prints ordinary commits that no case, fix or look-alike uses."""
    from trainwarden.evaluate.ordinary import Drawing, draw

    if selection.repos is None:
        raise Misuse("--draw needs --repos", "Give the file that names the repositories to draw from.")
    taken = {case.head for case in material.cases}
    taken |= {item.sha for item in (*material.fixes, *material.lookalikes)}
    drawing = Drawing(arguments.draw, arguments.seed, arguments.cap, arguments.python_share)
    commits = draw(selection.repos, mirrors, drawing, taken)
    output.write("".join(f"{repo} {sha}\n" for repo, sha in commits), arguments.output)
    if len(commits) < arguments.draw:
        output.say(f"the clones gave {len(commits)} commits instead of {arguments.draw}; --cap may be raised")
    return 0


def _review(arguments: argparse.Namespace, assembled: Assembled, options: Options) -> tuple[Outcome, ...]:
    from trainwarden.entry.progress import Progress
    from trainwarden.evaluate.keep import Keep, tool_digest
    from trainwarden.evaluate.run import run as review

    keep = Keep(Path(arguments.keep), tool_digest(options)) if arguments.keep else None
    try:
        fresh = [sample for sample in assembled.samples if keep is None or keep.get(sample) is None]
        with Progress(len(fresh), sys.stderr) as progress:
            return review(assembled.samples, options, arguments.jobs, keep, lambda _: progress.step())
    finally:
        if keep is not None:
            keep.close()


def _report(
    arguments: argparse.Namespace,
    outcomes: Sequence[Outcome],
    assembled: Assembled,
    plain: Sequence[Outcome] | None = None,
) -> int:
    """Speaks of the outcomes; ``plain`` are those of the same changes without second opinions."""
    from trainwarden.evaluate import cascade, listing, text
    from trainwarden.evaluate import output as document
    from trainwarden.evaluate.metrics import measure

    evaluation = measure(outcomes)
    alerts = _alerts(evaluation, arguments.at)
    compared = cascade.cascade(measure(plain), evaluation, outcomes) if plain is not None else None
    if arguments.format == "json":
        words = document.render(evaluation, outcomes, _settings(arguments), assembled.skipped, compared)
    else:
        words = text.render(evaluation, arguments.by, arguments.at, assembled.skipped)
        words += cascade.render(compared) if compared is not None else ""
    output.write(words, arguments.output)
    if arguments.misses:
        output.write(listing.misses(outcomes, alerts), arguments.misses)
    if arguments.list:
        listed = _list(arguments.list, outcomes, evaluation, alerts)
        (sys.stdout if arguments.format == "text" else sys.stderr).write("\n" + listed)
    return _exit(outcomes)


def _exit(outcomes: Sequence[Outcome]) -> int:
    failed = [outcome.sample.id for outcome in outcomes if not outcome.finished]
    if failed:
        output.say(f"{len(failed)} reviews ended in error, the first of them {failed[0]} (--list errors)")
    return 1 if failed else 0


def _alerts(evaluation: Evaluation, at: str) -> Alerts:
    """Who alerts at the chosen rate over all ordinary commits; by verdict where there are none."""
    from trainwarden.evaluate.metrics import above, configured, level_name

    if at == "verdict" or not evaluation.curves["all"]:
        return configured
    return next(above(point.threshold) for point in evaluation.curves["all"] if level_name(point.level) == at)


def _list(name: str, outcomes: Sequence[Outcome], evaluation: Evaluation, alerts: Alerts) -> str:
    from trainwarden.evaluate import listing, text

    if name == "rules":
        return text.rules(evaluation.rules)
    if name == "errors":
        return listing.errors(outcomes)
    return listing.misses(outcomes, alerts) if name == "misses" else listing.findings(outcomes, alerts)


def _settings(arguments: argparse.Namespace) -> dict[str, object]:
    """What a reader must know to run the same again."""
    names = ("split", "python_only", "category", "technique", "later", "no_model", "no_history", "no_bundled")
    return {name: getattr(arguments, name) for name in names}
