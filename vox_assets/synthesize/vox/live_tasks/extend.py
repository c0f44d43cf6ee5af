"""Tasks that extend a declaration by a field or a parameter."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.live_tasks.task import (
    BODIED_KINDS,
    MAX_SHOWN_CHARS,
    NAME,
    SIGNATURE,
    Live,
    Task,
    fenced,
    lead_ins,
)
from vox_assets.vox_syntax import Declaration

#: Rows per table, each of which extends the program by another field.
EXTENSIONS = 3


# Adding a field through table, endpoint and view.

_EXTEND_LEADS = (
    "Add the field `{field}: {kind}` to `{table}` and carry it through the whole Vox program.",
    "`{table}` needs one more column, `{field}: {kind}`. Change everything that it touches.",
    "Extend this Vox program: each `{table}` also has `{field}: {kind}`.",
    "We now record `{field}: {kind}` for every `{table}`. Update the Vox code below.",
)


#: Fields that suit records of any kind.
_EXTRA_FIELDS = (
    ("note", "str"),
    ("created_by", "str"),
    ("priority", "int"),
    ("archived", "bool"),
    ("updated_day", "int"),
    ("reference", "str"),
)


@dataclass(frozen=True)
class _Change:
    source: str
    done: tuple[str, ...]


def with_field(live: Live, table: Declaration, field: str, kind: str) -> _Change | None:
    """Add a field to the program, or return None when no endpoint inserts into the table."""
    done = [f"the table `{table.name}` gets it as its last field"]
    source = live.source.replace(table.text, _with_last_field(table.text, field, kind), 1)
    insert = re.compile(rf"db\.{table.name}\.insert\(\{{ (?P<inside>[^{{}}]+) \}}\)")
    inserted = False
    for item in live.declared:
        if item.kind not in BODIED_KINDS or not insert.search(item.text):
            continue
        signature = SIGNATURE.search(item.text)
        if signature is None:
            return None
        separator = ", " if signature["params"] else ""
        head = item.text[: signature.end("params")]
        tail = item.text[signature.end("params") :]
        text = f"{head}{separator}{field}: {kind}{tail}"
        text = insert.sub(lambda match: match[0][:-3] + f", {field}: {field} }})", text)
        source = source.replace(item.text, text, 1)
        done.append(f"`{item.name}` takes it as its last parameter and stores it")
        inserted = True
    if not inserted:
        return None
    shown = _with_text(source, live, table, field)
    if shown != source:
        done.append("the view shows it after the first text of each entry")
    return _Change(shown, tuple(done))


def _with_last_field(text: str, field: str, kind: str) -> str:
    """Append a field, separated by a comma or a newline as the last field is."""
    head, _, _ = text.rpartition("\n}")
    comma = "," if head.endswith(",") else ""
    return f"{head}\n    {field}: {kind}{comma}\n}}"


def _with_text(source: str, live: Live, table: Declaration, field: str) -> str:
    """Show the field in each loop of a component over a list of the table's records."""
    for item in live.declared:
        listed = re.search(rf"(\w+): (?:list|List)\[{table.name}\]", item.text)
        if item.kind != "component" or listed is None:
            continue
        loop = re.search(
            rf"for (?P<each>\w+) in {listed[1]}\b[^\n]*\{{\n(?P<inside>(?:[^\n]*\n)*?)"
            r"(?P<indent> +)text\(\) \{ (?P=each)\.\w+ \}\n",
            item.text,
        )
        if loop:
            line = f"{loop['indent']}text() {{ {loop['each']}.{field} }}\n"
            text = item.text[: loop.end()] + line + item.text[loop.end() :]
            source = source.replace(item.text, text, 1)
    return source


def extensions(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Yield tasks that add a field to a table and to every endpoint and view that uses it."""
    if len(live.source) > MAX_SHOWN_CHARS:
        return
    words = set(NAME.findall(live.source))
    unused = [(field, kind) for field, kind in _EXTRA_FIELDS if field not in words]
    for table in (item for item in live.declared if item.kind == "table"):
        # A call from elsewhere in the program would lack the new argument.
        if _is_called_inside(live, table):
            continue
        for field, kind in rng.sample(unused, k=min(EXTENSIONS, len(unused))):
            change = with_field(live, table, field, kind)
            if change is None:
                break
            leads = lead_ins(_EXTEND_LEADS, field=field, kind=kind, table=table.name)
            steps = "\n".join(f"- {step}" for step in change.done)
            details = f"\n{steps}\n\n{fenced(live.source)}"
            label = f"{table.name}_with_{field}"
            yield Task("extend_program", label, leads, details, change.source)


def _is_called_inside(live: Live, table: Declaration) -> bool:
    inserting = {item.name for item in live.declared if f"db.{table.name}.insert(" in item.text}
    return any(item.references & (inserting - {item.name}) for item in live.declared)
