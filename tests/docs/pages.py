"""The pages of the documentation: their code blocks, with the comment that says how each is run, and their links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = frozenset({"console", "python", "cddl", "text", "toml"})

_FENCE = re.compile(r"^```(?P<language>\w*)$")
_COMMENT = re.compile(r"^<!-- (?P<text>.+) -->$")
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is the number of its fence, `options` what the comment above it says."""

    page: Path
    line: int
    language: str
    options: dict[str, str]
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        end = lines.index("```", number + 1)
        options = _options(lines[number - 1] if number else "")
        text = "\n".join(lines[number + 1 : end])
        found.append(Block(page, number + 1, fence["language"], options, text))
        number = end + 1
    return found


def _options(above: str) -> dict[str, str]:
    """`<!-- run: laptop, exit: 10 -->` as a dictionary."""
    comment = _COMMENT.match(above)
    if comment is None:
        return {}
    pairs = (item.partition(":") for item in comment["text"].split(", "))
    return {key.strip(): value.strip() for key, _, value in pairs}


def links_of(page: Path) -> list[str]:
    """The targets of every link outside code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [match["target"] for match in _LINK.finditer(re.sub(r"`[^`\n]*`", "", text))]


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = (_HEADING.match(line) for line in page.read_text(encoding="utf-8").splitlines())
    return {_anchor(heading["text"]) for heading in headings if heading is not None}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
