"""Writes the fields of a profile as the table of docs/profile.md.

`python -m vox_assets_tests.profiles.profile_reference` rewrites the table. The meaning of a field
is its `#:` comment, and of a part its docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from vox_assets import profiles

PAGE = Path(__file__).parents[2] / "docs" / "profile.md"
START, END = "<!-- fields: generated -->", "<!-- end of the fields -->"
SOURCE = Path(profiles.__file__).read_text(encoding="utf-8")
CLASSES = {node.name: node for node in ast.parse(SOURCE).body if isinstance(node, ast.ClassDef)}
#: Text that names a type of the module, and what a person writes in the file.
TYPES = (
    (r"Annotated\[(.+?), Field\([^()]*\)\]", r"\1"),
    (r"\bSourceKind\b", "'rust', 'docs', 'synthetic'"),
    (r"\bResponseMode\b", "'code_only', 'prose_only'"),
    (r"\bShare\b", "0 to 1"),
    (r"\bCount\b", "number from 0"),
    (r"\bbool\b|\bstr\b|\bBelow\b", "text"),
    (r"\bint\b", "whole number"),
    (r"\bfloat\b", "number"),
    (r"tuple\[(.+), \.\.\.\]", r"list of \1"),
    (r"dict\[text, (.+)\]", r"\1 by name"),
    (r"Literal\[(.+?)\]", r"\1"),
    (r"FrontEndChoice", "'vox', 'none', grammar or command"),
    (r"\bLane\b", "lane"),
    (r" \| None\b", ""),
    (r" \| ", " or "),
)


def comments(field: ast.AnnAssign) -> str:
    """Return the `#:` comment above a field."""
    lines = SOURCE.splitlines()[: field.lineno - 1]
    found: list[str] = []
    while lines and lines[-1].strip().startswith("#:"):
        found.insert(0, lines.pop().strip().removeprefix("#:").strip())
    return " ".join(found)


def written(annotation: str) -> str:
    """Say in words what a field accepts."""
    for pattern, words in TYPES:
        annotation = re.sub(pattern, words, annotation)
    return annotation.replace("|", "or")


def fields(name: str, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield the path, the type, the default and the meaning of each field of a part."""
    for field in CLASSES[name].body:
        if not isinstance(field, ast.AnnAssign):
            continue
        assert isinstance(field.target, ast.Name)
        annotation = ast.unparse(field.annotation)
        where = f"{path}{field.target.id}"
        default = "" if field.value is None else ast.unparse(field.value)
        if default == "None" or default.startswith("Field("):
            default = ""
        part = next((part for part in CLASSES if re.search(rf"\b{part}\b", annotation)), None)
        if part is None:
            yield where, written(annotation), default, comments(field)
        else:
            many = "[]" if annotation.startswith("tuple") else ""
            meaning = " ".join((ast.get_docstring(CLASSES[part]) or "").split("\n\n")[0].split())
            yield where, "list of parts" if many else "part", "", comments(field) or meaning
            yield from fields(part, f"{where}{many}.")


def reference() -> str:
    """Return the table of all fields."""
    lines = ["| field | accepts | default | meaning |", "|---|---|---|---|"]
    for where, accepts, default, meaning in fields("Profile"):
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{where}` | {accepts} | {shown} | {meaning.replace('|', '/')} |")
    return "\n".join(lines)


def with_reference(page: str) -> str:
    """Return the page with today's table."""
    before, rest = page.split(START)
    return f"{before}{START}\n{reference()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(with_reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
