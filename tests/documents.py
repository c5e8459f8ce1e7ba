"""The documents that come with the project, and the code in them."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").rglob("*.md"))]
SERVICE, SOURCES = PROJECT / "docs" / "service.md", PROJECT / "docs" / "sources.md"
CODE_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def code_of(path, *languages):
    """The code blocks of a document in one of `languages`."""
    return [code for language, code in CODE_BLOCK.findall(path.read_text(encoding="utf-8")) if language in languages]


def prose_of(path):
    """A document without its code blocks."""
    return CODE_BLOCK.sub("", path.read_text(encoding="utf-8"))
