"""The documents: every link leads somewhere, every page stands in both languages, and the README stays the first hour."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
MAX_README_LINES = 220

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the places of a page that a link can name, as GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", _CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    wrong = []
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_stands_in_both_languages_with_the_same_parts(page: Path) -> None:
    if page.name.endswith(".en.md"):
        other = page.with_name(page.name.replace(".en.md", ".md"))
    else:
        other = page.with_name(page.name.replace(".md", ".en.md"))
    assert other.is_file()
    commands = [len(re.findall(r"(?m)^```sh", p.read_text(encoding="utf-8"))) for p in (page, other)]
    assert commands[0] == commands[1]


def test_every_page_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    english = (ROOT / "README.en.md").read_text(encoding="utf-8")
    for page in ROOT.glob("docs/*.md"):
        assert f"docs/{page.name}" in (english if page.name.endswith(".en.md") else readme), page.name


@pytest.mark.parametrize("name", ["README.md", "README.en.md"])
def test_the_readme_is_the_first_hour_only(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES
