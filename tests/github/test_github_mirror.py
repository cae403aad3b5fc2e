"""Mirrors against a real git server: what is fetched, what is left out, and that the token is nowhere to be found."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from github_fake import FakeGitHub
from github_hosting import HostedRepository
from github_world import TRAIN, World

from trainwarden.github.app import Gone, Revoked, Unavailable
from trainwarden.github.mirror import Mirror, Mirrors
from trainwarden.github.settings import Secret
from trainwarden.model import Request

TOKEN = "ghs_the-token-of-this-test"


@pytest.fixture
def hosted(github: FakeGitHub) -> HostedRepository:
    github.state.tokens.add(TOKEN)
    repository = github.repository("octo/models")
    repository.commit("main", {"train.py": TRAIN}, orphan=True)
    return repository


@pytest.fixture
def mirrors(github: FakeGitHub, tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors", 2**30, github.url)


@pytest.fixture
def mirror(mirrors: Mirrors, hosted: HostedRepository) -> Iterator[Mirror]:
    with mirrors.open(hosted.id, hosted.owner, hosted.name, Secret(TOKEN)) as opened:
        yield opened


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=path, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_base_and_head_are_fetched_and_merged_back(mirror: Mirror, hosted: HostedRepository) -> None:
    base = hosted.tip("main")
    head = hosted.commit("topic", {"train.py": TRAIN + "x = 1\n"}, parent=base)
    hosted.commit("main", {"other.py": "y = 1\n"})
    mirror.fetch({"head": head, "base": "refs/heads/main"})
    assert mirror.merge_base(mirror.tip("base"), head) == base
    assert mirror.read(head, "train.py") == (TRAIN + "x = 1\n").encode()


def test_only_what_was_asked_for_is_fetched(mirror: Mirror, hosted: HostedRepository) -> None:
    secret = hosted.commit("unrelated", {"a.py": "1\n"}, orphan=True)
    mirror.fetch({"base": "refs/heads/main"})
    assert not mirror.has(secret)
    assert git(mirror.path, "for-each-ref", "--format=%(refname)") == "refs/trainwarden/base"


def test_a_fork_is_read_through_the_pull_request(world: World) -> None:
    repository = world.repository()
    pull = world.pull(repository, "topic", "block-me\n", fork=True)
    repository.git("update-ref", "-d", "refs/heads/topic")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    world.open(pull)
    assert world.conclusion(pull) == "failure"


def test_a_deleted_base_branch_is_an_error_not_a_pass(world: World) -> None:
    repository = world.repository()
    repository.commit("old", {"a.py": "1\n"}, parent=repository.tip("main"))
    pull = world.pull(repository, "topic", "x = 1\n", base_ref="old", start=repository.tip("old"))
    repository.git("update-ref", "-d", "refs/heads/old")
    job = world.jobs("pull_request", world.github.pull_event(pull, "opened"))[0]
    assert world.run(job) is not None
    from dataclasses import replace

    assert world.run(replace(job, tries=1)) is None
    assert world.conclusion(pull) == "failure"


def test_a_force_push_is_followed(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "block-me\n")
    world.open(pull)
    world.github.push(pull, {"train.py": TRAIN + "x = 1\n"}, parent=pull.repository.tip("main"))
    world.open(pull, "synchronize")
    assert world.conclusion(pull) == "success"


def test_a_repository_that_is_gone(mirrors: Mirrors, hosted: HostedRepository) -> None:
    with mirrors.open(999, "octo", "nothing", Secret(TOKEN)) as mirror, pytest.raises(Gone):
        mirror.fetch({"base": "refs/heads/main"})


def test_a_token_that_is_not_accepted(mirrors: Mirrors, hosted: HostedRepository) -> None:
    with mirrors.open(hosted.id, "octo", "models", Secret("wrong")) as mirror, pytest.raises(Revoked):
        mirror.fetch({"base": "refs/heads/main"})


def test_a_server_that_is_down(tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "m", 2**30, "http://127.0.0.1:9")
    with mirrors.open(1, "octo", "models", Secret(TOKEN)) as mirror, pytest.raises(Unavailable):
        mirror.fetch({"base": "refs/heads/main"})


def test_the_token_is_nowhere(mirror: Mirror, hosted: HostedRepository, github: FakeGitHub) -> None:
    hosted.commit("main", {"big.bin": os.urandom(3_000_000)})
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(entry.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    mirror.fetch({"base": "refs/heads/main"})
    mirror.complete(hosted.git("rev-parse", "main~1"), mirror.tip("base"))
    stop.set()
    watcher.join()
    assert any(b"fetch" in line for line in seen)
    assert not any(TOKEN.encode() in line for line in seen)
    import base64

    spellings = (TOKEN.encode(), base64.b64encode(f"x-access-token:{TOKEN}".encode()))
    files = [p for p in mirror.path.parent.rglob("*") if p.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert not any(spelling in data for spelling in spellings), path
    assert git(mirror.path, "remote") == ""
    assert len(github.authorizations) == 1


def test_large_blobs_are_left_out_until_the_change_touches_them(
    mirror: Mirror, hosted: HostedRepository
) -> None:
    old = hosted.commit("main", {"old.bin": os.urandom(2_000_000), "kept.bin": os.urandom(2_000_000)})
    new = hosted.commit("topic", {"old.bin": os.urandom(2_000_000)}, parent=old)
    mirror.fetch({"head": new, "base": "refs/heads/main"})
    assert mirror.read(new, "old.bin") is None
    mirror.complete(old, new)
    assert len(mirror.read(new, "old.bin") or b"") == len(mirror.read(old, "old.bin") or b"") == 2_000_000
    assert mirror.read(new, "kept.bin") is None


def test_a_large_file_of_the_change_is_read_and_not_guessed(world: World) -> None:
    repository = world.repository()
    text = "x = 1\n" * 400_000 + "block-me\n"
    repository.commit("topic", {"big.py": text}, parent=repository.tip("main"))
    pull = world.github.pull(repository, "topic")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    assert world.room.ledger.reports(repository.id, pull.head)[0].coverage.unread == ()


def test_what_is_missing_is_not_fetched_behind_our_back(mirror: Mirror, hosted: HostedRepository) -> None:
    head = hosted.commit("main", {"big.bin": os.urandom(2_000_000)})
    mirror.fetch({"base": "refs/heads/main"})
    before = len(hosted.git("count-objects"))
    done = subprocess.run(["git", "cat-file", "-e", f"{head}:big.bin"], cwd=mirror.path, check=False)
    assert done.returncode != 0
    assert "promisor" not in (mirror.path / "config").read_text()
    assert before


def test_five_thousand_files(world: World) -> None:
    repository = world.repository()
    files = {f"src/part{i // 100}/m{i}.py": f"x{i} = {i}\n" for i in range(5_000)}
    repository.commit("topic", files | {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    pull = world.github.pull(repository, "topic")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    report = world.room.ledger.reports(repository.id, pull.head)[0]
    assert report.coverage.changed == 5_001


def test_a_hundred_megabytes(world: World) -> None:
    repository = world.repository()
    noise = os.urandom(1_000_000)
    files = {f"weights{i}.bin": noise[i:] * 25 for i in range(4)}
    repository.commit("topic", files | {"train.py": TRAIN + "block-me\n"}, parent=repository.tip("main"))
    pull = world.github.pull(repository, "topic")
    world.open(pull)
    assert world.conclusion(pull) == "failure"


HOOK = "#!/bin/sh\ntouch {marker}\n"


def test_a_hostile_repository_runs_nothing_and_leads_nowhere(world: World, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    repository = world.repository()
    hostile = {
        ".gitattributes": "*.py filter=evil diff=evil merge=evil\n",
        ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {marker}\n\tclean = touch {marker}\n',
        ".git-hooks/post-checkout": HOOK.format(marker=marker),
        "hooks/post-update": HOOK.format(marker=marker),
        ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch {marker}"\n',
        "objects/info/alternates": "/etc\n",
        "config": f"[core]\n\tfsmonitor = touch {marker}\n\tsshCommand = touch {marker}\n",
        "link.py": "link:/etc/passwd",
        "deep.py": "link:../../../../../../etc/passwd",
        "train.py": TRAIN + "block-me\n",
        "-rf": "x = 1\n",
        "--output=x": "x = 1\n",
        "a\nb.py": "x = 1\n",
    }
    repository.commit("topic", hostile, parent=repository.tip("main"))
    pull = world.github.pull(repository, "topic")
    world.open(pull)
    assert world.conclusion(pull) == "failure"
    assert not marker.exists()
    assert "root:" not in world.check(pull.head)["output"]["summary"]
    mirror = world.settings.data / "mirrors" / f"{repository.id}.git"
    assert not (mirror / "objects" / "info" / "alternates").exists()
    assert not (mirror / "hooks").exists()


def test_a_mirror_is_named_by_number_so_no_name_leads_out(mirrors: Mirrors, tmp_path: Path) -> None:
    with mirrors.open(7, "..", "../../escape", Secret(TOKEN)) as mirror:
        assert mirror.path == tmp_path / "mirrors" / "7.git"
    assert sorted(p.name for p in tmp_path.glob("*escape*")) == []


def test_the_least_recently_used_go_first_and_those_in_use_stay(github: FakeGitHub, tmp_path: Path) -> None:
    github.state.tokens.add(TOKEN)
    mirrors = Mirrors(tmp_path / "mirrors", 1_500_000, github.url)
    for number in (1, 2, 3):
        repository = github.repository(f"octo/r{number}")
        repository.commit("main", {"data.bin": os.urandom(700_000)}, orphan=True)
        with mirrors.open(number, "octo", f"r{number}", Secret(TOKEN)) as mirror:
            mirror.fetch({"base": "refs/heads/main"})
        os.utime(mirror.path, (number, number))
    with mirrors.open(2, "octo", "r2", Secret(TOKEN)):
        os.utime(tmp_path / "mirrors" / "2.git", (0, 0))
        assert mirrors.evict() == [1]
    assert mirrors.evict() == []
    assert {p.name for p in (tmp_path / "mirrors").glob("*.git")} == {"2.git", "3.git"}


def test_what_a_killed_process_left_behind_is_swept(mirrors: Mirrors, tmp_path: Path) -> None:
    directory = tmp_path / "mirrors"
    for name, age in (("7.old1", 7_200), ("8.new2", 7_200), ("9.new3", 0), ("7.git", 7_200)):
        (directory / name).mkdir(parents=True)
        os.utime(directory / name, (time.time() - age, time.time() - age))
    mirrors.evict()
    assert {path.name for path in directory.iterdir()} == {"9.new3", "7.git"}


def test_many_small_fetches_are_packed_together(
    mirror: Mirror, hosted: HostedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainwarden.github.mirror._MANY_PACKS", 3)
    big = hosted.commit("main", {"big.bin": os.urandom(2_000_000)})
    for i in range(5):
        head = hosted.commit("main", {"train.py": f"x = {i}\n"})
        mirror.fetch({"base": "refs/heads/main"})
    assert len(list((mirror.path / "objects" / "pack").glob("*.pack"))) <= 4
    assert mirror.read(head, "train.py") == b"x = 4\n"
    assert mirror.read(big, "big.bin") is None


def test_two_threads_fetch_one_mirror_at_once(mirrors: Mirrors, hosted: HostedRepository) -> None:
    heads = [hosted.commit(f"t{i}", {"a.py": f"{i}\n"}, parent=hosted.tip("main")) for i in range(4)]
    failures: list[Exception] = []

    def fetch(head: str) -> None:
        try:
            with mirrors.open(hosted.id, "octo", "models", Secret(TOKEN)) as mirror:
                mirror.fetch({"base": "refs/heads/main", f"pull/{head[:8]}": head})
                assert mirror.has(head)
        except Exception as error:  # noqa: BLE001 - carried to the main thread
            failures.append(error)

    threads = [threading.Thread(target=fetch, args=(head,)) for head in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_a_review_reads_the_mirror_without_any_remote(world: World) -> None:
    pull = world.pull(world.repository(), "topic", "x = 1\n")
    world.open(pull)
    request: Request = world.engine.requests[0]
    assert request.repo.endswith(f"{pull.repository.id}.git")
    config = (Path(request.repo) / "config").read_text()
    assert "remote" not in config
    assert "url" not in config
    assert time.time() - Path(request.repo).stat().st_mtime < 600
