"""Deployment files and operators' pages: judged by other people's tools, and held against the code they speak of."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from action_runner import ROOT
from github_parts import missing

from trainwarden.entry import settings_page
from trainwarden.github.store import Delivery, Store, engine
from trainwarden.model import TrainwardenError

BIN = Path(sys.prefix) / "bin"
DOCS = ROOT / "docs"
DEPLOY = DOCS / "deploy"
UNIT, CONTAINER, MANIFESTS = (DEPLOY / n for n in ("trainwarden.service", "Containerfile", "kubernetes.yaml"))
PAGES = [DOCS / name for name in ("operations.md", "github-app.md", "action.md", "pre-commit.md")]
NOT_SETTINGS = {"TRAINWARDEN_TOKEN"}


def judge(program: Path | str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(str(program)) is None:
        missing(f"{Path(program).name} is not installed")
    return subprocess.run(
        [str(program), *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )


def known_settings() -> set[str]:
    return set(re.findall(r"`(TRAINWARDEN_[A-Z_]+)`", settings_page.page()))


def test_systemd_accepts_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # systemd looks whether the program is there.
    unit.write_text(UNIT.read_text().replace("/opt/trainwarden/bin/trainwarden", str(BIN / "trainwarden")))
    done = judge("systemd-analyze", "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")
    assert judge("systemd-analyze", "security", "--offline=true", "--threshold=20", unit).returncode == 0
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict"))
    assert "ProtectSystm" in judge("systemd-analyze", "verify", unit).stderr


def test_hadolint_finds_nothing_and_can_find_something(tmp_path: Path) -> None:
    done = judge(BIN / "hadolint", CONTAINER)
    assert (done.returncode, done.stdout) == (0, "")
    bad = tmp_path / "Containerfile"
    bad.write_text("FROM debian:latest\nRUN cd /tmp && sudo true\n")
    assert judge(BIN / "hadolint", bad).returncode == 1


def test_the_container_copies_what_is_there_and_is_nobody() -> None:
    text = CONTAINER.read_text().replace("\\\n", " ")
    sources = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    assert len(sources) > 5
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert text.count("--require-hashes") == 1


def test_kubernetes_schemas_accept_the_manifests(tmp_path: Path) -> None:
    done = judge(BIN / "kubernetes-validate", "--strict", MANIFESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text(MANIFESTS.read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert judge(BIN / "kubernetes-validate", "--strict", bad).returncode != 0


def test_manifests_belong_together() -> None:
    found = {item["kind"]: item for item in yaml.safe_load_all(MANIFESTS.read_text())}
    spec = found["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert found["StatefulSet"]["spec"]["replicas"] == 1
    assert set(found["ConfigMap"]["data"]) <= {
        name + end for name in known_settings() for end in ("", "_FILE")
    }
    ports = {port["name"] for port in container["ports"]}
    assert {rule["targetPort"] for rule in found["Service"]["spec"]["ports"]} == {"webhook"} < ports
    (path,) = found["Ingress"]["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/webhook", "Exact")
    assert "@sha256:" in container["image"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert found["ConfigMap"]["data"]["TRAINWARDEN_DATA"] in mounts


def test_the_lock_of_the_app_is_that_of_development() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = wanted["dependencies"] + wanted["optional-dependencies"]["app"]
    pinned, developed = (
        dict(
            re.findall(
                r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / f"{name}.lock").read_text(), re.MULTILINE
            )
        )
        for name in ("app", "dev")
    )
    assert {re.split(r"[\[=><]", need)[0].lower() for need in needs} <= set(pinned)
    assert {name: developed.get(name) for name in pinned} == pinned


def test_the_settings_page_is_up_to_date() -> None:
    assert (DOCS / "app-settings.md").read_text() == settings_page.page()


def test_a_setting_without_words_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    words = dict(settings_page._WORDS)
    del words["WORKERS"]
    monkeypatch.setattr(settings_page, "_WORDS", words)
    with pytest.raises(TrainwardenError, match="WORKERS"):
        settings_page.page()


@pytest.mark.parametrize("page", [*PAGES, UNIT, CONTAINER, MANIFESTS], ids=lambda page: page.name)
def test_pages_name_settings_that_exist(page: Path) -> None:
    named = set(re.findall(r"\bTRAINWARDEN_[A-Z_]+", page.read_text()))
    known = known_settings()
    assert {name for name in named - NOT_SETTINGS if name.removesuffix("_FILE") not in known} == set()


def test_operators_are_told_of_numbers_that_exist() -> None:
    told = set(re.findall(r"`trainwarden_([a-z_]+)", (DOCS / "operations.md").read_text()))
    source = "".join(path.read_text() for path in (ROOT / "bot" / "trainwarden" / "github").glob("*.py"))
    assert len(told) >= 8
    assert {name for name in told if f'"{name}"' not in source} == set()


def test_the_backup_on_the_page_is_whole_while_the_app_writes(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    data.mkdir()
    (data / "credentials.json").write_text("{}")
    (data / "credentials.json").chmod(0o600)
    store = Store(engine(f"sqlite:///{data / 'state.sqlite'}"))
    store.prepare()
    kept = [Delivery(f"delivery-{n}", f"{n:064d}", "push", ()) for n in range(50)]
    assert store.accept(kept) == 50
    program = (DOCS / "operations.md").read_text().split("```python\n")[1].split("```")[0]
    for path, place in (("/var/lib/trainwarden", data), ("/backup/trainwarden", backup)):
        program = program.replace(path, str(place))
    subprocess.run([sys.executable, "-c", program], check=True)
    store.close()
    restored = Store(engine(f"sqlite:///{backup / 'state.sqlite'}"))
    assert {delivery.id for delivery in restored.waiting()} == {delivery.id for delivery in kept}
    restored.close()
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in backup.iterdir()} == {0}
