"""Pages written by hand name what exists: links lead somewhere, and the tree of development.md is the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "rules" / "README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in targets if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = set(LINK.findall((ROOT / "docs" / "README.md").read_text()))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - listed == {"README.md"}


def test_the_tree_names_every_room() -> None:
    tree = (ROOT / "docs" / "development.md").read_text().split("## The tree")[1].split("\n## ")[0]
    named = set(re.findall(r"[\w.]+(?:/|\.py)", tree))
    package = ROOT / "bot" / "trainwarden"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    rooms = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert len(rooms) > 5
    assert (modules | rooms) - named == set()
    in_package = tree.split("bot/trainwarden/\n")[1]
    written = set(re.findall(r"^      ([\w]+(?:/|\.py)) ", in_package, re.MULTILINE))
    assert written - (modules | rooms) == set()
