"""``trainwarden app register``: GitHub's App-manifest flow from a local page; credentials stored tightly.

The page posts a manifest to GitHub, GitHub sends the browser back with a code, the code is exchanged for the App's
id, key and webhook secret. https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import argparse
import hmac
import html
import json
import os
import secrets
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import requests

from trainwarden.github.permissions import EVENTS, PERMISSIONS
from trainwarden.github.settings import CREDENTIALS, api_and_data
from trainwarden.model import Misuse, Unfinished

_WAIT_SECONDS = 900
_WORDS = {
    200: "Registered. You can close this page.",
    400: "That is not an answer to this registration.",
    502: "GitHub did not give the credentials. Load this page again; the App is there already.",
}
_KEPT = {"id": "app_id", "pem": "private_key", "webhook_secret": "webhook_secret"}


def manifest(name: str, webhook_url: str, callback: str) -> dict[str, Any]:
    """What GitHub is asked to register."""
    return {
        "name": name,
        "url": "https://github.com/apps",
        "hook_attributes": {"url": webhook_url, "active": True},
        "redirect_url": callback,
        "public": False,
        "default_permissions": {p.name: p.access for p in PERMISSIONS if not p.voice},
        "default_events": list(EVENTS),
    }


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until the App is registered. Raises ``Misuse`` and ``Unfinished``."""
    github_url, api_url, data = api_and_data()
    if urllib.parse.urlsplit(arguments.webhook_url).scheme != "https":
        raise Misuse("the webhook address is not https", "GitHub must reach it from outside")
    target = data / CREDENTIALS
    if target.exists():
        raise Misuse(f"{target} exists", "move it away to register another App")
    flow = Flow(arguments, github_url, api_url)
    sys.stderr.write(f"Open {flow.address}/ in a browser on this machine.\n")
    store(target, flow.wait())
    sys.stderr.write(f"Registered. The credentials are in {target}.\n")
    return 0


def store(path: Path, answer: dict[str, Any]) -> None:
    """Write the credentials for their owner alone; never over an existing file.

    Raises ``Misuse``, and ``Unfinished`` when GitHub gave less than all of them.
    """
    if lacking := [name for name in _KEPT if not answer.get(name)]:
        raise Unfinished(
            f"GitHub gave no {', '.join(lacking)}", "delete the App on GitHub and register again"
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {ours: str(answer[theirs]) for theirs, ours in _KEPT.items()}
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Misuse(f"{path} exists") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(kept, file)


class Flow:
    """The local page and the exchange of the code. One browser, one use. Raises ``Misuse`` for a port in use."""

    def __init__(self, arguments: argparse.Namespace, github_url: str, api_url: str) -> None:
        self.state = secrets.token_urlsafe(32)
        self.answer: dict[str, Any] | None = None
        self._api_url = api_url
        owner = arguments.organization
        path = (
            f"organizations/{urllib.parse.quote(owner)}/settings/apps/new" if owner else "settings/apps/new"
        )
        self._target = f"{github_url}/{path}?state={self.state}"
        flow = self

        class Handler(_Handler):
            page = flow

        try:
            self._server = HTTPServer(("127.0.0.1", arguments.port), Handler)
        except OSError as error:
            raise Misuse(f"port {arguments.port}: {error.strerror}", "choose another with --port") from error
        self._server.timeout = _WAIT_SECONDS
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._manifest = manifest(arguments.name, arguments.webhook_url, f"{self.address}/callback")

    def wait(self) -> dict[str, Any]:
        """Serve until the exchange is done. Raises ``Unfinished`` when nobody comes."""
        served = 0
        while self.answer is None and served < 50:
            self._server.handle_request()
            served += 1
        self._server.server_close()
        if self.answer is None:
            raise Unfinished("the App was not registered")
        return self.answer

    def form(self) -> str:
        """The page: a form that carries the manifest to GitHub, sent by a click."""
        value = html.escape(json.dumps(self._manifest), quote=True)
        return (
            "<!doctype html><meta charset=utf-8><title>Register Trainwarden</title>"
            f'<form method="post" action="{html.escape(self._target, quote=True)}">'
            f'<input type="hidden" name="manifest" value="{value}">'
            "<p>GitHub will show what the App may do before anything is created.</p>"
            "<button>Register on GitHub</button></form>"
        )

    def exchange(self, query: dict[str, list[str]]) -> int:
        """Trade the code for credentials. The status to show: see ``_WORDS``."""
        given, code = query.get("state", [""])[0], query.get("code", [""])[0]
        if not hmac.compare_digest(given.encode(), self.state.encode()) or not code.isalnum():
            return 400
        address = f"{self._api_url}/app-manifests/{code}/conversions"
        accepted = {"Accept": "application/json"}
        try:
            answer = requests.post(address, headers=accepted, timeout=20, allow_redirects=False)
        except requests.exceptions.RequestException:
            return 502
        if answer.status_code != 201:
            return 502
        self.answer = answer.json()
        return 200


class _Handler(BaseHTTPRequestHandler):
    page: Flow

    def do_GET(self) -> None:
        """The form at ``/``, the exchange at ``/callback``; only for a browser that knows our address."""
        url = urllib.parse.urlsplit(self.path)
        if self.headers.get("Host") != self.page.address.removeprefix("http://"):
            self._say(403, "Use the address that was printed.")
        elif url.path == "/":
            self._say(200, self.page.form())
        else:
            known = url.path == "/callback"
            status = self.page.exchange(urllib.parse.parse_qs(url.query)) if known else 400
            self._say(status, _WORDS[status])

    def _say(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the code out of any log."""
