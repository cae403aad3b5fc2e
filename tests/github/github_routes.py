"""What the fake GitHub answers, route by route: (github, parts of the path, query, body) in, status and value out."""

from __future__ import annotations

import base64
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from github_state import APP_ID, INSTALLATION, SLUG, Answer, FakePull

if TYPE_CHECKING:
    from github_fake import FakeGitHub


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


def graphql(g: FakeGitHub, b: Any) -> Answer:
    variables = b["variables"]
    if any(int(first) > 100 for first in re.findall(r"first: (\d+)", b["query"])):
        return 200, {"errors": [{"type": "EXCESSIVE_PAGINATION", "message": "exceeds the `first` limit"}]}
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
        authors = {"totalCount": len(users), "nodes": users[:50]}
        commits.append({"commit": {"oid": commit[0], "authors": authors}})
    start = int(variables["after"] or 0)
    end = start + g.state.commits_page
    info = {"hasNextPage": len(commits) > end, "endCursor": str(end)}
    found = {"nodes": commits[start:end], "pageInfo": info}
    return 200, {"data": {"repository": {"pullRequest": {"commits": found}}}}


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
ROUTES: tuple[tuple[str, Callable[[FakeGitHub, dict[str, str], dict[str, str], Any], Answer]], ...] = (
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
