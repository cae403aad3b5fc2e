"""A GitHub of ours that keeps state. Every API request is first validated by Prism on GitHub's own description.

What Prism refuses is answered as it says and remembered in ``violations``; the fixture fails the test on any.
The state is plain data that a test reads and changes. ``faults`` answer instead of, or after, the real thing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from github_hosting import HostedRepository, Person, serve_git, token_of

APP_ID = 4242
SLUG = "trainwarden"
INSTALLATION = 77
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Fault:
    """Goes wrong for the next ``times`` requests that match; ``after`` means the deed is done all the same."""

    method: str
    path: str
    answer: Answer
    times: int = 1
    after: bool = False
    delay: float = 0.0


@dataclass
class FakePull:
    """A pull request."""

    number: int
    repository: HostedRepository
    head_ref: str
    base_ref: str
    head: str
    opener: str
    fork: bool = False
    state: str = "open"
    merged_by: str = ""


@dataclass
class State:
    """Everything this GitHub knows."""

    repositories: dict[str, HostedRepository] = field(default_factory=dict)
    pulls: list[FakePull] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    review_comments: list[dict[str, Any]] = field(default_factory=list)
    resolved: set[int] = field(default_factory=set)
    labels: dict[int, set[str]] = field(default_factory=dict)
    requested_teams: list[tuple[int, str]] = field(default_factory=list)
    sarifs: list[dict[str, Any]] = field(default_factory=list)
    teams: dict[str, set[str]] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    activity: list[tuple[str, str]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    skew: float = 0.0
    serial: int = 1000


class FakeGitHub:
    """The server: API below ``/api/v3``, GraphQL below ``/api/graphql``, git below ``/<owner>/<name>.git``."""

    def __init__(self, root: Path, prism: str, public_key: str, secret: str) -> None:
        self.root = root
        self.state = State()
        self.lock = threading.RLock()
        self._prism = prism
        self._public_key = public_key
        self.secret = secret
        self.webhook = ""
        self.authorizations: set[str] = set()
        self.permissions: dict[str, str] = {}
        self.events: list[str] = []
        self.hook: dict[str, str] = {}
        self.required: dict[str, list[dict[str, Any]]] = {}
        self.protection: dict[str, list[dict[str, Any]]] = {}
        fake = self

        class Handler(_Handler):
            github = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # What a test does ---------------------------------------------------------------------------------------

    def repository(self, full_name: str) -> HostedRepository:
        number = 100 + len(self.state.repositories)
        made = HostedRepository.create(number, self.root, full_name)
        self.state.repositories[full_name] = made
        return made

    def pull(
        self,
        repository: HostedRepository,
        head_ref: str,
        base_ref: str = "main",
        opener: str = "alice",
        **more: Any,
    ) -> FakePull:
        """Open a pull request of a branch."""
        with self.lock:
            number = 1 + sum(1 for p in self.state.pulls if p.repository is repository)
            head = repository.tip(head_ref)
            assert head
            pull = FakePull(number, repository, head_ref, base_ref, head, opener, **more)
            repository.git("update-ref", f"refs/pull/{number}/head", head)
            self.state.pulls.append(pull)
            return pull

    def push(self, pull: FakePull, files: dict[str, Any], author: Person | None = None, **more: Any) -> str:
        """Push one more commit to a pull request; the former head."""
        before = pull.head
        person = author or Person(pull.opener)
        pull.head = pull.repository.commit(pull.head_ref, files, author=person, **more)
        pull.repository.git("update-ref", f"refs/pull/{pull.number}/head", pull.head)
        return before

    def runs(self, head: str, app: int = APP_ID) -> list[dict[str, Any]]:
        with self.lock:
            return [dict(c) for c in self.state.checks if c["head_sha"] == head and c["app"]["id"] == app]

    # Webhooks -----------------------------------------------------------------------------------------------

    def event(self, repository: HostedRepository, sender: str = "alice") -> dict[str, Any]:
        return {
            "installation": {"id": INSTALLATION},
            "repository": self._repository(repository),
            "sender": {"login": sender, "type": "User"},
        }

    def pull_event(self, pull: FakePull, action: str, sender: str = "", **more: Any) -> dict[str, Any]:
        event = self.event(pull.repository, sender or pull.opener)
        stamp = {"nonce": uuid.uuid4().hex}
        return (
            event | {"action": action, "number": pull.number, "pull_request": self._pull(pull)} | stamp | more
        )

    def send(
        self,
        event: str,
        payload: dict[str, Any],
        guid: str = "",
        secret: str | None = None,
        timeout: float = 30,
    ) -> int:
        """Sign and deliver; the status, 0 when nobody answered. GitHub remembers the delivery."""
        guid = guid or str(uuid.uuid4())
        body = json.dumps(payload).encode()
        status = (
            0
            if not self.webhook
            else post(self.webhook, event, body, guid, self.secret if secret is None else secret, timeout)
        )
        with self.lock:
            self.state.serial += 1
            self.state.deliveries.append(
                {
                    "id": self.state.serial,
                    "guid": guid,
                    "event": event,
                    "payload": payload,
                    "status_code": status or 502,
                }
            )
        return status

    # Answers ------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, headers: Any) -> Answer:
        for pattern, function in _ROUTES:
            verb, _, shape = pattern.partition(" ")
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", shape), path)
            if verb == method and match:
                parts = {k: unquote(v) for k, v in match.groupdict().items()}
                if not path.startswith("/app") and not self._authorised(headers):  # installation token
                    return 401, {"message": "Bad credentials"}
                if path.startswith("/app") and not path.startswith("/app-") and not self._signed(headers):
                    return 401, {"message": "A JSON web token could not be decoded"}
                with self.lock:
                    return function(self, parts, query, body)
        return 404, {"message": "Not Found"}

    def _authorised(self, headers: Any) -> bool:
        token = headers.get("Authorization", "").partition(" ")[2]
        return token in self.state.tokens

    def _signed(self, headers: Any) -> bool:
        token = headers.get("Authorization", "").partition(" ")[2]
        try:
            claims = jwt.decode(
                token, self._public_key, ["RS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.InvalidTokenError:
            return False
        now = time.time() + self.state.skew
        timely = claims["iat"] <= now < claims["exp"] <= now + 600
        return bool(timely and claims["iss"] == str(APP_ID))

    def validated(self, method: str, target: str, body: bytes) -> Answer | None:
        """What Prism says against a request, None when it is as GitHub's description wants it."""
        if not self._prism:
            return None
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
        request = urllib.request.Request(self._prism + target, body or None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                reply.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            if error.code in (400, 405, 406, 415, 422) or "NO_PATH_MATCHED" in text or "NO_METHOD" in text:
                self.state.violations.append(f"{method} {target}: {error.code} {text[:400]}")
                return error.code if error.code != 404 else 404, {
                    "message": "Validation Failed",
                    "errors": text,
                }
        return None

    def find(self, owner: str, repo: str) -> HostedRepository:
        found = self.state.repositories.get(f"{owner}/{repo}")
        if found is None:
            raise KeyError(owner)
        return found

    def find_pull(self, parts: dict[str, str]) -> FakePull:
        repository = self.find(parts["owner"], parts["repo"])
        number = int(parts.get("number") or parts["issue"])
        return next(p for p in self.state.pulls if p.repository is repository and p.number == number)

    def _repository(self, r: HostedRepository) -> dict[str, Any]:
        return {
            "id": r.id,
            "name": r.name,
            "full_name": r.full_name,
            "owner": {"login": r.owner, "type": "Organization"},
            "default_branch": r.default_branch,
            "archived": False,
        }

    def _pull(self, p: FakePull) -> dict[str, Any]:
        base = {
            "ref": p.base_ref,
            "sha": p.repository.tip(p.base_ref) or "0" * 40,
            "repo": self._repository(p.repository),
        }
        head_repo = {"id": 9_999_999, "full_name": "fork/fork"} if p.fork else self._repository(p.repository)
        return {
            "number": p.number,
            "state": p.state,
            "head": {"ref": p.head_ref, "sha": p.head, "repo": head_repo},
            "base": base,
            "user": {"login": p.opener, "type": "User"},
            "draft": False,
            "merged_at": "2026-01-01T00:00:00Z" if p.merged_by else None,
            "merged_by": {"login": p.merged_by} if p.merged_by else None,
        }

    def stamp(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.state.skew))


def signature(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(url: str, event: str, body: bytes, guid: str, secret: str, timeout: float = 30) -> int:
    """Deliver one webhook as GitHub does; the status, 0 when nobody answered."""
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-Hub-Signature-256": signature(body, secret),
        "User-Agent": "GitHub-Hookshot/test",
    }
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class _Handler(BaseHTTPRequestHandler):
    github: FakeGitHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self) -> None:
        body = self._body()
        github = self.github
        if header := self.headers.get("Authorization", ""):
            github.authorizations.add(header)
        path = urlsplit(self.path).path
        fault = self._fault(path)
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        if fault is not None and not fault.after:
            self._reply(*fault.answer)
            return
        if path.startswith("/api/"):
            answer = self._api(path, body)
            self._reply(*(fault.answer if fault is not None else answer))
            return
        if token_of(self) not in github.state.tokens:
            self._reply(401, {}, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        serve_git(self, github.root, body)

    def _fault(self, path: str) -> Fault | None:
        with self.github.lock:
            for fault in self.github.state.faults:
                if fault.times > 0 and fault.method == self.command and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def _api(self, path: str, body: bytes) -> Answer:
        github = self.github
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        decoded = json.loads(body) if body else None
        if path == "/api/graphql":
            with github.lock:
                return _graphql(github, decoded)
        short = path.removeprefix("/api/v3")
        github.state.requests.append((self.command, short, decoded))
        target = self.path.removeprefix("/api/v3")
        refused = github.validated(self.command, target, body)
        if refused is not None:
            return refused
        try:
            return github.answer(self.command, short, query, decoded, self.headers)
        except (KeyError, StopIteration):
            return 404, {"message": "Not Found"}

    def _reply(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        # Who was killed does not read on.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate((timestamp or time.time()) + self.github.state.skew, usegmt=True)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve


# The routes. Each takes (github, parts of the path, query, body) --------------------------------------------------


def _page(items: list[Any], query: dict[str, str]) -> list[Any]:
    size, number = int(query.get("per_page", 30)), int(query.get("page", 1))
    return items[(number - 1) * size : number * size]


def _token(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    token = "ghs_" + uuid.uuid4().hex
    g.state.tokens.add(token)
    return 201, {"token": token, "expires_at": "2030-01-01T00:00:00Z"}


def _pulls(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    repository = g.find(p["owner"], p["repo"])
    found = [
        g._pull(x)
        for x in g.state.pulls
        if x.repository is repository
        and x.state == q.get("state", "open")
        and ("base" not in q or x.base_ref == q["base"])
    ]
    return 200, _page(found, q)


def _branch(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    repository = g.find(p["owner"], p["repo"])
    tip = repository.tip(p["branch"])
    if tip is None:
        return 404, {"message": "Branch not found"}
    return 200, {
        "name": p["branch"],
        "commit": {"sha": tip},
        "protected": p["branch"] in repository.protected,
    }


def _create_check(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    g.find(p["owner"], p["repo"])
    g.state.serial += 1
    run = {
        "id": g.state.serial,
        "app": {"id": APP_ID},
        "repo": f"{p['owner']}/{p['repo']}",
        "annotations": [],
    }
    run |= {"status": "queued", "conclusion": None, "completed_at": None, "edits": 0, "created": time.time()}
    g.state.checks.append(run)
    _apply(g, run, b)
    return 201, run


def _edit_check(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    run = next(c for c in g.state.checks if c["id"] == int(p["id"]))
    run["edits"] += 1
    _apply(g, run, b)
    return 200, run


def _apply(g: FakeGitHub, run: dict[str, Any], b: Any) -> None:
    output = dict(b.get("output") or {})
    run["annotations"] = run["annotations"] + output.pop("annotations", [])
    if "status" in b and b["status"] != "completed":
        run |= {"conclusion": None, "completed_at": None}
    run |= {k: v for k, v in b.items() if k != "output"} | ({"output": output} if output else {})
    if b.get("conclusion"):
        run |= {
            "status": "completed",
            "completed_at": b.get("completed_at") or g.stamp(),
            "finished": time.time(),
        }


def _checks(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    name = f"{p['owner']}/{p['repo']}"
    found = [
        c
        for c in g.state.checks
        if c["head_sha"] == p["ref"] and c["repo"] == name and c["name"] == q.get("check_name", c["name"])
    ]
    return 200, {"total_count": len(found), "check_runs": _page(found, q)}


def _commits(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    pull = g.find_pull(p)
    return 200, _page([_commit(g, c) for c in _log(pull)], q)


def _log(pull: FakePull) -> list[list[str]]:
    form = "--format=%H%x1f%ae%x1f%ce%x1f%B%x1e"
    text = pull.repository.git("log", form, f"refs/heads/{pull.base_ref}..{pull.head}")
    return [record.strip().split("\x1f") for record in text.split("\x1e") if record.strip()]


def _commit(g: FakeGitHub, c: list[str]) -> dict[str, Any]:
    people = {role: g.state.accounts.get(email) for role, email in (("author", c[1]), ("committer", c[2]))}
    linked = {role: {"login": login} if login else None for role, login in people.items()}
    return {
        "sha": c[0],
        "commit": {"author": {"email": c[1]}, "committer": {"email": c[2]}, "message": c[3]},
    } | linked


def _graphql(g: FakeGitHub, b: Any) -> Answer:
    variables = b["variables"]
    if b["query"].startswith("mutation"):
        g.state.resolved.add(int(variables["id"].removeprefix("T")))
        return 200, {"data": {"resolveReviewThread": {"thread": {"id": variables["id"]}}}}
    parts = {"owner": variables["owner"], "repo": variables["name"], "number": str(variables["number"])}
    pull = g.find_pull(parts)
    if "reviewThreads" in b["query"]:
        nodes = [
            {
                "id": f"T{c['id']}",
                "isResolved": c["id"] in g.state.resolved,
                "comments": {"nodes": [{"databaseId": c["id"]}]},
            }
            for c in g.state.review_comments
            if c["number"] == pull.number
        ]
        return 200, {"data": {"repository": {"pullRequest": {"reviewThreads": {"nodes": nodes}}}}}
    commits = []
    for commit in _log(pull):
        mails = [commit[1], *re.findall(r"(?im)^co-authored-by: .*<(.*)>", commit[3])]
        users = [{"user": {"login": g.state.accounts[m]} if m in g.state.accounts else None} for m in mails]
        commits.append({"commit": {"oid": commit[0], "authors": {"nodes": users}}})
    return 200, {"data": {"repository": {"pullRequest": {"commits": {"nodes": commits}}}}}


def _review(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    pull = g.find_pull(p)
    g.state.serial += 1
    user = {"login": f"{SLUG}[bot]", "type": "Bot"}
    made = {"id": g.state.serial, "number": pull.number, "body": b["body"], "user": user}
    g.state.reviews.append(made)
    for comment in b.get("comments", ()):
        _review_comment(g, p, q, comment)
    return 200, made


def _review_comment(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    g.state.serial += 1
    user = {"login": f"{SLUG}[bot]", "type": "Bot"}
    made = b | {"id": g.state.serial, "number": g.find_pull(p).number, "user": user}
    g.state.review_comments.append(made)
    return 201, made


def _edit_review(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    made = next(r for r in g.state.reviews if r["id"] == int(p["id"]))
    made["body"] = b["body"]
    return 200, made


def _of_pull(items: str) -> Callable[[FakeGitHub, dict[str, str], dict[str, str], Any], Answer]:
    def answer(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
        number = g.find_pull(p).number
        return 200, _page([i for i in getattr(g.state, items) if i["number"] == number], q)

    return answer


def _comment(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    g.state.serial += 1
    made = {"id": g.state.serial, "number": g.find_pull(p).number, "body": b["body"]}
    g.state.comments.append(made)
    return 201, made


def _labels(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    return 200, [{"name": name} for name in sorted(g.state.labels.get(int(p["issue"]), ()))]


def _add_labels(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    g.state.labels.setdefault(int(p["issue"]), set()).update(b["labels"])
    return _labels(g, p, q, b)


def _drop_label(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    g.state.labels.setdefault(int(p["issue"]), set()).discard(p["name"])
    return _labels(g, p, q, b)


def _ask_team(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    asked = [(int(p["number"]), team) for team in b["team_reviewers"]]
    g.state.requested_teams += [each for each in asked if each not in g.state.requested_teams]
    return 201, g._pull(g.find_pull(p))


def _sarif(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    g.state.sarifs.append(b)
    return 202, {"id": "1"}


def _member(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    if p["login"].lower() in g.state.teams.get(p["team"], set()):
        return 200, {"state": "active", "role": "member"}
    return 404, {"message": "Not Found"}


def _permission(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    return 200, {"permission": g.state.permissions.get(p["login"], "read")}


def _activity(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    wanted = q.get("ref", "")
    return 200, [{"actor": {"login": login}} for ref, login in g.state.activity if ref == wanted]


def _contents(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    repository = g.find(p["owner"], p["repo"])
    try:
        text = repository.git("cat-file", "blob", f"{repository.default_branch}:{p['path']}")
    except AssertionError:
        return 404, {"message": "Not Found"}
    return 200, {"type": "file", "encoding": "base64", "content": base64.b64encode(text.encode()).decode()}


def _deliveries(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    newest = sorted(g.state.deliveries, key=lambda d: -d["id"])
    start = int(q.get("cursor", 0))
    size = int(q.get("per_page", 30))
    shown = [{k: d[k] for k in ("id", "guid", "event", "status_code")} for d in newest[start : start + size]]
    more = start + size < len(newest)
    link = f'<{g.url}/api/v3/app/hook/deliveries?cursor={start + size}>; rel="next"'
    return 200, shown, {"Link": link} if more else {}


def _attempt(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    delivery = next(d for d in g.state.deliveries if d["id"] == int(p["id"]))
    again = (delivery["event"], delivery["payload"], delivery["guid"])
    threading.Thread(target=g.send, args=again, daemon=True).start()
    return 202, {}


def _installations(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    return 200, _page([{"id": INSTALLATION, "suspended_at": None}], q)


def _installed(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    found = [g._repository(r) for r in g.state.repositories.values()]
    return 200, {"total_count": len(found), "repositories": _page(found, q)}


def _app(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    return 200, {"id": APP_ID, "slug": SLUG, "permissions": g.permissions, "events": g.events}


def _hook(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    return 200, g.hook


def _convert(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    if p["code"] != "goodcode":
        return 404, {"message": "Not Found"}
    return 201, {"id": APP_ID, "slug": SLUG, "pem": "the key", "webhook_secret": "the secret"}


def _rules(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    checks = g.required.get(f"{p['owner']}/{p['repo']}")
    if checks is None:
        return 200, []
    return 200, [{"type": "required_status_checks", "parameters": {"required_status_checks": checks}}]


def _protection(g: FakeGitHub, p: dict[str, str], q: dict[str, str], b: Any) -> Answer:
    checks = g.protection.get(f"{p['owner']}/{p['repo']}")
    return (404, {"message": "Branch not protected"}) if checks is None else (200, {"checks": checks})


_REPO = "/repos/{owner}/{repo}"
_ROUTES: tuple[tuple[str, Callable[[FakeGitHub, dict[str, str], dict[str, str], Any], Answer]], ...] = (
    ("GET /app", _app),
    ("GET /app/installations", _installations),
    ("GET /app/hook/config", _hook),
    ("POST /app-manifests/{code}/conversions", _convert),
    (f"GET {_REPO}/rules/branches/{{branch}}", _rules),
    (f"GET {_REPO}/branches/{{branch}}/protection/required_status_checks", _protection),
    ("POST /app/installations/{id}/access_tokens", _token),
    ("GET /app/hook/deliveries", _deliveries),
    ("POST /app/hook/deliveries/{id}/attempts", _attempt),
    ("GET /installation/repositories", _installed),
    (f"GET {_REPO}", lambda g, p, q, b: (200, g._repository(g.find(p["owner"], p["repo"])))),
    (f"GET {_REPO}/pulls", _pulls),
    (f"GET {_REPO}/pulls/{{number}}", lambda g, p, q, b: (200, g._pull(g.find_pull(p)))),
    (f"GET {_REPO}/pulls/{{number}}/commits", _commits),
    (f"GET {_REPO}/pulls/{{number}}/reviews", _of_pull("reviews")),
    (f"POST {_REPO}/pulls/{{number}}/reviews", _review),
    (f"PUT {_REPO}/pulls/{{number}}/reviews/{{id}}", _edit_review),
    (f"GET {_REPO}/pulls/{{number}}/comments", _of_pull("review_comments")),
    (f"POST {_REPO}/pulls/{{number}}/comments", _review_comment),
    (f"POST {_REPO}/pulls/{{number}}/requested_reviewers", _ask_team),
    (f"GET {_REPO}/branches/{{branch}}", _branch),
    (f"GET {_REPO}/activity", _activity),
    (f"GET {_REPO}/collaborators/{{login}}/permission", _permission),
    (f"GET {_REPO}/contents/{{path}}", _contents),
    (f"GET {_REPO}/commits/{{ref}}/check-runs", _checks),
    (f"POST {_REPO}/check-runs", _create_check),
    (f"PATCH {_REPO}/check-runs/{{id}}", _edit_check),
    (f"POST {_REPO}/issues/{{issue}}/comments", _comment),
    (f"GET {_REPO}/issues/{{issue}}/labels", _labels),
    (f"POST {_REPO}/issues/{{issue}}/labels", _add_labels),
    (f"DELETE {_REPO}/issues/{{issue}}/labels/{{name}}", _drop_label),
    (f"POST {_REPO}/code-scanning/sarifs", _sarif),
    ("GET /orgs/{org}/teams/{team}/memberships/{login}", _member),
)
