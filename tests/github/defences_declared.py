r"""Every defence that ``defences.py`` removes: where it stands, what is put in its place, which tests must go red.

``ITEMS`` is the list of attacks that the App, the Action and the hook have to withstand; each has two defences or more
here. A path starts below ``bot/trainwarden``, a test below ``tests``. The text that is replaced occurs exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass

ITEMS = (
    "wrong signature",
    "missing signature",
    "replay",
    "oversized body",
    "deep nesting",
    "path traversal",
    "hostile repository",
    "markup injection",
    "log injection",
    "policy from the head",
    "approval by the author",
    "approval then push",
    "weaker base",
    "token in output",
)

Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Defence:
    """One defence: edits (path, before, after) that remove it together, and tests of which each must fail then."""

    name: str
    item: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


DEFENCES: list[Defence] = []
SERVER = "github/test_github_server.py::test_"
COMMANDS = "github/test_github_commands.py::test_"
SETTLE = "github/test_github_settle.py::test_"
MIRROR = "github/test_github_mirror.py::test_"
SET_UP = "github/test_github_set_up.py::test_"
VOICES = "github/test_github_voices.py::test_"
HOSTILE = "test_git_hostile.py::"
SOURCE = "test_git_source.py::"


def defence(name: str, item: str, edits: Edit | list[Edit], *tests: str) -> None:
    """Declare one; a single edit needs no list."""
    several = tuple(edits) if isinstance(edits, list) else (edits,)
    DEFENCES.append(Defence(name, item, several, tests))


# Signatures ---------------------------------------------------------------------------------------------------

defence(
    "the signature is compared",
    "wrong signature",
    ("github/signature.py", "    return any(matches)", "    return True"),
    SERVER + "a_wrong_signature_is_refused",
    SERVER + "a_missing_or_odd_signature_is_refused",
)
defence(
    "the signature covers every byte",
    "wrong signature",
    ("github/signature.py", "reveal().encode(), body, hashlib", "reveal().encode(), body.strip(), hashlib"),
    SERVER + "the_signature_covers_every_byte",
)
defence(
    "an empty secret signs nothing",
    "wrong signature",
    ("github/signature.py", " for secret in secrets if secret]", " for secret in secrets]"),
    SERVER + "an_empty_secret_never_validates",
)
defence(
    "a signature is asked for",
    "missing signature",
    (
        "github/server.py",
        "        if not valid(body, ",
        "        if request.headers.get(HEADER) and not valid(body, ",
    ),
    SERVER + "a_missing_or_odd_signature_is_refused",
)
defence(
    "no start without a secret",
    "missing signature",
    [
        ("github/settings.py", '    if not reader.secret("WEBHOOK_SECRET"):', "    if False:"),
        (
            "github/settings.py",
            "    if not all(secret for secret in settings.webhook_secrets) or not settings.webhook_secrets:",
            "    if False:",
        ),
    ],
    SERVER + "bad_settings_stop_the_start",
)
defence(
    "a replayed body is known by its digest",
    "replay",
    ("github/store.py", "sa.String(64), nullable=False, unique=True)", "sa.String(64), nullable=False)"),
    SERVER + "a_replayed_body_under_another_id_is_stored_once",
)
defence(
    "a command is carried out once",
    "replay",
    ("github/commands.py", "        if self._room.store.marked(claim):", "        if False:"),
    COMMANDS + "a_command_delivered_twice_is_carried_out_once",
)
defence(
    "a registration answers our own question",
    "replay",
    (
        "github/register.py",
        "if not hmac.compare_digest(given.encode(), self.state.encode()) or not",
        "if not",
    ),
    SET_UP + "the_code_is_exchanged_once_for_the_right_state",
)

# Bodies -------------------------------------------------------------------------------------------------------

defence(
    "the declared length is bounded",
    "oversized body",
    ("github/server.py", "not declared.isdecimal() or int(declared) > limit:", "not declared.isdecimal():"),
    SERVER + "an_oversized_body_is_refused_by_its_length_before_it_comes",
)
defence(
    "the length that comes is bounded",
    "oversized body",
    ("github/server.py", "                if length > limit:", "                if False:"),
    SERVER + "an_oversized_body_without_a_length_is_refused_while_it_arrives",
)
defence(
    "all bodies together are bounded",
    "oversized body",
    ("github/server.py", "                if self._held > _MOST_HELD:", "                if False:"),
    SERVER + "bodies_of_all_connections_together_are_bounded",
)
defence(
    "a body has to come in time",
    "oversized body",
    ("github/server.py", "asyncio.timeout(_SLOWEST_BODY)", "asyncio.timeout(None)"),
    SERVER + "a_body_that_never_comes_is_given_up",
)
defence(
    "JSON is measured before it is parsed",
    "deep nesting",
    ("github/events.py", "        if depth > _DEEPEST:", "        if False:"),
    SERVER + "a_deeply_nested_body_is_refused",
)
defence(
    "trees have a depth",
    "deep nesting",
    ("git/trees.py", ' or prefix.count("/") > MAX_DEPTH:', ":"),
    SOURCE + "TestDamage::test_a_very_deep_tree_cannot_be_finished",
)

# Names --------------------------------------------------------------------------------------------------------

defence(
    "repository names are checked",
    "path traversal",
    (
        "github/events.py",
        r'NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")',
        'NAME = re.compile(".+")',
    ),
    SERVER + "a_repository_name_that_cannot_be_is_refused",
)
defence(
    "owners are checked",
    "path traversal",
    (
        "github/events.py",
        r'OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?")',
        'OWNER = re.compile(".+")',
    ),
    SERVER + "an_owner_that_cannot_be_is_refused",
)
defence(
    "branches are checked",
    "path traversal",
    ("github/events.py", r'    if re.search(r"[\x00-\x20\x7f~^:?*\[\\]|', r'    if False and re.search(r"|'),
    SERVER + "a_branch_that_cannot_be_is_refused",
)
defence(
    "object names are checked",
    "path traversal",
    ("github/events.py", 'SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")', 'SHA = re.compile(r".+")'),
    SERVER + "an_object_name_that_cannot_be_is_refused",
)
defence(
    "mirrors are named by number",
    "path traversal",
    (
        "github/mirror.py",
        '        path = self._directory / f"{repo_id:d}.git"',
        '        path = self._directory / f"x{name[-6:]}.git"',
    ),
    MIRROR + "a_mirror_is_named_by_number_so_no_name_leads_out",
)
defence(
    "entries of a tree have no slash",
    "path traversal",
    ("git/trees.py", r"([^\0/]+)", r"([^\0]+)"),
    SOURCE + "TestDamage::test_a_slash_in_a_name_is_malformed",
)
defence(
    "entries of a tree do not lead up",
    "path traversal",
    ("git/trees.py", 'frozenset({".", "..", ".git"})', "frozenset()"),
    SOURCE + "TestDamage::test_malformed_trees_cannot_be_finished",
)
defence(
    "the Action checks the branch it is told",
    "path traversal",
    ("entry/event.py", "    if not _BRANCH.match(branch):", "    if False:"),
    "action/test_action_injection.py::test_a_default_branch_that_git_would_not_allow_is_refused",
)
defence(
    "the Action checks object names",
    "path traversal",
    ("entry/event.py", "    if not _NAME.match(text):", "    if False:"),
    "action/test_action_injection.py::test_only_full_object_names_are_taken_from_a_payload",
)

# Repositories -------------------------------------------------------------------------------------------------

NOTHING_RUNS = HOSTILE + "test_nothing_of_the_repository_runs"
defence(
    "hooks are off",
    "hostile repository",
    ("git/process.py", '    f"core.hooksPath={_NOWHERE}",\n', ""),
    NOTHING_RUNS,
)
defence(
    "the file system monitor is off",
    "hostile repository",
    ("git/process.py", '    "core.fsmonitor=false",\n', ""),
    NOTHING_RUNS,
)
defence(
    "signatures are not checked by a program",
    "hostile repository",
    [
        ("git/process.py", '    "log.showSignature=false",\n', ""),
        ("git/process.py", '    "gpg.program=false",\n', ""),
    ],
    NOTHING_RUNS,
)
defence(
    "attributes with filters have no say",
    "hostile repository",
    (
        "git/worktree.py",
        "        oid = blob_name(data, self._width)\n        return",
        '        words = ("hash-object", "--path", path, "--stdin")\n'
        "        oid = Git(str(self.root)).output(*words, stdin=data).decode().strip()\n        return",
    ),
    NOTHING_RUNS,
)
defence(
    "missing objects are not fetched by a helper",
    "hostile repository",
    [
        ("git/process.py", '    "GIT_NO_LAZY_FETCH": "1",\n', ""),
        ("git/process.py", '    "GIT_ALLOW_PROTOCOL": "none",\n', ""),
    ],
    HOSTILE + "TestLazyFetch::test_is_off",
)
defence(
    "the caller's environment is not inherited",
    "hostile repository",
    (
        "git/process.py",
        'return {"PATH": _search_path(), **kept',
        'return {**os.environ, "PATH": _search_path(), **kept',
    ),
    HOSTILE + "TestEnvironment::test_the_callers_variables_have_no_effect",
)
defence(
    "the caller's .gitconfig is not read",
    "hostile repository",
    (
        "git/process.py",
        "**kept, **_ENVIRONMENT}",
        '**kept, **_ENVIRONMENT, **{n: os.environ[n] for n in ("HOME", "GIT_CONFIG_GLOBAL") if n in os.environ}}',
    ),
    HOSTILE + "TestEnvironment::test_the_callers_own_config_has_no_effect",
)
defence(
    "replacements are not followed",
    "hostile repository",
    [
        ("git/process.py", '    "GIT_NO_REPLACE_OBJECTS": "1",\n', ""),
        ("git/process.py", '    "core.useReplaceRefs=false",\n', ""),
    ],
    HOSTILE + "TestBentObjects::test_replacements_are_not_followed",
)
defence(
    "grafts are not followed",
    "hostile repository",
    ("git/process.py", '    "GIT_GRAFT_FILE": _NOWHERE,\n', ""),
    HOSTILE + "TestBentObjects::test_grafts_are_not_followed",
)
defence(
    "submodules cannot be hidden",
    "hostile repository",
    [
        ("git/process.py", '    "diff.ignoreSubmodules=none",\n', ""),
        ("git/index.py", '        "--ignore-submodules=none",\n', ""),
        ("git/log.py", '    "--ignore-submodules=none",\n', ""),
    ],
    HOSTILE + "TestBentObjects::test_submodules_cannot_be_hidden",
)
defence(
    "symbolic links are not followed",
    "hostile repository",
    [
        (
            "git/worktree.py",
            "os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
            "os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        ),
        ("git/worktree.py", " = above and not (self.root / directory).is_symlink()", " = above"),
    ],
    "test_git_worktree.py::TestWaysOut::test_a_directory_that_became_a_link",
)
defence(
    "a mirror starts without hooks",
    "hostile repository",
    ("github/mirror.py", ' "--template=",', ""),
    MIRROR + "a_hostile_repository_runs_nothing_and_leads_nowhere",
)

# Words --------------------------------------------------------------------------------------------------------

defence(
    "a risky word is code",
    "markup injection",
    ("report/commonmark.py", "    return bool(_PLAIN.fullmatch(word)) and", "    return True or"),
    "test_report_markdown.py::test_a_risky_word_is_code_wherever_it_stands",
)
defence(
    "a code span is longer than its backticks",
    "markup injection",
    ("report/commonmark.py", '    fence = "`" * next(length for', '    fence = "`" or next(length for'),
    "test_report_markdown.py::test_code_is_shown_to_the_letter",
)
defence(
    "a fence is longer than those in it",
    "markup injection",
    ("report/commonmark.py", '"`" * max(3, longest + 1)', '"`" * 3'),
    "test_report_markdown.py::test_a_fence_holds_what_is_in_it",
)
defence(
    "HTML is escaped",
    "markup injection",
    (
        "report/html.py",
        "    return html.escape(clip(visible(text), limit), quote=True)",
        "    return clip(visible(text), limit)",
    ),
    "test_report_html.py::test_a_hostile_change_cannot_alter_the_structure",
    "test_report_html.py::test_markup_in_the_change_is_shown_as_text",
)
defence(
    "SARIF carries no links",
    "markup injection",
    ("report/sarif.py", "    if not _EMBEDDED_LINK.search(shown):", "    if True:"),
    "test_report_sarif.py::test_a_message_cannot_carry_a_link",
)
defence(
    "SARIF's paths are references",
    "markup injection",
    ("report/sarif.py", 'quote(data, safe="/")', 'quote(data, safe="/:()")'),
    "test_report_sarif.py::test_paths_become_relative_references",
)
defence(
    "a comment shows the change's words, and obeys none",
    "markup injection",
    (
        "github/voices.py",
        "    words = prose(clip(visible(finding.message), 2_000))",
        "    words = finding.message",
    ),
    VOICES + "mark_up_of_the_change_is_shown_not_obeyed",
)
defence(
    "a reason is shown, not obeyed",
    "markup injection",
    ("github/checkrun.py", "{prose(clip(approval.reason, 300))}", "{approval.reason}"),
    VOICES + "a_hostile_reason_is_shown_not_obeyed",
)
defence(
    "an annotation's path is one line",
    "markup injection",
    ("github/checkrun.py", '        "path": visible(finding.path),', '        "path": finding.path,'),
    VOICES + "mark_up_of_the_change_is_shown_not_obeyed",
)
defence(
    "control characters are written out in the log",
    "log injection",
    ("github/logs.py", "(c if c.isprintable() else", "(c if True else"),
    SERVER + "logs_hold_one_line_each_and_no_credentials",
)
defence(
    "the runner is not spoken to from inside a line",
    "log injection",
    ("report/visible.py", r'    return _RUNNER_COMMAND.sub(r"#\\x23", text)', "    return text"),
    "test_report_hostile.py::test_known_tricks_do_nothing",
)
defence(
    "properties of a command are escaped",
    "log injection",
    ("report/annotations.py", '_data(text).replace(":", "%3A").replace(",", "%2C")', "_data(text)"),
    "test_report_annotations.py::test_paths_and_lines_survive_the_escapes",
)
defence(
    "what moves the cursor is written out",
    "log injection",
    ("report/visible.py", "        hidden = not character.isprintable() or", "        hidden ="),
    "test_report_hostile.py::test_known_tricks_do_nothing",
)
defence(
    "an output's end cannot be guessed",
    "log injection",
    ("entry/runner.py", 'f"end_{secrets.token_hex(16)}"', '"end_" + "0" * 32'),
    "action/test_action_injection.py::test_delimiters_cannot_be_learned_from_earlier_ones",
)

# Policy -------------------------------------------------------------------------------------------------------

defence(
    "the policy is the target's, not the head's",
    "policy from the head",
    (
        "github/reading.py",
        "        policy = self._policy(remote, mirror, pull.base_ref)",
        "        policy = self._policy_of(remote, mirror, pull.head)",
    ),
    SETTLE + "config_changed_in_the_head_does_not_count",
)
defence(
    "the review is told whose rules count",
    "policy from the head",
    ("github/reading.py", "view.base, head, policy.revision, id=name)", "view.base, head, head, id=name)"),
    SETTLE + "an_unprotected_base_with_weaker_config_does_not_rule",
)
defence(
    "rules and waivers are read from the policy's revision",
    "policy from the head",
    (
        "git/source.py",
        "self.repository.read(self.revisions.policy, path)",
        "self.repository.read(self.revisions.head, path)",
    ),
    SOURCE + "TestTheRestOfASource::test_policy_messages_and_presence",
)
defence(
    "the Action's policy is the default branch's",
    "policy from the head",
    (
        "entry/event.py",
        'for side in ("head", "base"))\n        return Change(head, base, _default(payload))',
        'for side in ("head", "base"))\n        return Change(head, base, head)',
    ),
    "action/test_action_events.py::test_a_pull_request_goes_from_its_target_to_its_head",
)
defence(
    "an invalid policy is an error",
    "policy from the head",
    ("github/reading.py", "        if policy.problem:", "        if False:"),
    SETTLE + "an_invalid_policy_is_an_error_not_a_pass",
)
defence(
    "a policy does not choose who is sent code",
    "policy from the head",
    ("github/engine.py", '        for key in ("scorer", "judge"):', "        for key in ():"),
    "github/test_github_engine.py::test_a_policy_cannot_choose_who_is_sent_code_and_tokens",
)

# People -------------------------------------------------------------------------------------------------------

defence(
    "the opener does not approve",
    "approval by the author",
    ("github/remote.py", "        logins = {pull.opener.lower()}", "        logins: set[str] = set()"),
    COMMANDS + "the_opener_of_other_peoples_commits_cannot_approve",
)
defence(
    "an author does not approve",
    "approval by the author",
    [
        ("github/remote.py", 'for role in ("author", "committer"):', 'for role in ("committer",):'),
        ("github/remote.py", "frozenset(logins | mates)", "frozenset(logins)"),
    ],
    COMMANDS + "a_commit_author_cannot_approve",
)
defence(
    "a committer does not approve",
    "approval by the author",
    ("github/remote.py", 'for role in ("author", "committer"):', 'for role in ("author",):'),
    COMMANDS + "a_committer_cannot_approve",
)
defence(
    "a co-author does not approve",
    "approval by the author",
    ("github/remote.py", "frozenset(logins | mates)", "frozenset(logins)"),
    COMMANDS + "a_co_author_cannot_approve",
)
defence(
    "co-authors are read to the last commit",
    "approval by the author",
    ("github/remote.py", '            if not found["pageInfo"]["hasNextPage"]:', "            if True:"),
    COMMANDS + "the_co_authors_of_late_commits_are_known",
)
defence(
    "a pusher named by a delivery does not approve",
    "approval by the author",
    ("github/commands.py", " | self._room.ledger.participants(job.repo_id, pull.number)", ""),
    COMMANDS + "a_pusher_known_from_a_delivery_cannot_approve",
)
defence(
    "a pusher named by the activity does not approve",
    "approval by the author",
    ("github/commands.py", "in involved | remote.pushers(pull):", "in involved:"),
    COMMANDS + "a_pusher_known_from_the_activity_cannot_approve",
)
defence(
    "nobody approves what somebody unknown made",
    "approval by the author",
    ("github/commands.py", "        if people.unknown:", "        if False:"),
    COMMANDS + "nobody_approves_while_an_author_is_unknown",
    COMMANDS + "the_platforms_address_does_not_make_an_author_nobody",
)
defence(
    "only the security team approves",
    "approval by the author",
    ("github/commands.py", "        if not remote.in_team(team, job.login):", "        if False:"),
    COMMANDS + "a_stranger_to_the_team_cannot_approve",
)
defence(
    "edited comments are not obeyed",
    "approval by the author",
    ("github/events.py", '    if payload["action"] == "created" and issue.get', "    if issue.get"),
    COMMANDS + "edited_comments_and_those_of_robots_are_not_obeyed",
)
defence(
    "an approval is bound to its head",
    "approval then push",
    (
        "github/ledger.py",
        "APPROVALS.c.repo_id == repo_id, APPROVALS.c.head == head)",
        "APPROVALS.c.repo_id == repo_id)",
    ),
    COMMANDS + "an_approved_finding_is_alerted_again_on_the_next_head",
)
defence(
    "a word counts after the review only",
    "approval then push",
    ("github/commands.py", "(job.at and job.at < done[0])", "False"),
    COMMANDS + "a_word_given_before_the_review_was_there_does_not_count",
)
defence(
    "a review of an older commit does not count",
    "approval then push",
    ("github/commands.py", "        if job.head and job.head != pull.head:", "        if False:"),
    COMMANDS + "a_review_bound_to_an_older_commit_does_not_count",
)
defence(
    "every finding is approved, or none",
    "approval then push",
    ("github/checkrun.py", "and all(f.fingerprint in words", "and any(f.fingerprint in words"),
    COMMANDS + "one_approved_finding_of_two_is_not_enough",
)
defence(
    "an error is not approved away",
    "approval then push",
    ("github/commands.py", '        if reading.report.verdict.name == "error":', "        if False:"),
    COMMANDS + "an_error_cannot_be_approved",
)
defence(
    "an approved head is one against its base and policy",
    "weaker base",
    ("github/checkrun.py", '    return f"reading:{key}"', '    return "reading:head"'),
    COMMANDS + "approval_of_a_head_does_not_count_against_another_base",
)
defence(
    "an unprotected base does not rule",
    "weaker base",
    (
        "github/reading.py",
        "        rules = base_ref == default or remote.protected(base_ref)",
        "        rules = True",
    ),
    SETTLE + "an_unprotected_base_with_weaker_config_does_not_rule",
)
defence(
    "a new base is heard of",
    "weaker base",
    ("github/events.py", '    retargeted = action == "edited" and', "    retargeted = False and"),
    SETTLE + "a_green_head_is_judged_anew_when_it_is_retargeted",
)
defence(
    "the worst of all pull requests speaks",
    "weaker base",
    (
        "github/checkrun.py",
        "    worst = ranked[0]\n    annotations",
        "    worst = ranked[-1]\n    annotations",
    ),
    SETTLE + "one_head_in_two_pull_requests_has_one_check_the_worst",
)
defence(
    "a failure counts by the strictest target",
    "weaker base",
    ("github/settle.py", '        return marks == {"observe"}', '        return "observe" in marks'),
    "github/test_github_errors.py::test_a_failure_counts_by_the_strictest_target_of_its_head",
)
defence(
    "an organisation's policy that is hidden is an error",
    "weaker base",
    (
        "github/reading.py",
        '            raise Misuse(f"{CONFIG} of {where} is not there, or this App is not installed there") from error',
        "            return None",
    ),
    SETTLE + "an_organisations_policy_that_is_not_there_is_an_error",
)

# Tokens -------------------------------------------------------------------------------------------------------

defence(
    "a secret does not show itself",
    "token in output",
    ("github/settings.py", '        return "Secret(...)"', "        return self._text"),
    SERVER + "the_settings_are_read_from_the_environment",
)
defence(
    "credentials are removed from the log",
    "token in output",
    ("github/logs.py", '_TOKENS.sub("[removed]", text[: 4 * _LONGEST])', "text[: 4 * _LONGEST]"),
    SERVER + "what_looks_like_a_credential_is_removed",
)
defence(
    "an exception is named, not quoted",
    "token in output",
    (
        "github/logs.py",
        '            line["exception"] = record.exc_info[0].__name__',
        '            line["exception"] = str(record.exc_info[1])',
    ),
    SERVER + "an_exception_is_named_and_not_quoted",
)
defence(
    "the token is in no argument",
    "token in output",
    (
        "git/remote.py",
        "                git.command([*words, *arguments]),",
        '                git.command(["-c", f"trainwarden.token={self.token}", *words, *arguments]),',
    ),
    MIRROR + "the_token_is_nowhere",
)
defence(
    "a mirror keeps no remote",
    "token in output",
    (
        "git/remote.py",
        "        words = [",
        '        git.run("config", "remote.origin.url", f"https://{self.token}@example.org")\n        words = [',
    ),
    MIRROR + "the_token_is_nowhere",
)
defence(
    "credentials are stored for their owner",
    "token in output",
    (
        "github/register.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)",
    ),
    SET_UP + "the_credentials_are_for_their_owner_alone",
)
defence(
    "credentials that others can read are refused",
    "token in output",
    ("github/settings.py", "    if stat.S_IMODE(mode) & 0o077:", "    if False:"),
    SERVER + "a_credentials_file_others_can_read_is_refused",
)
defence(
    "the reader is given no secret",
    "token in output",
    (
        "sandbox_process.py",
        "for name, value in os.environ.items() if name in ENVIRONMENT}",
        "for name, value in os.environ.items()}",
    ),
    "test_sandbox.py::test_the_child_sees_no_secret_and_imports_nothing_from_here",
)
