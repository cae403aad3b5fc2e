"""What the workers of ``test_evaluate_run`` run: a judge of one word, so that no rules are needed.

A change whose added lines speak of sabotage gets a finding there; one that says "crash" kills the worker.
"""

import os

from trainwarden.git import open_source
from trainwarden.model import Coverage, FilePair, Finding, Report, Tool, Verdict


def review(request, options, *, breadcrumb, skip):
    source = open_source(request)
    pairs = [pair for pair in source.pairs() if isinstance(pair, FilePair) and pair.after is not None]
    found = []
    for pair in pairs:
        before = pair.before.data.splitlines() if pair.before else []
        for number, line in enumerate(pair.after.data.splitlines(), 1):
            if b"crash" in line:
                os.abort()
            if b"sabotage" in line and line not in before:
                found.append(finding(pair.path, number))
    source.close()
    verdict = Verdict("review", 0.9, ("sabotage",)) if found else Verdict("pass", len(pairs) / 100)
    tool = Tool("0", "0" * 64)
    coverage = Coverage(len(pairs), len(pairs))
    return Report(
        None, tool, source.revisions, verdict, tuple(found), coverage=coverage, elapsed_ms=1, training=True
    )


def finding(path, line):
    return Finding(
        "word", "n", ("B07",), "effect", "high", "high", "active", path, "head", line, line, "the word"
    )
