"""A GitHub of ours that keeps state. Every API request is first validated by Prism on GitHub's own description.

What Prism refuses is answered as it says and remembered in ``violations``; the fixture fails the test on any.
``faults`` answer instead of, or after, the real thing. The answers themselves are in ``github_routes``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from github_hosting import HostedRepository, Person, serve_git, token_of
from github_routes import ROUTES, graphql
from github_state import APP_ID, INSTALLATION, SLUG, Answer, FakePull, Fault, State


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
        for pattern, function in ROUTES:
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
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("whoever was speaking was killed in the middle")
        return body

    def _serve(self) -> None:
        try:
            body = self._body()
        except ConnectionError:
            self.close_connection = True
            return
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
                return graphql(github, decoded)
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


__all__ = ["APP_ID", "INSTALLATION", "SLUG", "FakeGitHub", "FakePull", "Fault", "post", "signature"]
