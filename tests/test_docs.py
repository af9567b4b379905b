"""The documents: every link leads somewhere, every page stands in both languages, and the README stays the first hour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from command_lines import complaint

from xiaozhi_persona.cli import COMMANDS
from xiaozhi_persona.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
MAX_README_LINES = 220

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_PROGRAM = re.compile(r"^(xiaozhi-persona|(python3|py) \S*run\.py)( |$)")


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


def commands_in(page: Path) -> Iterator[tuple[str, bool]]:
    """Yield the commands of a page without the program's name, and whether they stand in a block, whole."""
    text = page.read_text(encoding="utf-8")
    lines = [(line, True) for block in _BLOCK.findall(text) for line in block.splitlines()]
    lines += [(code, False) for code in _INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))]
    for line, whole in lines:
        started = _PROGRAM.match(line)
        name = line.split()[0] if line.split() else ""
        if started or (name in COMMANDS and not whole and " / " not in line):
            yield (line[started.end() :] if started else line), whole


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed_as_it_stands(page: Path) -> None:
    said = {line: complaint(line, whole) for line, whole in commands_in(page)}
    assert not {line: words for line, words in said.items() if words}


@pytest.mark.parametrize(
    "line",
    ["serv", "memory recal x", "talk --text 你好 --loud", "transcribe --bench", "memory facts --correct 1"],
)
def test_a_wrong_command_in_a_page_would_be_found(line: str) -> None:
    assert complaint(line, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    defaults = Settings().model_dump()
    named = re.findall(r"`([a-z_]+)\.(?!py\b)([a-z_0-9]+)[`:]", page.read_text(encoding="utf-8"))
    of_sections = [(section, key) for section, key in named if isinstance(defaults.get(section), dict)]
    assert not [f"{section}.{key}" for section, key in of_sections if key not in defaults[section]]
