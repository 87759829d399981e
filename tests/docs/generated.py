"""Parts of the pages that are made from the code: CDDL of the records, the registry of labels.

    uv run python tests/docs/generated.py           writes every page anew
    uv run python tests/docs/generated.py --check   exit code 1 if a page is stale

A block is generated when the comment above it names its source:

    <!-- cddl: latticework.crdt.entry: Body, Envelope -->
    <!-- labels -->
"""

import re
import sys
from importlib import import_module
from pathlib import Path

from latticework.wire import Label
from latticework.wire.records import cddl

ROOT = Path(__file__).parent.parent.parent
_CDDL = re.compile(
    r"(?P<head>^<!-- cddl: (?P<module>[\w.]+): (?P<names>[\w, ]+) -->\n```cddl\n).*?(?P<tail>^```$)",
    re.MULTILINE | re.DOTALL,
)
_LABELS = re.compile(r"(?P<head>^<!-- labels -->\n```text\n).*?(?P<tail>^```$)", re.MULTILINE | re.DOTALL)


def cddl_of(module: str, names: str) -> str:
    """The rules of the records `names` of `module`, an empty line between them."""
    source = vars(import_module(module))
    return "\n\n".join(cddl(source[name.strip()]) for name in names.split(",")) + "\n"


def labels() -> str:
    """Every label, one per line."""
    return "".join(f"{label.value.decode()}\n" for label in Label)


def renewed(text: str) -> str:
    """A page with its generated blocks made anew."""
    text = _CDDL.sub(lambda m: m["head"] + cddl_of(m["module"], m["names"]) + m["tail"], text)
    return _LABELS.sub(lambda m: m["head"] + labels() + m["tail"], text)


def main() -> int:
    """Write or check all pages."""
    stale = 0
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) == text:
            continue
        stale += 1
        if "--check" in sys.argv:
            sys.stderr.write(f"stale: {page.relative_to(ROOT)}\n")
        else:
            page.write_text(new, encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
